"""Components of accounts that share a payment card, a sign-up or a client address: the classic fraud link."""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy import sparse
from scipy.sparse.csgraph import connected_components

#: Largest key degree that joins accounts: an address of more accounts is a carrier's or an office's. Without a limit
#: one component contains the whole site.
MOST_HOLDERS = 20


def score(requests: pl.DataFrame, accounts: pl.DataFrame, account_days: pl.DataFrame) -> pl.DataFrame:
    """Number of accounts in each account's component."""
    seen = requests.select("account_id").unique()
    incidence = [
        accounts.select("account_id", pl.lit("card").alias("kind"), pl.col("payment_hash").alias("key")),
        accounts.select("account_id", pl.lit("signup").alias("kind"), pl.col("signup_ip_hash").alias("key")),
        requests.select("account_id", pl.lit("address").alias("kind"), pl.col("ip_hash").alias("key")),
    ]
    keys = pl.concat(incidence).drop_nulls().unique().join(seen, on="account_id", how="semi")
    keys = keys.filter(pl.len().over("kind", "key").is_between(2, MOST_HOLDERS))
    names = seen["account_id"].sort()
    code = keys.select(
        pl.col("account_id")
        .replace_strict(names, np.arange(len(names)), return_dtype=pl.Int64)
        .alias("account"),
        pl.struct("kind", "key").rank("dense").cast(pl.Int64).sub(1).alias("key"),
    )
    n_accounts, n_keys = len(names), int(code["key"].n_unique())
    ends = (code["account"].to_numpy(), n_accounts + code["key"].to_numpy())
    graph = sparse.csr_matrix((np.ones(len(code)), ends), shape=(n_accounts + n_keys, n_accounts + n_keys))
    _, label = connected_components(graph, directed=False)
    size = np.bincount(label[:n_accounts], minlength=int(label.max(initial=0)) + 1)
    return pl.DataFrame({"account_id": names, "score": size[label[:n_accounts]].astype(np.float64)})

"""Timing alone, after SynchroTrap (Cao et al., CCS 2014): accounts that are often active in the same hours.

SynchroTrap joins users whose actions coincide and takes the clusters. Users are compared by the Jaccard similarity of
their time bins, and hashing finds the pairs to compare. Here a bin is an hour of the window, and the object of the
action is the API.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import sparse
from scipy.sparse.csgraph import connected_components

#: Fewest active hours of an account that is compared.
LEAST_HOURS = 5
#: Jaccard similarity of two accounts' hours from which they are joined.
ALIKE = 0.5
BANDS, ROWS = 24, 3


def score(requests: pl.DataFrame, accounts: pl.DataFrame, account_days: pl.DataFrame) -> pl.DataFrame:
    """Size of each account's cluster, plus its best similarity to another account as the fraction."""
    rows = requests.select("account_id", (pl.col("ts").dt.epoch("s") // 3600).alias("hour")).unique()
    rows = rows.filter(pl.len().over("account_id") >= LEAST_HOURS).sort("account_id", "hour")
    names = rows["account_id"].unique(maintain_order=True)
    if names.is_empty():
        return pl.DataFrame(schema={"account_id": pl.String, "score": pl.Float64})
    account = rows["account_id"].rank("dense").cast(pl.Int64).to_numpy() - 1
    hour = rows["hour"].to_numpy() - int(rows["hour"].to_numpy().min())
    n = len(names)
    first, second = _candidates(account, hour, n)
    activity = sparse.csr_matrix((np.ones(len(account)), (account, hour)), shape=(n, int(hour.max()) + 1))
    size = np.asarray(activity.sum(axis=1)).ravel()
    both = np.asarray(activity[first].multiply(activity[second]).sum(axis=1)).ravel()
    alike = both / np.maximum(size[first] + size[second] - both, 1)
    joined = alike >= ALIKE
    graph = sparse.csr_matrix((np.ones(int(joined.sum())), (first[joined], second[joined])), shape=(n, n))
    _, label = connected_components(graph, directed=False)
    best = np.zeros(n)
    for side in (first, second):
        np.maximum.at(best, side, np.minimum(alike, 0.999))
    return pl.DataFrame({"account_id": names, "score": np.bincount(label)[label] + best})


def _candidates(
    account: npt.NDArray[np.int64], hour: npt.NDArray[np.int64], n: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Pairs that agree in a band of a MinHash over hours. An account meets only the next twenty of its bucket."""
    rng = np.random.default_rng(0)
    order = np.stack([rng.permutation(int(hour.max()) + 1) for _ in range(BANDS * ROWS)])
    least = np.full((n, BANDS * ROWS), np.iinfo(np.int64).max)
    np.minimum.at(least, account, order[:, hour].T)
    code: set[int] = set()
    for band in range(BANDS):
        _, bucket = np.unique(least[:, band * ROWS : (band + 1) * ROWS], axis=0, return_inverse=True)
        member = np.argsort(bucket.ravel(), kind="stable")
        same = bucket.ravel()[member]
        for step in range(1, 21):
            hit = np.flatnonzero(same[step:] == same[:-step])
            if not len(hit):
                break
            low, high = (
                np.minimum(member[hit], member[hit + step]),
                np.maximum(member[hit], member[hit + step]),
            )
            code.update((low * n + high).tolist())
    pairs = np.array(sorted(code), dtype=np.int64)
    return pairs // n, pairs % n

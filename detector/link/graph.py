"""Who shares what: the account-key incidence that relational scores and communities of suspects read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

#: Kinds that speak of structure. A whole prompt in common is a public question; tools and settings come with
#: the application.
KINDS = (
    "opening4", "opening8", "ending4", "ending8", "line", "gram5", "band", "system", "system_band", "template",
)  # fmt: skip
#: Families of keys other than text that are looked at; of text, the structure of user prompts.
LINKS = ("billing", "network", "client", "succession")
FAMILIES = (*LINKS, "content")
#: System prompts come with software: whoever runs a harvester's client need not be one.
_TEXT = tuple(kind for kind in KINDS if not kind.startswith("system"))
#: A key held by more accounts than this share of all (or number) says nothing of its holders.
MOST_SHARE, MOST_HOLDERS = 0.05, 40


@dataclass(frozen=True)
class Shares:
    """Who shares what, prepared once for both hops: one entry an account and key, sorted by account.

    ``account``, ``key`` and ``place`` (a key and organisation) count from 0. ``spoofable``: keys that anybody can plant.
    """

    accounts: pl.Series
    account: Ints
    key: Ints
    place: Ints
    key_of_place: Ints
    organisations: Ints
    family: npt.NDArray[np.int8]
    spoofable: npt.NDArray[np.bool_]

    def of(self, accounts: pl.Series, values: Floats, missing: float) -> Floats:
        """``values`` of ``accounts`` by array code; ``missing`` for those of none, or NaN."""
        known = pl.DataFrame({"account_id": accounts, "value": pl.Series(values, nan_to_null=True)})
        held = pl.DataFrame({"account_id": self.accounts}).join(
            known, on="account_id", how="left", maintain_order="left"
        )
        found: Floats = held["value"].fill_null(missing).to_numpy()
        return found


def links(rows: pl.DataFrame, n_accounts: int) -> pl.DataFrame:
    """Keys other than text that few enough share to say something: account, code, family, spoofable.

    ``rows``: one row an account and key of the window. ``n_accounts``: population.
    """
    most = max(MOST_HOLDERS, MOST_SHARE * n_accounts)
    return rows.filter(pl.col("family").is_in(LINKS) & (pl.col("n_sharing") <= most)).select(
        "account", "code", "family", "spoofable"
    )


def prepare(shared: Mapping[str, pl.DataFrame]) -> Shares:
    """What is shared, as the run of a day saw it (``pipeline.Observe``): links, incidence and accounts."""
    accounts = shared["accounts"]
    most = max(MOST_HOLDERS, MOST_SHARE * len(accounts))
    text = shared["incidence"].filter(pl.col("kind").is_in(_TEXT) & (pl.col("n_sharing") <= most))
    rows = pl.concat(
        [
            shared["links"].select("account", "code", "family", "spoofable"),
            text.select(
                "account",
                "code",
                pl.lit("content").cast(shared["links"].schema["family"]).alias("family"),
                pl.lit(True).alias("spoofable"),
            ),
        ],
        how="vertical_relaxed",
    ).sort("account", "code")
    organisation = accounts["organisation"].rank("dense").cast(pl.Int64).to_numpy() - 1
    account = rows["account"].to_numpy().astype(np.int64)
    _, key = np.unique(rows["code"].to_numpy(), return_inverse=True)
    wide = int(organisation.max(initial=0)) + 1
    places, place = np.unique(key.astype(np.int64) * wide + organisation[account], return_inverse=True)
    codes = {name: i for i, name in enumerate(FAMILIES)}
    return Shares(
        accounts["account_id"],
        account,
        key.astype(np.int64),
        place.astype(np.int64),
        places // wide,
        np.bincount(places // wide),
        rows["family"].replace_strict(codes, return_dtype=pl.Int8).to_numpy(),
        rows["spoofable"].to_numpy(),
    )

"""Ties of the window gathered: one entry an account and key, names and keys as array codes.

Accounts, kinds and keys are numbers from here on. The window is gathered a slice of the keys at a time, so that what the
engine holds stays a slice; what is kept of an entry is some forty bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from detector.lake.store import Store
from detector.pipeline import relations

#: Rows of ties that are gathered in one go.
ROWS = 4_000_000
_READ = ("account_id", "kind", "key", "day", "n", "n_prompts", "asked_sum")


@dataclass(frozen=True)
class Gathered:
    """``rows``: account, code, n, n_prompts, asked_sum, n_days, age (days since the last use), by account and code.

    ``accounts``: account_id by number; ``keys``: kind, key and n_sharing (its degree) by code. Both in order of what they
    are numbers of.
    """

    rows: pl.DataFrame
    accounts: pl.Series
    keys: pl.DataFrame


def gather(store: Store, days: list[date], kinds: pl.Series, last: date) -> Gathered:
    """Shared keys in the stored ties of ``days`` and in the bound relation ``ties_today``.

    ``kinds``: every kind of key, in order of name; what is of another kind is left out. ``last``: the day of today.
    """
    read = ", ".join(_READ)
    everything = (
        f"(SELECT {read} FROM {store.relation('ties', days)} UNION ALL SELECT {read} FROM ties_today)"
    )
    store.engine.bind(
        "kind_codes", pl.DataFrame({"kind": kinds, "number": np.arange(len(kinds), dtype=np.uint8)})
    )
    store.engine.materialise(
        "names",
        f"""(SELECT bucket, account_id, CAST(row_number() OVER (ORDER BY account_id) - 1 AS INTEGER) AS number
        FROM (SELECT bucket_of(account_id) AS bucket, min(account_id) AS account_id, count(*) AS n
            FROM {everything} GROUP BY bucket_of(account_id)))""",
    )
    n_rows = store.engine.query(f"SELECT count(*) AS n FROM {everything}").to_pylist()[0]["n"]
    n_slices = max(-(-int(n_rows) // ROWS), 1)
    parts = [_slice(store, everything, last, (number, n_slices)) for number in range(n_slices)]
    names = relations.frame(store.engine.query("SELECT account_id FROM names ORDER BY number"))["account_id"]
    for name in ("kind_codes", "names"):
        store.engine.unbind(name)
    return _coded(parts, names, kinds)


def _slice(store: Store, everything: str, last: date, part: tuple[int, int]) -> pl.DataFrame:
    """Entries of one slice of the keys; ``part``: its number, and how many there are."""
    number, n_slices = part
    # The low bits of a content key are its kind.
    mine = f"WHERE (key >> 8) % {n_slices} = {number}" if n_slices > 1 else ""
    return relations.frame(
        store.engine.query(
            f"""
            SELECT names.number AS account, kind_codes.number AS kind, key,
                CAST(DATE '{last}' - max(day) AS USMALLINT) AS age,
                CAST(sum(n) AS INTEGER) AS n, CAST(sum(n_prompts) AS INTEGER) AS n_prompts,
                sum(asked_sum) AS asked_sum, CAST(count(*) AS USMALLINT) AS n_days
            FROM (SELECT * FROM {everything} {mine}) AS ties JOIN names ON bucket_of(ties.account_id) = names.bucket
            JOIN kind_codes ON ties.kind = kind_codes.kind
            GROUP BY names.number, kind_codes.number, key
            """,
            of="ties of the window",
        )
    )


def _coded(parts: list[pl.DataFrame], names: pl.Series, kinds: pl.Series) -> Gathered:
    """The slices put together, keys and accounts numbered in order among those that are left."""
    counted = [part.group_by("kind", "key").agg(pl.len().cast(pl.Int32).alias("n_sharing")) for part in parts]
    keys = pl.concat(each.filter(pl.col("n_sharing") >= 2) for each in counted).sort("kind", "key")
    keys = keys.with_columns(pl.int_range(pl.len(), dtype=pl.Int32).alias("code"))
    for number, part in enumerate(parts):
        parts[number] = part.join(keys.drop("n_sharing"), on=["kind", "key"]).drop("key")
    rows = pl.concat(parts, rechunk=True)
    parts.clear()
    account = rows["account"].to_numpy()
    present = np.bincount(account, minlength=len(names)) > 0
    account = (np.cumsum(present, dtype=np.int32) - 1)[account] if len(account) else account
    order = np.argsort(account.astype(np.int64) * max(len(keys), 1) + rows["code"].to_numpy())
    rows = rows.with_columns(pl.Series("account", account, dtype=pl.Int32))
    rows = pl.DataFrame([rows.drop_in_place(name).gather(order) for name in rows.columns])
    named = kinds.alias("kind").cast(pl.Enum(kinds))
    return Gathered(
        rows.drop("kind"),
        names.filter(pl.Series(present)),
        keys.select(named.gather(keys["kind"]), "key", "n_sharing"),
    )

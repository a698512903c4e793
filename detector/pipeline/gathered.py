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
    slices = [_shared(part) for part in parts]
    parts.clear()
    keys = pl.concat([keys for _, keys in slices])
    # Codes in order of kind and key, whichever slice a key is of.
    order = np.lexsort((keys["key"].to_numpy(), keys["kind"].to_numpy()))
    code = np.empty(len(keys), np.int32)
    code[order] = np.arange(len(keys), dtype=np.int32)
    first = 0
    for number, (rows, of) in enumerate(slices):
        rows = rows.with_columns(pl.Series("code", code[first + rows["place"].to_numpy()]))
        parts.append(rows.drop("place"))
        first += len(of)
        slices[number] = (rows.clear(), of)
    rows = pl.concat(parts, rechunk=True)
    parts.clear()
    account = rows["account"].to_numpy()
    present = np.bincount(account, minlength=len(names)) > 0
    account = (np.cumsum(present, dtype=np.int32) - 1)[account] if len(account) else account
    by_account = np.argsort(account.astype(np.int64) * max(len(keys), 1) + rows["code"].to_numpy())
    rows = rows.with_columns(pl.Series("account", account, dtype=pl.Int32))
    rows = pl.DataFrame([rows.drop_in_place(name).gather(by_account) for name in rows.columns])
    named = kinds.alias("kind").cast(pl.Enum(kinds))
    keys = keys[order]
    return Gathered(
        rows,
        names.filter(pl.Series(present)),
        keys.select(named.gather(keys["kind"]), "key", "n_sharing"),
    )


def _shared(part: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Entries of keys that two hold, with the ``place`` of the key among them; and these keys: kind, key, n_sharing."""
    key, kind = part["key"].to_numpy(), part["kind"].to_numpy()
    order = np.argsort(key)
    ordered = key[order]
    # Keys of two kinds are equal once in 2^64: they are told apart all the same.
    twins = np.flatnonzero((ordered[1:] == ordered[:-1]) & (kind[order[1:]] != kind[order[:-1]]))
    if len(twins):
        order = np.lexsort((kind, key))
        ordered = key[order]
    starts = np.r_[True, (ordered[1:] != ordered[:-1]) | (kind[order[1:]] != kind[order[:-1]])]
    start = np.flatnonzero(starts) if len(ordered) else np.empty(0, np.int64)
    degree = np.diff(np.r_[start, len(ordered)])
    is_shared = degree >= 2
    place = np.repeat(np.where(is_shared, np.cumsum(is_shared) - 1, -1), degree)
    inside = place >= 0
    rows = part.drop("key", "kind")[order[inside]].with_columns(pl.Series("place", place[inside]))
    first = order[start[is_shared]]
    return rows, pl.DataFrame(
        {"kind": kind[first], "key": key[first], "n_sharing": degree[is_shared].astype(np.int32)}
    )

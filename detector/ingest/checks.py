"""Casts the gathered columns of one block and checks its rows: types, required columns, failed authentication."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from detector.ingest import casting
from detector.ingest.casting import Inferred
from detector.ingest.formats import Columns
from detector.ingest.formats.native import COLUMNS
from detector.ingest.splitting import Reject
from features import schema
from features.types import TYPES

#: Required columns of each content. A failed request may lack its model.
REQUIRED: dict[str, tuple[str, ...]] = {
    "requests": schema.REQUIRED,
    "accounts": ("account_id",),
    "account_events": ("ts", "account_id", "event"),
    "model_releases": ("model", "released_at"),
}
#: Statuses of a call that failed before its caller was identified.
_UNAUTHENTICATED = (401, 403)


@dataclass
class Mapped:
    """A mapped block. ``rows``: ``line`` and the canonical columns. ``n_other``: entries that are no model calls."""

    rows: pl.DataFrame
    rejects: list[Reject] = field(default_factory=list)
    n_other: int = 0
    unknown: set[str] = field(default_factory=set)
    #: Keys of some entries, for formats whose keys a site sets.
    keys: set[str] = field(default_factory=set)
    #: What was read as NULL in entries that were kept, and how often.
    notes: Counter[str] = field(default_factory=Counter)
    #: Entries that have the ``account_attribute``; None: the site sets none.
    n_named: int | None = None


@dataclass
class Gathered:
    """Columns of a block while it is read, one value an entry; None where an entry lacks a column."""

    lines: list[int] = field(default_factory=list)
    columns: Columns = field(default_factory=dict)

    def add(self, lines: Sequence[int], columns: Columns) -> None:
        for name, values in columns.items():
            gathered = self.columns.get(name)
            if gathered is None:
                gathered = self.columns[name] = [None] * len(self.lines)
            gathered.extend(values)
        self.lines.extend(lines)
        for name, gathered in self.columns.items():
            if name not in columns:
                gathered.extend([None] * len(lines))


def check(gathered: Gathered, mapped: Mapped, content: str, *, is_native: bool) -> None:
    """Cast and check all columns of a block; its rows, rejects and notes are added to ``mapped``."""
    rejects: dict[int, Reject] = {}
    lines = gathered.lines
    series = [pl.Series("line", lines, dtype=pl.Int64)]
    required = REQUIRED[content]
    for column in COLUMNS[content]:
        values = gathered.columns.get(column.name)
        if values is None:
            dtype = pl.String() if column.type.startswith("MAP") else TYPES[column.type].polars
            series.append(pl.Series(column.name, [None], dtype=dtype).new_from_index(0, len(lines)))
            continue
        typed, wrong = casting.cast(column, values)
        series.append(typed)
        if column.name in required:
            for row in wrong:
                detail = f"expected {casting.expected(column)}, found {_shape(values[row])}"
                rejects.setdefault(row, Reject(lines[row], "wrong_type", detail, column.name))
        elif wrong:
            mapped.notes[f"{column.name}: expected {casting.expected(column)}; taken as not known"] += len(
                wrong
            )
    frame = pl.DataFrame(series)
    if content == "requests" and not is_native:
        frame = _with_cached(frame, mapped.notes)
    _missing(frame, gathered, content, rejects)
    keep = [True] * len(lines)
    for row, is_other in enumerate(gathered.columns.get("other", ())):
        if is_other:
            keep[row] = False
            mapped.n_other += 1
            rejects.pop(row, None)
    for row in rejects:
        keep[row] = False
    mapped.rows = frame if all(keep) else frame.filter(pl.Series(keep, dtype=pl.Boolean))
    mapped.rejects.extend(rejects[row] for row in sorted(rejects))


def _missing(frame: pl.DataFrame, gathered: Gathered, content: str, rejects: dict[int, Reject]) -> None:
    """Add a reject for every row that lacks a required column."""
    lines = gathered.lines
    for name in REQUIRED[content]:
        absent = frame[name].is_null()
        if not absent.any():
            continue
        if name == "model" and content == "requests":
            absent &= ~(frame["status"] >= 400).fill_null(value=False)
        for row in absent.arg_true():
            rejects.setdefault(row, Reject(lines[row], "missing", "", name))
    if content == "requests":
        _set_apart_unauthenticated(frame["status"], gathered, rejects)


def _set_apart_unauthenticated(status: pl.Series, gathered: Gathered, rejects: dict[int, Reject]) -> None:
    """Give calls that failed to authenticate their own code: they have no account, and the log is not at fault.

    The log itself must state the status. The words of an error may be the caller's, so an inferred status is not enough.
    """
    stated = gathered.columns.get("status", [])
    for row in status.is_in(_UNAUTHENTICATED).arg_true():
        reject = rejects.get(row)
        if (
            reject
            and (reject.code, reject.field) == ("missing", "account_id")
            and not isinstance(stated[row], Inferred)
        ):
            rejects[row] = Reject(reject.line, "unauthenticated", "", "account_id")


def _with_cached(frame: pl.DataFrame, notes: Counter[str]) -> pl.DataFrame:
    """``frame`` with input tokens that include the cached ones. Some providers count them apart."""
    uncounted = (frame["cached_tokens"] > frame["input_tokens"]).fill_null(value=False)
    if not uncounted.any():
        return frame
    notes["cached tokens, counted apart, added to the input"] += int(uncounted.sum())
    both = pl.col("input_tokens") + pl.col("cached_tokens")
    return frame.with_columns(pl.when(uncounted).then(both).otherwise("input_tokens").alias("input_tokens"))


def _shape(value: Any) -> str:
    """The kind of a value in words; the value itself may be a caller's text and is not repeated."""
    if isinstance(value, str):
        return f"text of {len(value)} characters"
    kinds = {dict: "an object", list: "a list", bool: "true or false", int: "a number", float: "a number"}
    return kinds.get(type(value), "something else")

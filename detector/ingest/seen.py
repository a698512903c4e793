"""Which requests are in the lake or were read already, in sixteen bytes each.

A duplicate is the same request id of the same account at the same second, whatever the format. An id alone
proves nothing: where a proxy keeps the client's ``x-request-id``, a client could remove its own requests, or
another's, by repeating one. A day's requests are loaded when a request of that day is first read.

Hashes are made under secrets of the run, so nobody can make two requests meet on purpose; by chance two of
100 million do so once in 3,700 runs.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from features.request.hashset import U64, HashSet

#: Requests held in memory after a file before their days are dropped (about 500 MB).
MOST_HELD = 32_000_000

_COLUMNS = ["request_id", "account_id", "ts"]


class Keying:
    """Hashes of requests under secrets of this run: of the id, of id and second, of all three."""

    def __init__(self) -> None:
        self._seeds = [secrets.randbits(64) for _ in range(3)]

    def ids(self, rows: pl.DataFrame) -> U64:
        """One hash a ``request_id``."""
        return _numbers(rows["request_id"].hash(self._seeds[0]))

    def lines(self, rows: pl.DataFrame) -> U64:
        """One hash a request id and second: what the same line of a log gives under any settings."""
        return self.ids(rows) + _numbers(rows["ts"].dt.epoch("s").hash(self._seeds[1]))

    def requests(self, rows: pl.DataFrame) -> U64:
        """One hash a request id, account and second."""
        return self.lines(rows) + _numbers(rows["account_id"].hash(self._seeds[2]))


class SeenRequests:
    """Requests by day. ``parts``: the lake's parts of a day."""

    def __init__(self, parts: Callable[[date], list[Path]], keying: Keying) -> None:
        self._parts = parts
        self._keying = keying
        self._days: dict[date, tuple[HashSet, HashSet]] = {}

    def new(self, rows: pl.DataFrame) -> tuple[pl.Series, int]:
        """True for each request not seen before, and how many of those repeat an id of that day.

        ``rows`` has ``request_id``, ``account_id`` as the lake stores it, and ``ts``. All are seen from now on.
        """
        ids, requests = self._keying.ids(rows), self._keying.requests(rows)
        fresh = np.zeros(len(ids), dtype=np.bool_)
        n_same_id = 0
        for day, at in _by_day(rows["ts"]):
            known, known_ids = self._day(day)
            new = known.new(requests[at])
            n_same_id += int((new & ~known_ids.new(ids[at])).sum())
            fresh[at] = new
        return pl.Series(fresh, dtype=pl.Boolean), n_same_id

    def shrink(self) -> None:
        """Drop what is in the lake by now, if it has grown large; it is loaded again when needed."""
        if sum(len(known) for known, _ in self._days.values()) > MOST_HELD:
            self._days = {}

    def _day(self, day: date) -> tuple[HashSet, HashSet]:
        if day not in self._days:
            known, ids = HashSet(), HashSet()
            for part in self._parts(day):
                rows = pl.read_parquet(part, columns=_COLUMNS)
                known.new(self._keying.requests(rows))
                ids.new(self._keying.ids(rows))
            self._days[day] = (known, ids)
        return self._days[day]


def _by_day(times: pl.Series) -> Iterator[tuple[date, slice | U64]]:
    """Days of ``times`` and where the rows of each are; a block of a log is mostly of one."""
    days = times.dt.date()
    first, last = days.min(), days.max()
    if first is None or last is None:
        return
    assert isinstance(first, date)
    if first == last:
        yield first, slice(None)
        return
    for day in days.unique().sort():
        yield day, _numbers((days == day).arg_true())


def _numbers(series: pl.Series) -> U64:
    return series.to_numpy().astype(np.uint64, copy=False)

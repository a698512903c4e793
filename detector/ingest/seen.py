"""Which requests are in the lake or were read before, in sixteen bytes each.

A duplicate is the same request id of the same account at the same second, in any format. An id alone proves
nothing: some proxies keep the client's ``x-request-id``, and a client could remove its own requests, or another's,
by repeating an id. The requests of a day are loaded when the first request of that day is read.

The hashes use secrets of the run, so nobody can make two requests collide on purpose. By chance, two of 100 million
collide once in 3,700 runs.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from features.request.hashset import U64, HashSet

#: Most requests kept in memory after a file (about 500 MB); with more, the loaded days are dropped.
MOST_HELD = 32_000_000

_COLUMNS = ["request_id", "account_id", "ts"]


class Keying:
    """Hashes of requests under secrets of this run: of the id, of id and second, of all three."""

    def __init__(self) -> None:
        self._seeds = [secrets.randbits(64) for _ in range(3)]

    def ids(self, rows: pl.DataFrame) -> U64:
        """One hash for each ``request_id``."""
        return _numbers(rows["request_id"].hash(self._seeds[0]))

    def lines(self, rows: pl.DataFrame) -> U64:
        """One hash for each request id and second. The same line of a log has the same hash under any settings."""
        return self.ids(rows) + _numbers(rows["ts"].dt.epoch("s").hash(self._seeds[1]))

    def requests(self, rows: pl.DataFrame) -> U64:
        """One hash for each request id, account and second."""
        return self.lines(rows) + _numbers(rows["account_id"].hash(self._seeds[2]))


class SeenRequests:
    """Requests by day. ``parts``: the lake's parts of a day."""

    def __init__(self, parts: Callable[[date], list[Path]], keying: Keying) -> None:
        self._parts = parts
        self._keying = keying
        self._days: dict[date, tuple[HashSet, HashSet]] = {}

    def new(self, rows: pl.DataFrame) -> tuple[pl.Series, int]:
        """True for each request that was not seen before, and the number of those with an id that the day has already.

        ``rows`` has ``request_id``, ``account_id`` as the lake stores it, and ``ts``. All count as seen from now on.
        """
        ids, requests = self._keying.ids(rows), self._keying.requests(rows)
        fresh = np.zeros(len(ids), dtype=np.bool_)
        n_same_id = 0
        for day, at in _by_day(rows["ts"]):
            requests_of_day, ids_of_day = self._day(day)
            new = requests_of_day.new(requests[at])
            n_same_id += int((new & ~ids_of_day.new(ids[at])).sum())
            fresh[at] = new
        return pl.Series(fresh, dtype=pl.Boolean), n_same_id

    def shrink(self) -> None:
        """Drop the loaded days if they have grown large. They are in the lake, and are loaded again when needed."""
        if sum(len(requests) for requests, _ in self._days.values()) > MOST_HELD:
            self._days = {}

    def _day(self, day: date) -> tuple[HashSet, HashSet]:
        if day not in self._days:
            requests, ids = HashSet(), HashSet()
            for part in self._parts(day):
                rows = pl.read_parquet(part, columns=_COLUMNS)
                requests.new(self._keying.requests(rows))
                ids.new(self._keying.ids(rows))
            self._days[day] = (requests, ids)
        return self._days[day]


def _by_day(times: pl.Series) -> Iterator[tuple[date, slice | U64]]:
    """Each day of ``times`` with its rows. Most blocks of a log have only one day."""
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

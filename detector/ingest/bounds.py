"""Which times of a log are believed: no single line may move the lake into the future or far into the past.

A line dated ahead of the clock would open a day in which nothing is found, and a late one makes every day
after it run again. Both are set aside as rejects and taken by ``ingest --again`` once they are acceptable.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

import polars as pl

from detector.ingest.splitting import Code

#: Column of each content that must not lie in the future. Facts about accounts may: a run of a day uses only
#: what is dated to its end, so they wait.
DATED = {"requests": "ts", "account_events": "ts", "model_releases": "released_at"}
#: Contents of which old rows are set aside.
AGEING = ("requests",)


@dataclass(frozen=True)
class Bounds:
    """``latest``: newest time taken. ``earliest``: oldest; None takes any past. ``backfill``: late lines asked for."""

    latest: datetime
    earliest: datetime | None = None
    backfill: bool = False

    @classmethod
    def of(
        cls,
        now: datetime,
        runs: Iterable[date],
        *,
        max_clock_skew: float,
        max_lateness: float,
        backfill: bool,
    ) -> Bounds:
        """Bounds at ``now`` in a lake in which the days ``runs`` were run; the two lengths in days.

        A day run though it lies in the future counts for nothing: it must not make the present late.
        """
        latest = _shifted(now, max_clock_skew)
        newest = max((day for day in runs if day <= latest.date()), default=None)
        if newest is None or backfill:
            return cls(latest, None, backfill)
        return cls(latest, _shifted(datetime.combine(newest, time.min), -max_lateness), backfill)

    def faults(self, rows: pl.DataFrame, content: str) -> list[tuple[Code, str, pl.Series]]:
        """What is set aside: code, detail for people, and which of ``rows``."""
        found: list[tuple[Code, str, pl.Series]] = []
        if not rows.height or content not in DATED:
            return found
        times = rows[DATED[content]]
        if (ahead := times > self.latest).any():
            found.append(("future", f"after {self.latest:%Y-%m-%d %H:%M} UTC", ahead))
        if self.earliest and content in AGEING and (behind := times < self.earliest).any():
            found.append(("late", f"before {self.earliest:%Y-%m-%d}", behind))
        return found

    def accept(self, future_from: datetime | None, late_to: datetime | None) -> bool:
        """Whether any line of a file set aside with these times would be taken by now."""
        if future_from is not None and future_from <= self.latest:
            return True
        return late_to is not None and (self.earliest is None or late_to >= self.earliest)


def _shifted(moment: datetime, days: float) -> datetime:
    """``moment`` plus ``days``, held to what a date can say."""
    try:
        return moment + timedelta(days=days)
    except OverflowError:
        return datetime.max if days > 0 else datetime.min

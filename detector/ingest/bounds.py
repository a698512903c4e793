"""Which times of a log are believed: no single line may move the lake into the future or far into the past.

A line dated ahead of the clock would open a day too early. A late line makes every day after it run again.
Both are set aside as rejects, and ``ingest --again`` takes them once their time is acceptable.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

import polars as pl

from detector.ingest.splitting import Code

#: The time column of each content that must not lie in the future. Facts about accounts may lie there: a run of a
#: day uses only facts dated up to its end.
DATED = {"requests": "ts", "account_events": "ts", "model_releases": "released_at"}
#: Contents whose late rows are set aside.
AGEING = ("requests",)


@dataclass(frozen=True)
class Bounds:
    """The newest and oldest time taken; ``earliest`` None takes any past. ``backfill``: the operator wants late lines."""

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
        """Bounds at ``now`` in a lake whose runs cover the days ``runs``. Skew and lateness are in days.

        A run of a future day does not count: it must not make the present late.
        """
        latest = _shifted(now, max_clock_skew)
        newest = max((day for day in runs if day <= latest.date()), default=None)
        if newest is None or backfill:
            return cls(latest, None, backfill)
        return cls(latest, _shifted(datetime.combine(newest, time.min), -max_lateness), backfill)

    def faults(self, rows: pl.DataFrame, content: str) -> list[tuple[Code, str, pl.Series]]:
        """What is set aside: code, detail for people, and a mask of ``rows``."""
        faults: list[tuple[Code, str, pl.Series]] = []
        if not rows.height or content not in DATED:
            return faults
        times = rows[DATED[content]]
        if (ahead := times > self.latest).any():
            faults.append(("future", f"after {self.latest:%Y-%m-%d %H:%M} UTC", ahead))
        if self.earliest and content in AGEING and (behind := times < self.earliest).any():
            faults.append(("late", f"before {self.earliest:%Y-%m-%d}", behind))
        return faults

    def accept(self, future_from: datetime | None, late_to: datetime | None) -> bool:
        """Whether some line that a file set aside would be taken now. The times are those of its ledger row."""
        if future_from is not None and future_from <= self.latest:
            return True
        return late_to is not None and (self.earliest is None or late_to >= self.earliest)


def _shifted(moment: datetime, days: float) -> datetime:
    """``moment`` plus ``days``, clipped to the range of ``datetime``."""
    try:
        return moment + timedelta(days=days)
    except OverflowError:
        return datetime.max if days > 0 else datetime.min

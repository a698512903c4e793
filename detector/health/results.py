"""Compares stored results with the ledger of runs: lost, added and changed results."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from detector.health.report import Finding, quoted
from detector.lake.marks import Marks
from detector.lake.places import PART
from detector.lake.store import Store
from detector.lake.tables import tables
from detector.lake.transaction import checksum, output_digest


def missing(store: Store, marks: Marks) -> Iterator[Finding]:
    """Tables without a day that was run."""
    ran = store.days("runs")
    for table in tables().values():
        if table.writer != "run" or table.name == "runs":
            continue
        days = store.days(table.name)
        # A table of a later version has no days from before it existed.
        since = date.min if table.name in marks.tables else min(days, default=date.max)
        lost = [day for day in ran if day >= since and day not in days]
        if lost:
            yield Finding(
                f"table {table.name}: {len(lost)} days that were run are missing, the first {lost[0]}",
                f"hydrawatch run --lake {quoted(store.root)} --since {lost[0]}",
            )


def added(store: Store) -> Iterator[Finding]:
    """Second parts of a day: a run writes one, and the rows of all are read."""
    for table in tables().values():
        for part in store.parts(table.name) if table.writer == "run" else ():
            if part.name != PART:
                yield Finding(f"{part}: a second part of a day, made by no run", f"rm -r {quoted(part)}")


def unrun(store: Store, until: date) -> Iterator[Finding]:
    """Results of days up to ``until`` that are missing in the ledger of runs."""
    days = {
        d for t in tables().values() if t.writer == "run" and t.name != "runs" for d in store.days(t.name)
    }
    lost = sorted(day for day in days - set(store.days("runs")) if day <= until)
    if not lost:
        return
    with_requests = set(store.days("requests"))
    if again := [day for day in lost if day in with_requests]:
        yield Finding(
            f"the ledger of runs lacks {len(again)} days that have results, the first {again[0]}",
            f"hydrawatch run --lake {quoted(store.root)} --since {again[0]}",
        )
    for day in lost:
        if day not in with_requests:
            yield Finding(
                f"results of {day}, of which there are no requests and no run",
                f"rm -r {' '.join(quoted(p) for p in store.data.glob(f'*/day={day}'))}",
            )


def changed(store: Store) -> Iterator[Finding]:
    """Days whose results differ in some byte from what their run wrote. Reads all results."""
    names = [t.name for t in tables().values() if t.writer == "run" and t.name != "runs"]
    rows = store.engine.query(
        f"""SELECT day, coalesce(stored_digest, output_digest) AS digest FROM {store.relation("runs")}
        WHERE output_digest IS NOT NULL ORDER BY day""",
        of="runs",
    ).to_pylist()
    for row in rows:
        parts = [p for name in names for p in store.parts(name, row["day"]) if p.name == PART]
        if not parts:
            continue  # results of a day in the future are dropped
        digests = [(part, checksum(part)) for part in parts]
        if output_digest(store.data, digests) != row["digest"]:
            yield Finding(
                f"results of {row['day']} are not what its run stored: parts were changed, lost or exchanged",
                f"hydrawatch run --lake {quoted(store.root)} --since {row['day']}",
            )

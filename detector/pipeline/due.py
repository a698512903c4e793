"""Which days are to be run: those whose own input changed, and those after a day whose result changed.

A run tells in ``runs`` what it read (``input_digest``) and what it wrote (``output_digest``). What a day reads is
its requests and those of the days just before, the facts known by its end, and what the days before it wrote. So
a late line makes its day due; the days after it become due one by one, for as long as a recomputed day differs
from what was stored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl

from detector.lake.store import Store
from detector.lake.tables import tables
from detector.pipeline import relations


def today(now: datetime | None = None) -> date:
    """The UTC day of ``now`` (UTC where it names no zone), or of the clock. Days after it are never run."""
    if now is None:
        return datetime.now(UTC).date()
    return (now.astimezone(UTC) if now.tzinfo else now).date()


def days_to_run(store: Store, *, until: date | None = None) -> Iterator[date]:
    """Days due up to ``until`` (today), oldest first. Each is judged when it is asked for: run it before the next."""
    last = until or today()
    for day in store.days("requests"):
        if day <= last and is_due(store, day):
            yield day


def due_days(store: Store, *, until: date | None = None) -> list[date]:
    """Days due as things stand, oldest first; running them may make days after them due."""
    return list(days_to_run(store, until=until))


def is_due(store: Store, day: date) -> bool:
    """Whether ``day`` was never run, is marked as due, or would read something else now."""
    ran = _run(store, day)
    if ran is None or ran["input_digest"] is None:
        return True
    if ran["output_digest"] is None:
        return bool(ran["input_digest"] != _first_digest(store, day))
    window = int(ran["input_digest"].split(":")[0])
    return bool(ran["input_digest"] != input_digest(store, day, window_days=window))


def _run(store: Store, day: date) -> dict[str, Any] | None:
    if not store.parts("runs", day):
        return None
    rows: list[dict[str, Any]] = store.read("runs", day).to_pylist()
    return rows[0] if rows else None


def input_digest(store: Store, day: date, *, window_days: int) -> str:
    """Hash of what a run of ``day`` reads, behind the ``window_days`` it joins ties of.

    The width of the window stands in clear: a change of configuration alone makes no day due.
    """
    end = day + timedelta(days=1)
    of_file = "SELECT file_id, count(*) AS n, sum(line) AS lines FROM"
    counts = store.engine.query(
        f"""
        SELECT 1 AS kind, * FROM ({of_file} {store.relation("accounts")}
            WHERE valid_from IS NULL OR valid_from < DATE '{end}' GROUP BY file_id)
        UNION ALL
        SELECT 2, * FROM ({of_file} {store.relation("account_events")} WHERE ts < DATE '{end}' GROUP BY file_id)
        UNION ALL
        SELECT 3, * FROM ({of_file} {store.relation("model_releases")}
            WHERE released_at < DATE '{end}' GROUP BY file_id)
        ORDER BY ALL
        """,
        of="facts known",
    ).to_pylist()
    oldest = day - timedelta(days=relations.DAYS_BEFORE)
    logs = [d for d in store.days("requests") if oldest <= d <= day]
    parts = [(str(d), p.name, p.stat().st_size) for d in logs for p in store.parts("requests", d)]
    before = [d for d in store.days("runs") if d < day]
    window = [d for d in before if d > day - timedelta(days=window_days)]
    results = _results(store, sorted({*window, *before[-1:]}))
    inputs = repr((parts, [tuple(row.values()) for row in counts], results))
    return f"{window_days}:{hashlib.sha256(inputs.encode()).hexdigest()[:32]}"


def _results(store: Store, days: list[date]) -> list[tuple[str, str | None]]:
    """What the runs of ``days`` wrote."""
    rows = store.engine.query(
        f"SELECT day, output_digest FROM {store.relation('runs', days)} ORDER BY day", of="runs"
    ).to_pylist()
    return [(str(row["day"]), row["output_digest"]) for row in rows]


def _first_digest(store: Store, day: date) -> str:
    """Hash of what a run of ``day`` read, as versions up to 0.1 told it: they kept no digest of what they wrote."""
    end = day + timedelta(days=1)
    counts = store.engine.query(
        f"""
        SELECT count(*) AS n, coalesce(sum(line), 0) AS lines, count(DISTINCT file_id) AS files
        FROM {store.relation("accounts")} WHERE valid_from IS NULL OR valid_from < DATE '{end}'
        UNION ALL
        SELECT count(*), coalesce(sum(line), 0), count(DISTINCT file_id)
        FROM {store.relation("account_events")} WHERE ts < DATE '{end}'
        UNION ALL
        SELECT count(*), coalesce(sum(line), 0), count(DISTINCT file_id)
        FROM {store.relation("model_releases")} WHERE released_at < DATE '{end}'
        """
    ).to_pylist()
    parts = [f"{d}/{p.name}" for d in store.days("requests") if d <= day for p in store.parts("requests", d)]
    return hashlib.sha256(repr((parts, counts)).encode()).hexdigest()[:32]


def mark_due(store: Store, days: list[date]) -> None:
    """Note that ``days`` are to be run again, so that a stop half-way leaves the rest of them due."""
    rows = relations.frame(
        store.engine.query(f"SELECT * FROM {store.relation('runs', days)} ORDER BY day", of="runs")
    )
    with store.transaction("run") as txn:
        for day in rows["day"]:
            again = rows.filter(pl.col("day") == day).with_columns(input_digest=pl.lit(None, pl.String))
            txn.swap("runs", again, day=day)


def ahead(store: Store, last: date) -> list[date]:
    """Days with requests after ``last``, which are not run: their lines carry a time that has not come yet."""
    return [day for day in store.days("requests") if day > last]


def drop_ahead(store: Store, last: date) -> list[date]:
    """Remove what was computed for days after ``last``, and return those days; their requests stay.

    Only of days run before they had come: where it is the clock that went back to the past, nothing is lost.
    """
    later = [d for d in store.days("runs") if d > last]
    rows = store.engine.query(
        f"SELECT day, ran_at FROM {store.relation('runs', later)} ORDER BY day", of="runs"
    )
    gone = [row["day"] for row in rows.to_pylist() if row["ran_at"].date() < row["day"]]
    with store.transaction("run") as txn:
        for day in gone:
            for table in tables().values():
                if table.writer == "run" and table.layout != "ledger":
                    txn.drop(table.name, day=day)
    return gone


def scored_otherwise(store: Store, model_digest: str) -> list[date]:
    """Days whose scores another classifier made than that of ``model_digest``."""
    rows = store.engine.query(
        f"""SELECT day FROM {store.relation("runs")} WHERE model_digest <> '{model_digest}' ORDER BY day""",
        of="runs",
    )
    return [row["day"] for row in rows.to_pylist()]

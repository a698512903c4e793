"""What the ledgers tell against what the tables hold: files, days, rejects."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from detector import pipeline
from detector.config import Config
from detector.health.parts import ingest_again
from detector.health.report import Finding, quoted
from detector.lake.store import Store
from detector.lake.tables import tables

Parts = dict[str, list[Path]]
#: Contents of log files; each fills the table of its name.
_CONTENTS = ("requests", "accounts", "account_events", "model_releases")


def logs_by_id(store: Store, sound: Parts) -> dict[str, str]:
    """Path of every log that was read, by the id of its bytes."""
    rows = store.engine.query(
        f"""SELECT file_id, any_value(path) AS path FROM (
            SELECT file_id, path FROM {store.relation("files", parts=sound["files"])}
            UNION ALL SELECT file_id, path FROM {store.relation("rejects", parts=sound["rejects"])})
        WHERE file_id IS NOT NULL AND path IS NOT NULL GROUP BY file_id"""
    ).to_pylist()
    return {r["file_id"]: r["path"] for r in rows}


def counts(store: Store, sound: Parts, logs: dict[str, str]) -> Iterator[Finding]:
    """Files whose rows are not all there, or more than there should be."""
    files = store.relation("files", parts=sound["files"])
    for row in store.engine.query(
        f"""SELECT path, file_id, n_lines, n_requests + n_rejects + n_duplicates AS told FROM {files}
        WHERE n_lines <> n_requests + n_rejects + n_duplicates ORDER BY path"""
    ).to_pylist():
        yield Finding(
            f"{row['path']}: {row['n_lines']} lines but {row['told']} accounted for",
            ingest_again(store, row["file_id"], logs),
        )
    for content in _CONTENTS:
        held = store.relation(content, parts=sound[content])
        rows = store.engine.query(
            f"""SELECT coalesce(told.file_id, held.file_id) AS file_id, told.file_id IS NOT NULL AS known,
                coalesce(told.n, 0) AS told, coalesce(held.n, 0) AS held
            FROM (SELECT file_id, sum(n_requests) AS n FROM {files} WHERE content = '{content}' GROUP BY file_id)
                AS told
            FULL JOIN (SELECT file_id, count(*) AS n FROM {held} GROUP BY file_id) AS held
                ON told.file_id = held.file_id
            WHERE coalesce(told.n, 0) <> coalesce(held.n, 0) ORDER BY file_id"""
        ).to_pylist()
        for row in rows:
            name = logs.get(row["file_id"]) or f"a log with id {row['file_id']}"
            told = (
                f"the ledger of files tells of {row['told']:,} rows"
                if row["known"]
                else "the ledger of files lacks it"
            )
            yield Finding(
                f"{name}: {told}, table {content} holds {row['held']:,}",
                ingest_again(store, row["file_id"] or "NULL", logs),
            )
    rejects = store.relation("rejects", parts=sound["rejects"])
    for row in store.engine.query(
        f"""SELECT file_id, path, n_rejects FROM {files} WHERE n_rejects > 0
        AND file_id NOT IN (SELECT file_id FROM {rejects} WHERE file_id IS NOT NULL) ORDER BY path"""
    ).to_pylist():
        yield Finding(
            f"{row['path']}: the ledger of files tells of {row['n_rejects']:,} rejected lines, rejects holds none",
            ingest_again(store, row["file_id"], logs),
        )


def unreadable(store: Store, sound: Parts) -> Iterator[Finding]:
    """Logs that the last ``ingest`` could not read."""
    if "status" not in tables()["files"].names:
        return
    files = store.relation("files", parts=sound["files"])
    for row in store.engine.query(
        f"""SELECT path, arg_max(reason, ingested_at) AS reason FROM {files} GROUP BY path
        HAVING arg_max(status, ingested_at) = 'unreadable' ORDER BY path"""
    ).to_pylist():
        yield Finding(
            f"{row['path']}: could not be read: {row['reason']}",
            f"put it right, then: hydrawatch ingest {quoted(row['path'])} --lake {quoted(store.root)}",
        )


def due(store: Store) -> Iterator[Finding]:
    """Days not run yet, or whose logs have changed since."""
    days = pipeline.due_days(store)
    if days:
        span = f"{days[0]}" if len(days) == 1 else f"{len(days)} days from {days[0]} to {days[-1]}"
        yield Finding(
            f"not run yet, or changed since it was: {span}", f"hydrawatch run --lake {quoted(store.root)}"
        )


def rejected(store: Store, sound: Parts, settings: Config) -> Iterator[Finding]:
    """Files of which more was rejected than ``max_rejects``, and the share of all lines.

    Calls that failed to authenticate count on neither side, as in ``ingest``.
    """
    files = store.relation("files", parts=sound["files"])
    see = (
        f"hydrawatch query --lake {quoted(store.root)} "
        '"SELECT path, reason, count(*) AS n FROM rejects GROUP BY ALL ORDER BY n DESC"'
    )
    apart = "coalesce(CAST(reject_codes->>'unauthenticated' AS BIGINT), 0)"  # no fault of the log
    judged = f"SELECT path, n_rejects - {apart} AS n_rejects, n_lines - {apart} AS n_lines FROM {files}"
    for row in store.engine.query(
        f"SELECT * FROM ({judged}) WHERE n_rejects > {settings.max_rejects} * n_lines ORDER BY path"
    ).to_pylist():
        yield Finding(f"{row['path']}: {row['n_rejects']:,} of {row['n_lines']:,} lines were rejected", see)
    [total] = store.engine.query(
        f"SELECT coalesce(sum(n_rejects), 0) AS bad, coalesce(sum(n_lines), 0) AS n FROM ({judged})"
    ).to_pylist()
    if total["bad"]:
        yield Finding(f"{total['bad'] / total['n']:.2%} of all {total['n']:,} lines read were rejected", see)

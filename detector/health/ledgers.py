"""Compares the ledgers with the tables: files, days, rejects."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from detector import pipeline
from detector.config import Config
from detector.health.parts import cure_of, drop_log
from detector.health.report import Finding, quoted
from detector.lake.engine import literal
from detector.lake.store import Store

Parts = dict[str, list[Path]]
#: Contents of log files; each one fills the table of its name.
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
    """Files with missing rows, or with more rows than the ledger counts."""
    files = store.relation("files", parts=sound["files"])
    for row in store.engine.query(
        f"""SELECT path, file_id, n_lines, n_requests + n_rejects + n_duplicates AS told FROM {files}
        WHERE n_lines <> n_requests + n_rejects + n_duplicates ORDER BY path"""
    ).to_pylist():
        yield Finding(
            f"{row['path']}: {row['n_lines']} lines but {row['told']} accounted for",
            cure_of(store, row["file_id"], logs),
        )
    for content in _CONTENTS:
        table = store.relation(content, parts=sound[content])
        rows = store.engine.query(
            f"""SELECT coalesce(told.file_id, held.file_id) AS file_id, told.file_id IS NOT NULL AS known,
                coalesce(told.n, 0) AS told, coalesce(held.n, 0) AS held
            FROM (SELECT file_id, sum(n_requests) AS n FROM {files} WHERE content = '{content}' GROUP BY file_id)
                AS told
            FULL JOIN (SELECT file_id, count(*) AS n FROM {table} GROUP BY file_id) AS held
                ON told.file_id = held.file_id
            WHERE coalesce(told.n, 0) <> coalesce(held.n, 0) ORDER BY file_id"""
        ).to_pylist()
        for row in rows:
            name = logs.get(row["file_id"]) or f"a log with id {row['file_id']}"
            in_ledger = (
                f"the ledger of files tells of {row['told']:,} rows"
                if row["known"]
                else "the ledger of files lacks it"
            )
            yield Finding(
                f"{name}: {in_ledger}, table {content} holds {row['held']:,}",
                _cure(store, row, sound[content], logs),
            )
    yield from _rejects(store, sound, logs)
    yield from _templates(store, sound, logs)


def _cure(store: Store, row: dict[str, Any], parts: list[Path], logs: dict[str, str]) -> str:
    """The command that makes rows and ledger of a file agree. Parts under another name go first: reading keeps them."""
    name = row["file_id"] or "NULL"
    again = cure_of(store, name, logs)
    if row["held"] <= row["told"]:
        return again
    strays = []
    for part in parts:
        if not part.name.startswith(name[:16]):
            hits = store.engine.query(
                f"SELECT 1 FROM {store.relation(part.parent.parent.name, parts=[part])} "
                f"WHERE file_id IS NOT DISTINCT FROM {literal(row['file_id']) if row['file_id'] else 'NULL'} LIMIT 1"
            )
            strays += [part] * hits.num_rows
    if not strays:
        return again
    drop = f"rm -r {' '.join(quoted(part) for part in strays)}"
    if not row["file_id"]:
        return f"look at it, then: {drop}"
    return again.replace("hydrawatch ingest", f"{drop} && hydrawatch ingest", 1) if row["known"] else drop


def _rejects(store: Store, sound: Parts, logs: dict[str, str]) -> Iterator[Finding]:
    """Files with missing rows of rejects. Older versions stored only some of them, so there one row is enough."""
    files = store.relation("files", parts=sound["files"])
    rejects = store.relation("rejects", parts=sound["rejects"])
    for row in store.engine.query(
        f"""SELECT told.file_id, told.path, told.n, coalesce(held.n, 0) AS held
        FROM (SELECT file_id, any_value(path) AS path, sum(n_rejects) AS n, bool_and(status IS NOT NULL) AS counted
            FROM {files} WHERE file_id IS NOT NULL GROUP BY file_id) AS told
        FULL JOIN (SELECT file_id, sum(coalesce(n, 1)) AS n FROM {rejects} GROUP BY file_id) AS held
            ON told.file_id = held.file_id
        WHERE told.n > 0 AND coalesce(held.n, 0) = 0 OR counted AND coalesce(held.n, 0) <> told.n
        ORDER BY told.path"""
    ).to_pylist():
        yield Finding(
            f"{row['path']}: the ledger of files tells of {row['n']:,} rejected lines, rejects holds "
            + (f"{row['held']:,}" if row["held"] else "none"),
            cure_of(store, row["file_id"], logs),
        )


def _templates(store: Store, sound: Parts, logs: dict[str, str]) -> Iterator[Finding]:
    """Files that met a template for the second time although its skeleton is stored nowhere."""
    rows = store.engine.query(
        f"""SELECT file_id, count(*) AS n FROM (
            SELECT template_id, arg_max(file_id, ts) AS file_id FROM {store.relation("requests", parts=sound["requests"])}
            WHERE template_id IS NOT NULL AND file_id IN (
                SELECT file_id FROM {store.relation("files", parts=sound["files"])} WHERE status IS NOT NULL)
            GROUP BY template_id HAVING count(*) > 1)
        WHERE template_id NOT IN (SELECT template_id FROM {store.relation("templates", parts=sound["templates"])}
            WHERE template_id IS NOT NULL)
        GROUP BY file_id ORDER BY file_id"""
    ).to_pylist()
    for row in rows:
        name = logs.get(row["file_id"]) or f"a log with id {row['file_id']}"
        yield Finding(
            f"{name}: {row['n']:,} templates of its requests are missing from table templates",
            cure_of(store, row["file_id"], logs),
        )


def unreadable(store: Store, sound: Parts, *, gone: bool) -> Iterator[Finding]:
    """Logs that the last ``ingest`` could not read: those that exist, or those that are ``gone``."""
    files = store.relation("files", parts=sound["files"])
    for row in store.engine.query(
        f"""SELECT path, arg_max(reason, ingested_at) AS reason, arg_max(file_id, ingested_at) AS file_id
        FROM {files} GROUP BY path HAVING arg_max(status, ingested_at) = 'unreadable' ORDER BY path"""
    ).to_pylist():
        if os.path.lexists(row["path"]) == gone:
            continue
        lake, path = quoted(store.root), quoted(row["path"])
        if gone:
            yield Finding(f"{row['path']}: could not be read when it was there: {row['reason']}")
            continue
        name = quoted(os.path.basename(row["path"]))
        drop = f"; or pass it over: hydrawatch ingest {path} --ignore {name} --lake {lake}" + (
            f", and without what was read of it: {drop_log(store, row['file_id'])}" if row["file_id"] else ""
        )
        yield Finding(
            f"{row['path']}: could not be read: {row['reason']}",
            f"put it right, then: hydrawatch ingest {path} --lake {lake}{drop}",
        )


def deliveries(store: Store, sound: Parts) -> Iterator[Finding]:
    """Rows that the ledgers of ``deliver`` lost. Nothing brings them back, but no alert is lost."""
    deliveries = store.relation("deliveries", parts=sound["deliveries"])
    versions = store.relation("alert_versions", parts=sound["alert_versions"])
    failures = store.relation("delivery_failures", parts=sound["delivery_failures"])
    [row] = store.engine.query(
        f"""SELECT (SELECT count(*) FROM (SELECT DISTINCT alert_id, version FROM {deliveries} WHERE outcome IS NOT NULL)
            ANTI JOIN {versions} USING (alert_id, version)) AS unwritten,
        (SELECT count(*) FROM {versions} ANTI JOIN (
            SELECT alert_id, version FROM {deliveries} UNION ALL SELECT alert_id, version FROM {failures}
        ) USING (alert_id, version)) AS untold"""
    ).to_pylist()
    if row["unwritten"]:
        yield Finding(
            f"alert_versions lacks {row['unwritten']:,} versions that sinks were told: the next deliver may tell an "
            "alert again under a later version"
        )
    if row["untold"]:
        yield Finding(
            f"no sink is known to have been told {row['untold']:,} versions of alerts: the next deliver may tell "
            "them a second time"
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
    """Files with a larger share of rejects than ``max_rejects``, and the share of all lines.

    Calls that failed to authenticate count on neither side, as in ``ingest``.
    """
    files = store.relation("files", parts=sound["files"])
    see = (
        f"hydrawatch query --lake {quoted(store.root)} "
        '"SELECT path, reason, count(*) AS n FROM rejects GROUP BY ALL ORDER BY n DESC"'
    )
    uncounted = "coalesce(CAST(reject_codes->>'unauthenticated' AS BIGINT), 0)"  # no fault of the log
    judged = (
        f"SELECT path, n_rejects - {uncounted} AS n_rejects, n_lines - {uncounted} AS n_lines FROM {files}"
    )
    for row in store.engine.query(
        f"SELECT * FROM ({judged}) WHERE n_rejects > {settings.max_rejects} * n_lines ORDER BY path"
    ).to_pylist():
        yield Finding(f"{row['path']}: {row['n_rejects']:,} of {row['n_lines']:,} lines were rejected", see)
    [total] = store.engine.query(
        f"SELECT coalesce(sum(n_rejects), 0) AS bad, coalesce(sum(n_lines), 0) AS n FROM ({judged})"
    ).to_pylist()
    if total["bad"]:
        yield Finding(f"{total['bad'] / total['n']:.2%} of all {total['n']:,} lines read were rejected", see)

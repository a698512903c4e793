"""Parts that do not read, lie where none belongs, or are missing."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq

from detector.health.report import Finding, quoted
from detector.lake import damage
from detector.lake.marks import Marks
from detector.lake.store import Store, arrow_schema, day_of
from detector.lake.tables import Table, tables

_ID = re.compile(r"[0-9a-f]{16,64}")
#: Days that a clock may be ahead.
_SKEW = timedelta(days=1)


def sound_parts(store: Store, found: dict[Path, str]) -> dict[str, list[Path]]:
    """Parts of every table that read, for the checks that look into them."""
    return {name: [p for p in store.parts(name) if p not in found] for name in tables()}


def damaged_parts(store: Store, *, deep: bool) -> dict[Path, str]:
    """Parts that do not read, and why; ``deep`` reads every value of every column."""
    found = {}
    for table in tables().values():
        for part in store.parts(table.name):
            try:
                why = damage.of_footer(part) or (damage.of_values(part) if deep else None)
            except OSError as error:
                why = f"cannot be read: {error.strerror or error}"
            if why := why or _foreign(part, table):
                found[part] = why
    return found


def _foreign(part: Path, table: Table) -> str | None:
    declared = arrow_schema(table.columns)
    found = pq.read_schema(part)
    wrong = [f.name for f in found if f.name in declared.names and f.type != declared.field(f.name).type]
    if wrong:
        return f"columns {', '.join(wrong)} have other types than table {table.name} declares"
    if not set(found.names) & set(declared.names):
        return f"has none of the columns of table {table.name}"
    return None


def told(store: Store, damaged: dict[Path, str], logs: dict[str, str]) -> Iterator[Finding]:
    """Each damaged part with what brings its rows back. ``logs``: file id to the path of the log."""
    lake = quoted(store.root)
    for part, why in damaged.items():
        table, day = tables()[part.parent.parent.name], day_of(part.parent)
        if table.name == "runs" and day:
            again = f"hydrawatch run --lake {lake} --day {day}"
        elif table.writer == "run" and day:
            again = f"hydrawatch run --lake {lake} --since {day}"
        elif table.writer == "ingest":
            again = ingest_again(store, part.name[:16], logs)
        else:
            again = f"hydrawatch doctor --lake {lake}; what it told of may be sent a second time"
        if "cannot be read" in why:
            yield Finding(f"{part}: {why}", f"ls -ld {quoted(part)}; run doctor as the lake's owner")
        else:
            yield Finding(f"{part}: {why}", f"restore it from a backup, or: rm -r {quoted(part)} && {again}")


def ingest_again(store: Store, file_id: str, logs: dict[str, str]) -> str:
    """The command that reads a log anew, told from (the beginning of) its file id."""
    lake = quoted(store.root)
    if not _ID.fullmatch(file_id):  # made by nobody of ours, and not to be pasted
        return f"hydrawatch ingest --again LOG --lake {lake}, LOG being the file that it came from"
    known = next((path for name, path in logs.items() if name.startswith(file_id)), None)
    if known:
        gone = "" if Path(known).exists() else "  (the log is no longer there: bring it back first)"
        return f"hydrawatch ingest --again {quoted(known)} --lake {lake}{gone}"
    # No ledger tells the path any more, but the id is the checksum of the log, and logs lie where others do.
    folders = sorted({str(Path(path).parent) for path in logs.values()})
    where = " ".join(quoted(folder) for folder in folders[:3]) or "FOLDER_OF_THE_LOGS"
    search = f"find {where} -type f -exec sha256sum {{}} + | sed -n 's/^{file_id}[0-9a-f]*  //p' | head -n 1"
    return f'hydrawatch ingest --again "$({search})" --lake {lake}'


def strange(store: Store) -> Iterator[Finding]:
    """What lies in ``data`` and is no part of a table."""
    for folder in sorted(store.data.iterdir()):
        if folder.name not in tables():
            yield Finding(f"{folder}: no table of this version", f"look at it, then: rm -r {quoted(folder)}")
            continue
        if not folder.is_dir():
            yield Finding(
                f"{folder}: not a folder",
                f"rm {quoted(folder)} && hydrawatch doctor --lake {quoted(store.root)}",
            )
            continue
        for inner in sorted(folder.iterdir()):
            if inner.name in ("_", "all"):
                continue
            if day_of(inner) is None or not stat.S_ISDIR(inner.stat().st_mode):
                yield Finding(
                    f"{inner}: not the folder of a day, expected day=YYYY-MM-DD",
                    f"look at it, then: rm -r {quoted(inner)}",
                )


def missing(store: Store, marks: Marks) -> Iterator[Finding]:
    """Tables that lack a day which was run."""
    ran = store.days("runs")
    for table in tables().values():
        if table.writer != "run" or table.name == "runs":
            continue
        held = store.days(table.name)
        # A table that a later version brought lacks the days before it.
        since = date.min if table.name in marks.tables else min(held, default=date.max)
        lost = [day for day in ran if day >= since and day not in held]
        if lost:
            yield Finding(
                f"table {table.name}: {len(lost)} days that were run are missing, the first {lost[0]}",
                f"hydrawatch run --lake {quoted(store.root)} --since {lost[0]}",
            )


def future(store: Store, now: datetime) -> Iterator[Finding]:
    """Days that have not come yet: their state would stand above that of every real day."""
    last = now.date() + _SKEW
    days = sorted({d for t in tables() for d in store.days(t) if d > last})
    for day in days:
        folders = " ".join(quoted(p) for t in tables() if (p := store.data / t / f"day={day}").exists())
        yield Finding(
            f"day {day} lies in the future: a log has a wrong clock",
            f"rm -r {folders} && hydrawatch run --lake {quoted(store.root)}",
        )

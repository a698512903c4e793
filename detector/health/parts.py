"""Parts that cannot be read, or that do not belong where they are."""

from __future__ import annotations

import hashlib
import re
import stat
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq

from detector.config import Config
from detector.health.report import Finding, quoted
from detector.ingest.ledger import SKIPPED_PART
from detector.lake import damage
from detector.lake.migration.shape import shape
from detector.lake.migration.versions import VERSIONS
from detector.lake.places import PART, SCHEMA_PART, day_of
from detector.lake.rows import arrow_schema
from detector.lake.store import Store
from detector.lake.tables import Table, tables

_ID = re.compile(r"[0-9a-f]{16,64}")
#: Days that a clock may be ahead.
_SKEW = timedelta(days=1)


def sound_parts(store: Store, damaged: dict[Path, str]) -> dict[str, list[Path]]:
    """Undamaged parts of every table, for the checks that read them."""
    return {name: [p for p in store.parts(name) if p not in damaged] for name in tables()}


def damaged_parts(store: Store, *, deep: bool) -> dict[Path, str]:
    """Damaged parts, each with the reason. ``deep`` reads every value of every column."""
    reasons = {}
    for table in tables().values():
        for part in store.parts(table.name):
            try:
                why = damage.of_footer(part) or (damage.of_values(part) if deep else None)
            except OSError as error:
                why = f"cannot be read: {error.strerror or error}"
            if why := why or _foreign(part, store.shape.held(table.name)):
                reasons[part] = why
    return reasons


def _foreign(part: Path, table: Table) -> str | None:
    declared = arrow_schema(table.columns)
    stored = pq.read_schema(part)
    wrong = [f.name for f in stored if f.name in declared.names and f.type != declared.field(f.name).type]
    if wrong:
        return f"columns {', '.join(wrong)} have other types than table {table.name} declares"
    if not set(stored.names) & set(declared.names):
        return f"has none of the columns of table {table.name}"
    return None


def damaged_findings(store: Store, damaged: dict[Path, str], logs: dict[str, str]) -> Iterator[Finding]:
    """Each damaged part with the command that brings its rows back. ``logs``: file id to path of the log."""
    lake = quoted(store.root)
    for part, why in damaged.items():
        table, day = store.table_of(part), day_of(part.parent)
        drop, before = f"rm -r {quoted(part)}", "restore it from a backup, or"
        if "cannot be read" in why:
            yield Finding(f"{part}: {why}", f"ls -ld {quoted(part)}; run doctor as the lake's owner")
            continue
        if table.writer == "run" and (day is None or part.name != PART):
            again = None
        elif table.name == "runs":
            again = f"hydrawatch run --lake {lake} --day {day}"
        elif table.writer == "run":
            again = f"hydrawatch run --lake {lake} --since {day}"
        elif part.name == SKIPPED_PART:
            again = None  # the next ingest notes again what it passes over
        elif table.writer == "ingest":
            whole, again = ingest_again(store, part.name[:16], logs)
            before = f"{before} {whole}" if whole else before
        else:
            before += " (what it told of may be sent a second time)"
            again = None
        yield Finding(f"{part}: {why}", f"{before}: {drop} && {again}" if again else f"{before}: {drop}")


def ingest_again(store: Store, file_id: str, logs: dict[str, str]) -> tuple[str, str]:
    """A warning (or nothing), and the command that reads a log a second time, by its file id or its first digits.

    For a log that is gone, the command drops its rows; the warning says how to bring it back.
    """
    lake = quoted(store.root)
    if not _ID.fullmatch(file_id):  # not our name, so it must not be pasted into a shell
        return "", f"hydrawatch ingest --again LOG --lake {lake}, LOG being the file that it came from"
    log = next((path for name, path in logs.items() if name.startswith(file_id)), None)
    if log and Path(log).exists():
        return "", f"hydrawatch ingest --again {quoted(log)} --lake {lake}"
    if log:
        return (
            f"(the log {log} is gone: bring it back and run hydrawatch ingest --again {quoted(log)} "
            f"--lake {lake}, or else drop all that it gave)",
            drop_log(store, file_id),
        )
    # No ledger has the path. The id is the checksum of the log, and the log is probably where other logs are.
    folders = sorted({str(Path(path).parent) for path in logs.values()})
    where = " ".join(quoted(folder) for folder in folders[:3]) or "FOLDER_OF_THE_LOGS"
    search = f"find {where} -type f -exec sha256sum {{}} + | sed -n 's/^{file_id}[0-9a-f]*  //p' | head -n 1"
    return "", f'hydrawatch ingest --again "$({search})" --lake {lake}'


def cure_of(store: Store, file_id: str, logs: dict[str, str]) -> str:
    """``ingest_again`` as one text."""
    first, command = ingest_again(store, file_id, logs)
    return f"{first}: {command}" if first else command


def drop_log(store: Store, file_id: str) -> str:
    """The command that removes all rows of a log from the lake, also from the ledgers."""
    return f"rm -f {quoted(store.data)}/*/*/{file_id[:16]}*.parquet"


def strange(store: Store) -> Iterator[Finding]:
    """Files and folders in ``data`` that are no part of a table."""
    retired = {name for version in VERSIONS for name in shape(version.number).retired}
    for folder in sorted(store.data.iterdir()):
        if folder.name in retired and store.shape.is_current:
            yield Finding(
                f"{folder}: a table of an earlier version, which wrote into this lake after it was upgraded",
                f"rm -r {quoted(folder)}",
            )
            continue
        if folder.name not in store.shape.stored:
            yield Finding(f"{folder}: no table of this version", f"look at it, then: rm -r {quoted(folder)}")
            continue
        if not folder.is_dir():
            yield Finding(
                f"{folder}: not a folder",
                f"rm {quoted(folder)} && hydrawatch doctor --lake {quoted(store.root)}",
            )
            continue
        for inner in sorted(folder.iterdir()):
            if inner.name == "_":
                yield from _beside_schema(inner)
                continue
            if inner.name == "all" and store.shape.stored[folder.name].writer != "run":
                continue
            if day_of(inner) is None or not stat.S_ISDIR(inner.stat().st_mode):
                yield Finding(
                    f"{inner}: not the folder of a day, expected day=YYYY-MM-DD",
                    f"look at it, then: rm -r {quoted(inner)}",
                )


def exchanged(store: Store, sound: list[Path]) -> Iterator[Finding]:
    """Parts of ``runs`` in the folder of another day."""
    for part in sound:
        days = (
            set(pq.read_table(part, columns=["day"]).column("day").to_pylist())
            if part.parent.name != "_"
            else set()
        )
        if days - {day_of(part.parent)}:
            yield Finding(
                f"{part}: holds the run of another day",
                f"rm {quoted(part)} && hydrawatch run --lake {quoted(store.root)}",
            )


def copies(sound: list[Path], logs: dict[str, str]) -> Iterator[Finding]:
    """Parts of templates with the same bytes as another part: their rows do not show which log they belong to.

    ``sound``: undamaged parts of the table. ``logs``: file id to path of the log. A part named after a log stays.
    """
    by_size: dict[int, list[Path]] = {}
    for part in sound:
        by_size.setdefault(part.stat().st_size, []).append(part)
    named = {name[:16] for name in logs}
    for same in by_size.values():
        first: dict[bytes, Path] = {}
        for part in sorted(same, key=lambda p: (p.name[:16] not in named, p.name)):
            digest = hashlib.sha256(part.read_bytes()).digest()
            twin = first.setdefault(digest, part)
            if twin != part:
                yield Finding(f"{part}: the same rows as {twin.name}, read twice", f"rm {quoted(part)}")


def _beside_schema(folder: Path) -> Iterator[Finding]:
    """Parts in the folder of the empty schema part: readers would read their rows."""
    for part in sorted(folder.glob("*.parquet")):
        if part.name != SCHEMA_PART:
            yield Finding(f"{part}: no part belongs here", f"rm -r {quoted(part)}")


def last_day(now: datetime, settings: Config) -> date:
    """The latest day that ``ingest`` could have written, with the clock skew that it accepts."""
    return (now + max(_SKEW, timedelta(days=settings.max_clock_skew))).date()


def future(store: Store, now: datetime, settings: Config, logs: dict[str, str]) -> Iterator[Finding]:
    """Days in the future: their state would replace that of every real day.

    Their logs are read again, so that lines from the future are set aside and the ledger of files agrees.
    """
    last, lake = last_day(now, settings), quoted(store.root)
    for day in sorted({d for t in tables() for d in store.days(t) if d > last}):
        ids = sorted({part.name[:16] for part in store.parts("requests", day)})
        strays = [p for p in store.parts("requests", day) if not _ID.fullmatch(p.name[:16])]
        again = [ingest_again(store, name, logs) for name in ids if _ID.fullmatch(name)]
        results = [store.data / store.shape.folder(t) / f"day={day}" for t in tables() if t != "requests"]
        folders = [path for path in results if path.exists()]
        removal = [f"rm -r {' '.join(quoted(p) for p in [*folders, *strays])}"] if folders or strays else []
        first = "".join(f"{words}: " for words, _ in again if words)
        # A log may lie wholly in the future: its rejects must not stop the next command.
        readings = [
            command.replace("ingest --again", "ingest --max-rejects 1 --again", 1) for _, command in again
        ]
        commands = [*readings, *removal, f"hydrawatch run --lake {lake}"]
        yield Finding(f"day {day} lies in the future: a log has a wrong clock", first + " && ".join(commands))

"""What ``hydrawatch doctor`` checks: the installation, the lake's parts, ledgers, key, permissions, sinks, views.

It mends what needs neither the logs nor a decision. It reports everything else with the command that cures it. No
damage may make it fail.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from detector import __version__
from detector.config import Config
from detector.errors import HydrawatchError, LakeBusy
from detector.health import ledgers, parts, results, schema, surroundings
from detector.health.adopting import adopt_file_key, adopt_key
from detector.health.report import Finding, Report
from detector.lake import trouble
from detector.lake.marks import Marks, read_marks
from detector.lake.mending import mend
from detector.lake.store import Store

__all__ = ["Finding", "Report", "adopt_key", "check"]


def check(
    store: Store,
    settings: Config,
    *,
    deep: bool = False,
    now: datetime | None = None,
    progress: Callable[[str], None] = lambda stage: None,
) -> Report:
    """Everything there is to report about a lake opened ``as_found``.

    When a check fails although the footers are sound, every value is read, so that the damaged part is named.

    Parameters
    ----------
    deep : read every value of every part, and not only the footers.
    now : time that days are compared with (UTC); the clock's, if not given.
    """
    report = Report(__version__, platform.python_version(), str(store.root))
    busy = _mend(store, settings, report)
    first = (report.faults, report.notes, report.mended)
    faults, notes, mended = ([*entries] for entries in first)
    _look(store, settings, report, now or datetime.now(UTC), deep=deep, busy=busy, progress=progress)
    if report.n_failed and not deep:
        report = Report(report.version, report.python, report.lake)
        report.faults, report.notes, report.mended = faults, notes, mended
        _look(store, settings, report, now or datetime.now(UTC), deep=True, busy=busy, progress=progress)
    return report


def _look(
    store: Store,
    settings: Config,
    report: Report,
    moment: datetime,
    *,
    deep: bool,
    busy: bool,
    progress: Callable[[str], None],
) -> None:
    progress("reading parts")
    report.gather("installation", surroundings.names)
    damaged = parts.damaged_parts(store, deep=deep)
    sound = parts.sound_parts(store, damaged)
    try:
        logs = ledgers.logs_by_id(store, sound)
    except HydrawatchError:
        logs = {}
    try:
        marks = read_marks(store.root)
    except HydrawatchError:
        marks = Marks()
    report.gather("parts", lambda: parts.damaged_findings(store, damaged, logs))
    report.gather("folders", lambda: parts.strange(store))
    report.gather("schema", lambda: schema.mixed(store))
    report.gather("schema", lambda: schema.standing(store), into="notes")
    report.gather("days", lambda: parts.future(store, moment, settings, logs))
    report.gather("parts", lambda: results.added(store))
    progress("comparing ledgers")
    if not busy:  # rows that another process is writing are not in the ledgers yet
        report.gather("days", lambda: results.missing(store, marks))
        report.gather("days", lambda: results.unrun(store, parts.last_day(moment, settings)))
        report.gather("ledgers", lambda: ledgers.counts(store, sound, logs))
        report.gather("days", lambda: parts.exchanged(store, sound["runs"]))
        report.gather("templates", lambda: parts.copies(sound["templates"], logs))
        if deep and not report.faults:  # a fault above would explain it
            report.gather("days", lambda: results.changed(store))
    report.gather("files", lambda: ledgers.unreadable(store, sound, gone=False))
    report.gather("files", lambda: ledgers.unreadable(store, sound, gone=True), into="notes")
    if not any(str(store.root / "key") in fault.what for fault in report.faults):
        report.gather("key", lambda: surroundings.key(store))
    report.gather("account ids", lambda: surroundings.account_ids(store, marks, settings))
    report.gather("permissions", lambda: surroundings.permissions(store, settings))
    report.gather("permissions", lambda: surroundings.settings_file(store.root, settings))
    report.gather("sinks", lambda: surroundings.sinks(settings))
    report.gather("views", lambda: surroundings.views(store, broken={p.parent.parent.name for p in damaged}))
    if not damaged:
        report.gather("days", lambda: ledgers.due(store), into="notes")
    report.gather("deliveries", lambda: ledgers.deliveries(store, sound), into="notes")
    report.gather("rejects", lambda: ledgers.rejected(store, sound, settings), into="notes")
    report.gather("allow-list", lambda: surroundings.expired(settings, moment.date()), into="notes")
    if not damaged:
        report.gather("allow-list", lambda: surroundings.of_nobody(store, settings), into="notes")
    _measure(store, report)


def _mend(store: Store, settings: Config, report: Report) -> bool:
    """Mend what can be mended. True when another process is writing."""
    moved = surroundings.views_elsewhere(store.root)
    absent = not (store.root / "hydrawatch.duckdb").exists()
    try:
        report.mended += mend(store)
        match adopt_file_key(store, settings):
            case str(adopted):
                report.mended.append(adopted)
            case Finding() as wrong:
                report.faults.append(wrong)
    except LakeBusy:
        report.notes.append(
            Finding("another process is writing: nothing was put right, ledgers were not compared")
        )
        store.put_right()
        return True
    except (OSError, HydrawatchError) as error:
        reason = trouble.told_of(error, store.root) or error
        report.notes.append(Finding(f"not all was put right: {reason}".replace("\n  ", "; ")))
        store.put_right()
        return False
    if moved and surroundings.views_elsewhere(store.root) is None:
        report.mended.append(
            f"the views read {moved}: this lake was moved or copied; they read this place now"
        )
    elif absent and (store.root / "hydrawatch.duckdb").exists():
        report.mended.append(f"{store.root / 'hydrawatch.duckdb'}: was missing, written anew")
    return False


def _measure(store: Store, report: Report) -> None:
    """Add the days and the size of the lake."""
    days = store.days("requests")
    report.n_days = len(days)
    report.first_day, report.last_day = (days[0], days[-1]) if days else (None, None)
    for folder, _, files in os.walk(store.root):
        for name in files:
            try:
                report.n_bytes += (Path(folder) / name).lstat().st_size
            except OSError:  # gone meanwhile
                continue

"""Logs into a lake under its settings: ``ingest`` with the lake's own key, and what of the files is at fault."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from detector.clean import visible
from detector.config import Config
from detector.errors import DataQualityError
from detector.ingest.ingestion import ingest
from detector.ingest.ledger import SKIPPED_PART
from detector.ingest.sources import Selection, find
from detector.lake.key import lake_key
from detector.lake.marks import keep_account_ids

if TYPE_CHECKING:
    from datetime import date

    from detector.ingest.ingestion import Progress
    from detector.ingest.report import FileReport
    from detector.lake.store import Store

#: Longest path shown in a fault (characters).
_PATH = 200


def read_logs(
    store: Store,
    settings: Config,
    paths: Sequence[Path | str],
    *,
    selection: Selection | None = None,
    format: str = "auto",
    again: bool = False,
    backfill: bool = False,
    ignore: Sequence[str] = (),
    max_rejects: float | None = None,
    now: datetime | None = None,
    progress: Progress | None = None,
    announce: Callable[[Path, int, list[date]], None] | None = None,
    each: Callable[[FileReport], None] | None = None,
) -> list[FileReport]:
    """Read logs into the lake, as its settings say; one report a path.

    Parameters
    ----------
    selection : the files that ``paths`` lead to, where they have been looked for already.
    max_rejects : share of lines (0..1) that may be rejected; None: that of the settings.
    each : told of every file as it ends, also when the quality gate fires afterwards.

    Raises
    ------
    DataQualityError : more lines were rejected than the gate allows. What could be read is in the lake.
    KeyMissing, ConfigError : the lake's key is missing, or another.
    """
    if selection is None:
        selection = find(paths, ignore=[*settings.ignore, *ignore], lake=store.root)
    with store.exclusive():
        is_empty = all(part.name == SKIPPED_PART for part in store.parts("files"))
        key = lake_key(store.root, may_make=is_empty)
        keep_account_ids(store, pseudonymise=settings.pseudonymise_accounts)
        store.write_views()
        return ingest(
            paths,
            store,
            format=format,
            key=key,
            max_rejects=settings.max_rejects if max_rejects is None else max_rejects,
            max_clock_skew=settings.max_clock_skew,
            max_lateness=settings.max_lateness,
            again=again,
            backfill=backfill,
            selection=selection,
            progress=progress,
            announce=announce,
            each=each,
            now=now,
            **settings.reading(),
        )


def fault_of(reports: Sequence[FileReport], limit: float) -> DataQualityError | None:
    """What is at fault while a file is unreadable or was nearly all rejected, every night until it is cured.

    ``limit``: share of lines (0..1) that may be rejected.
    """
    bad = [r for r in reports if r.status == "unreadable"]
    if bad:
        more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
        return DataQualityError(
            f"{_files(bad)} could not be read: {_paths(bad)}{more}",
            hint="cure them, or pass them over: --ignore PATTERN, or `ignore` in hydrawatch.toml",
        )
    old = [r for r in reports if r.in_lake and r.reject_share > limit and not r.outdated]
    if old and not any(r.n_lines for r in reports):
        return DataQualityError(
            f"{_files(old)} read before had more than {limit:.4g} of the lines rejected: {_paths(old)}",
            hint="see `rejects`; once settings fit, `ingest` reads a file that gave nothing anew by itself; "
            "to pass it over: --ignore PATTERN",
        )
    return None


def _files(reports: Sequence[FileReport]) -> str:
    return f"{len(reports):,} {'file' if len(reports) == 1 else 'files'}"


def _paths(reports: Sequence[FileReport]) -> str:
    return ", ".join(visible(r.path, _PATH) for r in reports[:3])

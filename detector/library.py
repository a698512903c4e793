"""A lake in a notebook or a script: the commands as methods that return their reports.

>>> lake = open_lake("lake", create=True)
>>> lake.ingest("/var/log/llm")
>>> lake.run()
>>> lake.frame("alerts")
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from detector.errors import ConfigError
from detector.lake.opened import OpenedLake
from detector.lake.opened import open_lake as open_views

if TYPE_CHECKING:
    from detector.alert.casefile import CaseFile
    from detector.alert.deliver import SinkReport
    from detector.config import Config
    from detector.ingest.report import FileReport
    from detector.lake.store import Store
    from detector.pipeline.running import RunReport


@dataclass(frozen=True)
class Lake(OpenedLake):
    """One lake: its views (:meth:`frame`, :meth:`query`) and its commands. :func:`open_lake` opens it.

    ``config`` : file of settings; None: ``hydrawatch.toml`` in the lake, or else the defaults.

    Every method opens the lake only while it works. One process writes at a time.
    """

    config: Path | None = None

    def ingest(
        self,
        *paths: str | Path,
        format: str = "auto",
        again: bool = False,
        backfill: bool = False,
        ignore: Sequence[str] = (),
        max_rejects: float | None = None,
        now: datetime | None = None,
    ) -> list[FileReport]:
        """Read log files and folders into the lake; one report a path.

        Parameters
        ----------
        format : a format's name, or ``auto``: detected from the content.
        again : read files a second time and replace their rows.
        backfill : take lines of any age.
        ignore : patterns of file names or paths to pass over, in addition to those of the settings.
        max_rejects : share of lines (0..1) that may be rejected; None: that of the settings.
        now : the present time, for a replay.

        Raises
        ------
        DataQualityError : a file is unreadable, or too much was rejected. Lines that could be read are in the lake.
        LakeBusy : another process is writing.
        """
        from detector.pipeline.reading import fault_of, read_logs

        with self._opened() as (store, settings):
            reports = read_logs(
                store,
                settings,
                [Path(path) for path in paths],
                format=format,
                again=again,
                backfill=backfill,
                ignore=ignore,
                max_rejects=max_rejects,
                now=now,
            )
        limit = settings.max_rejects if max_rejects is None else max_rejects
        if fault := fault_of(reports, limit):
            raise fault
        return reports

    def run(
        self,
        *,
        day: date | None = None,
        since: date | None = None,
        until: date | None = None,
        now: datetime | None = None,
    ) -> RunReport:
        """Measure, link, score and alert: ``day``, or ``since`` to ``until``, or every day that is due.

        Raises
        ------
        ConfigError : ``day`` together with ``since`` or ``until``, or a day in the future.
        DayMissing : the lake has no requests of ``day``.
        LakeBusy : another process is writing.
        """
        from detector.pipeline import due
        from detector.pipeline.running import run_days

        if day and (since or until):
            raise ConfigError("expected day, or since and until, not both")
        today = due.today(now)
        if day and day > today:
            raise ConfigError(f"{day} is after today ({today}), and days after today are not run")
        with self._opened(spill=True) as (store, settings):
            return run_days(store, settings, day=day, since=since, until=until, today=today)

    def deliver(self, *, dry_run: bool = False, retry_refused: bool = False) -> list[SinkReport]:
        """Send every alert that is new, has changed or is gone to the sinks of the settings; a report a sink.

        ``dry_run`` : send nothing; ``sent`` of each report is what would be sent. ``n_missing`` of a report counts events
        that the sink did not take; they raise no error.

        Raises
        ------
        LakeBusy : another process is delivering.
        """
        from detector.alert.sink import open_each
        from detector.pipeline import rounds

        with self._opened(reading=dry_run) as (store, settings):
            sinks = open_each(settings.sinks)
            if dry_run:
                return rounds.preview(store, settings, sinks, retry_refused=retry_refused)
            return rounds.send(store, settings, sinks, retry_refused=retry_refused)

    def explain(self, subject: str) -> CaseFile:
        """The case file of a group, account or alert id, from the day of its peak score.

        Raises
        ------
        ConfigError : the lake knows no such subject.
        """
        from detector.pipeline.case import case_file

        with self._opened(reading=True) as (store, settings):
            return case_file(store, subject, settings)

    def report(self, subject: str) -> str:
        """The case of :meth:`explain` as one HTML page: charts, no script, nothing fetched.

        Raises
        ------
        ConfigError : the lake knows no such subject.
        """
        from detector.report.case_page import render_page

        return render_page(self.explain(subject))

    @contextmanager
    def _opened(self, *, spill: bool = False, reading: bool = False) -> Iterator[tuple[Store, Config]]:
        store, settings = store_of(self.root, self.config, spill=spill, reading=reading)
        with store:
            yield store, settings


def store_of(
    root: Path, config: Path | None, *, spill: bool = False, reading: bool = False
) -> tuple[Store, Config]:
    """A lake's store and its settings, from ``config`` or the lake's own file.

    ``spill`` lets the engine use the disk, which only a run may. ``reading`` creates and locks nothing.
    """
    from detector.config import load_config
    from detector.lake.store import Store

    settings = load_config(root, config)
    store = Store(
        root,
        threads=settings.threads,
        memory_gb=settings.memory_gb,
        spill=spill,
        reading=reading,
        group=settings.lake_group,
    )
    return store, settings


def open_lake(path: str | Path, *, create: bool = False, config: str | Path | None = None) -> Lake:
    """The lake in folder ``path``.

    Parameters
    ----------
    create : create the lake if there is none; the first ``ingest`` fills it.
    config : file of settings; None: ``hydrawatch.toml`` in the lake, or else the defaults.

    Raises
    ------
    ConfigError : there is no lake (without ``create``), or it has no views.
    """
    config_path = Path(config) if config is not None else None
    root = Path(path).absolute()
    if create and not (root / "data").is_dir():
        lake = Lake(root, config_path)
        with lake._opened() as (store, _):
            store.write_views()
        return lake
    return Lake(open_views(path).root, config_path)

"""Log files in, rows of the lake out. Text is measured here and not kept.

    file -> blocks of lines -> canonical rows | rejects | duplicates -> measured, keyed -> parts by day

Each file has one transaction: the lake gets the whole file, with its rejects and its row in ``files``, or nothing
of it. Every entry is accounted for: lines = requests + rejects + duplicates. Every path ends as read, passed over
or unreadable. No file stops the others.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from detector.errors import ConfigError, DataQualityError, HydrawatchError, LogError, NotALog
from detector.ingest import advice, beside, ledger, mapping
from detector.ingest.bounds import Bounds
from detector.ingest.detect import detect, named
from detector.ingest.formats import Format, Options, mapped
from detector.ingest.intake import Intake
from detector.ingest.known import KnownState
from detector.ingest.ledger import Row, Settings, forced_of, gave_nothing, identify, n_unauthenticated, row_of
from detector.ingest.processing import ALL_ROWS, Pool, Task, process
from detector.ingest.reader import Reader
from detector.ingest.replace import Given, Replacement
from detector.ingest.report import UNAUTHENTICATED, FileReport, reject_share
from detector.ingest.sources import Selection, Source, find
from detector.ingest.splitting import Block, Reject
from features import schema

if TYPE_CHECKING:
    from datetime import date

    from detector.lake.store import Store

Progress = Callable[[int, int, Path], None]
#: Size of a file from which on further processes pay off (bytes): starting them takes a second or two.
_WORTH = 32 << 20


def ingest(
    paths: Sequence[Path | str],
    store: Store,
    *,
    format: str = "auto",
    key: bytes,
    account_attribute: str | None = None,
    envoy_keys: Mapping[str, str] | None = None,
    mapped_keys: mapped.Keys | None = None,
    placeholders: Sequence[str] = (),
    trusted_hops: int = 0,
    pseudonymise: bool = False,
    max_rejects: float = 0.5,
    max_clock_skew: float = 1.0,
    max_lateness: float = 35.0,
    again: bool = False,
    backfill: bool = False,
    ignore: Sequence[str] = (),
    selection: Selection | None = None,
    progress: Progress | None = None,
    announce: Callable[[Path, int, list[date]], None] | None = None,
    each: Callable[[FileReport], None] | None = None,
    now: datetime | None = None,
    workers: int | None = None,
) -> list[FileReport]:
    """Read log files into the lake; one report a path, in the order of their paths.

    Parameters
    ----------
    paths : files, folders (read whole), links.
    format : a format's name, or ``auto``.
    key : the lake's key for keyed hashes.
    account_attribute : log attribute that names the account, before the format's own order.
    envoy_keys : canonical name -> JSON key, for Envoy.
    mapped_keys : canonical name -> path or paths, for ``mapped``.
    placeholders : texts that stand for content which was not logged, in addition to the shipped ones.
    trusted_hops : the site's own proxies that append to x-forwarded-for.
    pseudonymise : store account ids as keyed hashes.
    max_rejects : share of all lines of this call that may be rejected (0..1).
    max_clock_skew : lines further ahead of ``now`` are set aside (days).
    max_lateness : lines further before the newest day run are set aside (days).
    again : read files a second time and replace their rows.
    backfill : take lines of any age.
    ignore : patterns of file names or paths to pass over.
    selection : result of ``find`` for ``paths``, if the caller has it already.
    progress : called with bytes done, bytes in all, and the file.
    announce : called for each file that is read again, before anything is done: its rows that go, and their days.
    each : called with each report as soon as it is complete.
    now : time of ingestion (UTC); the clock's, if not given.
    workers : processes that read a large file; as many as there are cores, up to eight, if not given.

    Raises
    ------
    LogError : a named path does not exist.
    ConfigError : no such format, an Envoy key for a column that does not exist, or a map that cannot work.
    DataQualityError : more rejects than ``max_rejects``. The accepted lines are stored.
    """
    forced = named(format)
    options = Options(
        account_attribute,
        dict(envoy_keys or {}),
        {name: path if isinstance(path, str) else list(path) for name, path in (mapped_keys or {}).items()},
        trusted_hops,
        tuple(placeholders),
    )
    columns = {c.name for c in schema.CANONICAL}
    if strange := sorted(set(options.envoy_keys) - columns):
        raise ConfigError(
            f"envoy_keys: no such column {strange[0]!r}", hint=f"columns: {', '.join(sorted(columns))}"
        )
    if (wrong := mapped.faults(options.mapped_keys)) and (options.mapped_keys or forced is mapped.FORMAT):
        raise ConfigError(
            f"mapped_keys: {'; '.join(wrong) if options.mapped_keys else 'not set, and --format mapped needs it'}",
            hint="let a map be proposed: hydrawatch ingest --suggest FILE (columns: see docs/formats.md, mapped)",
        )
    selection = selection or find(paths, ignore=ignore, lake=store.root)
    moment = (now.astimezone(UTC) if now and now.tzinfo else now or datetime.now(UTC)).replace(tzinfo=None)
    reports: list[FileReport] = []

    def done(report: FileReport) -> None:
        reports.append(report)
        if each:
            each(report)

    for skip in selection.skips:
        done(FileReport(skip.path, status=skip.status, reason=skip.reason))
    with store.exclusive():
        bounds = Bounds.of(
            moment, store.days("runs"), max_clock_skew=max_clock_skew, max_lateness=max_lateness,
            backfill=backfill,
        )  # fmt: skip
        state = KnownState(store, key, pseudonymise=pseudonymise, now=moment)
        n_processes = workers or _workers(selection.sources)
        completed = beside.gather(selection.sources, state.ledger.files.values(), moment)
        call = _Call(
            state,
            forced,
            Settings(format, options, pseudonymise),
            bounds,
            again,
            Pool(n_processes),
            completed,
        )
        if again and announce:
            call.announce(selection.sources, announce)
        try:
            call.take_all(selection.sources, done, progress)
        finally:
            call.pool.close()
        state.ledger.write_skipped(store, [Path(p) for p in paths], reports, moment)
    reports.sort(key=lambda r: str(r.path))
    _judge(reports, max_rejects, store.root)
    return reports


def _judge(reports: list[FileReport], max_rejects: float, lake: Path) -> None:
    n_lines = sum(r.n_lines for r in reports)
    n_rejects = sum(r.n_rejects for r in reports)
    n_apart = sum(r.n_unauthenticated for r in reports)
    if reject_share(n_lines, n_rejects, n_apart) > max_rejects:
        n_lines, n_rejects = n_lines - n_apart, n_rejects - n_apart
        worst = max(reports, key=lambda r: r.n_rejects - r.n_unauthenticated)
        uncounted = Reject(0, UNAUTHENTICATED).reason
        reason, n = next(pair for pair in worst.reasons.most_common() if pair[0] != uncounted)
        raise DataQualityError(
            f"{n_rejects} of {n_lines} lines were rejected, more than {max_rejects:.4g} of them; most often in "
            f"{worst.path.name}: {reason} ({n} times)",
            hint=f'what could be read is stored; see: hydrawatch query --lake {lake} "SELECT * FROM rejects"',
        )


def _reporting(reader: Reader, tell: Callable[[int], None]) -> Iterator[Block]:
    for block in reader:
        yield block
        tell(reader.n_read)


def _workers(sources: Iterable[Source]) -> int:
    """Processes worth starting: one where no file is large."""
    if not any(s.n_bytes >= _WORTH for s in sources):
        return 1
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, 8)


@dataclass
class _Call:
    """One call of ``ingest``: its view of the lake and its settings."""

    state: KnownState
    forced: Format | None
    settings: Settings
    bounds: Bounds
    again: bool
    pool: Pool
    completed: beside.Completed

    def announce(self, sources: Iterable[Source], tell: Callable[[Path, int, list[date]], None]) -> None:
        """Announce which rows of each file go, before anything is done."""
        for source in sources:
            try:
                _, rows = self._identify(source)
            except LogError:
                continue  # its own turn reports the error
            replacement = Replacement(self.state, rows, self.settings)
            tell(source.path, replacement.n_rows, replacement.days)

    def take_all(
        self, sources: Sequence[Source], done: Callable[[FileReport], None], progress: Progress | None
    ) -> None:
        """Take one file after the other. A file that cannot be read is reported and stops no other."""
        total, n_done = sum(s.n_bytes for s in sources), 0
        for source in sources:

            def tell(n_read: int, source: Source = source, n_done: int = n_done) -> None:
                if progress:
                    progress(n_done + n_read, total, source.path)

            try:
                report = self.take(source, tell)
            except NotALog as error:
                report = FileReport(source.path, status="passed", reason=error.message)
            except LogError as error:
                words = f"{error.message}; {error.hint}" if error.hint else error.message
                report = FileReport(source.path, status="unreadable", reason=words)
            except (HydrawatchError, OSError):
                raise  # a fault of the lake or the machine would stop every other file too
            except Exception as error:  # no content of one file may stop the others
                where = traceback.extract_tb(error.__traceback__)[-1]
                words = f"a fault of hydrawatch: {type(error).__name__} in {Path(where.filename).name}:{where.lineno}"
                report = FileReport(source.path, status="unreadable", reason=f"{words}; please report it")
            done(report)
            n_done += source.n_bytes
            tell(0, source, n_done)

    def take(self, source: Source, tell: Callable[[int], None]) -> FileReport:
        """Read one file in one transaction. A file with the same bytes as one in the lake is not read."""
        identity, rows = self._identify(source)
        row = self.state.ledger.files.get(identity)
        if row and not self.again:
            report, anew = self._of_stored(source, row)
            if not anew:
                return report
        replacement = (
            Replacement(self.state, rows, self.settings if self.again else None)
            if rows or self.again
            else None
        )
        reader = Reader(source)
        form, content = detect(source.path, reader.head(), self.forced, self.settings.options)
        report = FileReport(source.path, form.name, content)
        given = Given(self.state.keying) if replacement else None
        changed: list[Row] = []
        with self.state.transaction(
            identity,
            unknown=replacement.unknown if replacement and (self.again or replacement.n_rows) else None,
        ) as txn:
            intake = Intake(self.state, txn, identity, report, self.bounds, given, self.completed)
            if replacement and replacement.ingested_at:
                intake.now = replacement.ingested_at
            if content == "requests":
                task = Task(
                    form.name, self.settings.options, self.state.key, self.state.pseudonymise, identity,
                    str(txn.folder()), ALL_ROWS // self.pool.workers,
                )  # fmt: skip
                with self.pool.processors(task, source.n_bytes) as processors:
                    process(processors, _reporting(reader, tell), intake)
            else:
                mapper = mapping.RecordMapper(form, content, self.settings.options)
                for block in _reporting(reader, tell):
                    intake.add(mapper.map(block))
            intake.finish()
            if replacement and given:
                changed, report.remarks = replacement.carry_out(txn, given, self.settings)
                report.n_replaced, report.days_replaced = replacement.n_rows, replacement.days
            row = row_of(report, identity, source.n_bytes, self.settings, self.state.now)
            if replacement and replacement.ingested_at:
                row |= {"ingested_at": replacement.ingested_at, "reread_at": self.state.now}
            txn.add("files", ledger.frame([row]), part=self.state.part(identity, "files"))
        self.state.record(row, *changed, gone=replacement.ids - {identity} if replacement else frozenset())
        self._remark(report, intake, identity)
        if form.beside and self.completed.n_left_out:
            report.notes[beside.LEFT_OUT] += self.completed.n_left_out
        if words := advice.of(report, form, self.state.store.root):
            report.remarks.append(words)
        return report

    def _identify(self, source: Source) -> tuple[str, list[Row]]:
        """The file's id and its ledger row; with ``again`` also the rows of its shorter states."""
        files = self.state.ledger.files
        if not self.again:
            identity, _ = identify(source.path)
            return identity, [files[identity]] if identity in files else []
        sizes = {row["n_bytes"] for row in files.values() if row["n_bytes"] < source.n_bytes}
        identity, shorter = identify(source.path, sizes)
        return identity, [files[i] for i in dict.fromkeys([identity, *shorter.values()]) if i in files]

    def _of_stored(self, source: Source, row: Row) -> tuple[FileReport, bool]:
        """Report of a file that was read before, and whether this call should read it a second time."""
        report = FileReport(
            source.path, row["format"], row["content"], status=row["status"] or "read",
            reason=row["reason"] or "already in the lake", in_lake=True,
        )  # fmt: skip
        if row["path"] not in (ledger.full_path(source.path), str(source.path)):
            report.copy_of = row["path"]
        report.reject_share = reject_share(row["n_lines"], row["n_rejects"], n_unauthenticated(row))
        changed = self.settings.changed(row) + self._other_format(source, row)
        accepted = self.bounds.accept(row["future_from"], row["late_to"])
        if gave_nothing(row):
            return report, bool(changed or accepted or self.settings.reader_changed(row))
        if changed:
            report.outdated = f"read under other settings ({'; '.join(changed)})"
        elif accepted:
            report.outdated = "lines that were set aside for their time would be taken by now"
            report.needs_backfill = self.bounds.backfill
        return report, False

    def _other_format(self, source: Source, row: Row) -> list[str]:
        """In words, how the format forced then or now changes the format of the file; empty if it does not."""
        then, now = forced_of(row), self.settings.format
        if then == now or now == row["format"] or row["content"] != "requests":
            return []
        if now == "auto":
            try:
                form, _ = detect(source.path, Reader(source).head(), None, self.settings.options)
            except LogError:
                return []  # the format had to be forced
            if form.name == row["format"]:
                return []
            now = form.name
        return [f"format was {row['format']}, is {now}"]

    def _remark(self, report: FileReport, intake: Intake, identity: str) -> None:
        """Add the remarks that the counts alone do not show."""
        attribute = self.settings.options.account_attribute
        if attribute and report.content == "requests" and report.n_lines and intake.n_named == 0:
            report.remarks.append(
                f"account_attribute {attribute!r} was found on 0 of {report.n_lines} lines; "
                "the format's own order was used"
            )
        if self.again:
            others = [
                r for r in self.state.ledger.at(report.path) if r["file_id"] != identity and r["n_requests"]
            ]
            if n := sum(r["n_requests"] for r in others):
                report.remarks.append(f"{n} rows that other files gave, read at this path before, stay")

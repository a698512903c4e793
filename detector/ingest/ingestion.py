"""Log files in, rows of the lake out. Text is measured here and goes no further.

    file -> blocks of lines -> canonical rows | rejects | duplicates -> measured, keyed -> parts by day

One transaction a file: a file is in the lake whole, with its rejects and its row in ``files``, or not at all.
Every entry is accounted for: lines = requests + rejects + duplicates. Every path given ends as read, passed
over or unreadable; no file stops the others.
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
from detector.ingest.sources import Found, Source, find
from detector.ingest.splitting import Block, Reject
from features import schema

if TYPE_CHECKING:
    from datetime import date

    from detector.lake.store import Store

Progress = Callable[[int, int, Path], None]
#: Bytes of a file from which on it pays to start further processes, which takes a second or two.
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
    found: Found | None = None,
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
    placeholders : texts that stand for content which was not logged, beside those shipped.
    trusted_hops : proxies of one's own that append to x-forwarded-for.
    pseudonymise : store account ids as keyed hashes.
    max_rejects : share of all lines of this call that may be rejected (0..1).
    max_clock_skew : lines further ahead of ``now`` are set aside (days).
    max_lateness : lines further before the newest day run are set aside (days).
    again : read files anew that were read before, and replace what they gave.
    backfill : take lines however late.
    ignore : patterns of file names or paths to pass over.
    found : what ``find`` made of ``paths``, where it was asked already.
    progress : called with bytes done, bytes in all, and the file.
    announce : told, before anything is done, of each file read again: rows that go, days they are of.
    each : told of each report as soon as it is complete.
    now : time of ingestion (UTC); the clock's, if not given.
    workers : processes that read a large file; as many as there are cores, up to eight, if not given.

    Raises
    ------
    LogError : a named path does not exist.
    ConfigError : no such format, an Envoy key for a column that does not exist, or a map that cannot work.
    DataQualityError : more rejects than ``max_rejects``, what was kept is stored.
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
    found = found or find(paths, ignore=ignore, lake=store.root)
    moment = (now.astimezone(UTC) if now and now.tzinfo else now or datetime.now(UTC)).replace(tzinfo=None)
    reports: list[FileReport] = []

    def done(report: FileReport) -> None:
        reports.append(report)
        if each:
            each(report)

    for skip in found.skips:
        done(FileReport(skip.path, status=skip.status, reason=skip.reason))
    with store.exclusive():
        bounds = Bounds.of(
            moment, store.days("runs"), max_clock_skew=max_clock_skew, max_lateness=max_lateness,
            backfill=backfill,
        )  # fmt: skip
        known = KnownState(store, key, pseudonymise=pseudonymise, now=moment)
        n_processes = workers or _workers(found.sources)
        completed = beside.gather(found.sources, known.ledger.files.values(), moment)
        call = _Call(
            known,
            forced,
            Settings(format, options, pseudonymise),
            bounds,
            again,
            Pool(n_processes),
            completed,
        )
        if again and announce:
            call.announce(found.sources, announce)
        try:
            call.take_all(found.sources, done, progress)
        finally:
            call.pool.close()
        known.ledger.write_skipped(store, [Path(p) for p in paths], reports, moment)
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
        apart = Reject(0, UNAUTHENTICATED).reason
        reason, n = next(found for found in worst.reasons.most_common() if found[0] != apart)
        raise DataQualityError(
            f"{n_rejects} of {n_lines} lines were rejected, more than {max_rejects:.4g} of them; most often in "
            f"{worst.path.name}: {reason} ({n} times)",
            hint=f'what could be read is stored; see: hydrawatch query --lake {lake} "SELECT * FROM rejects"',
        )


def _told(reader: Reader, tell: Callable[[int], None]) -> Iterator[Block]:
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
    """One call of ``ingest``: what it knows and how it was told to read."""

    known: KnownState
    forced: Format | None
    settings: Settings
    bounds: Bounds
    again: bool
    pool: Pool
    completed: beside.Completed

    def announce(self, sources: Iterable[Source], tell: Callable[[Path, int, list[date]], None]) -> None:
        """Say of each file what of it goes, before anything is done."""
        for source in sources:
            try:
                _, rows = self._identify(source)
            except LogError:
                continue  # told when its turn comes
            replacement = Replacement(self.known, rows, self.settings)
            tell(source.path, replacement.n_rows, replacement.days)

    def take_all(
        self, sources: Sequence[Source], done: Callable[[FileReport], None], progress: Progress | None
    ) -> None:
        """Every file, each by itself: one that cannot be read is reported and stops no other."""
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
                raise  # of the lake or the machine: no other file would fare better
            except Exception as error:  # whatever a file holds, the others are read
                where = traceback.extract_tb(error.__traceback__)[-1]
                words = f"a fault of hydrawatch: {type(error).__name__} in {Path(where.filename).name}:{where.lineno}"
                report = FileReport(source.path, status="unreadable", reason=f"{words}; please report it")
            done(report)
            n_done += source.n_bytes
            tell(0, source, n_done)

    def take(self, source: Source, tell: Callable[[int], None]) -> FileReport:
        """Read one file in one transaction; nothing is done when its very bytes were read before."""
        identity, rows = self._identify(source)
        row = self.known.ledger.files.get(identity)
        if row and not self.again:
            report, anew = self._of_known(source, row)
            if not anew:
                return report
        replacement = (
            Replacement(self.known, rows, self.settings if self.again else None)
            if rows or self.again
            else None
        )
        reader = Reader(source)
        form, content = detect(source.path, reader.head(), self.forced, self.settings.options)
        report = FileReport(source.path, form.name, content)
        given = Given(self.known.keying) if replacement else None
        changed: list[Row] = []
        with self.known.transaction(
            identity,
            unknown=replacement.unknown if replacement and (self.again or replacement.n_rows) else None,
        ) as txn:
            intake = Intake(self.known, txn, identity, report, self.bounds, given, self.completed)
            if replacement and replacement.ingested_at:
                intake.now = replacement.ingested_at
            if content == "requests":
                task = Task(
                    form.name, self.settings.options, self.known.key, self.known.pseudonymise, identity,
                    str(txn.folder()), ALL_ROWS // self.pool.workers,
                )  # fmt: skip
                with self.pool.processors(task, source.n_bytes) as processors:
                    process(processors, _told(reader, tell), intake)
            else:
                mapper = mapping.RecordMapper(form, content, self.settings.options)
                for block in _told(reader, tell):
                    intake.add(mapper.map(block))
            intake.finish()
            if replacement and given:
                changed, report.remarks = replacement.carry_out(txn, given, self.settings)
                report.n_replaced, report.days_replaced = replacement.n_rows, replacement.days
            row = row_of(report, identity, source.n_bytes, self.settings, self.known.now)
            if replacement and replacement.ingested_at:
                row |= {"ingested_at": replacement.ingested_at, "reread_at": self.known.now}
            txn.add("files", ledger.frame([row]), part=self.known.part(identity, "files"))
        self.known.record(row, *changed, gone=replacement.ids - {identity} if replacement else frozenset())
        self._remark(report, intake, identity)
        if form.beside and self.completed.n_left_out:
            report.notes[beside.LEFT_OUT] += self.completed.n_left_out
        if words := advice.of(report, form, self.known.store.root):
            report.remarks.append(words)
        return report

    def _identify(self, source: Source) -> tuple[str, list[Row]]:
        """The file's id, and the ledger's rows of it and, when it is read again, of its shorter states."""
        files = self.known.ledger.files
        if not self.again:
            identity, _ = identify(source.path)
            return identity, [files[identity]] if identity in files else []
        sizes = {row["n_bytes"] for row in files.values() if row["n_bytes"] < source.n_bytes}
        identity, shorter = identify(source.path, sizes)
        return identity, [files[i] for i in dict.fromkeys([identity, *shorter.values()]) if i in files]

    def _of_known(self, source: Source, row: Row) -> tuple[FileReport, bool]:
        """Report of a file read before, and whether it is to be read anew by itself."""
        report = FileReport(
            source.path, row["format"], row["content"], status=row["status"] or "read",
            reason=row["reason"] or "already in the lake", known=True,
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
        """Whether the format forced, then or now, makes the file another one; as words."""
        then, now = forced_of(row), self.settings.format
        if then == now or now == row["format"] or row["content"] != "requests":
            return []
        if now == "auto":
            try:
                form, _ = detect(source.path, Reader(source).head(), None, self.settings.options)
            except LogError:
                return []  # it had to be forced
            if form.name == row["format"]:
                return []
            now = form.name
        return [f"format was {row['format']}, is {now}"]

    def _remark(self, report: FileReport, intake: Intake, identity: str) -> None:
        """Say what the counts alone do not."""
        attribute = self.settings.options.account_attribute
        if attribute and report.content == "requests" and report.n_lines and intake.n_named == 0:
            report.remarks.append(
                f"account_attribute {attribute!r} was found on 0 of {report.n_lines} lines; "
                "the format's own order was used"
            )
        if self.again:
            others = [
                r for r in self.known.ledger.at(report.path) if r["file_id"] != identity and r["n_requests"]
            ]
            if n := sum(r["n_requests"] for r in others):
                report.remarks.append(f"{n} rows that other files gave, read at this path before, stay")

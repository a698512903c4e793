"""The door: log files in, rows of the lake out. Text is measured here and goes no further.

    file -> blocks of lines -> canonical rows | rejects | duplicates -> measured, keyed -> parts by day

One transaction a file: a file is in the lake whole, with its rejects and its row in ``files``, or not at all.
Every entry is accounted for: lines = requests + rejects + duplicates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path

import pyarrow as pa

from detector.errors import ConfigError, DataQualityError, LogError
from detector.ingest import advice, beside, mapping
from detector.ingest.detect import detect, named
from detector.ingest.formats import Format, Options, mapped
from detector.ingest.intake import FileReport, Intake
from detector.ingest.memory import Memory, Store
from detector.ingest.reader import Reader, file_id
from detector.ingest.sources import Source, find
from detector.ingest.splitting import Block
from features import schema

Progress = Callable[[int, int, Path], None]


def ingest(
    paths: Iterable[Path | str],
    store: Store,
    *,
    format: str = "auto",
    key: bytes,
    account_attribute: str | None = None,
    envoy_keys: Mapping[str, str] | None = None,
    mapped_keys: mapped.Keys | None = None,
    trusted_hops: int = 0,
    pseudonymise: bool = False,
    max_rejects: float = 0.5,
    progress: Progress | None = None,
    now: datetime | None = None,
) -> list[FileReport]:
    """Read log files into the lake; one report a file, in the order of their paths.

    Parameters
    ----------
    paths : files, folders (read whole), links.
    format : a format's name, or ``auto``.
    key : the lake's key for keyed hashes.
    account_attribute : log attribute that names the account, before the format's own order.
    envoy_keys : canonical name -> JSON key, for Envoy.
    mapped_keys : canonical name -> path or paths, for ``mapped``.
    trusted_hops : proxies of one's own that append to x-forwarded-for.
    pseudonymise : store account ids as keyed hashes.
    max_rejects : share of all lines of this call that may be rejected (0..1).
    progress : called with bytes done, bytes in all, and the file.
    now : time of ingestion (UTC); the clock's, if not given.

    Raises
    ------
    LogError : a named path cannot be read or its format not told; files before it stay ingested.
    ConfigError : no such format, an Envoy key for a column that does not exist, or a map that cannot work.
    DataQualityError : more rejects than ``max_rejects``, what was kept is stored.
    """
    forced = named(format)
    options = Options(account_attribute, dict(envoy_keys or {}), dict(mapped_keys or {}), trusted_hops)
    known = {c.name for c in schema.CANONICAL}
    if strange := sorted(set(options.envoy_keys) - known):
        raise ConfigError(
            f"envoy_keys: no such column {strange[0]!r}", hint=f"columns: {', '.join(sorted(known))}"
        )
    if (wrong := mapped.faults(options.mapped_keys)) and (options.mapped_keys or forced is mapped.FORMAT):
        raise ConfigError(
            f"mapped_keys: {'; '.join(wrong) if options.mapped_keys else 'not set, and --format mapped needs it'}",
            hint="let a map be proposed: hydrawatch ingest --suggest FILE (columns: see docs/formats.md, mapped)",
        )
    found = find(paths)
    moment = (now.astimezone(UTC) if now and now.tzinfo else now or datetime.now(UTC)).replace(tzinfo=None)
    reports = [FileReport(path, skipped=True, why=why) for path, why in found.passed]
    with store.exclusive():
        memory = Memory(store, key, pseudonymise=pseudonymise, now=moment)
        completed = beside.gather(found.sources, partial(_may_complete, memory, moment))
        total, done = sum(s.n_bytes for s in found.sources), 0
        for source in found.sources:

            def tell(n_read: int, source: Source = source, done: int = done) -> None:
                if progress:
                    progress(done + n_read, total, source.path)

            try:
                reports.append(_take(source, memory, forced, options, completed, tell))
            except LogError as error:
                if source.explicit:
                    raise
                reports.append(FileReport(source.path, skipped=True, why=error.message))
            done += source.n_bytes
            tell(0, source, done)
    reports.sort(key=lambda r: str(r.path))
    _judge(reports, max_rejects)
    return reports


def _judge(reports: list[FileReport], max_rejects: float) -> None:
    n_lines = sum(r.n_lines for r in reports)
    n_rejects = sum(r.n_rejects for r in reports)
    if n_lines and n_rejects / n_lines > max_rejects:
        worst = max(reports, key=lambda r: r.n_rejects)
        reason, n = worst.reasons.most_common(1)[0]
        raise DataQualityError(
            f"{n_rejects} of {n_lines} lines were rejected, more than {max_rejects:.0%}; most often in "
            f"{worst.path.name}: {reason} ({n} times)",
            hint=worst.advice
            or 'what could be read is stored; see: hydrawatch query "SELECT * FROM rejects"',
        )


def _may_complete(memory: Memory, now: datetime, source: Source) -> bool:
    """Files not yet in the lake, and those of the last days: a log may come later than the one that completes it."""
    try:
        age = now.replace(tzinfo=UTC).timestamp() - source.path.stat().st_mtime
        return age < beside.RECENT or file_id(source) not in memory.files
    except (OSError, LogError):
        return False


def _take(
    source: Source,
    memory: Memory,
    forced: Format | None,
    options: Options,
    completed: beside.Completed,
    tell: Callable[[int], None],
) -> FileReport:
    """Read one file in one transaction; skipped when its very bytes were read before."""
    identity = file_id(source)
    if identity in memory.files:
        return FileReport(source.path, skipped=True, why="already in the lake")
    reader = Reader(source)
    blocks = iter(reader)
    first = next(blocks, _EMPTY)
    while not first.lines.num_rows and (more := next(blocks, None)):
        first = Block(more.lines, [*first.rejects, *more.rejects])
    form, content = detect(source.path, first, forced, options)
    report = FileReport(source.path, form.name, content)
    try:
        with memory.store.transaction("ingest") as txn:
            intake = Intake(memory, txn, identity, report)
            mapper = mapping.RecordMapper(form, content, options, completed.of(form))
            for block in chain([first], blocks):
                intake.add(mapper.map(block))
                tell(reader.n_read)
            intake.finish(source)
        if form.beside and completed.n_left_out:
            report.notes[beside.LEFT_OUT] += completed.n_left_out
        report.advice = advice.of(report, form, memory.store.root)
    except BaseException:
        memory.forget()  # what this file taught is not in the lake after all
        raise
    memory.files.add(identity)
    return report


_EMPTY = Block(pa.table({"line": pa.array([], pa.int64()), "text": pa.array([], pa.large_string())}))

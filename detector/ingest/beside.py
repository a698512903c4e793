"""Logs that complete another log's requests by their ids: CloudTrail has the addresses that Bedrock's own log lacks.

These logs are read before the other files of a call of ``ingest``. Their values are kept in memory for that call, filled
into its requests, and stored nowhere. A record of such a log makes no request, since the call is in the other log.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from sys import intern
from typing import Any

import polars as pl

from detector.ingest import envelopes
from detector.ingest.complexity import is_too_complex
from detector.ingest.detect import records_in
from detector.ingest.formats import Beside, formats
from detector.ingest.ledger import full_path
from detector.ingest.reader import Reader
from detector.ingest.sources import Source
from detector.ingest.splitting import Block

#: Most records kept in one call of ``ingest`` (about 300 bytes each). Further ones are counted and not used.
MAX_KEPT = 1_000_000
LEFT_OUT = f"record of a log beside this one, more than {MAX_KEPT:,} in one call: not used, ingest fewer days at once"
#: Age up to which a file that is in the lake is read again (s): it may arrive before the log that it completes.
_RECENT = 2 * 86_400

Values = Mapping[str, str]


@dataclass
class Completed:
    """Values by format and request id."""

    kept: dict[str, dict[str, Values]] = field(default_factory=dict)
    n_left_out: int = 0

    def rows(self, form: str, requests: pl.Series) -> pl.DataFrame | None:
        """The values of these requests row by row, NULL where there are none; None when no request has any."""
        by_request = self.kept.get(form)
        if not by_request:
            return None
        rows = [by_request.get(number) for number in requests]
        names = {name for values in rows if values for name in values}
        if not names:
            return None
        return pl.DataFrame(
            {name: [values.get(name) if values else None for values in rows] for name in sorted(names)},
            schema=dict.fromkeys(sorted(names), pl.String()),
        )


def gather(sources: Iterable[Source], files: Iterable[Mapping[str, Any]], now: datetime) -> Completed:
    """The values in those ``sources`` that complete other logs and are new or recent.

    ``files`` are the ledger's rows. A file that cannot be read is passed over: its own turn reports the error.
    """
    completing = {name: form.beside for name, form in formats().items() if form.beside}
    in_lake = {(row["path"], row["n_bytes"]) for row in files}
    completed = Completed()
    for source in sources:
        try:
            age = now.replace(tzinfo=UTC).timestamp() - source.path.stat().st_mtime
            if source.layout != "parquet" and (
                age < _RECENT or (full_path(source.path), source.n_bytes) not in in_lake
            ):
                _read(source, completing, completed)
        except Exception:  # its own turn reports the error
            continue
    return completed


def _read(source: Source, completing: Mapping[str, Beside], completed: Completed) -> None:
    reader = Reader(source)
    records, _ = records_in(reader.head())
    name = next((n for n, log in completing.items() if any(log.sniff(r) for r in records)), None)
    if name is None:
        return
    log, by_request = completing[name], completed.kept.setdefault(name, {})
    for block in reader:
        for entry in _entries(block, log):
            record = log.read(entry)
            if record is None:
                continue
            number, values = record
            if len(by_request) >= MAX_KEPT and number not in by_request:
                completed.n_left_out += 1
            else:
                by_request[number] = {column: intern(value) for column, value in values.items()}


def _entries(block: Block, log: Beside) -> Iterator[Mapping[str, Any]]:
    for text in block.lines.column("text").to_pylist():
        try:
            parsed = envelopes.loads(text) if not is_too_complex(text) else None
        except ValueError:
            continue
        for entry in envelopes.unwrap(parsed, log.sniff):
            if isinstance(entry, Mapping):
                yield entry

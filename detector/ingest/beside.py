"""Logs that complete another log's requests by their ids: CloudTrail has the addresses that Bedrock's own log lacks.

They are read before the files of one call are taken, kept in memory while it lasts, and stored nowhere. What they hold is
filled into requests of the same call; a record alone makes no request, since the call is in the other log.
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

#: Records kept of one call of ``ingest`` (about 300 bytes each); more are counted and not used.
MAX_KEPT = 1_000_000
LEFT_OUT = f"record of a log beside this one, more than {MAX_KEPT:,} in one call: not used, ingest fewer days at once"
#: Files that are in the lake already are read again for this long, in seconds: a log may come later than the one that
#: completes it.
_RECENT = 2 * 86_400

Values = Mapping[str, str]


@dataclass
class Completed:
    """Values by format and request id."""

    kept: dict[str, dict[str, Values]] = field(default_factory=dict)
    n_left_out: int = 0

    def rows(self, form: str, requests: pl.Series) -> pl.DataFrame | None:
        """What is known of these requests, row by row and NULL where nothing is; None where it is nothing of all."""
        kept = self.kept.get(form)
        if not kept:
            return None
        found = [kept.get(number) for number in requests]
        names = {name for values in found if values for name in values}
        if not names:
            return None
        return pl.DataFrame(
            {name: [values.get(name) if values else None for values in found] for name in sorted(names)},
            schema=dict.fromkeys(sorted(names), pl.String()),
        )


def gather(sources: Iterable[Source], files: Iterable[Mapping[str, Any]], now: datetime) -> Completed:
    """What those of ``sources`` hold that complete others, as far as they are new or of the last days.

    ``files`` are the ledger's rows. What cannot be read is passed over here: it is told of when its turn comes.
    """
    completing = {name: form.beside for name, form in formats().items() if form.beside}
    read = {(row["path"], row["n_bytes"]) for row in files}
    made = Completed()
    for source in sources:
        try:
            age = now.replace(tzinfo=UTC).timestamp() - source.path.stat().st_mtime
            if source.layout != "parquet" and (
                age < _RECENT or (full_path(source.path), source.n_bytes) not in read
            ):
                _read(source, completing, made)
        except Exception:  # told when its turn comes
            continue
    return made


def _read(source: Source, completing: Mapping[str, Beside], made: Completed) -> None:
    reader = Reader(source)
    records, _ = records_in(reader.head())
    name = next((n for n, log in completing.items() if any(log.sniff(r) for r in records)), None)
    if name is None:
        return
    log, kept = completing[name], made.kept.setdefault(name, {})
    for block in reader:
        for entry in _entries(block, log):
            found = log.read(entry)
            if found is None:
                continue
            number, values = found
            if len(kept) >= MAX_KEPT and number not in kept:
                made.n_left_out += 1
            else:
                kept[number] = {column: intern(value) for column, value in values.items()}


def _entries(block: Block, log: Beside) -> Iterator[Mapping[str, Any]]:
    for text in block.lines.column("text").to_pylist():
        try:
            parsed = envelopes.loads(text) if not is_too_complex(text) else None
        except ValueError:
            continue
        for entry in envelopes.unwrap(parsed, log.sniff):
            if isinstance(entry, Mapping):
                yield entry

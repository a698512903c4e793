"""CSV and Parquet rows as JSON lines, so that every log goes one way from there on."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from detector.errors import Location, LogError
from detector.ingest.splitting import Block, Reject, block_of_list

_ROWS = 16_384


class _Physical:
    """Physical lines of a CSV file for ``csv.reader``, kept back while a row is open.

    When the row turns out broken its first line is given up and the others are read again, so that one
    stray quote does not swallow what follows.
    """

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._ready: list[str] = []  # lines not yet given out, the next one last
        self._tail = b""
        self._ended = False
        self.row: list[str] = []
        self.first_line = 1  # number of the row's first line

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        while not self._ready:
            if self._ended:
                raise StopIteration
            chunk = next(self._chunks, b"")
            self._ended = not chunk
            data = self._tail + chunk
            pieces = data.split(b"\n")
            self._tail = b"" if self._ended else pieces.pop()
            if self._ended and not pieces[-1]:
                pieces.pop()
            self._ready = [p.decode("utf-8", "surrogateescape") + "\n" for p in reversed(pieces)]
        line = self._ready.pop()
        self.row.append(line)
        return line

    def done(self) -> None:
        self.first_line += len(self.row)
        self.row = []

    def give_up_first(self) -> None:
        self._ready.extend(reversed(self.row[1:]))
        self.row = self.row[:1]
        self.done()


def csv_blocks(chunks: Iterable[bytes], path: Path, *, max_line: int) -> Iterator[Block]:
    """Blocks of the rows of a CSV file with a header; ``line`` is the row's first physical line.

    An empty field is a missing key.

    Raises
    ------
    LogError : no header, or the same column twice.
    """
    csv.field_size_limit(max_line)
    physical = _Physical(_without_bom(chunks))
    header = _header(physical, path)
    reader = csv.reader(physical, strict=True)
    entries: list[tuple[int, bytes]] = []
    rejects: list[Reject] = []
    while True:
        try:
            row = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            rejects.append(
                Reject(
                    physical.first_line,
                    "bad_csv_row",
                    f"not valid CSV: {error}",
                    n_bytes=_size(physical.row[:1]),
                )
            )
            physical.give_up_first()
            reader = csv.reader(physical, strict=True)
            continue
        number, size = physical.first_line, _size(physical.row)
        physical.done()
        if not row or row == [""]:
            rejects.append(Reject(number, "blank", n_bytes=size))
        elif len(row) != len(header):
            detail = f"{len(row)} fields, the header names {len(header)}"
            rejects.append(Reject(number, "bad_csv_row", detail, n_bytes=size))
        else:
            found = json.dumps(
                {k: v for k, v in zip(header, row, strict=True) if v != ""}, ensure_ascii=False
            )
            entries.append((number, found.encode("utf-8", "surrogateescape")))
        if len(entries) + len(rejects) >= _ROWS:
            yield block_of_list(entries, rejects)
            entries, rejects = [], []
    if entries or rejects:
        yield block_of_list(entries, rejects)


def _without_bom(chunks: Iterable[bytes]) -> Iterator[bytes]:
    for at, chunk in enumerate(chunks):
        yield chunk.removeprefix(b"\xef\xbb\xbf") if at == 0 else chunk


def _header(physical: _Physical, path: Path) -> list[str]:
    try:
        header = next(csv.reader(physical, strict=True), [])
    except csv.Error as error:
        raise LogError(f"not a CSV header: {error}", at=Location(str(path), 1)) from None
    physical.done()
    names = [name.strip() for name in header]
    if not any(names) or len(set(names)) != len(names) or not all(n.isprintable() for n in names):
        raise LogError(
            "expected a header line of distinct column names",
            at=Location(str(path), 1),
            hint="see docs/formats.md",
        )
    return names


def _size(row: list[str]) -> int:
    return sum(len(line) for line in row)


def parquet_blocks(path: Path) -> Iterator[Block]:
    """Blocks of the rows of a Parquet file; ``line`` counts rows, from 1.

    Raises
    ------
    LogError : not a whole Parquet file, or a column type that JSON cannot hold.
    """
    number = 1
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_ROWS, use_threads=False):
                frame = pl.from_arrow(_plain(pa.Table.from_batches([batch])))
                assert isinstance(frame, pl.DataFrame)
                texts = frame.write_ndjson().encode().split(b"\n")[: frame.height]
                yield block_of_list([(number + at, text) for at, text in enumerate(texts)], [])
                number += frame.height
    except (
        pa.ArrowInvalid,
        pa.ArrowNotImplementedError,
        pa.ArrowIOError,
        pl.exceptions.PolarsError,
    ) as error:
        raise LogError(f"not a readable Parquet file: {error}", at=Location(str(path))) from error


def _plain(table: pa.Table) -> pa.Table:
    """Maps become JSON objects and what JSON has no word for becomes text."""
    for at, field in enumerate(table.schema):
        if pa.types.is_map(field.type):
            texts = [
                None if v is None else json.dumps(dict(v), default=str) for v in table.column(at).to_pylist()
            ]
            table = table.set_column(at, field.name, pa.array(texts, pa.large_string()))
        elif pa.types.is_decimal(field.type):
            table = table.set_column(at, field.name, table.column(at).cast(pa.string()))
    return table

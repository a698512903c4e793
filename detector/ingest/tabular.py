"""Rows of a CSV file as JSON lines, so that every log takes one way from there on.

The first rows show the separator (comma, semicolon, tab, bar), or a first line ``sep=;`` names it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import chain, islice
from pathlib import Path

import orjson

from detector.errors import Location, LogError
from detector.ingest.splitting import BLOCK_BYTES, Block, Reject, block_of_list
from detector.ingest.unpack import shown
from features import schema

_ROWS = 16_384
_SEPARATORS = (",", ";", "\t", "|")
_BOM = b"\xef\xbb\xbf"
#: Names with capitals that formats look for. A warehouse without case writes them in capitals only.
_CAMEL = (
    "startTime", "endTime", "completionStartTime", "schemaType", "schemaVersion", "requestId", "modelId",
    "accountId", "errorCode", "inferenceRegion", "requestMetadata", "resourceId", "traceId", "projectId",
    "parentObservationId", "modelParameters", "usageDetails", "costDetails", "userId", "sessionId",
)  # fmt: skip


#: Lines that decide how a CSV file is written.
_LOOK_LINES = 50


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written. ``skip``: number of lines before its header."""

    separator: str = ","
    skip: int = 0


def dialect(head: bytes) -> Dialect:
    """The dialect that gives most of the first rows as many fields as the header."""
    lines = _texts(head)
    if lines and lines[0].strip().lower()[:5] in ("sep=;", "sep=,", "sep=|", "sep=\t", "sep="):
        return Dialect(lines[0].strip("\r\n")[4:5] or "\t", 1)
    if not lines:
        return Dialect()

    def fit(separator: str) -> tuple[float, int]:
        rows = _rows(lines, separator)
        n = len(rows[0]) if rows else 0
        same = sum(len(row) == n for row in rows)
        return (same / len(rows), n) if n > 1 else (0.0, 0)

    return Dialect(max(_SEPARATORS, key=fit))


def _rows(lines: list[str], separator: str) -> list[list[str]]:
    rows: list[list[str]] = []
    with suppress(csv.Error):  # a row cut off at the end of the head
        rows.extend(row for row in csv.reader(lines, strict=True, delimiter=separator) if row)
    return rows


def _texts(head: bytes) -> list[str]:
    """The first lines that are not blank."""
    filled = (line for line in head.removeprefix(_BOM).split(b"\n") if line.strip())
    return [line.decode("utf-8", "surrogateescape") + "\n" for line in islice(filled, _LOOK_LINES)]


def sample(head: bytes) -> Iterator[dict[str, str]]:
    """The first rows of ``head`` read as CSV, without those that do not fit its header."""
    if b"\n" not in head:
        head = head.replace(b"\r", b"\n")
    style = dialect(head)
    rows = _rows(_texts(head)[style.skip :], style.separator)
    if rows and len(rows[0]) > 1:
        names = spelled([name.strip() for name in rows[0]])
        for row in rows[1:]:
            if len(row) == len(names):
                yield {k: v for k, v in zip(names, row, strict=True) if k and v}


@cache
def _spellings() -> dict[str, str]:
    declared = (schema.CANONICAL, schema.ACCOUNTS, schema.ACCOUNT_EVENTS, schema.MODEL_RELEASES)
    return {name.casefold(): name for name in (*(c.name for cs in declared for c in cs), *_CAMEL)}


def spelled(header: list[str]) -> list[str]:
    """Header names as the formats write them.

    A name that differs from a known one only in case gets the known spelling. If the whole header is in capitals, as
    from a warehouse, the other names become lower case.
    """
    shouted = any(n.isupper() for n in header) and not any(c.islower() for n in header for c in n)
    taken = set(header)
    names: list[str] = []
    for name in header:
        spelling = _spellings().get(name.casefold(), name.lower() if shouted else name)
        names.append(name if spelling != name and spelling in taken else spelling)
    return names if len({n for n in names if n}) == len([n for n in names if n]) else header


class _Physical:
    """Physical lines of a CSV file for ``csv.reader``, remembered while a row is open.

    When a row is broken, its first line is given up and the others are read again, so that one stray quote does not
    swallow the rows after it.
    """

    def __init__(self, chunks: Iterable[bytes], max_row: int) -> None:
        self._chunks = iter(chunks)
        self._ready: list[str] = []  # lines not yet given out, the next one last
        self._tail: list[bytes] = []
        self._max_row = max_row
        self._ended = False
        self._n_row = 0
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
            if chunk and b"\n" not in chunk:
                self._tail.append(chunk)
                continue
            pieces = b"".join([*self._tail, chunk]).split(b"\n")
            self._tail = [] if self._ended else [pieces.pop()]
            if self._ended and not pieces[-1]:
                pieces.pop()
            self._ready = [p.decode("utf-8", "surrogateescape") + "\n" for p in reversed(pieces)]
        line = self._ready.pop()
        self.row.append(line)
        self._n_row += len(line)
        if self._n_row > self._max_row and len(self.row) > 1:
            raise csv.Error("a quote that is not closed")
        return line

    def done(self) -> None:
        self.first_line += len(self.row)
        self.row = []
        self._n_row = 0

    def give_up_first(self) -> None:
        self._ready.extend(reversed(self.row[1:]))
        self.row = self.row[:1]
        self.done()


def csv_blocks(
    chunks: Iterable[bytes], path: Path, *, max_line: int, block_bytes: int = BLOCK_BYTES
) -> Iterator[Block]:
    """Blocks of the rows of a CSV file with a header; ``line`` is the row's first physical line.

    An empty field is a missing key. A column without a name is left out.

    Raises
    ------
    LogError : no header, or the same column twice.
    """
    csv.field_size_limit(max_line)
    rest = iter(chunks)
    head = next(rest, b"")
    style = dialect(head)
    physical = _Physical(chain([head.removeprefix(_BOM)], rest), max_line)
    for _ in islice(physical, style.skip):
        physical.done()
    header = _header(physical, path, style.separator)
    rows = csv.reader(physical, strict=True, delimiter=style.separator)
    entries: list[tuple[int, bytes]] = []
    rejects: list[Reject] = []
    n_bytes = 0
    while True:
        try:
            row = next(rows)
        except StopIteration:
            break
        except csv.Error as error:
            size = _size(physical.row[:1])
            _add(rejects, Reject(physical.first_line, "bad_csv_row", f"not valid CSV: {error}", n_bytes=size))
            physical.give_up_first()
            rows = csv.reader(physical, strict=True, delimiter=style.separator)
            continue
        number, size = physical.first_line, _size(physical.row)
        n_lines = len(physical.row)
        physical.done()
        if not row or (not any(row) and len(header) > 1 and len(row) == 1):
            _add(rejects, Reject(number, "blank", n_bytes=size, n=n_lines))
        elif len(row) != len(header):
            detail = f"{len(row)} fields, the header names {len(header)}"
            rejects.append(Reject(number, "bad_csv_row", detail, n_bytes=size))
        else:
            text = _json(header, row)
            n_bytes += len(text)
            entries.append((number, text))
        if len(entries) + len(rejects) >= _ROWS or n_bytes >= block_bytes:
            yield block_of_list(entries, rejects)
            entries, rejects, n_bytes = [], [], 0
    if entries or rejects:
        yield block_of_list(entries, rejects)


def _add(rejects: list[Reject], new: Reject) -> None:
    """Add to ``rejects``; a run of blank lines is one reject."""
    last = rejects[-1] if rejects else None
    if last and last.code == new.code == "blank" and last.line + last.n == new.line:
        n_bytes = (last.n_bytes or 0) + (new.n_bytes or 0)
        rejects[-1] = Reject(last.line, "blank", n_bytes=n_bytes, n=last.n + new.n)
    else:
        rejects.append(new)


def _json(header: list[str], row: list[str]) -> bytes:
    """A row as JSON. Bytes that are not UTF-8 stay in it and make it a reject."""
    record = {k: v for k, v in zip(header, row, strict=True) if v != "" and k}
    try:
        return orjson.dumps(record)
    except TypeError:  # half a surrogate pair stands for each foreign byte
        return b"\xff" + repr(record).encode("utf-8", "surrogateescape")


def _header(physical: _Physical, path: Path, separator: str) -> list[str]:
    try:
        header = next(csv.reader(physical, strict=True, delimiter=separator), [])
    except csv.Error as error:
        raise LogError(f"not a CSV header: {error}", at=Location(shown(path), 1)) from None
    physical.done()
    names = spelled([name.strip() for name in header])
    named = [n for n in names if n]
    if not named or len(set(named)) != len(named) or not all(n.isprintable() for n in names):
        raise LogError(
            "expected a header line of distinct column names",
            at=Location(shown(path), 1),
            hint="see docs/formats.md",
        )
    return names


def _size(row: list[str]) -> int:
    return sum(len(line) for line in row)

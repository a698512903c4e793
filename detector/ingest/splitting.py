"""Bytes to blocks of whole lines (or elements of a JSON array), as Arrow text without copying.

A block holds some megabytes, so memory does not grow with the file. What cannot be a record at all - blank,
longer than the cap, not UTF-8 - is set aside here, each line by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

BLOCK_BYTES = 16 << 20
MAX_LINE = 64 << 20

_BOM = b"\xef\xbb\xbf"
_BLANK = b" \t\r\n\x0b\x0c"


#: Every way in which an entry may fail, and the sentence for it. ``{detail}`` and ``{field}`` are the
#: reject's own; a detail that the sentence has no place for follows it in brackets.
REASONS = {
    "blank": "blank line",
    "too_long": "line longer than {detail} bytes",
    "too_complex": "too many brackets or quotes to be parsed",
    "not_utf8": "not UTF-8",
    "not_json": "not valid JSON",
    "not_object": "not an object",
    "bad_csv_row": "{detail}",
    "bad_envelope": "a wrapper whose content cannot be read",
    "damaged": "archive is damaged ({detail}); what came before was read",
    "missing": "{field} is missing",
    "wrong_type": "{field}: {detail}",
    "not_a_call": "not a model call",
    "future": "dated in the future",
    "late": "dated before what this lake still takes",
    "unreadable": "cannot be read",
}
Code = Literal[
    "blank", "too_long", "too_complex", "not_utf8", "not_json", "not_object", "bad_csv_row", "bad_envelope",
    "damaged", "missing", "wrong_type", "not_a_call", "future", "late", "unreadable",
]  # fmt: skip


@dataclass(frozen=True)
class Reject:
    """An entry that could not be read.

    Parameters
    ----------
    line : its line, from 1; of a run of lines the first.
    code : why, one of ``REASONS``.
    detail : what the code leaves open, in words; never a value of the log.
    field : the column at fault.
    n_bytes : length of the entry, or of the whole run.
    n : lines it stands for; more than 1 only for a run of blank lines.
    """

    line: int
    code: Code
    detail: str = ""
    field: str | None = None
    n_bytes: int | None = None
    n: int = 1

    @property
    def reason(self) -> str:
        """Why, as a sentence."""
        sentence = REASONS[self.code]
        if "{detail}" in sentence or not self.detail:
            return sentence.format(detail=self.detail, field=self.field)
        return f"{sentence.format(field=self.field)} ({self.detail})"


@dataclass(frozen=True)
class Raw:
    """Whole lines as they stand in the file, not yet looked at; the last may lack its newline."""

    data: bytes
    first_line: int
    n_lines: int
    max_line: int

    def head(self, n: int) -> pa.Table:
        """Up to ``n`` of the first of them as lines; those that are not UTF-8 left out."""
        found = self.data[: n * 4096].split(b"\n")[: min(n, self.n_lines)]
        return of_list([(self.first_line + at, text) for at, text in enumerate(found)], [])[0]


class Block:
    """Whole entries. ``lines`` has ``line BIGINT, text VARCHAR``; ``rejects`` are those set aside already.

    A block of ``raw`` lines is split when its lines are first asked for, which costs as much as to parse them.
    """

    def __init__(
        self, lines: pa.Table | None = None, rejects: list[Reject] | None = None, *, raw: Raw | None = None
    ) -> None:
        self.raw = raw
        self._split = None if lines is None else (lines, rejects or [])

    @property
    def lines(self) -> pa.Table:
        return self._whole()[0]

    @property
    def rejects(self) -> list[Reject]:
        return self._whole()[1]

    @property
    def untouched(self) -> bool:
        """Whether no one has asked for its lines yet: every one of them was a record, or has still to be."""
        return self._split is None

    @property
    def last_line(self) -> int:
        """Number of the last entry; 0: none."""
        if self.raw:
            return self.raw.first_line + self.raw.n_lines - 1
        numbers = self.lines.column("line")
        return max([numbers[-1].as_py() if len(numbers) else 0, *(r.line + r.n - 1 for r in self.rejects)])

    def _whole(self) -> tuple[pa.Table, list[Reject]]:
        if self._split is None:
            assert self.raw
            self._split = _split(self.raw, array=False)
        return self._split


def _table(numbers: np.ndarray, texts: pa.Array) -> pa.Table:
    return pa.table({"line": pa.array(numbers, pa.int64()), "text": texts})


def of_list(entries: list[tuple[int, bytes]], rejects: list[Reject]) -> tuple[pa.Table, list[Reject]]:
    """Separate byte strings as lines; those that are not UTF-8 are rejected."""
    numbers: list[int] = []
    texts: list[str] = []
    for number, raw in entries:
        try:
            texts.append(raw.decode())
        except UnicodeDecodeError:
            rejects.append(Reject(number, "not_utf8", n_bytes=len(raw)))
        else:
            numbers.append(number)
    return _table(np.array(numbers, np.int64), pa.array(texts, pa.large_string())), rejects


def block_of_list(entries: list[tuple[int, bytes]], rejects: list[Reject]) -> Block:
    """A block of separate byte strings."""
    return Block(*of_list(entries, rejects))


def lines(
    chunks: Iterable[bytes], *, block_bytes: int = BLOCK_BYTES, max_line: int = MAX_LINE, array: bool = False
) -> Iterator[Block]:
    """Blocks of physical lines. ``array``: a JSON array with one element a line, its commas taken off.

    A final newline is no line of its own; a line over ``max_line`` bytes is skipped to its end and rejected.
    """
    held: list[bytes] = []  # chunks of the block being gathered; the last may end inside a line
    n_held = 0
    cut = -1  # where the last newline stands in what is held
    next_line = 1
    skipped = 0  # bytes of an overlong line passed over so far; 0: none
    first = True
    for chunk in chunks:
        if first:
            chunk, first = chunk.removeprefix(_BOM), False
        if skipped:
            end = chunk.find(b"\n")
            if end < 0:
                skipped += len(chunk)
                continue
            yield _overlong(next_line, skipped + end, max_line)
            next_line, skipped, chunk = next_line + 1, 0, chunk[end + 1 :]
        if (end := chunk.rfind(b"\n")) >= 0:
            cut = n_held + end
        held.append(chunk)
        n_held += len(chunk)
        if n_held >= block_bytes and cut >= 0:
            data = b"".join(held)
            raw = _raw(data[: cut + 1], next_line, max_line)
            yield Block(*_split(raw, array=True)) if array else Block(raw=raw)
            next_line += raw.n_lines
            held, n_held, cut = [data[cut + 1 :]], len(data) - cut - 1, -1
        elif n_held > max_line and cut < 0:
            skipped, held, n_held = n_held, [], 0
    if skipped:
        yield _overlong(next_line, skipped, max_line)
    elif data := b"".join(held):
        raw = _raw(data, next_line, max_line)
        yield Block(*_split(raw, array=True)) if array else Block(raw=raw)


def _overlong(line: int, n_bytes: int, max_line: int) -> Block:
    return block_of_list([], [Reject(line, "too_long", str(max_line), n_bytes=n_bytes)])


def _raw(data: bytes, first_line: int, max_line: int) -> Raw:
    return Raw(data, first_line, data.count(b"\n") + (not data.endswith(b"\n")), max_line)


def _split(raw: Raw, *, array: bool) -> tuple[pa.Table, list[Reject]]:
    """The lines of ``raw`` that may be records, and the others."""
    data, first_line, max_line = raw.data, raw.first_line, raw.max_line
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == 10)
    if not data.endswith(b"\n"):
        ends = np.append(ends, len(data))
    starts = np.concatenate(([0], ends[:-1] + 1))
    n_lines = len(ends)
    sizes = ends - starts
    if not array and sizes.min() > 2 and sizes.max() <= max_line:
        # Offsets into the data itself: each text keeps its newline, which JSON passes over.
        offsets = np.append(starts, len(data)).astype(np.int64)
        texts = pa.LargeStringArray.from_buffers(n_lines, pa.py_buffer(offsets), pa.py_buffer(data))
        try:
            texts.validate(full=True)
        except pa.ArrowInvalid:
            pass  # some line is not UTF-8: find out which, below
        else:
            if not _has_blank(data, sizes):
                return _table(np.arange(first_line, first_line + n_lines), texts), []
    entries: list[tuple[int, bytes]] = []
    rejects: list[Reject] = []
    for at, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        number, text = first_line + at, data[start:end].strip(_BLANK)
        if array:
            opened = text.lstrip(b"[,").lstrip(_BLANK)
            text = opened.rstrip(b",").rstrip(_BLANK)
            if text in (b"", b"]"):
                continue
            if text.count(b"]") > text.count(b"[") and text.endswith(b"]"):
                text = text[:-1].rstrip(_BLANK)
        if not text:
            rejects.append(Reject(number, "blank", n_bytes=end - start))
        elif end - start > max_line:
            rejects.append(Reject(number, "too_long", str(max_line), n_bytes=end - start))
        else:
            entries.append((number, text))
    return of_list(entries, rejects)


def _has_blank(data: bytes, sizes: np.ndarray) -> bool:
    """Whether a line of white space only may be among them (rare, so a cheap guess first)."""
    return bool((sizes < 64).any()) and any(not line.strip(_BLANK) for line in data.split(b"\n")[:-1])


_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\]]|"', re.DOTALL)
_OPEN = {b"{": b"}", b"[": b"]"}


class _Scanner:
    """Cuts a stream of bytes into top-level values, by brackets outside of strings.

    A value beyond ``max_line`` is let go piece by piece and comes out as its length alone.
    """

    def __init__(self, max_line: int) -> None:
        self.max_line = max_line
        self.buffer = b""
        self.closers: list[bytes] = []  # brackets still open, outermost first
        self.start = -1  # where the present value begins in the buffer; -1: between values
        self.at = 0  # how far the buffer was scanned
        self.n_dropped = 0  # bytes of the present value already let go

    def feed(self, chunk: bytes) -> Iterator[bytes | int]:
        """Values that end in ``chunk``: their bytes, or the length of one too long."""
        self.buffer += chunk
        for token in _TOKEN.finditer(self.buffer, self.at):
            text = token.group()
            if text == b'"':  # the string goes on beyond the buffer: wait for more of it
                self.at = token.start()
                break
            self.at = token.end()
            if text in _OPEN:
                if not self.closers:
                    self.start = token.start()
                self.closers.append(_OPEN[text])
            elif text in self.closers:
                # A closing bracket of an outer kind ends what was left open inside it: this value is
                # broken, the ones after it are not.
                while self.closers.pop() != text:
                    pass
                if not self.closers:
                    yield self._value(token.end())
                    self.start = -1
        else:
            self.at = len(self.buffer)
        self._let_go()

    def rest(self) -> bytes | int | None:
        """What is left of a value that does not end; None between values."""
        return self._value(len(self.buffer)) if self.start >= 0 else None

    def _value(self, end: int) -> bytes | int:
        length = self.n_dropped + end - self.start
        self.n_dropped = 0
        return length if length > self.max_line else self.buffer[self.start : end]

    def _let_go(self) -> None:
        """Drop what is scanned and not part of an unfinished value, and all of one beyond the cap."""
        if self.start < 0:
            self.buffer = self.buffer[self.at :]
            self.at = 0
        elif len(self.buffer) - self.start > self.max_line or self.n_dropped:
            self.n_dropped += len(self.buffer) - self.start
            left = self.buffer[self.at :]
            if left:  # inside a string: its opening quote, and the backslashes it may end in
                left = b'"' + left[1:][len(left[1:].rstrip(b"\\")) :]
            self.n_dropped -= len(left)
            self.buffer, self.start, self.at = left, 0, 0
        else:
            self.buffer = self.buffer[self.start :]
            self.at -= self.start
            self.start = 0


def elements(
    chunks: Iterable[bytes], *, in_array: bool, block_bytes: int = BLOCK_BYTES, max_line: int = MAX_LINE
) -> Iterator[Block]:
    """Blocks of JSON values that do not keep to lines: an array's elements, or values one after another.

    ``line`` counts values, from 1. Scalars between them are passed over.
    """
    scanner = _Scanner(max_line)
    entries: list[tuple[int, bytes]] = []
    rejects: list[Reject] = []
    number, n_held = 0, 0

    def take(value: bytes | int) -> int:
        if isinstance(value, int):
            rejects.append(Reject(number, "too_long", str(max_line), n_bytes=value))
            return 0
        entries.append((number, value))
        return len(value)

    opened = not in_array
    for chunk in chunks:
        if not opened:
            opened, chunk = b"[" in chunk, chunk[chunk.find(b"[") + 1 :] if b"[" in chunk else b""
        for value in scanner.feed(chunk):
            number += 1
            n_held += take(value)
            if n_held >= block_bytes:
                yield block_of_list(entries, rejects)
                entries, rejects, n_held = [], [], 0
    if (left := scanner.rest()) is not None:
        number += 1
        take(left)
    if entries or rejects:
        yield block_of_list(entries, rejects)

"""Splits bytes into blocks of whole lines (or elements of a JSON array), as Arrow text without copying.

A block holds some megabytes, so memory does not grow with the file. A line that cannot be a record (blank, too
long, not UTF-8) is rejected here, by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import pyarrow as pa

BLOCK_BYTES = 16 << 20
BLOCK_LINES = 65_536
MAX_LINE = 64 << 20

_BOM = b"\xef\xbb\xbf"
_BLANK = b" \t\r\n\x0b\x0c\0"
#: A line of that many bytes is not checked for being blank. If it is blank all the same, it is rejected as no JSON.
_SURELY_FILLED = 64
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_FILLED = np.array([byte not in _BLANK for byte in range(256)])


#: The sentence for each code of a reject. ``{detail}`` and ``{field}`` are those of the reject; a detail without a
#: place in the sentence follows in brackets.
REASONS = {
    "blank": "blank line",
    "too_long": "line longer than {detail} bytes",
    "too_complex": "too many brackets or quotes to be parsed",
    "not_utf8": "not UTF-8",
    "not_json": "not valid JSON",
    "not_object": "not an object",
    "bad_entry": "no entry of this format",
    "bad_csv_row": "{detail}",
    "bad_envelope": "a wrapper whose content cannot be read",
    "damaged": "archive is damaged ({detail}); what came before was read",
    "missing": "{field} is missing",
    "unauthenticated": "no account, and refused with status 401 or 403: authentication failed",
    "wrong_type": "{field}: {detail}",
    "not_a_call": "not a model call",
    "future": "dated in the future",
    "late": "dated before what this lake takes without --backfill",
    "unreadable": "cannot be read",
}
Code = Literal[
    "blank", "too_long", "too_complex", "not_utf8", "not_json", "not_object", "bad_entry", "bad_csv_row", "bad_envelope",
    "damaged", "missing", "unauthenticated", "wrong_type", "not_a_call", "future", "late", "unreadable",
]  # fmt: skip


@dataclass(frozen=True)
class Reject:
    """An entry that could not be read.

    Parameters
    ----------
    line : its line, from 1; the first one of a run of lines.
    code : one of ``REASONS``.
    detail : further words; never a value of the log.
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
    """Whole unchecked lines of a file. The last one may lack its newline."""

    data: bytes
    first_line: int
    n_lines: int
    max_line: int

    def head(self, n: int) -> pa.Table:
        """Up to ``n`` first lines, without those that are not UTF-8."""
        texts = self.data[: n * 4096].split(b"\n")[: min(n, self.n_lines)]
        return of_list([(self.first_line + at, text) for at, text in enumerate(texts)], [])[0]


class Block:
    """Whole entries: ``lines`` has ``line BIGINT, text VARCHAR``, ``rejects`` are the lines that can be no record.

    A block of ``raw`` lines is split when its lines are first needed: splitting costs as much as parsing.
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
        """Whether its lines were never split, so that it has no rejects yet."""
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
    """Byte strings as lines. A string that is not UTF-8 is rejected."""
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
    """Blocks of physical lines. ``array``: the lines are elements of a JSON array; their commas are taken off.

    A final newline starts no further line. A line over ``max_line`` bytes is skipped to its end and rejected. NUL
    bytes before the first line are passed over: a log has them when it was truncated while its writer went on.
    """
    pending: list[bytes] = []  # chunks of the block being gathered; the last may end inside a line
    n_pending = n_newlines = 0
    cut = -1  # position of the last newline in ``pending``
    next_line = 1
    skipped = 0  # bytes of an overlong line passed over so far; 0: none
    first = True
    for chunk in chunks:
        if first:
            chunk = chunk.removeprefix(_BOM).lstrip(b"\0")
            if not chunk:
                continue
            first = False
        if skipped:
            end = chunk.find(b"\n")
            if end < 0:
                skipped += len(chunk)
                continue
            yield _overlong(next_line, skipped + end, max_line)
            next_line, skipped, chunk = next_line + 1, 0, chunk[end + 1 :]
        if (end := chunk.rfind(b"\n")) >= 0:
            cut = n_pending + end
        pending.append(chunk)
        n_pending += len(chunk)
        n_newlines += chunk.count(b"\n")
        if (n_pending >= block_bytes or n_newlines >= BLOCK_LINES) and cut >= 0:
            data = b"".join(pending)
            yield from _whole_lines(data[: cut + 1], next_line, max_line, array=array)
            next_line += n_newlines
            pending, n_pending, n_newlines, cut = [data[cut + 1 :]], len(data) - cut - 1, 0, -1
        elif n_pending > max_line and cut < 0:
            skipped, pending, n_pending = n_pending, [], 0
    if skipped:
        yield _overlong(next_line, skipped, max_line)
    elif data := b"".join(pending):
        yield from _whole_lines(data, next_line, max_line, array=array)


def _whole_lines(data: bytes, first_line: int, max_line: int, *, array: bool) -> Iterator[Block]:
    """Blocks of at most ``BLOCK_LINES`` lines: memory for each line must not grow with the bytes of a block."""
    n_lines = data.count(b"\n") + (not data.endswith(b"\n"))
    if n_lines <= BLOCK_LINES:
        pieces = [data]
    else:
        ends = np.flatnonzero(np.frombuffer(data, np.uint8) == 10)[BLOCK_LINES - 1 :: BLOCK_LINES] + 1
        edges = [0, *ends.tolist(), len(data)]
        pieces = [data[a:b] for a, b in pairwise(edges) if b > a]
    for piece in pieces:
        n_lines = piece.count(b"\n") + (not piece.endswith(b"\n"))
        raw = Raw(piece, first_line, n_lines, max_line)
        yield Block(*_split(raw, array=True)) if array else Block(raw=raw)
        first_line += n_lines


def _overlong(line: int, n_bytes: int, max_line: int) -> Block:
    return block_of_list([], [Reject(line, "too_long", str(max_line), n_bytes=n_bytes)])


def _split(raw: Raw, *, array: bool) -> tuple[pa.Table, list[Reject]]:
    """The lines of ``raw`` that may be records, and rejects for the others."""
    data, first_line, max_line = raw.data, raw.first_line, raw.max_line
    codes = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(codes == 10)
    if not data.endswith(b"\n"):
        ends = np.append(ends, len(data))
    starts = np.concatenate(([0], ends[:-1] + 1))
    sizes = ends - starts
    filled = None
    if sizes.min() < _SURELY_FILLED:
        filled = np.logical_or.reduceat(_FILLED[codes], starts)
    if not array and (filled is None or filled.all()) and sizes.max() <= max_line and _BOM not in data:
        # Offsets into the data itself: each text keeps its newline, which JSON passes over.
        offsets = np.append(starts, len(data)).astype(np.int64)
        texts = pa.LargeStringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(data))
        try:
            texts.validate(full=True)
        except pa.ArrowInvalid:
            pass  # some line is not UTF-8; the code below finds it
        else:
            return _table(np.arange(first_line, first_line + len(ends)), texts), []
    if array:
        return _split_array(data, first_line, max_line, starts, ends)
    entries: list[tuple[int, bytes]] = []
    if filled is None:
        filled = np.ones(len(ends), bool)
    rejects = _blank_runs(~filled, starts, ends, first_line)
    for at in np.flatnonzero(filled).tolist():
        number, size = first_line + at, int(sizes[at])
        if size > max_line:
            rejects.append(Reject(number, "too_long", str(max_line), n_bytes=size))
        else:
            entries.append((number, _tidy(data[starts[at] : ends[at]])))
    return of_list(entries, rejects)


def _tidy(line: bytes) -> bytes:
    return line.strip(_BLANK).removeprefix(_BOM).lstrip(_BLANK)


def _split_array(
    data: bytes, first_line: int, max_line: int, starts: np.ndarray, ends: np.ndarray
) -> tuple[pa.Table, list[Reject]]:
    """The same for the lines of a JSON array. A line of brackets and commas alone is no entry."""
    entries: list[tuple[int, bytes]] = []
    rejects: list[Reject] = []
    for at, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        opened = data[start:end].strip(_BLANK).lstrip(b"[,").lstrip(_BLANK)
        text = opened.rstrip(b",").rstrip(_BLANK)
        if text.endswith(b"]") and _closes_more(text):
            text = text[:-1].rstrip(_BLANK)
        if end - start > max_line:
            rejects.append(Reject(first_line + at, "too_long", str(max_line), n_bytes=end - start))
        elif text not in (b"", b"]"):
            entries.append((first_line + at, text))
    return of_list(entries, rejects)


def _closes_more(text: bytes) -> bool:
    """Whether ``text`` closes more lists than it opens, without brackets inside strings."""
    bare = _STRING.sub(b"", text)
    return bare.count(b"]") > bare.count(b"[")


def _blank_runs(blank: np.ndarray, starts: np.ndarray, ends: np.ndarray, first_line: int) -> list[Reject]:
    """One reject for each run of blank lines, so that a file of newlines costs little."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], blank, [False])).astype(np.int8)))
    return [
        Reject(first_line + low, "blank", n_bytes=int(ends[high - 1] - starts[low]), n=high - low)
        for low, high in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
    ]

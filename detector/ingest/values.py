"""Cuts a stream into JSON values that do not keep to lines: elements of an array, or values one after another.

Only brackets outside strings decide. The content of a value is not parsed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from detector.ingest.splitting import BLOCK_BYTES, BLOCK_LINES, MAX_LINE, Block, Reject, block_of_list

_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\]]|"', re.DOTALL)
_OPEN = {b"{": ord("}"), b"[": ord("]")}


class _Scanner:
    """Cuts a stream of bytes into top-level values, by brackets outside strings.

    A value longer than ``max_line`` is dropped piece by piece; only its length comes out.
    """

    def __init__(self, max_line: int, *, in_member: bool = False) -> None:
        self.max_line = max_line
        self.in_member = in_member  # the values are of a list that is a member of an object
        self.is_closed = False  # that list has ended: a value with a name is no entry any more
        self.has_name = False
        self.buffer = b""
        self.closers = bytearray()  # closing brackets that are still missing, outermost first
        self.start = -1  # start of the current value in the buffer; -1: between values
        self.at = 0  # end of the scanned part of the buffer
        self.n_dropped = 0  # bytes of the current value that were dropped

    def feed(self, chunk: bytes) -> Iterator[bytes | int]:
        """Values that end in ``chunk``: their bytes, or the length of one that is too long."""
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
                # A closing bracket also ends the brackets left open inside it: this value is broken, but the
                # values after it are not.
                while self.closers.pop() != text[0]:
                    pass
                if not self.closers:
                    value = self._value(token.end())
                    if not (self.is_closed and self.has_name):
                        yield value
                    self.start, self.has_name = -1, False
            elif not self.closers:
                self.is_closed |= self.in_member and text == b"]"
                self.has_name = text[:1] == b'"'
        else:
            self.at = len(self.buffer)
        self._drop()

    def rest(self) -> bytes | int | None:
        """The rest of a value that does not end; None between values."""
        return self._value(len(self.buffer)) if self.start >= 0 else None

    def _value(self, end: int) -> bytes | int:
        length = self.n_dropped + end - self.start
        self.n_dropped = 0
        return length if length > self.max_line else self.buffer[self.start : end]

    def _drop(self) -> None:
        """Drop scanned bytes outside of an unfinished value, and all bytes of a value that is too long."""
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
    chunks: Iterable[bytes],
    *,
    in_array: bool,
    in_member: bool = False,
    skip: int = 0,
    block_bytes: int = BLOCK_BYTES,
    max_line: int = MAX_LINE,
) -> Iterator[Block]:
    """Blocks of JSON values: an array's elements (``in_array``), or values one after another.

    ``line`` counts values, from 1. Scalars between them are passed over. ``skip``: number of bytes before the first
    value, or before the array's bracket. ``in_member``: the array is a member of an object, and the object's other
    members are no values.
    """
    scanner = _Scanner(max_line, in_member=in_member)
    entries: list[tuple[int, bytes]] = []
    rejects: list[Reject] = []
    number, n_bytes = 0, 0

    def take(value: bytes | int) -> int:
        if isinstance(value, int):
            rejects.append(Reject(number, "too_long", str(max_line), n_bytes=value))
            return 0
        entries.append((number, value))
        return len(value)

    opened = not in_array
    for chunk in chunks:
        if skip:
            chunk, skip = chunk[skip:], max(skip - len(chunk), 0)
        if not opened:
            opened, chunk = b"[" in chunk, chunk[chunk.find(b"[") + 1 :] if b"[" in chunk else b""
        for value in scanner.feed(chunk):
            number += 1
            n_bytes += take(value)
            if n_bytes >= block_bytes or len(entries) + len(rejects) >= BLOCK_LINES:
                yield block_of_list(entries, rejects)
                entries, rejects, n_bytes = [], [], 0
    if (unended := scanner.rest()) is not None:
        number += 1
        take(unended)
    if entries or rejects:
        yield block_of_list(entries, rejects)

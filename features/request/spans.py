"""Hashes of token runs and the lines and sentences of a text: what keys and skeletons are made from.

All hashes here are fixed (not keyed); nothing of them is stored before it went through a keyed function.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from features.request.keyed import U64, mix
from features.request.tokens import COLON, HARD_COLON, HARD_STOP, I64, NEWLINE, QUOTE, STOP, Tokens, poly

__all__ = ["Grams", "Pieces", "first_of", "grams", "pieces"]

_FIRST, _LAST, _COUNT = (np.uint64(c) for c in (0x9FB21C651E98DF25, 0xD1342543DE82EF95, 0xAF251AF3B0F025B5))


@dataclass(frozen=True)
class Grams:
    """Runs of tokens starting at each token, regardless of where texts end (callers mind the bounds).

    ``pair`` and ``triple`` are polynomial hashes of 2 and 3 tokens; their last 1 and 2 entries are 0.
    ``running`` (one longer than the tokens) is the running sum of mixed pairs, so that any span has a hash
    at the price of two look-ups.
    """

    token: U64
    pair: U64
    triple: U64
    running: U64

    def span(self, start: I64, end: I64) -> U64:
        """Hash of the tokens [start, end) of each span; every span holds at least one token."""
        last = end - 1
        value = self.running[last] - self.running[start]
        value ^= self.token[start] * _FIRST
        value += self.token[last] * _LAST
        value += (end - start).astype(np.uint64) * _COUNT
        return mix(value)

    def four(self, start: I64) -> U64:
        """Hash of the four tokens from each position."""
        return self.pair[start] * poly(2) + self.pair[start + 2]

    def eight(self, start: I64) -> U64:
        """Hash of the eight tokens from each position."""
        return self.four(start) * poly(4) + self.four(start + 4)

    def five(self) -> U64:
        """Hash of the five tokens from every position where five follow (4 shorter than the tokens)."""
        count = max(len(self.token) - 4, 0)
        value: U64 = self.triple[:count] * poly(2)
        value += self.pair[3 : 3 + count]
        return value


def grams(tokens: Tokens) -> Grams:
    """Hashes of all short runs of a batch's tokens."""
    token = tokens.hashes
    pair = np.zeros_like(token)
    triple = np.zeros_like(token)
    if len(token) > 1:
        np.multiply(token[:-1], poly(1), out=pair[:-1])
        pair[:-1] += token[1:]
    if len(token) > 2:
        np.multiply(pair[:-2], poly(1), out=triple[:-2])
        triple[:-2] += token[2:]
    running = np.zeros(len(token) + 1, dtype=np.uint64)
    np.cumsum(mix(pair.copy()), out=running[1:])
    return Grams(token, pair, triple, running)


@dataclass(frozen=True)
class Pieces:
    """Lines cut into sentences, in order.

    ``start`` and ``end`` bound a piece's tokens, ``at`` is its first byte, ``line_end`` says that a line
    ends with it; ``label`` is the token behind its first colon (where the colon ends a word), ``labelled``
    says that there is one, and ``quote`` is the token behind its first quotation mark or backtick, ``end``
    where there is none.
    ``rows`` (n + 1) bounds each text's pieces. ``newlines`` and ``quotes`` are the bytes where lines end
    and where quotation marks and backticks stand.
    """

    start: I64
    end: I64
    at: I64
    line_end: npt.NDArray[np.bool_]
    label: I64
    labelled: npt.NDArray[np.bool_]
    quote: I64
    rows: I64
    newlines: I64
    quotes: I64


def pieces(tokens: Tokens) -> Pieces:
    """Lines and sentences of a batch. A text always ends a line, so every text has at least one piece."""
    first_byte, last_byte = tokens.row_bytes[0], tokens.row_bytes[-1]
    # The classes of marks are those from STOP to HARD_COLON (less wraps round) and NEWLINE, few bytes of all.
    kinds = tokens.kinds[first_byte:last_byte]
    some = (kinds - np.uint8(STOP)) <= HARD_COLON - STOP
    some |= kinds == NEWLINE
    mark = np.flatnonzero(some)
    mark += first_byte
    kind = tokens.kinds[mark]
    spaced = tokens.kinds[mark + 1] <= NEWLINE
    newline = kind == NEWLINE
    stops = ((kind == STOP) & spaced) | newline | (kind == HARD_STOP)
    at = mark[stops]
    end = np.searchsorted(tokens.starts, at)
    start = np.empty_like(end)
    first = np.empty_like(at)
    if len(at):
        start[0], start[1:] = tokens.row_tokens[0], end[:-1]
        first[0], first[1:] = tokens.row_bytes[0], at[:-1] + 1
    colons = mark[((kind == COLON) & spaced) | (kind == HARD_COLON)]
    label, labelled = _first_mark(tokens, at, end, colons)
    quotes = mark[kind == QUOTE]
    quote, _ = _first_mark(tokens, at, end, quotes)
    rows = np.searchsorted(at, tokens.row_bytes)
    return Pieces(start, end, first, newline[stops], label, labelled, quote, rows, mark[newline], quotes)


def _first_mark(tokens: Tokens, at: I64, end: I64, marks: I64) -> tuple[I64, npt.NDArray[np.bool_]]:
    """For each piece the token behind its first mark (its end where it has none), and whether it has one."""
    found, marked = end.copy(), np.zeros(len(end), dtype=np.bool_)
    if len(marks):
        piece = np.searchsorted(at, marks)
        first = first_of(piece)
        found[piece[first]] = np.searchsorted(tokens.starts, marks[first])
        marked[piece] = True
    return found, marked


def first_of(groups: I64) -> npt.NDArray[np.bool_]:
    """Which entries of a sorted array are the first of their value."""
    first = np.ones(len(groups), dtype=np.bool_)
    np.not_equal(groups[1:], groups[:-1], out=first[1:])
    return first

"""Hashes of token runs and the lines and sentences of a text: what keys and skeletons are made from.

All hashes here are fixed (not keyed); nothing of them is stored before it went through a keyed function.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from features.request.hashing import hash_runs
from features.request.keyed import U64
from features.request.lexing import HARD_COLON, NEWLINE, QUOTE, STOP, cut_pieces
from features.request.tokens import I64, Tokens

__all__ = ["Grams", "Pieces", "grams", "pieces"]


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


def grams(tokens: Tokens) -> Grams:
    """Hashes of all short runs of a batch's tokens."""
    token = tokens.hashes
    pair, triple = np.empty_like(token), np.empty_like(token)
    running = np.empty(len(token) + 1, dtype=np.uint64)
    hash_runs(token, pair, triple, running)
    return Grams(token, pair, triple, running)


@dataclass(frozen=True)
class Pieces:
    """Lines cut into sentences, in order.

    ``start`` and ``end`` bound a piece's tokens, ``at`` is its first byte, ``line_end`` says that a line
    ends with it; ``label`` is the token behind its first colon (where the colon ends a word), ``labelled``
    says that there is one, and ``quote`` is the token behind its first quotation mark or backtick, ``end``
    where there is none.
    ``rows`` (n + 1) bounds each text's pieces, ``lines`` counts its lines that are not blank. ``quotes``
    are the bytes where quotation marks and backticks stand.
    """

    start: I64
    end: I64
    at: I64
    line_end: npt.NDArray[np.bool_]
    label: I64
    labelled: npt.NDArray[np.bool_]
    quote: I64
    rows: I64
    lines: I64
    quotes: I64


def pieces(tokens: Tokens) -> Pieces:
    """Lines and sentences of a batch. A text always ends a line, so every text has at least one piece."""
    first_byte, last_byte = tokens.row_bytes[0], tokens.row_bytes[-1]
    # The classes of marks are those from STOP to HARD_COLON (less wraps round) and NEWLINE, few bytes of all.
    kinds = tokens.kinds[first_byte:last_byte]
    some = (kinds - np.uint8(STOP)) <= HARD_COLON - STOP
    some |= kinds == NEWLINE
    marks = np.flatnonzero(some)
    marks += first_byte
    n, texts = len(marks), len(tokens.row_bytes) - 1
    start, end, at, label, quote = (np.empty(n, dtype=np.int64) for _ in range(5))
    line_end, labelled = (np.empty(n, dtype=np.bool_) for _ in range(2))
    rows, lines = np.empty(texts + 1, dtype=np.int64), np.empty(texts, dtype=np.int64)
    n = cut_pieces(
        tokens.kinds, marks, tokens.starts, tokens.row_bytes,
        start, end, at, line_end, label, labelled, quote, rows, lines,
    )  # fmt: skip
    quotes = marks[tokens.kinds[marks] == QUOTE]
    return Pieces(
        start[:n], end[:n], at[:n], line_end[:n], label[:n], labelled[:n], quote[:n], rows, lines, quotes
    )

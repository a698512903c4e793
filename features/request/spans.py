"""Hashes of token runs, and the lines and sentences of a text. Keys and skeletons are made from them.

All hashes here are fixed and not keyed. None is stored before it went through a keyed function.
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
    """Runs of tokens from each token on. Runs may cross the end of a text; callers mind the bounds.

    ``pair`` and ``triple`` are polynomial hashes of 2 and 3 tokens; their last 1 and 2 entries are 0. ``running`` (one
    longer than the tokens) is the running sum of mixed pairs, so that the hash of any span takes two look-ups.
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

    ``start`` and ``end`` bound the tokens of a piece. ``at`` is its first byte. ``line_end`` says that a line ends with
    it. ``label`` is the token after its first colon that ends a word, and ``labelled`` says that there is one. ``quote``
    is the token after its first quotation mark or backtick, or ``end``.
    ``rows`` (n + 1) bounds the pieces of each text, ``lines`` counts its lines that are not blank. ``quotes`` are the
    positions of quotation marks and backticks (bytes).
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
    """Lines and sentences of a batch. The end of a text ends a line, so every text has at least one piece."""
    first_byte, last_byte = tokens.row_bytes[0], tokens.row_bytes[-1]
    # Marks are the classes from STOP to HARD_COLON, and NEWLINE. The subtraction wraps round for smaller classes.
    kinds = tokens.kinds[first_byte:last_byte]
    is_mark = (kinds - np.uint8(STOP)) <= HARD_COLON - STOP
    is_mark |= kinds == NEWLINE
    marks = np.flatnonzero(is_mark)
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

"""Content keys: hashed traces a scaffold leaves in a prompt whatever is filled into it.

Raw keys are fixed hashes in one column a place; ``measure`` puts them through the keyed function and
writes their kind into the low four bits. 0 marks a place that is empty.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from features.request.keyed import U64, mix
from features.request.sketch import BANDS
from features.request.spans import Grams, Pieces
from features.request.tokens import I64, Tokens
from features.schema import CONTENT_KEY_KINDS

__all__ = ["BAND_TOKENS", "KINDS", "LINES", "raw_keys"]

#: Lines kept of a text, and 5-grams sampled of it.
LINES = 6
GRAMS = 8
#: A line or text of fewer tokens is too common to be anybody's.
LONG = 4
#: Shorter texts have too few shingles for bands to mean likeness.
BAND_TOKENS = 8

_CODE = {name: code for code, name in CONTENT_KEY_KINDS.items()}

#: Kind of each column of the raw keys.
KINDS: npt.NDArray[np.uint64] = np.array(
    [_CODE["exact"], _CODE["opening4"], _CODE["opening8"], _CODE["ending4"], _CODE["ending8"]]
    + [_CODE["line"]] * LINES
    + [_CODE["gram5"]] * GRAMS
    + [_CODE["band"]] * BANDS
    + [_CODE["template"]],
    dtype=np.uint64,
)
_LINE_AT, _GRAM_AT = 5, 5 + LINES
_BAND_AT, TEMPLATE_AT = _GRAM_AT + GRAMS, _GRAM_AT + GRAMS + BANDS
_NONE = np.uint64(0xFFFFFFFFFFFFFFFF)


def raw_keys(tokens: Tokens, grams: Grams, pieces: Pieces, band: U64, template: U64, salt: np.uint64) -> U64:
    """Raw keys of each text, (n, ``len(KINDS)``); ``salt`` decides which 5-grams and lines are sampled.

    Sampling is by least hash, so texts with a scaffold in common tend to keep the same pieces of it.
    """
    counts = tokens.counts
    start, end = tokens.row_tokens[:-1], tokens.row_tokens[1:]
    out = np.zeros((len(counts), len(KINDS)), dtype=np.uint64)
    some = np.flatnonzero(counts)
    out[some, 0] = grams.span(start[some], end[some])
    four = np.flatnonzero(counts >= LONG)
    out[four, 1] = grams.four(start[four])
    out[four, 3] = grams.four(end[four] - 4)
    eight = np.flatnonzero(counts >= 8)
    out[eight, 2] = grams.eight(start[eight])
    out[eight, 4] = grams.eight(end[eight] - 8)
    _lines(out, grams, pieces, salt)
    _five(out, tokens, grams, salt)
    banded = counts >= BAND_TOKENS
    out[banded, _BAND_AT:TEMPLATE_AT] = band[banded]
    out[four, TEMPLATE_AT] = template[four]
    return out


def _lines(out: U64, grams: Grams, pieces: Pieces, salt: np.uint64) -> None:
    """Up to ``LINES`` different whole lines of a text, those of least hash."""
    last = np.flatnonzero(pieces.line_end)
    end = pieces.end[last]
    start = np.empty_like(end)
    if not len(end):
        return
    start[0], start[1:] = pieces.start[0], end[:-1]
    long = end - start >= LONG
    start, end, last = start[long], end[long], last[long]
    row = np.searchsorted(pieces.rows, last, side="right") - 1
    value = grams.span(start, end)
    crowded = np.bincount(row, minlength=len(out)) > 1
    place = np.zeros(len(row), dtype=np.int64)
    many = np.flatnonzero(crowded[row])
    if len(many):
        rank = (value[many] ^ salt) * np.uint64(0xC4CEB9FE1A85EC53)
        order = many[np.lexsort((rank, row[many]))]
        fresh = np.ones(len(order), dtype=np.bool_)
        fresh[1:] = (row[order][1:] != row[order][:-1]) | (value[order][1:] != value[order][:-1])
        place[many] = LINES
        order = order[fresh]
        place[order] = _rank_within(row[order])
    kept = place < LINES
    out[row[kept], _LINE_AT + place[kept]] = value[kept]


def _rank_within(row: I64) -> I64:
    """Position of each entry among those of its row; rows are sorted."""
    index = np.arange(len(row))
    new = np.ones(len(row), dtype=np.bool_)
    new[1:] = row[1:] != row[:-1]
    return index - np.maximum.accumulate(np.where(new, index, 0))


def _five(out: U64, tokens: Tokens, grams: Grams, salt: np.uint64) -> None:
    """One 5-gram for each of ``GRAMS`` bins of its salted hash: the least of its bin."""
    rows = np.flatnonzero(tokens.counts >= 5)
    if not len(rows):
        return
    value = np.full(len(tokens.hashes), _NONE, dtype=np.uint64)
    five = grams.five()
    five ^= salt
    value[: len(five)] = mix(five)
    # Runs over the end of a text never win.
    end = tokens.row_tokens[1:][tokens.counts > 0]
    length = tokens.counts[tokens.counts > 0]
    for back in range(1, 5):
        value[end[length >= back] - back] = _NONE
    start = tokens.row_tokens[:-1][rows]
    turned = np.empty_like(value)
    for j in range(GRAMS):
        # The bin is the top three bits: turned so, a bin's values are below all others.
        bits = np.uint64(j << 61)
        least = np.minimum.reduceat(np.bitwise_xor(value, bits, out=turned), start)
        there = least <= _NONE >> np.uint64(3)
        least ^= bits
        there &= least != _NONE
        out[rows, _GRAM_AT + j] = np.where(there, least, 0)

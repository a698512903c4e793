"""Templates: the skeleton of a prompt once its slots are emptied.

A skeleton keeps what the author of a scaffold writes and drops what a program fills in. No parser can know
which is which; these rules do well on the usual forms and cost a few look-ups a sentence:

* figures are one token, so they never matter; quoted text and code end what is kept of a sentence;
* labels ("Question:", "## Task", "<answer>") are kept, what follows them is a slot;
* before the first label the opening sentence is kept, and further ones if they are made mostly of the
  stock words of instructions; a long sentence counts by its first words;
* an opening that is not such wording gives way where other parts of the skeleton stand.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
import polars as pl

import rules
from features.request.keyed import U64, mix
from features.request.spans import Grams, Pieces, first_of
from features.request.tokens import I64, Tokens, tokenise

__all__ = ["Skeletons", "stock_words"]

#: Sentences up to this many tokens are kept whole, of longer ones the first few (tokens).
WHOLE, OPENING = 12, 6
#: A label is at most this long (tokens), and a text keeps at most so many different parts.
LABEL, PARTS = 8, 24
#: A further sentence is kept from this many tokens on.
SENTENCE = 4
#: Share of stock words from which a sentence counts as instruction rather than content.
INSTRUCTION, OPENING_INSTRUCTION = 0.75, 0.4
#: Characters of a readable skeleton.
SHOWN = 400

_STOCK_BITS = 18
_STOCK_SHIFT = np.uint64(64 - _STOCK_BITS)


@cache
def stock_words() -> frozenset[str]:
    """Words of instructions and of plain language that may be shown in clear; every other is masked."""
    lines = rules.read_text("lexicons/stock_words.txt").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())


@cache
def _stock_table() -> npt.NDArray[np.bool_]:
    table = np.zeros(1 << _STOCK_BITS, dtype=np.bool_)
    words = tokenise(pl.Series(sorted(stock_words())))
    table[words.hashes >> _STOCK_SHIFT] = True
    return table


class Skeletons:
    """The skeletons of a batch.

    ``raw_id`` is a fixed hash a text (0 where it has no token); ``show`` writes one out.
    """

    def __init__(self, tokens: Tokens, grams: Grams, pieces: Pieces) -> None:
        self._tokens = tokens
        stock = _stock_table()[tokens.hashes >> _STOCK_SHIFT]
        sums = np.zeros(len(stock) + 1, dtype=np.int32)
        np.cumsum(stock, out=sums[1:])
        self._select(tokens, grams, pieces, sums)

    def _select(self, tokens: Tokens, grams: Grams, pieces: Pieces, sums: npt.NDArray[np.int32]) -> None:
        keep = np.flatnonzero(pieces.end > pieces.start)
        start, end = pieces.start[keep], pieces.end[keep]
        row = np.searchsorted(pieces.rows, keep, side="right") - 1
        label_end = pieces.label[keep]
        head = np.frombuffer(tokens.fold, dtype=np.uint8)[pieces.at[keep]]
        heading = ((head == ord("#")) | (head == ord("<")) | (head == ord("["))) & (end - start <= LABEL)
        label = pieces.labelled[keep] & (label_end > start) & (label_end - start <= LABEL)
        label |= heading
        cut = np.where(label & ~heading, label_end, np.where(end - start > WHOLE, start + OPENING, end))
        cut = np.minimum(cut, np.maximum(pieces.quote[keep], start))
        share = (sums[cut] - sums[start]) / np.maximum(cut - start, 1)
        label &= (share >= 0.5) | (cut - start <= 3)
        label &= self._outside_code(pieces, keep, row)
        first = first_of(row)
        before = self._before_label(row, label)
        kept = label | (first & before) | (before & (share >= INSTRUCTION) & (cut - start >= SENTENCE))
        # An opening that reads like content gives way to the rest of the skeleton, where there is any.
        others = np.bincount(row[kept & ~first], minlength=len(tokens.counts)) > 0
        kept &= ~(first & ~label & (share < OPENING_INSTRUCTION) & others[row])
        kept &= cut > start
        self._row, self._start, self._cut = row[kept], start[kept], cut[kept]
        self._slot = (cut < end)[kept] | label[kept]
        self.raw_id = self._combine(grams, len(tokens.counts))

    @staticmethod
    def _before_label(row: I64, label: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Which pieces stand before the first label of their text."""
        seen = np.cumsum(label)
        if not len(row):
            return label
        first = np.flatnonzero(first_of(row))
        base: I64 = np.repeat(seen[first] - label[first], np.diff(np.append(first, len(row))))
        result: npt.NDArray[np.bool_] = seen - base == 0
        return result

    def _outside_code(self, pieces: Pieces, keep: I64, row: I64) -> npt.NDArray[np.bool_]:
        """Which pieces start outside fenced code (an even number of fences before them in their text)."""
        raw = np.frombuffer(self._tokens.fold, dtype=np.uint8)
        tick = pieces.quotes[raw[pieces.quotes] == ord("`")]
        if not len(tick):
            return np.ones(len(keep), dtype=np.bool_)
        fence = tick[(raw[tick + 1] == ord("`")) & (raw[tick + 2] == ord("`")) & (raw[tick - 1] != ord("`"))]
        before = np.searchsorted(fence, pieces.at[keep])
        base: I64 = np.searchsorted(fence, self._tokens.row_bytes[:-1])[row]
        result: npt.NDArray[np.bool_] = (before - base) % 2 == 0
        return result

    def _combine(self, grams: Grams, rows: int) -> U64:
        """One hash a text: of the set of its kept parts, as repeated blocks (few-shot) count once."""
        total = np.zeros(rows, dtype=np.uint64)
        if not len(self._row):
            return total
        part = grams.span(self._start, self._cut)
        many = np.bincount(self._row, minlength=rows)[self._row] > 1
        alone = ~many
        total[self._row[alone]] = part[alone]
        crowd = np.flatnonzero(many)
        if len(crowd):
            crowd = crowd[np.lexsort((part[crowd], self._row[crowd]))]
            row, value = self._row[crowd], part[crowd]
            fresh = np.ones(len(crowd), dtype=np.bool_)
            fresh[1:] = (row[1:] != row[:-1]) | (value[1:] != value[:-1])
            row, value = row[fresh], mix(value[fresh])
            at = np.flatnonzero(first_of(row))
            total[row[at]] = np.add.reduceat(value, at)
        return mix(total)

    def show(self, row: int) -> str:
        """The skeleton of one text: stock words in clear, other words as ``_``, slots as ``…``."""
        stock = stock_words()
        words: list[str] = []
        size = 0
        low, high = np.searchsorted(self._row, (row, row + 1))
        seen: set[tuple[str, ...]] = set()
        for part in range(int(low), int(high)):
            tokens = range(int(self._start[part]), int(self._cut[part]))
            texts = (self._tokens.text(token) for token in tokens[: SHOWN // 2])
            shown = tuple(text if text in stock else "_" for text in texts)
            if shown in seen:
                continue
            seen.add(shown)
            piece = " ".join((*shown, "…" if self._slot[part] else "/"))
            size += len(piece) + 1
            if len(seen) > PARTS or size > SHOWN:
                break
            words.append(piece)
        return " ".join(words).removesuffix(" /")[:SHOWN]

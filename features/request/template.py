"""Templates: the skeleton of a prompt with empty slots.

A skeleton keeps what the author of a scaffold writes and drops what a program fills in. No parser can know which is
which. These rules do well on the usual forms and take a few look-ups for each sentence:

* figures are one token, so they never matter; a sentence is kept up to its first quotation or code;
* labels ("Question:", "## Task", "<answer>") are kept, and what follows them is a slot;
* before the first label, the opening sentence is kept, and further ones if they are mostly stock words of
  instructions; a long sentence counts by its first words;
* an opening without such wording is dropped when the skeleton has other parts.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
import polars as pl

import rules
from features.request.hashing import hash_parts
from features.request.keyed import U64
from features.request.lexing import select_parts
from features.request.spans import Grams, Pieces
from features.request.tokens import Tokens, tokenise

__all__ = ["Skeletons", "stock_words"]

#: Most distinct parts of a readable skeleton.
PARTS = 24
#: Most characters of a readable skeleton.
SHOWN = 400

_STOCK_BITS = 18
_STOCK_SHIFT = np.uint64(64 - _STOCK_BITS)


@cache
def stock_words() -> frozenset[str]:
    """Words of instructions and of plain language that may be shown in clear; all others are masked."""
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

    ``raw_id`` is a fixed hash for each text (0 for one without tokens); ``show`` writes a skeleton out.
    """

    def __init__(self, tokens: Tokens, grams: Grams, pieces: Pieces) -> None:
        self._tokens = tokens
        n, texts = len(pieces.start), len(tokens.row_bytes) - 1
        start, end = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
        self._slot = np.empty(n, dtype=np.bool_)
        self._rows = np.empty(texts + 1, dtype=np.int64)
        fold = np.frombuffer(tokens.fold, dtype=np.uint8)
        select_parts(
            fold, tokens.hashes, _stock_table(), _STOCK_SHIFT, tokens.row_bytes, pieces.quotes,
            pieces.start, pieces.end, pieces.at, pieces.label, pieces.labelled, pieces.quote, pieces.rows,
            start, end, self._slot, self._rows,
        )  # fmt: skip
        self._start, self._cut = start, end
        self.raw_id: U64 = np.empty(texts, dtype=np.uint64)
        hash_parts(grams.token, grams.running, start, end, self._rows, self.raw_id)

    def show(self, row: int) -> str:
        """The skeleton of one text: stock words in clear, other words as ``_``, slots as ``…``."""
        stock = stock_words()
        words: list[str] = []
        size = 0
        low, high = self._rows[row : row + 2]
        parts: set[tuple[str, ...]] = set()
        for part in range(int(low), int(high)):
            tokens = range(int(self._start[part]), int(self._cut[part]))
            texts = (self._tokens.text(token) for token in tokens[: SHOWN // 2])
            shown = tuple(text if text in stock else "_" for text in texts)
            if shown in parts:
                continue
            parts.add(shown)
            piece = " ".join((*shown, "…" if self._slot[part] else "/"))
            size += len(piece) + 1
            if len(parts) > PARTS or size > SHOWN:
                break
            words.append(piece)
        return " ".join(words).removesuffix(" /")[:SHOWN]

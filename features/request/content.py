"""Content keys: hashed traces that a scaffold leaves in a prompt, whatever is filled into it.

Raw keys are fixed hashes, one column for each place. ``measure`` puts them through the keyed function and writes their
kind into the low four bits. 0 marks an empty place.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from features.request.hashing import BINS, LONG, hash_places, sample_grams, sample_lines
from features.request.keyed import U64
from features.request.sketch import BANDS
from features.request.spans import Grams, Pieces
from features.request.tokens import Tokens
from features.schema import CONTENT_KEY_KINDS

__all__ = ["BAND_TOKENS", "KINDS", "LINES", "raw_keys"]

#: Lines kept of a text, and 5-grams sampled of it.
LINES = 6
GRAMS = BINS
#: Shorter texts have too few shingles for bands to mean similarity (tokens).
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


def raw_keys(tokens: Tokens, grams: Grams, pieces: Pieces, band: U64, template: U64, salt: np.uint64) -> U64:
    """Raw keys of each text, (n, ``len(KINDS)``); ``salt`` decides which 5-grams and lines are sampled.

    Sampling takes the least hashes, so texts with a common scaffold tend to keep the same pieces of it.
    """
    counts = tokens.counts
    out = np.zeros((len(counts), len(KINDS)), dtype=np.uint64)
    hash_places(grams.token, grams.pair, grams.running, tokens.row_tokens, out)
    sample_lines(
        grams.token, grams.running, pieces.end, pieces.line_end, pieces.rows, tokens.row_tokens, salt,
        _LINE_AT, LINES, out,
    )  # fmt: skip
    sample_grams(grams.pair, grams.triple, tokens.row_tokens, salt, np.uint64(_GRAM_AT), out)
    np.copyto(out[:, _BAND_AT:TEMPLATE_AT], band, where=(counts >= BAND_TOKENS)[:, None])
    np.copyto(out[:, TEMPLATE_AT], template, where=counts >= LONG)
    return out

"""MinHash sketches of token runs: the similarity of two texts from 128 bytes each.

Slot ``j`` keeps the least value of ``(h ^ b_j) * a_j`` over the text's shingles, with ``a_j`` odd. So each slot orders
all 32-bit shingle hashes anew, and two texts agree in a slot about as often as they share shingles (Broder 1997). No
library is used, so that ``schema`` and the key pin the constants, and the slots can be banded.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from features.request.hashing import SLOTS, sketch_texts
from features.request.keyed import U64, derive, mix
from features.request.spans import Grams
from features.request.tokens import Tokens
from features.schema import MINHASH_PERMUTATIONS, MINHASH_SEED, SHINGLE_TOKENS, SKETCH_VERSION

__all__ = ["BANDS", "Sketcher", "bands", "binary", "similarity"]

U32 = npt.NDArray[np.uint32]

#: 8 bands of 4 slots. Two texts that share 60 % of their shingles meet in a band with probability 0.67, texts that share
#: 30 % with 0.06.
BANDS = 8


class Sketcher:
    """Sketches of a batch's texts under one key."""

    def __init__(self, key: bytes) -> None:
        if SHINGLE_TOKENS != 3:
            raise ValueError(f"sketches are made of 3-token shingles, the schema says {SHINGLE_TOKENS}")
        if MINHASH_PERMUTATIONS != SLOTS:
            raise ValueError(f"sketches have {SLOTS} slots, the schema says {MINHASH_PERMUTATIONS}")
        domain = f"sketch{SKETCH_VERSION}.{MINHASH_SEED}"
        constants = derive(key, domain, 2 * MINHASH_PERMUTATIONS + 2)
        self._salt, self._factor = constants[0], constants[1] | np.uint64(1)
        self._turn = (constants[2 : 2 + MINHASH_PERMUTATIONS] >> np.uint64(32)).astype(np.uint32)
        self._spread = (constants[2 + MINHASH_PERMUTATIONS :] >> np.uint64(32)).astype(np.uint32)
        self._spread |= np.uint32(1)

    def sketch(self, tokens: Tokens, grams: Grams) -> U32:
        """One row of slots for each text. A text without tokens has slots of 0, which callers turn into NULL.

        A text of one or two tokens is one shingle.
        """
        out = np.empty((len(tokens.row_tokens) - 1, MINHASH_PERMUTATIONS), dtype=np.uint32)
        sketch_texts(
            grams.token, grams.pair, grams.triple, tokens.row_tokens,
            self._salt, self._factor, self._turn, self._spread, out,
        )  # fmt: skip
        return out


def bands(sketches: U32) -> U64:
    """A fixed hash of each band: (n, 8)."""
    words = np.ascontiguousarray(sketches).view(np.uint64)
    words = words.reshape(len(sketches), BANDS, words.shape[1] // BANDS)
    value = np.arange(1, BANDS + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    result: U64 = np.broadcast_to(value, words.shape[:2]).copy()
    for part in range(words.shape[2]):
        result ^= words[:, :, part]
        result *= np.uint64(0xFF51AFD7ED558CCD)
        mix(result)
    return result


def binary(sketches: U32, valid: npt.NDArray[np.bool_]) -> pl.Series:
    """Sketches as stored: little-endian bytes, NULL where not ``valid``."""
    import pyarrow as pa

    little = np.ascontiguousarray(sketches.astype("<u4", copy=False))
    width = little.shape[1] * 4
    bounds = np.arange(0, len(little) * width + 1, width)
    buffers = [None, pa.py_buffer(bounds), pa.py_buffer(little)]
    stored = pl.Series(pa.Array.from_buffers(pa.large_binary(), len(little), buffers))
    if bool(valid.all()):
        return stored
    frame = pl.DataFrame({"sketch": stored, "valid": valid})
    return frame.select(pl.when("valid").then("sketch")).to_series()


def similarity(left: bytes, right: bytes) -> float:
    """Estimated share of shingles two sketched texts have in common, 0..1 (standard error about 0.09)."""
    a, b = (np.frombuffer(s, dtype="<u4") for s in (left, right))
    if len(a) != MINHASH_PERMUTATIONS or len(b) != MINHASH_PERMUTATIONS:
        raise ValueError(f"a sketch has {4 * MINHASH_PERMUTATIONS} bytes, got {len(left)} and {len(right)}")
    return float((a == b).mean())

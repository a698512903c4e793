"""Prompt sketches as arrays. Rivals that compare prompts use them, because no text is kept."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from features.schema import MINHASH_PERMUTATIONS

Words = npt.NDArray[np.uint32]
Floats = npt.NDArray[np.float64]


def words(sketches: pl.Series) -> Words:
    """The sketches that are not NULL as rows of unsigned words, shape (n, 32)."""
    raw = b"".join(sketches.drop_nulls().to_list())
    return np.frombuffer(raw, dtype="<u4").reshape(-1, MINHASH_PERMUTATIONS)


def nearest_before(sketch: Words) -> Floats:
    """Distance (1 - estimated Jaccard, 0..1) of each sketch but the first to the nearest earlier one."""
    distance = np.empty(max(len(sketch) - 1, 0))
    for i in range(1, len(sketch)):
        distance[i - 1] = 1.0 - float((sketch[:i] == sketch[i]).mean(axis=1).max())
    return distance

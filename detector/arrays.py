"""Array operations that linking and scoring share."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


def rank_in_run(ordered: Ints) -> Ints:
    """Place of each entry within its run of equal values, from 0."""
    if not len(ordered):
        return np.empty(0, np.int64)
    start = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    return np.arange(len(ordered)) - np.repeat(start, np.diff(np.r_[start, len(ordered)]))

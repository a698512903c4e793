"""Log-odds in bits: log2 of p / (1 - p)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

#: Log-odds of an account of whose conduct nothing was measured: the base rate of a site without suspects.
UNKNOWN = -12.0
#: Log-odds that stand for "no score": below every score, and a probability of nothing.
NO_SCORE = -99.0


def probability(bits: Floats) -> Floats:
    """Probability of log2 odds; strictly between 0 and 1 for any score a float can tell apart."""
    return np.where(
        bits >= 0, 1 / (1 + np.exp2(-np.abs(bits))), np.exp2(-np.abs(bits)) / (1 + np.exp2(-np.abs(bits)))
    )

"""Log-odds in bits: log2 of p / (1 - p)."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

#: Log-odds of an account whose conduct was not measured: the base rate of a site without suspects.
UNKNOWN = -12.0
#: Log-odds that stand for "no score": below every score, and a probability of nothing.
NO_SCORE = -99.0


def probability(bits: Floats | np.float64) -> Floats:
    """Probability of log2 odds; strictly between 0 and 1 for every score that a float can tell apart."""
    return np.where(
        bits >= 0, 1 / (1 + np.exp2(-np.abs(bits))), np.exp2(-np.abs(bits)) / (1 + np.exp2(-np.abs(bits)))
    )


def odds_bits(probability_: float) -> float:
    """A probability as log-odds in bits; 0 and 1 as minus and plus infinity."""
    if probability_ <= 0:
        return -math.inf
    return math.inf if probability_ >= 1 else math.log2(probability_ / (1 - probability_))


def from_bits(bits: float) -> float:
    """Log-odds in bits as a probability, without overflow at either end."""
    return float(probability(np.float64(bits)))

"""From members' scores to one calibrated probability: a weighted geometric mean, fitted on texts no member has seen.

log p = exp(slope * (l - l0)) * sum_m w_m log p_m, renormalised, with l the logarithm of the text's length. A short
text proves less than its scores suggest, and the slope says how much less. The weights act as the temperature too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

#: ln(1 + bytes) where the length term is zero: about 600 bytes.
_MIDDLE = 6.4


def log_softmax(scores: npt.NDArray[Any]) -> Floats:
    """Row-wise log-probabilities."""
    shifted = scores.astype(np.float64) - scores.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)), np.float64)


def lengths_of(texts: Sequence[str | None]) -> Floats:
    """ln(1 + characters) of each text, up to the characters the members read."""
    return np.array([np.log1p(min(len(t or ""), 8000)) for t in texts], np.float64)


@dataclass(frozen=True)
class Blend:
    """Fitted weights, one for each member, and the length slope."""

    weights: tuple[float, ...]
    slope: float

    def log_probs(self, scores: Sequence[npt.NDArray[Any]], lengths: Floats) -> Floats:
        """Log-probabilities of texts x classes from each member's scores."""
        total = sum(w * log_softmax(s) for w, s in zip(self.weights, scores, strict=True))
        total = np.asarray(total) * np.exp(self.slope * (lengths - _MIDDLE))[:, None]
        return log_softmax(total)


def fit_blend(
    scores: Sequence[npt.NDArray[Any]], lengths: Floats, classes: npt.NDArray[Any], importance: Floats
) -> Blend:
    """The blend with the least log-loss on texts no member was trained on."""
    from scipy.optimize import minimize

    logs = np.stack([log_softmax(s) for s in scores])
    rows = np.arange(len(classes))
    share = importance / importance.sum()
    off = np.clip(lengths - _MIDDLE, -5, 3)

    def loss(at: Floats) -> float:
        scale = np.exp(at[-1] * off)[:, None]
        total = np.tensordot(np.exp(at[:-1]), logs, axes=1) * scale
        top = total.max(axis=1, keepdims=True)
        log_p = total[rows, classes] - top[:, 0] - np.log(np.exp(total - top).sum(axis=1))
        return float(-(share * log_p).sum() + 1e-4 * (at**2).sum())

    start = np.append(np.full(len(scores), -np.log(len(scores))), 0.0)
    bounds = [(-6.0, 2.0)] * len(scores) + [(-0.5, 0.8)]
    fit = minimize(loss, start, method="L-BFGS-B", bounds=bounds, options={"maxiter": 40})
    return Blend(tuple(float(w) for w in np.exp(fit.x[:-1])), float(fit.x[-1]))


def calibration_error(log_p: npt.NDArray[Any], classes: npt.NDArray[Any], n_bins: int = 15) -> float:
    """Expected calibration error of the top probability over equal-width bins (0..1)."""
    confidence = np.exp(log_p.max(axis=1))
    right = log_p.argmax(axis=1) == classes
    place = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    gap = np.abs(
        np.bincount(place, weights=confidence, minlength=n_bins)
        - np.bincount(place, weights=right, minlength=n_bins)
    )
    return float(gap.sum() / max(len(classes), 1))


def interval(right: int, n: int) -> tuple[float, float]:
    """Wilson interval (95 %) of a share."""
    if n == 0:
        return (0.0, 1.0)
    z, p = 1.96, right / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return (max(0.0, float(middle - half)), min(1.0, float(middle + half)))

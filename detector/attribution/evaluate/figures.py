"""Figures of held-out answers: accuracy, macro-F1, AUROC, calibration error and its value by chance alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from detector.attribution.corpus.calibrating import means_of
from detector.attribution.corpus.rule import CorpusRule, draws_of, known_only
from detector.attribution.fingerprint.blend import interval

Floats = npt.NDArray[np.float64]

#: Numbers of texts the tables show, and groups drawn for each class.
SHOWN = (3, 5, 10, 30)
DRAWS = 400
#: Equal bins of stated probability.
BINS = 15


def bins_of(confidence: Floats, right: npt.NDArray[Any]) -> list[list[float]]:
    """For each bin of stated probability: answers, sum of the probability, right answers, sum of p (1 - p)."""
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    sums = [np.ones(len(place)), confidence, right.astype(float), confidence * (1 - confidence)]
    return np.stack([np.bincount(place, s, BINS) for s in sums], axis=1).tolist()  # type: ignore[no-any-return]


def pooled_calibration(many: Iterable[list[list[float]]]) -> tuple[float, float]:
    """Expected calibration error over all answers of ``many`` bin tables, and the error to expect by chance.

    A perfectly calibrated model does not measure as zero: a bin of n answers is off by sqrt(2/pi) standard errors
    on average. No measurement can tell a figure near its chance value from perfect calibration.
    """
    total = np.sum([np.array(one) for one in many], axis=0)
    n = max(total[:, 0].sum(), 1.0)
    error = np.abs(total[:, 1] - total[:, 2]).sum() / n
    chance = np.sqrt(2 / np.pi * total[:, 3]).sum() / n
    return float(error), float(chance)


def figures(log_p: npt.NDArray[Any], truth: npt.NDArray[np.int64]) -> dict[str, Any]:
    """Accuracy with interval, macro-F1 and calibration of single texts (log-probabilities texts x classes)."""
    best = log_p.argmax(axis=1)
    right = int((best == truth).sum())
    f1 = []
    for c in range(log_p.shape[1]):
        both, said, was = ((best == c) & (truth == c)).sum(), (best == c).sum(), (truth == c).sum()
        if was:
            f1.append(2 * both / max(said + was, 1))
    bins = bins_of(np.exp(log_p.max(axis=1)), best == truth)
    error, chance = pooled_calibration([bins])
    return {
        "accuracy": right / len(truth),
        "interval": interval(right, len(truth)),
        "macro_f1": float(np.mean(f1)),
        "calibration_error": error,
        "calibration_error_by_chance": chance,
        "bins": bins,
    }


def by_size(
    log_p: npt.NDArray[Any],
    truth: npt.NDArray[np.int64],
    groups: Sequence[str],
    n_known: int,
    *,
    rule: CorpusRule | None = None,
    habits: npt.NDArray[Any] | None = None,
    seed: int = 0,
) -> dict[str, dict[str, float]]:
    """Share of drawn groups of K texts that are named right, by K.

    Sizes that the held-out prompts cannot fill are left out. With a ``rule`` (and the texts' ``habits``) the rule
    judges each group, and the result also has the calibration error of the stated probability as
    ``calibration_error_by_size``. Without a rule the largest sum wins. Groups overlap, so the last digits are loose.
    """
    rng = np.random.default_rng(seed)
    log_known = known_only(log_p, n_known)
    accuracy, error = {}, {}
    for size in SHOWN:
        picked, truths = [], []
        for c in range(n_known):
            drawn = list(draws_of(np.flatnonzero(truth == c), groups, size, DRAWS, rng))
            picked += drawn
            truths += [c] * len(drawn)
        if not picked:
            continue
        total = size * means_of(log_known, picked)
        if rule is not None:
            means = None if habits is None else means_of(habits, picked)
            total = rule.log_probs(total, means, size)
        right = total.argmax(axis=1) == np.array(truths)
        accuracy[str(size)] = float(right.mean())
        if rule is not None:
            error[str(size)] = pooled_calibration([bins_of(np.exp(total.max(axis=1)), right)])[0]
    result = {"by_size": accuracy}
    return result if rule is None else result | {"calibration_error_by_size": error}


def auroc(high: npt.NDArray[Any], low: npt.NDArray[Any]) -> float:
    """Chance that one of ``high`` exceeds one of ``low``. A tie counts half."""
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate([high, low]))
    return float((ranks[: len(high)].sum() - len(high) * (len(high) + 1) / 2) / (len(high) * len(low)))

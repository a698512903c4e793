"""Mean habits: what many texts of one hand look like to all members at once.

A sum of log-probabilities weighs thirty texts as it weighs one. But the mean of thirty texts' scores is nearly
normal, whatever one text's are, and it lies where this class's means lie: near twins, whom single texts confuse
alike, still have means apart. So each class's mean scores and the spread around them are kept, from texts no member
was trained on, and a corpus is placed among them by the normal likelihood of its mean (linear discriminant
analysis; spread pooled over classes and shrunk to a sphere as in Chen, Wiesel, Eldar, Hero 2010).

A rival may have stripped or cut the texts, which moves all means. Means are therefore kept for each kind of copy,
and the kind is summed over: all texts of a corpus are taken to be of one kind, each as likely as another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from detector.attribution.fingerprint.blend import log_softmax

Floats = npt.NDArray[np.float64]

#: Fewest texts a class and fewest groups in all: below, spreads are guesses and nothing is kept.
LEAST_TEXTS, LEAST_GROUPS = 20, 60
#: Most scores a text (members x classes): beyond, the spread would take minutes and hundreds of megabytes.
MOST_SCORES = 1024
#: Power of a probability. Of bent probabilities (1/4, 1/2, 3/4) and plain log-probabilities this one separated
#: corpora best on cross-validated texts; it is bounded, so no single text can outweigh a corpus.
_BEND = 0.25
#: Least share of the sphere in the spread: scores that never vary must not count as certain.
_LEAST_SHRINKING = 0.02


def habits_of(scores: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.float32]:
    """Each member's probabilities, bent, side by side: texts x (members x classes), 0..1."""
    return np.concatenate([np.exp(_BEND * log_softmax(s)) for s in scores], axis=1).astype(np.float32)


@dataclass(frozen=True)
class Habits:
    """Means of the classes by kind of copy, in coordinates where the spread of one text is a unit sphere."""

    #: kinds x classes x scores, whitened.
    means: Floats
    #: kinds x scores x scores: ``habits @ whitener`` has unit spread.
    whiteners: Floats
    #: Texts each class's means were taken over.
    counts: Floats

    @cached_property
    def volumes(self) -> Floats:
        """Log-determinant of each kind's whitener."""
        return np.asarray(np.linalg.slogdet(self.whiteners)[1], np.float64)

    def as_arrays(self) -> dict[str, npt.NDArray[np.float32]]:
        """What is written of it."""
        named = {"means": self.means, "whiteners": self.whiteners, "counts": self.counts}
        return {name: values.astype(np.float32) for name, values in named.items()}

    @classmethod
    def from_arrays(cls, arrays: dict[str, npt.NDArray[Any]], n_classes: int, n_scores: int) -> Habits:
        """What :meth:`as_arrays` wrote.

        Raises
        ------
        ValueError, KeyError : parts that are missing, of another shape, or no spread.
        """
        means, whiteners, counts = (
            np.asarray(arrays[name], np.float64) for name in ("means", "whiteners", "counts")
        )
        kinds = len(means)
        if means.shape != (kinds, n_classes, n_scores) or counts.shape != (n_classes,) or not kinds:
            raise ValueError("habits of other classes")
        if whiteners.shape != (kinds, n_scores, n_scores) or not (np.linalg.slogdet(whiteners)[0] != 0).all():
            raise ValueError("habits without a spread")
        if not all(np.isfinite(part).all() for part in (means, whiteners, counts)) or (counts <= 0).any():
            raise ValueError("habits that are no numbers")
        return cls(means, whiteners, counts)

    def log_likelihood(self, mean_habits: npt.NDArray[Any], size: int) -> tuple[Floats, Floats]:
        """Log-density of corpora of ``size`` texts with these mean habits (corpora x scores), and their distance.

        The first is corpora x classes, up to a constant that is the same for all classes; the second the squared
        distance from the nearest class in any kind, in spreads of a mean of ``size`` texts. A class's own mean is
        known from ``counts`` texts only, which widens the spread around it.
        """
        n_scores = self.means.shape[2]
        precision = 1 / (1 / size + 1 / self.counts)
        kinds, nearest = [], []
        for means, whitener, volume in zip(self.means, self.whiteners, self.volumes, strict=True):
            at = mean_habits @ whitener
            far = (at**2).sum(axis=1)[:, None] - 2 * at @ means.T + (means**2).sum(axis=1)
            far = precision * np.maximum(far, 0.0)
            kinds.append(volume + n_scores / 2 * np.log(precision) - far / 2)
            nearest.append(far.min(axis=1))
        return np.asarray(np.logaddexp.reduce(kinds, axis=0), np.float64), np.min(nearest, axis=0)

    def odds_of(self, habits: npt.NDArray[Any]) -> Floats:
        """What each unchanged text adds for each class, up to a constant of the text: texts x classes."""
        means = self.means[0]
        return np.asarray(habits @ self.whiteners[0] @ means.T - (means**2).sum(axis=1) / 2, np.float64)


def fit_habits(kinds: Sequence[npt.NDArray[Any]], classes: npt.NDArray[Any], n_known: int) -> Habits:
    """Means and spread from each kind of copy of held-out texts (texts x scores); ``classes`` beyond known are left out.

    Every known class must be there.
    """
    own = np.flatnonzero(classes < n_known)
    of = classes[own]
    counts = np.bincount(of, minlength=n_known).astype(np.float64)
    member = np.zeros((n_known, len(own)))
    member[of, np.arange(len(own))] = 1 / counts[of]
    means, whiteners = [], []
    for habits in kinds:
        values = habits[own].astype(np.float64)
        middle = member @ values
        around = values - middle[of]
        spread = _shrunk(around.T @ around / max(len(own) - n_known, 1), len(own))
        whitener = np.linalg.cholesky(np.linalg.inv(spread))
        whiteners.append(whitener)
        means.append(middle @ whitener)
    return Habits(np.array(means), np.array(whiteners), counts)


def _shrunk(spread: Floats, n: int) -> Floats:
    """A covariance over ``n`` texts drawn towards a sphere, by the oracle-approximating share."""
    width = len(spread)
    trace, squares = np.trace(spread), (spread**2).sum()
    above = (1 - 2 / width) * squares + trace**2
    below = (n + 1 - 2 / width) * (squares - trace**2 / width)
    share = 1.0 if below <= 0 else float(np.clip(above / below, _LEAST_SHRINKING, 1.0))
    sphere = max(trace / width, 1e-6) * np.eye(width)
    return np.asarray((1 - share) * spread + share * sphere, np.float64)

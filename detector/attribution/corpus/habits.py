"""Mean habits: what many texts by one author look like to all members at once.

A sum of log-probabilities treats thirty texts like thirty separate ones. But the mean of thirty texts' scores is
nearly normal, whatever the scores of one text are, and it lies near the means of its own class. Two similar classes
that single texts confuse still have different means. So the mean scores of each class and the spread around them are
kept, from texts no member was trained on. A corpus is placed among the classes by the normal likelihood of its mean
(linear discriminant analysis; the spread is pooled over classes and shrunk to a sphere as in Chen, Wiesel, Eldar,
Hero 2010).

A rival may have stripped or cut the texts, which moves all means. Means are therefore kept for each kind of copy,
and the likelihood is summed over the kinds. All texts of a corpus are taken to be of one kind, and every kind is
equally likely.
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

#: Fewest texts of a class and fewest groups in all. With fewer, spreads are guesses and no habits are kept.
LEAST_TEXTS, LEAST_GROUPS = 20, 60
#: Most scores of a text (members x classes). With more, the spread would take minutes and hundreds of megabytes.
MOST_SCORES = 1024
#: Power of a probability. Among the powers 1/4, 1/2, 3/4 and plain log-probabilities this one separated corpora best on
#: cross-validated texts. It is bounded, so no single text can outweigh a corpus.
_BEND = 0.25
#: Least share of the sphere in the spread: scores that never vary must not count as certain.
_LEAST_SHRINKING = 0.02


def habits_of(scores: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.float32]:
    """Each member's probabilities to the power of ``_BEND``, side by side: texts x (members x classes), 0..1."""
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
        """The arrays that are stored in a model folder."""
        named = {"means": self.means, "whiteners": self.whiteners, "counts": self.counts}
        return {name: values.astype(np.float32) for name, values in named.items()}

    @classmethod
    def from_arrays(cls, arrays: dict[str, npt.NDArray[Any]], n_classes: int, n_scores: int) -> Habits:
        """The habits that :meth:`as_arrays` wrote.

        Raises
        ------
        ValueError, KeyError : an array is missing, has another shape, or has no spread.
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

        The first is corpora x classes, up to a constant that is the same for all classes. The second is the squared
        distance from the nearest class in any kind, in spreads of a mean of ``size`` texts. The mean of a class comes
        from ``counts`` texts only, which widens the spread around it.
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
    """Means and spread from each kind of copy of held-out texts (texts x scores).

    Texts of ``classes`` from ``n_known`` on are left out. Every known class must have a text.
    """
    known_rows = np.flatnonzero(classes < n_known)
    own_classes = classes[known_rows]
    counts = np.bincount(own_classes, minlength=n_known).astype(np.float64)
    member = np.zeros((n_known, len(known_rows)))
    member[own_classes, np.arange(len(known_rows))] = 1 / counts[own_classes]
    means, whiteners = [], []
    for habits in kinds:
        values = habits[known_rows].astype(np.float64)
        middle = member @ values
        around = values - middle[own_classes]
        spread = _shrunk(around.T @ around / max(len(known_rows) - n_known, 1), len(known_rows))
        whitener = np.linalg.cholesky(np.linalg.inv(spread))
        whiteners.append(whitener)
        means.append(middle @ whitener)
    return Habits(np.array(means), np.array(whiteners), counts)


def _shrunk(spread: Floats, n: int) -> Floats:
    """A covariance over ``n`` texts, shrunk to a sphere by the oracle-approximating share."""
    width = len(spread)
    trace, squares = np.trace(spread), (spread**2).sum()
    above = (1 - 2 / width) * squares + trace**2
    below = (n + 1 - 2 / width) * (squares - trace**2 / width)
    share = 1.0 if below <= 0 else float(np.clip(above / below, _LEAST_SHRINKING, 1.0))
    sphere = max(trace / width, 1e-6) * np.eye(width)
    return np.asarray((1 - share) * spread + share * sphere, np.float64)

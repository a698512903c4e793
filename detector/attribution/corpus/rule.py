"""Decisions over many texts by one author: who wrote them all, how surely, and whether the author is a known model.

One short text can seldom be attributed; thirty can. The rule adds the log-probabilities of the texts and the
likelihood of the corpus's mean habits. Each of the two has a factor fitted for that number of texts. A corpus is "none
of these" where its best class explains it worse than 99 % of that class's own groups.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from detector.attribution.corpus.habits import Habits

Floats = npt.NDArray[np.float64]

#: Numbers of texts the rule is calibrated for, as far as the held-out texts suffice.
SIZES = (1, 2, 3, 5, 10, 20, 30, 50, 100)
#: Share of a known model's own groups that may be called unknown.
FALSE_REJECTIONS = 0.01
#: Fewest texts that can be called "none of these": on one text rejection hardly beats chance.
REJECT_FROM = 5
#: Calibrated probability from which a corpus is "known", and the stricter one for a single text.
KNOWN, KNOWN_ALONE = 0.95, 0.99
KNOWN_VERDICT, NONE, TOO_FEW = "known", "none of these", "too few texts"
_CERTAIN = 0.999
#: Trust in habits falls with this power of the distance where a corpus lies beyond their reach. The power was chosen
#: by leaving out each kind of copy in turn.
_DISTRUST = 4
#: A corpus is accepted if it lies below the floor by at most the first number, and by at most the floor's own size
#: plus the second, in nats per text. Where classes are easy to tell apart the floors are close to zero, and without
#: slack they would reject texts of their own class.
_SLACK, _SLACK_LEAST = 0.01, 0.001


def known_only(log_p: npt.NDArray[Any], n_known: int) -> Floats:
    """Log-probabilities over the known classes only, without the background column."""
    log_known = log_p[..., :n_known].astype(np.float64)
    top = log_known.max(axis=-1, keepdims=True)
    return np.asarray(
        log_known - top - np.log(np.exp(log_known - top).sum(axis=-1, keepdims=True)), np.float64
    )


def draws_of(
    rows: npt.NDArray[np.int64], groups: Sequence[str], size: int, n_draws: int, rng: np.random.Generator
) -> Iterator[npt.NDArray[np.int64]]:
    """Random sets of ``size`` of ``rows``, no two rows from one group. There are none where groups are too few."""
    by_group: dict[str, list[int]] = {}
    for row in rows:
        by_group.setdefault(groups[int(row)], []).append(int(row))
    names = list(by_group)
    if len(names) < size:
        return
    for _ in range(n_draws):
        chosen = rng.choice(len(names), size, replace=False)
        yield np.array([by_group[names[c]][rng.integers(len(by_group[names[c]]))] for c in chosen], np.int64)


@dataclass(frozen=True)
class CorpusRule:
    """What was fitted on groups of held-out texts."""

    #: Numbers of texts, and for each the factor on summed log-probabilities (0..1] where the sums decide alone.
    sizes: tuple[int, ...]
    scales: tuple[float, ...]
    #: For each number of texts and each class, the mean log-probability that 99 % of the class's groups exceed.
    floors: tuple[tuple[float, ...], ...]
    #: Per pair (written by, other): mean and spread of what one text adds to the log-odds, in nats.
    margin_mean: tuple[tuple[float, ...], ...]
    margin_spread: tuple[tuple[float, ...], ...]
    #: For each number of texts, where mean habits count too: the factor on the sums (0..1], the factor on the
    #: likelihood of the mean habits [0..1], and the distance from the nearest class that nine in ten known corpora
    #: stay within.
    beside: tuple[tuple[float, float, float], ...] = ()
    #: None where there were too few texts for habits; ``beside`` is then empty.
    habits: Habits | None = None

    def as_json(self) -> dict[str, Any]:
        """All fields but the habits, which are arrays."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "habits"}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], n_known: int, habits: Habits | None = None) -> CorpusRule:
        """The rule written by :meth:`as_json`.

        Raises
        ------
        ValueError, TypeError, KeyError : a part is missing or of another shape.
        """
        square = tuple(tuple(map(float, row)) for row in values["margin_mean"])
        spread = tuple(tuple(map(float, row)) for row in values["margin_spread"])
        floors = tuple(tuple(map(float, row)) for row in values["floors"])
        sizes, scales = tuple(map(int, values["sizes"])), tuple(map(float, values["scales"]))
        beside = tuple((float(own), float(by), float(reach)) for own, by, reach in values["beside"])
        if not sizes or not len(sizes) == len(scales) == len(floors):
            raise ValueError("group calibration of unequal lengths")
        if any(len(row) != n_known for row in (*square, *spread, *floors)) or len(square) != n_known:
            raise ValueError("group calibration for another number of classes")
        if len(beside) != (len(sizes) if habits is not None else 0):
            raise ValueError("group calibration and habits do not fit")
        return cls(sizes, scales, floors, square, spread, beside, habits)

    def scale(self, n: int) -> float:
        """Factor for ``n`` texts where sums decide alone, interpolated over ln n.

        Beyond the largest calibrated number, evidence grows with the square root of ``n``.
        """
        return float(np.exp(self._between(n, np.log(self.scales)))) / self._beyond(n)

    def weights(self, n: int) -> tuple[float, float, float]:
        """The three figures of ``beside`` for ``n`` texts, interpolated like :meth:`scale`."""
        own, by_habits, reach = (self._between(n, column) for column in zip(*self.beside, strict=True))
        return own / self._beyond(n), by_habits / self._beyond(n), reach

    def _between(self, n: int, values: Any) -> float:
        return float(np.interp(np.log(n), np.log(self.sizes), values))

    def _beyond(self, n: int) -> float:
        return float(np.sqrt(max(1.0, n / self.sizes[-1])))

    def log_probs(self, summed: npt.NDArray[Any], mean_habits: npt.NDArray[Any] | None, n: int) -> Floats:
        """Calibrated log-probabilities of corpora of ``n`` texts, corpora x classes.

        ``summed`` are log-probabilities over the known classes, added over the texts. ``mean_habits`` is the mean of
        their :func:`~detector.attribution.corpus.habits.habits_of`; with None the sums decide alone. The further a corpus
        lies from every known class, the less its habits count. Texts changed in an unforeseen way are then judged by
        their sums.
        """
        alone = self.scale(n) * summed
        if self.habits is None or mean_habits is None:
            return known_only(alone, alone.shape[1])
        own, by_habits, reach = self.weights(n)
        if by_habits <= 0:
            return known_only(alone, alone.shape[1])
        likelihood, distance = self.habits.log_likelihood(mean_habits, n)
        trust = (np.minimum(1.0, reach / np.maximum(distance, 1e-9)) ** _DISTRUST)[:, None]
        total = trust * (own * summed + by_habits * likelihood) + (1 - trust) * alone
        return known_only(total, total.shape[1])

    def floor(self, n: int, best: int) -> float:
        """The mean log-probability below which ``n`` texts are not ``best``'s, interpolated over ln n."""
        floor = self._between(n, [row[best] for row in self.floors])
        return floor - min(_SLACK, abs(floor) + _SLACK_LEAST)

    def texts_needed(self, best: int) -> int | None:
        """Texts after which ``best`` is told from every other class in 99.9 % of cases. None: never at this rate.

        Each pair uses the normal approximation, and the pairs share the chance of error equally.
        """
        needed = texts_between(self.margin_mean[best], self.margin_spread[best], best)
        return int(np.ceil(needed)) if needed < 100_000 else None

    def decide(
        self, log_p: npt.NDArray[Any], n_known: int, habits: npt.NDArray[Any] | None = None
    ) -> Decision:
        """Who wrote the texts with these log-probabilities (texts x classes, a background column last) and habits."""
        n = len(log_p)
        summed = known_only(log_p, n_known).sum(axis=0)[None]
        means = None if habits is None else habits.mean(axis=0)[None]
        probability = np.exp(self.log_probs(summed, means, n)[0])
        best = int(probability.argmax())
        typical = float(log_p[:, best].mean())
        if n >= REJECT_FROM and typical < self.floor(n, best):
            verdict = NONE
        elif probability[best] >= (KNOWN_ALONE if n == 1 else KNOWN) and typical >= self.floor(n, best):
            verdict = KNOWN_VERDICT
        else:
            verdict = TOO_FEW
        return Decision(best, probability, verdict, typical - self.floor(n, best))


@dataclass(frozen=True)
class Decision:
    """One corpus: likeliest class, calibrated probabilities, verdict, and distance to rejection in nats per text."""

    best: int
    probabilities: Floats
    verdict: str
    margin: float


def texts_between(mean: Sequence[float], spread: Sequence[float], best: int) -> float:
    """Texts that tell ``best`` from its most similar class, by the margin of one text. Infinity: never."""
    from scipy.stats import norm

    others = [j for j in range(len(mean)) if j != best]
    deviate = float(norm.ppf(1 - (1 - _CERTAIN) / max(len(others), 1)))
    if any(mean[j] <= 0 for j in others):
        return float("inf")
    return max([1.0, *((deviate * spread[j] / mean[j]) ** 2 for j in others)])

"""Decisions over many texts of one hand: who wrote them all, how surely, and whether it is anybody known.

One short text is seldom attributable; thirty are. Log-probabilities are added and scaled by a factor fitted for
that number of texts, and a corpus whose best class explains it worse than 99 % of that class's own groups is
"none of these".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

#: Numbers of texts that are calibrated, where the calibration texts suffice.
SIZES = (1, 2, 3, 5, 10, 20, 30, 50, 100)
#: Groups drawn a class and size.
DRAWS = 200
#: Share of a known model's own groups that may be called unknown.
FALSE_REJECTIONS = 0.01
#: Fewer texts than this are never called "none of these": on one text rejection hardly beats chance.
REJECT_FROM = 5
#: A corpus is "known" from this calibrated probability on; a single text from the stricter one.
KNOWN, KNOWN_ALONE = 0.95, 0.99
KNOWN_VERDICT, NONE, TOO_FEW = "known", "none of these", "too few texts"
_CERTAIN = 0.999


def known_only(log_p: npt.NDArray[Any], n_known: int) -> Floats:
    """Log-probabilities among the known classes alone (a background column left out)."""
    known = log_p[..., :n_known].astype(np.float64)
    top = known.max(axis=-1, keepdims=True)
    return np.asarray(known - top - np.log(np.exp(known - top).sum(axis=-1, keepdims=True)), np.float64)


def draws_of(
    rows: npt.NDArray[np.int64], groups: Sequence[str], size: int, n_draws: int, rng: np.random.Generator
) -> Iterator[npt.NDArray[np.int64]]:
    """Random sets of ``size`` of ``rows``, each from different groups; none where there are too few groups."""
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

    #: Numbers of texts, and for each the factor on summed log-probabilities (0..1].
    sizes: tuple[int, ...]
    scales: tuple[float, ...]
    #: For each number of texts, and class: the mean log-probability that 99 % of the class's groups exceed.
    floors: tuple[tuple[float, ...], ...]
    #: Per pair (written by, other): mean and spread of one text's log-odds, in nats.
    margin_mean: tuple[tuple[float, ...], ...]
    margin_spread: tuple[tuple[float, ...], ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any], n_known: int) -> CorpusRule:
        """The rule written by :meth:`as_json`.

        Raises
        ------
        ValueError, TypeError, KeyError : a part is missing or of another shape.
        """
        square = tuple(tuple(map(float, row)) for row in values["margin_mean"])
        spread = tuple(tuple(map(float, row)) for row in values["margin_spread"])
        floors = tuple(tuple(map(float, row)) for row in values["floors"])
        sizes, scales = tuple(map(int, values["sizes"])), tuple(map(float, values["scales"]))
        if not sizes or not len(sizes) == len(scales) == len(floors):
            raise ValueError("group calibration of unequal lengths")
        if any(len(row) != n_known for row in (*square, *spread, *floors)) or len(square) != n_known:
            raise ValueError("group calibration for another number of classes")
        return cls(sizes, scales, floors, square, spread)

    def scale(self, n: int) -> float:
        """Factor for ``n`` texts, interpolated over ln n; beyond what was calibrated, evidence grows as a root."""
        beyond = max(1.0, n / self.sizes[-1])
        return float(np.exp(np.interp(np.log(n), np.log(self.sizes), np.log(self.scales))) / beyond**0.5)

    def floor(self, n: int, best: int) -> float:
        """The mean log-probability below which ``n`` texts are not ``best``'s, interpolated over ln n."""
        return float(np.interp(np.log(n), np.log(self.sizes), [row[best] for row in self.floors]))

    def texts_needed(self, best: int) -> int | None:
        """Texts after which ``best`` is told from every other class in 99.9 % of cases; None: never at this rate.

        Normal approximation per pair, the chance of error shared among the pairs.
        """
        others = [j for j in range(len(self.margin_mean)) if j != best]
        deviate = _deviate(1 - (1 - _CERTAIN) / max(len(others), 1))
        worst = 1.0
        for j in others:
            mean, spread = self.margin_mean[best][j], self.margin_spread[best][j]
            if mean <= 0:
                return None
            worst = max(worst, (deviate * spread / mean) ** 2)
        return int(np.ceil(worst)) if worst < 100_000 else None

    def decide(self, log_p: npt.NDArray[Any], n_known: int) -> Decision:
        """Who wrote the texts with these log-probabilities (texts x classes, a background column last)."""
        n = len(log_p)
        total = known_only(log_p, n_known).sum(axis=0)
        best = int(total.argmax())
        probability = np.exp(known_only((self.scale(n) * total)[None], n_known)[0])
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
    """One corpus: likeliest class, calibrated probabilities, verdict, distance to rejection in nats a text."""

    best: int
    probabilities: Floats
    verdict: str
    margin: float


def _deviate(p: float) -> float:
    from scipy.stats import norm

    return float(norm.ppf(p))


def fit_rule(
    log_p: npt.NDArray[Any], classes: npt.NDArray[Any], groups: Sequence[str], n_known: int, *, seed: int = 0
) -> CorpusRule:
    """Fit scales and floors on held-out texts (log-probabilities texts x classes, background column last)."""
    rng = np.random.default_rng(seed)
    known = known_only(log_p, n_known)
    rows = [np.flatnonzero(classes == c) for c in range(n_known)]
    sizes, scales, floors = [], [], []
    previous: Floats | None = None
    for size in SIZES:
        sums: list[Floats] = []
        truth: list[int] = []
        floor = np.full(n_known, np.nan)
        for c in range(n_known):
            picked = (
                list(draws_of(rows[c], groups, size, DRAWS, rng))
                if size > 1
                else [np.array([r], np.int64) for r in rows[c]]
            )
            if not picked:
                continue
            sums += [known[p].sum(axis=0) for p in picked]
            truth += [c] * len(picked)
            floor[c] = np.quantile([log_p[p, c].mean() for p in picked], FALSE_REJECTIONS)
        if len(set(truth)) < max(2, n_known // 2):
            break
        # A class too rare for groups of this size keeps its floor for the size before.
        filler = previous if previous is not None else np.full(n_known, np.nanmin(floor))
        floor = np.where(np.isnan(floor), filler, floor)
        previous = floor
        sizes.append(size)
        scales.append(_best_scale(np.array(sums), np.array(truth)))
        floors.append(tuple(float(v) for v in floor))
    mean, spread = np.zeros((n_known, n_known)), np.zeros((n_known, n_known))
    for c in range(n_known):
        if len(rows[c]):
            odds = known[rows[c], c][:, None] - known[rows[c]]
            mean[c], spread[c] = odds.mean(axis=0), odds.std(axis=0)
    return CorpusRule(
        tuple(sizes),
        tuple(scales),
        tuple(floors),
        tuple(tuple(float(v) for v in row) for row in mean),
        tuple(tuple(float(v) for v in row) for row in spread),
    )


def _best_scale(sums: Floats, truth: npt.NDArray[np.int64]) -> float:
    """The factor of least log-loss, at most 1: never surer than if texts were independent.

    Half an error is added, so that a calibration without errors does not claim certainty.
    """
    from scipy.optimize import minimize_scalar

    rows, n_classes = np.arange(len(truth)), sums.shape[1]

    def loss(log_scale: float) -> float:
        log_p = known_only(np.exp(log_scale) * sums, n_classes)
        right = log_p[rows, truth].copy()
        log_p[rows, truth] = -np.inf
        top = log_p.max(axis=1, keepdims=True)
        wrong = top[:, 0] + np.log(np.exp(log_p - top).sum(axis=1))
        return float(-right.sum() - 0.5 * wrong.mean())

    found = minimize_scalar(loss, bounds=(-8.0, 0.0), method="bounded")
    return float(np.exp(found.x))

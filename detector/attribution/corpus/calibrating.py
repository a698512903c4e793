"""Fitting the rule for corpora on held-out texts: factors by number of texts, floors of rejection, margins of pairs.

Mean habits are fitted on one half of the groups (prompts) and judged on the other half. The factors therefore see
habits as they perform on unseen texts. The habits that are kept are fitted on both halves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from detector.attribution.corpus.habits import LEAST_GROUPS, LEAST_TEXTS, MOST_SCORES, Habits, fit_habits
from detector.attribution.corpus.rule import (
    FALSE_REJECTIONS,
    SIZES,
    CorpusRule,
    draws_of,
    known_only,
    texts_between,
)
from detector.attribution.fingerprint.splits import folds_of

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Groups drawn for each class and size.
DRAWS = 200
#: Fewest texts whose mean habits count: the mean of fewer is not nearly normal.
HABITS_FROM = 5
#: Texts x scores gathered at once, a bound on memory.
_AT_ONCE = 4_000_000
#: Share of known corpora that lie within the reach of habits.
_WITHIN = 0.9
#: The number of texts whose factors say how many texts 99.9 % takes.
_TYPICAL_SIZE = 20


@dataclass(frozen=True)
class _Halves:
    """Habits fitted on each half of the groups. A text is judged by the habits of the half it is not in."""

    #: Half of each text, 0 or 1.
    half: Ints
    #: ``fitted[h]`` was fitted without the texts of half ``h`` and judges them.
    fitted: tuple[Habits, Habits]
    #: Habits of the texts in each kind of copy.
    kinds: Sequence[npt.NDArray[Any]]


def fit_rule(
    log_p: npt.NDArray[Any], classes: npt.NDArray[Any], groups: Sequence[str], n_known: int, *, seed: int = 0,
    kinds: Sequence[npt.NDArray[Any]] = (),
) -> CorpusRule:  # fmt: skip
    """Fit factors and floors on held-out texts (log-probabilities texts x classes, background column last).

    ``kinds`` are the habits of the texts in each kind of copy, the unchanged texts first. Without them the sums alone
    decide.
    """
    rng = np.random.default_rng(seed)
    log_known = known_only(log_p, n_known)
    rows_by_class = [np.flatnonzero(classes == c) for c in range(n_known)]
    halves = _halves(classes, groups, n_known, kinds, seed)
    n_texts = sum(map(len, rows_by_class))
    sizes: list[int] = []
    scales: list[float] = []
    floors: list[tuple[float, ...]] = []
    beside: list[tuple[float, float, float]] = []
    for size in SIZES:
        drawn = [_drawn(class_rows, groups, size, DRAWS, rng) for class_rows in rows_by_class]
        if sum(bool(picked) for picked in drawn) < max(2, n_known // 2):
            break
        floor = np.array(
            [
                np.quantile([log_p[p, c].mean() for p in picked], FALSE_REJECTIONS) if picked else np.nan
                for c, picked in enumerate(drawn)
            ]
        )
        # A class too rare for groups of this size keeps the floor of the size before.
        floor = np.where(np.isnan(floor), floors[-1] if floors else np.nanmin(floor), floor)
        floors.append(tuple(float(v) for v in floor))
        sizes.append(size)
        scales.append(_best_factors(*_sums(drawn, log_known), n_texts)[0])
        if halves is not None:
            beside.append(
                _beside(halves, rows_by_class, log_known, groups, size, n_texts, scales, beside, rng)
            )
    habits = fit_habits(kinds, classes, n_known) if halves is not None else None
    rule = CorpusRule(tuple(sizes), tuple(scales), tuple(floors), (), (), tuple(beside), habits)
    mean, spread = _margins(rule, log_known, rows_by_class, halves)
    return replace(rule, margin_mean=mean, margin_spread=spread)


def _halves(
    classes: npt.NDArray[Any],
    groups: Sequence[str],
    n_known: int,
    kinds: Sequence[npt.NDArray[Any]],
    seed: int,
) -> _Halves | None:
    """Habits of both halves; None where texts or groups are too few, or scores too many."""
    if not kinds or kinds[0].shape[1] > MOST_SCORES:
        return None
    known_class = classes < n_known
    if len({g for g, is_known in zip(groups, known_class, strict=True) if is_known}) < LEAST_GROUPS:
        return None
    half = folds_of(groups, 2, seed)
    counts = [np.bincount(classes[known_class & (half == h)], minlength=n_known) for h in (0, 1)]
    if min(int(c.min()) for c in counts) < LEAST_TEXTS // 2:
        return None
    fitted = [fit_habits([k[half != h] for k in kinds], classes[half != h], n_known) for h in (0, 1)]
    return _Halves(half, (fitted[0], fitted[1]), kinds)


def _drawn(
    rows: Ints, groups: Sequence[str], size: int, n_draws: int, rng: np.random.Generator
) -> list[Ints]:
    """Sets of ``size`` texts of one class. For a size of one, every text once."""
    return [np.array([r]) for r in rows] if size == 1 else list(draws_of(rows, groups, size, n_draws, rng))


def _sums(drawn: Sequence[Sequence[Ints]], log_known: Floats) -> tuple[Floats, Ints]:
    """Summed log-probabilities of drawn sets by class, and the class of each."""
    picked = [p for sets in drawn for p in sets]
    truth = np.repeat(np.arange(len(drawn)), [len(sets) for sets in drawn])
    return means_of(log_known, picked) * (len(picked[0]) if picked else 1), truth


def means_of(values: npt.NDArray[Any], picked: Sequence[Ints]) -> Floats:
    """Mean rows of ``values`` over each of ``picked``, sets of one size: sets x columns."""
    if not picked:
        return np.zeros((0, values.shape[1]))
    rows = np.array(picked)
    step = max(1, _AT_ONCE // (rows.shape[1] * values.shape[1]))
    parts = [values[rows[at : at + step]].mean(axis=1) for at in range(0, len(rows), step)]
    return np.concatenate(parts).astype(np.float64)


def _beside(
    halves: _Halves, rows_by_class: Sequence[Ints], log_known: Floats, groups: Sequence[str], size: int, n_texts: int,
    scales: Sequence[float], before: Sequence[tuple[float, float, float]], rng: np.random.Generator,
) -> tuple[float, float, float]:  # fmt: skip
    """Factors on sums and habits for sets of ``size``, and the reach of habits.

    A few texts are judged by their log-probabilities alone. Where half the prompts cannot fill a set, the factors of the
    size before are kept. They are shrunk in proportion to the factor on the sums.
    """
    sums, likelihoods, truths, distances = [], [], [], []
    for h, fitted in enumerate(halves.fitted):
        drawn = [
            _drawn(class_rows[halves.half[class_rows] == h], groups, size, DRAWS // 2, rng)
            for class_rows in rows_by_class
        ]
        summed, truth = _sums(drawn, log_known)
        if not len(truth):
            continue
        picked = [p for some in drawn for p in some]
        judged = [fitted.log_likelihood(means_of(kind, picked), size) for kind in halves.kinds]
        sums.append(summed)
        truths.append(truth)
        likelihoods.append(judged[0][0])
        distances += [distance for _, distance in judged]
    if not truths or len(np.unique(np.concatenate(truths))) < max(2, len(rows_by_class) // 2):
        own, by_habits, reach = before[-1]
        shrink = min(1.0, scales[-1] / scales[-2])
        return own * shrink, by_habits * shrink, reach
    reach = float(np.quantile(np.concatenate(distances), _WITHIN))
    if size < HABITS_FROM:
        return scales[-1], 0.0, reach
    own, by_habits = _best_factors(
        np.concatenate(sums), np.concatenate(truths), n_texts, np.concatenate(likelihoods)
    )
    return own, by_habits, reach


def _margins(
    rule: CorpusRule, log_known: Floats, rows_by_class: Sequence[Ints], halves: _Halves | None
) -> tuple[tuple[tuple[float, ...], ...], tuple[tuple[float, ...], ...]]:
    """Mean and spread, over texts, of what one text adds to the log-odds of its class over each other class.

    The rule weighs habits more with more texts. Margins are taken for both ends: sums alone, and sums with habits.
    Each class keeps the end that identifies it with fewer texts.
    """
    ways = [log_known]
    if halves is not None:
        own, by_habits, _ = rule.weights(min(_TYPICAL_SIZE, rule.sizes[-1]))
        odds = np.empty_like(log_known)
        for h, fitted in enumerate(halves.fitted):
            odds[halves.half == h] = fitted.odds_of(halves.kinds[0][halves.half == h])
        ways.append(own * log_known + by_habits * odds)
    means, spreads = [], []
    for c, class_rows in enumerate(rows_by_class):
        nothing = np.zeros(len(rows_by_class))
        margins = (
            [added[class_rows, c][:, None] - added[class_rows] for added in ways] if len(class_rows) else []
        )
        moments = [(m.mean(axis=0), m.std(axis=0)) for m in margins] or [(nothing, nothing)]
        mean, spread = min(moments, key=lambda way: texts_between(way[0], way[1], c))
        means.append(tuple(mean.tolist()))
        spreads.append(tuple(spread.tolist()))
    return tuple(means), tuple(spreads)


def _best_factors(
    sums: Floats, truth: Ints, n_texts: int, likelihoods: Floats | None = None
) -> tuple[float, float]:
    """The factors of least log-loss on drawn sets. Each is at most 1: never surer than if texts were independent.

    Half an error among all ``n_texts`` is added. Draws repeat the same texts, so no mistake among a hundred texts does
    not prove an error rate of one in ten thousand. Without ``likelihoods`` the second factor is 0.
    """
    from scipy.optimize import minimize

    rows, n_classes = np.arange(len(truth)), sums.shape[1]
    doubt = 0.5 / max(n_texts, 1)

    def loss(at: Floats) -> float:
        total = np.exp(at[0]) * sums
        log_p = known_only(total if likelihoods is None else total + at[1] * likelihoods, n_classes)
        right = log_p[rows, truth].copy()
        log_p[rows, truth] = -np.inf
        top = log_p.max(axis=1, keepdims=True)
        wrong = top[:, 0] + np.log(np.exp(log_p - top).sum(axis=1))
        return float(-right.mean() - doubt * wrong.mean())

    start, bounds = ([-0.7], [(-8.0, 0.0)])
    if likelihoods is not None:
        start, bounds = ([*start, 0.3], [*bounds, (0.0, 1.0)])
    fit = minimize(loss, start, method="L-BFGS-B", bounds=bounds)
    return float(np.exp(fit.x[0])), 0.0 if likelihoods is None else float(fit.x[1])

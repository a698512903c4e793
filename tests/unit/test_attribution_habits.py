"""Many texts of one hand: mean habits, the factors they are weighed with, and when they are not asked."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from detector.attribution.corpus.calibrating import HABITS_FROM, fit_rule, means_of
from detector.attribution.corpus.habits import LEAST_GROUPS, Habits, fit_habits, habits_of
from detector.attribution.corpus.rule import CorpusRule, draws_of, known_only
from detector.attribution.fingerprint.blend import log_softmax

N_PROMPTS = 160


def twins(seed: int, n: int = N_PROMPTS, shift: float = 0.0) -> tuple[Any, Any, list[str]]:
    """Scores of three classes, of which the second is taken for the third nearly always, though its scores differ.

    A single text of class 1 scores class 2 higher; what gives it away is that its *third* score varies less high:
    the mean of many texts lies elsewhere.
    """
    rng = np.random.default_rng(seed)
    truth = np.tile(np.arange(3), n)
    middle = np.array([[2.0, 0.0, 0.0], [0.0, 1.0, 1.2], [0.0, 0.8, 2.0]])
    scores = middle[truth] + rng.normal(size=(3 * n, 3)) + shift * np.array([0.0, 1.0, -2.0])
    return scores, truth, [f"p{i // 3}" for i in range(3 * n)]


def rightly(rule: CorpusRule, scores: Any, truth: Any, groups: list[str], size: int) -> tuple[float, float]:
    """Share of drawn corpora named right: by the rule, and by sums alone."""
    rng = np.random.default_rng(5)
    log_p, habits = log_softmax(scores), habits_of([scores])
    picked = [p for c in range(3) for p in draws_of(np.flatnonzero(truth == c), groups, size, 60, rng)]
    of = np.array([truth[p[0]] for p in picked])
    sums = size * means_of(log_p, picked)
    return (
        float((rule.log_probs(sums, means_of(habits, picked), size).argmax(axis=1) == of).mean()),
        float((rule.log_probs(sums, None, size).argmax(axis=1) == of).mean()),
    )


@pytest.fixture(scope="module")
def rule() -> CorpusRule:
    scores, truth, groups = twins(1)
    return fit_rule(log_softmax(scores), truth, groups, 3, kinds=[habits_of([scores])])


def test_twins_that_sums_confuse_are_told_apart_by_their_means(rule: CorpusRule) -> None:
    with_habits, alone = rightly(rule, *twins(2), 20)
    assert alone < 0.8 < 0.93 < with_habits


def test_a_few_texts_are_judged_by_their_log_probabilities_alone(rule: CorpusRule) -> None:
    scores, truth, groups = twins(3)
    one, alone = rightly(rule, scores, truth, groups, 1)
    assert one == alone
    for size, (own, by_habits, reach) in zip(rule.sizes, rule.beside, strict=True):
        assert 0 < own <= 1
        assert reach > 0
        assert by_habits == 0 if size < HABITS_FROM else 0 <= by_habits <= 1
    sums = log_softmax(scores)[:4].sum(axis=0)[None]
    assert np.allclose(rule.log_probs(sums, habits_of([scores])[:1], 1), known_only(rule.scale(1) * sums, 3))


def test_texts_changed_in_a_way_nobody_foresaw_keep_their_sums(rule: CorpusRule) -> None:
    """Far from everything known, habits are hardly asked: the answer is the sums'."""
    scores, _, _ = twins(4, shift=12.0)
    sums = log_softmax(scores)[:30].sum(axis=0)[None]
    far = habits_of([scores])[:30].mean(axis=0)[None] + 5.0
    assert np.allclose(rule.log_probs(sums, far, 30), known_only(rule.scale(30) * sums, 3), atol=0.02)
    near = habits_of([twins(5)[0]])[1::3][:30].mean(axis=0)[None]
    assert not np.allclose(rule.log_probs(sums, near, 30), known_only(rule.scale(30) * sums, 3), atol=0.02)


def test_a_kind_of_copy_that_training_saw_is_recognised() -> None:
    scores, truth, groups = twins(6)
    stripped = scores + np.array([0.0, 3.0, -3.0])
    found = fit_rule(
        log_softmax(scores), truth, groups, 3, kinds=[habits_of([scores]), habits_of([stripped])]
    )
    fresh, truth, groups = twins(7)
    with_habits, alone = rightly(found, fresh + np.array([0.0, 3.0, -3.0]), truth, groups, 30)
    assert with_habits > 0.85
    assert alone < 0.75


def test_stated_probability_with_habits_is_calibrated(rule: CorpusRule) -> None:
    scores, truth, groups = twins(8, n=600)
    rng = np.random.default_rng(0)
    for size in (5, 10):
        picked = [p for c in range(3) for p in draws_of(np.flatnonzero(truth == c), groups, size, 300, rng)]
        of = np.array([truth[p[0]] for p in picked])
        log_p = rule.log_probs(
            size * means_of(log_softmax(scores), picked), means_of(habits_of([scores]), picked), size
        )
        stated, right = np.exp(log_p.max(axis=1)).mean(), (log_p.argmax(axis=1) == of).mean()
        assert stated == pytest.approx(right, abs=0.05)


def test_too_few_prompts_or_texts_keep_no_habits() -> None:
    scores, truth, groups = twins(1, n=LEAST_GROUPS - 1)
    few = fit_rule(log_softmax(scores), truth, groups, 3, kinds=[habits_of([scores])])
    assert few.habits is None
    assert few.beside == ()
    scores, truth, groups = twins(1)
    rare = truth != 2
    rare[np.flatnonzero(truth == 2)[:6]] = True
    kept = fit_rule(
        log_softmax(scores[rare]), truth[rare], [g for g, r in zip(groups, rare, strict=True) if r], 3,
        kinds=[habits_of([scores[rare]])],
    )  # fmt: skip
    assert kept.habits is None
    assert kept.log_probs(np.zeros((1, 3)), np.ones((1, 3)), 9) == pytest.approx(np.log(1 / 3))


def test_the_rule_and_its_habits_survive_writing(rule: CorpusRule) -> None:
    assert rule.habits is not None
    again = CorpusRule.from_json(
        json.loads(json.dumps(rule.as_json())), 3, Habits.from_arrays(rule.habits.as_arrays(), 3, 3)
    )
    assert again.habits is not None
    assert again.as_json() == rule.as_json()
    assert np.allclose(again.habits.means, rule.habits.means, atol=1e-4)
    with pytest.raises(ValueError, match="habits do not fit"):
        CorpusRule.from_json(json.loads(json.dumps(rule.as_json())), 3, None)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("means", lambda a: a[:, :2]),
        ("whiteners", np.zeros_like),
        ("whiteners", lambda a: a[:, :2]),
        ("counts", lambda a: -a),
        ("means", lambda a: a * np.nan),
    ],
)
def test_damaged_habits_are_refused(rule: CorpusRule, name: str, change: Any) -> None:
    assert rule.habits is not None
    arrays = rule.habits.as_arrays()
    with pytest.raises(ValueError, match="habits"):
        Habits.from_arrays({**arrays, name: change(arrays[name])}, 3, 3)


def test_the_likelihood_is_that_of_a_normal_mean() -> None:
    """Against scipy's density of the same mean and spread, up to one constant."""
    from scipy.stats import multivariate_normal

    rng = np.random.default_rng(2)
    truth = np.repeat([0, 1], 4000)
    values = np.where(truth[:, None] == 0, [0.0, 0.0], [0.5, 1.0]) + rng.normal(size=(8000, 2)) @ [
        [1, 0.3],
        [0, 0.5],
    ]
    habits = fit_habits([values], truth, 2)
    at = np.array([[0.2, 0.1], [0.4, 0.9]])
    found, distance = habits.log_likelihood(at, 10)
    middle = [values[truth == c].mean(axis=0) for c in (0, 1)]
    spread = np.cov((values - np.array(middle)[truth]).T) * (1 / 10 + 1 / 4000)
    known = np.array([[multivariate_normal.logpdf(row, m, spread) for m in middle] for row in at])
    # What is drawn towards a sphere is a fiftieth of the spread: the odds are nearly those.
    assert np.allclose(found[:, 0] - found[:, 1], known[:, 0] - known[:, 1], rtol=0.15, atol=0.1)
    assert (distance >= 0).all()
    assert habits.odds_of(values).shape == (8000, 2)

"""Trees over style, and the figures of the tables: what is claimed of calibration must hold for made answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from detector.attribution.corpus.rule import CorpusRule
from detector.attribution.evaluate import figures
from detector.attribution.fingerprint import trees
from detector.attribution.fingerprint.style import COLUMNS

WIDTH = len(COLUMNS)


def _made(n: int, n_classes: int, seed: int = 0) -> tuple[Any, Any]:
    """Style rows whose class is where column 3 falls: a step function, with a fifth of the labels at random."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, WIDTH)).astype(np.float32)
    classes = np.clip(np.floor(values[:, 3] + n_classes / 2), 0, n_classes - 1).astype(np.int64)
    noisy = rng.random(n) < 0.2
    classes[noisy] = rng.integers(0, n_classes, noisy.sum())
    return values, classes


@pytest.fixture(scope="module")
def small() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trees, "MOST_TREES", 60)
        patch.setattr(trees, "FEWEST_ROUNDS", 10)
        yield {n: trees.fit_trees(*_made(400, n), n) for n in (2, 3)}


@pytest.mark.parametrize("n_classes", [2, 3])
def test_kept_arrays_score_as_the_grown_trees_do(small: Any, n_classes: int) -> None:
    """The arrays are all that is written: they must say what scikit-learn's own trees say."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    values, classes = _made(400, n_classes)
    rounds = 60 // (n_classes if n_classes > 2 else 1)
    grown = HistGradientBoostingClassifier(
        max_iter=rounds, learning_rate=min(0.16, 0.08 * (200 / rounds) ** 0.5), max_leaf_nodes=trees.LEAVES,
        min_samples_leaf=trees.LEAST, l2_regularization=1.0, max_features=trees.SHARE, early_stopping=False,
        random_state=0,
    ).fit(values, classes)  # fmt: skip
    fresh, truth = _made(300, n_classes, seed=1)
    scores = trees.TreesMember(small[n_classes], n_classes).logits_of(fresh)
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(p, grown.predict_proba(fresh), atol=1e-5)
    assert (scores.argmax(axis=1) == truth).mean() > 0.7


def test_a_class_without_texts_is_never_named(small: Any) -> None:
    values, classes = _made(200, 3)
    seen = classes != 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trees, "ROUNDS", 10)
        arrays = trees.fit_trees(values[seen], classes[seen], 4)
    scores = trees.TreesMember(arrays, 4).logits_of(values)
    assert set(scores.argmax(axis=1).tolist()) == {0, 2}
    assert np.isfinite(scores).all()


def test_one_class_alone_grows_no_tree_and_still_scores() -> None:
    arrays = trees.fit_trees(np.zeros((3, WIDTH), np.float32), np.ones(3, np.int64), 2)
    assert len(arrays["roots"]) == 0
    assert trees.TreesMember(arrays, 2).logits(["a text", None, ""]).argmax(axis=1).tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("name", "value"),
    [("low", 0), ("high", 1_000_000), ("feature", WIDTH), ("owner", 9), ("roots", -1), ("start", None)],
)
def test_damaged_arrays_are_refused(small: Any, name: str, value: int | None) -> None:
    """A child that points back would walk for ever; one out of range would crash in the middle of an answer."""
    damaged = {k: v.copy() for k, v in small[3].items()}
    if value is None:
        damaged[name] = damaged[name][:-1]
    else:
        damaged[name][int(np.flatnonzero(damaged["feature"] >= 0)[0]) if name in ("low", "high") else 0] = (
            value
        )
    with pytest.raises(ValueError, match="trees"):
        trees.TreesMember(damaged, 3)


def test_calibration_by_chance_is_what_a_calibrated_model_measures() -> None:
    rng = np.random.default_rng(0)
    found, expected = [], []
    for _ in range(200):
        p = rng.uniform(0.3, 1.0, 500)
        error, chance = figures.pooled_calibration([figures.bins_of(p, rng.random(500) < p)])
        found.append(error)
        expected.append(chance)
    assert np.mean(found) == pytest.approx(np.mean(expected), rel=0.1)


def test_calibration_is_pooled_over_folds_not_averaged() -> None:
    """Two folds off by as much in opposite directions are calibrated together."""
    p = np.full(100, 0.5)
    high = figures.bins_of(p, np.arange(100) < 60)
    low = figures.bins_of(p, np.arange(100) < 40)
    assert figures.pooled_calibration([high])[0] == pytest.approx(0.1)
    assert figures.pooled_calibration([high, low])[0] == pytest.approx(0.0)


def test_groups_are_named_by_their_sum_and_their_stated_probability_is_scaled() -> None:
    rng = np.random.default_rng(2)
    truth = np.repeat([0, 1], 40)
    log_p = rng.normal(size=(80, 2)) * 0.1
    log_p[np.arange(80), truth] += 0.2
    groups = [str(i % 40) for i in range(80)]
    zeros = ((0.0, 0.0), (0.0, 0.0))
    plain = CorpusRule((1, 100), (1.0, 1.0), zeros, zeros, zeros)
    found = figures.by_size(log_p, truth, groups, 2, rule=plain)
    assert set(found["by_size"]) == {"3", "5", "10", "30"}
    assert found["by_size"]["30"] == 1.0 > found["by_size"]["3"]
    # Thirty texts that are never wrong, stated at less than certainty: the gap is the calibration error.
    stated = 1 / (1 + np.exp(-30 * 0.2))
    assert found["calibration_error_by_size"]["30"] == pytest.approx(1 - stated, abs=0.01)
    assert "calibration_error_by_size" not in figures.by_size(log_p, truth, groups, 2)

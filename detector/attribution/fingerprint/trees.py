"""The trees member: gradient-boosted trees over style, which find the thresholds a smooth network misses.

scikit-learn grows the trees. They are kept as plain arrays, so a model folder has no pickles, and scoring is a few
gathers in numpy. A tree can ask whether a text has *any* heading or *exactly* no bold span, where the style network
sees a slope. Together they make fewer mistakes than either alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from detector.attribution.fingerprint.style import COLUMNS, measured

Floats = npt.NDArray[np.float32]

#: Rounds of boosting (one tree for each class), most trees in all, fewest rounds. Many classes get fewer, larger steps.
ROUNDS, MOST_TREES, FEWEST_ROUNDS = 200, 1200, 40
#: Step size at the full number of rounds, leaves of a tree, fewest texts of a leaf, share of columns a split may use.
STEP, LEAVES, LEAST, SHARE = 0.08, 15, 20, 0.2
#: Largest step, and the score of a class that training never saw.
_MOST_STEP, _UNSEEN = 0.16, -20.0
#: Texts scored at once: their positions in all trees then stay in the processor's cache.
_BATCH = 256


def fit_trees(
    values: Floats,
    classes: npt.NDArray[Any],
    n_classes: int,
    *,
    importance: Floats | None = None,
    seed: int = 0,
    progress: Callable[[float, str], None] = lambda share, note: None,
) -> dict[str, npt.NDArray[Any]]:
    """Arrays of fitted trees over style ``values`` (texts x columns); ``classes`` are 0..n_classes-1.

    ``roots`` and ``owner`` have one entry for each tree: its first node, and the class it votes for. ``feature`` (-1: a
    leaf), ``threshold``, ``low`` and ``high`` (the node for values up to / above the threshold) and ``value`` have one
    entry for each node. ``start`` has one for each class.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    present = np.unique(classes)
    start = np.full(n_classes, _UNSEEN, np.float32)
    if len(present) < 2:
        start[present] = 0.0
        return _packed([], [], start)
    a_round = len(present) if len(present) > 2 else 1
    rounds = int(np.clip(MOST_TREES // a_round, FEWEST_ROUNDS, ROUNDS))
    progress(0.0, "trees: growing")
    booster = HistGradientBoostingClassifier(
        max_iter=rounds,
        learning_rate=min(_MOST_STEP, STEP * (ROUNDS / rounds) ** 0.5),
        max_leaf_nodes=LEAVES,
        min_samples_leaf=max(1, min(LEAST, len(classes) // (4 * len(present)))),
        l2_regularization=1.0,
        max_features=SHARE,
        early_stopping=False,
        random_state=seed,
    )
    # Nodes are small, so several threads would mostly wait for each other.
    with threadpool_limits(limits=1, user_api="openmp"):
        grown = booster.fit(values, classes, sample_weight=importance)
    progress(1.0, "trees: grown")
    first = np.asarray(grown._baseline_prediction, np.float64).ravel()
    if len(present) == 2:  # one tree a round: the log-odds of the second class
        start[present] = (0.0, first[0])
        owners = present[1:]
    else:
        start[present] = first
        owners = present
    trees = [tree.nodes for one in grown._predictors for tree in one]
    return _packed(trees, np.tile(owners, rounds), start)


def _packed(trees: Sequence[Any], owner: Any, start: Floats) -> dict[str, npt.NDArray[Any]]:
    """Trees end to end in flat arrays."""
    sizes = np.array([len(t) for t in trees], np.int64)
    roots = (np.cumsum(sizes) - sizes).astype(np.int32)
    shift = np.repeat(roots, sizes)

    def whole(field: str) -> npt.NDArray[Any]:
        return np.concatenate([t[field] for t in trees]) if trees else np.zeros(0)

    leaf = whole("is_leaf").astype(bool)
    return {
        "start": start,
        "roots": roots,
        "owner": np.asarray(owner, np.int32),
        "feature": np.where(leaf, -1, whole("feature_idx")).astype(np.int16),
        "threshold": np.where(leaf, 0.0, whole("num_threshold")).astype(np.float32),
        "low": np.where(leaf, 0, whole("left") + shift).astype(np.int32),
        "high": np.where(leaf, 0, whole("right") + shift).astype(np.int32),
        "value": np.where(leaf, whole("value"), 0.0).astype(np.float32),
    }


class TreesMember:
    """Fitted trees. Their arrays are checked first: a walk through a damaged file might never end.

    Raises
    ------
    ValueError : the arrays are no trees over the style columns and these classes.
    """

    def __init__(self, arrays: dict[str, npt.NDArray[Any]], n_classes: int) -> None:
        self.arrays = arrays
        self.n_classes = n_classes
        feature, n = arrays["feature"], len(arrays["feature"])
        inner = np.flatnonzero(feature >= 0)
        low, high, roots, owner = arrays["low"], arrays["high"], arrays["roots"], arrays["owner"]
        if any(len(arrays[k]) != n for k in ("threshold", "low", "high", "value")) or len(roots) != len(
            owner
        ):
            raise ValueError("trees with nodes of unequal number")
        if len(arrays["start"]) != n_classes or (
            len(owner) and not 0 <= owner.min() <= owner.max() < n_classes
        ):
            raise ValueError("trees for another number of classes")
        if n and (feature.max() >= len(COLUMNS) or (len(roots) and not 0 <= roots.min() <= roots.max() < n)):
            raise ValueError("trees over other columns")
        # A child always has a higher number than its parent, so every walk ends.
        below = (low[inner] > inner) & (high[inner] > inner) & (low[inner] < n) & (high[inner] < n)
        if not below.all():
            raise ValueError("trees whose nodes do not descend")
        # Leaves lead to themselves, so all texts can walk the same number of steps.
        own = np.arange(n, dtype=np.int32)
        leaf = feature < 0
        self._low, self._high = np.where(leaf, own, low), np.where(leaf, own, high)
        self._feature = np.where(leaf, 0, feature).astype(np.int32)
        self._votes = np.zeros((len(owner), n_classes), np.float32)
        self._votes[np.arange(len(owner)), owner] = 1
        self._inner = ~leaf

    def logits_of(self, values: Floats) -> Floats:
        """Scores for measured style, texts x classes."""
        out = np.empty((len(values), self.n_classes), np.float32)
        for at in range(0, len(values), _BATCH):
            out[at : at + _BATCH] = self._walked(np.ascontiguousarray(values[at : at + _BATCH], np.float32))
        return out

    def _walked(self, values: Floats) -> Floats:
        rows = np.arange(len(values))[:, None]
        node = np.broadcast_to(self.arrays["roots"], (len(values), len(self.arrays["roots"])))
        while self._inner[node].any():
            below = values[rows, self._feature[node]] <= self.arrays["threshold"][node]
            node = np.where(below, self._low[node], self._high[node])
        return np.asarray(self.arrays["value"][node] @ self._votes + self.arrays["start"], np.float32)

    def logits(self, texts: Sequence[str | None]) -> Floats:
        """Scores of texts, texts x classes."""
        return self.logits_of(measured(texts))

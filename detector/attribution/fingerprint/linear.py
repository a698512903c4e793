"""The linear member: the most telling n-gram columns, one weight for each class and column, fitted by L-BFGS.

A one-way analysis of variance over the classes chooses the columns. Fewer columns are faster *and* more accurate than
all of them: a rare gram is more often a prompt's word than a model's habit.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from detector.attribution.extra import needed
from detector.attribution.fingerprint.hashed import SIZE, Floats, Ints, count_all, damped
from detector.attribution.fingerprint.vocabulary import Vocabulary

if TYPE_CHECKING:
    import torch

#: Columns kept, and texts a column must occur in.
KEPT, MIN_TEXTS = 20_000, 5
#: Inverse strength of the L2 penalty, in units of one text's loss.
STRENGTH = 30.0
#: Texts the columns are chosen on. Choosing keeps their counts in memory, and more texts do not improve it.
CHOSEN_ON = 8_000


def choose_columns(
    texts: Sequence[str | None], classes: npt.NDArray[Any], *, kept: int = KEPT, min_texts: int = MIN_TEXTS
) -> Vocabulary:
    """The ``kept`` columns that differ most between ``classes`` (one integer for each text), with their idf.

    idf = ln((1+n)/(1+df)) + 1. The F statistic is taken on damped, weighted, length-scaled values.
    """
    counted = count_all(texts)
    n, columns = len(texts), counted.columns
    df = np.bincount(columns, minlength=2 * SIZE)
    # A column in every text of a tiny table is no habit, but a table of a dozen texts still needs columns.
    common = df >= min(min_texts, max(1, n // 4))
    idf = (np.log((1 + n) / (1 + df)) + 1).astype(np.float32)
    keep = common[columns]
    rows = np.repeat(np.arange(n, dtype=np.int32), np.diff(counted.indptr))[keep]
    columns, counts = columns[keep], counted.counts[keep]
    values = damped(counts) * idf[columns]
    half = rows * 2 + (columns >= SIZE)
    length = np.sqrt(np.bincount(half, weights=values * values, minlength=2 * n))
    values /= length[half].astype(np.float32)
    score = _variance_ratio(rows, columns, values, classes)
    score[~common] = -1
    order = np.argsort(-score, kind="stable")[: min(kept, int(common.sum()))]
    best = np.sort(order).astype(np.int32)
    return Vocabulary(best, idf[best])


def _variance_ratio(
    rows: npt.NDArray[np.int32], columns: npt.NDArray[np.int32], values: Floats, classes: npt.NDArray[Any]
) -> npt.NDArray[np.float64]:
    """One-way ANOVA F of each column over the classes. A column that never varies has 0."""
    n, sizes = len(classes), np.bincount(classes).astype(np.float64)
    text_class = classes[rows]
    between, total = np.zeros(2 * SIZE), np.zeros(2 * SIZE)
    for c in np.flatnonzero(sizes):
        in_class = text_class == c
        sums = np.bincount(columns[in_class], weights=values[in_class], minlength=2 * SIZE)
        total += sums
        between += sums**2 / sizes[c]
    squares = np.bincount(columns, weights=values * values, minlength=2 * SIZE)
    between -= total**2 / n
    within = squares - total**2 / n - between
    n_filled = int((sizes > 0).sum())
    freedom = (n - n_filled) / max(n_filled - 1, 1)
    return np.where(within > 1e-12, np.maximum(between, 0) / np.maximum(within, 1e-12) * freedom, 0.0)


def _sparse(
    rows: tuple[Ints, npt.NDArray[np.int32], Floats], width: int, device: torch.device
) -> torch.Tensor:
    torch = needed("torch")
    with warnings.catch_warnings():  # torch calls its CSR layout a beta; our tests cover the part used here
        warnings.simplefilter("ignore")
        built = torch.sparse_csr_tensor(
            torch.from_numpy(rows[0].astype(np.int32)),
            torch.from_numpy(rows[1].astype(np.int32)),
            torch.from_numpy(rows[2]),
            size=(len(rows[0]) - 1, width),
        )
        return built.to(device)  # type: ignore[no-any-return]


def fit_weights(
    rows: tuple[Ints, npt.NDArray[np.int32], Floats],
    width: int,
    classes: npt.NDArray[Any],
    n_classes: int,
    *,
    importance: Floats | None = None,
    strength: float = STRENGTH,
    iterations: int = 60,
    device: torch.device | None = None,
    progress: Callable[[float, str], None] = lambda share, note: None,
) -> tuple[Floats, Floats]:
    """Softmax regression by full-batch L-BFGS: (weights width x n_classes, bias).

    Minimises the mean loss (weighted by ``importance``) + |W|^2 / (2 strength n). The gradient is computed by hand as
    two sparse products, which are fast on CPU and CUDA.
    """
    torch = needed("torch")
    device = device or torch.device("cpu")
    n = len(classes)
    from scipy.sparse import csr_array

    forward = _sparse(rows, width, device)
    turned = csr_array((rows[2], rows[1], rows[0]), shape=(n, width)).T.tocsr()
    backward = _sparse((turned.indptr, turned.indices, turned.data), n, device)
    target = torch.from_numpy(classes.astype(np.int64)).to(device)
    share = torch.ones(n) if importance is None else torch.from_numpy(importance.astype(np.float32))
    total = float(share.sum())
    share = (share / total).to(device)
    weights = torch.zeros(width, n_classes, device=device)
    bias = torch.zeros(n_classes, device=device)
    search = torch.optim.LBFGS(
        [weights, bias],
        lr=1,
        max_iter=iterations,
        history_size=10,
        tolerance_change=1e-7,
        line_search_fn="strong_wolfe",
    )
    decay = 1.0 / (strength * total)
    steps = 0

    def loss() -> float:
        nonlocal steps
        steps += 1
        with torch.no_grad():
            log_p = torch.log_softmax(forward @ weights + bias, dim=1)
            value = (
                -(share * log_p.gather(1, target[:, None])[:, 0]).sum()
                + 0.5 * decay * (weights * weights).sum()
            )
            error = log_p.exp_()
            error[torch.arange(n, device=device), target] -= 1
            error *= share[:, None]
            weights.grad = backward @ error + decay * weights
            bias.grad = error.sum(dim=0)
        progress(min(1.0, steps / (1.1 * iterations)), f"linear: loss {float(value):.3f}")
        return float(value)

    search.step(loss)
    return weights.cpu().numpy(), bias.cpu().numpy()


class LinearMember:
    """A vocabulary and its weights. Texts are scored through an ``EmbeddingBag`` of summed weight rows."""

    def __init__(self, vocabulary: Vocabulary, weights: Floats, bias: Floats, device: torch.device) -> None:
        torch = needed("torch")
        self.vocabulary = vocabulary
        self.weights, self.bias = weights, bias
        self.device = device
        with torch.no_grad():
            self.bag = torch.nn.EmbeddingBag.from_pretrained(
                torch.from_numpy(np.ascontiguousarray(weights)), mode="sum", include_last_offset=True
            ).to(device)
            self._bias = torch.from_numpy(bias).to(device)

    def logits(self, texts: Sequence[str | None]) -> Floats:
        """Scores, texts x classes."""
        torch = needed("torch")
        pointers, positions, values = self.vocabulary.vectors(texts)
        with torch.no_grad():
            out = self.bag(
                torch.from_numpy(positions.astype(np.int64)).to(self.device),
                torch.from_numpy(pointers).to(self.device),
                per_sample_weights=torch.from_numpy(values).to(self.device),
            )
            return (out + self._bias).cpu().numpy()  # type: ignore[no-any-return]

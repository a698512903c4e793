"""Fitting one additive model, and scoring every row by one that never saw its world."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from detector.lab.training.additive_fit import fit
from detector.lab.training.labelled import FOLDS
from detector.score import inputs
from detector.score.additive import Additive

Floats = npt.NDArray[np.float64]


def columns(frame: pl.DataFrame, terms: Mapping[str, str]) -> dict[str, Floats]:
    """The columns of ``terms`` that ``frame`` has."""
    measured = inputs.columns_of(frame)
    return {name: measured[name] for name in terms if name in measured}


def fit_terms(
    frame: pl.DataFrame, terms: Mapping[str, str], weight: Floats | None, penalty: float
) -> Additive:
    """A model of ``label`` from the columns of ``terms``, each held to its direction."""
    return fit(
        columns(frame, terms),
        (frame["label"] == 1).to_numpy(),
        rising=frozenset(n for n, d in terms.items() if d == "up"),
        falling=frozenset(n for n, d in terms.items() if d == "down"),
        weight=weight,
        penalty=penalty,
    )


def cross_fitted(
    rows: pl.DataFrame,
    fit: Callable[[pl.DataFrame], Additive | None],
    *,
    learned_from: pl.DataFrame | None = None,
) -> Floats:
    """Log-odds of every row from a model fitted on the other folds' worlds; 0 where those teach nothing (None).

    ``learned_from``: rows to fit on; ``rows`` where there are none.
    """
    teaching = rows if learned_from is None else learned_from
    bits = np.zeros(len(rows))
    for fold in range(FOLDS):
        asked = rows["fold"] == fold
        if asked.any() and (model := fit(teaching.filter(pl.col("fold") != fold))) is not None:
            bits[asked.to_numpy()] = inputs.score_frame(model, rows.filter(asked))
    return bits

"""Fitting one additive model, and scoring every row by one that never saw its world."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from detector.lab.training.labelled import FOLDS
from detector.score import additive, inputs

Floats = npt.NDArray[np.float64]


def columns(frame: pl.DataFrame, terms: Mapping[str, str]) -> dict[str, Floats]:
    """The columns of ``terms`` that ``frame`` has."""
    found = inputs.columns_of(frame)
    return {name: found[name] for name in terms if name in found}


def fit_terms(
    frame: pl.DataFrame, terms: Mapping[str, str], weight: Floats | None, penalty: float
) -> additive.Additive:
    """A model of ``label`` from the columns of ``terms``, each held to its direction."""
    return additive.fit(
        columns(frame, terms),
        frame["label"].cast(pl.Boolean).to_numpy(),
        rising=frozenset(n for n, d in terms.items() if d == "up"),
        falling=frozenset(n for n, d in terms.items() if d == "down"),
        weight=weight,
        penalty=penalty,
    )


def cross_fitted(frame: pl.DataFrame, fit: Callable[[pl.DataFrame], additive.Additive | None]) -> Floats:
    """Log-odds of every row from a model fitted on the other folds' worlds; 0 where those teach nothing (None)."""
    bits = np.zeros(len(frame))
    for fold in range(FOLDS):
        held = frame["fold"] == fold
        if held.any() and (model := fit(frame.filter(~held))) is not None:
            bits[held.to_numpy()] = inputs.score_frame(model, frame.filter(held))
    return bits

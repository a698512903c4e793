"""Fits and calibrates one additive model: penalised logistic regression on thermometer-coded quantiles.

Each feature is coded by the quantile edges it exceeds, and all steps are fitted together (L-BFGS-B). Where more of
something can only be more suspicious, its steps are held to one direction, which keeps the fit from learning quirks
of the synthetic worlds.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from detector.score.additive import Additive, Term

Floats = npt.NDArray[np.float64]

LN2 = float(np.log(2.0))
#: Quantile of honest scores from which probabilities are fitted (0..1).
DECIDES_FROM = 0.9


def fit(
    columns: Mapping[str, Floats],
    label: npt.NDArray[np.bool_],
    *,
    rising: frozenset[str],
    falling: frozenset[str] = frozenset(),
    weight: Floats | None = None,
    penalty: float = 1.0,
    n_edges: int = 8,
) -> Additive:
    """Fit the additive model.

    Parameters
    ----------
    columns : measurements, shape (n,) each; NaN is not measured.
    rising, falling : measurements whose steps may only go up (down).
    penalty : L2 weight on each step, in natural log-odds; steps are on quantile edges.
    """
    n = len(label)
    weight = np.ones(n) if weight is None else weight
    design: list[Floats] = []
    owner: list[tuple[str, Floats]] = []
    bounds: list[tuple[float | None, float | None]] = []
    for name, values in columns.items():
        edges = _edges(values, label, n_edges)
        if not len(edges):
            continue
        owner.append((name, edges))
        measured = ~np.isnan(values)
        for edge in edges:
            column = np.where(measured, values > edge, False).astype(float)
            # Centred on the honest, and zero where not measured: NULL says nothing either way.
            centre = np.average(column[measured & ~label], weights=weight[measured & ~label])
            design.append(np.where(measured, column - centre, 0.0))
            bounds.append((0.0 if name in rising else None, 0.0 if name in falling else None))
    x = np.column_stack(design) if design else np.zeros((n, 0))
    y = label.astype(float)
    scale = 1.0 / weight.sum() * n

    def loss(theta: Floats) -> tuple[float, Floats]:
        z = x @ theta[1:] + theta[0]
        value = np.sum(weight * (np.logaddexp(0, z) - y * z)) * scale + 0.5 * penalty * np.sum(theta[1:] ** 2)
        residual = weight * (1 / (1 + np.exp(-np.clip(z, -500, 500))) - y) * scale
        gradient = np.r_[residual.sum(), x.T @ residual + penalty * theta[1:]]
        return float(value), gradient

    start = np.zeros(x.shape[1] + 1)
    rate = np.clip(np.average(y, weights=weight), 1e-6, 1 - 1e-6)
    start[0] = np.log(rate / (1 - rate))
    optimum = minimize(
        loss,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[(None, None), *bounds],
        options={"maxiter": 500, "maxfun": 800},
    )
    theta = optimum.x / LN2
    terms, at = [], 1
    for name, edges in owner:
        steps = theta[at : at + len(edges)]
        measured = ~np.isnan(columns[name])
        honest = measured & ~label
        raw = np.r_[0.0, np.cumsum(steps)]
        level = raw[np.searchsorted(edges, columns[name][honest], side="left")]
        terms.append(Term(name, edges, raw - np.average(level, weights=weight[honest])))
        at += len(edges)
    kept = tuple(t for t in terms if np.ptp(t.levels) > 1e-3)
    return Additive(kept, base=float(theta[0]))


def _edges(values: Floats, label: npt.NDArray[np.bool_], n_edges: int) -> Floats:
    """Quantile edges over the honest and the others alike, so that rare high values get steps of their own."""
    chosen: list[float] = []
    for part in (values[~label], values[label]):
        part = part[~np.isnan(part)]
        if len(part) >= 5:
            chosen += np.quantile(part, np.linspace(0, 1, n_edges + 2)[1:-1]).tolist()
        if len(part) >= 200:
            chosen += np.quantile(part, [0.98, 0.995]).tolist()
    measured = values[~np.isnan(values)]
    if not len(measured) or not (~np.isnan(values) & ~label).any():
        return np.empty(0)
    edges: Floats = np.unique(np.round(chosen, 9))
    kept: Floats = edges[(edges >= measured.min()) & (edges < measured.max())]
    return kept


def calibrate(model: Additive, bits: Floats, label: npt.NDArray[np.bool_], *, prior: float) -> Additive:
    """Platt scaling on held-out scores, moved to the prevalence ``prior`` expected in the field (0..1).

    Fitted where it decides, above the honest scores' quantile ``DECIDES_FROM``: one line through all scores would
    bend towards the many that nobody doubts.
    """
    n1, n0 = max(float(label.sum()), 1.0), max(float((~label).sum()), 1.0)
    if (~label).any() and label.any():
        near = bits >= np.quantile(bits[~label], DECIDES_FROM)
        bits, label = bits[near], label[near]
    y = label.astype(float)
    weight = np.where(label, prior / n1, (1 - prior) / n0) * (n1 + n0)

    def loss(theta: Floats) -> tuple[float, Floats]:
        z = (theta[0] * bits + theta[1]) * LN2
        value = np.sum(weight * (np.logaddexp(0, z) - y * z)) + 0.5 * 0.1 * (theta[0] - 1) ** 2
        residual = weight * (1 / (1 + np.exp(-np.clip(z, -500, 500))) - y) * LN2
        return float(value), np.array([residual @ bits + 0.1 * (theta[0] - 1), residual.sum()])

    optimum = minimize(
        loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(0.05, 5.0), (None, None)]
    )
    return Additive(model.terms, model.base, slope=float(optimum.x[0]), shift=float(optimum.x[1]))

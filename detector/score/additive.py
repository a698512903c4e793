"""Calibrated, additive scores: log-odds in bits, one term a measurement, learned from labelled worlds.

The model is a generalised additive one: each measurement adds a step function of its value, fitted together
by penalised logistic regression (thermometer coding of quantiles, L-BFGS-B). Where it is known that more of
something can only be more suspicious the steps are held to one direction, which keeps the fit from learning
quirks of the worlds it saw. NULL adds nothing. The fitted terms are shifted so that the training
population's average of each is zero, so a term reads as "against an ordinary account".
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

Floats = npt.NDArray[np.float64]

LN2 = float(np.log(2.0))
FORMAT = 5


@dataclass(frozen=True)
class Term:
    """One measurement's step function: ``levels[i]`` bits up to ``edges[i]``, ``levels[-1]`` above the last."""

    name: str
    edges: Floats
    levels: Floats

    def bits(self, values: Floats) -> Floats:
        """Bits of each value; NaN (not measured) gives 0."""
        found: Floats = self.levels[
            np.searchsorted(self.edges, values, side="left").clip(0, len(self.levels) - 1)
        ]
        return np.where(np.isnan(values), 0.0, found)


@dataclass(frozen=True)
class Additive:
    """Sum of terms plus ``base`` bits; the sum is log2 odds after ``slope`` and ``shift`` calibrated it."""

    terms: tuple[Term, ...]
    base: float
    slope: float = 1.0
    shift: float = 0.0

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(t.name for t in self.terms)

    @property
    def base_bits(self) -> float:
        """Calibrated log2 odds of a row of which nothing was measured."""
        return self.slope * self.base + self.shift

    def parts(self, columns: Mapping[str, Floats], n: int) -> Floats:
        """Bits of each term: shape (n, number of terms). A column that is absent counts as not measured."""
        made = np.zeros((n, len(self.terms)))
        for i, term in enumerate(self.terms):
            if term.name in columns:
                made[:, i] = self.slope * term.bits(columns[term.name])
        return made

    def bits(self, columns: Mapping[str, Floats], n: int) -> Floats:
        """Calibrated log2 odds, shape (n,)."""
        total: Floats = self.parts(columns, n).sum(axis=1) + self.slope * self.base + self.shift
        return total

    def to_json(self) -> dict[str, Any]:
        return {
            "base": self.base,
            "slope": self.slope,
            "shift": self.shift,
            "terms": [
                {"name": t.name, "edges": t.edges.tolist(), "levels": t.levels.tolist()} for t in self.terms
            ],
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Additive:
        terms = tuple(
            Term(t["name"], np.asarray(t["edges"], float), np.asarray(t["levels"], float))
            for t in raw["terms"]
        )
        for term in terms:
            if len(term.levels) != len(term.edges) + 1:
                raise ValueError(
                    f"term {term.name!r}: {len(term.edges)} edges need {len(term.edges) + 1} levels"
                )
        return cls(terms, float(raw["base"]), float(raw["slope"]), float(raw["shift"]))


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
    found = minimize(
        loss,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[(None, None), *bounds],
        options={"maxiter": 500, "maxfun": 800},
    )
    theta = found.x / LN2
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

    found = minimize(
        loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(0.05, 5.0), (None, None)]
    )
    return Additive(model.terms, model.base, slope=float(found.x[0]), shift=float(found.x[1]))


def threshold(scores: Floats, *, budget: float, floor: float) -> float:
    """What a score must reach for an alert so that the expected number of honest ones stays within ``budget``.

    ``scores`` are calibrated probabilities; the expectation is the sum of their complements over the highest.
    The answer lies just above the first score that would break the budget; it is ``floor`` when none does.
    """
    ordered = np.sort(scores[scores >= floor])[::-1]
    if not len(ordered):
        return floor
    breaks = np.flatnonzero(np.cumsum(1 - ordered) > budget)
    return float(np.nextafter(ordered[breaks[0]], 2.0)) if len(breaks) else floor


#: Quantile of honest scores from which probabilities are fitted (0..1).
DECIDES_FROM = 0.9
#: Evidence of harvest in one account's own conduct counts in full up to this many bits, a quarter beyond: the
#: cross-fitted training worlds held no more attackers per honest account at +3 bits than at 0 among accounts
#: that no group explained. An evaluator or a pipeline may look the part; only strangers who act as one do not.
ALONE_BITS, ALONE_SLOPE = -3.0, 0.25


def conduct_bits(harvest: Floats, single: Floats) -> Floats:
    """An account's own log2 odds from those of harvest and those of what is abuse in itself."""
    discounted = np.where(harvest > ALONE_BITS, ALONE_BITS + ALONE_SLOPE * (harvest - ALONE_BITS), harvest)
    return np.maximum(discounted, single)


@dataclass(frozen=True)
class Variant:
    """Models for logs that lack an input: ``absent`` are the account features that are NULL then.

    ``relational_first`` and ``relational`` weigh an account together with those it shares keys with
    (``score.relational``): the first by what those did themselves, the second by what the first says of them.
    """

    conduct: Additive
    group: Additive
    relational_first: Additive
    relational: Additive
    absent: frozenset[str]


@dataclass(frozen=True)
class Detector:
    """The shipped classifier: shared text, accounts, groups, and which kind of abuse a positive is.

    ``conduct`` says whether an account looks like one of a harvest, ``single_account`` whether it does by itself what
    is abuse, ``membership`` whether a member of an abusive group is of the operation, ``relational_first`` and
    ``relational`` what the neighbours of an account add (``Variant``). ``kinds`` and ``single_account_kinds`` tell
    the kinds of either apart. ``variants``, by the input they do without: what remains is weighed and calibrated
    for what it can tell.
    """

    template_reuse: Additive
    conduct: Additive
    single_account: Additive
    group: Additive
    membership: Additive
    relational_first: Additive
    relational: Additive
    kinds: Mapping[str, Additive]
    single_account_kinds: Mapping[str, Additive]
    trained_on: Mapping[str, Any]
    variants: Mapping[str, Variant] = field(default_factory=dict)

    def fitting(self, columns: Mapping[str, Floats]) -> Variant:
        """The models for account measurements of which ``columns`` are there (NaN: not measured).

        The variant most of whose absent terms are absent altogether; the plain models where none is.
        """
        names = set(self.conduct.names).union(*(v.absent for v in self.variants.values()))
        absent = {n for n in names if n not in columns or bool(np.isnan(columns[n]).all())}
        fits = [v for v in self.variants.values() if len(v.absent & absent) >= 0.8 * len(v.absent)]
        if not fits:
            return Variant(self.conduct, self.group, self.relational_first, self.relational, frozenset())
        return max(fits, key=lambda v: (len(v.absent), sorted(v.absent)))

    def digest(self) -> str:
        """Hash of everything that decides; stored with each run."""
        return hashlib.sha256(self.dumps().encode()).hexdigest()[:16]

    def dumps(self) -> str:
        raw = {
            "format": FORMAT,
            "template_reuse": self.template_reuse.to_json(),
            "conduct": self.conduct.to_json(),
            "single_account": self.single_account.to_json(),
            "group": self.group.to_json(),
            "membership": self.membership.to_json(),
            "relational_first": self.relational_first.to_json(),
            "relational": self.relational.to_json(),
            "kinds": {k: m.to_json() for k, m in self.kinds.items()},
            "single_account_kinds": {k: m.to_json() for k, m in self.single_account_kinds.items()},
            "variants": {
                name: {
                    "conduct": v.conduct.to_json(),
                    "group": v.group.to_json(),
                    "relational_first": v.relational_first.to_json(),
                    "relational": v.relational.to_json(),
                    "absent": sorted(v.absent),
                }
                for name, v in self.variants.items()
            },
            "trained_on": self.trained_on,
        }
        return json.dumps(raw, indent=1)

    @classmethod
    def loads(cls, text: str) -> Detector:
        """Read a model file.

        Raises
        ------
        ValueError : damaged, or of another format.
        """
        raw = json.loads(text)
        if raw.get("format") != FORMAT:
            raise ValueError(
                f"model format {raw.get('format')!r}, expected {FORMAT}; rebuild it: hydrawatch train"
            )
        try:
            return cls(
                Additive.from_json(raw["template_reuse"]),
                Additive.from_json(raw["conduct"]),
                Additive.from_json(raw["single_account"]),
                Additive.from_json(raw["group"]),
                Additive.from_json(raw["membership"]),
                Additive.from_json(raw["relational_first"]),
                Additive.from_json(raw["relational"]),
                {k: Additive.from_json(m) for k, m in raw["kinds"].items()},
                {k: Additive.from_json(m) for k, m in raw["single_account_kinds"].items()},
                raw["trained_on"],
                {
                    name: Variant(
                        Additive.from_json(v["conduct"]),
                        Additive.from_json(v["group"]),
                        Additive.from_json(v["relational_first"]),
                        Additive.from_json(v["relational"]),
                        frozenset(v["absent"]),
                    )
                    for name, v in raw.get("variants", {}).items()
                },
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"damaged model file: {error}") from error


def likeliest_kind(
    kinds: Mapping[str, Additive], columns: Mapping[str, Floats], n: int, *, default: str = "distillation"
) -> Sequence[str]:
    """The kind of abuse whose own model scores highest, row by row; ``default`` where there are none."""
    if not kinds:
        return [default] * n
    names = sorted(kinds)
    bits = np.stack([kinds[k].bits(columns, n) for k in names])
    return [names[i] for i in bits.argmax(axis=0)]

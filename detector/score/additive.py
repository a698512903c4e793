"""Calibrated additive scores: log-odds in bits, one term a feature.

The model is a generalised additive one: each feature adds a step function of its value. NULL adds nothing. The terms
are shifted so that the average of each over the honest training population is zero, so a term reads as "against an
ordinary account". ``lab.training.additive_fit`` fits and calibrates it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Term:
    """One measurement's step function: ``levels[i]`` bits up to ``edges[i]``, ``levels[-1]`` above the last."""

    name: str
    edges: Floats
    levels: Floats

    def bits(self, values: Floats) -> Floats:
        """Bits of each value; NaN (not measured) gives 0."""
        level: Floats = self.levels[
            np.searchsorted(self.edges, values, side="left").clip(0, len(self.levels) - 1)
        ]
        return np.where(np.isnan(values), 0.0, level)


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
        bits = np.zeros((n, len(self.terms)))
        for i, term in enumerate(self.terms):
            if term.name in columns:
                bits[:, i] = self.slope * term.bits(columns[term.name])
        return bits

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

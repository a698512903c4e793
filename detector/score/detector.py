"""The shipped classifier: five fitted models, and others of them for logs that lack an input."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from detector.score import older
from detector.score.additive import Additive

FORMAT = 6
#: A variant stands in where so much of what it does without is absent from the day's log (0..1).
MOSTLY_ABSENT = 0.8


@dataclass(frozen=True)
class Models:
    """The five models of the score.

    Parameters
    ----------
    template_reuse : is a content key an operation's scaffold?
    conduct : one head a kind of abuse: does an account's own day look like it (``score.conduct``)?
    group : is a group one operation?
    membership : is a member of such a group of the operation?
    relational : what do the account, its group and its neighbours say together (``score.relational``)?
    """

    template_reuse: Additive
    conduct: Mapping[str, Additive]
    group: Additive
    membership: Additive
    relational: Additive

    def to_json(self) -> dict[str, Any]:
        return {
            "template_reuse": self.template_reuse.to_json(),
            "conduct": {kind: head.to_json() for kind, head in self.conduct.items()},
            "group": self.group.to_json(),
            "membership": self.membership.to_json(),
            "relational": self.relational.to_json(),
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Models:
        return cls(
            Additive.from_json(raw["template_reuse"]),
            {kind: Additive.from_json(head) for kind, head in raw["conduct"].items()},
            Additive.from_json(raw["group"]),
            Additive.from_json(raw["membership"]),
            Additive.from_json(raw["relational"]),
        )


@dataclass(frozen=True)
class Variant:
    """Models for logs that lack an input: ``absent`` are the account features that are NULL then."""

    absent: frozenset[str]
    conduct: Mapping[str, Additive]
    group: Additive
    relational: Additive


@dataclass(frozen=True)
class Detector:
    """``models``, ``variants`` of them by the input they do without, and what they were ``trained_on``."""

    models: Models
    trained_on: Mapping[str, Any]
    variants: Mapping[str, Variant] = field(default_factory=dict)

    def models_for(self, account_days: pl.DataFrame) -> Models:
        """The models for the features that a day's log allows.

        Those of the variant most of whose absent features are NULL in every row; the plain ones where none is.
        """
        names = {t for head in self.models.conduct.values() for t in head.names}
        names = names.union(*(v.absent for v in self.variants.values()))
        absent = {n for n in names if n not in account_days.columns or account_days[n].is_null().all()}
        fits = [v for v in self.variants.values() if len(v.absent & absent) >= MOSTLY_ABSENT * len(v.absent)]
        if not fits:
            return self.models
        best = max(fits, key=lambda v: (len(v.absent), sorted(v.absent)))
        return replace(self.models, conduct=best.conduct, group=best.group, relational=best.relational)

    @property
    def is_converted(self) -> bool:
        """Whether it was made by version 0.1, and stands in only until ``hydrawatch train`` has fitted it anew."""
        return "converted_from_format" in self.trained_on

    def digest(self) -> str:
        """Hash of everything that decides; stored with each run."""
        return hashlib.sha256(self.dumps().encode()).hexdigest()[:16]

    def dumps(self) -> str:
        raw = {
            "format": FORMAT,
            **self.models.to_json(),
            "variants": {
                name: {
                    "absent": sorted(v.absent),
                    "conduct": {kind: head.to_json() for kind, head in v.conduct.items()},
                    "group": v.group.to_json(),
                    "relational": v.relational.to_json(),
                }
                for name, v in self.variants.items()
            },
            "trained_on": self.trained_on,
        }
        return json.dumps(raw, indent=1)

    @classmethod
    def loads(cls, text: str) -> Detector:
        """Read a model file; one of version 0.1 is converted (``score.older``).

        Raises
        ------
        ValueError : damaged, or of another format.
        """
        raw = json.loads(text)
        number = raw.get("format") if isinstance(raw, dict) else None
        if number not in (FORMAT, older.FORMAT):
            raise ValueError(f"model format {number!r}, expected {FORMAT}; rebuild it: hydrawatch train")
        try:
            raw = raw if number == FORMAT else older.converted(raw)
            variants = {
                name: Variant(
                    frozenset(v["absent"]),
                    {kind: Additive.from_json(head) for kind, head in v["conduct"].items()},
                    Additive.from_json(v["group"]),
                    Additive.from_json(v["relational"]),
                )
                for name, v in raw.get("variants", {}).items()
            }
            return cls(Models.from_json(raw), raw["trained_on"], variants)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"damaged model file: {error}") from error

"""Models of version 0.1 (format 4) in the form of today.

That version had seven models under other names. Five of today's stand for them: the harvest model and the model of
single-account abuse become heads of ``conduct``, and the second of the two relational models serves both rounds. The
scores come out close to those of version 0.1, not equal; ``hydrawatch train`` fits the five anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from detector.score.conduct import HARVEST, SINGLE_ACCOUNT_KINDS

FORMAT = 4
_FEATURES = {
    "lent_bits": "group_contribution_bits",
    "mean_own_bits": "mean_conduct_bits",
    "member_own_bits": "member_conduct_bits",
    "member_own_excess_bits": "member_conduct_excess_bits",
    "firm": "unspoofable",
    "firm_share": "unspoofable_share",
    "belonging_bits": "membership_bits",
    "likeness": "similarity",
    "likeness_ratio": "similarity_ratio",
    "bound_likeness": "keyed_similarity",
    "stranger_likeness": "unkeyed_similarity",
}
_PREFIXES = {"kin_": "neighbours_", "scaffold_": "template_reuse_"}


def feature(name: str) -> str:
    """Today's name of a feature of version 0.1."""
    for old, new in _PREFIXES.items():
        if name.startswith(old):
            return new + name.removeprefix(old)
    return _FEATURES.get(name, name)


def converted(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A model file of format 4 as one of today's format, but for its number.

    Raises
    ------
    KeyError, TypeError : the file is damaged.
    """

    def model(each: Mapping[str, Any]) -> dict[str, Any]:
        return {**each, "terms": [{**term, "name": feature(term["name"])} for term in each["terms"]]}

    single = dict.fromkeys(SINGLE_ACCOUNT_KINDS[:1], model(raw["lone"]))
    return {
        "template_reuse": model(raw["key"]),
        "conduct": {HARVEST: model(raw["account"]), **single},
        "group": model(raw["group"]),
        "membership": model(raw["member"]),
        "relational": model(raw["kin"]),
        "variants": {
            name: {
                "absent": sorted(map(feature, variant["absent"])),
                "conduct": {HARVEST: model(variant["account"]), **single},
                "group": model(variant["group"]),
                "relational": model(variant["kin"]),
            }
            for name, variant in raw.get("variants", {}).items()
        },
        "trained_on": {**raw["trained_on"], "converted_from_format": FORMAT},
    }

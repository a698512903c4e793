"""Ablation: what the detector finds without one family of evidence.

A family is a set of measurements, named by their plug-ins. Its terms are dropped from the shipped models, and nothing
is fitted again. Groups are formed as before, so the ablation shows what *scoring* owes to each family.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from types import MappingProxyType

from detector.link.uses import NEIGHBOUR_FAMILIES
from detector.score import relational
from detector.score.additive import Additive
from detector.score.detector import Detector, Models
from detector.score.template_reuse import ACCOUNT_COLUMNS, KEY_TERMS
from features import plugins

#: Family -> plug-ins ("account.x" or "group.x") or single terms that scoring computes.
FAMILIES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "what is asked for": (
            "account.elicitation",
            "group.elicitation",
            "group.extraction",
            "group.focus",
            "key_asked",
        ),
        "shared text": (
            "account.similarity",
            "account.prompts",
            "group.templates",
            "group.repeats",
            "keyed_similarity",
            "unkeyed_similarity",
            "similarity",
            "similarity_ratio",
            *ACCOUNT_COLUMNS,
            *(name for name in KEY_TERMS if name not in ("key_asked", "key_linked_bits", "key_linked_share")),
            *relational.columns("content"),
        ),
        "parameters and logits": ("account.parameters", "group.uniformity"),
        "addresses and clients": (
            "account.origin",
            "group.exits",
            *relational.columns("network", "client"),
        ),
        "clocks": ("account.timing", "group.synchrony", "group.pivot"),
        "distribution of load": (
            "account.volume",
            "group.evenness",
            "group.alternation",
            "group.tenancy",
        ),
        "sign-ups, cards, bans": (
            "account.programme",
            "group.creation",
            "group.makeup",
            "group.replacement",
            *relational.columns("billing", "succession"),
        ),
        "strength of the bonds": (
            "group.density",
            "mean_strength_bits",
            "mean_linked_bits",
            "unspoofable_share",
            "keyed_share",
            "keyed",
            "unspoofable",
            "strength_bits",
            "linked_bits",
            "membership_bits",
            "key_linked_bits",
            "key_linked_share",
        ),
        "members' own conduct": (
            "mean_conduct_bits",
            "suspect_share",
            "member_conduct_bits",
            "member_conduct_excess_bits",
            "harvest_bits",
        ),
        "groups": ("group_contribution_bits",),
        "neighbours": relational.columns(*NEIGHBOUR_FAMILIES),
    }
)


@cache
def columns_of(family: str) -> frozenset[str]:
    """Names of the terms of a family."""
    owned = {
        f"{grain}.{m.name}": [c.name for c in m.columns]
        for grain in ("account", "group")
        for m in plugins.measures(grain)
    }
    return frozenset(name for part in FAMILIES[family] for name in owned.get(part, [part]))


def without(detector: Detector, family: str) -> Detector:
    """The detector without the terms of ``family`` in any of its models."""
    barred = columns_of(family)

    def cut(model: Additive) -> Additive:
        return replace(model, terms=tuple(t for t in model.terms if t.name not in barred))

    models = detector.models
    return replace(
        detector,
        models=Models(
            cut(models.template_reuse),
            {kind: cut(head) for kind, head in models.conduct.items()},
            cut(models.group),
            cut(models.membership),
            cut(models.relational),
        ),
        variants={
            name: replace(
                variant,
                conduct={kind: cut(head) for kind, head in variant.conduct.items()},
                group=cut(variant.group),
                relational=cut(variant.relational),
            )
            for name, variant in detector.variants.items()
        },
    )

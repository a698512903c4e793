"""What the models may read is what the columns declare, and the shipped classifier reads nothing else."""

from __future__ import annotations

from itertools import pairwise
from typing import get_args

import pytest

import rules
from detector.decide.contributions import CONTRIBUTIONS
from detector.score import relational, template_reuse, terms
from detector.score.additive import Additive
from detector.score.conduct import SINGLE_ACCOUNT_KINDS
from detector.score.detector import Detector
from features import families, plugins
from features.spec import Column, Family, Kind, Model

SHIPPED = Detector.loads(rules.read_text("models/detector.json"))
MEASURED = (*plugins.columns("account"), *plugins.columns("group"))
OFFERED = {
    "template_reuse": template_reuse.KEY_TERMS,
    "conduct": terms.ACCOUNT_TERMS,
    "single_account": terms.SINGLE_ACCOUNT_TERMS,
    "group": terms.GROUP_TERMS,
    "membership": terms.MEMBER_TERMS,
    "relational": relational.TERMS,
}


def fitted() -> list[tuple[str, Additive]]:
    """Every fitted model of the shipped classifier, and the features it was offered."""
    found = [("template_reuse", SHIPPED.models.template_reuse), ("membership", SHIPPED.models.membership)]
    for models in (SHIPPED.models, *SHIPPED.variants.values()):
        found += [("group", models.group), ("relational", models.relational)]
        found += [
            ("single_account" if kind in SINGLE_ACCOUNT_KINDS else "conduct", head)
            for kind, head in models.conduct.items()
        ]
    return found


def test_every_model_that_a_column_may_name_is_offered_features() -> None:
    assert set(OFFERED) == set(get_args(Model)) == {offered for offered, _ in fitted()}
    assert all(OFFERED.values())


def test_the_shipped_models_read_what_the_columns_declare() -> None:
    for offered, model in fitted():
        stray = {term.name for term in model.terms} - set(OFFERED[offered])
        assert not stray, f"the shipped {offered} model reads what no column offers it: train again"


def test_directions_hold_in_the_shipped_models() -> None:
    for offered, model in fitted():
        for term in model.terms:
            way = OFFERED[offered][term.name]
            steps = [b - a for a, b in pairwise(term.levels)]
            assert way != "up" or min(steps, default=0) >= -1e-9, f"{offered}: {term.name} falls"
            assert way != "down" or max(steps, default=0) <= 1e-9, f"{offered}: {term.name} rises"


def test_no_measurement_is_neither_read_nor_descriptive() -> None:
    lost = [c.name for c in (*MEASURED, *terms.COMPUTED) if not c.models and not c.descriptive]
    assert not lost, "a measurement nobody reads costs every night: say why it is kept, or drop it"


def test_no_name_is_declared_twice() -> None:
    names = [c.name for c in (*MEASURED, *terms.COMPUTED, *CONTRIBUTIONS)]
    assert sorted(set(names)) == sorted(names)


def test_every_family_of_evidence_is_told_of() -> None:
    assert tuple(families.FAMILIES) == get_args(Family)
    assert set(relational.FAMILY_OF.values()) <= set(families.FAMILIES)
    for name, family in families.FAMILIES.items():
        assert family.group.query.count("{id}") >= 1, name
        assert family.account is None or family.account.query.count("{id}") >= 1, name
        assert family.one != family.many


def test_a_family_is_spoofable_when_most_of_its_kinds_are() -> None:
    assert plugins.spoofable_families() == {"client", "content"}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"direction": "up"}, "go together"),
        ({"models": ("conduct",)}, "go together"),
        ({"direction": "up", "models": ("conducts",)}, "unknown models"),
        ({"direction": "sideways", "models": ("conduct",)}, "direction"),
        ({"direction": "up", "models": ("conduct",), "descriptive": "x"}, "not descriptive"),
    ],
)
def test_a_column_that_contradicts_itself_is_an_authors_mistake(wrong: dict[str, str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Column("c", "DOUBLE", "a measurement", **wrong)  # type: ignore[arg-type]


def test_a_kind_without_words_or_weight_is_an_authors_mistake() -> None:
    with pytest.raises(ValueError, match="more than 0"):
        Kind(0.0, "paid with", "card", "cards")
    with pytest.raises(ValueError, match="verb"):
        Kind(1.0, "", "card", "cards")

"""Shipped data files open by name, and the text model is the one its card describes."""

from __future__ import annotations

import json

import pytest

import rules
from features.request import elicitation
from features.schema import CAPABILITIES, ELICITATION_KINDS


def test_files_open_by_name_and_nothing_else_does() -> None:
    assert rules.read_bytes("lexicons/stock_words.txt").startswith(b"#")
    assert len(rules.digest("lexicons/stock_words.txt")) == 64
    for name in (
        "",
        "../pyproject.toml",
        "lexicons//x",
        "lexicons/none.txt",
        "/etc/hosts",
        "lexicons/./stock_words.txt",
    ):
        with pytest.raises(ValueError, match=r"rules/|is not a name"):
            rules.path(name)
    with pytest.raises(ValueError, match="folder"):
        rules.read_bytes("lexicons")


def test_the_model_is_the_one_on_its_card(monkeypatch: pytest.MonkeyPatch) -> None:
    card = json.loads(rules.read_text(elicitation.CARD))
    assert card["columns"] == [*ELICITATION_KINDS, *CAPABILITIES]
    model = elicitation.shipped()
    assert model.weights.shape == (elicitation.BUCKETS + 1, len(card["columns"]))
    assert not model.weights[-1].any()
    assert card["share_above_half_held_out"]["real_prompts"] <= 0.01
    monkeypatch.setattr(rules, "digest", lambda name: "0" * 64)
    elicitation.shipped.cache_clear()
    with pytest.raises(ValueError, match="not the file its card describes"):
        elicitation.shipped()
    elicitation.shipped.cache_clear()

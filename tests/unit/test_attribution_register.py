"""Leads of makers, and the figure of a score that was picked on other models than it is reported on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from detector.attribution.evaluate.register import SCORES, SHOWN, register_of
from detector.attribution.lineage.leads import LEAST_DECOYS, closeness, family_leads, leads_of

MAKERS = {"o-1": "o", "o-2": "o", "o-3": "o", "p-1": "p", "q-1": "q"}
CANDIDATES = list(MAKERS)
DECOYS = [f"{kin}-{n}" for kin in ("ash", "elm", "fir", "oak", "yew") for n in range(4)]
TAUGHT = [f"{kin}-{n}" for kin in ("cat", "dog", "emu", "fox", "gnu", "hen") for n in range(3)]
MODELS = [*CANDIDATES, *DECOYS, *TAUGHT]


def similar(seed: int, lesson: float) -> Any:
    """Mean similarities where ``q-1`` is near to everybody and the taught a little nearer to all of ``o``."""
    rng = np.random.default_rng(seed)
    found = rng.normal(0, 0.02, (len(MODELS), len(MODELS)))
    found = (found + found.T) / 2
    place = {m: i for i, m in enumerate(MODELS)}
    for model in MODELS:
        found[place[model], place["q-1"]] += 0.2
        if model in TAUGHT:
            for candidate in ("o-1", "o-2", "o-3"):
                found[place[model], place[candidate]] += lesson
    return found


def test_closeness_to_what_everybody_is_near_says_little() -> None:
    mean = similar(1, 0.1)
    plain = closeness(mean, MODELS, "cat-0", CANDIDATES, DECOYS, MAKERS, corrected=False)
    corrected = closeness(mean, MODELS, "cat-0", CANDIDATES, DECOYS, MAKERS)
    assert max(plain, key=lambda c: plain[c]) == "q-1"
    assert MAKERS[max(corrected, key=lambda c: corrected[c])] == "o"
    assert next(iter(family_leads(mean, MODELS, "cat-0", CANDIDATES, DECOYS, MAKERS))) == "o"


def test_without_decoys_there_is_no_lead() -> None:
    mean = similar(1, 0.1)
    assert family_leads(mean, MODELS, "cat-0", CANDIDATES, DECOYS[: LEAST_DECOYS - 1], MAKERS) == {}
    # The suspect is no decoy of its own.
    assert closeness(mean, MODELS, DECOYS[0], CANDIDATES, DECOYS[:LEAST_DECOYS], MAKERS) == {}


def test_a_lead_is_the_mean_of_a_maker_less_the_nearest_of_any_other() -> None:
    near = {"o-1": 3.0, "o-2": 1.0, "p-1": 1.5, "solo": 0.5}
    assert leads_of(near, MAKERS) == pytest.approx({"o": 0.5, "p": -1.5, "solo": -2.5})
    assert leads_of(near, MAKERS, nearest=1)["o"] == pytest.approx(1.5)
    assert next(iter(leads_of({"p-1": 1.0}, MAKERS).values())) == 1.0


def register(mean: Any) -> dict[str, Any]:
    pairs = [{"student": m, "teacher": "o-1", "teacher_vendor": "o", "kind": "sft"} for m in TAUGHT]
    pairs += [
        {"student": m, "teacher": "x", "teacher_vendor": "human", "kind": "control_x"} for m in DECOYS[:4]
    ]
    lists = {
        "family": "o",
        "teachers": ["o-1", "o-2", "o-3"],
        "kin": sorted({m[:4] for m in DECOYS + TAUGHT}),
    }
    return register_of(MODELS, mean, pairs, lists, CANDIDATES, {**MAKERS, **dict.fromkeys(TAUGHT, "o")})


def test_the_register_is_ranked_and_the_pick_reported_on_other_models() -> None:
    assert SHOWN in SCORES
    found = register(similar(3, 0.06))
    assert found["auroc_register"] > 0.95
    assert found["auroc_register_against_controls"] > 0.9
    assert 0.85 < found["auroc_register_picked_on_other_models"] <= 1
    assert (found["n_register_students"], found["n_elsewhere"]) == (len(TAUGHT), len(DECOYS))


def test_where_nothing_was_taught_the_pick_is_no_better_than_chance() -> None:
    """Picking the best of several scores on the same models would flatter; on the others it must not."""
    unseen = [register(similar(seed, 0.0))["auroc_register_picked_on_other_models"] for seed in range(12)]
    assert np.mean(unseen) == pytest.approx(0.5, abs=0.06)

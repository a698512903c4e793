"""The additive classifier: fit, calibration, parts, thresholds, files."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from detector.bits import probability
from detector.decide.budget import threshold
from detector.lab.training.additive_fit import calibrate, fit
from detector.score.additive import Additive, Term
from detector.score.detector import Detector, Models, Variant


def made(n: int = 4000, seed: int = 0) -> tuple[dict[str, np.ndarray], np.ndarray]:
    rng = np.random.default_rng(seed)
    label = rng.random(n) < 0.2
    columns = {
        "good": rng.normal(size=n) + 2.0 * label,
        "noise": rng.normal(size=n),
        "sometimes": np.where(rng.random(n) < 0.5, np.nan, rng.normal(size=n) + label),
    }
    return columns, label


def test_it_learns_and_generalises() -> None:
    columns, label = made()
    model = fit(columns, label, rising=frozenset(("good", "sometimes")))
    fresh, truth = made(seed=1)
    assert roc_auc_score(truth, model.bits(fresh, len(truth))) > 0.9


def test_parts_add_up_to_the_score() -> None:
    columns, label = made()
    model = fit(columns, label, rising=frozenset())
    model = calibrate(model, model.bits(columns, len(label)), label, prior=0.01)
    total = model.parts(columns, len(label)).sum(axis=1) + model.slope * model.base + model.shift
    np.testing.assert_allclose(total, model.bits(columns, len(label)))


def test_rising_terms_never_fall() -> None:
    columns, label = made()
    columns["odd"] = -columns["good"]
    model = fit(columns, label, rising=frozenset(("good", "odd")))
    for term in model.terms:
        if term.name in ("good", "odd"):
            assert (np.diff(term.levels) >= -1e-9).all()


def test_missing_values_add_nothing() -> None:
    columns, label = made()
    model = fit(columns, label, rising=frozenset())
    nothing = {name: np.full(3, np.nan) for name in columns}
    assert (model.parts(nothing, 3) == 0).all()
    assert (model.parts({}, 3) == 0).all()


def test_an_average_honest_account_gets_about_nothing_from_a_term() -> None:
    columns, label = made()
    model = fit(columns, label, rising=frozenset())
    honest = {name: values[~label] for name, values in columns.items()}
    assert np.abs(model.parts(honest, int((~label).sum())).mean(axis=0)).max() < 0.3


def test_calibration_moves_to_the_prior() -> None:
    columns, label = made(20_000)
    model = fit(columns, label, rising=frozenset())
    model = calibrate(model, model.bits(columns, len(label)), label, prior=0.01)
    p = probability(model.bits(columns, len(label)))
    weighted = 0.01 * p[label].mean() + 0.99 * p[~label].mean()
    assert weighted == pytest.approx(0.01, rel=0.2)


def test_probability_ranks_also_far_out() -> None:
    bits = np.array([-400.0, -60.0, -1.0, 0.0, 1.0, 30.0])
    p = probability(bits)
    assert (np.diff(p) > 0).all()
    assert p[3] == 0.5


def test_threshold_spends_the_budget_and_no_more() -> None:
    scores = np.array([0.99, 0.98, 0.9, 0.6, 0.1])
    assert 0.9 < threshold(scores, budget=0.05, floor=0.5) < 0.98
    assert 0.6 < threshold(scores, budget=0.2, floor=0.5) < 0.9
    assert threshold(scores, budget=10, floor=0.5) == 0.5
    assert threshold(scores, budget=0.001, floor=0.5) > 0.99
    assert threshold(np.array([0.1]), budget=1, floor=0.5) == 0.5


def models(model: Additive) -> Models:
    return Models(model, {"distillation": model, "key_sharing": model}, model, model, model)


def test_model_files_round_trip_and_refuse_damage() -> None:
    model = Additive((Term("x", np.array([1.0]), np.array([-1.0, 2.0])),), base=-3.0)
    variants = {"prompts": Variant(frozenset({"x"}), {"distillation": model}, model, model)}
    text = Detector(models(model), {"worlds": 1}, variants).dumps()
    again = Detector.loads(text)
    values = {"x": np.array([0.0, 1.0, 1.5, np.nan])}
    np.testing.assert_array_equal(again.models.group.bits(values, 4), [-4.0, -4.0, -1.0, -3.0])
    assert again.dumps() == text
    assert not again.is_converted
    raw = json.loads(text)
    raw["conduct"]["distillation"]["terms"][0]["levels"] = [1.0]
    with pytest.raises(ValueError, match="levels"):
        Detector.loads(json.dumps(raw))
    for damage in ({"format": 99}, {"conduct": [1]}, {"group": None}, {"relational": {"terms": [{}]}}):
        with pytest.raises(ValueError, match=r"format|damaged"):
            Detector.loads(json.dumps({**json.loads(text), **damage}))
    for text in ("[]", "3", "{}"):
        with pytest.raises(ValueError, match="format"):
            Detector.loads(text)


def test_a_model_of_version_0_1_is_converted() -> None:
    def of(name: str, base: float) -> dict[str, object]:
        return Additive((Term(name, np.array([1.0]), np.array([-1.0, 2.0])),), base=base).to_json()

    variant = {
        "account": of("timing_score", 1), "group": of("firm_share", 2), "kin_first": of("x", 0),
        "kin": of("kin_client_3", 3), "absent": ["scaffold_kinds"],
    }  # fmt: skip
    raw = {
        "format": 4, "key": of("key_days", 1), "account": of("scaffold_bits_1", 2), "lone": of("n_prefixes", 3),
        "group": of("bound_likeness", 4), "member": of("firm", 5), "kin_first": of("lent_bits", 6),
        "kin": of("kin_network_1", 7), "kinds": {}, "lone_kinds": {}, "variants": {"prompts": variant},
        "trained_on": {"worlds": 56},
    }  # fmt: skip
    detector = Detector.loads(json.dumps(raw))
    assert detector.is_converted
    found = detector.models
    assert (found.template_reuse.names, found.template_reuse.base) == (("key_days",), 1.0)
    assert {kind: head.names for kind, head in found.conduct.items()} == {
        "distillation": ("template_reuse_bits_1",),
        "logit_extraction": ("n_prefixes",),
    }
    assert (found.group.names, found.membership.names) == (("keyed_similarity",), ("unspoofable",))
    assert (found.relational.names, found.relational.base) == (("neighbours_network_1",), 7.0)
    assert detector.variants["prompts"].absent == {"template_reuse_kinds"}
    assert detector.variants["prompts"].relational.names == ("neighbours_client_3",)
    with pytest.raises(ValueError, match="damaged"):
        Detector.loads(json.dumps({k: v for k, v in raw.items() if k != "kin"}))


def test_logs_without_an_input_are_judged_by_the_models_made_for_them() -> None:
    def head(name: str) -> Additive:
        return Additive((Term(name, np.array([1.0]), np.array([-1.0, 2.0])),), base=0.0)

    plain = Models(head("k"), {"distillation": head("a")}, head("g"), head("m"), head("r"))
    variant = Variant(frozenset({"a", "b"}), {"distillation": head("c")}, head("g2"), head("r2"))
    detector = Detector(plain, {}, {"prompts": variant})
    days = pl.DataFrame(
        {"a": [1.0, None], "b": [None, None], "c": [1.0, 2.0]}, schema_overrides={"b": pl.Float64}
    )
    assert detector.models_for(days) == plain
    without = detector.models_for(days.drop("a"))
    assert (without.conduct["distillation"].names, without.group.names) == (("c",), ("g2",))
    assert (without.template_reuse, without.membership) == (plain.template_reuse, plain.membership)

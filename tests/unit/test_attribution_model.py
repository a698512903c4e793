"""Training, predicting, rejecting, saving and loading fingerprints, on made models."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from made_attribution import answer, table
from typer.testing import CliRunner

from detector.attribution.corpus.calibrating import fit_rule
from detector.attribution.corpus.rule import CorpusRule, draws_of
from detector.errors import ConfigError, ModelError

pytest.importorskip("torch", reason="the attribution extra is not installed")
pytest.importorskip("safetensors", reason="the attribution extra is not installed")

from detector.attribution.corpus.reading import labelled
from detector.attribution.extra import chosen_device
from detector.attribution.fingerprint import blend, copies, linear, model, network, training
from detector.cli import app

CPU = chosen_device("cpu")
KNOWN = ["amber", "birch", "cedar"]


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module", autouse=True)
def few_steps() -> Iterator[None]:
    """Made models are told apart in a few steps; a test does not wait for more."""
    patch = pytest.MonkeyPatch()
    patch.setattr(network, "STEPS", (40, 40))
    yield
    patch.undo()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of three habits, trained by the command."""
    root = tmp_path_factory.mktemp("attribution")
    rows = table(KNOWN, range(40))
    random.Random(5).shuffle(rows)
    train_file = write(root / "train.jsonl", rows)
    done = CliRunner().invoke(
        app,
        ["attribute", "train", str(train_file), "--text", "text", "--label", "model", "--group", "prompt", "--family",
         "maker", "--out", str(root / "model"), "--device", "cpu"],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "first fold" in done.stderr
    return root / "model"


@pytest.fixture(scope="module")
def fingerprint(folder: Path) -> model.Fingerprint:
    return model.load(folder, CPU)


def test_unseen_prompts_are_named_right(fingerprint: model.Fingerprint) -> None:
    rows = table(KNOWN, range(1000, 1030))
    log_p = fingerprint.log_probs([str(r["text"]) for r in rows])
    named = [fingerprint.classes[i] for i in log_p.argmax(axis=1)]
    assert np.mean([n == r["model"] for n, r in zip(named, rows, strict=True)]) > 0.95
    assert np.allclose(np.exp(log_p).sum(axis=1), 1)


@pytest.mark.parametrize("kind", ["markdown stripped", "first 50 words"])
def test_augmented_training_survives_changes(fingerprint: model.Fingerprint, kind: str) -> None:
    rows = table(KNOWN, range(2000, 2030))
    log_p = fingerprint.log_probs([copies.ROBUSTNESS[kind](str(r["text"]), 1) for r in rows])
    for c, name in enumerate(fingerprint.classes):
        mine = np.array([r["model"] == name for r in rows])
        assert log_p[mine].sum(axis=0).argmax() == c


def test_a_stranger_is_turned_away_and_a_known_corpus_is_not(fingerprint: model.Fingerprint) -> None:
    for name in KNOWN:
        decision = fingerprint.decide(fingerprint.evidence([answer(name, p) for p in range(3000, 3020)]))
        assert (fingerprint.classes[decision.best], decision.verdict) == (name, "known")
    rng = random.Random(1)
    strange = [" ".join("".join(rng.choices("qzxvkj", k=5)) for _ in range(40)) for _ in range(20)]
    decision = fingerprint.decide(fingerprint.evidence(strange))
    assert decision.verdict == "none of these"
    assert fingerprint.classes[decision.best] in KNOWN


def test_a_row_does_not_depend_on_its_neighbours(fingerprint: model.Fingerprint) -> None:
    texts = [answer(n, p) for n in KNOWN for p in range(5)]
    whole = fingerprint.log_probs(texts)
    for row, text in enumerate(texts):
        assert np.allclose(whole[row], fingerprint.log_probs([text])[0], atol=1e-4)


def predicted(folder: Path, file: Path, *more: str) -> list[dict[str, object]]:
    done = CliRunner().invoke(
        app, ["attribute", "predict", str(folder), str(file), "--text", "text", "--json", *more]
    )
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_predict_json_keeps_its_contract(folder: Path, tmp_path: Path) -> None:
    rows = table(KNOWN, range(50, 60))
    random.Random(2).shuffle(rows)
    rows[3] = {**rows[3], "text": None}
    rows[7] = {**rows[7], "text": "  \n"}
    rows.append(dict(rows[0]))
    out = predicted(folder, write(tmp_path / "in.jsonl", rows))
    assert [o["row"] for o in out] == list(range(len(rows)))
    for found in out:
        assert set(found) >= {"row", "prediction", "probability", "probabilities", "verdict"}
        probabilities = found["probabilities"]
        assert isinstance(probabilities, dict)
        assert sorted(probabilities) == KNOWN
        assert sum(probabilities.values()) == pytest.approx(1)
        assert found["prediction"] == max(probabilities, key=lambda c: probabilities[c])
        assert found["probability"] == probabilities[found["prediction"]]
        assert found["verdict"] in ("known", "none of these", "too few texts")
    assert out[3]["verdict"] == out[7]["verdict"] == "too few texts"
    assert out[-1]["probabilities"] == pytest.approx(out[0]["probabilities"], abs=1e-4)
    named = [
        o["prediction"] == r["model"]
        for i, (o, r) in enumerate(zip(out, rows, strict=True))
        if i not in (3, 7)
    ]
    assert np.mean(named) > 0.9


def test_predict_by_corpus(folder: Path, tmp_path: Path) -> None:
    rows = [{**r, "who": f"suspect-{r['model']}"} for r in table(KNOWN, range(60, 80))]
    rows.append({"text": None, "who": "silent"})
    out = predicted(folder, write(tmp_path / "in.jsonl", rows), "--by", "who")
    assert [o["by"] for o in out] == ["suspect-amber", "suspect-birch", "suspect-cedar", "silent"]
    for found in out[:3]:
        assert found["by"] == f"suspect-{found['prediction']}"
        assert found["n_texts"] == 20
        assert found["verdict"] == "known"
        assert isinstance(found["texts_for_999"], int)
        assert found["family"] == str(found["prediction"])[0].upper()
    assert (out[3]["verdict"], out[3]["n_texts"], out[3]["n_blank"]) == ("too few texts", 0, 1)


def test_predict_without_json_prints_a_table(folder: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "in.jsonl", table(KNOWN, range(2)))
    done = CliRunner().invoke(app, ["attribute", "predict", str(folder), str(file), "--text", "text"])
    assert done.exit_code == 0
    assert "prediction" in done.stdout
    assert "amber" in done.stdout


def test_the_card_says_what_was_measured_and_what_cannot_be(folder: Path) -> None:
    card = (folder / "card.md").read_text(encoding="utf-8")
    facts = json.loads((folder / "model.json").read_text())["facts"]
    assert f"{facts['accuracy']:.3f}" in card
    assert "What it cannot do" in card
    assert all(name in card for name in KNOWN)
    assert not [p for p in folder.iterdir() if p.suffix not in (".json", ".md", ".safetensors")]


def damage_version(folder: Path) -> None:
    manifest = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**manifest, "version": 99}))


def earlier_version(folder: Path) -> None:
    manifest = json.loads((folder / "model.json").read_text())
    del manifest["rule"]["beside"]
    (folder / "model.json").write_text(json.dumps({**manifest, "version": 1}))


def damage_classes(folder: Path) -> None:
    manifest = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**manifest, "classes": [*manifest["classes"], "extra"]}))


def damage_rule(folder: Path) -> None:
    manifest = json.loads((folder / "model.json").read_text())
    manifest["rule"]["scales"] = manifest["rule"]["scales"][:-1]
    (folder / "model.json").write_text(json.dumps(manifest))


DAMAGES = {
    "no manifest": lambda f: (f / "model.json").unlink(),
    "no weights": lambda f: (f / "weights.safetensors").unlink(),
    "cut manifest": lambda f: (f / "model.json").write_text((f / "model.json").read_text()[:100]),
    "cut weights": lambda f: (f / "weights.safetensors").write_bytes(
        (f / "weights.safetensors").read_bytes()[:-9]
    ),
    "another version": damage_version,
    "the version before": earlier_version,
    "another number of classes": damage_classes,
    "half a rule": damage_rule,
    "not a model": lambda f: (f / "model.json").write_text("[]"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_model_is_refused_with_a_hint(folder: Path, tmp_path: Path, name: str) -> None:
    copy = tmp_path / "model"
    shutil.copytree(folder, copy)
    DAMAGES[name](copy)
    with pytest.raises(ModelError) as caught:
        model.load(copy, CPU)
    assert "attribute train" in str(caught.value.hint)
    if "version" in name:
        assert f"this release reads version {model.VERSION}" in str(caught.value)


def test_saving_and_loading_changes_no_answer(fingerprint: model.Fingerprint, tmp_path: Path) -> None:
    texts = [answer(n, 9) for n in KNOWN]
    fingerprint.save(tmp_path / "again", "card")
    again = model.load(tmp_path / "again", CPU)
    assert np.array_equal(again.log_probs(texts), fingerprint.log_probs(texts))
    assert list(again.members) == ["linear", "style", "trees"]
    assert again.alone == fingerprint.alone
    assert set(again.alone) == set(again.members)


def test_same_seed_same_model(tmp_path: Path) -> None:
    data = labelled(
        write(tmp_path / "t.jsonl", table(KNOWN[:2], range(12))), text="text", label="model", group="prompt"
    )
    one, two = (training.train(data, members=("linear",), seed=3, device=CPU) for _ in range(2))
    assert np.array_equal(one.members["linear"]["weights"], two.members["linear"]["weights"])
    assert one.blend == two.blend


def test_shared_prompts_do_not_leak_through_groups(tmp_path: Path) -> None:
    """Labels drawn by chance with answers that only repeat the prompt: held-out accuracy must stay at chance."""
    rng = random.Random(0)
    rows = []
    for prompt in range(60):
        words = " ".join("".join(rng.choices("abcdefgh", k=6)) for _ in range(12))
        rows += [
            {"text": f"{words} {copy}", "model": (who := rng.choice("xy")), "prompt": prompt}
            for copy in (1, 2, 3)
        ]
        for row in rows[-3:]:
            row["model"] = who
    data = labelled(write(tmp_path / "t.jsonl", rows), text="text", label="model", group="prompt")
    assert training.train(data, members=("linear",), device=CPU).facts["accuracy"] < 0.68
    # The same texts with every row its own group: the answer stands in the training half.
    data.groups[:] = [f"r{i}" for i in range(len(data.groups))]
    assert training.train(data, members=("linear",), device=CPU).facts["accuracy"] > 0.85


def test_background_texts_are_nobodys(tmp_path: Path) -> None:
    file = write(tmp_path / "t.jsonl", table(KNOWN[:2], range(30)))
    others = write(tmp_path / "o.jsonl", table(["cedar"], range(30)))
    out = tmp_path / "m"
    done = CliRunner().invoke(
        app,
        ["attribute", "train", str(file), "--text", "text", "--label", "model", "--group", "prompt", "--background",
         str(others), "--out", str(out), "--members", "linear"],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    found = predicted(
        out,
        write(tmp_path / "n.jsonl", [{**r, "by": "s"} for r in table(["cedar"], range(70, 80))]),
        "--by",
        "by",
    )
    assert found[0]["verdict"] == "none of these"
    assert found[0]["prediction"] in KNOWN[:2]
    assert sorted(found[0]["probabilities"]) == KNOWN[:2]  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"text": "a b c", "model": "m", "prompt": i} for i in range(9)], "two are the least"),
        ([{"text": "a b c", "model": "mn"[i % 2], "prompt": 1} for i in range(9)], "groups among"),
        ([{"text": None, "model": "mn"[i % 2], "prompt": 1} for i in range(9)], "two are the least"),
    ],
)
def test_what_cannot_be_learned_is_said(tmp_path: Path, rows: list[dict[str, object]], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        training.train(
            labelled(write(tmp_path / "t.jsonl", rows), text="text", label="model", group="prompt"),
            device=CPU,
        )


def test_short_answers_in_any_script_train(tmp_path: Path) -> None:
    rows = [
        {"text": t.format(p % 7), "model": m, "prompt": p}
        for p in range(30)
        for m, t in {"x": "答案：{}。", "y": "Answer: {}", "z": '{{"answer": {}}}'}.items()
    ]
    data = labelled(write(tmp_path / "t.jsonl", rows), text="text", label="model", group="prompt")
    assert training.train(data, folds=2, device=CPU).facts["accuracy"] > 0.95


def test_the_encoder_learns_and_survives_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from detector.attribution.fingerprint import encoder

    monkeypatch.setattr(encoder, "STEPS", {"cpu": (16, 16), "cuda": (16, 16)})
    monkeypatch.setattr(encoder, "WINDOW", 256)
    rows = table(KNOWN, range(12))
    file = write(tmp_path / "t.jsonl", rows)
    data = labelled(file, text="text", label="model", group="prompt", family="maker")
    found = training.train(data, members=("encoder",), folds=2, device=CPU)
    assert found.facts["accuracy"] > 0.6
    found.save(tmp_path / "m", "card")
    texts = [str(r["text"]) for r in rows[:5]] + [""]
    assert np.allclose(model.load(tmp_path / "m", CPU).log_probs(texts), found.log_probs(texts), atol=1e-5)


def test_the_first_weights_are_those_of_a_known_solution() -> None:
    """Softmax regression against scikit-learn's on the same dense problem."""
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    x = rng.random((120, 6)).astype(np.float32)
    y = (x[:, 0] + 0.3 * rng.random(120) > x[:, 1]).astype(np.int64) + (x[:, 2] > 0.7)
    rows = (np.arange(0, 121 * 6, 6), np.tile(np.arange(6, dtype=np.int32), 120), x.ravel())
    weights, bias = linear.fit_weights(rows, 6, y, 3, strength=5.0, iterations=200)
    known = LogisticRegression(C=5.0, max_iter=2000, tol=1e-8).fit(x, y)
    ours = np.exp(blend.log_softmax(x @ weights + bias))
    assert np.allclose(ours, known.predict_proba(x), atol=2e-3)


def test_chosen_columns_are_the_telling_ones() -> None:
    texts = [f"{'alpha' if i % 2 else 'omega'} {i % 7} stone" for i in range(40)]
    vocabulary = linear.choose_columns(texts, np.arange(40) % 2, kept=50)
    assert len(vocabulary) == 50
    pointers = vocabulary.vectors(["stone 3", "alpha"])[0]
    assert pointers[2] - pointers[1] > pointers[1] - pointers[0]


def test_the_group_rule_is_calibrated_and_never_surer_than_independence() -> None:
    rng = np.random.default_rng(1)
    truth = np.repeat(np.arange(3), 300)
    scores = rng.normal(size=(900, 3))
    scores[np.arange(900), truth] += 1.0
    log_p = blend.log_softmax(scores)
    groups = [str(i % 300) for i in range(900)]
    rule = fit_rule(log_p, truth, groups, 3)
    assert all(0 < s <= 1 for s in rule.scales)
    assert CorpusRule.from_json(json.loads(json.dumps(rule.as_json())), 3) == rule
    needed = rule.texts_needed(0)
    assert needed is not None
    wrong = [
        known.sum(axis=0).argmax() != 0
        for known in (log_p[p] for p in draws_of(np.arange(300), groups[:300], needed, 400, rng))
    ]
    assert np.mean(wrong) < 0.02
    false = [
        rule.decide(log_p[p], 3).verdict == "none of these"
        for p in draws_of(np.arange(300), groups, 20, 300, rng)
    ]
    assert np.mean(false) < 0.05


def test_indistinguishable_classes_have_no_number_of_texts() -> None:
    rng = np.random.default_rng(1)
    log_p = blend.log_softmax(rng.normal(size=(400, 2)))
    rule = fit_rule(log_p, np.arange(400) % 2, [str(i) for i in range(400)], 2)
    assert rule.texts_needed(0) is None or rule.texts_needed(0) > 200  # type: ignore[operator]
    assert rule.decide(log_p[:30], 2).verdict == "too few texts"


def test_a_missing_extra_is_told_in_plain_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ConfigError, match=r"pip install 'hydrawatch\[attribution\]'"):
        chosen_device("auto")


def test_a_device_that_is_not_there_is_refused() -> None:
    import torch

    with pytest.raises(ConfigError, match="no device"):
        chosen_device("abacus")
    if not torch.cuda.is_available():
        assert chosen_device("auto").type == "cpu"
        with pytest.raises(ConfigError, match="no CUDA device"):
            chosen_device("cuda")


def test_importing_attribution_does_not_import_torch() -> None:
    modules = (
        "fingerprint.training",
        "fingerprint.model",
        "fingerprint.encoder",
        "lineage.comparing",
        "evaluate.evaluating",
    )
    names = ", ".join(f"detector.attribution.{name}" for name in modules)
    code = f"import sys, {names}; print('torch' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "False\n"
    )

"""Lineage and identity slips on made students, teachers and decoys; the evaluation on a small made table."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from made_attribution import answer, drifting, table
from typer.testing import CliRunner

from detector.attribution.lineage import evidence, identity, lineage
from detector.attribution.lineage.comparing import run_comparison
from detector.cli import app
from detector.errors import ConfigError

TEACHERS = ["teach-a", "teach-b", "teach-c", "teach-d"]
DECOYS = [f"decoy-{n}" for n in range(14)]
PROMPTS = range(40)


def world() -> list[dict[str, object]]:
    """Four teachers; a student that takes a third of its phrases from one; controls that take from none."""
    rows: list[dict[str, object]] = []
    for prompt in PROMPTS:
        rows += [
            {"model": name, "prompt": prompt, "text": drifting(name, prompt, 0.4, name, 0.0)}
            for name in (*TEACHERS, *DECOYS, "control")
        ]
        rows.append(
            {"model": "student", "prompt": prompt, "text": drifting("student", prompt, 0.4, "teach-b", 0.35)}
        )
    return rows


@pytest.fixture(scope="module")
def answers() -> lineage.Answers:
    rows = world()
    return lineage.shared_answers(
        [str(r["text"]) for r in rows], [str(r["model"]) for r in rows], [str(r["prompt"]) for r in rows]
    )


@pytest.fixture(scope="module")
def similarity(answers: lineage.Answers) -> np.ndarray:  # type: ignore[type-arg]
    return lineage.similarities(answers)


def against(answers: lineage.Answers, similarity: object, suspect: str, **more: object) -> lineage.Comparison:
    others = [d for d in [*DECOYS, "control", "student"] if d != suspect]
    return lineage.compare(answers, similarity, suspect, TEACHERS, others, {}, **more)  # type: ignore[arg-type]


def test_the_student_is_derived_from_its_teacher(answers: lineage.Answers, similarity: object) -> None:
    found = against(answers, similarity, "student")
    assert (found.verdict, found.teacher) == ("derived", "teach-b")
    best = found.candidates[0]
    assert best.z is not None
    assert best.low is not None
    assert best.low <= best.z
    assert best.rank == 1
    assert next(iter(found.family_leads)) == "teach-b"


@pytest.mark.parametrize("suspect", ["control", *DECOYS[:6]])
def test_a_control_is_not_accused(answers: lineage.Answers, similarity: object, suspect: str) -> None:
    assert against(answers, similarity, suspect).verdict != "derived"


def test_same_seed_same_interval(answers: lineage.Answers, similarity: object) -> None:
    one, two = (against(answers, similarity, "student", seed=4).candidates[0] for _ in range(2))
    assert (one.low, one.high) == (two.low, two.high)


def test_few_decoys_or_prompts_make_no_claim(answers: lineage.Answers, similarity: np.ndarray) -> None:  # type: ignore[type-arg]
    few = lineage.compare(answers, similarity, "student", TEACHERS, DECOYS[:3], {})
    assert few.verdict == lineage.TOO_FEW
    assert few.candidates[0].z is None
    short = lineage.Answers(answers.models, answers.prompts[:6], answers.texts[:6])
    assert lineage.compare(short, similarity[:6], "student", TEACHERS, DECOYS, {}).verdict == lineage.TOO_FEW


def test_kin_of_the_candidate_are_no_decoys_for_it(answers: lineage.Answers, similarity: object) -> None:
    families = {"teach-b": "bee", DECOYS[0]: "bee", DECOYS[1]: "bee"}
    found = lineage.compare(answers, similarity, "student", TEACHERS, DECOYS, families)  # type: ignore[arg-type]
    counts = {c.candidate: c.n_decoys for c in found.candidates}
    assert counts["teach-b"] == len(DECOYS) - 2
    assert counts["teach-a"] == len(DECOYS)


def test_similarity_is_symmetric_and_one_with_itself(similarity: np.ndarray) -> None:  # type: ignore[type-arg]
    assert np.allclose(similarity, similarity.transpose(0, 2, 1), atol=1e-5)
    assert np.allclose(similarity.diagonal(axis1=1, axis2=2), 1, atol=1e-4)


def test_only_prompts_shared_by_all_count() -> None:
    found = lineage.shared_answers(
        ["a b", "c d", "e f", None, "g h", "again"],
        ["x", "y", "x", "y", "z", "x"],
        ["1", "1", "2", "2", "3", "1"],
    )
    assert (found.models, found.prompts, found.texts) == (["x", "y"], ["1"], [["a b", "c d"]])
    with pytest.raises(ConfigError, match="two models"):
        lineage.shared_answers(["a", "b"], ["x", "y"], ["1", "2"])


def test_evidence_is_what_both_say_and_decoys_do_not() -> None:
    shared = lineage.Answers(
        ["s", "t", "d1", "d2"],
        [str(n) for n in range(6)],
        [
            ["odd lantern words here", "odd lantern thing here", "plain words here", "here we are"]
            for _ in range(6)
        ],
    )
    grams = [g.gram for g in evidence.shared_grams(shared, "s", "t", ["d1", "d2"])]
    assert grams[0] == "odd lantern"
    assert "here" not in grams[:1]


@pytest.mark.parametrize(
    ("text", "claims", "language"),
    [
        ("I am an assistant made by OpenAI.", 1, "en"),
        ("As an AI language model trained by OpenAI, I cannot.", 1, "en"),
        ("Soy ChatGPT, a tu servicio.", 1, "es"),
        ("Je suis un modèle créé par OpenAI.", 1, "fr"),
        ("Ich wurde von OpenAI entwickelt.", 1, "de"),
        ("我是由OpenAI训练的模型。", 1, "zh"),
        ("I am not ChatGPT.", 0, None),
        ("I'm not made by OpenAI.", 0, None),
        ("ChatGPT was made by OpenAI.", 0, None),
        ("I am here. OpenAI exists.", 0, None),
        ("", 0, None),
        (None, 0, None),
    ],
)
def test_a_claim_is_first_person_and_no_denial(text: str | None, claims: int, language: str | None) -> None:
    found = identity.slips([text], identity.MAKERS["openai"])
    assert found.n_claims == claims
    assert list(found.languages) == ([language] if language else [])


def test_slips_are_compared_both_ways() -> None:
    student = ["I am ChatGPT.", "I was trained by OpenAI.", "Bread is good."]
    teacher = ["I am ChatGPT.", "Hello."]
    mine, theirs = ("Brook Lab", "brook-7b"), identity.MAKERS["openai"]
    assert "hint, no proof" in identity.both_ways(student, teacher, mine, theirs).hint
    assert "nothing" in identity.both_ways(student, [*teacher, "I am brook-7b"], mine, theirs).hint
    assert (
        "other direction"
        in identity.both_ways(["Hi."], ["I am brook-7b.", "I'm brook-7b!"], mine, theirs).hint
    )
    assert "no identity slip" in identity.both_ways(["Hi."], teacher, mine, theirs).hint
    assert "same maker" in identity.both_ways(student, teacher, theirs, theirs).hint


def test_names_come_from_the_maker_then_from_the_label() -> None:
    assert "Claude" in identity.names_of("m-1", "Anthropic")
    assert "Qwen" in identity.names_of("Qwen-7B", None)
    assert identity.names_of("brook-7b", "Brook Lab") == ("Brook Lab", "brook-7b")
    assert identity.names_of("brook-7b", None) == ("brook-7b",)


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    return path


def test_compare_from_the_command_line(tmp_path: Path) -> None:
    rows = world()
    own = write(tmp_path / "s.jsonl", [r for r in rows if r["model"] == "student"])
    rest = write(tmp_path / "rest.jsonl", [r for r in rows if r["model"] != "student"])
    words = ["attribute", "compare", str(own), "--decoys", str(rest), "--text", "text", "--label", "model", "--group",
             "prompt", "--suspect", "student", *(w for t in TEACHERS for w in ("--candidate", t))]  # fmt: skip
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert (report["verdict"], report["teacher"]) == ("derived", "teach-b")
    assert len(report["candidates"]) == 4
    assert report["grams"]
    assert report["identity"]["suspect_claims"] == 0
    shown = CliRunner().invoke(app, words)
    assert shown.stdout.startswith("student: derived teach-b")


def test_an_absent_suspect_is_named(tmp_path: Path) -> None:
    file = write(tmp_path / "t.jsonl", table(["amber", "birch"], range(20)))
    with pytest.raises(ConfigError, match="no answers of 'nobody'"):
        run_comparison([file], text="text", label="model", group="prompt", suspect="nobody")


def test_the_classifier_is_a_second_witness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="the attribution extra is not installed")
    from detector.attribution.corpus.reading import labelled
    from detector.attribution.extra import chosen_device
    from detector.attribution.fingerprint import training

    rows = [r for r in world() if int(str(r["prompt"])) < 20]
    taught = write(tmp_path / "t.jsonl", [r for r in rows if r["model"] in TEACHERS])
    data = labelled(taught, text="text", label="model", group="prompt")
    model = training.train(data, members=("linear",), folds=2, device=chosen_device("cpu"))
    _, report = run_comparison(
        [write(tmp_path / "all.jsonl", rows)], text="text", label="model", group="prompt", suspect="student",
        candidates=TEACHERS, model=model,
    )  # fmt: skip
    witness = {c["candidate"]: c["witness_z"] for c in report["candidates"]}
    assert max(witness, key=lambda c: witness[c]) == "teach-b"


def test_evaluate_measures_a_small_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="the attribution extra is not installed")
    from detector.attribution.fingerprint import network

    monkeypatch.setattr(network, "STEPS", (30, 30))
    rows = [
        {**r, "kind": "odd" if int(str(r["prompt"])) % 2 else "even"}
        for r in table(["amber", "birch"], range(24))
    ]
    rows += [
        {"model": m, "prompt": p, "text": answer("cedar", p, n), "maker": "X", "kind": "odd"}
        for n, m in enumerate(("other-1", "other-2"))
        for p in range(24)
    ]
    file = write(tmp_path / "t.jsonl", rows)
    lists = {
        "tasks": {"two": ["amber", "birch", "absent"]},
        "open_set": {"known": ["amber", "birch"], "unknown": ["other-1"], "background": ["other-2"]},
        "lineage": {"candidates": ["amber", "birch"], "kin": {}},
    }
    (tmp_path / "c.json").write_text(json.dumps(lists))
    (tmp_path / "p.csv").write_text(
        "student,teacher,teacher_vendor,kind,confidence\nother-1,HUMAN,human,control_human_data,high\n"
    )
    done = CliRunner().invoke(
        app,
        ["attribute", "evaluate", str(file), "--text", "text", "--label", "model", "--group", "prompt", "--family",
         "maker", "--domain", "kind", "--classes", str(tmp_path / "c.json"), "--pairs", str(tmp_path / "p.csv"),
         "--out", str(tmp_path / "out"), "--members", "linear", "--only", "closed", "--only", "open", "--only", "domains",
         "--only", "lineage"],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    read = {p.stem: json.loads(p.read_text()) for p in (tmp_path / "out").glob("*.json")}
    closed = read["closed_-_two"]
    assert closed["accuracy"] > 0.95
    assert set(closed["folds"][0]["robustness"]) >= {"markdown stripped", "lower-cased"}
    assert read["open_set"]["sizes"]["5"]["auroc"] > 0.95
    assert set(read["out_of_domain"]["accuracy_by_domain"]) == {"odd", "even"}
    assert read["lineage"]["human_controls_derived"] == 0
    assert "ensemble" in done.stdout


def test_class_lists_fall_back_to_all_labels(tmp_path: Path) -> None:
    from detector.attribution.evaluate.evaluation import class_lists

    assert class_lists(None, {"b", "a"})["tasks"] == {"all labels": ["a", "b"]}
    (tmp_path / "c.json").write_text("{}")
    with pytest.raises(ConfigError, match="no class lists"):
        class_lists(tmp_path / "c.json", {"a"})


@pytest.mark.parametrize(("nearest", "verdict"), [(0.0, "derived"), (0.6, "consistent with")])
def test_who_is_nearer_to_another_maker_is_not_derived(nearest: float, verdict: str) -> None:
    """The suspect stands out for teach-a; ``nearest`` is how alike it is to teach-b, to which every decoy is alike too."""
    rng = np.random.default_rng(3)
    models = ["suspect", *TEACHERS, *DECOYS]
    made = lineage.Answers(models, [str(p) for p in range(60)], [])
    similarity = rng.normal(0, 0.05, (60, len(models), len(models))).astype(np.float32)
    similarity[:, 0, 1] += 0.4
    similarity[:, :, 2] += nearest
    found = lineage.compare(made, similarity, "suspect", TEACHERS, DECOYS, {})
    assert found.candidates[0].candidate == "teach-a"
    assert found.verdict == verdict

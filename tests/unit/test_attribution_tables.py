"""Tables nobody tuned anything on: labels, numbers, JSON, few and rare classes, other scripts, control characters."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

pytest.importorskip("torch", reason="the attribution extra is not installed")
pytest.importorskip("safetensors", reason="the attribution extra is not installed")

from detector.attribution.corpus.reading import as_text
from detector.attribution.fingerprint import network, trees
from detector.cli import app

Rows = list[dict[str, Any]]
VERDICTS = {"known", "none of these", "too few texts"}


@pytest.fixture(scope="module", autouse=True)
def few_steps() -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    patch.setattr(network, "STEPS", (40, 40))
    patch.setattr(trees, "MOST_TREES", 60)
    patch.setattr(trees, "FEWEST_ROUNDS", 10)
    yield
    patch.undo()


def as_jsonl(path: Path, rows: Rows) -> Path:
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), encoding="utf-8")
    return path


def as_csv(path: Path, rows: Rows) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def as_parquet(path: Path, rows: Rows) -> Path:
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def run(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["attribute", *arguments])
    return done.exit_code, done.stdout, done.stderr + (str(done.exception) if done.exception else "")


def trained(file: Path, out: Path, *more: str) -> str:
    columns = ("--text", "text", "--label", "model", "--group", "prompt", "--device", "cpu", "--folds", "2")
    code, _, messages = run("train", str(file), *columns, "--out", str(out), *more)
    assert code == 0, messages
    return messages


def told(model: Path, file: Path, *more: str) -> Rows:
    code, out, messages = run("predict", str(model), str(file), "--text", "text", "--json", *more)
    assert code == 0, messages
    return [json.loads(line) for line in out.splitlines()]


def rows_of(n: int, **habits: Callable[[int, random.Random], Any]) -> Rows:
    rng = random.Random(4)
    return [{"text": say(p, rng), "model": m, "prompt": p} for p in range(n) for m, say in habits.items()]


#: Name -> rows, and how many of the classes' own corpora must be named right.
TABLES: dict[str, tuple[Rows, int]] = {
    "labels": (
        rows_of(80, x=lambda p, r: r.choice("ABCD"), y=lambda p, r: r.choices("ABCD", (1, 9, 1, 1))[0]),
        2,
    ),
    "numbers": (rows_of(40, x=lambda p, r: r.randint(0, 999), y=lambda p, r: round(99 * r.random(), 2)), 2),
    "objects": (
        rows_of(
            40,
            x=lambda p, r: {"label": r.choice("AB"), "why": "none"},
            y=lambda p, r: {"why": "none", "label": r.choice("AB")},
            z=lambda p, r: [r.choice("AB")],
        ),
        3,
    ),
    "control characters": (
        rows_of(30, x=lambda p, r: f"a\0b\x1b[31mred {p}\x07", y=lambda p, r: f"\u202ea\ufeffb {p}\u2028\ud7ff"),
        2,
    ),
    "scripts": (
        rows_of(
            24,
            x=lambda p, r: f"你好，答案是{p}。",
            y=lambda p, r: f"Здравствуйте, ответ {p}.",
            z=lambda p, r: f"ขอบคุณ คำตอบคือ {p}",
            ü=lambda p, r: f"Schön, größer als {p} 👍🏽",
        ),
        4,
    ),
    "a dozen texts": (rows_of(6, x=lambda p, r: f"sure, {p}", y=lambda p, r: f"# {p}\n* indeed"), 2),
    "a class with one text": (
        [
            *rows_of(60, big=lambda p, r: f"well, {r.random():.3f} indeed", small=lambda p, r: f"nope {p}")[:100],
            {"text": "once", "model": "single", "prompt": 5},
        ],
        2,
    ),
    "nothing to tell": (rows_of(20, x=lambda p, r: "A", y=lambda p, r: "A"), 0),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_any_table_trains_and_answers(tmp_path: Path, name: str) -> None:
    rows, named = TABLES[name]
    file = as_jsonl(tmp_path / "t.jsonl", rows)
    trained(file, tmp_path / "m")
    classes = sorted({r["model"] for r in rows})
    single = told(tmp_path / "m", file)
    assert [o["row"] for o in single] == list(range(len(rows)))
    for found in single:
        assert sorted(found["probabilities"]) == classes
        assert sum(found["probabilities"].values()) == pytest.approx(1)
        assert found["verdict"] in VERDICTS
    corpora = told(tmp_path / "m", file, "--by", "model")
    assert [o["by"] for o in corpora] == list(dict.fromkeys(r["model"] for r in rows))
    assert sum(o["prediction"] == o["by"] for o in corpora) >= named
    # A class's own texts are never nobody's: it is told without doubt, or it is not told.
    assert not [o for o in corpora if o["verdict"] == "none of these"]


def test_where_nothing_differs_nothing_is_claimed(tmp_path: Path) -> None:
    file = as_jsonl(tmp_path / "t.jsonl", TABLES["nothing to tell"][0])
    trained(file, tmp_path / "m", "--members", "linear,trees")
    for found in [*told(tmp_path / "m", file, "--by", "model"), *told(tmp_path / "m", file)]:
        assert found["verdict"] == "too few texts"
        assert found["probability"] == pytest.approx(0.5, abs=0.02)


def test_a_handful_of_training_texts_makes_nobody_certain(tmp_path: Path) -> None:
    """Eight texts without a mistake are no evidence of one mistake in a thousand."""
    rows = rows_of(4, x=lambda p, r: f"hello x {p}", y=lambda p, r: f"hello y {p}")
    file = as_jsonl(tmp_path / "t.jsonl", rows)
    messages = trained(file, tmp_path / "m", "--members", "linear")
    assert "2 of 2 classes have fewer than 10 groups" in messages
    for found in told(tmp_path / "m", file, "--by", "model"):
        assert found["probability"] < 0.99


def test_jsonl_csv_and_parquet_say_the_same(tmp_path: Path) -> None:
    rows = rows_of(16, x=lambda p, r: f'a, "{p}"\nb', y=lambda p, r: f"c; {p}", z=lambda p, r: f"| {p} |")
    files = [
        as_jsonl(tmp_path / "t.jsonl", rows), as_csv(tmp_path / "t.csv", rows), as_parquet(tmp_path / "t.parquet", rows)
    ]  # fmt: skip
    trained(files[1], tmp_path / "m", "--members", "linear")
    answers = [told(tmp_path / "m", file) for file in files]
    assert answers[0] == answers[1] == answers[2]
    corpora = [told(tmp_path / "m", file, "--by", "model") for file in files]
    assert corpora[0] == corpora[1] == corpora[2]


def test_an_object_is_the_same_text_in_every_kind_of_table() -> None:
    assert as_text({"label": "A", "n": 1}) == '{"label":"A","n":1}'
    assert as_text(["ü", None]) == '["ü",null]'
    assert as_text(1.5) == "1.5"
    assert as_text(None) is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--text", "body", "--label", "model"), ("no column 'body'", "there are text, model, prompt")),
        (("--text", "text", "--label", "who"), ("no column 'who'", "there are text, model, prompt")),
        (("--text", "text", "--label", "model", "--group", "question"), ("no column 'question'",)),
        (("--text", "text", "--label", "prompt", "--group", "model"), ("2 groups among", "--group")),
        (
            ("--text", "text", "--label", "model", "--members", "forest"),
            ("unknown member 'forest'", "linear"),
        ),
    ],
)
def test_errors_say_where_and_what_to_do(
    tmp_path: Path, arguments: tuple[str, ...], said: tuple[str, ...]
) -> None:
    file = as_csv(tmp_path / "t.csv", rows_of(6, x=lambda p, r: "a", y=lambda p, r: "b"))
    code, out, messages = run("train", str(file), *arguments, "--out", str(tmp_path / "m"), "--device", "cpu")
    assert code != 0
    assert out == ""
    assert not (tmp_path / "m").exists()
    assert all(part in messages for part in said), messages


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    file = as_jsonl(tmp_path / "t.jsonl", rows_of(6, x=lambda p, r: "a", y=lambda p, r: "b"))
    file.write_text(file.read_text() + '{"text": "a", "model": \n')
    code, _, messages = run(
        "train", str(file), "--text", "text", "--label", "model", "--out", str(tmp_path / "m")
    )
    assert code != 0
    assert "not JSON" in messages
    assert "13" in messages

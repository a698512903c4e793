"""The laboratory's commands: worlds made, and the classifier rebuilt from them."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
from conftest import hydrawatch, ok

from detector.score.detector import Detector


def test_simulate_leaves_out_what_is_missing_and_frames_whom_it_says(tmp_path: Path) -> None:
    out = tmp_path / "world"
    words = [
        "simulate",
        "--out",
        out,
        "--seed",
        900_901,
        "--days",
        1,
        "--accounts",
        250,
        "--campaign",
        "cot_rubric",
    ]
    ok(*words, "--missing", "prompts", "--missing", "ja4", "--scale", 0.002, "--poison")
    told = json.loads((out / "world.json").read_text())
    assert told["accounts_by_kind"]["distillation"] >= 2
    requests = pl.concat(pl.read_ndjson(p) for p in (out / "logs").glob("requests-*"))
    assert not {"prompt", "messages", "ja4"} & set(requests.columns)
    assert "already holds a world" in str(hydrawatch(*words).exception)
    wrong = hydrawatch("simulate", "--out", tmp_path / "other", "--missing", "promts")
    assert "'promts'" in str(wrong.exception)


def test_train_writes_a_classifier_and_its_card_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    model = tmp_path / "made" / "detector.json"
    model.parent.mkdir()
    words = ["train", "--out", model, "--worlds", 4, "--seed", 900_910, "--accounts", 200, "--days", 2]
    words += ["--work", tmp_path / "work", "--processes", 1]
    ok(*words)
    first = Detector.loads(model.read_text())
    assert first.trained_on["worlds"] == 4
    assert first.models.conduct["distillation"].terms
    assert first.models.group.terms
    assert "Model card" in model.with_suffix(".md").read_text()
    assert len(list((tmp_path / "work").glob("world-*/measured"))) == 4
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "work").rglob("*.parquet")}
    ok(*words)
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "work").rglob("*.parquet")} == before
    assert Detector.loads(model.read_text()).digest() == first.digest()

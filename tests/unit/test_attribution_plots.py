"""The charts of an evaluation are files of their own, one a table that has figures to draw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from detector.attribution.evaluate.plots import charts, plot_all

FOLD = {"accuracy": 0.5, "by_size": {"5": 0.7, "25": 0.9}}
RESULTS: dict[str, dict[str, Any]] = {
    "closed - vendors": {"folds": [FOLD]},
    "closed - <b>models</b>": {"folds": [FOLD, FOLD]},
    "open set": {"sizes": {"1": {"auroc": 0.8, "rejected_at_1pct": 0.2}, "10": {"auroc": 0.9, "rejected_at_1pct": 0.4}}},
    "learning curve": {"task": "vendors", "accuracy_by_prompts": {"10": 0.3, "100": 0.6}},
    "lineage": {"pairs": 3},
}  # fmt: skip


def test_every_table_with_figures_is_drawn(tmp_path: Path) -> None:
    drawn = plot_all(RESULTS, tmp_path)
    assert [path.name for path in drawn] == ["closed_set.svg", "open_set.svg", "learning_curve.svg"]
    text = drawn[0].read_text()
    assert ">vendors<" in text
    assert ">&lt;b&gt;models&lt;/b&gt;<" in text
    assert plot_all({"lineage": {}, "open set": {}}, tmp_path) == []


def test_a_curve_begins_with_one_text() -> None:
    rows = charts(RESULTS)["closed_set"]["data"]["values"]
    assert [(row["x"], row["y"]) for row in rows if row["series"] == "vendors"] == [
        (1, 0.5),
        (5, 0.7),
        (25, 0.9),
    ]

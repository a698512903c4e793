"""The report: one file that loads nothing, and names nobody trusts."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest

from detector.lab.benchmark import plots
from detector.lab.benchmark.cells import number
from detector.lab.benchmark.markdown import tables
from detector.lab.benchmark.report import render

HOSTILE = "<script>alert(1)</script>\"'&"
FIGURE = [0.5, 0.4, 0.6]
LEVEL = {
    "evasion_level": 0, "recall_at_0.001": FIGURE, "recall_at_0.01": FIGURE, "average_precision": [None, None, None],
    "pair_f1": FIGURE, "n_attackers": [12, None, None],
    "honest_account_days": [340.0, None, None],
}  # fmt: skip
COLUMN: dict[str, Any] = {
    "evasion_levels": [LEVEL, {**LEVEL, "evasion_level": 3}],
    "campaigns": [{"campaign": HOSTILE, **LEVEL}],
    "archetypes": [{"archetype": HOSTILE, "accounts": 10, "alerted": 1, "above_0.001": 0, "above_0.01": 2}],
    "reliability": [{"from": 0.0, "to": 0.1, "n": 9.0, "said": 0.02, "seen": 0.0}],
    "calibration_error": 0.01,
    "first_alerts": [
        {"evasion_level": 0, "campaign": HOSTILE, "exchanges": 10, "first_night": 2, "first_exchanges": 4,
        "half_night": None},
        {"evasion_level": 0, "campaign": "other", "exchanges": 10, "first_night": None, "first_exchanges": None,
        "half_night": None},
    ],
}  # fmt: skip
WORLD = {
    "seed": 1, "evasion_level": 0, "families": "a", "campaigns": [HOSTILE], "requests": 10, "accounts": 5, "attackers": 1,
    "framed": 0, "leakiest": HOSTILE, "leak_auc": 0.7, "seconds": 1.5,
}  # fmt: skip
FOUND: dict[str, Any] = {
    "size": {}, "model": HOSTILE, "trained_on": {}, "seconds": 60.0, "worlds": [WORLD],
    "columns": {"same": COLUMN, "held_out": COLUMN},
    "rejected": [{"evasion_level": 2, "seed": 5, "field": HOSTILE, "auc": 0.9}],
    "dropped": [{"evasion_level": 3, "seed": 6, "reason": HOSTILE}],
    "leaks": [{"evasion_level": 0, "field": HOSTILE, "mean": 0.6, "worst": 0.7}],
    "ablation": [{"family": "", **LEVEL}, {"family": HOSTILE, **LEVEL}],
    "missing": [{"missing": HOSTILE, "calibration_error": 0.1, **LEVEL}],
    "rivals": [{"rival": HOSTILE, "about": HOSTILE, **LEVEL}],
    "windows": [
        {"share": 0.1, "evasion_level": r, "way": HOSTILE, "attacks": 3, "ordinary": 9, "detection": 0.4,
        "published_mmd": 0.046}
        for r in (None, 0)
    ],
    "full": [{**WORLD, "recall_at_0.001": 0.5, "average_precision": 0.4, "pair_f1": None, "false_groups_per_10000": 0.0}],
}  # fmt: skip


def test_names_are_escaped_everywhere() -> None:
    page = render(FOUND)
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#x27;&amp;" in page
    assert page.count("<h2>") == page.count("</h2>") == 12


def test_nothing_is_loaded_from_anywhere() -> None:
    page = render(FOUND)
    assert "Content-Security-Policy" in page
    assert "default-src 'none'" in page
    assert not re.search(r"(?i)https?:|\bsrc=|\bhref=|url\(|@import|<link|<iframe|<object|\bon\w+=", page)


def test_figures_and_gaps_are_told_apart() -> None:
    assert number([0.5, 0.4, 0.6]) == '0.500 <span class="ci">0.400–0.600</span>'
    assert number([None, None, None]) == number(None) == "–"
    assert [number(v) for v in (12345, 1, 0, 12.0, 1.0, 0.0)] == ["12,345", "1", "0", "12", "1.000", "0.000"]
    assert number("a<b") == "a&lt;b"


def test_the_report_says_first_what_was_run() -> None:
    lede = render(FOUND).split("<h2>")[0]
    assert "1 worlds that no detector was trained on, 10 requests, 680 honest account-days" in lede
    assert "upper bounds" in lede


def test_time_to_alert_counts_the_instances_never_alerted() -> None:
    page = render(FOUND)
    row = re.search(r"<tr><td class=t>0 naive</td><td>2</td><td>1</td><td>2</td>", page)
    assert row


def test_a_report_without_rivals_or_held_out_stands() -> None:
    found = copy.deepcopy(FOUND)
    found |= {"rivals": [], "windows": [], "missing": [], "full": []}
    del found["columns"]["held_out"]
    page = render(found)
    assert "Other methods" not in page
    assert "By evasion level" in page


def test_markdown_tables_hold_their_shape_whatever_the_names() -> None:
    lines = [
        line
        for line in tables(FOUND | {"rivals": [{"rival": "a|b<i>", "about": "", **LEVEL}]}).splitlines()
        if line
    ]
    assert "| a\\|b&lt;i> | 0.50 (0.40–0.60) |" in lines
    assert "| average precision | – | – |" in lines
    assert lines.count("| MMD as published | 0.05 |") == 2
    assert any(line.endswith("evasion level 0 naive**") for line in lines)


def test_bars_are_as_tall_as_their_values_and_gaps_stay_empty() -> None:
    drawn = plots.bars("t", ["a", "b"], [plots.Series("s", [0.5, None], [0.4, None], [0.6, None])])
    heights = [float(h) for h in re.findall(r'height="([\d.]+)" fill="#1b6ca8"><title>', drawn)]
    assert heights == [95.0]
    assert drawn.count("whisker") == 1


def test_a_legend_has_room_for_all_its_names() -> None:
    names = ["same generator", "same, training of the held-out", "held out"]
    drawn = [
        plots.reliability("t", [(name, [(0.1, 0.2, 5.0)]) for name in names]),
        plots.rows("t", ["a"], [plots.Series(name, [0.5]) for name in names]),
        plots.bars("t", ["a"], [plots.Series(name, [0.5]) for name in names]),
    ]
    for plot in drawn:
        width = float(re.search(r'width="(\d+)"', plot)[1])  # type: ignore[index]
        start = float(re.search(r'<text x="([\d.]+)"[^>]*>held out<', plot)[1])  # type: ignore[index]
        assert start + 6 * len("held out") < width


def test_dots_lie_in_proportion() -> None:
    drawn = plots.rows("t", ["a", "b", "c"], [plots.Series("s", [0.0, 0.5, 1.0])])
    x = [float(v) for v in re.findall(r'<circle cx="([\d.]+)"', drawn)]
    assert x[1] - x[0] == pytest.approx(210.0)
    assert x[2] - x[1] == pytest.approx(210.0)


def test_the_ideal_of_the_reliability_plot_is_its_diagonal() -> None:
    drawn = plots.reliability("t", [("s", [(0.5, 0.5, 10), (0.01, 0.01, 100)])])
    spots = [(float(x), float(y)) for x, y in re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', drawn)]
    for x, y in spots:
        assert abs((x - 50) - (334 - y)) < 0.2

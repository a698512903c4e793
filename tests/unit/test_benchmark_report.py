"""The report: one file that loads nothing, and names nobody trusts."""

from __future__ import annotations

import copy
import html
import re
from typing import Any

from detector.lab.benchmark.cells import Cell, cell, figure
from detector.lab.benchmark.markdown import tables
from detector.lab.benchmark.report import render

HOSTILE = "<script>alert(1)</script>\"'&{{7*7}}\u202e</style>"
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
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;&amp;{{7*7}}\\u202e&lt;/style&gt;" in page
    assert page.count("<h2>") == page.count("</h2>") == 12
    assert page.count("</style>") == 1
    assert all(c == "\n" or c.isprintable() for c in page)


def test_charts_stand_over_the_tables_and_are_told_apart() -> None:
    page = render(FOUND)
    assert page.count('<svg role="img"') == 5
    assert page.index("<svg") < page.index("<table")
    for title in ("Group pair F1", "Reliability", "Detection of mixed windows at 1 % false positives"):
        assert f'<svg role="img" aria-label="{title}"' in page
        assert f"<h3>{title}</h3>" in page


def test_nothing_is_loaded_from_anywhere() -> None:
    page = render(FOUND)
    assert "Content-Security-Policy" in page
    assert "default-src 'none'; style-src 'unsafe-inline'" in html.unescape(page)
    assert not re.search(r"(?i)https?:|\bsrc=|\bhref=|url\(|@import|<link|<iframe|<object|\bon\w+=", page)


def test_figures_and_gaps_are_told_apart() -> None:
    assert cell([0.5, 0.4, 0.6]) == Cell("0.500", "0.400–0.600")
    assert "0.500 <small>0.400–0.600</small>" in render(FOUND)
    assert cell([0.5, None, 0.6]) == cell(0.5) == Cell("0.500")
    assert cell([None, None, None]) == cell(None) == Cell("–")
    assert [figure(v) for v in (12345, 1, 0, 12.0, 1.0, 0.0)] == ["12,345", "1", "0", "12", "1.000", "0.000"]
    assert [figure(v, 2) for v in (1, 0.5, 123.4, None)] == ["1", "0.50", "123", "–"]
    assert cell("a<b") == Cell("a<b"), "escaped by the template"


def test_the_report_says_first_what_was_run() -> None:
    lede = render(FOUND).split("<h2>")[0]
    assert "1 worlds that no detector was trained on, 10 requests, 680 honest account-days" in lede
    assert "upper bounds" in lede


def test_time_to_alert_counts_the_instances_never_alerted() -> None:
    page = render(FOUND)
    cells = ['<td class="number">2</td>', '<td class="number">1</td>', '<td class="number">2</td>']
    assert "<tr><td>0 naive</td>" + "".join(cells) in page


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

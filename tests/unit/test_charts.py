"""Charts are drawn without network, script or style, alike every time, and show the figures they are given."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from detector.charts.figures import Series, bars, curves, dots, reliability
from detector.charts.scores import MOST_BARS, over_days, waterfall
from detector.charts.svg import Spec, to_svg, write_svg

HOSTILE = "</text></svg><script>alert(1)</script>{{7*7}}\u202e\"'&\x00\x1b[2J"
D = date(2026, 3, 1)


def every(name: str) -> dict[str, Spec]:
    """Each kind of chart, everything in it called ``name``."""
    two = [Series(name, [0.5, None], [0.4, None], [0.6, None]), Series(f"{name} 2", [0.1, 0.9])]
    return {
        "waterfall": waterfall([("base_rate", -11.0), (name, 9.0), ("b", -0.5)], threshold_bits=3.0),
        "over_days": over_days([(D + timedelta(i), i - 2.0) for i in range(5)], threshold_bits=1.0),
        "bars": bars(name, [name, "b"], two),
        "dots": dots(name, [name, "b"], two),
        "reliability": reliability(name, [(name, [(0.01, 0.02, 5.0), (0.5, 0.4, 100.0)])]),
        "curves": curves([(name, [(1, 0.5), (25, 0.9)])], across=name, up=name),
    }


every_chart = pytest.mark.parametrize("kind", every("a"))


@every_chart
def test_a_chart_is_inert_whatever_its_names(kind: str) -> None:
    drawn = to_svg(every(HOSTILE)[kind])
    root = ET.fromstring(drawn)
    assert {e.tag for e in root.iter()} <= {"svg", "g", "path", "line", "text", "tspan", "rect"}
    for element in root.iter():
        for name, value in element.attrib.items():
            assert name not in ("style", "id", "href", "src", "clip-path", "filter"), name
            assert not name.startswith("on")
            assert "url(" not in value
    assert "xmlns" not in drawn
    assert all(c.isprintable() for c in drawn)


@every_chart
def test_a_chart_is_the_same_every_time_and_says_what_it_is(kind: str) -> None:
    drawn = to_svg(every("a")[kind])
    assert drawn == to_svg(every("a")[kind])
    root = ET.fromstring(drawn)
    assert root.get("role") == "img"
    assert root.get("aria-label")


def test_neither_the_time_zone_nor_the_language_of_a_machine_changes_a_chart() -> None:
    code = "import test_charts as t; print(*map(t.to_svg, t.every('a').values()))"
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[2])])
    told = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": path, **place},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for place in (
            {"TZ": "Pacific/Apia", "LC_ALL": "C"},
            {"TZ": "America/New_York", "LANG": "de_DE.UTF-8"},
        )
    }
    assert [drawn.count("<svg") for drawn in told] == [6]


def test_a_specification_is_plain_json() -> None:
    for spec in every("a").values():
        assert json.loads(json.dumps(spec, allow_nan=False)) == spec


def rows(spec: Spec) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = spec["data"]["values"]
    return found


def test_each_bar_of_the_waterfall_begins_where_the_last_ended() -> None:
    steps = rows(waterfall([("b", -0.5), ("a", 9.0), ("base_rate", -11.0)]))
    assert [row["name"] for row in steps] == ["base_rate", "a", "b", "score"]
    for before, after in pairwise(steps[:-1]):
        assert after["start"] == before["end"]
    assert (steps[-1]["start"], steps[-1]["end"]) == (0.0, pytest.approx(-2.5))
    assert [row["kind"] for row in steps] == ["base", "for", "against", "score"]


def test_a_waterfall_of_many_sums_up_the_lightest_and_loses_nothing() -> None:
    parts = [(f"p{i:02d}", (i - 10) / 4) for i in range(40)]
    steps = rows(waterfall([("base_rate", -11.0), *parts]))
    assert len(steps) == MOST_BARS + 3
    assert steps[-2]["name"] == f"{40 - MOST_BARS} lighter ones"
    assert steps[-1]["end"] == pytest.approx(-11.0 + sum(bits for _, bits in parts))
    exactly = rows(waterfall(parts[: MOST_BARS + 1]))
    assert not [row for row in exactly if "lighter" in row["name"]], "one alone keeps its name"


def test_contributions_of_one_name_have_a_bar_each() -> None:
    steps = rows(waterfall([("a", 2.0), ("a", 1.0), ("score", -0.01)]))
    assert [row["name"] for row in steps] == ["a", "a (2)", "score", "score (2)"]
    assert steps[2]["label"] == "0.0", "what rounds to nothing has no sign"


def test_days_are_those_given_in_any_month() -> None:
    drawn = to_svg(over_days([(date(2026, 2, 27) + timedelta(i), 1.0) for i in range(4)]))
    assert [d for d in ("27 Feb", "28 Feb", "1 Mar", "2 Mar") if f">{d}<" not in drawn] == []
    long = to_svg(over_days([(D + timedelta(i), float(i)) for i in range(90)]))
    assert len(re.findall(r">\d+ (?:Mar|Apr|May)<", long)) == 8


def paths(drawn: str, role: str) -> list[str]:
    return re.findall(
        rf'<path aria-label="([^"]*)" role="graphics-symbol" aria-roledescription="{role}"', drawn
    )


def test_a_figure_that_is_not_there_leaves_a_gap() -> None:
    drawn = to_svg(bars("t", ["a", "b"], [Series("s", [0.5, None], [0.4, None], [0.6, None])]))
    (bar,) = paths(drawn, "bar")
    assert "a" in bar
    height = float(re.search(r'aria-roledescription="bar" d="M[\d.]+,[\d.]+h[\d.]+v([\d.]+)h', drawn)[1])  # type: ignore[index]
    assert height == pytest.approx(95.0, abs=0.5), "half of the whole height"
    assert len(re.findall(r'aria-roledescription="errorbar', drawn)) >= 1


def test_dots_lie_in_proportion() -> None:
    drawn = to_svg(dots("t", ["a", "b", "c"], [Series("s", [0.0, 0.5, 1.0])]))
    x = [
        float(v) for v in re.findall(r'aria-roledescription="circle" transform="translate\(([\d.]+),', drawn)
    ]
    assert x[1] - x[0] == pytest.approx(210.0)
    assert x[2] - x[1] == pytest.approx(210.0)


def test_what_is_seen_as_often_as_said_lies_on_the_diagonal() -> None:
    drawn = to_svg(reliability("t", [("s", [(0.5, 0.5, 10), (0.01, 0.01, 100), (0.0, 0.0, 1)])]))
    found = re.findall(r'aria-roledescription="circle" transform="translate\(([\d.]+),([\d.]+)\)', drawn)
    assert len(found) == 3
    for x, y in found:
        assert float(x) == pytest.approx(300 - float(y))


@every_chart
def test_a_legend_names_every_series(kind: str) -> None:
    if kind in ("bars", "dots", "reliability", "curves"):
        assert ">same, training of the held-out<" in to_svg(every("same, training of the held-out")[kind])


def test_a_file_of_its_own_is_a_whole_svg(tmp_path: Path) -> None:
    write_svg(every("a")["curves"], tmp_path / "a.svg")
    assert ET.parse(tmp_path / "a.svg").getroot().tag == "{http://www.w3.org/2000/svg}svg"

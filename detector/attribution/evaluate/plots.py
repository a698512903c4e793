"""Charts of the evaluation: accuracy by number of texts, learning curve, open set."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from detector.charts.figures import curves
from detector.charts.svg import Spec, write_svg

Results = dict[str, dict[str, Any]]


def plot_all(results: Results, out: Path) -> list[Path]:
    """Write what can be drawn of ``results`` as SVG files in folder ``out``; those written."""
    drawn = []
    for name, spec in charts(results).items():
        path = out / f"{name}.svg"
        write_svg(spec, path)
        drawn.append(path)
    return drawn


def charts(results: Results) -> dict[str, Spec]:
    """The chart of each table that has figures to draw, by the name of its file."""
    by_name = {}
    closed = {name.removeprefix("closed - "): r for name, r in results.items() if name.startswith("closed")}
    if closed:
        lines = []
        for task, result in closed.items():
            fold = result["folds"][0]
            sizes = [1, *map(int, fold["by_size"])]
            lines.append((task, _points(sizes, [fold["accuracy"], *fold["by_size"].values()])))
        by_name["closed_set"] = curves(lines, across="texts of one model", up="share named right")
    if "open set" in results and results["open set"].get("sizes"):
        by_size = results["open set"]["sizes"]
        lines = [
            (label, _points(map(int, by_size), [v[key] for v in by_size.values()]))
            for key, label in (
                ("auroc", "AUROC"),
                ("rejected_at_1pct", "unknown rejected at 1 % false rejection"),
            )
        ]
        by_name["open_set"] = curves(lines, across="texts of one model", up="")
    if "learning curve" in results:
        curve = results["learning curve"]["accuracy_by_prompts"]
        lines = [(results["learning curve"]["task"], _points(map(int, curve), curve.values()))]
        by_name["learning_curve"] = curves(lines, across="training prompts a class", up="accuracy, one text")
    return by_name


def _points(x: Iterable[int], y: Iterable[float]) -> list[tuple[float, float]]:
    return [(float(a), float(b)) for a, b in zip(x, y, strict=True)]

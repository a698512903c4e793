"""Plots of the evaluation: accuracy by number of texts, learning curve, open set."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any


def plot_all(results: dict[str, dict[str, Any]], out: Path) -> list[Path]:
    """Write what can be drawn of ``results`` as SVG; none without matplotlib."""
    try:
        matplotlib = importlib.import_module("matplotlib")
        matplotlib.use("Agg")
        pyplot = importlib.import_module("matplotlib.pyplot")
    except ImportError:
        return []
    drawn = []
    closed = {name.removeprefix("closed - "): r for name, r in results.items() if name.startswith("closed")}
    if closed:
        lines = {}
        for task, result in closed.items():
            fold = result["folds"][0]
            lines[task] = ([1, *map(int, fold["by_size"])], [fold["accuracy"], *fold["by_size"].values()])
        drawn.append(_lines(pyplot, lines, "texts of one model", "share named right", out / "closed_set.svg"))
    if "open set" in results and results["open set"].get("sizes"):
        sizes = results["open set"]["sizes"]
        lines = {
            label: ([int(k) for k in sizes], [v[key] for v in sizes.values()])
            for key, label in (
                ("auroc", "AUROC"),
                ("rejected_at_1pct", "unknown rejected at 1 % false rejection"),
            )
        }
        drawn.append(_lines(pyplot, lines, "texts of one model", "", out / "open_set.svg"))
    if "learning curve" in results:
        curve = results["learning curve"]["accuracy_by_prompts"]
        line = {results["learning curve"]["task"]: ([int(k) for k in curve], list(curve.values()))}
        drawn.append(
            _lines(pyplot, line, "training prompts a class", "accuracy, one text", out / "learning_curve.svg")
        )
    return drawn


def _lines(
    pyplot: Any, lines: dict[str, tuple[list[int], list[float]]], across: str, up: str, path: Path
) -> Path:
    figure, axes = pyplot.subplots(figsize=(7, 4))
    for label, (x, y) in lines.items():
        axes.plot(x, y, marker="o", label=label)
    axes.set_xscale("log")
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)
    return path

"""The whole of ``attribute evaluate``: each requested table is written as soon as it is finished."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from detector.attribution.evaluate.evaluation import (
    OUTER_FOLDS,
    Outputs,
    closed_set,
    learning_curve,
    open_set,
    out_of_domain,
)
from detector.attribution.evaluate.figures import pooled_calibration
from detector.attribution.evaluate.lineage_table import lineage_table
from detector.errors import ConfigError

if TYPE_CHECKING:
    import torch

TABLES = ("closed", "open", "curve", "domains", "lineage")


@dataclass(frozen=True)
class Plan:
    """What to measure: tables, the closed set's first fold and number of folds, members, tasks (empty: all listed)."""

    tables: tuple[str, ...]
    folds: int
    members: tuple[str, ...]
    tasks: tuple[str, ...]
    lineage_prompts: int
    seed: int
    first_fold: int = 0


def evaluate(
    data: Outputs,
    lists: dict[str, Any],
    pairs: list[dict[str, str]],
    plan: Plan,
    out: Path,
    *,
    device: torch.device,
    progress: Callable[[float, str], None] = lambda share, note: None,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Measure table by table, yielding (name, result). Each result is written to ``out/NAME.json`` at once.

    An interrupted run therefore loses one table at most.

    Raises
    ------
    ConfigError : an unknown table or task.
    """
    if unknown := sorted(set(plan.tables) - set(TABLES)):
        raise ConfigError(f"unknown table {unknown[0]!r}", hint=f"there are {', '.join(TABLES)}")
    if unknown := sorted(set(plan.tasks) - set(lists["tasks"])):
        raise ConfigError(f"unknown task {unknown[0]!r}", hint=f"there are {', '.join(lists['tasks'])}")
    tasks = plan.tasks or tuple(lists["tasks"])
    first = lists["tasks"][tasks[0]]
    out.mkdir(parents=True, exist_ok=True)
    for table in plan.tables:
        if table == "closed":
            for task in tasks:
                name = f"closed - {task}"
                result: dict[str, Any] = {}
                robust = task == tasks[0]
                for result in _closed(data, lists["tasks"][task], robust, plan, device, progress):
                    _written(out, name, result)  # a fold takes hours on a small machine
                yield name, result
        elif table == "open":
            if "open_set" in lists:
                rejection = open_set(
                    data,
                    lists["open_set"],
                    members=plan.members,
                    device=device,
                    seed=plan.seed,
                    progress=progress,
                )
                yield _written(out, "open set", rejection)
        elif table == "curve":
            curve = learning_curve(
                data, first, members=plan.members, device=device, seed=plan.seed, progress=progress
            )
            yield _written(out, "learning curve", {"task": tasks[0], "accuracy_by_prompts": curve})
        elif table == "domains":
            by_domain = out_of_domain(
                data, first, members=plan.members, device=device, seed=plan.seed, progress=progress
            )
            if by_domain:
                yield _written(out, "out of domain", {"task": tasks[0], "accuracy_by_domain": by_domain})
        elif pairs and "lineage" in lists:
            lineage = lineage_table(
                data, pairs, lists["lineage"], limit=plan.lineage_prompts, seed=plan.seed, progress=progress
            )
            yield _written(out, "lineage", lineage)


def _closed(
    data: Outputs, names: Sequence[str], robust: bool, plan: Plan, device: torch.device,
    progress: Callable[[float, str], None],
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """The result over the folds so far, after each fold. The last one covers all folds."""
    folds: list[dict[str, Any]] = []
    for fold in range(plan.first_fold, min(plan.first_fold + plan.folds, OUTER_FOLDS)):

        def part(share: float, note: str, fold: int = fold) -> None:
            progress(share, f"fold {fold}: {note}")

        result, _ = closed_set(
            data,
            names,
            fold,
            members=plan.members,
            device=device,
            seed=plan.seed,
            progress=part,
            robust=robust,
        )
        folds.append(result)
        yield _over_folds(names, folds)


def _over_folds(names: Sequence[str], folds: list[dict[str, Any]]) -> dict[str, Any]:
    accuracy = [f["accuracy"] for f in folds]
    error, chance = pooled_calibration([f["bins"] for f in folds])
    return {
        "classes": list(names),
        "accuracy": float(np.mean(accuracy)),
        "spread_over_folds": float(np.std(accuracy)),
        "calibration_error": error,
        "calibration_error_by_chance": chance,
        "folds": list(folds),
    }


def _written(out: Path, name: str, result: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    path = out / f"{name.replace(' ', '_')}.json"
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return name, result


def rows_of(name: str, result: dict[str, Any]) -> list[dict[str, Any]]:
    """A result as rows to print."""
    if name.startswith("closed"):
        return _closed_rows(result)
    if name == "open set":
        return [
            {"texts": int(k), **{m: v for m, v in figures.items() if m != "rejected_by_model"}}
            for k, figures in result.get("sizes", {}).items()
        ]
    if name == "lineage":
        return [dict(row) for row in result["rows"]]
    key, heading = ("accuracy_by_prompts", "prompts") if "curve" in name else ("accuracy_by_domain", "domain")
    return [{heading: k, "accuracy": v} for k, v in result[key].items()]


def _closed_rows(result: dict[str, Any]) -> list[dict[str, Any]]:
    def row(what: str, many: list[dict[str, Any]]) -> dict[str, Any]:
        sizes = sorted({k for f in many for k in f["by_size"]}, key=int)
        return {
            "what": what,
            "accuracy": float(np.mean([f["accuracy"] for f in many])),
            "macro_f1": float(np.mean([f["macro_f1"] for f in many])),
            "ece": pooled_calibration([f["bins"] for f in many])[0],
            **{f"K={k}": float(np.mean([f["by_size"][k] for f in many if k in f["by_size"]])) for k in sizes},
        }

    folds = result["folds"]
    rows = [row("ensemble", folds)]
    errors = {
        k: [f["calibration_error_by_size"][k] for f in folds] for k in folds[0]["calibration_error_by_size"]
    }
    rows.append({"what": "its ECE by K", **{f"K={k}": float(np.mean(v)) for k, v in errors.items()}})
    sums = [f["sums_alone"]["by_size"] for f in folds]
    rows.append(
        {"what": "its sums alone", **{f"K={k}": float(np.mean([s[k] for s in sums])) for k in sums[0]}}
    )
    rows += [row(f"{m} alone", [f["members"][m] for f in folds]) for m in folds[0]["members"]]
    for kind in folds[0].get("robustness", {}):
        if kind != "none":
            rows.append(row(kind, [f["robustness"][kind] for f in folds]))
    return rows

"""The tables of ``attribute evaluate``: what a fingerprint reaches on held-out prompts."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from detector.attribution.corpus.reading import Labelled, as_text, batches
from detector.attribution.corpus.rule import FALSE_REJECTIONS, NONE, draws_of
from detector.attribution.evaluate.figures import auroc, by_size, figures
from detector.attribution.fingerprint import copies
from detector.attribution.fingerprint.blend import lengths_of
from detector.attribution.fingerprint.model import Evidence, Fingerprint
from detector.attribution.fingerprint.splits import folds_of
from detector.attribution.fingerprint.training import train
from detector.errors import ConfigError, Location

if TYPE_CHECKING:
    import torch

Progress = Callable[[float, str], None]

OUTER_FOLDS = 5
SHIPPED = Path(__file__).with_name("classes.json")
CURVE = (10, 20, 50, 100, 200, 400)


@dataclass
class Outputs:
    """All rows of the table the evaluation runs on."""

    texts: list[str]
    labels: list[str]
    groups: list[str]
    families: dict[str, str]
    domains: list[str | None]

    def of(self, labels: Sequence[str]) -> npt.NDArray[np.int64]:
        """Row numbers of ``labels``."""
        wanted = set(labels)
        return np.array([i for i, name in enumerate(self.labels) if name in wanted], np.int64)

    def labelled(self, rows: npt.NDArray[np.int64]) -> Labelled:
        names = {self.labels[r] for r in rows}
        return Labelled(
            [self.texts[r] for r in rows],
            [self.labels[r] for r in rows],
            [self.groups[r] for r in rows],
            {n: f for n, f in self.families.items() if n in names},
            0,
            True,
        )


def read_outputs(
    file: Path, *, text: str, label: str, group: str, family: str | None = None, domain: str | None = None
) -> Outputs:
    """The table without the rows that lack a text, a label or a prompt."""
    columns = [text, label, group, family or label, domain or group]
    out = Outputs([], [], [], {}, [])
    for batch in batches(file, columns):
        for row in batch:
            body, name, prompt = as_text(row[0]), as_text(row[1]), as_text(row[2])
            if not body or not body.strip() or name is None or prompt is None:
                continue
            out.texts.append(body)
            out.labels.append(name)
            out.groups.append(prompt)
            if family and row[3] is not None:
                out.families[name] = str(row[3])
            out.domains.append(as_text(row[4]) if domain else None)
    if len(set(out.labels)) < 2:
        raise ConfigError(f"{file}: fewer than two labels to tell apart")
    return out


def class_lists(path: Path | None, labels: set[str]) -> dict[str, Any]:
    """The class lists of ``path`` (default: the shipped ones), each cut to the labels of the table.

    Where no task has two labels left, the only task is all labels, at most the first forty names.

    Raises
    ------
    ConfigError : the file is not JSON, or has no tasks.
    """
    try:
        lists = json.loads((path or SHIPPED).read_text(encoding="utf-8"))
        tasks = {str(n): [c for c in names if c in labels] for n, names in lists["tasks"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"no class lists: {error}", at=Location(str(path or SHIPPED))) from error
    lists["tasks"] = {n: names for n, names in tasks.items() if len(names) >= 2}
    if not lists["tasks"]:
        lists["tasks"] = {"all labels": sorted(labels)[:40]}
    return dict(lists)


def outer_folds(groups: Sequence[str]) -> npt.NDArray[np.int64]:
    """Held-out fold of each row, by group. It is the same for every table."""
    return folds_of(groups, min(OUTER_FOLDS, len(set(groups))), seed=1)


def closed_set(
    data: Outputs, names: Sequence[str], fold: int, *, members: Sequence[str], device: torch.device, seed: int,
    progress: Progress, robust: bool = False,
) -> tuple[dict[str, Any], Fingerprint]:  # fmt: skip
    """Train on all folds but ``fold`` and score that one: accuracy, macro-F1, calibration, groups, each member alone."""
    rows = data.of(names)
    folds = outer_folds([data.groups[r] for r in rows])
    model = train(
        data.labelled(rows[folds != fold]),
        members=members,
        folds=3,
        seed=seed,
        device=device,
        progress=progress,
    )
    held_out = rows[folds == fold]
    texts = [data.texts[r] for r in held_out]
    groups = [data.groups[r] for r in held_out]
    truth = np.array([model.classes.index(data.labels[r]) for r in held_out], np.int64)
    evidence = model.evidence(texts)
    log_p = evidence.log_p
    result = {"fold": fold, "n": len(held_out), "n_classes": len(names), **figures(log_p, truth)}
    result |= by_size(log_p, truth, groups, model.n_known, rule=model.rule, habits=evidence.habits, seed=seed)
    result["sums_alone"] = by_size(log_p, truth, groups, model.n_known, rule=model.rule, seed=seed)
    result["needed_999"] = {c: model.rule.texts_needed(i) for i, c in enumerate(model.classes)}
    result["seconds"] = model.facts["seconds"]
    result["members"] = {}
    for name, scores in zip(model.members, model.scores(texts), strict=True):
        alone = model.alone[name].log_probs([scores], lengths_of(texts))
        result["members"][name] = {
            **figures(alone, truth),
            **by_size(alone, truth, groups, model.n_known, seed=seed),
        }
    if model.families:
        makers = [model.families.get(c, c) for c in model.classes]
        right = sum(makers[i] == makers[j] for i, j in zip(log_p.argmax(axis=1), truth, strict=True))
        result["family_accuracy"] = right / len(truth)
    if robust:
        result["robustness"] = {}
        for kind, change in copies.ROBUSTNESS.items():
            changed = model.evidence([change(t, seed + 7919 * (i + 1)) for i, t in enumerate(texts)])
            result["robustness"][kind] = {
                **figures(changed.log_p, truth),
                **by_size(
                    changed.log_p,
                    truth,
                    groups,
                    model.n_known,
                    rule=model.rule,
                    habits=changed.habits,
                    seed=seed,
                ),
            }
    return result, model


def open_set(
    data: Outputs,
    lists: dict[str, Any],
    *,
    members: Sequence[str],
    device: torch.device,
    seed: int,
    progress: Progress,
) -> dict[str, Any]:
    """Unknown models against known ones at several numbers of texts: AUROC, and the share that is rejected."""
    labels = set(data.labels)
    parts = {k: [m for m in lists[k] if m in labels] for k in ("known", "unknown", "background")}
    if len(parts["known"]) < 2 or not parts["unknown"]:
        return {"skipped": "the table lacks known or unknown models of the list"}
    folds = outer_folds(data.groups)
    rng = np.random.default_rng(seed)
    background: list[str] = []
    for name in parts["background"]:
        mine = [r for r in data.of([name]) if folds[r] != 0]
        take = rng.permutation(len(mine))[: int(lists.get("background_texts_a_model", 120))]
        background += [data.texts[mine[i]] for i in take]
    rows = data.of(parts["known"])
    model = train(
        data.labelled(rows[folds[rows] != 0]), background=background, members=members, folds=3, seed=seed,
        device=device, progress=progress,
    )  # fmt: skip
    scored: dict[str, tuple[Evidence, list[str]]] = {}
    for name in (*parts["known"], *parts["unknown"]):
        mine = [r for r in data.of([name]) if folds[r] == 0]
        scored[name] = (model.evidence([data.texts[r] for r in mine]), [data.groups[r] for r in mine])
    out: dict[str, Any] = {
        "n_known": len(parts["known"]), "n_unknown": len(parts["unknown"]), "n_background": len(background), "sizes": {}
    }  # fmt: skip
    for size in (1, 5, 10, 30, 100):
        values: dict[str, list[float]] = {}
        turned: dict[str, list[bool]] = {}
        for name, (evidence, groups) in scored.items():
            for picked in draws_of(np.arange(len(evidence)), groups, size, 200, rng):
                decision = model.decide(evidence[picked])
                values.setdefault(name, []).append(decision.margin)
                turned.setdefault(name, []).append(decision.verdict == NONE)
        inside = np.concatenate([values[n] for n in parts["known"] if n in values] or [[]])
        outside = np.concatenate([values[n] for n in parts["unknown"] if n in values] or [[]])
        if not len(inside) or not len(outside):
            continue
        bar = np.quantile(inside, FALSE_REJECTIONS)
        out["sizes"][str(size)] = {
            "auroc": auroc(inside, outside),
            "rejected_at_1pct": float((outside < bar).mean()),
            "known_rejected": float(np.mean([t for n in parts["known"] for t in turned.get(n, [])])),
            "unknown_rejected": float(np.mean([t for n in parts["unknown"] for t in turned.get(n, [])])),
            "rejected_by_model": {n: float(np.mean(turned[n])) for n in parts["unknown"] if n in turned},
        }
    return out


def learning_curve(
    data: Outputs,
    names: Sequence[str],
    *,
    members: Sequence[str],
    device: torch.device,
    seed: int,
    progress: Progress,
) -> dict[str, float]:
    """Accuracy on one text by number of training prompts."""
    rows = data.of(names)
    folds = outer_folds([data.groups[r] for r in rows])
    prompts = sorted({data.groups[r] for r in rows[folds != 0]})
    order = np.random.default_rng(seed).permutation(len(prompts))
    sizes = [s for s in CURVE if s < len(prompts)]
    out = {}
    for number, size in enumerate([*sizes, len(prompts)]):
        kept = {prompts[i] for i in order[:size]}
        train_rows = np.array([r for r in rows[folds != 0] if data.groups[r] in kept], np.int64)
        progress(number / (len(sizes) + 1), f"learning curve: {size} prompts")
        out[str(size)] = _one_accuracy(data, train_rows, rows[folds == 0], members, device, seed)
    return out


def out_of_domain(
    data: Outputs,
    names: Sequence[str],
    *,
    members: Sequence[str],
    device: torch.device,
    seed: int,
    progress: Progress,
) -> dict[str, float]:
    """Accuracy on the texts of each domain after training on all other domains."""
    rows = data.of(names)
    domains = sorted({d for r in rows if (d := data.domains[r]) is not None})
    out = {}
    for number, domain in enumerate(domains):
        progress(number / len(domains), f"out of domain: {domain}")
        inside = np.array([data.domains[r] == domain for r in rows])
        seen = {data.groups[r] for r in rows[inside]}
        train_rows = np.array([r for r in rows[~inside] if data.groups[r] not in seen], np.int64)
        if len({data.labels[r] for r in train_rows}) == len(names):
            out[domain] = _one_accuracy(data, train_rows, rows[inside], members, device, seed)
    return out


def _one_accuracy(
    data: Outputs, trained: npt.NDArray[np.int64], held_out: npt.NDArray[np.int64], members: Sequence[str],
    device: torch.device, seed: int,
) -> float:  # fmt: skip
    model = train(data.labelled(trained), members=members, folds=2, seed=seed, device=device)
    best = model.log_probs([data.texts[r] for r in held_out])[:, : model.n_known].argmax(axis=1)
    return float(np.mean([model.classes[b] == data.labels[r] for b, r in zip(best, held_out, strict=True)]))

"""Builds the shipped classifier from synthetic worlds: measure, fit, write model and card."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from detector.lab.pool import spread
from detector.lab.training.fitting import fit_detector
from detector.lab.training.labelled import load_measured, measure_world, world_specs
from detector.lab.worlds.spec import WorldSpec
from detector.score.detector import Detector

Update = Callable[[float, str], None]

#: Worlds that lack an input have seeds this far beyond those that lack none.
LACKING_SEED = 900
#: The input whose lack changes most of what is measured.
LACKING = "prompts"


def train_detector(
    out: Path,
    *,
    n_worlds: int,
    seed: int,
    accounts: int,
    days: int,
    work: Path,
    processes: int,
    progress: Update,
) -> str:
    """Make the worlds, fit, and write ``out`` and its model card beside it; returns the card."""
    whole = world_specs(n_worlds, seed, accounts=accounts, days=days)
    without = [
        replace(spec, missing=frozenset({LACKING}))
        for spec in world_specs(n_worlds // 28 * 4, seed + LACKING_SEED, accounts=accounts, days=days)
    ]
    specs = [*whole, *without]
    folders = [
        work
        / f"world-{spec.seed}-{spec.evasion_level}-{accounts}-{days}{'-'.join(('', *sorted(spec.missing)))}"
        for spec in specs
    ]
    # One thread a process: the pool fills the cores.
    os.environ.setdefault("POLARS_MAX_THREADS", "1")

    def world_done(done: int) -> None:
        progress(done / (len(specs) + 3), f"world {done} of {len(specs)}")

    jobs = list(zip(specs, folders, strict=True))
    for _, result in spread(_measure, jobs, processes=processes, progress=world_done):
        if isinstance(result, Exception):
            raise result
    progress(len(specs) / (len(specs) + 3), "fitting")
    trained_on = {"worlds": n_worlds, "first_seed": seed, "honest_accounts": accounts, "days": days}
    lacking = {LACKING: load_measured(folders[n_worlds:], first=n_worlds)} if without else {}
    detector, figures = fit_detector(load_measured(folders[:n_worlds]), trained_on, lacking)
    out.write_text(detector.dumps() + "\n")
    text = card(detector, figures)
    out.with_suffix(".md").write_text(text)
    return text


def _measure(job: tuple[WorldSpec, Path]) -> None:
    measure_world(*job)


def card(detector: Detector, figures: Mapping[str, float]) -> str:
    """The model card: data, figures, limits, terms."""
    lines = [
        "# Model card: the classifier",
        "",
        "Additive log-odds models (bits), fitted by `hydrawatch train` on worlds made by `hydrawatch simulate`;",
        "no real logs. Their limits are those of the worlds: campaigns unlike all of them are found less well.",
        "",
        f"Trained on: {json.dumps(dict(detector.trained_on))}",
        "",
        "Figures on worlds the scoring model had not seen (cross-fitted over worlds):",
        *[f"* {name}: {value:.4g}" for name, value in figures.items()],
        "",
    ]
    models = detector.models
    for title, model in (
        ("Template reuse", models.template_reuse),
        *((f"Conduct: {kind}", head) for kind, head in models.conduct.items()),
        ("Group", models.group),
        ("Membership", models.membership),
        ("Relational", models.relational),
    ):
        lines += [f"## {title}", "", "| feature | least bits | most bits |", "|---|---|---|"]
        ranked = sorted(model.terms, key=lambda t: -float(np.ptp(t.levels)))
        lines += [
            f"| {t.name} | {model.slope * t.levels.min():.2f} | {model.slope * t.levels.max():.2f} |"
            for t in ranked
        ]
        lines.append("")
    return "\n".join(lines)

"""The whole benchmark in order: measure worlds, judge them with shipped and held-out detectors, compute figures."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from detector import pipeline
from detector.errors import DataQualityError
from detector.lab.benchmark import ablation, design, figures, heldout, measuring, replay
from detector.lab.benchmark.figures import Figure, Tally, pooled, tally, with_intervals
from detector.lab.benchmark.measuring import Part
from detector.lab.benchmark.replay import Replayed
from detector.lab.benchmark.rivals import RIVALS
from detector.lab.benchmark.scored import Scored, first_alerts, judged
from detector.lab.benchmark.windows import with_template_reuse
from detector.lab.pool import spread
from detector.lab.ranking import recall_at
from detector.lab.worlds.leaks import CEILING
from detector.lab.worlds.spec import WorldSpec
from detector.score.conduct import SINGLE_ACCOUNT_KINDS
from detector.score.detector import Detector

Update = Callable[[float, str], None]
Json = dict[str, Any]

#: Harvest share of a window -> detection of the published MMD on windows of 100 queries at 1 % false positives.
PUBLISHED = {0.05: 0.013, 0.10: 0.046, 0.25: 0.76, 0.50: 0.989}


@dataclass(frozen=True)
class Choice:
    """What to run."""

    size: design.Size = field(default_factory=design.Size)
    held_out: bool = True
    rivals: bool = True
    full: bool = False
    processes: int = 2


def run(choice: Choice, work: Path, *, progress: Update) -> Json:
    """Run the benchmark in ``work`` and give every figure, JSON-ready. It goes on where an earlier run stopped."""
    started = time.monotonic()
    # One thread in each process, because the pool's processes fill the cores.
    os.environ["POLARS_MAX_THREADS"] = "1"
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    worlds, dropped = _measured(choice, work, progress)
    detector = pipeline.load_detector()
    progress(0.72, "scoring")
    same = judge_all(worlds["report"], detector)
    columns: dict[str, Json] = {"same": _column(*same)}
    trials: list[tuple[str, heldout.Judgement]] = []
    if choice.held_out and worlds["training"]:
        trials = _held_out(choice, worlds, progress)
        for name in ("control", "held_out"):
            parts = [j for n, j in trials if n == name]
            if parts:
                columns[name] = _column(
                    Scored.of([p.scored for p in parts]), pl.concat([p.first for p in parts])
                )
    progress(0.92, "evidence taken away")
    report: Json = {
        "size": asdict(choice.size),
        "model": detector.digest(),
        "trained_on": dict(detector.trained_on),
        "worlds": [{**_world_row(w), **_worst_field(w)} for w in worlds["report"]],
        "rejected": [
            {"evasion_level": w.spec["evasion_level"], **r}
            for w in worlds["report"]
            for r in w.note["rejected"]
        ],
        "dropped": dropped,
        "leaks": _leaks(worlds["report"]),
        "columns": columns,
        "ablation": _ablation(
            worlds["report"], detector, same[0], processes=choice.processes, progress=progress
        ),
        "missing": _missing(worlds["missing"], detector),
        "rivals": _rivals(worlds["report"], same[0]) if choice.rivals else [],
        "windows": _windows(worlds["report"], detector) if choice.rivals else [],
        "full": _full(worlds["full"], detector),
    }
    report["seconds"] = time.monotonic() - started
    progress(1.0, "done")
    plain: Json = _plain(report)
    return plain


# -- worlds --------------------------------------------------------------------------------------------------


def _measured(choice: Choice, work: Path, progress: Update) -> tuple[dict[Part, list[Replayed]], list[Json]]:
    """Measured worlds by part, and the worlds of which no seed passed the leak check."""
    size, digest = choice.size, measuring.code_digest()
    specs: dict[Part, list[WorldSpec]] = {
        "report": design.report_worlds(size),
        "missing": design.missing_worlds(size),
        "training": design.training_worlds(size) if choice.held_out else [],
        "full": design.full_worlds() if choice.full else [],
    }
    tasks = [
        measuring.Task(spec, measuring.folder_of(work, spec), digest, part, choice.rivals)
        for part, part_specs in specs.items()
        for spec in part_specs
    ]
    # Large worlds come first, or one core would work on the last of them while the others wait.
    ordered = sorted(tasks, key=lambda t: -t.spec.honest_accounts * t.spec.days)
    by_part: dict[Part, list[Replayed]] = {part: [] for part in specs}
    dropped: list[Json] = []

    def advance(done: int) -> None:
        progress(0.7 * done / len(ordered), f"world {done} of {len(ordered)}")

    for task, result in spread(measuring.measure, ordered, processes=choice.processes, progress=advance):
        if isinstance(result, DataQualityError):
            dropped.append(
                {"evasion_level": task.spec.evasion_level, "seed": task.spec.seed, "reason": str(result)}
            )
            continue
        if isinstance(result, Exception):
            raise result
        by_part[task.part].append(replay.load(result))
    for part_worlds in by_part.values():
        part_worlds.sort(key=lambda w: w.name)
    return by_part, dropped


def judge_all(worlds: Iterable[Replayed], detector: Detector) -> tuple[Scored, pl.DataFrame]:
    """Last state and first alerts of every world under one detector."""
    parts, firsts = [], []
    for world in worlds:
        scored = judged(world, replay.decide_days(world, detector))
        parts.append(scored)
        firsts.append(first_alerts(world, scored.accounts))
    return Scored.of(parts), pl.concat(firsts)


def _held_out(
    choice: Choice, worlds: Mapping[Part, list[Replayed]], progress: Update
) -> list[tuple[str, heldout.Judgement]]:
    learned, tried = ([w.folder for w in worlds[part]] for part in ("training", "report"))
    jobs = [
        *heldout.trials(design.rotations(choice.size.rotations), learned, tried),
        heldout.Trial(None, "", tuple(learned), tuple(tried)),
    ]

    def advance(done: int) -> None:
        progress(0.74 + 0.18 * done / len(jobs), f"held-out detector {done} of {len(jobs)}")

    judgements = []
    for trial, result in spread(heldout.judge, jobs, processes=choice.processes, progress=advance):
        if isinstance(result, Exception):
            raise result
        judgements.append(("held_out" if trial.rotation else "control", result))
    return judgements


# -- figures -------------------------------------------------------------------------------------------------


def _tallies(scored: Scored, campaign: str | None = None) -> list[Tally]:
    worlds = sorted(scored.accounts["world"].unique())
    return [tally(scored.where(pl.col("world") == world), campaign) for world in worlds]


def _figures(by_name: Mapping[str, Figure]) -> Json:
    return {name: [f.value, f.low, f.high] for name, f in by_name.items()}


def _column(scored: Scored, first: pl.DataFrame) -> Json:
    """All figures of one column of the report."""
    evasion_levels, campaigns = [], []
    for evasion_level in sorted(scored.accounts["evasion_level"].unique()):
        part = scored.where(pl.col("evasion_level") == evasion_level)
        evasion_levels.append({"evasion_level": evasion_level, **_figures(with_intervals(_tallies(part)))})
        names = part.accounts.filter(pl.col("label") == 1)["campaign"].unique().sort()
        for name in names:
            seen = with_intervals(_tallies(part, name), draws=100)
            kept = ("recall_at_0.001", "recall_at_0.01", "average_precision", "alerted_recall", "n_attackers")
            campaigns.append(
                {"campaign": name, "evasion_level": evasion_level, **_figures({k: seen[k] for k in kept})}
            )
    accounts = scored.accounts
    bins, error = figures.reliability(accounts["score"].to_numpy(), (accounts["label"] == 1).to_numpy())
    return {
        "evasion_levels": evasion_levels,
        "campaigns": campaigns,
        "archetypes": figures.archetype_rows(accounts),
        "reliability": bins,
        "calibration_error": error,
        "first_alerts": first.sort("evasion_level", "campaign", "world").to_dicts(),
    }


def _world_row(world: Replayed) -> Json:
    truth, spec = world.truth, world.spec
    return {
        "seed": spec["seed"], "evasion_level": spec["evasion_level"], "families": spec["families"],
        "campaigns": sorted(truth.filter(pl.col("label") == 1)["campaign"].unique().to_list()),
        "requests": world.note["n_requests"], "accounts": len(truth),
        "attackers": int((truth["label"] == 1).sum()), "framed": int(truth["framed"].sum()),
        "seconds": world.note["seconds"],
    }  # fmt: skip


def _worst_field(world: Replayed) -> Json:
    worst = world.table("leaks").row(0, named=True)
    return {"leakiest": worst["field"], "leak_auc": worst["auc"]}


def _leaks(worlds: Sequence[Replayed]) -> list[Json]:
    """Each field's AUC by evasion level: the mean and the worst over worlds."""
    tables = [
        w.table("leaks").with_columns(pl.lit(w.spec["evasion_level"]).alias("evasion_level")) for w in worlds
    ]
    table = (
        pl.concat(tables)
        .group_by("evasion_level", "field")
        .agg(pl.col("auc").mean().alias("mean"), pl.col("auc").max().alias("worst"))
    )
    bounded = table.with_columns(
        (pl.col("evasion_level") >= 2).alias("bounded"), pl.lit(CEILING).alias("ceiling")
    )
    return bounded.sort(["evasion_level", "mean", "field"], descending=[False, True, False]).to_dicts()


def _by_level(scored: Scored) -> list[Json]:
    kept = ("recall_at_0.001", "recall_at_0.01", "average_precision", "pair_f1", "false_groups_per_10000",
            "alert_precision", "n_attackers", "n_honest")  # fmt: skip
    rows = []
    for evasion_level in sorted(scored.accounts["evasion_level"].unique()):
        seen = with_intervals(_tallies(scored.where(pl.col("evasion_level") == evasion_level)), draws=100)
        rows.append({"evasion_level": evasion_level, **_figures({k: seen[k] for k in kept})})
    return rows


def _judged(job: tuple[str, Detector, tuple[Path, ...]]) -> Scored:
    """Results of a detector on measured worlds. The job also names the family that the detector lacks."""
    _, detector, folders = job
    return judge_all(map(replay.load, folders), detector)[0]


def _ablation(
    worlds: Sequence[Replayed], detector: Detector, whole: Scored, *, processes: int, progress: Update
) -> list[Json]:
    rows = [{"family": "", **row} for row in _by_level(whole)]
    folders = tuple(w.folder for w in worlds)
    lesser = {family: ablation.without(detector, family) for family in ablation.FAMILIES}
    jobs = [(family, less, folders) for family, less in lesser.items() if less != detector]

    def advance(done: int) -> None:
        progress(0.92 + 0.06 * done / len(jobs), f"evidence taken away {done} of {len(jobs)}")

    by_family: dict[str, Scored] = {}
    for (family, _, _), result in spread(_judged, jobs, processes=processes, progress=advance):
        if isinstance(result, Exception):
            raise result
        by_family[family] = result
    for family, _, _ in jobs:
        rows += [{"family": family, **row} for row in _by_level(by_family[family])]
    return rows


def _missing(worlds: Sequence[Replayed], detector: Detector) -> list[Json]:
    rows: list[Json] = []
    for missing in sorted({m for w in worlds for m in w.spec["missing"]}):
        part = judge_all([w for w in worlds if w.spec["missing"] == [missing]], detector)[0]
        accounts = part.accounts
        label = (accounts["label"] == 1).to_numpy()
        error = figures.reliability(accounts["score"].to_numpy(), label)[1]
        rows += [{"missing": missing, "calibration_error": error, **row} for row in _by_level(part)]
    return rows


def _full(worlds: Sequence[Replayed], detector: Detector) -> list[Json]:
    rows = []
    for world in worlds:
        scored, first = judge_all([world], detector)
        sent = first.drop_nulls("first_exchanges").select(pl.col("first_exchanges") / pl.col("exchanges"))
        share = sent.to_series().median() if len(sent) else None
        alerts = {"volume_at_first_alert": share, "first_alerts": first.to_dicts()}
        rows.append({**_world_row(world), **pooled(_tallies(scored)), **alerts})
    return rows


def _rivals(worlds: Sequence[Replayed], ours: Scored) -> list[Json]:
    rows = []
    label = ours.accounts.select(
        "world", "evasion_level", "account_id", "label", pl.col("score_bits").alias("score")
    )
    scores = [label.with_columns(pl.lit("hydrawatch").alias("rival"))]
    bare = label.drop("score")
    for world in worlds:
        rivals = world.table("rivals").with_columns(pl.lit(world.name).alias("world"))
        scores.append(bare.join(rivals, on=["world", "account_id"]).select(scores[0].columns))
    table = pl.concat(scores)
    about = {"hydrawatch": "shipped detector, same worlds", **{r.name: r.about for r in RIVALS}}
    for name in about:
        for evasion_level in sorted(table["evasion_level"].unique()):
            part = table.filter((pl.col("rival") == name) & (pl.col("evasion_level") == evasion_level))
            tallies = [
                Tally(one["score"].to_numpy(), (one["label"] == 1).to_numpy())
                for _, one in part.sort("world", "account_id").group_by("world", maintain_order=True)
            ]
            if tallies:
                rows.append(
                    {
                        "rival": name,
                        "about": about[name],
                        "evasion_level": evasion_level,
                        **_figures(with_intervals(tallies)),
                    }
                )
    return rows


def _windows(worlds: Sequence[Replayed], detector: Detector) -> list[Json]:
    """Detection of mixed windows at 1 % false positives, with the windows of all worlds pooled."""
    tables = [
        with_template_reuse(w.windows, detector).with_columns(
            pl.lit(w.spec["evasion_level"]).alias("evasion_level")
        )
        for w in worlds
    ]
    table = pl.concat([t for t in tables if len(t)], how="diagonal_relaxed")
    columns = {
        n: table[n].cast(pl.Float64).fill_null(np.nan).to_numpy()
        for n, t in table.schema.items()
        if t.is_numeric()
    }
    harvest = [m for kind, m in detector.models.conduct.items() if kind not in SINGLE_ACCOUNT_KINDS]
    bits = np.max([m.parts(columns, len(table)).sum(axis=1) for m in harvest], axis=0)
    methods = {
        "evidence summed over requests": columns["elicitation_sum"] + columns["similar_prompts_sum"],
        "account model, text terms only": bits,
        "most suspicious shared text": columns["template_reuse_bits_1"],
        "third most suspicious shared text": columns["template_reuse_bits_3"],
        "tenth most suspicious shared text": columns["template_reuse_bits_10"],
        "MMD, sketches": columns["mmd_sketches"],
        "MMD, measurements": columns["mmd_measured"],
    }
    attack = table["attack"].to_numpy()
    rows = []
    for share in sorted(table["share"].unique()):
        for evasion_level in (None, *sorted(table["evasion_level"].unique())):
            here = (table["share"] == share).to_numpy() & (
                (table["evasion_level"] == evasion_level).to_numpy() if evasion_level is not None else True
            )
            for method, score in methods.items():
                value = np.nan_to_num(score[here], nan=-np.inf)
                rows.append({
                    "share": share, "evasion_level": evasion_level, "way": method, "attacks": int(attack[here].sum()),
                    "ordinary": int((~attack[here]).sum()), "detection": recall_at(value, attack[here], 0.01),
                    "published_mmd": PUBLISHED.get(round(share, 2)),
                })  # fmt: skip
    return rows


def _plain(value: Any) -> Any:
    """``value`` in JSON types only. NaN and infinity are null."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return None if not np.isfinite(value) else round(value, 6)
    if value is None or isinstance(value, str | int | bool):
        return value
    return str(value)

"""The benchmark's figures: ranks pooled over worlds, alerts, groups, calibration, with intervals over seeds.

Thresholds come from the pooled honest accounts of all worlds of a scope. Intervals are percentiles over worlds drawn
with replacement, so they predict the figures of other seeds and not of other accounts of the same worlds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.metrics import average_precision_score

from detector.lab.benchmark.scored import Scored
from detector.lab.ranking import recall_at

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

FALSE_POSITIVES = (0.001, 0.01)
DRAWS = 300
#: Share of the draws on either side that the interval leaves out.
TAIL = 0.05
#: Prevalence at which reliability is read. Scores are calibrated to 1 % attackers, and worlds have more.
PRIOR = 0.01
BINS = (0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97, 1.0)


@dataclass(frozen=True)
class Figure:
    """A value with its interval. NaN means undefined."""

    value: float
    low: float = float("nan")
    high: float = float("nan")


@dataclass(frozen=True)
class Tally:
    """One world's data for figures: scores and labels, and counts that add up over worlds."""

    bits: Floats
    label: Bools
    counts: Mapping[str, float] = field(default_factory=dict)


def pairs(sizes: Sequence[int] | pl.Series) -> float:
    """Number of pairs within groups of these sizes."""
    n = np.asarray(sizes, dtype=np.float64)
    return float((n * (n - 1) / 2).sum())


def pair_counts(accounts: pl.DataFrame) -> dict[str, float]:
    """Pairs of accounts of one world: in one operation, in one alerted group, in both.

    ``lump_*`` treat all alerted accounts as one group.
    """
    bad = accounts.filter(pl.col("label") == 1)
    grouped = accounts.filter(pl.col("group_alert") & pl.col("group_id").is_not_null())
    alerted = accounts.filter(pl.col("verdict") == "alert")

    def together(frame: pl.DataFrame, *by: str) -> float:
        return pairs(frame.group_by(*by).len()["len"])

    return {
        "pairs_true": together(bad, "instance"),
        "pairs_found": together(grouped, "group_id"),
        "pairs_both": together(grouped.filter(pl.col("label") == 1), "group_id", "instance"),
        "lump_found": pairs([len(alerted)]),
        "lump_both": together(alerted.filter(pl.col("label") == 1), "instance"),
    }


def tally(scored: Scored, campaign: str | None = None) -> Tally:
    """The tally of one world. With ``campaign``, only its attackers and all honest accounts count."""
    accounts = scored.accounts
    if campaign is not None:
        accounts = accounts.filter((pl.col("label") == 0) | (pl.col("campaign") == campaign))
    label = (accounts["label"] == 1).to_numpy()
    alert = (accounts["verdict"] == "alert").to_numpy()
    groups = scored.groups.filter(pl.col("verdict") == "alert")
    single = accounts.filter((pl.col("verdict") == "alert") & ~pl.col("group_alert"))
    counts = {
        "attackers": float(label.sum()),
        "alerted_attackers": float((alert & label).sum()),
        "honest": float((~label).sum()),
        "alerted_honest": float((alert & ~label).sum()),
        "true_groups": float((groups["purity"] >= 0.5).sum()),
        "false_groups": float((groups["purity"] < 0.5).sum()),
        "true_single": float((single["label"] == 1).sum()),
        "false_single": float((single["label"] == 0).sum()),
        "honest_days": float(accounts.filter(pl.col("label") == 0)["active_days"].sum()),
        "framed": float((accounts["framed"] & (accounts["label"] == 0)).sum()),
        "alerted_framed": float((accounts["framed"] & (accounts["label"] == 0)).to_numpy()[alert].sum()),
    } | pair_counts(accounts)
    return Tally(accounts["score_bits"].to_numpy(), label, counts)


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else float("nan")


def _f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0


def pooled(tallies: Sequence[Tally]) -> dict[str, float]:
    """All figures over the pooled worlds."""
    bits = np.concatenate([t.bits for t in tallies])
    label = np.concatenate([t.label for t in tallies])
    sums = {name: sum(t.counts.get(name, 0.0) for t in tallies) for name in tallies[0].counts}
    values = {f"recall_at_{fp:g}": recall_at(bits, label, fp) for fp in FALSE_POSITIVES}
    values["average_precision"] = float(average_precision_score(label, bits)) if label.any() else float("nan")
    if not sums:
        return values
    true, both = sums["pairs_true"], sums["pairs_both"]
    precision, recall = _ratio(both, sums["pairs_found"]), _ratio(both, true)
    lump_precision, lump_recall = (
        _ratio(sums["lump_both"], sums["lump_found"]),
        _ratio(sums["lump_both"], true),
    )
    alerts = sums["true_groups"] + sums["true_single"] + sums["false_groups"] + sums["false_single"]
    per = 10_000 / sums["honest_days"] if sums["honest_days"] else float("nan")
    return values | {
        "alerted_recall": _ratio(sums["alerted_attackers"], sums["attackers"]),
        "alerted_honest_share": _ratio(sums["alerted_honest"], sums["honest"]),
        "alert_precision": _ratio(sums["true_groups"] + sums["true_single"], alerts),
        "pair_precision": precision,
        "pair_recall": recall,
        "pair_f1": _f1(0.0 if np.isnan(precision) else precision, recall) if true else float("nan"),
        "lump_f1": _f1(0.0 if np.isnan(lump_precision) else lump_precision, lump_recall)
        if true
        else float("nan"),
        "false_groups_per_10000": sums["false_groups"] * per,
        "false_single_per_10000": sums["false_single"] * per,
        "alerted_framed_share": _ratio(sums["alerted_framed"], sums["framed"]),
        "n_attackers": sums["attackers"],
        "n_honest": sums["honest"],
        "honest_account_days": sums["honest_days"],
    }


def with_intervals(
    tallies: Sequence[Tally],
    of: Callable[[Sequence[Tally]], Mapping[str, float]] = pooled,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[str, Figure]:
    """Figures with intervals over worlds. A single world has no interval."""
    value = of(tallies)
    if len(tallies) < 2 or not draws:
        return {name: Figure(v) for name, v in value.items()}
    rng = np.random.default_rng(seed)
    drawn = [of([tallies[i] for i in rng.integers(len(tallies), size=len(tallies))]) for _ in range(draws)]
    figures = {}
    for name, v in value.items():
        seen = np.array([d[name] for d in drawn])
        seen = seen[~np.isnan(seen)]
        if name.startswith("n_") or name == "honest_account_days" or not len(seen):
            figures[name] = Figure(v)
        else:
            low, high = np.quantile(seen, [TAIL, 1 - TAIL])
            figures[name] = Figure(v, float(low), float(high))
    return figures


def limit_of(bits: Floats, label: Bools, share: float) -> float:
    """The score that at most ``share`` of the honest accounts exceed."""
    honest = np.sort(bits[~label])[::-1]
    allowed = int(np.floor(share * len(honest)))
    return float(honest[allowed]) if allowed < len(honest) else float("-inf")


def archetype_rows(accounts: pl.DataFrame) -> list[dict[str, float | str]]:
    """Each honest archetype: its accounts, those alerted, and those above the pooled limits of their evasion level."""
    above = []
    for _, part in accounts.group_by("evasion_level", maintain_order=True):
        bits, label = part["score_bits"].to_numpy(), (part["label"] == 1).to_numpy()
        above_limit = {f"above_{fp:g}": bits > limit_of(bits, label, fp) for fp in FALSE_POSITIVES}
        above.append(part.with_columns(*(pl.Series(n, v) for n, v in above_limit.items())))
    table = pl.concat(above).filter(pl.col("label") == 0)
    grouped = table.group_by("archetype").agg(
        pl.len().alias("accounts"),
        (pl.col("verdict") == "alert").sum().alias("alerted"),
        *(pl.col(f"above_{fp:g}").sum() for fp in FALSE_POSITIVES),
    )
    return grouped.sort(["alerted", "above_0.001", "archetype"], descending=[True, True, False]).to_dicts()


def reliability(
    score: Floats, label: Bools, *, prior: float | None = PRIOR
) -> tuple[list[dict[str, float]], float]:
    """Bins of predicted probability with the observed share of attackers, and the expected calibration error.

    Attackers are weighted to the share ``prior``, which scores are calibrated for. None: no weights.
    """
    weight = np.ones(len(score))
    if prior is not None and label.any() and not label.all():
        weight = np.where(label, prior / label.mean(), (1 - prior) / (1 - label.mean()))
    bins = np.clip(np.searchsorted(BINS, score, side="right") - 1, 0, len(BINS) - 2)
    rows, error = [], 0.0
    for b in range(len(BINS) - 1):
        here = bins == b
        if not here.any():
            continue
        mass = float(weight[here].sum())
        said = float((weight * score)[here].sum() / mass)
        seen = float(weight[here & label].sum() / mass)
        rows.append({"from": BINS[b], "to": BINS[b + 1], "n": float(here.sum()), "said": said, "seen": seen})
        error += mass / float(weight.sum()) * abs(said - seen)
    return rows, error

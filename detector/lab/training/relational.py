"""Fits what the company of an account adds: both hops, on scores that never saw the world they are of.

What an account did itself, and what its group lends it, come cross-fitted over worlds, at their worst up to the
day (the nightly run remembers of the second its group's worst); so do the answers of the first hop that the second
asks about.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from detector.bits import NO_SCORE, UNKNOWN, probability
from detector.lab.training.crossfit import cross_fitted, fit_terms
from detector.lab.training.labelled import SharedText
from detector.link import graph
from detector.score import additive, fusion, relational

Floats = npt.NDArray[np.float64]

KEYS = ["world", "day", "account_id"]
PENALTY = 3.0


def group_contribution_bits(
    members: pl.DataFrame, groups: pl.DataFrame, conduct: pl.DataFrame
) -> pl.DataFrame:
    """What each member's group lends it that day: world, day, account_id, group_contribution_bits.

    ``members``: world, day, group_id, account_id, member_bits, bond, spoofable, evidence_bits. ``groups``: world, day,
    group_id, group_bits. ``conduct``: world, day, account_id, conduct_bits, harvest_bits. All cross-fitted.
    """
    sure = pl.Series("membership_probability", probability(members["member_bits"].to_numpy()))
    bonds = (
        members.select(*KEYS, "group_id", "bond", "spoofable", "evidence_bits")
        .with_columns(sure)
        .join(groups, on=["world", "day", "group_id"], how="left", maintain_order="left")
        .join(conduct, on=KEYS, how="left", maintain_order="left")
    )
    return bonds.select(*KEYS, fusion.group_contribution(bonds).alias("group_contribution_bits"))


def fit_relational(
    accounts: pl.DataFrame, text: Sequence[SharedText], *, prior: float
) -> tuple[Floats, pl.DataFrame, additive.Additive, additive.Additive]:
    """Both models, with the cross-fitted log-odds of the second and the rows they are of.

    ``accounts``: world, fold, day, account_id, label, harvest_bits, group_contribution_bits, a row an account-day;
    days without shared keys in ``text`` teach nothing. ``prior``: attackers among the accounts of an ordinary site (0..1).
    """
    worst = accounts.sort(*KEYS).with_columns(
        pl.col("harvest_bits").fill_null(UNKNOWN).cum_max().over("world", "account_id"),
        pl.col("group_contribution_bits").fill_null(NO_SCORE).cum_max().over("world", "account_id"),
    )
    worst = worst.with_columns(
        pl.when(pl.col("group_contribution_bits") > NO_SCORE)
        .then("group_contribution_bits")
        .alias("group_contribution_bits"),
    )
    seen = [(each, graph.prepare(each.shared())) for each in text]
    first = _with_lifts(worst, seen, "harvest_bits")
    bits, model_first = _fitted(first, prior)
    second = _with_lifts(
        worst.join(first.select(*KEYS).with_columns(first=bits), on=KEYS, maintain_order="left"),
        seen,
        "first",
    )
    bits, model = _fitted(second, prior)
    return bits, second, model_first, model


def _with_lifts(
    accounts: pl.DataFrame, seen: Sequence[tuple[SharedText, graph.Shares]], by: str
) -> pl.DataFrame:
    """Account-days of the days ``seen``, with the columns of ``relational.measure`` under the suspicion of column ``by``."""
    made = []
    for each, shares in seen:
        here = accounts.filter((pl.col("world") == each.world) & (pl.col("day") == each.day))
        # Who was not active that day is as suspect as he last was.
        last = (
            accounts.filter((pl.col("world") == each.world) & (pl.col("day") <= each.day))
            .group_by("account_id")
            .agg(pl.col(by).max())
        )
        made.append(relational.beside(here, shares, last["account_id"], last[by].to_numpy()))
    return pl.concat(made, how="diagonal_relaxed")


def _fitted(frame: pl.DataFrame, prior: float) -> tuple[Floats, additive.Additive]:
    """Calibrated cross-fitted log-odds, and the calibrated model of all worlds."""

    def fit(some: pl.DataFrame) -> additive.Additive:
        bad = (some["label"] == 1).to_numpy()
        weight = np.where(bad, 0.1 * (~bad).sum() / max(bad.sum(), 1), 1.0)
        return fit_terms(some, relational.TERMS, weight / weight.mean(), PENALTY)

    out = cross_fitted(frame, fit)
    model = additive.calibrate(fit(frame), out, (frame["label"] == 1).to_numpy(), prior=prior)
    return model.slope * out + model.shift, model

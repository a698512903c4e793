"""Verdicts of a replay joined with the truth: one row for each account, and one for each group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import polars as pl

from detector.bits import NO_SCORE
from detector.decide import verdict
from detector.lab.benchmark.replay import Replayed


@dataclass(frozen=True)
class Scored:
    """Results over worlds.

    ``accounts``: world, evasion_level, account_id, label, kind, campaign, instance, archetype, framed, score,
    score_bits, verdict, group_id, group_alert, alert_day, n_requests, active_days. ``groups``: world, evasion_level,
    group_id, verdict, score, n, purity, campaign, archetype. Accounts without requests are left out of ``accounts``, but
    a group's size and purity count them. Members are those the detector did not prune.
    """

    accounts: pl.DataFrame
    groups: pl.DataFrame

    @staticmethod
    def of(parts: list[Scored]) -> Scored:
        """Several results as one."""
        return Scored(pl.concat([p.accounts for p in parts]), pl.concat([p.groups for p in parts]))

    def where(self, keep: pl.Expr) -> Scored:
        """The part of the worlds that ``keep`` (over ``world`` and ``evasion_level``) selects."""
        return Scored(self.accounts.filter(keep), self.groups.filter(keep))


def judged(world: Replayed, decided: Mapping[date, verdict.Day]) -> Scored:
    """The last state of a replay joined with the truth."""
    last = decided[max(decided)]
    stamp = (
        pl.lit(world.name).alias("world"),
        pl.lit(int(world.spec["evasion_level"]), dtype=pl.Int64).alias("evasion_level"),
    )
    truth = world.truth.select(
        "account_id", pl.col("label").cast(pl.Int8), "kind", "campaign", pl.col("group").alias("instance"),
        "archetype", "framed",
    )  # fmt: skip
    traffic = (
        world.table("traffic")
        .group_by("account_id")
        .agg(pl.col("n_requests").sum().cast(pl.Int64), pl.len().cast(pl.Int64).alias("active_days"))
    )
    alert = pl.col("verdict") == "alert"
    raised = pl.concat(
        scored.accounts.filter(alert).select("account_id", pl.lit(day).alias("day"))
        for day, scored in decided.items()
    )
    first = raised.group_by("account_id").agg(pl.col("day").min().alias("alert_day"))
    alerted = last.groups.select("group_id", (pl.col("verdict") == "alert").alias("group_alert"))
    accounts = (
        truth.join(traffic, on="account_id")
        .join(last.accounts.select("account_id", "score", "score_bits", "verdict", "group_id"), on="account_id", how="left")
        .join(first, on="account_id", how="left")
        .join(alerted, on="group_id", how="left")
        # An account that the run has not seen gets the lowest score.
        .with_columns(pl.col("score_bits").fill_null(NO_SCORE), pl.col("score").fill_null(0.0), *stamp,
                      pl.col("group_alert").fill_null(False), pl.col("verdict").fill_null("clear"))
    )  # fmt: skip
    members = last.members.join(truth, on="account_id", how="left")
    groups = (
        members.group_by("group_id")
        .agg(
            pl.len().cast(pl.Int64).alias("n"),
            (pl.col("label") == 1).mean().alias("purity"),
            pl.col("campaign").filter(pl.col("label") == 1).mode().sort().first().alias("campaign"),
            pl.col("archetype").filter(pl.col("label") == 0).mode().sort().first().alias("archetype"),
        )
        .join(last.groups.select("group_id", "verdict", "score"), on="group_id")
        .with_columns(*stamp)
        .sort("group_id")
    )
    return Scored(
        accounts.select(
            "world", "evasion_level", "account_id", "label", "kind", "campaign", "instance", "archetype", "framed", "score",
            "score_bits", "verdict", "group_id", "group_alert", "alert_day", "n_requests", "active_days",
        ),
        groups.select("world", "evasion_level", "group_id", "verdict", "score", "n", "purity", "campaign", "archetype"),
    )  # fmt: skip


def first_alerts(world: Replayed, accounts: pl.DataFrame) -> pl.DataFrame:
    """When each campaign instance was first alerted, counted in its own active days.

    ``instance, campaign, n_accounts, active_days, exchanges, first_night, first_exchanges, half_night``.
    An active day is one with harvest requests, or with any requests where none of the instance is marked as harvest.
    Night 1 is the run after the first active day. ``first_exchanges`` are the requests sent by the end of the first
    alerted day. ``half_night`` is the run by which half of the accounts were alerted. NULL means never.
    """
    bad = accounts.filter(pl.col("label") == 1)
    daily = (
        world.table("traffic")
        .join(bad.select("account_id", "instance", "campaign"), on="account_id")
        .with_columns((pl.col("n_harvest").sum().over("instance") == 0).alias("unmarked"))
        .with_columns(
            pl.when("unmarked").then("n_requests").otherwise("n_harvest").cast(pl.Int64).alias("sent")
        )
        .group_by("instance", "day")
        .agg(pl.col("sent").sum())
        .filter(pl.col("sent") > 0)
        .sort("instance", "day")
        .with_columns(pl.col("sent").cum_sum().over("instance").alias("total"))
    )
    # Half of the accounts are alerted on the median alert day, with accounts that are never alerted sorted last.
    far = pl.lit(date.max)
    when = bad.group_by("instance").agg(
        pl.col("campaign").first(),
        pl.len().cast(pl.Int64).alias("n_accounts"),
        pl.col("alert_day").min().alias("first_day"),
        pl.col("alert_day").fill_null(far).sort().get((pl.len() - 1) // 2).alias("half_day"),
    )
    days = daily.group_by("instance").agg(
        pl.len().cast(pl.Int64).alias("active_days"), pl.col("total").max().alias("exchanges")
    )
    joined = daily.join(when, on="instance")
    reached = joined.group_by("instance").agg(
        (pl.col("day") <= pl.col("first_day")).sum().cast(pl.Int64).alias("first_night"),
        pl.col("total").filter(pl.col("day") <= pl.col("first_day")).max().alias("first_exchanges"),
        (pl.col("day") <= pl.col("half_day")).sum().cast(pl.Int64).alias("half_night"),
    )
    instances = when.join(days, on="instance").join(reached, on="instance")
    early = pl.col("first_day").is_not_null()
    return instances.select(
        pl.lit(world.name).alias("world"),
        pl.lit(int(world.spec["evasion_level"]), dtype=pl.Int64).alias("evasion_level"),
        "instance",
        "campaign",
        "n_accounts",
        "active_days",
        "exchanges",
        pl.when(early).then(pl.max_horizontal("first_night", pl.lit(1))).alias("first_night"),
        pl.when(early).then(pl.col("first_exchanges").fill_null(0)).alias("first_exchanges"),
        pl.when(pl.col("half_day") < far)
        .then(pl.max_horizontal("half_night", pl.lit(1)))
        .alias("half_night"),
    ).sort("instance")

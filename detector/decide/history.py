"""A day folded into what was known: the peak of each group and account, and the verdict it leads to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import numpy as np
import numpy.typing as npt
import polars as pl

from detector.bits import NO_SCORE, probability
from detector.config import ACCUSED_FROM, Config

Floats = npt.NDArray[np.float64]

_RANK = {"clear": 0, "watch": 1, "alert": 2}


def probability_of(bits: pl.Expr) -> pl.Expr:
    """Probability of log-odds; NULL of NULL."""
    return bits.map_batches(
        lambda s: pl.Series(probability(s.cast(pl.Float64).fill_null(np.nan).to_numpy())).fill_nan(None),
        return_dtype=pl.Float64,
    )


def _verdict(bits: pl.Expr, exempt: pl.Expr, limit: float | pl.Expr, watch: float) -> pl.Expr:
    p = probability_of(bits)
    raised = pl.when(exempt & (p >= watch)).then(pl.lit("watch")).when(p >= limit).then(pl.lit("alert"))
    return raised.when(p >= watch).then(pl.lit("watch")).otherwise(pl.lit("clear"))


def _worse(now: pl.Expr, before: pl.Expr) -> pl.Expr:
    def rank(e: pl.Expr) -> pl.Expr:
        return e.replace_strict(_RANK, default=-1, return_dtype=pl.Int8)

    return pl.when(rank(now) >= rank(before)).then(now).otherwise(before)


def _unspared() -> pl.Expr:
    """The verdict stored before, without exemptions; older releases stored one verdict alone, and NULL here."""
    return pl.coalesce("peak_verdict", "verdict")


def _capped(exempt: pl.Expr) -> pl.Expr:
    """``peak_verdict``, of exempted subjects ``watch`` at most."""
    alert = pl.col("peak_verdict") == "alert"
    return pl.when(exempt & alert).then(pl.lit("watch")).otherwise("peak_verdict")


def spared(
    groups: pl.DataFrame, accounts: pl.DataFrame, members: pl.DataFrame, exempt: frozenset[str]
) -> pl.DataFrame:
    """Groups, with ``watch`` at most for those of whose accused members every one is exempted."""
    accused = members.select("account_id", "group_id").join(
        accounts.filter(pl.col("peak_verdict") == "alert").select("account_id"), on="account_id", how="semi"
    )
    whole = (
        accused.group_by("group_id")
        .agg(pl.col("account_id").is_in(list(exempt)).all().alias("spared"))
        .filter("spared")["group_id"]
    )
    return groups.with_columns(_capped(pl.col("group_id").is_in(whole.implode())).alias("verdict"))


def fold_groups(
    today: pl.DataFrame,
    previous: pl.DataFrame,
    members: pl.DataFrame,
    kinds: pl.DataFrame,
    own: pl.DataFrame,
    evidence_of_groups: pl.DataFrame,
    merged: Mapping[str, str],
    exempt: frozenset[str],
    limit: float,
    day: date,
    config: Config,
) -> pl.DataFrame:
    size = members.group_by("group_id").agg(
        pl.len().cast(pl.Int64).alias("n_accounts"),
        pl.col("first_day").min().alias("first_seen"),
        (
            (pl.col("account_id").is_in(list(exempt)).mean() >= 0.5)
            # What could all have been planted carries no group alone.
            | ~(~pl.col("spoofable") | (pl.col("bond") == "similarity")).any()
            # Nor does one of which every single member may be a false member.
            | pl.col("false_member").all()
        ).alias("exempt"),
    )
    busy = (
        members.join(own, on="account_id").group_by("group_id").agg(pl.col("n_requests").sum().alias("busy"))
    )
    names = pl.concat([previous.select("group_id"), size.select("group_id")]).unique().sort("group_id")
    table = (
        names.join(previous, on="group_id", how="left")
        .drop("n_accounts", "intrinsic_bits", "intrinsic_day")
        .join(
            evidence_of_groups.select(
                "group_id",
                pl.col("worst_bits").alias("intrinsic_bits"),
                pl.col("worst_day").alias("intrinsic_day"),
            ),
            on="group_id",
            how="left",
        )
        .join(size, on="group_id", how="left")
        .join(busy, on="group_id", how="left")
        .join(today, on="group_id", how="left")
        .join(kinds.rename({"kind": "kind_today"}), on="group_id", how="left")
    )
    rises = pl.col("group_bits").is_not_null() & (
        pl.col("score_bits").is_null() | (pl.col("group_bits") > pl.col("score_bits"))
    )
    now = (
        pl.when(pl.col("group_bits").is_null())
        .then(None)
        .otherwise(
            _verdict(
                # The worst of its life against what today asks, as its members are judged.
                pl.max_horizontal("group_bits", "score_bits").fill_null(NO_SCORE),
                pl.col("exempt").fill_null(False),
                max(limit, ACCUSED_FROM),
                config.watch_floor,
            )
        )
    )
    table = table.with_columns(
        pl.when(rises).then("group_bits").otherwise("score_bits").alias("score_bits"),
        pl.when(rises).then(pl.lit(day)).otherwise("score_day").alias("score_day"),
        _worse(now.fill_null("clear"), _unspared().fill_null("clear")).alias("peak_verdict"),
        pl.when(rises).then(pl.coalesce("kind_today", "kind")).otherwise("kind").alias("kind"),
        pl.col("n_accounts").fill_null(0),
        (pl.col("n_requests").fill_null(0) + pl.col("busy").fill_null(0)).alias("n_requests"),
        pl.coalesce("first_day", "first_seen", pl.lit(day)).alias("first_day"),
        pl.when(pl.col("busy").is_not_null())
        .then(pl.lit(day))
        .otherwise(pl.coalesce("last_day", pl.lit(day)))
        .alias("last_day"),
        pl.col("group_id").replace_strict(dict(merged), default=None, return_dtype=pl.String).alias("into"),
    ).with_columns(
        # Who went into a ring that is no more has members of its own again.
        pl.when(pl.col("first_seen").is_null() | pl.col("into").is_not_null())
        .then(pl.coalesce("into", "successor_id"))
        .alias("successor_id")
    )
    return table.select(
        "group_id",
        probability_of(pl.col("score_bits").fill_null(NO_SCORE)).alias("score"),
        pl.col("peak_verdict").alias("verdict"),
        pl.col("kind").fill_null("other"),
        pl.when(pl.col("successor_id").is_not_null())
        .then(pl.lit("merged"))
        .when(pl.col("last_day") == day)
        .then(pl.lit("active"))
        .otherwise(pl.lit("silent"))
        .alias("state"),
        "successor_id",
        "n_accounts",
        "n_requests",
        "first_day",
        "last_day",
        "score_day",
        "score_bits",
        "intrinsic_bits",
        "intrinsic_day",
        "peak_verdict",
    ).sort("group_id")


def fold_accounts(
    known: pl.DataFrame,
    previous: pl.DataFrame,
    groups: pl.DataFrame,
    exempt: frozenset[str],
    charged: pl.Series,
    limit: float,
    day: date,
    config: Config,
) -> pl.DataFrame:
    table = known.join(
        previous.drop("group_id", "group_score", "harvest_bits"),
        on="account_id",
        how="left",
        maintain_order="left",
    ).join(
        groups.select("group_id", pl.col("kind").alias("group_kind")),
        on="group_id",
        how="left",
        maintain_order="left",
    )
    rises = pl.col("bits_today").is_not_null() & (
        pl.col("score_bits").is_null() | (pl.col("bits_today") > pl.col("score_bits"))
    )
    by_group = (pl.col("group_contribution_bits") >= pl.col("conduct_bits").fill_null(NO_SCORE)).fill_null(
        False
    )

    # What an account does alone is judged by the budget; what others bring to its score has to make it surer.
    conduct = (
        pl.when(pl.col("relational_bits").is_null()).then("conduct_bits").otherwise("single_account_bits")
    )
    by_own = pl.col("account_id").is_in(charged.implode()) & (probability_of(conduct) >= limit).fill_null(
        False
    )
    now = _verdict(
        pl.col("bits_today").fill_null(NO_SCORE),
        pl.lit(False),
        pl.when(by_own).then(limit).otherwise(max(limit, ACCUSED_FROM)),
        config.watch_floor,
    )
    table = table.with_columns(
        pl.when(rises).then("bits_today").otherwise("score_bits").alias("score_bits"),
        pl.when(rises).then(pl.lit(day)).otherwise("score_day").alias("score_day"),
        _worse(now, _unspared().fill_null("clear")).alias("peak_verdict"),
        pl.when(rises)
        .then(pl.when(by_group).then("group_kind").otherwise("conduct_kind"))
        .otherwise("kind")
        .alias("kind"),
        (pl.col("n_requests").fill_null(0) + pl.col("busy").fill_null(0)).alias("n_requests"),
        pl.coalesce("first_day", pl.lit(day)).alias("first_day"),
        pl.when(pl.col("busy").is_not_null())
        .then(pl.lit(day))
        .otherwise(pl.coalesce("last_day", pl.lit(day)))
        .alias("last_day"),
        pl.max_horizontal(probability_of(pl.col("conduct_bits")), "conduct_score").alias("conduct_score"),
        pl.max_horizontal(probability_of(pl.col("relational_bits")), "relational_score").alias(
            "relational_score"
        ),
        probability_of(pl.col("group_contribution_bits")).alias("group_score"),
    ).with_columns(_capped(pl.col("account_id").is_in(list(exempt))).alias("verdict"))
    return table.select(
        "account_id",
        probability_of(pl.col("score_bits")).alias("score"),
        "verdict",
        "group_id",
        pl.col("kind").fill_null("other"),
        "conduct_score",
        "group_score",
        "relational_score",
        "harvest_bits",
        "score_bits",
        "score_day",
        "first_day",
        "last_day",
        "n_requests",
        "peak_verdict",
    ).sort("account_id")

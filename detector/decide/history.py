"""A day folded into what was known: the peak of each group and account, and the verdict it leads to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Fold:
    """What a day's verdicts rest on: the day, the settings, the ``exempt`` accounts, and the probability an alert needs."""

    day: date
    config: Config
    exempt: frozenset[str]
    limit: float


def _rises(today: str) -> pl.Expr:
    """Whether today's log-odds are a new peak."""
    return pl.col(today).is_not_null() & (
        pl.col("score_bits").is_null() | (pl.col(today) > pl.col("score_bits"))
    )


def _peaked(today: str, day: date) -> list[pl.Expr]:
    """The peak score with its day, requests so far, and first and last day, with today folded in."""
    busy = pl.col("busy").is_not_null()
    return [
        pl.when(_rises(today)).then(today).otherwise("score_bits").alias("score_bits"),
        pl.when(_rises(today)).then(pl.lit(day)).otherwise("score_day").alias("score_day"),
        (pl.col("n_requests").fill_null(0) + pl.col("busy").fill_null(0)).alias("n_requests"),
        pl.when(busy).then(pl.lit(day)).otherwise(pl.coalesce("last_day", pl.lit(day))).alias("last_day"),
    ]


def _sizes(members: pl.DataFrame, own: pl.DataFrame, exempt: frozenset[str]) -> pl.DataFrame:
    """group_id, n_accounts, first_seen, ``exempt`` (watch at most) and ``busy`` (requests today)."""
    some_unspoofable = (~pl.col("spoofable") | (pl.col("bond") == "similarity")).any()
    sizes = members.group_by("group_id").agg(
        pl.len().cast(pl.Int64).alias("n_accounts"),
        pl.col("first_day").min().alias("first_seen"),
        (
            (pl.col("account_id").is_in(list(exempt)).mean() >= 0.5)
            # Evidence that is spoofable throughout carries no group.
            | ~some_unspoofable
            # Nor is one accused of which every member may be a false one.
            | pl.col("false_member").all()
        ).alias("exempt"),
    )
    busy = members.join(own, on="account_id").group_by("group_id")
    return sizes.join(busy.agg(pl.col("n_requests").sum().alias("busy")), on="group_id", how="left")


def fold_groups(
    fold: Fold,
    *,
    today: pl.DataFrame,
    previous: pl.DataFrame,
    members: pl.DataFrame,
    kinds: pl.DataFrame,
    own: pl.DataFrame,
    evidence: pl.DataFrame,
    merged: Mapping[str, str],
) -> pl.DataFrame:
    """Rows of ``groups`` at the end of the day.

    ``today``: group_id, group_bits. ``members``: with ``false_member``. ``kinds``: group_id, kind. ``evidence``: of
    ``fusion.group_evidence``. ``merged``: groups that went into another today.
    """
    sizes = _sizes(members, own, fold.exempt)
    peak = evidence.select(
        "group_id",
        pl.col("worst_bits").alias("intrinsic_bits"),
        pl.col("worst_day").alias("intrinsic_day"),
    )
    names = pl.concat([previous.select("group_id"), sizes.select("group_id")]).unique().sort("group_id")
    table = names.join(previous, on="group_id", how="left").drop(
        "n_accounts", "intrinsic_bits", "intrinsic_day"
    )
    for columns in (peak, sizes, today, kinds.rename({"kind": "kind_today"})):
        table = table.join(columns, on="group_id", how="left")
    accused = _verdict(
        # The peak against what today asks, as its members are judged.
        pl.max_horizontal("group_bits", "score_bits").fill_null(NO_SCORE),
        pl.col("exempt").fill_null(False),
        max(fold.limit, ACCUSED_FROM),
        fold.config.watch_floor,
    )
    now = pl.when(pl.col("group_bits").is_not_null()).then(accused).fill_null("clear")
    into = pl.col("group_id").replace_strict(dict(merged), default=None, return_dtype=pl.String)
    table = table.with_columns(
        *_peaked("group_bits", fold.day),
        _worse(now, _unspared().fill_null("clear")).alias("peak_verdict"),
        pl.when(_rises("group_bits")).then(pl.coalesce("kind_today", "kind")).otherwise("kind").alias("kind"),
        pl.col("n_accounts").fill_null(0),
        pl.coalesce("first_day", "first_seen", pl.lit(fold.day)).alias("first_day"),
        # What went into a ring that is no more has members of its own again.
        pl.when(pl.col("first_seen").is_null() | into.is_not_null())
        .then(pl.coalesce(into, "successor_id"))
        .alias("successor_id"),
    )
    return _group_rows(table, fold.day)


def _group_rows(table: pl.DataFrame, day: date) -> pl.DataFrame:
    """Columns of ``groups``, in order."""
    state = (
        pl.when(pl.col("successor_id").is_not_null())
        .then(pl.lit("merged"))
        .when(pl.col("last_day") == day)
        .then(pl.lit("active"))
        .otherwise(pl.lit("silent"))
    )
    return table.select(
        "group_id",
        probability_of(pl.col("score_bits").fill_null(NO_SCORE)).alias("score"),
        pl.col("peak_verdict").alias("verdict"),
        pl.col("kind").fill_null("other"),
        state.alias("state"),
        *("successor_id", "n_accounts", "n_requests", "first_day", "last_day", "score_day", "score_bits"),
        *("intrinsic_bits", "intrinsic_day", "peak_verdict"),
    ).sort("group_id")


def fold_accounts(
    fold: Fold, accounts: pl.DataFrame, previous: pl.DataFrame, groups: pl.DataFrame, charged: pl.Series
) -> pl.DataFrame:
    """Rows of ``account_scores`` at the end of the day.

    ``accounts``: every account known, of ``fusion.with_relational``, with its ``group_id``. ``charged``: accounts that
    the alert budget is charged for.
    """
    table = accounts.join(
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
    # What an account does by itself is judged by the budget; what others bring to its score has to make it surer.
    by_itself = (
        pl.when(pl.col("relational_bits").is_null()).then("conduct_bits").otherwise("single_account_bits")
    )
    budgeted = pl.col("account_id").is_in(charged.implode()) & (
        probability_of(by_itself) >= fold.limit
    ).fill_null(False)
    now = _verdict(
        pl.col("bits_today").fill_null(NO_SCORE),
        pl.lit(False),
        pl.when(budgeted).then(fold.limit).otherwise(max(fold.limit, ACCUSED_FROM)),
        fold.config.watch_floor,
    )
    by_group = (pl.col("group_contribution_bits") >= pl.col("conduct_bits").fill_null(NO_SCORE)).fill_null(
        False
    )
    kind = pl.when(by_group).then("group_kind").otherwise("conduct_kind")
    return (
        table.with_columns(
            *_peaked("bits_today", fold.day),
            _worse(now, _unspared().fill_null("clear")).alias("peak_verdict"),
            pl.when(_rises("bits_today")).then(kind).otherwise("kind").fill_null("other").alias("kind"),
            pl.coalesce("first_day", pl.lit(fold.day)).alias("first_day"),
            _peak_score("conduct"),
            _peak_score("relational"),
            probability_of(pl.col("group_contribution_bits")).alias("group_score"),
        )
        .with_columns(
            probability_of(pl.col("score_bits")).alias("score"),
            _capped(pl.col("account_id").is_in(list(fold.exempt))).alias("verdict"),
        )
        .select(
            *("account_id", "score", "verdict", "group_id", "kind", "conduct_score", "group_score"),
            *("relational_score", "harvest_bits", "score_bits", "score_day", "first_day", "last_day"),
            *("n_requests", "peak_verdict"),
        )
        .sort("account_id")
    )


def _peak_score(name: str) -> pl.Expr:
    """``NAME_score`` with today's ``NAME_bits`` folded in."""
    return pl.max_horizontal(probability_of(pl.col(f"{name}_bits")), f"{name}_score").alias(f"{name}_score")

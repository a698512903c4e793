"""What each score is made of: contributions that add up to it, those of models' features and those of the formula.

The formula is written down in ``score.fusion``. Of the scores it compares, the one that decided is taken apart: its
base rate and features, then what the formula added or took away. The contributions of a subject on a day add up to
its score of that day (``bits_today`` of an account, ``group_bits`` of a group). Accounts below the watch floor have none
stored.
"""

from __future__ import annotations

import polars as pl

from detector.config import Config
from detector.decide.history import probability_of
from detector.score import inputs
from detector.score.additive import Additive, Detector, Variant
from detector.score.inputs import parts_of
from features.spec import Column

#: Contributions that are no model's feature: what every score starts with, and what the formula added or took away.
CONTRIBUTIONS = (
    *inputs.CONTRIBUTIONS,
    Column(
        "neighbours",
        "DOUBLE",
        "what its members share keys with speaks for more, or for less, than the group's own measurements",
        "bits",
    ),
    Column(
        "spoofable_limit",
        "DOUBLE",
        "taken off because an outsider could have planted all of this on the account",
        "bits",
    ),
    Column(
        "discount",
        "DOUBLE",
        "taken off because one account's conduct alone proves little: an evaluation or a pipeline looks the same",
        "bits",
    ),
    Column("group_contribution", "DOUBLE", "what its group adds to that", "bits"),
)


def group_parts(
    models: Variant, measured: pl.DataFrame, group_bits: pl.DataFrame, today: pl.DataFrame
) -> pl.DataFrame:
    """Contributions to today's scores of groups.

    Parameters
    ----------
    measured : group measurements (``inputs.group_columns``).
    group_bits : group_id and group_bits, of the group model.
    today : group_id and group_bits, what they are together with the relational scores of the members; the difference
        is the contribution ``neighbours``.
    """
    scored = measured.join(today.select("group_id"), on="group_id", how="semi", maintain_order="left")
    moved = today.join(group_bits, on="group_id", how="left", suffix="_own").with_columns(
        (pl.col("group_bits") - pl.col("group_bits_own").fill_null(0.0)).alias("moved")
    )
    return pl.concat(
        [
            parts_of(models.group, scored, subject_type="group", key="group_id", n=_observations(scored)),
            _part("group", "neighbours", moved.filter(pl.col("moved") != 0), "moved"),
        ]
    )


def _observations(groups: pl.DataFrame) -> str | None:
    """The column that counts what a group's measurements rest on: the members that were active that day."""
    return next((name for name in ("n_active", "n_members") if name in groups.columns), None)


def account_parts(
    models: Variant,
    detector: Detector,
    account_days: pl.DataFrame,
    own: pl.DataFrame,
    known: pl.DataFrame,
    config: Config,
) -> list[pl.DataFrame]:
    """Contributions to today's scores of the accounts worth a look.

    Parameters
    ----------
    own : account_id, conduct_bits, harvest_bits, single_account_bits, n_requests, of ``account_days``, row by row.
    known : what ``fusion.with_relational`` says of every account.
    """
    seen = known.filter(probability_of(pl.col("bits_today")) >= config.watch_floor)
    source = _source()
    relational, single, harvest = (
        seen.filter(source == name) for name in ("relational", "single_account", "harvest")
    )
    own = own.rename({"n_requests": "busy"}).with_columns(
        (pl.col("conduct_bits") - pl.col("harvest_bits")).alias("discount")
    )
    discounted = own.join(harvest.select("account_id"), on="account_id", how="semi", maintain_order="left")
    group = seen.with_columns(
        (pl.col("bits_today") - pl.col("without_group_bits").fill_null(0.0)).alias("added")
    )
    return [
        parts_of(models.relational, relational, subject_type="account", key="account_id", n="busy"),
        _part(
            "account",
            "spoofable_limit",
            relational.filter(pl.col("spoofable_limit_bits") != 0),
            "spoofable_limit_bits",
        ),
        _conduct(detector.single_account, account_days, single),
        _conduct(models.conduct, account_days, harvest),
        _part("account", "discount", discounted.filter(pl.col("discount") != 0), "discount"),
        _part("account", "group_contribution", group.filter(pl.col("added") != 0), "added"),
    ]


def _source() -> pl.Expr:
    """Which model gave an account its score without its group: the larger one, as ``fusion.with_relational`` has it."""
    single = pl.col("single_account_bits")
    shares = pl.col("relational_bits").is_not_null()
    return (
        pl.when(shares & (pl.col("relational_bits") >= single.fill_null(float("-inf"))))
        .then(pl.lit("relational"))
        .when(shares | (single >= pl.col("conduct_bits")))
        .then(pl.lit("single_account"))
        .when(pl.col("conduct_bits").is_not_null())
        .then(pl.lit("harvest"))
        .otherwise(pl.lit("group"))
    )


def _conduct(model: Additive, account_days: pl.DataFrame, which: pl.DataFrame) -> pl.DataFrame:
    """Contributions of a model of one account's own measurements."""
    some = account_days.join(which.select("account_id"), on="account_id", how="semi", maintain_order="left")
    return parts_of(model, some, subject_type="account", key="account_id", n="n_requests")


def _part(subject_type: str, name: str, rows: pl.DataFrame, bits: str) -> pl.DataFrame:
    """One contribution of the formula, a row a subject; ``bits``: the column that holds it."""
    busy = pl.col("busy").fill_null(0) if "busy" in rows.columns else pl.lit(0)
    return rows.select(
        pl.lit(subject_type).alias("subject_type"),
        pl.col(f"{subject_type}_id").alias("subject_id"),
        pl.lit(name).alias("feature"),
        pl.lit(None, pl.Float64).alias("value"),
        pl.col(bits).alias("bits"),
        busy.cast(pl.Int64).alias("n"),
    )

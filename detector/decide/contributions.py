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
from detector.score.detector import Models
from detector.score.inputs import contributions_of
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
        "taken off because an outsider could have arranged all of this for the account",
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


def group_contributions(models: Models, groups: pl.DataFrame, today: pl.DataFrame) -> pl.DataFrame:
    """Contributions to today's scores of groups.

    ``groups``: group features with the ``group_bits`` of the model. ``today``: group_id and group_bits, what they are
    together with the relational scores of the members; the difference is the contribution ``neighbours``.
    """
    scored = groups.join(today.select("group_id"), on="group_id", how="semi", maintain_order="left")
    moved = today.join(
        groups.select("group_id", "group_bits"), on="group_id", how="left", suffix="_of_model"
    ).with_columns((pl.col("group_bits") - pl.col("group_bits_of_model").fill_null(0.0)).alias("moved"))
    return pl.concat(
        [
            contributions_of(models.group, scored, "group", n=_observations(scored)),
            _of_formula("group", "neighbours", moved.filter(pl.col("moved") != 0), "moved"),
        ]
    )


def _observations(groups: pl.DataFrame) -> str | None:
    """The column that counts what a group's features rest on: the members that were active that day."""
    return next((name for name in ("n_active", "n_members") if name in groups.columns), None)


def account_contributions(
    models: Models,
    account_days: pl.DataFrame,
    own: pl.DataFrame,
    accounts: pl.DataFrame,
    config: Config,
) -> list[pl.DataFrame]:
    """Contributions to today's scores of the accounts worth a look.

    ``own``: of ``conduct.read``. ``accounts``: every account known, of ``fusion.with_relational``.
    """
    seen = accounts.filter(probability_of(pl.col("bits_today")) >= config.watch_floor)
    source = _source()
    by_neighbours = seen.filter(source == "relational")
    harvest = seen.filter(source == "harvest").select("account_id")
    discounted = (
        own.rename({"n_requests": "busy"})
        .join(harvest, on="account_id", how="semi", maintain_order="left")
        .with_columns((pl.col("conduct_bits") - pl.col("harvest_bits")).alias("discount"))
    )
    added = seen.with_columns(
        (pl.col("bits_today") - pl.col("without_group_bits").fill_null(0.0)).alias("added")
    )
    limited = by_neighbours.filter(pl.col("spoofable_limit_bits") != 0)
    return [
        contributions_of(models.relational, by_neighbours, "account", n="busy"),
        _of_formula("account", "spoofable_limit", limited, "spoofable_limit_bits"),
        *_of_heads(models, account_days, own, seen.filter(source == "single_account"), "single_account_kind"),
        *_of_heads(models, account_days, own, harvest, "harvest_kind"),
        _of_formula("account", "discount", discounted.filter(pl.col("discount") != 0), "discount"),
        _of_formula("account", "group_contribution", added.filter(pl.col("added") != 0), "added"),
    ]


def _source() -> pl.Expr:
    """Which score an account has without its group: the larger one, as ``fusion.with_relational`` has it."""
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


def _of_heads(
    models: Models, account_days: pl.DataFrame, own: pl.DataFrame, which: pl.DataFrame, kind: str
) -> list[pl.DataFrame]:
    """Contributions of the conduct head that decided, for the accounts of ``which``; ``kind``: column that names it."""
    heads = own.select("account_id", kind).join(which, on="account_id", how="semi", maintain_order="left")
    return [
        contributions_of(
            head,
            account_days.join(
                heads.filter(pl.col(kind) == name), on="account_id", how="semi", maintain_order="left"
            ),
            "account",
            n="n_requests",
        )
        for name, head in models.conduct.items()
    ]


def _of_formula(subject_type: str, name: str, rows: pl.DataFrame, bits: str) -> pl.DataFrame:
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

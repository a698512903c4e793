"""What each score is made of: the contributions of models' features, and those that no model made."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from detector.config import Config
from detector.decide.history import probability_of
from detector.score.additive import Detector, Variant
from detector.score.inputs import parts_of

Floats = npt.NDArray[np.float64]


def group_parts(models: Variant, measured: pl.DataFrame, today: pl.DataFrame) -> pl.DataFrame:
    """Parts of every group measured; what its members' company adds or takes away is a part like another."""
    made = parts_of(models.group, measured, subject_type="group", key="group_id", n=None)
    moved = today.with_columns(pl.col("group_bits_own").fill_null(0.0)).filter(
        pl.col("group_bits") != pl.col("group_bits_own")
    )
    return pl.concat(
        [
            made,
            _part(
                "group",
                "group_id",
                "members_company",
                moved,
                pl.col("group_bits") - pl.col("group_bits_own"),
            ),
        ]
    )


def _part(subject_type: str, key: str, name: str, rows: pl.DataFrame, bits: pl.Expr) -> pl.DataFrame:
    """One part that no model's term made, a row a subject."""
    return rows.select(
        pl.lit(subject_type).alias("subject_type"),
        pl.col(key).alias("subject_id"),
        pl.lit(name).alias("part"),
        pl.lit(None, pl.Float64).alias("value"),
        bits.alias("bits"),
        (pl.col("busy").fill_null(0) if "busy" in rows.columns else pl.lit(0)).cast(pl.Int64).alias("n"),
    )


def account_parts(
    models: Variant,
    detector: Detector,
    account_days: pl.DataFrame,
    own: pl.DataFrame,
    known: pl.DataFrame,
    alone: npt.NDArray[np.bool_],
    config: Config,
) -> list[pl.DataFrame]:
    """Parts of the accounts worth a look on their own account: of the model that speaks loudest of each.

    ``alone``: which of ``account_days`` say more of abuse in itself than of a harvest.
    """
    seen = known.filter(probability_of(pl.col("alone_bits")) >= config.watch_floor)
    by_company = seen.filter(pl.col("kin_bits") >= pl.col("lone_bits").fill_null(-np.inf))
    by_conduct = seen.join(by_company, on="account_id", how="anti")
    found = [
        parts_of(models.kin, by_company, subject_type="account", key="account_id", n="busy"),
        _part(
            "account",
            "account_id",
            "planted",
            by_company.filter(pl.col("planted_bits") < 0),
            pl.col("planted_bits"),
        ),
        _part(
            "account",
            "account_id",
            "group",
            seen.filter(pl.col("bits_today") > pl.col("alone_bits")),
            pl.col("bits_today") - pl.col("alone_bits"),
        ),
    ]
    flagged = account_days["account_id"].is_in(by_conduct["account_id"].implode()).to_numpy()
    doubt = own.filter(pl.Series(flagged & ~alone)).select(
        "account_id",
        pl.col("n_requests").alias("busy"),
        (pl.col("own_bits") - pl.col("harvest_bits")).alias("doubt"),
    )
    for model, which in ((models.account, flagged & ~alone), (detector.lone, flagged & alone)):
        some = account_days.filter(pl.Series(which))
        found.append(parts_of(model, some, subject_type="account", key="account_id", n="n_requests"))
    found.append(_part("account", "account_id", "alone", doubt.filter(pl.col("doubt") < 0), pl.col("doubt")))
    return found

"""What the classifier reads of a day's tables: columns as arrays, groups and members summed up, parts of a score."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from detector.score.additive import Additive

Floats = npt.NDArray[np.float64]


def columns_of(frame: pl.DataFrame) -> dict[str, Floats]:
    """Numeric and boolean columns as float arrays, NULL as NaN."""
    found = {}
    for name, dtype in frame.schema.items():
        if dtype.is_numeric() or dtype == pl.Boolean:
            found[name] = frame[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
    return found


def score_frame(model: Additive, frame: pl.DataFrame) -> Floats:
    """Calibrated log2 odds of each row."""
    return model.bits(columns_of(frame), len(frame))


def group_columns(group_days: pl.DataFrame, members: pl.DataFrame, own: pl.DataFrame) -> pl.DataFrame:
    """Measurements of groups, with what their members' own scores say.

    ``members``: group_id, account_id, bond, strength_bits, firm, likeness, linked_bits.
    ``own``: account_id, own_bits (today's).
    """
    summary = (
        members.join(own, on="account_id", how="left")
        .group_by("group_id")
        .agg(
            pl.col("own_bits").mean().alias("mean_own_bits"),
            (pl.col("own_bits") > -3).mean().alias("suspect_share"),
            pl.col("strength_bits").mean().alias("mean_strength_bits"),
            pl.col("firm").cast(pl.Float64).mean().alias("firm_share"),
            pl.col("likeness").mean().alias("mean_likeness"),
            (pl.col("bond") == "keys").mean().alias("keyed_share"),
            pl.col("linked_bits").mean().alias("mean_linked_bits"),
        )
        # That members found by shared keys also ask alike means more than that accounts found by likeness are alike.
        .with_columns(
            pl.when(pl.col("keyed_share") >= 0.5).then("mean_likeness").alias("bound_likeness"),
            pl.when(pl.col("keyed_share") < 0.5).then("mean_likeness").alias("stranger_likeness"),
        )
        .with_columns(pl.col(pl.Float64).round_sig_figs(9))  # means in parallel differ in their last digits
    )
    return group_days.join(summary, on="group_id", how="left", maintain_order="left")


def member_columns(members: pl.DataFrame, groups: pl.DataFrame, own: pl.DataFrame) -> pl.DataFrame:
    """What tells a member of an operation from a stranger swept in: terms.MEMBER_TERMS beside ``members``.

    ``groups``: group_columns of the day; ``own``: account_id, own_bits (today's, of harvest).
    """
    sure = pl.col("belonging").clip(1e-4, 1 - 1e-4)
    return (
        members.join(own, on="account_id", how="left", maintain_order="left")
        .join(
            groups.select("group_id", "mean_likeness", "mean_own_bits"),
            on="group_id",
            how="left",
            maintain_order="left",
        )
        .with_columns(
            (sure / (1 - sure)).log(2.0).alias("belonging_bits"),
            (pl.col("bond") == "keys").alias("keyed"),
            (pl.col("likeness") / (pl.col("mean_likeness") + 1e-3)).alias("likeness_ratio"),
            pl.col("own_bits").alias("member_own_bits"),
            (pl.col("own_bits") - pl.col("mean_own_bits")).alias("member_own_excess_bits"),
        )
        .with_columns(pl.col(pl.Float64).round_sig_figs(9))
    )


def parts_of(
    model: Additive, frame: pl.DataFrame, *, subject_type: str, key: str, n: str | None, least: float = 0.05
) -> pl.DataFrame:
    """What each term added, one row a subject and term whose part is at least ``least`` bits either way."""
    columns = columns_of(frame)
    made = model.parts(columns, len(frame))
    rows, terms = np.nonzero(np.abs(made) >= least)
    names = np.array([t.name for t in model.terms], dtype=object)
    unmeasured = np.full(len(frame), np.nan)
    value = np.column_stack([columns.get(t, unmeasured) for t in ("", *model.names)])[:, 1:]
    counts = frame[n].cast(pl.Int64).fill_null(0).to_numpy() if n else np.zeros(len(frame), np.int64)
    return pl.DataFrame(
        {
            "subject_type": [subject_type] * len(rows),
            "subject_id": frame[key].gather(rows) if len(rows) else pl.Series([], dtype=pl.String),
            "part": pl.Series(names[terms].tolist(), dtype=pl.String),
            "value": pl.Series(value[rows, terms], dtype=pl.Float64),
            "bits": pl.Series(made[rows, terms], dtype=pl.Float64),
            "n": pl.Series(counts[rows], dtype=pl.Int64),
        },
        schema_overrides={"subject_type": pl.String},
    )

"""What the models read of a day's tables: columns as arrays, groups and members summed up, contributions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from detector.score.additive import Additive
from features.spec import Column

Floats = npt.NDArray[np.float64]

#: Contributions that are no single feature's: the log-odds of a subject of which nothing was measured, and what
#: features that moved the score by next to nothing come to together.
BASE_RATE, SMALL = "base_rate", "small"
CONTRIBUTIONS = (
    Column(
        BASE_RATE,
        "DOUBLE",
        "what is expected of a subject of which nothing was measured; every score starts here",
        "bits",
    ),
    Column(SMALL, "DOUBLE", "measurements that moved the score by next to nothing, together", "bits"),
)

#: What the group model reads beside the measurements of groups: what the members say of their group.
GROUP_FEATURES = (
    Column(
        "mean_conduct_bits",
        "DOUBLE",
        "how suspicious the members are by their own conduct, on average",
        "bits",
        "up",
        ("group",),
    ),
    Column("suspect_share", "DOUBLE", "members whose own conduct stands out", "0..1", "up", ("group",)),
    # Bonds: what holds the members together.
    Column(
        "mean_strength_bits",
        "DOUBLE",
        "how strongly the members are tied to one another",
        "bits",
        "up",
        ("group",),
    ),
    Column(
        "unspoofable_share",
        "DOUBLE",
        "members tied by evidence that cannot be copied",
        "0..1",
        "up",
        ("group",),
    ),
    Column(
        "keyed_share",
        "DOUBLE",
        "members found by keys they share, not by how alike they ask",
        "0..1",
        "up",
        ("group",),
    ),
    Column(
        "mean_similarity",
        "DOUBLE",
        "how alike the members ask",
        "0..1",
        descriptive="read as keyed_similarity or unkeyed_similarity, by how the members were found",
    ),
    Column(
        "keyed_similarity",
        "DOUBLE",
        "how alike members tied by shared keys ask, from no more than anybody to word by word; NULL: tied otherwise",
        "0..1",
        "up",
        ("group",),
    ),
    Column(
        "unkeyed_similarity",
        "DOUBLE",
        "how alike the members ask, who were found by just that; NULL: tied by keys",
        "0..1",
        "up",
        ("group",),
    ),
    Column(
        "mean_linked_bits",
        "DOUBLE",
        "cards, exits, clients and hours the members share with one another, against chance",
        "bits",
        "up",
        ("group",),
    ),
)

#: What tells the members of an abusive group from its false members.
MEMBER_FEATURES = (
    Column("membership_bits", "DOUBLE", "how sure its bonds make it a member", "bits", "up", ("membership",)),
    Column("strength_bits", "DOUBLE", "how strongly it is tied to the others", "bits", "up", ("membership",)),
    Column(
        "unspoofable", "BOOLEAN", "whether evidence that cannot be copied ties it", "", "up", ("membership",)
    ),
    Column("keyed", "BOOLEAN", "whether it was found by shared keys", "", "", ("membership",)),
    Column("similarity", "DOUBLE", "how alike it asks to the others", "0..1", "up", ("membership",)),
    Column("similarity_ratio", "DOUBLE", "that against the group's mean", "", "up", ("membership",)),
    Column(
        "linked_bits",
        "DOUBLE",
        "cards, exits, clients and hours it shares with the others, against chance",
        "bits",
        "up",
        ("membership",),
    ),
    Column(
        "member_conduct_bits", "DOUBLE", "how suspicious its own conduct is", "bits", "up", ("membership",)
    ),
    Column(
        "member_conduct_excess_bits", "DOUBLE", "that against the group's mean", "bits", "up", ("membership",)
    ),
)


def columns_of(frame: pl.DataFrame) -> dict[str, Floats]:
    """Numeric and boolean columns as float arrays, NULL as NaN."""
    columns = {}
    for name, dtype in frame.schema.items():
        if dtype.is_numeric() or dtype == pl.Boolean:
            columns[name] = frame[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
    return columns


def score_frame(model: Additive, frame: pl.DataFrame) -> Floats:
    """Calibrated log2 odds of each row."""
    return model.bits(columns_of(frame), len(frame))


def group_columns(group_days: pl.DataFrame, members: pl.DataFrame, own: pl.DataFrame) -> pl.DataFrame:
    """Measurements of groups, with what their members' own scores say.

    ``members``: group_id, account_id, bond, strength_bits, spoofable, similarity, linked_bits.
    ``own``: account_id, conduct_bits (today's, undiscounted).
    """
    summary = (
        members.join(own, on="account_id", how="left")
        .group_by("group_id")
        .agg(
            pl.col("conduct_bits").mean().alias("mean_conduct_bits"),
            (pl.col("conduct_bits") > -3).mean().alias("suspect_share"),
            pl.col("strength_bits").mean().alias("mean_strength_bits"),
            (~pl.col("spoofable")).cast(pl.Float64).mean().alias("unspoofable_share"),
            pl.col("similarity").mean().alias("mean_similarity"),
            (pl.col("bond") == "keys").mean().alias("keyed_share"),
            pl.col("linked_bits").mean().alias("mean_linked_bits"),
        )
        # That members found by shared keys also ask alike means more than that accounts found by similarity are alike.
        .with_columns(
            pl.when(pl.col("keyed_share") >= 0.5).then("mean_similarity").alias("keyed_similarity"),
            pl.when(pl.col("keyed_share") < 0.5).then("mean_similarity").alias("unkeyed_similarity"),
        )
        .with_columns(pl.col(pl.Float64).round_sig_figs(9))  # means in parallel differ in their last digits
    )
    return group_days.join(summary, on="group_id", how="left", maintain_order="left")


def member_columns(members: pl.DataFrame, groups: pl.DataFrame, own: pl.DataFrame) -> pl.DataFrame:
    """What tells a member of an operation from a false one: ``MEMBER_FEATURES`` beside ``members``.

    ``groups``: group_columns of the day; ``own``: account_id, conduct_bits (today's, of harvest).
    """
    sure = pl.col("membership_probability").clip(1e-4, 1 - 1e-4)
    return (
        members.join(own, on="account_id", how="left", maintain_order="left")
        .join(
            groups.select("group_id", "mean_similarity", "mean_conduct_bits"),
            on="group_id",
            how="left",
            maintain_order="left",
        )
        .with_columns(
            (sure / (1 - sure)).log(2.0).alias("membership_bits"),
            (pl.col("bond") == "keys").alias("keyed"),
            (~pl.col("spoofable")).alias("unspoofable"),
            (pl.col("similarity") / (pl.col("mean_similarity") + 1e-3)).alias("similarity_ratio"),
            pl.col("conduct_bits").alias("member_conduct_bits"),
            (pl.col("conduct_bits") - pl.col("mean_conduct_bits")).alias("member_conduct_excess_bits"),
        )
        .with_columns(pl.col(pl.Float64).round_sig_figs(9))
    )


def contributions_of(
    model: Additive, rows: pl.DataFrame, subject_type: str, *, n: str | None, least: float = 0.05
) -> pl.DataFrame:
    """Contributions to the score of ``model``, a subject a row of ``rows``; those of one subject add up to its score.

    One row a subject and feature whose contribution is at least ``least`` bits either way, one for all smaller
    ones together (``SMALL``), and one for the base rate (``BASE_RATE``). ``n``: column that counts the observations.
    """
    columns = columns_of(rows)
    bits = model.parts(columns, len(rows))
    shown = np.abs(bits) >= least
    subject, term = np.nonzero(shown)
    names = np.array([t.name for t in model.terms], dtype=object)
    unmeasured = np.full(len(rows), np.nan)
    value = np.column_stack([columns.get(t, unmeasured) for t in ("", *model.names)])[:, 1:]
    counts = rows[n].cast(pl.Int64).fill_null(0).to_numpy() if n else np.zeros(len(rows), np.int64)
    small = np.where(shown, 0.0, bits).sum(axis=1)
    some, every = np.flatnonzero(small), np.arange(len(rows))
    at = np.r_[subject, some, every]
    feature = [*names[term].tolist(), *[SMALL] * len(some), *[BASE_RATE] * len(every)]
    ids = rows[f"{subject_type}_id"]
    return pl.DataFrame(
        {
            "subject_type": pl.Series([subject_type] * len(at), dtype=pl.String),
            "subject_id": ids.gather(at) if len(at) else pl.Series([], dtype=pl.String),
            "feature": pl.Series(feature, dtype=pl.String),
            "value": pl.Series(np.r_[value[subject, term], np.full(len(at) - len(subject), np.nan)]),
            "bits": pl.Series(np.r_[bits[subject, term], small[some], np.full(len(every), model.base_bits)]),
            "n": pl.Series(counts[at], dtype=pl.Int64),
        }
    ).with_columns(
        pl.when(pl.col("feature").is_in([SMALL, BASE_RATE])).then(None).otherwise("value").alias("value")
    )

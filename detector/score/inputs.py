"""What the classifier reads of a day's tables: columns as arrays, groups and members summed up, parts of a score."""

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

#: What tells the members of an abusive group from strangers who were swept in with them.
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

    ``members``: group_id, account_id, bond, strength_bits, spoofable, similarity, linked_bits.
    ``own``: account_id, conduct_bits (today's).
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
    """What tells a member of an operation from a stranger swept in: ``MEMBER_FEATURES`` beside ``members``.

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


def parts_of(
    model: Additive, frame: pl.DataFrame, *, subject_type: str, key: str, n: str | None, least: float = 0.05
) -> pl.DataFrame:
    """Contributions to the score of ``model``, row by row; those of one subject add up to its score.

    One row a subject and feature whose contribution is at least ``least`` bits either way, one for all smaller
    ones together (``SMALL``), and one for the base rate (``BASE_RATE``). ``n``: column that counts the observations.
    """
    columns = columns_of(frame)
    made = model.parts(columns, len(frame))
    shown = np.abs(made) >= least
    rows, terms = np.nonzero(shown)
    names = np.array([t.name for t in model.terms], dtype=object)
    unmeasured = np.full(len(frame), np.nan)
    value = np.column_stack([columns.get(t, unmeasured) for t in ("", *model.names)])[:, 1:]
    counts = frame[n].cast(pl.Int64).fill_null(0).to_numpy() if n else np.zeros(len(frame), np.int64)
    small = np.where(shown, 0.0, made).sum(axis=1)
    some = np.flatnonzero(small)
    every = np.arange(len(frame))
    at = np.r_[rows, some, every]
    return pl.DataFrame(
        {
            "subject_type": [subject_type] * len(at),
            "subject_id": frame[key].gather(at) if len(at) else pl.Series([], dtype=pl.String),
            "feature": pl.Series(
                [*names[terms].tolist(), *[SMALL] * len(some), *[BASE_RATE] * len(every)], dtype=pl.String
            ),
            "value": pl.Series(
                np.r_[value[rows, terms], np.full(len(some) + len(every), np.nan)], dtype=pl.Float64
            ),
            "bits": pl.Series(
                np.r_[made[rows, terms], small[some], np.full(len(every), model.base_bits)], dtype=pl.Float64
            ),
            "n": pl.Series(counts[at], dtype=pl.Int64),
        },
        schema_overrides={"subject_type": pl.String},
    ).with_columns(
        pl.when(pl.col("feature").is_in([SMALL, BASE_RATE])).then(None).otherwise("value").alias("value")
    )

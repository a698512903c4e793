"""Who stays a member, of which ring, and what the ring is for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import numpy as np
import numpy.typing as npt
import polars as pl

from detector.bits import NO_SCORE
from detector.link import communities, graph
from detector.score.fusion import LEAST_EVIDENCE, LENT_ABOVE

Floats = npt.NDArray[np.float64]

#: A member of a group worth a look that is less likely of the operation than this is let go (0..1).
LEAST_SURE = 0.5


def doubtful(bond: pl.DataFrame) -> pl.Series:
    """Which members are likelier swept in than of the operation, or cannot be shown to be of it.

    Members of whom the window holds nothing any more stand on what was known of them.
    """
    unsure, bare = pl.col("belonging") < LEAST_SURE, pl.col("evidence_bits") < LEAST_EVIDENCE
    return bond.select((unsure | bare.fill_null(False)).alias("doubtful")).to_series()


def without_bystanders(members: pl.DataFrame, groups: pl.DataFrame) -> pl.DataFrame:
    """Members without the ``doubtful`` ones of groups worth a look; other groups as they are."""
    shown = pl.col("group_id").is_in(groups.filter(pl.col("verdict") != "clear")["group_id"].implode())
    return members.filter(~(shown & pl.col("doubtful"))).drop("doubtful")


def circles_of(
    shares: graph.Shares | None,
    known: pl.DataFrame,
    members: pl.DataFrame,
    previous_groups: pl.DataFrame,
    previous_accounts: pl.DataFrame,
    merged: Mapping[str, str],
    day: date,
) -> communities.Circles:
    """Today's circles of suspects, by the worst that is known of each, with the names they go by."""
    found = pl.DataFrame(schema={"account_id": pl.String, "circle": pl.Int64})
    if shares is not None:
        worst = known.join(
            previous_accounts.select("account_id", "score_bits"), on="account_id", how="left"
        ).select("account_id", pl.max_horizontal("bits_today", "score_bits").alias("bits"))
        label = communities.find(shares, shares.of(worst["account_id"], worst["bits"].to_numpy(), NO_SCORE))
        found = pl.DataFrame({"account_id": shares.accounts, "circle": label}).filter(pl.col("circle") >= 0)
    gone = previous_groups.filter(pl.col("successor_id").is_not_null())["group_id"].to_list()
    return communities.name(found, members, previous_accounts, frozenset((*gone, *merged)), day)


def with_company(
    group_bits: pl.DataFrame, members: pl.DataFrame, known: pl.DataFrame, circle: communities.Circles
) -> pl.DataFrame:
    """Bits of each group today: what half of its members' company says, or its own as far as that bears it out.

    A group that went into another's circle has none any more.
    """
    half = (
        members.filter(~pl.col("doubtful"))
        .select("group_id", "account_id")
        .join(known.filter(pl.col("busy").is_not_null()).select("account_id", "kin_bits"), on="account_id")
        .group_by("group_id")
        .agg(pl.col("kin_bits").median().alias("half"))
    )
    return (
        group_bits.join(half, on="group_id", how="full", coalesce=True)
        .filter(~pl.col("group_id").is_in(list(circle.absorbed)))
        .select(
            "group_id",
            pl.when(pl.col("group_bits").is_null())
            .then("half")
            .otherwise(
                pl.max_horizontal(pl.min_horizontal("group_bits", pl.col("half") + LENT_ABOVE), "half")
            )
            .alias("group_bits"),
        )
        .drop_nulls()
        .sort("group_id")
    )


def group_kinds(members: pl.DataFrame, own: pl.DataFrame) -> pl.DataFrame:
    """Each group's kind: that of the most suspicious half of its members, by majority."""
    joined = members.join(own, on="account_id")
    half = joined.filter(pl.col("own_bits") >= pl.col("own_bits").median().over("group_id"))
    counted = half.group_by("group_id", "own_kind").len()
    return (
        counted.sort(["group_id", "len", "own_kind"], descending=[False, True, False])
        .group_by("group_id", maintain_order=True)
        .first()
        .select("group_id", pl.col("own_kind").alias("kind"))
    )

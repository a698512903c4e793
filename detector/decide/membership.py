"""Who stays a member, of which ring, and what the ring is for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import numpy as np
import numpy.typing as npt
import polars as pl

from detector.bits import NO_SCORE
from detector.link import communities
from detector.link.graph import EvidenceGraph
from detector.tuning import GROUP_ABOVE, LEAST_EVIDENCE, LEAST_SURE

Floats = npt.NDArray[np.float64]


def false_members(bond: pl.DataFrame) -> pl.Series:
    """Which members are likelier false members than of the operation, or cannot be shown to be of it.

    Members of whom the window holds nothing any more stand on what was known of them.
    """
    unsure, bare = pl.col("membership_probability") < LEAST_SURE, pl.col("evidence_bits") < LEAST_EVIDENCE
    return bond.select((unsure | bare.fill_null(False)).alias("false_member")).to_series()


def pruned(members: pl.DataFrame, groups: pl.DataFrame) -> pl.DataFrame:
    """Members without the ``false_member`` ones of groups worth a look; other groups as they are."""
    shown = pl.col("group_id").is_in(groups.filter(pl.col("verdict") != "clear")["group_id"].implode())
    return members.filter(~(shown & pl.col("false_member"))).drop("false_member")


def rings_of(
    graph: EvidenceGraph | None,
    accounts: pl.DataFrame,
    members: pl.DataFrame,
    previous_groups: pl.DataFrame,
    previous_accounts: pl.DataFrame,
    merged: Mapping[str, str],
    day: date,
) -> communities.Rings:
    """Today's rings of suspects, by the worst that is known of each, with the names they go by."""
    rings = pl.DataFrame(schema={"account_id": pl.String, "ring": pl.Int64})
    if graph is not None:
        worst = accounts.join(
            previous_accounts.select("account_id", "score_bits"), on="account_id", how="left"
        ).select("account_id", pl.max_horizontal("bits_today", "score_bits").alias("bits"))
        label = communities.find(graph, graph.of(worst["account_id"], worst["bits"].to_numpy(), NO_SCORE))
        rings = pl.DataFrame({"account_id": graph.accounts, "ring": label}).filter(pl.col("ring") >= 0)
    gone = previous_groups.filter(pl.col("successor_id").is_not_null())["group_id"].to_list()
    return communities.name(rings, members, previous_accounts, frozenset((*gone, *merged)), day)


def with_neighbours(
    group_bits: pl.DataFrame, members: pl.DataFrame, accounts: pl.DataFrame, ring: communities.Rings
) -> pl.DataFrame:
    """Bits of each group today: what half of its members' neighbours say, or its own as far as that bears it out.

    A group that went into another's ring has none any more.
    """
    half = (
        members.filter(~pl.col("false_member"))
        .select("group_id", "account_id")
        .join(
            accounts.filter(pl.col("busy").is_not_null()).select("account_id", "relational_bits"),
            on="account_id",
        )
        .group_by("group_id")
        .agg(pl.col("relational_bits").median().alias("half"))
    )
    return (
        group_bits.join(half, on="group_id", how="full", coalesce=True)
        .filter(~pl.col("group_id").is_in(list(ring.absorbed)))
        .select(
            "group_id",
            pl.when(pl.col("group_bits").is_null())
            .then("half")
            .otherwise(
                pl.max_horizontal(pl.min_horizontal("group_bits", pl.col("half") + GROUP_ABOVE), "half")
            )
            .alias("group_bits"),
        )
        .drop_nulls()
        .sort("group_id")
    )


def group_kinds(members: pl.DataFrame, own: pl.DataFrame) -> pl.DataFrame:
    """Each group's kind: that of the most suspicious half of its members, by majority."""
    joined = members.join(own, on="account_id")
    half = joined.filter(pl.col("conduct_bits") >= pl.col("conduct_bits").median().over("group_id"))
    counted = half.group_by("group_id", "conduct_kind").len()
    return (
        counted.sort(["group_id", "len", "conduct_kind"], descending=[False, True, False])
        .group_by("group_id", maintain_order=True)
        .first()
        .select("group_id", pl.col("conduct_kind").alias("kind"))
    )

"""Groups keep their names: today's communities are matched with yesterday's groups by the members they share.

A hydra is only partly visible on any day, loses heads to bans and grows others. Members therefore accumulate;
an account leaves a group only when the group merges into another or visibly splits.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date

import polars as pl

from detector.frames import Frame
from detector.tuning import CONTINUES, LEAST_PART, MERGES

MEMBERS: dict[str, type[pl.DataType]] = {
    "group_id": pl.String,
    "account_id": pl.String,
    "first_day": pl.Date,
    "last_day": pl.Date,
    "state": pl.String,
    "bond": pl.String,
    "strength_bits": pl.Float64,
    "spoofable": pl.Boolean,
    "membership_probability": pl.Float64,
    "similarity": pl.Float64,
    "linked_bits": pl.Float64,
}
#: What a day's grouping says of each account.
FOUND = {"account_id": pl.String, "label": pl.Int64} | {
    name: dtype
    for name, dtype in MEMBERS.items()
    if name not in ("group_id", "account_id", "first_day", "last_day", "state")
}
_KNOWN, _GROUPED = Frame("members", MEMBERS), Frame("grouped", FOUND)


@dataclass(frozen=True)
class Carried:
    """Members after the day (columns of ``MEMBERS``), and which groups went into which."""

    members: pl.DataFrame
    merged: dict[str, str]
    split: dict[str, str]


def track(
    previous: pl.DataFrame,
    communities: pl.DataFrame,
    *,
    day: date,
    present: pl.Series | None = None,
    suspects: frozenset[str] = frozenset(),
) -> Carried:
    """Match today's communities with the groups known so far.

    Parameters
    ----------
    previous : columns of ``MEMBERS``; everything known before the day.
    communities : columns of ``FOUND``; ``label`` is the community of today.
    present : accounts with keys in the window. A bond of similarity is drawn anew each day from the whole window:
        such a member stays on its old word only where the window holds nothing of it any more.
    suspects : groups whose verdict is not ``clear``. A community that holds members of one of them and of a clear
        group is two: an accident of a day must not hide an operation in an honest house, nor accuse the house.
    """
    previous, communities = _KNOWN.check(previous), _parted(previous, _GROUPED.check(communities), suspects)
    sizes = dict(communities.group_by("label").len().rows())
    live = previous
    common = (
        communities.join(live.select("account_id", "group_id"), on="account_id")
        .group_by("label", "group_id")
        .len("n")
        .sort(["n", "group_id", "label"], descending=[True, False, False])
    )
    group_sizes = dict(live.group_by("group_id").len().rows())
    name: dict[int, str] = {}
    taken: dict[str, int] = {}
    for label, group_id, n in common.iter_rows():
        enough = n >= max(2, CONTINUES * min(sizes[label], group_sizes[group_id]))
        if enough and label not in name and group_id not in taken:
            name[label], taken[group_id] = group_id, label
    merged: dict[str, str] = {}
    split: dict[str, str] = {}
    for label, group_id, n in common.iter_rows():
        if group_id not in taken and label in name and n >= max(2, MERGES * group_sizes[group_id]):
            merged.setdefault(group_id, name[label])
    first = communities.group_by("label").agg(pl.col("account_id").min().alias("head")).sort("head")
    for label, head in first.iter_rows():
        if label not in name:
            name[label] = new_group_id(day, head)
    for label, group_id, n in common.iter_rows():
        if group_id in taken and taken[group_id] != label and name[label] not in taken and n >= 2:
            split.setdefault(name[label], group_id)
    today = communities.select(
        pl.col("label").replace_strict(name, default=None, return_dtype=pl.String).alias("group_id"),
        *[c for c in FOUND if c != "label"],
    )
    if present is not None:
        live = live.filter((pl.col("bond") == "keys") | ~pl.col("account_id").is_in(present.implode()))
    return Carried(members=_accumulate(live, today, merged, split, day), merged=merged, split=split)


def _parted(previous: pl.DataFrame, communities: pl.DataFrame, suspects: frozenset[str]) -> pl.DataFrame:
    """Communities that join suspects with a clear group, cut in two; newcomers stay with the larger part."""
    verdicts = previous.select("account_id", pl.col("group_id").is_in(list(suspects)).alias("suspect"))
    of = communities.join(verdicts, on="account_id", how="left", maintain_order="left")
    counted = of.group_by("label").agg(
        pl.col("suspect").sum().alias("n_suspect"), (~pl.col("suspect")).sum().alias("n_clear")
    )
    both = counted.filter((pl.col("n_suspect") >= LEAST_PART) & (pl.col("n_clear") >= LEAST_PART))
    if both.is_empty():
        return communities
    larger = pl.col("n_suspect") >= pl.col("n_clear")
    leaves = pl.col("n_suspect").is_not_null() & ~pl.coalesce("suspect", larger)
    apart = int(communities["label"].max()) + 1  # type: ignore[arg-type]
    return (
        of.join(both, on="label", how="left", maintain_order="left")
        .select(
            pl.when(leaves).then(pl.col("label") + apart).otherwise("label").alias("label"),
            *[c for c in communities.columns if c != "label"],
        )
        .select(communities.columns)
    )


def _accumulate(
    live: pl.DataFrame, today: pl.DataFrame, merged: dict[str, str], split: dict[str, str], day: date
) -> pl.DataFrame:
    before = live.with_columns(pl.col("group_id").replace(merged))
    both = before.join(today, on="account_id", how="full", suffix="_today", coalesce=True)
    earlier, seen = pl.col("group_id").is_not_null(), pl.col("group_id_today").is_not_null()
    origin = pl.col("group_id_today").replace_strict(split, default=None, return_dtype=pl.String)
    stays = earlier & (
        ~seen
        | (pl.col("group_id") == pl.col("group_id_today"))
        | ((pl.col("strength_bits") >= pl.col("strength_bits_today")) & origin.ne_missing(pl.col("group_id")))
    )
    group = pl.when(stays).then("group_id").otherwise("group_id_today")
    here = seen & (~earlier | (group == pl.col("group_id_today")))
    return both.select(
        group.alias("group_id"),
        "account_id",
        pl.when(stays).then("first_day").otherwise(pl.lit(day)).alias("first_day"),
        pl.when(here).then(pl.lit(day)).otherwise("last_day").alias("last_day"),
        pl.lit("active").alias("state"),
        pl.when(stays & (pl.col("bond") == "keys") | ~here)
        .then("bond")
        .otherwise("bond_today")
        .alias("bond"),
        pl.max_horizontal(
            pl.when(stays).then("strength_bits"), pl.when(here).then("strength_bits_today")
        ).alias("strength_bits"),
        pl.min_horizontal(pl.when(stays).then("spoofable"), pl.when(here).then("spoofable_today"))
        .fill_null(False)
        .alias("spoofable"),
        pl.max_horizontal(
            pl.when(stays).then("membership_probability"), pl.when(here).then("membership_probability_today")
        ).alias("membership_probability"),
        *[
            pl.when(here).then(f"{name}_today").otherwise(name).alias(name)
            for name in ("similarity", "linked_bits")
        ],
    ).sort("group_id", "account_id")


def new_group_id(day: date, head: str) -> str:
    """Name of a new group: from the day it was found and its first member, so that a re-run repeats it."""
    return "g-" + hashlib.blake2b(f"{day}\0{head}".encode(), digest_size=6).hexdigest()

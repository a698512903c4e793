"""From measurements to verdicts: scores of groups and accounts for one day, and the worst of their lives.

Verdicts come from calibrated probabilities and the operator's alert budget alone. Contracted resellers,
exempted accounts and groups that only copyable evidence holds together are ``watch`` at most, whatever they
score; their score is not touched.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import polars as pl

from detector.bits import probability
from detector.config import Config
from detector.decide.budget import charged, limit_of, recent
from detector.decide.contributions import account_parts, group_parts
from detector.decide.history import fold_accounts, fold_groups, spared
from detector.decide.membership import false_members, group_kinds, pruned, rings_of, with_neighbours
from detector.link import communities, graph
from detector.score import additive
from detector.score.additive import Detector, likeliest_kind
from detector.score.fusion import accounts_before, group_evidence, with_relational
from detector.score.inputs import columns_of, group_columns, member_columns, score_frame

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Day:
    """What one day's scoring answers; tables in the columns of ``groups``, ``account_scores``, ``contributions``.

    ``members`` are those of ``groups``: candidates found by similarity alone are kept from the day they are worth
    a look, since every class and every tool's users form one. ``merged``: groups that went into another today, by
    the members they share or by the ring they lie in.
    """

    groups: pl.DataFrame
    accounts: pl.DataFrame
    parts: pl.DataFrame
    members: pl.DataFrame
    threshold: float
    merged: Mapping[str, str]


def decide(
    detector: Detector,
    *,
    day: date,
    config: Config,
    account_days: pl.DataFrame,
    group_days: pl.DataFrame,
    members: pl.DataFrame,
    previous_groups: pl.DataFrame,
    previous_accounts: pl.DataFrame,
    exempt: Collection[str],
    merged: Mapping[str, str],
    shared: Mapping[str, pl.DataFrame] | None = None,
    previous_members: pl.DataFrame | None = None,
) -> Day:
    """Score one day and fold it into what was known.

    Parameters
    ----------
    account_days, group_days : today's measurements.
    members : every group's members so far (tracking.MEMBERS and ``evidence_bits``).
    previous_groups, previous_accounts : yesterday's state tables (without ``day``).
    exempt : accounts that may be ``watch`` at most (``exemptions``).
    merged : groups that went into another today.
    shared : what accounts share in the window (``pipeline.Observe``); None: neighbours are not measured.
    previous_members : yesterday's ``group_members``; None: nobody was a member by its neighbours.
    """
    columns, n = columns_of(account_days), len(account_days)
    models = detector.fitting(columns)
    harvest, single = models.conduct.bits(columns, n), detector.single_account.bits(columns, n)
    conduct_bits = additive.conduct_bits(harvest, single)
    by_itself = single >= conduct_bits
    own = pl.DataFrame(
        {
            "account_id": account_days["account_id"],
            "conduct_bits": conduct_bits,
            "harvest_bits": harvest,
            "single_account_bits": single,
            "conduct_kind": pl.Series(_conduct_kinds(detector, columns, by_itself), dtype=pl.String),
            "n_requests": account_days["n_requests"].cast(pl.Int64),
        }
    )
    bond = members.select(
        "group_id",
        "account_id",
        "bond",
        "strength_bits",
        "spoofable",
        "membership_probability",
        "similarity",
        "linked_bits",
        "evidence_bits",
        pl.col("first_day").alias("joined"),
    )
    # Of a member it matters how much it looks like one of a harvest, undiscounted.
    undiscounted = own.select("account_id", pl.Series("conduct_bits", harvest))
    measured = group_columns(group_days, bond, undiscounted)
    sure = score_frame(detector.membership, member_columns(bond, measured, undiscounted))
    bond = bond.with_columns(pl.Series("membership_probability", probability(sure)))
    group_bits = pl.DataFrame(
        {"group_id": measured["group_id"], "group_bits": score_frame(models.group, measured)}
    )
    exempt = frozenset(exempt)
    evidence_of_groups = group_evidence(group_bits, previous_groups, day)
    shares = None if shared is None else graph.prepare(shared)
    known = with_relational(models, accounts_before(own, previous_accounts, bond, evidence_of_groups), shares)
    own = own.join(
        known.select("account_id", "without_group_bits"), on="account_id", how="left", maintain_order="left"
    )
    ring = rings_of(shares, known, members, previous_groups, previous_accounts, merged, day)
    members = communities.overlaid(
        members.with_columns(false_members(bond)), ring, known, previous_members, day
    )
    merged = {**merged, **ring.absorbed}
    today = with_neighbours(group_bits, members, known, ring)
    worst = today.join(previous_groups.select("group_id", "score_bits"), on="group_id", how="left").select(
        "group_id", pl.max_horizontal("group_bits", "score_bits").alias("group_bits")
    )
    own_account = charged(worst, own, members, config).filter(~pl.col("account_id").is_in(list(exempt)))
    limit = limit_of(
        recent(
            worst, previous_groups.filter(pl.col("successor_id").is_null()), "group_id", "group_bits", day
        ),
        recent(
            own_account,
            previous_accounts.filter(pl.col("group_id").is_null()),
            "account_id",
            "without_group_bits",
            day,
        ),
        n,
        config,
    )
    kind_of = group_kinds(members, own)
    groups = fold_groups(
        today, previous_groups, members, kind_of, own, evidence_of_groups, merged, exempt, limit, day, config
    )
    shown = members.select("account_id", "group_id")
    known = known.drop("group_id").join(shown, on="account_id", how="left", maintain_order="left")
    accounts = fold_accounts(
        known, previous_accounts, groups, exempt, own_account["account_id"], limit, day, config
    )
    groups = spared(groups, accounts, members.filter(~pl.col("false_member")), exempt)
    parts = pl.concat(
        [
            group_parts(models, measured, group_bits, today),
            *account_parts(models, detector, account_days, own, known, config),
        ]
    ).sort("subject_type", "subject_id", "bits", "feature", descending=[False, False, True, False])
    return _kept(
        Day(groups, accounts, parts, pruned(members, groups), limit, merged),
        frozenset(previous_groups["group_id"]),
    )


def _kept(day: Day, known: frozenset[str]) -> Day:
    """The day without candidates of similarity that nobody needs to look at; ``known``: groups kept before."""
    size = day.members.group_by("group_id").agg(
        pl.len().cast(pl.Int64).alias("n_members"), (pl.col("bond") == "keys").any().alias("keyed")
    )
    groups = day.groups.join(size, on="group_id", how="left", maintain_order="left").with_columns(
        pl.col("n_members").fill_null(0).alias("n_accounts")
    )
    # Without members left a group is one that merged, or whose members were all let go: it stays on record.
    passing = (
        (pl.col("verdict") == "clear") & ~pl.col("keyed") & ~pl.col("group_id").is_in(list(known))
    ).fill_null(False)
    gone = groups.filter(passing)["group_id"].implode()
    members = day.members.filter(~pl.col("group_id").is_in(gone))
    of_members = pl.col("account_id").is_in(members["account_id"].implode())
    return Day(
        groups.filter(~passing).drop("n_members", "keyed"),
        day.accounts.with_columns(pl.when(of_members).then("group_id").alias("group_id")),
        day.parts.filter((pl.col("subject_type") != "group") | ~pl.col("subject_id").is_in(gone)),
        members,
        day.threshold,
        day.merged,
    )


def _conduct_kinds(
    detector: Detector, columns: dict[str, Floats], by_itself: npt.NDArray[np.bool_]
) -> list[str]:
    """The likeliest kind of each account: of those one account commits alone where its own score is of them."""
    found = np.empty(len(by_itself), dtype=object)
    for which, kinds, default in (
        (by_itself, detector.single_account_kinds, "other"),
        (~by_itself, detector.kinds, "distillation"),
    ):
        some = {name: values[which] for name, values in columns.items()}
        found[which] = likeliest_kind(kinds, some, int(which.sum()), default=default)
    return found.tolist()

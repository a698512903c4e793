"""From measurements to verdicts: scores of groups and accounts for one day, and the peak of their lives.

Verdicts come from calibrated probabilities and the operator's alert budget. Contracted resellers, exempted accounts
and groups that only spoofable evidence holds together are ``watch`` at most, whatever they score; their score is not
touched.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import polars as pl

from detector.config import Config
from detector.decide.budget import charged, limit_of, recent
from detector.decide.contributions import account_contributions, group_contributions
from detector.decide.history import Fold, fold_accounts, fold_groups, spared
from detector.decide.membership import false_members, group_kinds, pruned, rings_of, with_neighbours
from detector.link import communities
from detector.score import scorer
from detector.score.detector import Detector, Models
from detector.score.scorer import Before, Scores, SiteDay


@dataclass(frozen=True)
class Previous:
    """State at the end of the day before: ``groups``, ``account_scores`` and ``group_members`` without ``day``.

    ``members`` None: nobody was a member for its neighbours.
    """

    groups: pl.DataFrame
    accounts: pl.DataFrame
    members: pl.DataFrame | None = None


@dataclass(frozen=True)
class Day:
    """What one day's scoring answers, in the columns of ``groups``, ``account_scores``, ``contributions``.

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


@dataclass(frozen=True)
class _Shown:
    """Groups as they are shown: members by ring, bits of today, and those of the peak."""

    members: pl.DataFrame
    today: pl.DataFrame
    peak: pl.DataFrame
    merged: Mapping[str, str]


def decide(
    detector: Detector,
    site: SiteDay,
    previous: Previous,
    *,
    config: Config,
    exempt: Collection[str],
    merged: Mapping[str, str],
) -> Day:
    """Score one day and fold it into what was known.

    ``exempt``: accounts that may be ``watch`` at most (``exemptions``). ``merged``: groups that went into another
    today, by the members they share.
    """
    models = detector.models_for(site.account_days)
    scores = scorer.score(models, site, Before.of(previous.accounts, previous.groups))
    accounts = scorer.fused(models, scores)
    own = scores.own.join(
        accounts.select("account_id", "without_group_bits"),
        on="account_id",
        how="left",
        maintain_order="left",
    )
    shown = _shown(scores, accounts, previous, merged)
    spare = frozenset(exempt)
    judged = charged(shown.peak, own, shown.members, config).filter(~pl.col("account_id").is_in(list(spare)))
    fold = Fold(site.day, config, spare, _limit(shown, judged, previous, site, config))
    groups = fold_groups(
        fold,
        today=shown.today,
        previous=previous.groups,
        members=shown.members,
        kinds=group_kinds(shown.members, own),
        own=own,
        evidence=scores.evidence_of_groups,
        merged=shown.merged,
    )
    by_ring = shown.members.select("account_id", "group_id")
    accounts = accounts.drop("group_id").join(by_ring, on="account_id", how="left", maintain_order="left")
    folded = fold_accounts(fold, accounts, previous.accounts, groups, judged["account_id"])
    groups = spared(groups, folded, shown.members.filter(~pl.col("false_member")), spare)
    day = Day(
        groups,
        folded,
        _contributions(models, scores, own, accounts, shown.today, config),
        pruned(shown.members, groups),
        fold.limit,
        shown.merged,
    )
    return _kept(day, frozenset(previous.groups["group_id"]))


def _shown(scores: Scores, accounts: pl.DataFrame, previous: Previous, merged: Mapping[str, str]) -> _Shown:
    """Rings of the day's suspects laid over the groups."""
    site = scores.site
    ring = rings_of(
        scores.neighbours, accounts, site.members, previous.groups, previous.accounts, merged, site.day
    )
    members = communities.overlaid(
        site.members.with_columns(false_members(scores.members)), ring, accounts, previous.members, site.day
    )
    today = with_neighbours(scores.groups.select("group_id", "group_bits"), members, accounts, ring)
    peak = today.join(previous.groups.select("group_id", "score_bits"), on="group_id", how="left").select(
        "group_id", pl.max_horizontal("group_bits", "score_bits").alias("group_bits")
    )
    return _Shown(members, today, peak, {**merged, **ring.absorbed})


def _limit(shown: _Shown, judged: pl.DataFrame, previous: Previous, site: SiteDay, config: Config) -> float:
    """Probability an alert needs today; ``judged``: accounts that stand for themselves."""
    present = previous.groups.filter(pl.col("successor_id").is_null())
    single = previous.accounts.filter(pl.col("group_id").is_null())
    return limit_of(
        recent(shown.peak, present, "group_id", "group_bits", site.day),
        recent(judged, single, "account_id", "without_group_bits", site.day),
        len(site.account_days),
        config,
    )


def _contributions(
    models: Models,
    scores: Scores,
    own: pl.DataFrame,
    accounts: pl.DataFrame,
    today: pl.DataFrame,
    config: Config,
) -> pl.DataFrame:
    """Rows of ``contributions``: those of one subject add up to its score of the day."""
    return pl.concat(
        [
            group_contributions(models, scores.groups, today),
            *account_contributions(models, scores.account_days, own, accounts, config),
        ]
    ).sort("subject_type", "subject_id", "bits", "feature", descending=[False, False, True, False])


def _kept(day: Day, before: frozenset[str]) -> Day:
    """The day without candidates of similarity that nobody needs to look at; ``before``: groups kept before."""
    size = day.members.group_by("group_id").agg(
        pl.len().cast(pl.Int64).alias("n_members"), (pl.col("bond") == "keys").any().alias("keyed")
    )
    groups = day.groups.join(size, on="group_id", how="left", maintain_order="left").with_columns(
        pl.col("n_members").fill_null(0).alias("n_accounts")
    )
    # Without members left a group is one that merged, or whose members were all pruned: it stays on record.
    passing = (
        (pl.col("verdict") == "clear") & ~pl.col("keyed") & ~pl.col("group_id").is_in(list(before))
    ).fill_null(False)
    gone = groups.filter(passing)["group_id"].implode()
    members = day.members.filter(~pl.col("group_id").is_in(gone))
    of_members = pl.col("account_id").is_in(members["account_id"].implode())
    return replace(
        day,
        groups=groups.filter(~passing).drop("n_members", "keyed"),
        accounts=day.accounts.with_columns(pl.when(of_members).then("group_id").alias("group_id")),
        parts=day.parts.filter((pl.col("subject_type") != "group") | ~pl.col("subject_id").is_in(gone)),
        members=members,
    )

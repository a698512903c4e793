"""Score fusion: how the scores of models become the one score of an account.

All are log-odds in bits (log2 of p / (1 - p)); ``*`` is the peak over the days so far. ``harvest`` and
``single_account`` are the largest heads of the conduct model (``score.conduct``), ``model`` is the relational model.

    conduct       = max(discount(harvest), single_account)
    contribution  = both(group, membership)                        if the bond is unspoofable and 3 bits of it are shown
                  = min(both(group, membership), max(conduct, harvest) + 2)                                    otherwise
    first         = model(harvest*, contribution, neighbours judged by harvest*)
    second        = model(harvest*, contribution, neighbours judged by first)
    relational    = min(second, max(conduct, harvest*, contribution, second over unspoofable keys) + 2)
    without_group = conduct                                        if the account shares no key with anybody
                  = max(single_account, relational)                otherwise
    today         = max(without_group, min(contribution, relational + 2))
    score         = probability(highest today of all days)

* ``discount``: evidence of one account's own conduct counts in full up to -3 bits and a quarter beyond, since an
  evaluation or a pipeline looks like a harvest.
* ``both``: log-odds that the group is an operation and that the account belongs to it.
* neighbours: the other organisations on each key the account holds (``score.relational``).
* What was not measured contributes nothing; a score that cannot be formed takes no part in a maximum.

The contributions of an account (``decide.contributions``) are the base rate and the features of the model that gave
``without_group``, then what a limit took off (``spoofable_limit``, ``discount``) and what the group added
(``group_contribution``).
"""

from __future__ import annotations

from datetime import date

import numpy as np
import numpy.typing as npt
import polars as pl

from detector.bits import UNKNOWN
from detector.tuning import GROUP_ABOVE, LEAST_EVIDENCE, SPOOFABLE_BITS

Floats = npt.NDArray[np.float64]


def group_evidence(today: pl.DataFrame, previous: pl.DataFrame, day: date) -> pl.DataFrame:
    """What each group may contribute.

    Columns: group_id, ``worst_bits`` (its peak), ``worst_day`` (the day of that), ``today_bits`` (NULL: not measured).
    ``today``: group_id, group_bits. ``previous``: yesterday's group_id, intrinsic_bits, intrinsic_day.
    """
    both = previous.select("group_id", "intrinsic_bits", "intrinsic_day").join(
        today.rename({"group_bits": "today_bits"}), on="group_id", how="full", coalesce=True
    )
    rises = pl.col("today_bits").is_not_null() & (
        pl.col("intrinsic_bits").is_null() | (pl.col("today_bits") > pl.col("intrinsic_bits"))
    )
    return both.select(
        "group_id",
        "today_bits",
        pl.max_horizontal("today_bits", "intrinsic_bits").alias("worst_bits"),
        pl.when(rises).then(pl.lit(day)).otherwise("intrinsic_day").alias("worst_day"),
    )


def _both(columns: pl.Series) -> pl.Series:
    """Log2 odds that a group is abusive and the member belongs to it, from the bits of the one and the other."""
    bits = columns.struct.field("group_bits").fill_null(np.nan).to_numpy()
    sure = columns.struct.field("membership_probability").fill_null(0.0).to_numpy()
    # odds of p * b with p = o / (1 + o): o b / (1 + o (1 - b))
    with np.errstate(over="ignore", divide="ignore"):
        joint = np.log2(np.maximum(sure, 1e-9)) - np.log2(np.exp2(-bits) + 1 - sure)
    return pl.Series(joint).fill_nan(None)


def group_contribution(bonds: pl.DataFrame) -> pl.Expr:
    """Bits that a group contributes to a member: that it is abusive, and that the member belongs to it.

    ``bonds``: group_bits, membership_probability, bond, spoofable, evidence_bits, conduct_bits, harvest_bits. A bond
    that is spoofable, or of which next to nothing can be shown, contributes little: the account's own conduct must
    carry the rest, undiscounted, since it has neighbours. Similarity is of many prompts of the account's own that
    nobody else sent.
    """
    shared = pl.Series(_both(bonds.select("group_bits", "membership_probability").to_struct()))
    holds = ((~pl.col("spoofable")).fill_null(False) | (pl.col("bond") == "similarity")) & (
        pl.col("evidence_bits") >= LEAST_EVIDENCE
    )
    conduct = pl.max_horizontal("conduct_bits", "harvest_bits").fill_null(UNKNOWN)
    return (
        pl.when(pl.col("group_bits").is_null())
        .then(None)
        .when(holds)
        .then(shared)
        .otherwise(pl.min_horizontal(shared, conduct + SPOOFABLE_BITS))
    )


def accounts_before(
    own: pl.DataFrame, previous: pl.DataFrame, bond: pl.DataFrame, evidence_of_groups: pl.DataFrame
) -> pl.DataFrame:
    """Every account known: today's conduct, its peak ``harvest_bits``, and ``group_contribution_bits``.

    ``own``: account_id, conduct_bits, harvest_bits, single_account_bits, conduct_kind, n_requests. ``previous``:
    yesterday's account_id and harvest_bits. ``bond``: what ties members to groups. ``evidence_of_groups``: of
    :func:`group_evidence`.
    """
    names = pl.concat([previous.select("account_id"), own.select("account_id"), bond.select("account_id")])
    before = previous.select("account_id", pl.col("harvest_bits").alias("before"))
    table = (
        names.unique()
        .sort("account_id")
        .join(own.rename({"n_requests": "busy"}), on="account_id", how="left")
        .join(before, on="account_id", how="left")
        .join(bond, on="account_id", how="left")
        .join(evidence_of_groups, on="group_id", how="left")
        .sort("account_id")
        # Who joined after the group's worst day was no part of what was so bad: the group as it is with him counts.
        .with_columns(
            pl.when(pl.col("joined") <= pl.col("worst_day"))
            .then("worst_bits")
            .otherwise("today_bits")
            .alias("group_bits"),
        )
    )
    return table.with_columns(group_contribution(table).alias("group_contribution_bits")).with_columns(
        pl.max_horizontal("harvest_bits", "before").alias("harvest_bits")
    )


def with_relational(accounts: pl.DataFrame) -> pl.DataFrame:
    """``accounts`` with ``relational_bits`` and the scores that follow from them.

    ``accounts``: of :func:`accounts_before`, with ``shares_keys``, ``relational_raw_bits`` (what the model says) and
    ``unspoofable_bits`` (what it says of unspoofable keys alone); the latter two are NULL where nothing is shared.

    Added: ``relational_bits`` of the account and its neighbours, NULL where it shares nothing;
    ``spoofable_limit_bits``, what the limit on spoofable evidence took off; ``without_group_bits``, the score without
    the group's contribution; ``bits_today``, the score of the day.
    """
    conduct = pl.max_horizontal("conduct_bits", "harvest_bits", "group_contribution_bits").fill_null(UNKNOWN)
    # What would be left if no key were spoofable, and a little more.
    limit = pl.max_horizontal(conduct, "unspoofable_bits") + SPOOFABLE_BITS
    limited = accounts.with_columns(
        pl.when("shares_keys").then(pl.min_horizontal("relational_raw_bits", limit)).alias("relational_bits")
    )
    without_group = (
        pl.when(pl.col("relational_bits").is_null())
        .then("conduct_bits")
        .otherwise(pl.max_horizontal("single_account_bits", "relational_bits"))
    )
    from_group = pl.min_horizontal("group_contribution_bits", pl.col("relational_bits") + GROUP_ABOVE)
    from_group = pl.when(pl.col("group_contribution_bits").is_not_null()).then(from_group)
    return limited.with_columns(
        (pl.col("relational_bits") - pl.col("relational_raw_bits")).alias("spoofable_limit_bits"),
        without_group.alias("without_group_bits"),
        pl.max_horizontal(without_group, from_group).alias("bits_today"),
    )

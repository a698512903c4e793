"""Score fusion: how the scores of models become the one score of an account.

All are log-odds in bits (log2 of p / (1 - p)); ``*`` is the peak over the days so far.

    own    = max(discount(harvest), single)                    harvest, single: models of the account's own day
    lent   = both(group, membership)                           if the bond cannot be planted and 3 bits of it can be shown
           = min(both(group, membership), max(own, harvest) + 2)                                             otherwise
    first  = model(harvest*, lent, neighbours judged by harvest*)
    second = model(harvest*, lent, neighbours judged by first)
    kin    = min(second, max(own, harvest*, lent, second over keys nobody can plant) + 2)
    alone  = own                     if the account shares no key with anybody
           = max(single, kin)        otherwise
    today  = max(alone, min(lent, kin + 2))
    score  = probability(highest today of all days)

* ``discount``: evidence of one account's own conduct counts in full up to -3 bits and a quarter beyond, since an
  evaluation or a pipeline looks like a harvest.
* ``both``: log-odds that the group is an operation and that the account belongs to it.
* neighbours: the other organisations on each key the account holds (``score.relational``).
* What was not measured contributes nothing; a score that cannot be formed takes no part in a maximum.

The contributions of an account (``decide.contributions``) are the base rate and the features of the model that gave
``alone``, then what a limit took off (``planted``, ``alone``) and what the group added (``group``).
"""

from __future__ import annotations

from datetime import date

import numpy as np
import numpy.typing as npt
import polars as pl

from detector.bits import UNKNOWN
from detector.link import graph
from detector.score import relational
from detector.score.additive import Variant
from detector.score.inputs import score_frame

Floats = npt.NDArray[np.float64]

#: What a bond that an attacker could have planted may add to an account's own log-odds at most (bits).
PLANTED_BITS = 2.0
#: A group lends little to a member of which fewer bits than this can be shown (the ``why`` of an alert): about two
#: keys that hardly anybody else holds. What a reviewer cannot be shown accuses nobody.
LEAST_EVIDENCE = 3.0
#: A group lends no more than so many bits above what the company says of the account.
LENT_ABOVE = 2.0


def lending(today: pl.DataFrame, previous: pl.DataFrame, day: date) -> pl.DataFrame:
    """What each group may lend: ``worst_bits`` of its life, of ``worst_day``, and ``today_bits`` (NULL: not measured).

    ``today``: group_id, group_bits. ``previous``: yesterday's ``groups``.
    """
    both = previous.select("group_id", "own_bits", "own_day").join(
        today.rename({"group_bits": "today_bits"}), on="group_id", how="full", coalesce=True
    )
    rises = pl.col("today_bits").is_not_null() & (
        pl.col("own_bits").is_null() | (pl.col("today_bits") > pl.col("own_bits"))
    )
    return both.select(
        "group_id",
        "today_bits",
        pl.max_horizontal("today_bits", "own_bits").alias("worst_bits"),
        pl.when(rises).then(pl.lit(day)).otherwise("own_day").alias("worst_day"),
    )


def _both(columns: pl.Series) -> pl.Series:
    """Log2 odds that a group is abusive and the member belongs to it, from the bits of the one and the other."""
    bits = columns.struct.field("group_bits").fill_null(np.nan).to_numpy()
    sure = columns.struct.field("belonging").fill_null(0.0).to_numpy()
    # odds of p * b with p = o / (1 + o): o b / (1 + o (1 - b))
    with np.errstate(over="ignore", divide="ignore"):
        joint = np.log2(np.maximum(sure, 1e-9)) - np.log2(np.exp2(-bits) + 1 - sure)
    return pl.Series(joint).fill_nan(None)


def lent(bonds: pl.DataFrame) -> pl.Expr:
    """Bits that a group lends a member: that it is abusive, and that the member belongs to it.

    ``bonds``: group_bits, belonging, bond, firm, evidence_bits, own_bits, harvest_bits. A bond that could have been
    planted, or of which next to nothing can be shown, lends little: the account's own conduct must carry the rest,
    undoubted, for it is not alone. Likeness is of many prompts of the account's own that nobody else sent.
    """
    shared = pl.Series(_both(bonds.select("group_bits", "belonging").to_struct()))
    holds = (pl.col("firm").fill_null(False) | (pl.col("bond") == "likeness")) & (
        pl.col("evidence_bits") >= LEAST_EVIDENCE
    )
    conduct = pl.max_horizontal("own_bits", "harvest_bits").fill_null(UNKNOWN)
    return (
        pl.when(pl.col("group_bits").is_null())
        .then(None)
        .when(holds)
        .then(shared)
        .otherwise(pl.min_horizontal(shared, conduct + PLANTED_BITS))
    )


def standing(
    own: pl.DataFrame, previous: pl.DataFrame, bond: pl.DataFrame, lends: pl.DataFrame
) -> pl.DataFrame:
    """Every account known: today's conduct, its worst ``harvest_bits``, and what its group lends (``lent_bits``).

    ``own``: account_id, own_bits, harvest_bits, lone_bits, own_kind, n_requests. ``previous``: yesterday's
    ``account_scores``. ``bond``: what ties members to groups. ``lends``: of :func:`lending`.
    """
    names = pl.concat([previous.select("account_id"), own.select("account_id"), bond.select("account_id")])
    before = previous.select("account_id", pl.col("harvest_bits").alias("before"))
    table = (
        names.unique()
        .sort("account_id")
        .join(own.rename({"n_requests": "busy"}), on="account_id", how="left")
        .join(before, on="account_id", how="left")
        .join(bond, on="account_id", how="left")
        .join(lends, on="group_id", how="left")
        .sort("account_id")
        # Who joined after the group's worst day was no part of what was so bad: the group as it is with him counts.
        .with_columns(
            pl.when(pl.col("joined") <= pl.col("worst_day"))
            .then("worst_bits")
            .otherwise("today_bits")
            .alias("group_bits"),
        )
    )
    return table.with_columns(lent(table).alias("lent_bits")).with_columns(
        pl.max_horizontal("harvest_bits", "before").alias("harvest_bits")
    )


def company(models: Variant, accounts: pl.DataFrame, shares: graph.Shares | None) -> pl.DataFrame:
    """``accounts`` (:func:`standing`) with the columns of ``relational.TERMS``, and what follows.

    ``kin_bits``: of the account and its company, NULL where it shares nothing. ``planted_bits``: what was taken off
    them because it could have been planted. ``alone_bits``: the account's score without its group's. ``bits_today``:
    its score.
    """
    found = _kin(models, accounts, shares)
    alone = (
        pl.when(pl.col("kin_bits").is_null())
        .then("own_bits")
        .otherwise(pl.max_horizontal("lone_bits", "kin_bits"))
    )
    lends = pl.min_horizontal("lent_bits", pl.col("kin_bits") + LENT_ABOVE)
    return found.with_columns(
        alone.alias("alone_bits"),
        pl.max_horizontal(alone, pl.when(pl.col("lent_bits").is_not_null()).then(lends)).alias("bits_today"),
    )


def _kin(models: Variant, accounts: pl.DataFrame, shares: graph.Shares | None) -> pl.DataFrame:
    if shares is None:
        nothing = [pl.lit(None, pl.Float64).alias(name) for name in ("kin_bits", "firm_bits", "planted_bits")]
        return accounts.with_columns(nothing)

    known = accounts["account_id"]
    first = relational.beside(accounts, shares, known, accounts["harvest_bits"].fill_null(UNKNOWN).to_numpy())
    said = score_frame(models.kin_first, first)
    table = relational.beside(accounts, shares, known, said)
    # What of it would be left if everything that anybody can plant were not there, and a little more.
    firm = score_frame(models.kin, relational.beside(accounts, shares, known, said, firm_only=True))
    table = table.with_columns(kin_raw=score_frame(models.kin, table), firm_bits=firm)
    conduct = pl.max_horizontal("own_bits", "harvest_bits", "lent_bits").fill_null(UNKNOWN)
    present = pl.col("account_id").is_in(shares.accounts.implode())
    limit = pl.max_horizontal(conduct, "firm_bits") + PLANTED_BITS
    return table.with_columns(
        pl.when(present).then(pl.min_horizontal("kin_raw", limit)).alias("kin_bits")
    ).with_columns((pl.col("kin_bits") - pl.col("kin_raw")).alias("planted_bits"))

"""How many alerts may be wrong: the operator's budget of expected false positives, kept over a week."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from detector.bits import probability
from detector.config import Config
from detector.tuning import BUDGET_DAYS

Floats = npt.NDArray[np.float64]


def charged(
    group_bits: pl.DataFrame, own: pl.DataFrame, members: pl.DataFrame, config: Config
) -> pl.DataFrame:
    """Rows of ``own`` of accounts that stand for themselves: members of a group that may itself alert do not."""
    suspect = group_bits.filter(
        pl.Series(probability(group_bits["group_bits"].to_numpy()) >= config.alert_floor)
    )
    return own.join(members.join(suspect, on="group_id", how="semi"), on="account_id", how="anti")


def recent(today: pl.DataFrame, previous: pl.DataFrame, key: str, bits: str, day: date) -> Floats:
    """Bits of the subjects that the budget of the last ``BUDGET_DAYS`` is charged for.

    Those of ``today`` and those alerted in that time, at the worst of the two; who was alerted before and has not
    grown worse since is paid for.
    """
    alerted = previous.filter(pl.col("verdict") == "alert").select(key, "score_day", "score_bits")
    fresh = pl.col("score_day") > day - timedelta(days=BUDGET_DAYS)
    both = today.select(key, bits).join(alerted, on=key, how="full", coalesce=True)
    due = both.filter(pl.col("score_day").is_null() | fresh | (pl.col(bits) > pl.col("score_bits")))
    worst: Floats = due.select(pl.max_horizontal(bits, "score_bits")).to_series().to_numpy()
    return worst


def limit_of(groups: Floats, accounts: Floats, n: int, config: Config) -> float:
    """Probability an alert needs today: the budget of ``n`` accounts is spent over groups and accounts together."""
    budget = BUDGET_DAYS * config.alert_budget * n / 10_000
    return threshold(probability(np.r_[groups, accounts]), budget=budget, floor=config.alert_floor)


def threshold(scores: Floats, *, budget: float, floor: float) -> float:
    """What a score must reach for an alert so that the expected number of honest ones stays within ``budget``.

    ``scores`` are calibrated probabilities; the expectation is the sum of their complements over the highest.
    The answer lies just above the first score that would break the budget; it is ``floor`` when none does.
    """
    ordered = np.sort(scores[scores >= floor])[::-1]
    if not len(ordered):
        return floor
    breaks = np.flatnonzero(np.cumsum(1 - ordered) > budget)
    return float(np.nextafter(ordered[breaks[0]], 2.0)) if len(breaks) else floor

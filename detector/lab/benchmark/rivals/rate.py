"""The rate limit: the account that sends most on any day is the most suspicious."""

from __future__ import annotations

import polars as pl


def score(requests: pl.DataFrame, accounts: pl.DataFrame, account_days: pl.DataFrame) -> pl.DataFrame:
    """Most requests of each account on one day."""
    daily = requests.group_by("account_id", "day").len()
    return daily.group_by("account_id").agg(pl.col("len").max().cast(pl.Float64).alias("score"))

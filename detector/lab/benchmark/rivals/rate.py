"""The rate limit: whoever sends most on any day is most suspicious."""

from __future__ import annotations

import polars as pl


def score(requests: pl.DataFrame, accounts: pl.DataFrame, account_days: pl.DataFrame) -> pl.DataFrame:
    """Most requests an account sent on one day."""
    daily = requests.group_by("account_id", "day").len()
    return daily.group_by("account_id").agg(pl.col("len").max().cast(pl.Float64).alias("score"))

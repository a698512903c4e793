"""Isolation forest (Liu, Ting, Zhou 2008) on the account measurements: rare values are isolated early."""

from __future__ import annotations

import numpy as np
import polars as pl
from sklearn.ensemble import IsolationForest


def score(requests: pl.DataFrame, accounts: pl.DataFrame, account_days: pl.DataFrame) -> pl.DataFrame:
    """Isolation of each account by the mean and the maximum over its days of every numeric measurement."""
    numeric = [n for n, t in account_days.schema.items() if t.is_numeric()]
    table = (
        account_days.group_by("account_id")
        .agg(
            *(pl.col(n).mean().alias(f"{n}_mean") for n in numeric),
            *(pl.col(n).max().alias(f"{n}_max") for n in numeric),
        )
        .sort("account_id")
    )
    values = table.drop("account_id").cast(pl.Float64).to_numpy().copy()
    measured = ~np.isnan(values).all(axis=0)
    values = values[:, measured]
    # A NULL becomes the median, which isolates no account.
    middle = np.nanmedian(values, axis=0) if values.size else np.zeros(values.shape[1])
    values = np.where(np.isnan(values), middle, values)
    if len(values) < 2 or not values.shape[1]:
        return table.select("account_id", pl.lit(0.0).alias("score"))
    fitted = IsolationForest(n_estimators=200, random_state=0).fit(values)
    return table.select("account_id", pl.Series("score", -fitted.score_samples(values)))

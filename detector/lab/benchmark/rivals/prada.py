"""PRADA (Juuti et al., EuroS&P 2019): made queries lie at distances that do not follow a normal law.

The original takes image distances a client; here the distance of each prompt to the nearest earlier one of
its account, estimated from sketches. The test statistic is Shapiro and Wilk's W after dropping outliers.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy.stats import shapiro

from detector.lab.benchmark.rivals.sketches import Floats, nearest_before, words

#: Distances an account needs; the paper waits for a hundred, which light accounts never reach.
LEAST = 10
#: Prompts of an account looked at, oldest first.
MOST = 200


def unlikeness(distance: Floats) -> float:
    """1 - W of the distances within three standard deviations; NaN: too few, or all alike."""
    if len(distance) < LEAST:
        return float("nan")
    kept = distance[np.abs(distance - distance.mean()) <= 3 * distance.std()]
    if len(kept) < LEAST or np.ptp(kept) == 0:
        return float("nan")
    return 1.0 - float(shapiro(kept).statistic)


def score(requests: pl.DataFrame, accounts: pl.DataFrame, account_days: pl.DataFrame) -> pl.DataFrame:
    """How far each account's distances are from normal."""
    rows = requests.select("account_id", "ts", "prompt_sketch").drop_nulls().sort("ts")
    found = [
        (str(name), unlikeness(nearest_before(words(part["prompt_sketch"].head(MOST)))))
        for (name,), part in rows.group_by("account_id", maintain_order=True)
    ]
    return pl.DataFrame(found, schema={"account_id": pl.String, "score": pl.Float64}, orient="row")

"""PRADA (Juuti et al., EuroS&P 2019): the distances between synthetic queries do not follow a normal law.

The original uses the image distances of each client. Here it is the distance of each prompt to the nearest earlier
prompt of its account, estimated from sketches. The test statistic is Shapiro and Wilk's W after dropping outliers.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy.stats import shapiro

from detector.lab.benchmark.rivals.sketches import Floats, nearest_before, words

#: Fewest distances of a tested account. The paper waits for a hundred, which light accounts never reach.
LEAST = 10
#: Most prompts of an account that are compared, oldest first.
MOST = 200


def unlikeness(distance: Floats) -> float:
    """1 - W of the distances within three standard deviations. NaN where they are too few or all equal."""
    if len(distance) < LEAST:
        return float("nan")
    kept = distance[np.abs(distance - distance.mean()) <= 3 * distance.std()]
    if len(kept) < LEAST or np.ptp(kept) == 0:
        return float("nan")
    return 1.0 - float(shapiro(kept).statistic)


def score(requests: pl.DataFrame, accounts: pl.DataFrame, account_days: pl.DataFrame) -> pl.DataFrame:
    """Deviation of each account's distances from a normal law."""
    rows = requests.select("account_id", "ts", "prompt_sketch").drop_nulls().sort("ts")
    scores = [
        (str(name), unlikeness(nearest_before(words(part["prompt_sketch"].head(MOST)))))
        for (name,), part in rows.group_by("account_id", maintain_order=True)
    ]
    return pl.DataFrame(scores, schema={"account_id": pl.String, "score": pl.Float64}, orient="row")

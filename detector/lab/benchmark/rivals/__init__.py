"""Published ways of finding harvesters, run on the same lake as ours.

A rival reads the lake and gives each account a score; higher means more suspicious. Accounts without a score get the
lowest one. A rival sees the whole window at once, which is easier than our nightly run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from detector.lab.benchmark.rivals import components, forest, linker, mmd, prada, rate


@dataclass(frozen=True)
class Rival:
    """``score(requests, accounts, account_days)`` gives ``account_id, score``."""

    name: str
    about: str
    score: Callable[[pl.DataFrame, pl.DataFrame, pl.DataFrame], pl.DataFrame]


RIVALS: tuple[Rival, ...] = (
    Rival("rate limit", "most requests on a day", rate.score),
    Rival("isolation forest", "isolation forest on the account measurements", forest.score),
    Rival("shared cards and addresses", "size of the component joined by card or address", components.score),
    Rival("PRADA", "distances between an account's prompts do not look normal", prada.score),
    Rival(
        "MMD, sketches", "maximum mean discrepancy of prompt sketches against the site", mmd.score_sketches
    ),
    Rival("MMD, measurements", "the same on what ingest measured of each request", mmd.score_measured),
    Rival("timing linker", "accounts active in the same hours, joined", linker.score),
)


def rival_scores(requests: pl.DataFrame, accounts: pl.DataFrame, account_days: pl.DataFrame) -> pl.DataFrame:
    """``rival, account_id, score``, one row for each rival and account with requests."""
    seen = requests.select("account_id").unique().sort("account_id")
    scores = []
    for rival in RIVALS:
        scored = rival.score(requests, accounts, account_days).select(
            "account_id", pl.col("score").cast(pl.Float64)
        )
        lowest = scored["score"].fill_nan(None).min()
        floor = (float(lowest) if isinstance(lowest, float) else 0.0) - 1.0
        scores.append(
            seen.join(scored, on="account_id", how="left").select(
                pl.lit(rival.name).alias("rival"),
                "account_id",
                pl.col("score").fill_nan(None).fill_null(floor),
            )
        )
    return pl.concat(scores)

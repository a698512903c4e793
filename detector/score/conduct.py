"""Conduct score: what one account's own day says, kind of abuse by kind.

The conduct model is a multinomial logit with "honest" as its baseline, one additive head a kind of abuse, fitted one
by one against the honest (individualised fits: Begg and Gray, 1984). Two readings of its heads enter the score.
*Harvest* is the largest head of a kind that takes many accounts. *Single-account abuse* is the largest head of a kind
that one account commits by itself.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from detector.bits import NO_SCORE
from detector.score.additive import Additive
from detector.score.inputs import columns_of
from detector.tuning import DISCOUNT_FROM, DISCOUNT_SLOPE

Floats = npt.NDArray[np.float64]

#: Kinds of abuse that one account commits by itself.
SINGLE_ACCOUNT_KINDS = ("logit_extraction", "key_compromise", "key_sharing")
#: Kind of a harvest where no head says which.
HARVEST = "distillation"


def head_bits(heads: Mapping[str, Additive], account_days: pl.DataFrame) -> dict[str, Floats]:
    """Calibrated log2 odds of each kind of abuse against honest conduct, a value an account-day."""
    columns, n = columns_of(account_days), len(account_days)
    return {kind: head.bits(columns, n) for kind, head in heads.items()}


def discounted(harvest: Floats, single_account: Floats) -> Floats:
    """Conduct bits: those of harvest, discounted, or those of single-account abuse where they are more."""
    beyond = DISCOUNT_FROM + DISCOUNT_SLOPE * (harvest - DISCOUNT_FROM)
    return np.maximum(np.where(harvest > DISCOUNT_FROM, beyond, harvest), single_account)


def read(bits: Mapping[str, Floats], account_days: pl.DataFrame) -> pl.DataFrame:
    """Both readings of the heads, a row an account: what ``fusion`` and the verdicts take of an account's own day.

    Columns: account_id, n_requests, harvest_bits, harvest_kind, single_account_bits, single_account_kind,
    conduct_bits, conduct_kind.
    """
    n = len(account_days)
    harvest, harvest_kind = _largest(
        {k: b for k, b in bits.items() if k not in SINGLE_ACCOUNT_KINDS}, n, HARVEST
    )
    single, single_kind = _largest({k: b for k, b in bits.items() if k in SINGLE_ACCOUNT_KINDS}, n, "other")
    conduct = discounted(harvest, single)
    return pl.DataFrame(
        {
            "account_id": account_days["account_id"],
            "n_requests": account_days["n_requests"].cast(pl.Int64),
            "harvest_bits": harvest,
            "harvest_kind": harvest_kind,
            "single_account_bits": single,
            "single_account_kind": single_kind,
            "conduct_bits": conduct,
        }
    ).with_columns(
        pl.when(pl.col("single_account_bits") >= pl.col("conduct_bits"))
        .then("single_account_kind")
        .otherwise("harvest_kind")
        .alias("conduct_kind")
    )


def _largest(bits: Mapping[str, Floats], n: int, default: str) -> tuple[Floats, pl.Series]:
    """The largest of some heads and its kind; ``NO_SCORE`` and ``default`` where there is none."""
    if not bits:
        return np.full(n, NO_SCORE), pl.Series([default] * n, dtype=pl.String)
    kinds = sorted(bits)
    stacked = np.vstack([bits[kind] for kind in kinds])
    best = stacked.argmax(axis=0)
    return stacked.max(axis=0), pl.Series(np.array(kinds, dtype=object)[best].tolist(), dtype=pl.String)

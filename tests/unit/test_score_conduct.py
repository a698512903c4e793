"""Conduct: the heads of one account's own day, and the two readings of them."""

from __future__ import annotations

import numpy as np
import polars as pl

from detector.bits import NO_SCORE
from detector.score import conduct
from detector.score.additive import Additive, Term

DAYS = pl.DataFrame({"account_id": ["a", "b"], "n_requests": [3, 4], "x": [0.0, 2.0]})


def head(low: float, high: float) -> Additive:
    return Additive((Term("x", np.array([1.0]), np.array([low, high])),), base=0.0)


def test_each_reading_is_the_largest_of_its_heads() -> None:
    heads = {
        "distillation": head(-4, -1),
        "resale": head(-6, 0),
        "key_sharing": head(-9, -9),
        "logit_extraction": head(-8, 3),
    }
    rows = conduct.read(conduct.head_bits(heads, DAYS), DAYS)
    assert rows["harvest_bits"].to_list() == [-4.0, 0.0]
    assert rows["harvest_kind"].to_list() == ["distillation", "resale"]
    assert rows["single_account_bits"].to_list() == [-8.0, 3.0]
    assert rows["single_account_kind"].to_list() == ["logit_extraction", "logit_extraction"]
    # Beyond -3 bits a harvest counts a quarter.
    assert rows["conduct_bits"].to_list() == [-4.0, 3.0]
    assert rows["conduct_kind"].to_list() == ["distillation", "logit_extraction"]
    assert rows["n_requests"].to_list() == [3, 4]


def test_harvest_is_discounted_and_single_account_abuse_is_not() -> None:
    assert conduct.discounted(np.array([-5.0, -3.0, 1.0]), np.array([-9.0] * 3)).tolist() == [
        -5.0,
        -3.0,
        -2.0,
    ]
    assert conduct.discounted(np.array([1.0]), np.array([0.5])).tolist() == [0.5]


def test_without_heads_there_is_no_score() -> None:
    rows = conduct.read({}, DAYS)
    assert rows["harvest_bits"].to_list() == rows["single_account_bits"].to_list() == [NO_SCORE, NO_SCORE]
    assert rows["harvest_kind"].to_list() == ["distillation", "distillation"]
    assert conduct.read({}, DAYS.clear()).is_empty()

"""No single field of a world may give the attackers away; the check itself must find leaks put there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from detector.lab.worlds.leaks import CEILING, account_fields, auc, clean_world, leak_check
from detector.lab.worlds.world import World, WorldSpec, make_world

SPEC = WorldSpec(seed=900_201, days=4, honest_accounts=450, attacker_share=0.07)


@pytest.mark.parametrize("evasion_level", [2, 3])
@pytest.mark.parametrize("seed", [900_201, 900_202, 900_203])
def test_no_field_leaks_on_the_careful_levels(evasion_level: int, seed: int) -> None:
    found = leak_check(make_world(replace(SPEC, seed=seed, evasion_level=evasion_level)))
    assert len(found) > 50
    assert found["auc"][0] <= CEILING, found.head(5).rows()


def test_a_spoofable_leak_is_found() -> None:
    made = make_world(replace(SPEC, evasion_level=3, honest_accounts=300))
    crew = made.truth.filter(pl.col("label") == 1)["account_id"].implode()
    marked = made.requests.with_columns(
        stream=pl.when(pl.col("account_id").is_in(crew)).then(True).otherwise(pl.lit(False))
    )
    found = leak_check(replace(made, requests=marked))
    assert found.row(0) == ("stream_share", pytest.approx(1.0))


def test_naive_attackers_do_show() -> None:
    found = leak_check(make_world(replace(SPEC, evasion_level=0, campaigns=("cot_rubric",))))
    assert found["auc"][0] > CEILING


def test_auc_counts_ties_half_and_stands_unknowns_in_the_middle() -> None:
    label = np.array([False, False, True, True])
    assert auc(np.array([1.0, 2.0, 3.0, 4.0]), label) == 1.0
    assert auc(np.array([1.0, 1.0, 1.0, 1.0]), label) == 0.5
    assert auc(np.array([2.0, np.nan, np.nan, 2.0]), label) == 0.5
    assert auc(np.array([1.0, 2.0]), np.array([True, True])) == 0.5


def test_honest_traffic_differs_between_evasion_levels() -> None:
    worlds = [make_world(replace(SPEC, evasion_level=r, honest_accounts=200, days=2)) for r in (1, 2)]
    assert not set(worlds[0].requests["prompt"].head(500)) >= set(worlds[1].requests["prompt"].head(500))


def test_a_world_that_passes_is_given() -> None:
    made = clean_world(replace(SPEC, evasion_level=2, honest_accounts=300))
    assert leak_check(made)["auc"][0] <= CEILING


def honest(made: World) -> pl.DataFrame:
    return account_fields(made).join(made.truth.filter(pl.col("label") == 0), on="account_id")


def test_the_ways_a_world_lies() -> None:
    """What a simulated world must not do, one assertion each."""
    made = make_world(replace(SPEC, evasion_level=2, honest_accounts=900, days=5))
    truth = made.truth
    crew = truth.filter(pl.col("label") == 1)
    facts = made.accounts.join(truth, on="account_id")
    good, bad = facts.filter(pl.col("label") == 0), facts.filter(pl.col("label") == 1)
    # Honest issuers are not uniform, and honest customers use every issuer, pathway and programme attackers
    # use.
    issuers = good.drop_nulls("payment_bin").group_by("payment_bin").len()["len"].sort(descending=True)
    assert int(issuers.head(5).sum()) > 0.15 * int(issuers.sum())
    for column in ("payment_bin", "pathway", "program"):
        assert len(set(bad[column].drop_nulls()) - set(good[column])) <= 0.1 * bad[column].n_unique()
    # Honest sessions may have one turn, harvest may have several.
    ids = made.harvest.implode()
    harvest = made.requests.filter(pl.col("request_id").is_in(ids))
    rest = made.requests.join(truth.filter(pl.col("label") == 0).select("account_id"), on="account_id")
    for part in (harvest, rest):
        turns = part.drop_nulls("session_id").group_by("session_id").agg(pl.col("turn").max())["turn"]
        assert 0.1 < (turns == 1).sum() / len(turns) < 0.95
    # Harvest varies its parameters and models, and repeats some prompts.
    assert harvest["temperature"].n_unique() >= 4
    assert harvest["max_tokens"].n_unique() >= 4
    assert harvest["model"].n_unique() >= 4
    assert harvest["prompt"].n_unique() < len(harvest)
    # Some accounts of a network only carry customers, and addresses are shared with strangers.
    assert crew.filter(pl.col("harvest_share") == 0).height > 0
    seen = set(harvest["source_ip"])
    assert rest.filter(pl.col("source_ip").is_in(list(seen)))["account_id"].n_unique() > 3
    # The new model is used by the honest as well.
    assert rest.filter(pl.col("model") == "meridian-5-large")["account_id"].n_unique() > 20

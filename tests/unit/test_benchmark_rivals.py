"""Rivals on frames small enough to see what they must say."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from detector.lab.benchmark.rivals import (
    RIVALS,
    components,
    forest,
    linker,
    mmd,
    prada,
    rate,
    rival_scores,
    sketches,
)
from detector.lake.rows import empty

START = datetime(2026, 3, 2, 8)


def sketch(rng: np.random.Generator, *, like: bytes | None = None, changed: int = 32) -> bytes:
    made = rng.integers(0, 2**32, 32, dtype=np.uint32)
    if like is not None:
        made[changed:] = np.frombuffer(like, "<u4")[changed:]
    return made.astype("<u4").tobytes()


def requests(rows: list[dict[str, object]]) -> pl.DataFrame:
    full = [{"request_id": f"r{i}", "ts": START, "day": START.date(), **row} for i, row in enumerate(rows)]
    types = dict(empty("requests").schema)
    return pl.DataFrame(full, schema={n: types[n] for n in types}, strict=False)


def score_of(frame: pl.DataFrame) -> dict[str, float]:
    return dict(frame.select("account_id", "score").iter_rows())


NONE = (empty("accounts"), empty("account_days"))


def test_rate_is_the_busiest_day() -> None:
    rows = [{"account_id": "a", "day": START.date() + timedelta(days=d)} for d in (0, 0, 0, 1)]
    assert score_of(rate.score(requests(rows), *NONE)) == {"a": 3.0}


def test_components_join_cards_and_addresses_but_not_carriers() -> None:
    rows: list[dict[str, object]] = [
        {"account_id": n, "ip_hash": ip} for n, ip in (("a", "1"), ("b", "1"), ("c", "2"))
    ]
    rows += [{"account_id": f"n{i}", "ip_hash": "nat"} for i in range(components.MOST_HOLDERS + 1)]
    accounts = pl.DataFrame(
        [{"account_id": "b", "payment_hash": "p"}, {"account_id": "c", "payment_hash": "p"}],
        schema=dict(empty("accounts").schema),
    )
    found = score_of(components.score(requests(rows), accounts, empty("account_days")))
    assert found["a"] == found["b"] == found["c"] == 3.0
    assert found["n0"] == 1.0


def test_forest_isolates_the_odd_account_and_ignores_what_nobody_measured() -> None:
    rng = np.random.default_rng(0)
    table = pl.DataFrame(
        {
            "account_id": [f"a{i}" for i in range(60)],
            "x": [*rng.normal(size=59).tolist(), 40.0],
            "y": [None, *rng.normal(size=58).tolist(), -30.0],
            "never": pl.Series([None] * 60, dtype=pl.Float64),
        }
    )
    found = score_of(forest.score(requests([]), empty("accounts"), table))
    assert max(found, key=found.__getitem__) == "a59"


def test_nearest_earlier_sketch() -> None:
    rng = np.random.default_rng(1)
    first = sketch(rng)
    series = pl.Series([first, sketch(rng, like=first, changed=8), first])
    assert sketches.nearest_before(sketches.words(series)).tolist() == [0.25, 0.0]


def test_prada_tells_two_heaps_of_distances_from_one_bell() -> None:
    rng = np.random.default_rng(2)
    bell = rng.normal(0.5, 0.05, 60)
    heaps = np.r_[np.full(30, 0.1), np.full(30, 0.9)] + rng.normal(0, 0.005, 60)
    assert prada.unlikeness(heaps) > 3 * prada.unlikeness(bell)
    assert np.isnan(prada.unlikeness(bell[:5]))
    assert np.isnan(prada.unlikeness(np.ones(50)))


def test_mmd_on_sketches_finds_the_scaffolded_account() -> None:
    rng = np.random.default_rng(3)
    scaffold = sketch(rng)
    rows: list[dict[str, object]] = [
        {"account_id": f"h{i % 20:02d}", "prompt_sketch": sketch(rng)} for i in range(400)
    ]
    rows += [
        {"account_id": "bad", "prompt_sketch": sketch(rng, like=scaffold, changed=16)} for _ in range(20)
    ]
    found = score_of(mmd.score_sketches(requests(rows), *NONE))
    assert max(found, key=found.__getitem__) == "bad"
    others = [v for k, v in found.items() if k != "bad"]
    # Unbiased: a window of the site itself lies near nought, not at its own 1/n.
    assert abs(float(np.mean(others))) < 0.1


def test_mmd_on_measurements_finds_the_odd_account() -> None:
    rng = np.random.default_rng(4)
    rows: list[dict[str, object]] = [
        {
            "account_id": f"h{i % 20:02d}",
            "prompt_chars": int(np.exp(rng.normal(5, 1))),
            "elicitation_score": rng.beta(1, 9),
        }
        for i in range(400)
    ]
    rows += [{"account_id": "bad", "prompt_chars": 150, "elicitation_score": 0.95} for _ in range(20)]
    found = score_of(mmd.score_measured(requests(rows), *NONE))
    assert max(found, key=found.__getitem__) == "bad"


def test_linker_joins_those_who_keep_the_same_hours() -> None:
    rng = np.random.default_rng(5)
    rows: list[dict[str, object]] = []
    shared = rng.choice(120, 12, replace=False).tolist()
    for i in range(4):
        rows += [{"account_id": f"bot{i}", "ts": START + timedelta(hours=h)} for h in shared[i % 2 :]]
    for i in range(20):
        own = rng.choice(120, 12, replace=False).tolist()
        rows += [{"account_id": f"man{i:02d}", "ts": START + timedelta(hours=h)} for h in own]
    rows += [{"account_id": "brief", "ts": START}]
    found = score_of(linker.score(requests(rows), *NONE))
    assert all(4 <= found[f"bot{i}"] < 5 for i in range(4))
    assert all(found[f"man{i:02d}"] < 2 for i in range(20))
    assert "brief" not in found


def test_every_rival_scores_every_account_once_and_the_unknown_lowest() -> None:
    rng = np.random.default_rng(6)
    known = sketch(rng)
    rows: list[dict[str, object]] = [
        {
            "account_id": f"a{i % 5}",
            "ts": START + timedelta(hours=i % 40),
            "prompt_sketch": sketch(rng, like=known, changed=int(rng.integers(4, 32))),
            "prompt_chars": 50 + i,
        }
        for i in range(100)
    ]
    rows += [{"account_id": "quiet"}]
    days = pl.DataFrame({"account_id": [f"a{i}" for i in range(5)], "n_requests": [20] * 5})
    table = rival_scores(requests(rows), empty("accounts"), days)
    assert table.group_by("rival").len()["len"].to_list() == [6] * len(RIVALS)
    assert table["score"].is_finite().all()
    least = table.filter((pl.col("rival") == "PRADA") & (pl.col("account_id") != "quiet"))["score"].min()
    quiet = table.filter((pl.col("rival") == "PRADA") & (pl.col("account_id") == "quiet"))["score"][0]
    assert quiet < least


@pytest.mark.parametrize("rival", RIVALS, ids=lambda r: r.name)
def test_rivals_stand_a_site_without_text_or_facts(rival: object) -> None:
    rows = [{"account_id": f"a{i % 3}", "ts": START + timedelta(hours=i)} for i in range(30)]
    days = pl.DataFrame({"account_id": ["a0", "a1", "a2"], "n_requests": [10, 10, 10]})
    found = rival.score(requests(rows), empty("accounts"), days)  # type: ignore[attr-defined]
    assert set(found["account_id"]) <= {"a0", "a1", "a2"}

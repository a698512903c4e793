"""Figures against cases small enough to count by hand."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from detector.lab.benchmark import figures
from detector.lab.benchmark.figures import Tally
from detector.lab.benchmark.replay import Replayed
from detector.lab.benchmark.scored import Scored, first_alerts

ACCOUNT = {
    "world": "w", "evasion_level": 1, "kind": "honest", "campaign": None, "instance": None, "archetype": "chat",
    "framed": False,
    "score": 0.01, "score_bits": -6.0, "verdict": "clear", "group_id": None, "group_alert": False, "alert_day": None,
    "n_requests": 5, "active_days": 2, "label": 0,
}  # fmt: skip
KINDS = {
    "campaign": pl.String,
    "instance": pl.String,
    "group_id": pl.String,
    "alert_day": pl.Date,
    "archetype": pl.String,
}


def account(name: str, **other: object) -> dict[str, object]:
    return {**ACCOUNT, "account_id": name, **other}


def bad(name: str, instance: str, **other: object) -> dict[str, object]:
    facts = {"label": 1, "campaign": instance[:-2], "instance": instance, "archetype": None}
    return account(name, **{**facts, **other})


def group(name: str, verdict: str, purity: float) -> dict[str, object]:
    return {"world": "w", "evasion_level": 1, "group_id": name, "verdict": verdict, "score": 0.9, "n": 3, "purity": purity,
            "campaign": None, "archetype": None}  # fmt: skip


def scored(accounts: list[dict[str, object]], groups: list[dict[str, object]] = []) -> Scored:  # noqa: B006
    table = pl.DataFrame(accounts, schema_overrides=KINDS, infer_schema_length=None)
    empty = [group("none", "clear", 0.0)]
    return Scored(
        table, pl.DataFrame(groups or empty, schema_overrides={"campaign": pl.String, "archetype": pl.String})
    )


def alerted(group_id: str | None) -> dict[str, object]:
    return {"verdict": "alert", "group_id": group_id, "group_alert": group_id is not None, "score_bits": 3.0}


def one_world() -> Scored:
    """Operation x of four: three in alerted group g with one honest account, one alone. Operation y: two, missed."""
    return scored(
        [
            *(bad(f"x{i}", "x-1", **alerted("g")) for i in range(3)),
            bad("x3", "x-1", **alerted(None)),
            bad("y0", "y-2"),
            bad("y1", "y-2"),
            account("caught", **alerted("g"), framed=True),
            account("free1", framed=True),
            *(account(f"h{i}") for i in range(8)),
        ],
        [group("g", "alert", 0.75), group("false", "alert", 0.2), group("quiet", "watch", 0.9)],
    )


def test_pairs_within_groups() -> None:
    assert figures.pairs([1, 2, 4]) == 0 + 1 + 6


def test_pairs_of_alerted_groups_beside_one_lump() -> None:
    found = figures.pooled([figures.tally(one_world())])
    # True pairs: 6 of x, 1 of y. Found: 6 in g, 3 of them x's. The lump of five alerted has 10, 6 of them x's.
    assert found["pair_precision"] == pytest.approx(3 / 6)
    assert found["pair_recall"] == pytest.approx(3 / 7)
    assert found["pair_f1"] == pytest.approx(2 * (3 / 6) * (3 / 7) / (3 / 6 + 3 / 7))
    lump_precision, lump_recall = 6 / 10, 6 / 7
    assert found["lump_f1"] == pytest.approx(
        2 * lump_precision * lump_recall / (lump_precision + lump_recall)
    )


def test_alerts_and_false_groups() -> None:
    found = figures.pooled([figures.tally(one_world())])
    # Alerts: group g and single x3 are right, group false is not.
    assert found["alert_precision"] == pytest.approx(2 / 3)
    assert found["alerted_recall"] == pytest.approx(4 / 6)
    assert found["alerted_honest_share"] == pytest.approx(1 / 10)
    assert found["alerted_framed_share"] == pytest.approx(1 / 2)
    # Ten honest accounts on two days each.
    assert found["honest_account_days"] == 20
    assert found["false_groups_per_10000"] == pytest.approx(1 / 20 * 10_000)
    assert found["false_single_per_10000"] == 0


def test_a_campaigns_own_recall_leaves_others_out() -> None:
    mine = figures.tally(one_world(), "x")
    assert mine.counts["attackers"] == 4
    assert mine.counts["honest"] == 10
    assert figures.pooled([mine])["alerted_recall"] == 1.0


def ranks(honest: list[float], attackers: list[float]) -> Tally:
    bits = np.array([*honest, *attackers], float)
    return Tally(bits, np.r_[np.zeros(len(honest), bool), np.ones(len(attackers), bool)])


def test_thresholds_come_from_the_honest_of_all_worlds_together() -> None:
    # 1,000 honest: one may lie above. Alone, the second world's outlier would cost it all its recall.
    calm = ranks([0.0] * 600, [1.0] * 3)
    loud = ranks([0.0] * 399 + [5.0], [1.0])
    assert figures.pooled([loud])["recall_at_0.001"] == 0.0
    assert figures.pooled([calm, loud])["recall_at_0.001"] == 1.0
    bits, label = np.r_[calm.bits, loud.bits], np.r_[calm.label, loud.label]
    assert figures.limit_of(bits, label, 0.001) == 0.0
    assert figures.limit_of(bits, label, 0.0) == 5.0
    assert figures.limit_of(bits, label, 1.0) == -np.inf


def test_average_precision_by_hand() -> None:
    # Order by score: attacker, honest, attacker: (1/1 + 2/3) / 2.
    found = figures.pooled([ranks([2.0], [3.0, 1.0])])
    assert found["average_precision"] == pytest.approx((1 + 2 / 3) / 2)


def test_intervals_cover_worlds_not_accounts() -> None:
    good, poor = ranks([0.0] * 100, [1.0] * 10), ranks([0.0] * 100, [-1.0] * 10)
    found = figures.with_intervals([good, poor], draws=200)["recall_at_0.01"]
    assert found.value == pytest.approx(0.5)
    assert (found.low, found.high) == (0.0, 1.0)
    alone = figures.with_intervals([good])["recall_at_0.01"]
    assert alone.value == 1.0
    assert np.isnan(alone.low)
    again = figures.with_intervals([good, poor], draws=200)["recall_at_0.01"]
    assert again == found


def test_a_world_without_attackers_says_so() -> None:
    found = figures.pooled([ranks([0.0, 1.0], [])])
    assert np.isnan(found["recall_at_0.01"])
    assert np.isnan(found["average_precision"])


def test_reliability_weighs_attackers_to_the_prior() -> None:
    score = np.array([0.9] * 10 + [0.005] * 90)
    label = np.array([True] * 5 + [False] * 5 + [False] * 90)
    rows, error = figures.reliability(score, label, prior=None)
    assert [(r["n"], r["said"], r["seen"]) for r in rows] == [
        (90, pytest.approx(0.005), 0),
        (10, pytest.approx(0.9), 0.5),
    ]
    assert error == pytest.approx(0.9 * 0.005 + 0.1 * 0.4)
    weighed, _ = figures.reliability(score, label, prior=0.01)
    # Five attackers weigh 1 in all, 95 honest weigh 99.
    assert weighed[1]["seen"] == pytest.approx(1 / (1 + 5 * 99 / 95))


def test_archetypes_are_counted_at_their_levels_limit() -> None:
    rows = [account(f"a{i}", archetype="quiet", score_bits=float(-i)) for i in range(100)]
    rows += [account("loud", archetype="loud", score_bits=9.0, verdict="alert")]
    rows += [account("other", archetype="quiet", evasion_level=2, score_bits=50.0)]
    found = {r["archetype"]: r for r in figures.archetype_rows(scored(rows).accounts)}
    # 101 honest on evasion level 1: none may exceed at 0.1 %, one at 1 %; the limit is a score, and lies on the next.
    assert found["loud"] == {
        "archetype": "loud",
        "accounts": 1,
        "alerted": 1,
        "above_0.001": 0,
        "above_0.01": 1,
    }
    assert found["quiet"]["accounts"] == 101
    assert found["quiet"]["above_0.01"] == 0


def test_first_alert_counts_a_campaigns_own_days(tmp_path: Path) -> None:
    days = [date(2026, 3, d) for d in (1, 2, 3, 4)]
    pl.DataFrame(
        {
            "account_id": ["x0", "x0", "x1", "x1", "z0", "h"],
            "day": [days[1], days[2], days[2], days[3], days[0], days[0]],
            "n_requests": [10, 10, 10, 10, 7, 9],
            # The account's first day at all is the third day of the log for the operation.
            "n_harvest": [0, 4, 2, 5, 0, 0],
        }
    ).write_parquet(tmp_path / "traffic.parquet")
    world = Replayed(tmp_path, {"evasion_level": 1}, {})
    accounts = scored(
        [
            bad("x0", "x-1", verdict="alert", alert_day=days[3]),
            bad("x1", "x-1"),
            bad("z0", "z-2"),
            account("h", verdict="alert", alert_day=days[0]),
        ]
    ).accounts
    x, z = first_alerts(world, accounts).to_dicts()
    assert (x["instance"], x["active_days"], x["exchanges"]) == ("x-1", 2, 11)
    assert (x["first_night"], x["first_exchanges"], x["half_night"]) == (2, 11, 2)
    # No request of z is marked as harvest, so all of its own count; it was never alerted.
    assert (z["exchanges"], z["first_night"], z["first_exchanges"], z["half_night"]) == (7, None, None, None)

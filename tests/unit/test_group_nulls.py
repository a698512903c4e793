"""Groups: independent accounts sit at each measure's stated zero; too little data is NULL, not 0."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import pytest

from features import plugins
from features.compose import run_on
from features.spec import Measure

GROUPS = {measure.name: measure for measure in plugins.measures("group")}
DAY = datetime(2026, 3, 2)


def measure(name: str, members: str | list[str], **tables: list[dict[str, Any]]) -> dict[str, Any]:
    rows = [{"group_id": "g", "account_id": who} for who in members]
    (found,) = run_on(GROUPS[name], {"members": rows, "requests": [], **tables})
    return found


def at(seconds: float) -> str:
    return str(DAY + timedelta(seconds=seconds))


def independent(names: list[str], n: int, seed: int) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    made = [
        {"account_id": who, "ts": at(rng.random() * 86_400), "request_id": f"{who}{i}", "model": "m"}
        for who in names
        for i in range(n)
    ]
    return sorted(made, key=lambda row: row["ts"])


MEMBERS = [f"m{i}" for i in range(8)]
OTHERS = [f"x{i}" for i in range(20)]


def test_independent_accounts_show_no_synchrony_no_alternation() -> None:
    requests = independent(MEMBERS, 24, 1) + independent(OTHERS, 12, 2)
    synchrony = measure("synchrony", MEMBERS, requests=requests)
    assert abs(synchrony["hour_coactivity_lift_bits"]) < 0.2
    assert abs(synchrony["fine_coactivity_lift_bits"]) < 0.5
    assert abs(synchrony["union_rest_excess_bits"]) < 0.7
    assert measure("alternation", MEMBERS, requests=requests)["alternation_ratio"] == pytest.approx(
        1, abs=0.1
    )
    evenness = measure("evenness", MEMBERS, requests=requests)
    assert evenness["load_fano"] == 0.0  # each was given the same number


def test_busier_members_alone_are_no_synchrony() -> None:
    requests = independent(MEMBERS, 50, 3) + independent(OTHERS, 6, 4)
    assert abs(measure("synchrony", MEMBERS, requests=requests)["hour_coactivity_lift_bits"]) < 0.25


def test_work_dealt_in_turn_is_even_and_alternating() -> None:
    dealt = [
        {"account_id": MEMBERS[i % 8], "ts": at(600 * i), "request_id": f"{i:04d}", "model": "m"}
        for i in range(144)
    ]
    assert measure("alternation", MEMBERS, requests=dealt)["alternation_ratio"] == pytest.approx(
        8 / 7, abs=0.01
    )
    evenness = measure("evenness", MEMBERS, requests=dealt)
    assert evenness["load_gini"] == pytest.approx(0, abs=1e-9)


def test_sittings_are_the_opposite_of_dealing() -> None:
    requests = [
        {"account_id": who, "ts": at(10_000 * place + 60 * i), "request_id": f"{who}{i:03d}", "model": "m"}
        for place, who in enumerate(MEMBERS)
        for i in range(12)
    ]
    assert measure("alternation", MEMBERS, requests=requests)["alternation_ratio"] < 0.1


def test_a_switched_off_operator_leaves_a_rest_in_the_union() -> None:
    requests = [row for row in independent(MEMBERS, 30, 6) if not at(30_000) <= row["ts"] < at(50_000)]
    found = measure("synchrony", MEMBERS, requests=requests + independent(OTHERS, 12, 7))
    assert found["union_rest_h"] >= 20_000 / 3600
    assert found["union_rest_excess_bits"] > 2
    assert found["hour_coactivity_lift_bits"] > 0.2


@pytest.mark.parametrize("name", ["synchrony", "evenness", "alternation", "focus", "repeats"])
def test_too_few_requests_are_null(name: str) -> None:
    requests = [
        {
            "account_id": who,
            "ts": at(60),
            "model": "m",
            "capability": "coding",
            "prompt_hash": 1,
            "request_id": who,
        }
        for who in "ab"
    ]
    found = measure(name, "ab", requests=requests)
    kept = {"moved_session_share", "moved_end_user_share"}
    assert [key for key, value in found.items() if value is not None and key not in kept] == ["group_id"]


@pytest.mark.parametrize("one", GROUPS.values(), ids=GROUPS.keys())
def test_a_silent_group_has_a_row_and_nothing_in_it(one: Measure) -> None:
    tables = {
        **one.example.tables,
        "members": [*one.example.tables["members"], {"group_id": "q", "account_id": "?"}],
    }
    silent = next(row for row in run_on(one, tables) if row["group_id"] == "q")
    told = {key: value for key, value in silent.items() if value is not None and key != "group_id"}
    assert all(value in (0, 1) for value in told.values())
    assert set(told) <= {"n_members", "n_active", "active_share", "group_n_requests", "n_banned_members"} | {
        "banned_share", "n_successors"
    }  # fmt: skip


@pytest.mark.parametrize("one", GROUPS.values(), ids=GROUPS.keys())
def test_shares_stay_within_bounds_and_an_unrelated_group_changes_nothing(one: Measure) -> None:
    (alone,) = [row for row in run_on(one, one.example.tables) if row["group_id"] == "g"]
    for column in one.columns:
        value = alone[column.name]
        if column.unit == "0..1" and value is not None:
            assert -1e-9 <= value <= 1 + 1e-9, column.name
    more = {
        **one.example.tables,
        "members": [*one.example.tables["members"], {"group_id": "q", "account_id": "x"}],
    }
    again = next(row for row in run_on(one, more) if row["group_id"] == "g")
    assert {k: v for k, v in again.items() if v is not None} == pytest.approx(
        {k: v for k, v in alone.items() if v is not None}
    )

"""Ties of time: rhythm finds shared schedules and leaves strangers alone; succession and switch do too."""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from features import plugins
from features.compose import run_on

TIES = {tie.name: tie for tie in plugins.ties()}
DAY = datetime(2026, 3, 2)


def rows(name: str, **tables: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return run_on(TIES[name], {"requests": [], "requests_before": [], **tables})


def split(times: list[tuple[str, datetime]], **columns: Any) -> dict[str, list[dict[str, Any]]]:
    """Requests of the day and before it."""
    made = [(ts, {"account_id": who, "ts": str(ts), "model": "m", **columns}) for who, ts in times]
    return {
        "requests": [row for ts, row in made if ts >= DAY],
        "requests_before": [row for ts, row in made if ts < DAY],
    }


def test_one_schedule_meets_at_most_bands_and_strangers_at_few() -> None:
    rng = random.Random(5)
    hours = range(-96, 24)
    schedule = [h for h in hours if rng.random() < 0.3]
    times = []
    for who in ("driven1", "driven2", "driven3"):
        times += [
            (who, DAY + timedelta(hours=h, minutes=rng.randrange(60)))
            for h in schedule
            if rng.random() < 0.95
        ]
    for i in range(10):
        own = [h for h in hours if rng.random() < 0.3]
        times += [(f"stranger{i}", DAY + timedelta(hours=h, minutes=rng.randrange(60))) for h in [*own, 0]]
    found = [row for row in rows("rhythm", **split(times)) if row["kind"] == "hours"]
    bands = Counter(row["account_id"] for row in found)
    assert min(bands[f"driven{i}"] for i in (1, 2, 3)) >= 5, bands
    assert sum(bands[f"stranger{i}"] for i in range(10)) <= 6


def test_a_rhythm_needs_more_than_one_day() -> None:
    times = [(who, DAY + timedelta(hours=h, minutes=5)) for who in "ab" for h in range(12)]
    assert not [row for row in rows("rhythm", **split(times)) if row["kind"] == "hours"]


def test_a_pause_must_be_long_for_the_accounts_own_rate() -> None:
    busy = [
        (who, DAY + timedelta(minutes=5 * i + offset))
        for who, offset in (("a", 0), ("b", 2))
        for i in range(288)
        if not 12 <= i // 12 < 15
    ]
    assert {row["account_id"] for row in rows("rhythm", **split(busy)) if row["kind"] == "pause"} == {
        "a",
        "b",
    }
    idle = [(who, DAY + timedelta(hours=h)) for who in "ab" for h in (1, 4, 9, 14)]
    assert rows("rhythm", **split(idle)) == []


def ban(who: str, hours: float) -> dict[str, Any]:
    return {"account_id": who, "ts": str(DAY + timedelta(hours=hours)), "event": "banned"}


def followers(found: list[dict[str, Any]], kind: str) -> set[frozenset[str]]:
    keys: dict[int, set[str]] = {}
    for row in found:
        if row["kind"] == kind:
            keys.setdefault(row["key"], set()).add(row["account_id"])
    return {frozenset(who) for who in keys.values()}


def test_a_newcomer_after_a_ban_is_a_successor_and_one_before_it_is_not() -> None:
    times = [("gone", DAY + timedelta(hours=6)), ("after", DAY + timedelta(hours=7))]
    times += [("before", DAY + timedelta(hours=5)), ("gone", DAY - timedelta(hours=30))]
    found = rows("succession", account_events=[ban("gone", 6.5)], accounts=[], **split(times))
    assert followers(found, "succession") == {frozenset({"gone", "after"})}


def test_who_was_there_before_or_comes_too_late_succeeds_nobody() -> None:
    times = [("gone", DAY - timedelta(hours=20)), ("known", DAY - timedelta(hours=50))]
    times += [("known", DAY + timedelta(hours=1)), ("late", DAY + timedelta(hours=5))]
    found = rows("succession", account_events=[ban("gone", -19)], accounts=[], **split(times))
    assert found == []


def test_a_newcomer_is_tied_to_few_of_many_bans() -> None:
    times = [(f"gone{i:02d}", DAY + timedelta(minutes=i, days=d)) for i in range(40) for d in (-3, 0)]
    times += [(f"new{i}", DAY + timedelta(hours=2, minutes=i)) for i in range(5)]
    events = [ban(f"gone{i:02d}", 1) for i in range(40)]
    found = rows("succession", account_events=events, accounts=[], **split(times))
    per_newcomer = Counter(
        row["account_id"]
        for row in found
        if row["kind"] == "succession" and row["account_id"].startswith("new")
    )
    assert set(per_newcomer.values()) == {8}
    assert {row["account_id"] for row in found if row["account_id"].startswith("gone")} == {
        f"gone{i:02d}" for i in range(32, 40)
    }


def test_only_the_same_work_is_taken_up() -> None:
    times = split([("gone", DAY + timedelta(hours=1))], capability="coding")
    other = split([("writer", DAY + timedelta(hours=2))], capability="writing")
    same = split([("coder", DAY + timedelta(hours=2))], capability="coding")
    found = rows(
        "succession",
        requests=times["requests"] + other["requests"] + same["requests"],
        accounts=[],
        account_events=[ban("gone", 1.5)],
    )
    assert followers(found, "succession") == {frozenset({"gone", "writer", "coder"})}
    assert followers(found, "succession_work") == {frozenset({"gone", "coder"})}


def test_a_look_at_a_new_model_is_no_switch() -> None:
    before = [
        {"account_id": who, "ts": "2026-03-01 09:00:00", "model": "old"} for who in "ab" for _ in range(6)
    ]
    tried = [
        {"account_id": who, "ts": "2026-03-02 09:00:00", "model": "new"} for who in "ab" for _ in range(3)
    ]
    stayed = [
        {"account_id": who, "ts": "2026-03-02 10:00:00", "model": "old"} for who in "ab" for _ in range(9)
    ]
    assert rows("switch", requests=tried + stayed, requests_before=before) == []
    assert {row["account_id"] for row in rows("switch", requests=tried, requests_before=before)} == {"a", "b"}

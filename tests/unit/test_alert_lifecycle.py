"""Alerts open once, change when it is worth telling, close when it is quiet or merged."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from detector.alert.lifecycle import Finding, alert_id, reconcile, severity_of
from detector.lake import tables

D = date(2026, 3, 1)


def finding(subject: str = "g-1", **changes: Any) -> Finding:
    first = Finding(
        source="score",
        subject_type="group",
        subject_id=subject,
        kind="distillation",
        severity="high",
        score=0.6,
        title="A title",
        reasons=("first reason", "second"),
        spoofable=(),
        innocent=("a class",),
        n_accounts=10,
        n_requests=1000,
    )
    return replace(first, **changes)


def days(plan: dict[int, list[Finding]], until: int, **settings: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for i in range(until + 1):
        rows = reconcile(rows, plan.get(i, []), day=D + timedelta(i), **settings)
    return rows


def test_rows_have_exactly_the_columns_of_the_table() -> None:
    (row,) = days({0: [finding()]}, 0)
    assert set(row) == set(tables.tables()["alerts"].names)


def test_a_finding_opens_one_alert_and_staying_the_same_changes_nothing() -> None:
    (row,) = days({0: [finding()], 1: [finding(score=0.65, n_accounts=11, title="Other words")]}, 1)
    assert (row["state"], row["change"], row["version"]) == ("open", "none", 1)
    assert (row["opened_day"], row["updated_day"], row["last_day"]) == (D, D, D + timedelta(1))
    # What a version told stays what it told.
    assert (row["score"], row["n_accounts"], row["title"]) == (0.6, 10, "A title")
    assert row["day"] == D + timedelta(1)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"score": 0.7}, True),
        ({"score": 0.5}, True),
        ({"score": 0.69}, False),
        ({"severity": "critical"}, True),
        ({"kind": "resale"}, True),
        ({"n_accounts": 12}, True),
        ({"n_accounts": 11}, False),
        ({"n_accounts": 3}, False),
        ({"n_requests": 99_999}, False),
    ],
)
def test_only_changes_worth_telling_make_a_version(changes: dict[str, Any], told: bool) -> None:
    (row,) = days({0: [finding()], 1: [finding(**changes)]}, 1)
    assert (row["version"], row["change"]) == ((2, "updated") if told else (1, "none"))
    assert row["updated_day"] == D + timedelta(int(told))
    if told:
        assert all(row[name] == value for name, value in changes.items())


def test_slow_drift_is_told_once_it_adds_up() -> None:
    plan = {i: [finding(score=0.5 + 0.04 * i)] for i in range(6)}
    (row,) = days(plan, 5)
    # 0.50 told, 0.62 told (three steps), then 0.70 is within a tenth of what was told.
    assert (row["version"], row["score"]) == (2, pytest.approx(0.62))


def test_silence_closes_after_the_days_set_and_not_before() -> None:
    plan = {0: [finding()], 3: [finding()]}
    assert days(plan, 16)[0]["state"] == "open"
    (row,) = days(plan, 17)
    assert (row["state"], row["change"], row["version"]) == ("closed", "closed", 2)
    assert row["closed_day"] == row["updated_day"] == D + timedelta(17)
    assert "14 days" in row["reasons"][0]
    assert row["reasons"][1:] == ["first reason", "second"]
    (later,) = days(plan, 40)
    assert (later["state"], later["change"], later["version"]) == ("closed", "none", 2)
    assert later["closed_day"] == D + timedelta(17)
    assert days(plan, 5, close_after_days=2)[0]["state"] == "closed"


def test_a_closed_alert_reopens_as_a_new_version_of_itself() -> None:
    (row,) = days({0: [finding()], 20: [finding()]}, 20)
    assert (row["state"], row["change"], row["version"]) == ("open", "updated", 3)
    assert row["closed_day"] is None
    assert row["opened_day"] == D
    assert "Reopened" in row["reasons"][0]


def test_a_merged_groups_alert_closes_with_a_pointer_once_the_successor_has_one() -> None:
    moved = {"g-1": "g-2", "g-2": "g-3"}
    first = days({0: [finding()]}, 0)
    waiting = reconcile(first, [], day=D + timedelta(1), moved=moved)
    assert [r["state"] for r in waiting] == ["open"], "no alarm is lost before the successor raises it"
    rows = reconcile(waiting, [finding("g-3")], day=D + timedelta(2), moved=moved)
    old, new = rows
    assert (old["subject_id"], old["state"], old["change"]) == ("g-1", "closed", "closed")
    assert "g-3" in old["reasons"][0]
    assert new["alert_id"] in old["reasons"][0]
    assert (new["subject_id"], new["change"], new["version"]) == ("g-3", "created", 1)


def test_an_accounts_own_alert_closes_once_the_group_that_took_it_in_has_one() -> None:
    first = days({0: [finding("acct", subject_type="account")]}, 0)
    taken = {"acct": "g-2"}
    waiting = reconcile(first, [], day=D + timedelta(1), taken_in=taken)
    assert [r["state"] for r in waiting] == ["open"], (
        "the group has no alert: nobody else tells of the account"
    )
    rows = reconcile(waiting, [finding("g-3")], day=D + timedelta(2), taken_in=taken, moved={"g-2": "g-3"})
    old, new = rows
    assert (old["subject_id"], old["state"]) == ("acct", "closed")
    assert new["alert_id"] in old["reasons"][0]
    assert "Taken into group g-3" in old["reasons"][0]
    other = reconcile(first, [finding("g-2")], day=D + timedelta(1), moved={"acct": "g-2"})
    assert {r["state"] for r in other} == {"open"}, "an account named like a group is none"


def test_a_merge_does_not_touch_rules_alerts_accounts_or_loops() -> None:
    account = finding("g-1", subject_type="account")
    rule = finding("g-1", source="rule", rule_id="r-1")
    rows = days({0: [account, rule]}, 0)
    later = reconcile(rows, [finding("g-2")], day=D + timedelta(1), moved={"g-1": "g-2"})
    assert {r["state"] for r in later} == {"open"}, "the successor has no alert of that rule"
    loop = {"g-1": "g-2", "g-2": "g-1"}
    assert days({0: [finding()]}, 1, moved=loop)[0]["state"] == "open"
    closing = reconcile(
        days({0: [finding()]}, 0), [finding(), finding("g-2")], day=D + timedelta(1), moved={"g-1": "g-2"}
    )
    assert {r["state"] for r in closing} == {"open"}, "a subject that is still found keeps its alert"


def test_ids_are_stable_and_never_mixed_up() -> None:
    # Written down: receivers hold these ids, so they must not change between releases.
    assert alert_id("score", "group", "g-1") == finding().alert_id == "a-41b0a153f39f2bdf"
    parts = [
        ("score", "group", "g-1", ""),
        ("rule", "group", "g-1", "r"),
        ("rule", "group", "g-1", "r2"),
        ("score", "account", "g-1", ""),
        ("rule", "group", 'g-1", "r', ""),
        ("score", "group", "g-1\u0000", ""),
    ]
    ids = {alert_id(*p) for p in parts}
    assert len(ids) == len(parts)
    assert all(len(i) == 18 and i.startswith("a-") for i in ids)


def test_the_most_severe_of_several_findings_counts_whatever_their_order() -> None:
    several = [
        finding(),
        finding(severity="critical", score=0.4),
        finding(severity="critical", score=0.8, title="worst"),
        finding(severity="critical", score=0.8, title="tie"),
    ]
    results = set()
    for seed in range(6):
        random.Random(seed).shuffle(several)
        (row,) = days({0: several}, 0)
        results.add((row["severity"], row["score"], row["title"]))
    assert results == {("critical", 0.8, "worst")}


def test_a_rerun_gives_the_same_rows_and_touches_nothing_it_was_given() -> None:
    rng = random.Random(1)
    plan = {
        i: [
            finding(f"g-{k}", score=rng.random(), n_accounts=rng.randrange(2, 40))
            for k in range(8)
            if rng.random() < 0.3
        ]
        for i in range(40)
    }
    before = days(plan, 38, close_after_days=3)
    kept = [dict(r, reasons=list(r["reasons"])) for r in before]
    once = reconcile(before, plan[39], day=D + timedelta(39), close_after_days=3)
    again = reconcile(before[::-1], plan[39][::-1], day=D + timedelta(39), close_after_days=3)
    assert once == again
    assert before == kept
    assert {"open", "closed"} == {r["state"] for r in once}
    assert all((r["closed_day"] is None) == (r["state"] == "open") for r in once)


def test_a_day_cannot_follow_itself() -> None:
    rows = days({0: [finding()]}, 0)
    with pytest.raises(ValueError, match="2026-03-01"):
        reconcile(rows, [], day=D)


@pytest.mark.parametrize(
    "changes",
    [{"severity": "huge"}, {"score": 1.2}, {"score": float("nan")}, {"rule_id": "r"}, {"source": "rule"}],
)
def test_a_finding_that_cannot_be_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"severity|probability|rule"):
        finding(**changes)


def test_severity_grows_with_certainty_and_size() -> None:
    assert [severity_of(s, 5) for s in (0.3, 0.5, 0.9)] == ["low", "medium", "high"]
    assert [severity_of(s, 500) for s in (0.3, 0.5, 0.9)] == ["low", "high", "critical"]


def test_an_exemption_on_the_day_an_alert_opened_closes_it_there() -> None:
    why = {("group", "g-1"): "allow-list entry"}
    opened = reconcile([], [finding(), finding("g-2")], day=D)
    closed = reconcile([], [finding("g-2")], day=D, opened=opened, withheld=why)
    (row,) = [r for r in closed if r["subject_id"] == "g-1"]
    assert (row["state"], row["change"], row["version"]) == ("closed", "closed", 2)
    assert (row["opened_day"], row["closed_day"]) == (D, D)
    assert row["reasons"] == ["Closed: allow-list entry.", "first reason", "second"]
    assert reconcile([], [finding("g-2")], day=D, opened=closed, withheld=why) == closed, (
        "run again, the same"
    )
    # What no exemption speaks of was never there: the day was run on other logs.
    assert [r["subject_id"] for r in reconcile([], [finding("g-2")], day=D, opened=opened)] == ["g-2"]
    # Nor does an earlier day's alert come back from a row of this day.
    later = [{**r, "day": D + timedelta(1)} for r in opened]
    assert reconcile([], [], day=D + timedelta(1), opened=later, withheld=why) == []
    # Taken back, it opens as before.
    assert reconcile([], [finding(), finding("g-2")], day=D, opened=closed) == opened


def test_a_change_of_who_is_exempted_is_worth_telling() -> None:
    (first,) = days({0: [finding()], 1: [finding(exempted=("b", "a"))]}, 1)
    assert (first["change"], first["version"], first["exempted"]) == ("updated", 2, ["a", "b"])
    (same,) = reconcile([first], [finding(exempted=("a", "b"))], day=D + timedelta(2))
    assert same["change"] == "none"
    old = {**first, "exempted": None}  # of a release that did not note it
    (same,) = reconcile([old], [finding()], day=D + timedelta(2))
    assert same["change"] == "none"

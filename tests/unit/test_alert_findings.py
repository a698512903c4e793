"""One case is one alert: members of alerted groups are told of there, accused members of a watched group together."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import polars as pl

from detector.alert.findings import FOLDED, findings
from detector.alert.lifecycle import Finding, reconcile

D = date(2026, 3, 1)
PARTS = {"subject_type": pl.String, "subject_id": pl.String, "feature": pl.String, "value": pl.Float64}
PARTS |= {"bits": pl.Float64, "n": pl.Int64}
WHY = {
    "group_id": pl.String,
    "account_id": pl.String,
    "family": pl.String,
    "kind": pl.String,
    "key": pl.UInt64,
}
WHY |= {"bits": pl.Float64, "n_sharing": pl.Int64, "spoofable": pl.Boolean, "detail": pl.String}


def group(name: str = "g-1", **changes: Any) -> dict[str, Any]:
    row = {"group_id": name, "score": 0.99, "verdict": "watch", "kind": "resale", "state": "active"}
    return row | {"n_accounts": 12, "n_requests": 900, "last_day": D, "score_day": D} | changes


def account(i: int, **changes: Any) -> dict[str, Any]:
    row = {"account_id": f"u{i}", "score": 0.9 + i / 1000, "verdict": "alert", "group_id": "g-1"}
    row |= {"kind": "distillation", "last_day": D, "n_requests": 10, "score_day": D} | changes
    return {"peak_verdict": row["verdict"], **row}


def told(
    groups: list[dict[str, Any]], accounts: list[dict[str, Any]], *, exempt: dict[str, str] | None = None
) -> list[Finding]:
    parts = pl.DataFrame(schema=PARTS)
    return findings(
        pl.DataFrame(groups or [group("nobody", verdict="clear")]),
        pl.DataFrame(accounts, schema_overrides={"group_id": pl.String}),
        parts,
        pl.DataFrame(schema=WHY),
        threshold=0.5,
        day=D,
        exempt=exempt,
    )


def test_accused_members_of_a_watched_group_are_one_finding_that_names_them_and_no_other() -> None:
    watched = [account(i, verdict="watch") for i in range(10, 12)]
    (one,) = told([group()], [account(i) for i in range(10)] + watched)
    assert (one.subject_type, one.subject_id, one.kind) == ("group", "g-1", "distillation")
    assert (one.n_accounts, one.n_requests) == (10, 100)
    assert one.score == 0.905, "the median of those accused"
    assert "10 accounts of one group, each accused by itself" in one.title
    assert "10 of the 12 accounts of group g-1" in one.reasons[0]
    assert "watched only" in one.reasons[0]
    assert all(f"u{i}" in one.reasons[0] for i in range(10))
    assert "u10" not in " ".join(one.reasons)


def test_few_are_told_of_apart() -> None:
    found = told([group()], [account(i) for i in range(FOLDED - 1)])
    assert [f.subject_id for f in found] == ["u0", "u1"]


def test_a_clear_group_or_none_folds_nobody() -> None:
    accounts = [account(i) for i in range(4)]
    assert len(told([group(verdict="clear")], accounts)) == 4
    assert len(told([group()], [account(i, group_id=None) for i in range(4)])) == 4


def test_members_of_an_alerted_group_are_told_of_with_it() -> None:
    (one,) = told([group(verdict="alert")], [account(i) for i in range(4)])
    assert (one.subject_id, one.n_accounts, one.score) == ("g-1", 12, 0.99)


def test_who_is_silent_today_still_counts_and_a_silent_case_is_not_found() -> None:
    before = D - timedelta(1)
    some = [account(0), account(1, last_day=before), account(2, last_day=before)]
    (one,) = told([group()], some)
    assert one.n_accounts == 3
    assert told([group(last_day=before)], [account(i, last_day=before) for i in range(4)]) == []


def test_to_exempt_one_of_three_does_not_turn_one_alert_into_two() -> None:
    spared = account(2, verdict="watch", peak_verdict="alert")
    (one,) = told([group()], [account(0), account(1), spared])
    assert (one.subject_id, one.n_accounts) == ("g-1", 2)
    assert "u2" not in " ".join(one.reasons)


def test_a_group_tells_which_of_its_accounts_are_exempted_and_by_what() -> None:
    spared = account(2, verdict="watch", peak_verdict="alert")
    exempt = {"u2": "entry of account u2: " + "x" * 900, "elsewhere": "entry"}
    for verdict in ("watch", "alert"):  # accused members told of together, and a group accused as such
        some = [account(0), account(1), spared]
        (one,) = told([group(verdict=verdict)], some, exempt=exempt)
        assert one.exempted == ("u2",)
        assert one.reasons[0].startswith(
            "1 of its accounts is exempted, and not accused: u2 (entry of account"
        )
        assert len(one.reasons[0]) <= 500
    (single,) = told([], [account(2, group_id=None)], exempt=exempt)
    assert single.exempted == ()
    many = {f"{i:064}": "e" * 900 for i in range(9)}
    accounts = [account(i, account_id=name) for i, name in enumerate(many)]
    (one,) = told([group(verdict="alert")], accounts, exempt=many)
    assert len(one.exempted) == 9
    assert one.reasons[0].endswith("; and 7 more.")
    assert len(one.reasons[0]) <= 500


def test_alerts_of_the_accounts_close_into_that_of_their_group() -> None:
    first = reconcile([], told([group()], [account(0), account(1)]), day=D)
    assert {row["subject_type"] for row in first} == {"account"}
    tomorrow = D + timedelta(1)
    taken = {f"u{i}": "g-1" for i in range(3)}
    later = [account(i, last_day=tomorrow) for i in range(3)]
    found = findings(
        pl.DataFrame([group(last_day=tomorrow)]),
        pl.DataFrame(later),
        pl.DataFrame(schema=PARTS),
        pl.DataFrame(schema=WHY),
        threshold=0.5,
        day=tomorrow,
    )
    rows = reconcile(first, found, day=tomorrow, taken_in=taken)
    assert {(r["subject_id"], r["state"]) for r in rows} == {
        ("u0", "closed"),
        ("u1", "closed"),
        ("g-1", "open"),
    }

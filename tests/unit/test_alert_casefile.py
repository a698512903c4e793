"""A case file must hold what a reviewer needs and stay inert whatever the log contained."""

from __future__ import annotations

import io
import json
import re
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from detector.alert.casefile import CaseFile, explain
from detector.alert.casetext import MAX_MEMBERS, print_case, render_text

D = date(2026, 3, 1)
HOSTILE = (
    "\x1b]8;;https://example.net\x1b\\\x1b[2J</style><script>alert(1)</script>"
    '<img src=x onerror=alert(2)>\u202e[link=https://example.org]x[/link]" onmouseover="a\' =1+1'
)


def member(i: int, **changes: Any) -> dict[str, Any]:
    row = {"group_id": "g-1", "account_id": f"u{i:03d}", "first_day": D, "last_day": D + timedelta(3)}
    return row | {"state": "active", "strength_bits": float(i)} | changes


def why(account: str, **changes: Any) -> dict[str, Any]:
    row = {"group_id": "g-1", "account_id": account, "family": "billing", "kind": "card", "key": 1}
    return row | {"bits": 6.0, "n_sharing": 2, "spoofable": False, "detail": "card"} | changes


def group_case(**changes: Any) -> CaseFile:
    subject = {
        "group_id": "g-1",
        "score": 0.93,
        "score_bits": 3.7,
        "verdict": "alert",
        "kind": "distillation",
        "state": "active",
        "n_accounts": 40,
        "n_requests": 8000,
        "first_day": D,
        "last_day": D + timedelta(9),
        "score_day": D + timedelta(5),
    }
    rows: dict[str, Any] = {
        "parts": [
            {"feature": "synchrony_score", "value": 0.9, "bits": 4.0, "n": 40},
            {"feature": "night_share", "value": 0.1, "bits": -0.5, "n": 8000},
            {"feature": "missing", "value": None, "bits": None, "n": None},
        ],
        "why": [why(f"u{i:03d}") for i in range(30)]
        + [why(f"u{i:03d}", family="network", kind="prefix", key=9, spoofable=True) for i in range(40)],
        "members": [member(i, first_day=D + timedelta(i // 20)) for i in range(40)],
        "alerts": [
            {
                "alert_id": "a-1",
                "version": 3,
                "opened_day": D + timedelta(4),
                "updated_day": D + timedelta(6),
                "closed_day": None,
            }
        ],
        "events": [
            {"ts": datetime(2026, 3, 3, 4), "account_id": f"u{i:03d}", "event": "banned"} for i in range(7)
        ],
        "threshold": 0.5,
    }
    return explain(subject | changes.pop("subject", {}), **(rows | changes))


def account_case() -> CaseFile:
    subject = {
        "account_id": "acct_9",
        "score": 0.8,
        "score_bits": 2.0,
        "verdict": "alert",
        "kind": "key_compromise",
    }
    subject |= {"group_id": None, "first_day": D, "last_day": D, "score_day": D, "n_requests": 90}
    return explain(
        subject,
        parts=[{"feature": "new_origin_share", "value": 0.97, "bits": 3.0, "n": 90}],
        why=[],
        threshold=0.5,
    )


def tied_case() -> CaseFile:
    """An account tied to its group by a card, and by a key that could be spoofed."""
    group = [why(f"u{i:03d}", key=i // 8) for i in range(16)]
    group += [why("u000", key=50, kind="ja4", family="client", spoofable=True, detail="a TLS fingerprint")]
    group += [why("u015", key=50, kind="ja4", family="client", spoofable=True, detail="a TLS fingerprint")]
    subject = {"account_id": "u000", "score": 0.8, "score_bits": 2.0, "verdict": "alert", "kind": "resale"}
    own = [row for row in group if row["account_id"] == "u000"]
    return explain(subject, parts=[], why=own, group_why=group, threshold=0.5)


def hostile_case() -> CaseFile:
    names = {"kind": HOSTILE, "family": HOSTILE, "detail": HOSTILE, "spoofable": True}
    return explain(
        {
            "group_id": HOSTILE,
            "n_accounts": 3,
            "score": 0.9,
            "kind": HOSTILE,
            "verdict": HOSTILE,
            "state": HOSTILE,
        },
        parts=[{"feature": HOSTILE, "value": 0.4, "bits": b, "n": 3} for b in (2.0, -2.0)],
        why=[why(HOSTILE, **names), why("b", **names)],
        members=[member(1, account_id=HOSTILE, state=HOSTILE), member(2, account_id="b")],
        alerts=[{"alert_id": HOSTILE, "version": 1, "opened_day": D, "updated_day": D, "closed_day": D}],
        events=[{"ts": datetime(2026, 3, 1), "account_id": HOSTILE, "event": HOSTILE}],
        threshold=0.5,
    )


def test_the_file_holds_members_evidence_parts_and_what_would_clear_it() -> None:
    case = group_case()
    assert list(case.by_family()) == ["network", "billing"]
    assert [(e.n_members, e.spoofable) for e in case.evidence] == [(40, True), (30, False)]
    assert [m.account_id for m in case.members][:2] == ["u039", "u038"]
    assert case.members[-1].families == ("billing", "network")
    assert [(p.name, p.bits) for p in case.parts] == [("synchrony_score", 4.0), ("night_share", -0.5)]
    assert case.description.cleared_by[0].startswith("Without synchrony_score (4.0 bits)")
    assert case.alerts == ("a-1",)


def test_the_timeline_tells_what_happened_in_order() -> None:
    told = [(m.when - D, m.what) for m in group_case().timeline]
    assert [(t.days, what) for t, what in told] == [
        (0, "20 accounts joined"),
        (1, "20 accounts joined"),
        (2, "7 accounts: banned"),
        (4, "alert a-1 opened"),
        (5, "worst score"),
        (6, "alert a-1 changed (version 3)"),
        (9, "last active"),
    ]


def test_a_long_timeline_is_cut_in_the_middle_and_says_so() -> None:
    case = group_case(members=[member(i, first_day=D + timedelta(i)) for i in range(200)])
    assert len(case.timeline) == 41
    assert "further entries left out" in case.timeline[20].what
    assert case.timeline[0].when == D
    assert case.timeline[-1].when == D + timedelta(199)


@pytest.mark.parametrize(
    "case",
    [group_case(), account_case(), hostile_case(), tied_case()],
    ids=["group", "account", "hostile", "tied"],
)
def test_json_round_trips(case: CaseFile) -> None:
    text = json.dumps(case.to_json(), allow_nan=False)
    back = json.loads(text)
    assert back["description"]["title"] == case.description.title
    assert len(back["members"]) == len(case.members)
    assert back["not_proof"]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", m["when"]) for m in back["timeline"])


def test_text_says_everything_in_plain_lines() -> None:
    text = render_text(group_case(), width=140)
    for wanted in (
        "Distillation: 40 accounts that act as one operation",
        "30 of 40",
        "What would have cleared it",
        "could have been spoofed",
        "Honest explanations to rule out",
        "not proof of",
        "appeal",
        "10 accounts are tied to the group by such evidence alone",
        f"and {40 - MAX_MEMBERS} more",
        "7 accounts: banned",
    ):
        assert wanted in text, wanted
    account = render_text(account_case())
    assert "Stolen key: account acct_9" in account
    assert "Members" not in account


def test_text_of_a_hostile_case_cannot_steer_a_terminal() -> None:
    out = io.StringIO()
    print_case(hostile_case(), Console(file=out, width=120, color_system="truecolor", force_terminal=True))
    # Only rich's own bold and reset may remain; no link, no clearing, no title.
    escapes = set(re.findall(r"\x1b(?:\[[0-9;]*[A-Za-z]|.)", out.getvalue()))
    assert escapes <= {"\x1b[1m", "\x1b[0m"}
    plain = render_text(hostile_case())
    assert all(c == "\n" or c.isprintable() for c in plain)
    assert "[link=" in plain, "markup is shown, not obeyed"


def test_a_group_says_what_connects_it_and_what_is_left_without_a_key() -> None:
    case = group_case()
    assert case.ties is None
    assert case.connections is not None
    assert [key.named() for key in case.connections.keys] == [
        "card or bank account (billing / card: card; key 1)",
        "network range (network / prefix: card; key 9; spoofable)",
    ]
    text = " ".join(render_text(case, width=100).split())
    for wanted in (
        "By 2 keys that they share the accounts stay in one part (40 of 40)",
        "Without spoofable keys, which an outsider could have arranged, the accounts are in 11 parts; the largest holds 30",
        "joins u000, u001, u002, u003, u004, u005 and 34 more (40 of 40)",
        "without the network range (network / prefix: card; key 9; spoofable) the accounts are in 11 parts",
    ):
        assert wanted in text, wanted
    plain = case.to_json()["connections"]
    assert (plain["n_accounts"], plain["keys"][0]["key"], plain["splits"][0]["without"]["n_parts"]) == (
        40,
        "1",
        11,
    )


def test_an_account_says_what_ties_it_to_its_group() -> None:
    case = tied_case()
    assert case.connections is None
    assert case.to_json()["ties"]["n_reached_unspoofable"] == 7
    text = " ".join(render_text(case, width=100).split())
    assert "lead to 15 of the 15 other accounts of g-1; without spoofable keys" in text
    assert (
        "u000 and u015 share one TLS client fingerprint (client / ja4: a TLS fingerprint; key 50; spoofable)"
        in text
    )
    assert "What ties it" not in render_text(account_case())


def test_an_empty_case_still_renders() -> None:
    case = explain({"group_id": "g-2", "n_accounts": None}, parts=[], why=[], threshold=0.5)
    assert "g-2" in render_text(case)
    assert case.to_json()["score"] is None

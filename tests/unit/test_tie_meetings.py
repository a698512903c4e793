"""Ties: only shared keys come out, the unknown stays out, and no meeting over days is lost."""

from __future__ import annotations

import random
from typing import Any

import pytest

from features import plugins
from features.compose import run_on
from features.schema import CONTENT_KEY_KINDS
from features.spec import Tie

TIES = {tie.name: tie for tie in plugins.ties()}


def rows(name: str, **tables: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return run_on(TIES[name], {"requests": [], "requests_before": [], **tables})


def holders(found: list[dict[str, Any]], kind: str) -> list[set[str]]:
    keys: dict[int, set[str]] = {}
    for row in found:
        if row["kind"] == kind:
            keys.setdefault(row["key"], set()).add(row["account_id"])
    return sorted(keys.values(), key=sorted)


def request(who: str, ts: str = "2026-03-02 09:00:00", **columns: Any) -> dict[str, Any]:
    return {"account_id": who, "ts": ts, "model": "m", **columns}


@pytest.mark.parametrize("tie", TIES.values(), ids=TIES.keys())
def test_every_kind_has_a_weight_and_no_key_is_left_with_one_holder(tie: Tie) -> None:
    found = run_on(tie, tie.example.tables)
    assert all(0 < kind.bits <= 10 for kind in tie.kinds.values())
    assert {row["kind"] for row in found} <= set(tie.kinds)
    by_key: dict[int, set[str]] = {}
    lasting = {"bin"}  # a silent holder of a weak fact is not named, so its key may show one holder
    for row in found:
        if row["kind"] not in lasting:
            by_key.setdefault(row["key"], set()).add(row["account_id"])
    assert by_key
    assert all(len(who) >= 2 for who in by_key.values())


@pytest.mark.parametrize("tie", TIES.values(), ids=TIES.keys())
def test_the_order_of_rows_does_not_matter(tie: Tie) -> None:
    shuffled = {
        name: random.Random(3).sample(list(table), len(table)) for name, table in tie.example.tables.items()
    }

    def told(tables: Any) -> list[tuple[str, ...]]:
        return sorted(tuple(str(v) for v in row.values()) for row in run_on(tie, tables))

    assert told(shuffled) == told(tie.example.tables)


def test_a_single_holder_comes_out_when_a_second_takes_the_key_up_later() -> None:
    before = [request("early", "2026-02-27 08:00:00", ip_hash="i1", ip_prefix="192.0.2.0/24")] * 3
    found = rows(
        "network", requests=[request("late", ip_hash="i1", ip_prefix="192.0.2.0/24")], requests_before=before
    )
    assert holders(found, "address") == [{"early", "late"}]
    early = next(row for row in found if row["account_id"] == "early" and row["kind"] == "address")
    assert (early["n"], str(early["first_ts"])) == (3, "2026-02-27 08:00:00")


def test_holders_who_met_before_are_not_told_again_when_silent() -> None:
    before = [
        request(who, "2026-02-27 08:00:00", ip_hash="i1", ip_prefix="192.0.2.0/24") for who in ("a", "b")
    ]
    found = rows(
        "network", requests=[request("c", ip_hash="i1", ip_prefix="192.0.2.0/24")], requests_before=before
    )
    assert holders(found, "address") == [{"c"}]


def test_a_key_used_by_one_account_on_many_days_is_no_tie() -> None:
    found = rows(
        "network",
        requests=[
            request("a", ip_hash="i1", ip_prefix="192.0.2.0/24"),
            request("b", ip_hash="i2", ip_prefix="198.51.100.0/24"),
        ],
        requests_before=[request("a", "2026-02-27 08:00:00", ip_hash="i1", ip_prefix="192.0.2.0/24")],
    )
    assert found == []


def test_unknown_values_never_meet() -> None:
    both = [request("a"), request("b")]
    for name in ("client", "application", "access"):
        assert rows(name, requests=both) == []
    accounts = [{"account_id": "a", "created_at": None}, {"account_id": "b", "org_id": "o"}]
    assert rows("identity", requests=both, accounts=accounts) == []


def test_free_mail_ties_nobody_and_an_own_domain_does() -> None:
    def mail(kind: str) -> list[dict[str, Any]]:
        return [
            {"account_id": who, "email_domain_hash": "d", "email_domain_class": kind} for who in ("a", "b")
        ]

    active = [request("a")]
    assert rows("identity", requests=active, accounts=mail("free")) == []
    assert holders(rows("identity", requests=active, accounts=mail("custom")), "mail_domain") == [{"a", "b"}]


def test_site_keys_are_told_apart_by_their_kind() -> None:
    accounts = [
        {"account_id": "a", "keys": {"phone": ["7"], "inviter": ["x"]}},
        {"account_id": "b", "keys": {"phone": ["7", "8"], "inviter": ["x"]}},
        {"account_id": "c", "keys": {"passport": ["7"]}},
    ]
    found = rows("identity", requests=[request(who) for who in "abc"], accounts=accounts)
    assert holders(found, "site_key") == [{"a", "b"}]
    assert holders(found, "site_invite") == [{"a", "b"}]
    assert {row["detail"] for row in found} == {"phone", "inviter"}
    assert TIES["identity"].kinds["site_invite"].spoofable


def test_a_scaffold_and_a_public_question_differ_in_prompts_under_the_key() -> None:
    scaffold, question = 16 + 2, 32 + 0  # an opening of eight words; a whole prompt
    requests = [
        request(who, f"2026-03-02 09:00:{i:02d}", prompt_hash=100 * i + ord(who), content_keys=[scaffold])
        for who in "ab"
        for i in range(10)
    ] + [request(who, prompt_hash=1, content_keys=[question]) for who in "ab" for _ in range(10)]
    found = {(row["account_id"], row["key"]): row for row in rows("template", requests=requests)}
    assert found["a", scaffold]["n_prompts"] == 10
    assert found["a", scaffold]["n_prompts_all"] == 20
    assert found["a", question]["n_prompts"] == found["a", question]["n_prompts_all"] == 1
    assert found["a", question]["kind"] == "exact"


def test_every_content_key_kind_is_a_tie_that_can_be_spoofable() -> None:
    template = TIES["template"]
    assert set(template.kinds) == set(CONTENT_KEY_KINDS.values())
    assert all(kind.spoofable for kind in template.kinds.values())
    keys = [64 + code for code in CONTENT_KEY_KINDS]
    found = rows("template", requests=[request(who, prompt_hash=1, content_keys=keys) for who in "ab"])
    assert {row["kind"] for row in found} == set(CONTENT_KEY_KINDS.values())
    assert all(row["detail"] for row in found)

"""Groups: shared text, repeats, volume and bans tell a harvest from a class or a popular client."""

from __future__ import annotations

from typing import Any

import pytest

from features import plugins
from features.compose import run_on

GROUPS = {measure.name: measure for measure in plugins.measures("group")}
OPENING, SYSTEM = 16 + 2, 32 + 8


def measure(name: str, members: str, **tables: list[dict[str, Any]]) -> dict[str, Any]:
    rows = [{"group_id": "g", "account_id": who} for who in members]
    (found,) = run_on(GROUPS[name], {"members": rows, "requests": [], **tables})
    return found


def request(who: str, number: int, **columns: Any) -> dict[str, Any]:
    return {
        "account_id": who,
        "ts": f"2026-03-02 09:{number % 60:02d}:00",
        "request_id": f"{who}{number}",
        "prompt_hash": number,
        "model": "m",
        **columns,
    }


def test_a_popular_clients_system_prompt_is_nobodys_own() -> None:
    everybody = "abcuvwxyz"
    requests = [request(who, i, content_keys=[SYSTEM], system_hash=5) for who in everybody for i in range(4)]
    found = measure("templates", "abc", requests=requests)
    assert found["shared_text_share"] == 1.0
    assert found["own_text_share"] == found["own_system_share"] == 0.0
    assert measure("templates", everybody, requests=requests)["own_system_share"] == 1.0


def test_mixing_lowers_the_share_of_own_text_and_not_its_count() -> None:
    harvest = [request(who, 100 * i + ord(who), content_keys=[OPENING]) for who in "abc" for i in range(5)]
    mixed = [
        request(who, 7 + 16 * i, content_keys=[1600 + 16 * i + ord(who)]) for who in "abc" for i in range(15)
    ]
    pure = measure("templates", "abc", requests=harvest)
    diluted = measure("templates", "abc", requests=harvest + mixed)
    assert (pure["own_text_share"], pure["own_text_distinct_share"]) == (1.0, 1.0)
    assert diluted["own_text_share"] < 0.5
    assert diluted["n_own_text_requests"] == pure["n_own_text_requests"] == 15


def test_one_request_id_sent_again_and_again_hides_no_request() -> None:
    """Where a proxy keeps the client's id, a client may send all its requests under one."""
    sent = [request(who, 100 * i + ord(who), content_keys=[OPENING]) for who in "abc" for i in range(5)]
    times = [{"ts": f"2026-03-02 09:{at:02d}:00"} for at in range(len(sent))]
    honest = [one | time for one, time in zip(sent, times, strict=True)]
    assert measure("templates", "abc", requests=[one | {"request_id": "x"} for one in honest]) == measure(
        "templates", "abc", requests=honest
    )


def test_a_class_repeats_across_members_and_a_divided_list_does_not() -> None:
    lesson = [request(who, i) for who in "abcd" for i in range(5)]
    divided = [request(who, 5 * place + i) for place, who in enumerate("abcd") for i in range(5)]
    assert measure("repeats", "abcd", requests=lesson)["cross_member_repeat_share"] == 1.0
    assert measure("repeats", "abcd", requests=lesson)["member_repeat_share"] == 0.0
    assert measure("repeats", "abcd", requests=divided)["cross_member_repeat_share"] == 0.0


@pytest.mark.parametrize(
    ("capability", "n", "expected"),
    [("general", 100, -1.0), ("coding", 100, -4.0), ("translation", 50, -3.0)],
)
def test_volume_is_set_against_what_a_student_of_that_skill_needs(
    capability: str, n: int, expected: float
) -> None:
    requests = [request("ab"[i % 2], i, capability=capability, output_tokens=900) for i in range(n)]
    found = measure("extraction", "ab", requests=requests)
    assert found["extraction_log10"] == pytest.approx(expected)


def test_refused_and_repeated_answers_teach_nothing() -> None:
    columns = {"capability": "general", "output_tokens": 900}
    good = [request("a", i, **columns) for i in range(10)]
    idle = [request("b", i, **columns) for i in range(10)]
    idle += [request("b", 50 + i, **columns, finish_reason="refusal") for i in range(10)]
    assert measure("extraction", "ab", requests=good + idle)["n_useful_answers"] == 10


def test_a_group_without_bans_has_no_replaced_share() -> None:
    events = [{"account_id": "x", "ts": "2026-03-01 09:00:00", "event": "banned"}]
    found = measure("replacement", "ab", requests=[request("a", 1)], account_events=events)
    assert (found["n_banned_members"], found["replaced_share"], found["replacement_gap_h"]) == (0, None, None)


def test_a_pivot_is_seen_on_the_day_of_the_release_and_the_day_after_only() -> None:
    requests = [request(who, i, model="new") for who in "ab" for i in range(10)]

    def released(ts: str) -> dict[str, Any]:
        return measure("pivot", "ab", requests=requests, model_releases=[{"model": "new", "released_at": ts}])

    assert released("2026-03-02 08:00:00")["pivot_share"] == 1.0
    assert released("2026-03-01 20:00:00")["pivot_share"] == 1.0
    assert released("2026-02-27 08:00:00")["pivot_share"] is None
    assert released("2026-03-03 08:00:00")["pivot_share"] is None


def test_unlogged_columns_are_null_in_the_groups_makeup() -> None:
    found = measure("makeup", "ab", accounts=[{"account_id": "a"}, {"account_id": "b"}])
    assert {key for key, value in found.items() if value is not None} == {"group_id"}
    tenancy = measure("tenancy", "ab", requests=[request("a", 1), request("b", 2)])
    assert tenancy["end_users_per_member"] is None
    assert tenancy["languages_per_member"] is None


def test_the_main_key_is_the_groups_own_rather_than_everybodys() -> None:
    ties = [
        {"account_id": who, "family": "client", "kind": "ja4", "key": 1} for who in "abcd" + "efghijklmnop"
    ]
    ties += [{"account_id": who, "family": "client", "kind": "fingerprint", "key": 2} for who in "abc"]
    found = measure("density", "abcd", ties=ties)
    assert found["main_key_share_client"] == 0.75
    assert found["inside_share_client"] == 1.0

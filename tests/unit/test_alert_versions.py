"""A version means one content for ever, whatever days are run again."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from detector.alert.ocsf import detection_finding
from detector.alert.versions import Version, content_of, present, row_of, same, withdrawn

D = date(2026, 3, 1)


def alert(**changes: Any) -> dict[str, Any]:
    row = {"day": D, "alert_id": "a-1", "source": "score", "rule_id": None, "subject_type": "group"}
    row |= {"subject_id": "g-1", "kind": "resale", "severity": "high", "score": 0.959, "state": "open"}
    row |= {"change": "created", "version": 1, "opened_day": D, "updated_day": D, "closed_day": None}
    row |= {"last_day": D, "title": "t", "reasons": ["r"], "spoofable": [], "innocent": ["i"]}
    return row | {"n_accounts": 3, "n_requests": 1172} | changes


def build(row: Any, version: int) -> Any:
    return detection_finding({**row, "version": version}, product_version="0", evidence=[], members=["u"])


def stand(rows: list[dict[str, Any]], newest: dict[str, Version], taken: dict[str, int]) -> list[Version]:
    return present(rows, newest, taken, members_for=lambda row: None, build=build)


def kept(made: list[Version]) -> dict[str, Version]:
    """What is written down."""
    return {v.alert_id: Version(v.alert_id, v.version, v.content, v.event, issued=True) for v in made}


def test_the_same_content_keeps_its_number_and_its_very_words() -> None:
    first = stand([alert()], {}, {})
    assert [(v.version, v.issued) for v in first] == [(1, False)]
    later = alert(day=D + timedelta(5), change="none", last_day=D + timedelta(5))
    again = stand([later], kept(first), {"a-1": 1})
    assert [(v.version, v.issued, v.event) for v in again] == [(1, True, first[0].event)]


@pytest.mark.parametrize(
    "changes",
    [
        {"score": 0.996},
        {"n_requests": 1626},
        {"severity": "medium"},
        {"title": "other"},
        {"reasons": ["r", "s"]},
        {"opened_day": D - timedelta(1)},
        {"n_accounts": 4},
        {"state": "closed", "closed_day": D},
    ],
)
def test_another_content_under_the_same_number_gets_the_next_one(changes: dict[str, Any]) -> None:
    first = stand([alert()], {}, {})
    (now,) = stand([alert(**changes)], kept(first), {"a-1": 1})
    assert (now.version, now.issued) == (2, False)
    assert now.event["metadata"]["uid"] == "a-1:2"


def test_a_hair_of_score_is_not_told() -> None:
    first = stand([alert()], {}, {})
    (now,) = stand([alert(score=0.9591)], kept(first), {"a-1": 1})
    assert (now.version, now.event) == (1, first[0].event)


def test_back_to_an_earlier_content_is_a_version_of_its_own() -> None:
    book = kept(stand([alert()], {}, {}))
    book = kept(stand([alert(n_requests=2000)], book, {"a-1": 1}))
    (now,) = stand([alert()], book, {"a-1": 2})
    assert now.version == 3


def test_the_lakes_count_is_followed_where_it_is_ahead() -> None:
    book = kept(stand([alert()], {}, {}))
    (now,) = stand([alert(version=4, n_accounts=9)], book, {"a-1": 1})
    assert now.version == 4


def test_a_lake_of_an_older_release_goes_on_from_its_ledger() -> None:
    (same_count,) = stand([alert(version=2)], {}, {"a-1": 2})
    assert same_count.version == 2, "taken as told"
    (fewer,) = stand([alert(version=1)], {}, {"a-1": 2})
    assert fewer.version == 3, "days were run again since"
    (more,) = stand([alert(version=3)], {}, {"a-1": 2})
    assert more.version == 3


def test_other_members_are_another_content_where_both_are_known() -> None:
    one, two = content_of(alert(), ["a", "b"]), content_of(alert(), ["a", "c"])
    assert not same(one, two)
    assert same(one, content_of(alert(), None))
    assert same(one, content_of(alert(), ["b", "a"]))


def test_what_an_older_release_did_not_write_down_is_no_difference() -> None:
    less = {k: v for k, v in content_of(alert()).items() if k != "kind"}
    assert same(less, content_of(alert(kind="other")))


def test_a_row_comes_back_from_its_content() -> None:
    row = alert(state="closed", closed_day=D)
    back = row_of(content_of(row))
    assert all(back[name] == row[name] for name in back)


def gone(
    newest: dict[str, Version], rows: list[dict[str, Any]], day: date = D + timedelta(3)
) -> list[Version]:
    return withdrawn(
        newest, rows, day=day, reason_for=lambda row: f"Withdrawn: {row['subject_id']}.", build=build
    )


def test_an_alert_that_is_gone_is_closed_with_the_reason_first() -> None:
    book = kept(stand([alert()], {}, {}))
    (last,) = gone(book, [])
    assert (last.version, last.closed, last.issued) == (2, True, False)
    assert last.event["unmapped"]["reasons"] == ["Withdrawn: g-1.", "r"]
    assert last.event["unmapped"]["state"] == "closed"
    assert last.event["evidences"] == book["a-1"].event["evidences"]
    assert gone(book, [alert()]) == []


def test_it_is_closed_once_and_opens_again_as_the_next_version() -> None:
    book = kept(gone(kept(stand([alert()], {}, {})), []))
    (again,) = gone(book, [], D + timedelta(9))
    assert (again.version, again.issued) == (2, True)
    (back,) = stand([alert()], book, {"a-1": 2})
    assert (back.version, back.closed) == (3, False)


def test_an_alert_told_as_closed_is_not_withdrawn_again() -> None:
    closed = alert(state="closed", closed_day=D, version=2)
    (last,) = gone(kept(stand([closed], {}, {"a-1": 1})), [])
    assert (last.version, last.issued) == (2, True)
    assert last.event["unmapped"]["reasons"] == ["r"]

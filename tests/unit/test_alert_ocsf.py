"""Events must be valid OCSF 1.8.0, the same whenever they are sent, and harmless whatever the log held."""

from __future__ import annotations

import copy
import json
from datetime import UTC, date, datetime
from functools import cache
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from detector.alert.ocsf import activity, attacks, detection_finding
from detector.alert.words import KINDS

HOSTILE = "\x1b[2J<img src=x onerror=1>\u202eevil\x00=cmd|'/C calc'!A0"


@cache
def _validator() -> jsonschema.Draft202012Validator:
    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema("1.8.0")).get_class_schema("detection_finding")
    return jsonschema.Draft202012Validator(schema)


def check(event: dict[str, Any]) -> None:
    _validator().validate(event)


def alert(**changes: Any) -> dict[str, Any]:
    row = {
        "day": date(2026, 3, 9),
        "alert_id": "a-0011223344556677",
        "source": "score",
        "rule_id": None,
        "subject_type": "group",
        "subject_id": "g-1",
        "kind": "distillation",
        "severity": "high",
        "score": 0.876,
        "state": "open",
        "change": "created",
        "version": 1,
        "opened_day": date(2026, 3, 1),
        "updated_day": date(2026, 3, 1),
        "closed_day": None,
        "last_day": date(2026, 3, 9),
        "title": "Distillation: 40 accounts",
        "reasons": ["40 of 40 accounts paid with 2 cards", "second"],
        "spoofable": [],
        "innocent": ["a class"],
        "n_accounts": 40,
        "n_requests": 9000,
    }
    return row | changes


CLOSED = {
    "state": "closed",
    "change": "closed",
    "version": 3,
    "updated_day": date(2026, 3, 23),
    "closed_day": date(2026, 3, 23),
}
UPDATED = {"version": 2, "change": "updated", "updated_day": date(2026, 3, 4)}
ACCOUNT = {"subject_type": "account", "subject_id": "acct_1", "n_accounts": 1, "kind": "logit_extraction"}


def why(account: str = "u1", **changes: Any) -> dict[str, Any]:
    row = {"group_id": "g-1", "account_id": account, "family": "billing", "kind": "card", "key": 2**63 + 5}
    row |= {"bits": 5.0, "n_sharing": 40, "spoofable": False, "detail": "card"}
    return row | changes


def made(row: dict[str, Any], **changes: Any) -> dict[str, Any]:
    members = [f"u{i}" for i in range(40)] if row["subject_type"] == "group" else []
    settings = {"product_version": "0.1.0", "evidence": [why(m) for m in members], "members": members}
    return detection_finding(row, **(settings | changes))


@pytest.mark.parametrize("subject", [{}, ACCOUNT], ids=["group", "account"])
@pytest.mark.parametrize(
    ("changes", "done", "status"),
    [({}, 1, 1), (UPDATED, 2, 2), (CLOSED, 3, 4)],
    ids=["create", "update", "close"],
)
def test_events_are_valid(subject: dict[str, Any], changes: dict[str, Any], done: int, status: int) -> None:
    event = made(alert(**subject, **changes))
    check(event)
    check(json.loads(json.dumps(event)))
    assert (event["activity_id"], event["type_uid"], event["status_id"]) == (done, 200400 + done, status)


@pytest.mark.parametrize("missing", ["uid"])
def test_the_check_really_checks(missing: str) -> None:
    event = made(alert())
    del event["finding_info"][missing]
    with pytest.raises(jsonschema.ValidationError, match="'uid' is a required property"):
        check(event)
    other = made(alert())
    other["severity_id"] = "high"
    with pytest.raises(jsonschema.ValidationError):
        check(other)
    extra = made(alert())
    extra["evidences"][0]["weight"] = 3
    with pytest.raises(jsonschema.ValidationError):
        check(extra)


@pytest.mark.parametrize("kind", [*KINDS, "a kind of tomorrow"])
@pytest.mark.parametrize("source", ["score", "rule"])
def test_every_kind_and_source_is_valid(kind: str, source: str) -> None:
    event = made(alert(kind=kind, source=source, rule_id="r-9" if source == "rule" else None))
    check(event)
    analytic = event["finding_info"]["analytic"]
    assert (analytic["type_id"], analytic["uid"]) == (
        (1, "r-9") if source == "rule" else (4, "hydrawatch.group_score")
    )


def test_empty_columns_are_valid() -> None:
    row = alert(score=None, reasons=None, spoofable=None, innocent=None, n_accounts=None, n_requests=None)
    event = made(row, members=[], evidence=[])
    check(event)
    assert "risk_score" not in event


def test_identity_is_stable_and_versions_are_told_apart() -> None:
    first, second, last = made(alert()), made(alert(**UPDATED)), made(alert(**CLOSED))
    assert {e["finding_info"]["uid"] for e in (first, second, last)} == {"a-0011223344556677"}
    assert [e["metadata"]["uid"] for e in (first, second, last)] == [
        f"a-0011223344556677:{v}" for v in (1, 2, 3)
    ]


def test_the_same_version_gives_the_same_event_on_any_later_day() -> None:
    late = alert(day=date(2026, 5, 1), change="none", last_day=date(2026, 5, 1))
    assert made(late) == made(alert())
    assert activity(late) == 1


def test_times_are_ends_of_days_unless_given() -> None:
    event = made(alert(**CLOSED))
    end = int(datetime(2026, 3, 24, tzinfo=UTC).timestamp() * 1000) - 1
    assert event["time"] == end
    assert (
        event["finding_info"]["first_seen_time"]
        == int(datetime(2026, 3, 2, tzinfo=UTC).timestamp() * 1000) - 1
    )
    assert (
        event["finding_info"]["last_seen_time"]
        == int(datetime(2026, 3, 10, tzinfo=UTC).timestamp() * 1000) - 1
    )
    assert made(alert(), now_ms=17)["time"] == 17


def test_scores_severity_and_risk() -> None:
    event = made(alert())
    assert (event["severity_id"], event["confidence_score"], event["risk_score"]) == (4, 88, 66)
    assert event["unmapped"]["score"] == 0.876
    assert made(alert(severity="critical", score=1.0))["risk_score"] == 100
    assert made(alert(severity="low", score=1.0))["risk_score"] == 25


def test_members_are_capped_and_counted() -> None:
    members = [f"u{i}" for i in range(20_000)]
    event = made(alert(n_accounts=20_000), members=members, evidence=[why(m) for m in members])
    check(event)
    users = [e["user"]["uid"] for e in event["evidences"] if "user" in e]
    assert users == members[:20]
    (counted,) = [e["data"] for e in event["evidences"] if e.get("name") == "members"]
    assert counted == {"n_members": 20_000, "n_listed": 20}
    (paid,) = [e["data"] for e in event["evidences"] if e.get("name") == "billing.card"]
    assert paid["summary"].startswith("All 20,000 accounts paid with one card")
    assert [o["value"] for o in event["observables"]] == members[:20]
    for i, seen in enumerate(event["observables"]):
        assert seen["name"] == f"evidences[{i}].user.uid"
        assert event["evidences"][i]["user"]["uid"] == seen["value"]
    assert len(json.dumps(event)) < 64_000


def test_an_account_alert_names_the_account_as_its_evidence() -> None:
    event = made(alert(**ACCOUNT))
    assert [e["user"]["uid"] for e in event["evidences"]] == ["acct_1"]
    assert event["unmapped"]["group_id"] is None
    assert event["unmapped"]["subject_id"] == "acct_1"


def test_hostile_strings_come_out_spelled_out_or_dropped() -> None:
    row = alert(
        subject_id=HOSTILE,
        kind=HOSTILE,
        title=HOSTILE,
        reasons=[HOSTILE],
        spoofable=[HOSTILE],
        innocent=[HOSTILE * 100],
        source="rule",
        rule_id=HOSTILE,
    )
    evidence = [why(HOSTILE, detail=HOSTILE, kind=HOSTILE, family=HOSTILE)]
    event = made(row, members=[HOSTILE, HOSTILE + "\u200b"], evidence=evidence)
    check(event)

    def strings(value: Any) -> list[str]:
        if isinstance(value, dict):
            return [s for v in value.values() for s in strings(v)]
        if isinstance(value, list):
            return [s for v in value for s in strings(v)]
        return [value] if isinstance(value, str) else []

    found = strings(event)
    assert all(s.replace("\n", "").isprintable() for s in found)
    assert all(len(s) <= 1000 for s in found)
    assert event["evidences"][0]["user"]["uid"] != event["evidences"][1]["user"]["uid"]


def test_events_do_not_touch_their_rows() -> None:
    row = alert()
    before = copy.deepcopy(row)
    made(row)["unmapped"]["reasons"].append("changed by a receiver")
    assert row == before


def test_the_technique_table_is_whole() -> None:
    table = json.loads(files("rules").joinpath("atlas.json").read_text("utf-8"))
    used = {t for ids in table["kinds"].values() for t in ids} | set(table["several_accounts"])
    assert set(table["kinds"]) == set(KINDS)
    parents = {t.rpartition(".")[0] for t in used if t.count(".") == 2}
    assert set(table["techniques"]) == used | parents
    assert table["version"] == "5.6.0"


def test_attacks_carry_parent_and_sub_technique() -> None:
    extract = attacks("distillation", 1)[0]
    assert extract["technique"]["uid"] == "AML.T0024"
    assert extract["sub_technique"]["uid"] == "AML.T0024.002"
    assert extract["sub_technique"]["name"] == "Extract AI Model"
    several = {a["technique"]["uid"] for a in attacks("distillation", 2)}
    assert several - {a["technique"]["uid"] for a in attacks("distillation", 1)} == {"AML.T0021", "AML.T0008"}
    assert attacks("never heard of", 1) == attacks("other", 1)

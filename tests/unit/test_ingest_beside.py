"""CloudTrail beside Bedrock's own log: it completes requests by their ids, and makes none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from made_lake import KEY, log

from detector.ingest import beside
from detector.ingest.ingestion import ingest
from detector.lake.store import Store


def call(number: int) -> dict[str, Any]:
    return {
        "schemaType": "ModelInvocationLog", "timestamp": "2026-11-01T10:00:00Z", "accountId": "123456789012",
        "identity": {"arn": f"arn:aws:iam::123456789012:user/u{number}"}, "requestId": f"b-{number}",
        "operation": "InvokeModel", "modelId": "maker.m", "input": {"inputTokenCount": 4}, "output": {},
    }  # fmt: skip


def event(number: int, source: str = "bedrock.amazonaws.com", **more: Any) -> dict[str, Any]:
    return {
        "eventVersion": "1.11", "eventSource": source, "eventName": "InvokeModel", "eventTime": "2026-11-01T10:00:00Z",
        "userIdentity": {"type": "IAMUser", "accessKeyId": f"AKIAEXAMPLE{number}"}, "requestID": f"b-{number}",
        "sourceIPAddress": f"192.0.2.{number}", "userAgent": f"Boto3/1.{number}",
    } | more  # fmt: skip


def rows(store: Store) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = store.engine.query(
        f"SELECT request_id, ip_prefix, user_agent, api_key_hash FROM {store.relation('requests')} ORDER BY request_id"
    ).to_pylist()
    return found


def test_requests_take_address_client_and_key_from_cloudtrail(tmp_path: Path, store: Store) -> None:
    log(tmp_path / "logs" / "a-bedrock.jsonl", *(call(n) for n in range(4)))
    temporary = {"type": "AssumedRole", "accessKeyId": "ASIAEXAMPLE"}
    log(
        tmp_path / "logs" / "z-trail.jsonl",
        event(9, "s3.amazonaws.com"),
        event(0),
        event(1, userIdentity=temporary, sourceIPAddress="2001:db8::7"),
        event(2, sourceIPAddress="bedrock.amazonaws.com", userAgent="AWS Internal", userIdentity=None),
        event(7),
    )
    reports = ingest([tmp_path / "logs"], store, key=KEY)
    assert [(r.n_requests, r.n_rejects, r.n_other) for r in reports] == [(4, 0, 0), (0, 0, 5)]
    found = rows(store)
    assert [r["ip_prefix"] for r in found] == ["192.0.2.0/24", "2001:db8::/48", None, None]
    assert [r["user_agent"] for r in found] == ["Boto3/1.0", "Boto3/1.1", None, None]
    keys = [r["api_key_hash"] for r in found]
    with Store(tmp_path / "other", threads=1) as other:
        ingest([tmp_path / "logs" / "a-bedrock.jsonl"], other, key=KEY)
        alone = [r["api_key_hash"] for r in rows(other)]
    assert keys[0] != alone[0]  # the access key
    assert keys[1:] == alone[1:]  # the caller's name, where the key lives for hours only


def test_a_trail_alone_makes_no_request(tmp_path: Path, store: Store) -> None:
    (report,) = ingest([log(tmp_path / "trail.jsonl", event(1), event(2))], store, key=KEY)
    assert (report.n_requests, report.n_rejects, report.n_other) == (0, 0, 2)


def test_a_trail_of_an_earlier_night_still_completes_for_two_days(tmp_path: Path, store: Store) -> None:
    log(tmp_path / "logs" / "trail.jsonl", event(1))
    ingest([tmp_path / "logs"], store, key=KEY)
    log(tmp_path / "logs" / "late.jsonl", call(1))
    ingest([tmp_path / "logs"], store, key=KEY)
    assert rows(store)[0]["ip_prefix"] == "192.0.2.0/24"


def test_what_is_kept_in_memory_has_a_bound(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside, "MAX_KEPT", 2)
    log(tmp_path / "logs" / "b.jsonl", *(call(n) for n in range(4)))
    log(tmp_path / "logs" / "t.jsonl", *(event(n) for n in range(4)))
    reports = ingest([tmp_path / "logs"], store, key=KEY)
    assert reports[0].notes[beside.LEFT_OUT] == 2
    assert [r["ip_prefix"] is not None for r in rows(store)] == [True, True, False, False]

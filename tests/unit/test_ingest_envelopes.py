"""Wrappers of log shippers: what is in them comes out once each, and what is no wrapper stays whole."""

from __future__ import annotations

import base64
import gzip
import json
import random
from typing import Any

import pytest

from detector.ingest.complexity import is_too_complex
from detector.ingest.detect import is_record
from detector.ingest.envelopes import MAX_DEPTH, Fault, loads, unwrap

ROW = {"request_id": "r-1", "ts": "2026-03-01T00:00:00Z", "account_id": "acct-1", "model": "m-1"}
TEXT = json.dumps(ROW)


def packed(value: object) -> str:
    return base64.b64encode(gzip.compress(json.dumps(value).encode())).decode()


CLOUDWATCH = {
    "messageType": "DATA_MESSAGE", "owner": "111122223333", "logGroup": "g", "logStream": "s",
    "subscriptionFilters": ["f"], "logEvents": [{"id": "1", "timestamp": 1793610000000, "message": TEXT}],
}  # fmt: skip
WRAPPERS: dict[str, Any] = {
    "array in Records": {"Records": [ROW]},
    "Azure diagnostics": {"records": [ROW]},
    "older export": {"data": [ROW], "total": 1, "page": 1},
    "OData": {"@odata.context": "x", "value": [ROW]},
    "result": {"result": [ROW], "status": "ok"},
    "items in data": {"success": True, "message": "", "data": {"page": 1, "total": 1, "items": [ROW]}},
    "filter-log-events": {"events": [{"logStreamName": "s", "timestamp": 1, "message": TEXT, "eventId": "1"}]},
    "CloudWatch subscription": CLOUDWATCH,
    "Kinesis": {"Records": [{"kinesis": {"data": packed(CLOUDWATCH)}, "eventSource": "aws:kinesis"}]},
    "Firehose": {"records": [{"recordId": "1", "data": packed(CLOUDWATCH)}]},
    "Lambda": {"awslogs": {"data": packed(CLOUDWATCH)}},
    "SQS": {"Records": [{"messageId": "1", "body": TEXT, "eventSource": "aws:sqs"}]},
    "SNS": {"Records": [{"EventSource": "aws:sns", "Sns": {"Type": "Notification", "Message": TEXT}}]},
    "Insights": {"@timestamp": "2026-03-01 00:00:00.000", "@message": TEXT},
    "Insights' answer": {"status": "Complete", "statistics": {"recordsMatched": 1.0}, "results": [
        [{"field": "@timestamp", "value": "2026-03-01 00:00:00.000"}, {"field": "@message", "value": TEXT},
         {"field": "@ptr", "value": "CmEK"}]]},
    "Insights' answer by fields": {"results": [[{"field": k, "value": v} for k, v in ROW.items()]]},
    "docker": {"log": TEXT + "\n", "stream": "stdout", "time": "2026-03-01T00:00:00Z"},
    "fluent-bit": {"date": 1.5, "log": TEXT, "stream": "stdout", "kubernetes": {"pod_name": "p"}},
    "CRI inside": {"time": "x", "log": "2026-03-01T00:00:00.1Z stdout F " + TEXT},
    "vector": {"message": TEXT, "timestamp": "t", "source_type": "file", "host": "h", "file": "/a"},
    "filebeat": {"@timestamp": "t", "message": TEXT, "log": {"file": {"path": "/a"}}, "agent": {"id": "x"}},
    "journal": {"MESSAGE": TEXT, "__REALTIME_TIMESTAMP": "1", "_SYSTEMD_UNIT": "x.service"},
    "journal bytes": {"MESSAGE": list(TEXT.encode()), "__REALTIME_TIMESTAMP": "1"},
    "logcli": {"labels": {"app": "x"}, "line": TEXT, "timestamp": "t"},
    "Loki's answer": {"status": "success", "data": {"resultType": "streams", "result": [
        {"stream": {"app": "x"}, "values": [["1", TEXT]]}]}},
    "Loki push": {"streams": [{"stream": {"app": "x"}, "values": [["1", TEXT]]}]},
    "GCP": {"insertId": "i", "logName": "l", "resource": {"type": "k8s"}, "jsonPayload": ROW, "timestamp": "t"},
    "GCP text": {"insertId": "i", "textPayload": TEXT, "timestamp": "t"},
    "Pub/Sub push": {"message": {"data": base64.b64encode(TEXT.encode()).decode(), "messageId": "1"},
        "subscription": "projects/p/subscriptions/s"},
    "Pub/Sub pull": {"receivedMessages": [{"ackId": "a", "message": {"messageId": "1",
        "data": base64.b64encode(TEXT.encode()).decode()}}]},
    "Elastic": {"_index": "i", "_id": "1", "_source": ROW},
    "Elastic's answer": {"took": 1, "hits": {"total": 1, "hits": [{"_index": "i", "_source": ROW}]}},
    "Splunk": {"preview": False, "result": {"_raw": TEXT, "_time": "t", "host": "h"}},
    "Splunk HEC": {"event": TEXT, "time": 1, "sourcetype": "json"},
    "EventBridge": {"version": "0", "id": "1", "detail-type": "x", "source": "s", "detail": ROW},
    "a text": TEXT,
    "a list": [ROW],
    "a list of texts": [TEXT],
}  # fmt: skip


@pytest.mark.parametrize("name", WRAPPERS)
def test_a_record_comes_out_of_its_wrapper(name: str) -> None:
    wrapper = WRAPPERS[name]
    assert unwrap(wrapper, is_record) != (wrapper,)
    assert unwrap(wrapper, is_record) == (ROW,)
    assert unwrap(loads(json.dumps(wrapper))) == (ROW,)


@pytest.mark.parametrize("name", ["array in Records", "CloudWatch subscription", "older export", "Loki push"])
def test_each_entry_of_a_wrapper_comes_once(name: str) -> None:
    many = json.loads(json.dumps(WRAPPERS[name]))
    held = next(v for v in many.values() if isinstance(v, list) and v and isinstance(v[0], dict))
    held.extend(held[:1] * 4)
    assert unwrap(many, is_record) == (ROW,) * 5


def test_a_bare_record_is_its_own_entry_and_costs_no_copy() -> None:
    [entry] = unwrap(ROW)
    assert entry is ROW


@pytest.mark.parametrize(
    "record",
    [
        ROW | {"message": json.dumps(ROW | {"account_id": "victim"}), "time": "t"},
        ROW | {"prompt": TEXT, "data": [{"account_id": "victim"}], "events": []},
        {"ts": "2026-03-01T00:00:00Z", "account_id": "acct-1", "event": "banned"},
        {"schemaType": "ModelInvocationLog", "requestId": "b", "message": TEXT, "time": "t"},
    ],
)
def test_a_record_with_a_callers_text_in_it_is_no_wrapper(record: dict[str, Any]) -> None:
    assert unwrap(record, is_record) == (record,)


@pytest.mark.parametrize(
    ("wrapper", "code"),
    [
        ({"messageType": "CONTROL_MESSAGE", "logEvents": [{"message": "Checking"}]}, "not_a_call"),
        ({"Records": []}, "not_a_call"),
        ({"log": "starting\n", "stream": "stderr", "time": "t"}, "not_json"),
        ({"log": "[2026-03-01][info] {x\n", "stream": "stderr", "time": "t"}, "not_json"),
        ("words", "not_json"),
        (7, "not_object"),
        (None, "not_object"),
    ],
)
def test_a_wrapper_without_a_record_is_one_fault(wrapper: object, code: str) -> None:
    [fault] = unwrap(wrapper, is_record)
    assert isinstance(fault, Fault)
    assert fault.code == code


def test_wrappers_without_end_are_given_up() -> None:
    value: Any = ROW
    for _ in range(MAX_DEPTH + 5):
        value = {"Records": [value]}
    [fault] = unwrap(value, is_record)
    assert isinstance(fault, Fault)
    assert fault.code == "bad_envelope"
    bomb = base64.b64encode(gzip.compress(b'{"a":"' + b"x" * (65 << 20) + b'"}')).decode()
    assert unwrap({"recordId": "1", "data": bomb}) == (Fault("not_json", "text in a wrapper"),)


PREFIXES = [
    "2026-03-01T00:00:00.000Z ",
    "2026-03-01T00:00:00.000000000+01:00 ",
    "2026-03-01 00:00:00,123 ",
    "2026-03-01T00:00:00.0Z\t",
    "2026-03-01T00:00:00.0Z stdout F ",
    "2026-03-01T00:00:00.0+00:00 stderr F:tag ",
    "Mar  1 00:00:00 host app[123]: ",
    "<134>Mar  1 00:00:00 host app: ",
    "<134>Mar  1 00:00:00 host app: @cee: ",
    "2026-03-01T00:00:00.0+00:00 host app[1]: ",
    "<165>1 2026-03-01T00:00:00Z host app 1 ID47 - ",
    '<165>1 2026-03-01T00:00:00Z host app 1 ID47 [a@32473 b="c"] ',
    "2026-03-01T00:00:00.123000+00:00 ecs/gateway/0f3a9c ",
    "2026-03-01T00:00:00+00:00 2026/03/01/[$LATEST]0f3a9c ",
    "2026-03-01T00:00:00.123000+00:00 i-0123456789abcdef0 ",
    "gateway-1  | ",
    "[pod/gateway-0/envoy] ",
    "[pod/gateway-0/envoy] 2026-03-01T00:00:00Z ",
    "\x1e",
    "\0\0",
    "\ufeff",
]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_what_shippers_write_before_a_record_is_taken_off(prefix: str) -> None:
    assert loads(prefix + TEXT) == ROW
    assert loads((prefix + TEXT + ",\r\n").encode()) == ROW


@pytest.mark.parametrize(
    "text",
    [
        "prompt: " + TEXT,
        "user said " + TEXT,
        "2026-03-01T00:00:00+00:00 prompt " + TEXT,
        "2026-03-01T00:00:00+00:00 user/7: " + TEXT,
        "2026-03-01T00:00:00+00:00 ecs/app/0f3a said " + TEXT,
        f'192.0.2.7 - - [x] "GET /" 200 {TEXT}',
        "2026-03-01T00:00:00Z INFO got " + TEXT,
        "Mar  1 00:00:00 host app[1]: received " + TEXT,
        TEXT + " trailing",
        TEXT[:-3],
        "",
        "[2026-03-01T00:00:00Z] starting",
    ],
)
def test_records_within_free_words_are_not_read(text: str) -> None:
    with pytest.raises(ValueError, match="not valid JSON"):
        loads(text)


def test_records_in_a_row_on_one_line_and_bare_nan_are_read() -> None:
    assert unwrap(loads(TEXT * 3)) == (ROW,) * 3
    assert unwrap(loads(TEXT + " " + TEXT)) == (ROW,) * 2
    assert loads('{"temperature": NaN, "a": [-Infinity]}') == {"temperature": None, "a": [None]}


def test_only_lines_that_would_fill_the_memory_are_too_complex() -> None:
    assert not is_too_complex(b"{}," * 1000)
    assert is_too_complex(b'{"a":[' + b"{}," * (3 << 20) + b"{}]}")
    assert is_too_complex("[" * (8 << 20))
    assert not is_too_complex(b'{"prompt": "' + b"{" * (8 << 20) + b'"}')
    assert not is_too_complex(b'{"prompt": "' + b'\\"{' * (4 << 20) + b'"}')
    assert not is_too_complex(json.dumps({"e": [0.25] * 1_000_000}))


@pytest.mark.parametrize("seed", range(20))
def test_anything_parsed_gives_entries_and_never_an_error(seed: int) -> None:
    rng = random.Random(seed)
    names = [
        "Records",
        "data",
        "log",
        "message",
        "stream",
        "time",
        "values",
        "kinesis",
        "a",
        "hits",
        "MESSAGE",
    ]

    def any_value(depth: int) -> Any:
        kind = rng.randrange(8 if depth else 5)
        if kind < 5:
            return rng.choice([None, True, 1.5, "", "{", "[]", TEXT, TEXT[:9], "eyJhIjoxfQ==", [], {}, ROW])
        if kind < 7:
            return {rng.choice(names): any_value(depth - 1) for _ in range(rng.randrange(4))}
        return [any_value(depth - 1) for _ in range(rng.randrange(4))]

    for _ in range(500):
        entries = unwrap(any_value(5), is_record)
        assert entries
        assert all(isinstance(e, dict | Fault) for e in entries)

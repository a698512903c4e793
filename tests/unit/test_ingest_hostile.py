"""Lines of a caller who wants his own request, or its text, out of the lake; or another's changed."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest

from detector.ingest.checks import Mapped
from detector.ingest.formats import Options, formats
from detector.ingest.mapping import RecordMapper
from detector.ingest.messages import conversation, prose
from detector.ingest.records import MAX_DEPTH, parse, shallow
from detector.ingest.splitting import Block

TEXT = "what the caller really asks"
TURN = [{"role": "user", "content": TEXT}]
SPEND: dict[str, Any] = {
    "id": "a", "call_type": "acompletion", "startTime": "2026-11-01T10:00:00Z", "endTime": "2026-11-01T10:00:02Z",
    "model": "m-1", "user": "u-1", "status": "success",
}  # fmt: skip


def mapped(name: str, *lines: str, **options: Any) -> Mapped:
    numbers = pa.array(range(1, len(lines) + 1), pa.int64())
    table = pa.table({"line": numbers, "text": pa.array(lines, pa.large_string())})
    return RecordMapper(formats()[name], "requests", Options(**options)).map(Block(table, []))


def spend(extra: str = "", **asked: Any) -> str:
    """A line of LiteLLM; ``extra`` is JSON put beside the request as it stands."""
    line = json.dumps(SPEND | {"proxy_server_request": {"messages": TURN} | asked})
    return f"{line[:-1]},{extra}}}" if extra else line


DEEP = json.loads("[" * 300 + "]" * 300)


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


@pytest.mark.parametrize(
    "extra",
    [
        f'"x":{nested(1500)}',
        '"x":1e999',
        f'"x":{"1" * 5000}',
        f'"x":["\\ud800",{nested(500)}]',
        '"x":NaN',
        f'"x":{nested(990)}',
    ],
    ids=[
        "deeper than a parser goes",
        "beyond a double",
        "5,000 digits",
        "half a pair, nested",
        "NaN",
        "deep",
    ],
)
def test_what_one_parser_refuses_keeps_no_request_out(extra: str) -> None:
    found = mapped("litellm", spend(extra))
    assert found.rows["prompt"].to_list() == [TEXT]
    assert not found.rejects


@pytest.mark.parametrize(
    "asked",
    [
        {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "text", "text": TEXT}, {"mime_type": json.loads(nested(300))}],
                }
            ]
        },
        {"messages": [{"role": "User ", "content": TEXT}]},
        {
            "messages": [
                {"role": "user", "content": [{"type": "document", "source": {"type": "text", "data": TEXT}}]}
            ]
        },
        {"messages": [{"role": "user", "content": [{"text": TEXT, "functionResponse": {}}]}]},
        {"messages": [{"role": "user", "content": [{"type": ["text"], "text": TEXT}]}]},
    ],
)
def test_odd_parts_hide_no_text(asked: dict[str, Any]) -> None:
    assert mapped("litellm", spend(**asked)).rows["prompt"].to_list() == [TEXT]


def test_a_text_that_looks_like_messages_is_measured_whole() -> None:
    looks = json.dumps([{"role": "assistant", "content": TEXT}, {"role": "user", "content": "hi"}])
    line = json.dumps(SPEND | {"proxy_server_request": {"input": looks}})
    assert mapped("litellm", line).rows["prompt"].to_list() == [looks]
    assert conversation(looks, stored=True).prompt == "hi"


def test_what_the_model_never_sees_stands_for_nothing() -> None:
    line = json.dumps(
        SPEND
        | {"call_type": "atext_completion", "proxy_server_request": {"messages": ["decoy"], "prompt": TEXT}}
    )
    assert mapped("litellm", line).rows["prompt"].to_list() == [TEXT]


def test_a_system_prompt_that_is_json_is_text() -> None:
    assert mapped("litellm", spend(system='{"rules": "be brief"}')).rows["system_prompt"].to_list() == [
        '{"rules": "be brief"}'
    ]


def test_only_data_is_taken_out_of_prose() -> None:
    sentence = ";base64,Write_the_secret_plan_in_detail"
    assert prose(sentence) == sentence
    data = "data:image/png;base64," + "iVBORw0KGgo1" * 20
    assert prose(f"Look: {data} What is it?") == "Look:  What is it?"


MAP = {"request_id": "id", "ts": "time", "account_id": "user", "request_body": "body", "status": "code"}


def own(**given: Any) -> str:
    return json.dumps({"id": "r-1", "time": "2026-03-02T09:00:02Z", "user": "u", "code": 200} | given)


def test_a_body_is_never_read_as_a_record() -> None:
    forged = own(id="forged", user="victim", body="{}")
    found = mapped(
        "mapped", own(user="-", code=401, body=forged), own(id="null", body=forged), mapped_keys=MAP
    )
    assert found.rows.is_empty()
    assert [r.code for r in found.rejects] == ["unauthenticated", "missing"]


def test_white_space_before_a_body_hides_nothing() -> None:
    body = json.dumps({"model": "m", "messages": TURN})
    found = mapped("mapped", own(body=f" {body}"), own(id="r-2", body=f"\ufeff\n{body}"), mapped_keys=MAP)
    assert found.rows["prompt"].to_list() == [TEXT, TEXT]


def test_an_id_that_says_nothing_removes_no_line_of_an_access_log() -> None:
    line = {
        "start_time": "2026-03-02T09:00:00Z", "x-envoy-origin-path": "/v1/chat/completions", "response_code": 200,
        "duration": 5, "bytes_sent": 4, "x-account-id": "a", "gen_ai.request.model": "m",
        "x-forwarded-for": "192.0.2.1, garbage", "downstream_remote_address": "198.51.100.7:443",
    }  # fmt: skip
    found = mapped("envoy", *(json.dumps(line | {"x-request-id": word}) for word in ("null", "-", " ")))
    assert found.rows["request_id"].n_unique() == 3
    assert set(found.rows["source_ip"]) == {"198.51.100.7:443"}


def test_what_lies_too_deep_is_cut_and_the_rest_is_kept() -> None:
    text = f'{{"a": "[[", "deep": {nested(MAX_DEPTH * 3)}, "b": [1, {{"c": "]"}}]}}'
    found = parse(shallow(text))
    assert (found["a"], found["b"]) == ("[[", [1, {"c": "]"}])
    depth, inner = 1, found["deep"]
    while inner:
        depth, inner = depth + 1, inner[0]
    assert depth <= MAX_DEPTH


@pytest.mark.parametrize("name", ["event.duration", "gen_ai.response.time_to_first_chunk"])
def test_a_number_beyond_all_bounds_costs_its_column_only(name: str) -> None:
    line = json.dumps({
        "@timestamp": "2026-11-01T10:00:00Z", "gen_ai.operation.name": "chat", "gen_ai.request.model": "m-1",
        "gen_ai.response.id": "r-1", "user.id": "u", "gen_ai.usage.input_tokens": 3, name: 10**400,
    })  # fmt: skip
    found = mapped("genai", line)
    assert not found.rejects
    [row] = found.rows.to_dicts()
    assert (row["latency_ms"], row["ttft_ms"]) == (None, None)
    assert found.notes.total() == 1

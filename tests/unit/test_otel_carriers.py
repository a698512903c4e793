"""Every common instrumentation's spans: what they say is read, and one call is one request.

Shapes and names are those of the public instrumentations; words and values are made up.
"""

from __future__ import annotations

import json
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from detector.ingest.checks import Mapped
from detector.ingest.formats import Options, formats
from detector.ingest.mapping import RecordMapper
from detector.ingest.splitting import Block

START = 1_793_610_000_000_000_000


def wrapped(value: Any) -> dict[str, Any]:
    """A value as OTLP/JSON wraps it."""
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [wrapped(v) for v in value]}}
    return {"kvlistValue": {"values": [{"key": k, "value": wrapped(v)} for k, v in value.items()]}}


def pairs(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": k, "value": wrapped(v)} for k, v in attributes.items()]


def span(
    name: str, attributes: dict[str, Any], parent: str = "", trace: str = "t", kind: int = 1, **more: Any
) -> dict[str, Any]:
    made = {
        "traceId": trace, "spanId": name, "parentSpanId": parent, "name": name, "kind": kind,
        "startTimeUnixNano": str(START), "endTimeUnixNano": str(START + 1_500_000_000),
        "attributes": pairs(attributes),
    }  # fmt: skip
    return made | more


def event(name: str, attributes: dict[str, Any], after_ms: int = 0) -> dict[str, Any]:
    at = str(START + after_ms * 1_000_000)
    return {"name": name, "timeUnixNano": at, "attributes": pairs(attributes)}


def line(*spans: dict[str, Any], resource: dict[str, Any] | None = None) -> str:
    scopes = [{"scope": {"name": "x"}, "spans": list(spans)}]
    return json.dumps(
        {"resourceSpans": [{"resource": {"attributes": pairs(resource or {})}, "scopeSpans": scopes}]}
    )


def logs(*records: dict[str, Any]) -> str:
    return json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": list(records)}]}]})


def mapped(*lines: str, **options: Any) -> Mapped:
    numbers = pa.array(range(1, len(lines) + 1), pa.int64())
    block = Block(pa.table({"line": numbers, "text": pa.array(lines, pa.large_string())}), [])
    return RecordMapper(formats()["otel"], "requests", Options(**options)).map(block)


def one(*spans: dict[str, Any], **options: Any) -> dict[str, Any]:
    """The only request in some spans."""
    found = mapped(line(*spans), **options)
    assert not found.rejects
    assert found.n_other == len(spans) - 1
    [row] = found.rows.to_dicts()
    return {k: v for k, v in row.items() if v is not None}


USER = {"user.id": "u"}
CALL = {
    "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "m",
    "gen_ai.usage.input_tokens": 9, "gen_ai.usage.output_tokens": 3,
}  # fmt: skip
GIVEN = {"temperature": 0.5, "max_tokens": 64, "seed": 7, "stop": ["A", "B"], "n": 2, "stream": True}
TALK = [{"role": "system", "content": "Be plain."}, {"role": "user", "content": "What is a lock?"}]


def text(content: str) -> dict[str, str]:
    return {"type": "text", "content": content}


def langchain(kind: str, content: str) -> dict[str, Any]:
    names = ["langchain", "schema", "messages", kind]
    return {"lc": 1, "type": "constructor", "id": names, "kwargs": {"content": content}}


def messages(content: str = "{}") -> list[dict[str, Any]]:
    """An event a message."""
    return [
        event(f"gen_ai.{m['role']}.message", {"content": content.replace("{}", m["content"])}) for m in TALK
    ]


def asks(row: dict[str, Any]) -> None:
    assert (row["prompt"], row["system_prompt"], row["turn"]) == ("What is a lock?", "Be plain.", 1)


@pytest.mark.parametrize(
    "attributes",
    [
        {"gen_ai.input.messages": json.dumps(TALK)},
        {"gen_ai.input.messages": TALK},
        {"gen_ai.input.messages": json.dumps(TALK[1:]),
         "gen_ai.system_instructions": '[{"type":"text","content":"Be plain."}]'},
        {"gen_ai.prompt": json.dumps(TALK)},
        {"gen_ai.prompt": json.dumps({"messages": TALK})},
        {"gen_ai.prompt.0.role": "system", "gen_ai.prompt.0.content": "Be plain.",
         "gen_ai.prompt.1.role": "user", "gen_ai.prompt.1.content": '[{"type":"text","text":"What is a lock?"}]'},
        {"llm.input_messages.0.message.role": "system", "llm.input_messages.0.message.content": "Be plain.",
         "llm.input_messages.1.message.role": "user",
         "llm.input_messages.1.message.contents.0.message_content.type": "text",
         "llm.input_messages.1.message.contents.0.message_content.text": "What is a lock?"},
        {"input.value": json.dumps({"model": "m", "messages": TALK})},
        {"ai.prompt.messages": json.dumps(TALK)},
        {"ai.prompt": json.dumps({"system": "Be plain.", "messages": TALK[1:]})},
        {"events": json.dumps([{"event.name": f"gen_ai.{m['role']}.message", **m} for m in TALK])},
        {"pydantic_ai.all_messages": json.dumps([{"role": m["role"], "parts": [text(m["content"])]} for m in TALK])},
        {"all_messages_events": json.dumps(
            [{"event.name": f"gen_ai.{m['role']}.message", "content": m["content"]} for m in TALK])},
        {"request_data": json.dumps({"model": "m", "messages": TALK, "stream": True})},
        {"mlflow.chat.messages": json.dumps(TALK)},
        {"mlflow.spanInputs": json.dumps({"model": "m", "messages": TALK})},
        {"langfuse.observation.input": json.dumps(TALK)},
        {"gen_ai.prompt": json.dumps({"messages": [[
            langchain("SystemMessage", "Be plain."), langchain("HumanMessage", "What is a lock?")]]})},
    ],
    ids=lambda a: next(iter(a))[:40],
)  # fmt: skip
def test_a_conversation_is_read_wherever_an_attribute_carries_it(attributes: dict[str, Any]) -> None:
    asks(one(span("s", CALL | USER | attributes)))


@pytest.mark.parametrize(
    "events",
    [
        messages(),
        # Strands: content as JSON text of Bedrock's parts
        messages('[{"text":"{}"}]'),
        # Azure: the whole message as JSON text
        [event(f"gen_ai.{m['role']}.message", {"gen_ai.event.content": json.dumps(m)}) for m in TALK],
        # openlit: one text, a line a message; Semantic Kernel: JSON
        [event("gen_ai.content.prompt", {"gen_ai.prompt": "system: Be plain.\nuser: What is a lock?"})],
        [event("gen_ai.content.prompt", {"gen_ai.prompt": json.dumps(TALK)})],
        [event("gen_ai.client.inference.operation.details", {"gen_ai.input.messages": json.dumps(TALK)})],
    ],
    ids=["conventions", "strands", "azure", "openlit", "semantic-kernel", "details"],
)  # fmt: skip
def test_a_conversation_is_read_from_the_events_of_a_span(events: list[dict[str, Any]]) -> None:
    asks(one(span("s", CALL | USER, events=events)))


def test_messages_as_log_records_belong_to_the_span_they_name() -> None:
    named = {"traceId": "t", "spanId": "s", "timeUnixNano": str(START)}
    records = [
        named | {"eventName": f"gen_ai.{m['role']}.message", "body": wrapped({"content": m["content"]})}
        for m in TALK
    ]
    choice = named | {"eventName": "gen_ai.choice", "body": wrapped({"index": 0, "finish_reason": "length"})}
    found = mapped(logs(*records, choice), line(span("s", CALL | USER)))
    [row] = found.rows.to_dicts()
    asks(row)
    assert row["finish_reason"] == "length"
    assert found.n_other == 3


def test_a_span_and_the_event_of_its_details_are_one_request() -> None:
    details = {
        "traceId": "t", "spanId": "s", "timeUnixNano": str(START), "eventName": "gen_ai.client.inference.operation.details",
        "attributes": pairs(CALL | {"gen_ai.input.messages": TALK}),
    }  # fmt: skip
    found = mapped(line(span("s", CALL | USER)), logs(details))
    assert found.rows.height == 1
    asks(found.rows.to_dicts()[0])


def test_a_result_of_a_tool_is_no_turn_and_text_beside_it_is() -> None:
    result = {"type": "tool_result", "tool_use_id": "x", "content": "3"}
    flat = {
        "gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "Count them",
        "gen_ai.prompt.1.role": "assistant", "gen_ai.prompt.1.content": "", "gen_ai.prompt.1.tool_calls.0.name": "count",
        "gen_ai.prompt.2.role": "user", "gen_ai.prompt.2.content": json.dumps([result]),
    }  # fmt: skip
    asking = flat | {
        "gen_ai.prompt.1.content": json.dumps([{"type": "tool_use", "id": "x", "name": "count"}])
    }
    del asking["gen_ai.prompt.1.tool_calls.0.name"]
    row = one(span("s", CALL | USER | asking))
    assert (row["prompt"], row["turn"]) == ("Count them", 1)
    row = one(span("s", CALL | USER | flat))
    assert (row["prompt"], row["turn"]) == ("Count them", 1)
    flat["gen_ai.prompt.2.content"] = json.dumps([result, {"type": "text", "text": "and now?"}])
    row = one(span("s", CALL | USER | flat))
    assert (row["prompt"], row["turn"]) == ("and now?", 2)


def test_a_caller_s_text_that_looks_like_a_tool_s_result_is_measured() -> None:
    text = json.dumps(
        [{"type": "tool_result", "tool_use_id": "x", "content": "Write every step of the solution"}]
    )
    for messages in (json.dumps([{"role": "user", "content": text}]), [{"role": "user", "content": text}]):
        row = one(span("s", CALL | USER | {"gen_ai.input.messages": messages}))
        assert (row["prompt"], row["turn"]) == (text, 1)


@pytest.mark.parametrize("before", [[], ["user"], ["user", "assistant"], ["system"]])
@pytest.mark.parametrize("beside", [[], [{"type": "text", "text": "hi"}]])
def test_a_tool_s_result_that_no_tool_was_asked_for_is_the_caller_s_text(
    before: list[str], beside: list[Any]
) -> None:
    text = json.dumps([{"type": "tool_result", "content": "Write every step of the solution"}, *beside])
    told = [*((role, "words") for role in before), ("user", text)]
    flat = {
        f"gen_ai.prompt.{at}.{part}": value
        for at, (role, content) in enumerate(told)
        for part, value in (("role", role), ("content", content))
    }
    row = one(span("s", CALL | USER | flat))
    assert (row["prompt"], row["turn"]) == (text, before.count("user") + 1)


def test_calls_of_different_users_within_one_another_stay_two() -> None:
    for other in ({"user.id": "u-2"}, {"enduser.id": "u-2"}, {"user.id": "u-2", "enduser.id": "u-1"}):
        found = mapped(line(span("out", CALL | {"user.id": "u-1"}), span("in", CALL | other, parent="out")))
        assert sorted(found.rows["account_id"]) == ["u-1", "u-2"]
    same = mapped(
        line(span("out", CALL | {"user.id": "u-1"}), span("in", CALL | {"user.id": "u-1"}, parent="out"))
    )
    bare = mapped(line(span("out", CALL | {"user.id": "u-1"}), span("in", CALL, parent="out")))
    assert same.rows["account_id"].to_list() == bare.rows["account_id"].to_list() == ["u-1"]


def flat_records(*records: dict[str, Any]) -> Mapped:
    texts = pa.array([json.dumps(record) for record in records], pa.large_string())
    lines = pa.table({"line": pa.array(range(1, len(records) + 1), pa.int64()), "text": texts})
    return RecordMapper(formats()["genai"], "requests", Options()).map(Block(lines, []))


@pytest.mark.parametrize("name", ["user.id", "usr.id", "user", "organization.id"])
def test_flat_records_of_different_users_within_one_another_stay_two(name: str) -> None:
    base = {"trace.id": "t", "@timestamp": "2026-11-01T10:00:00Z", "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 5}  # fmt: skip
    rows = [base | {"span.id": "out", name: "u-1"}, base | {"span.id": "in", "parent.id": "out", name: "u-2"}]
    found = flat_records(*rows)
    assert sorted(found.rows["account_id"]) == ["u-1", "u-2"]
    folded = flat_records(rows[0], rows[1] | {name: "u-1"})
    assert folded.rows["account_id"].to_list() == ["u-1"]


@pytest.mark.parametrize(
    "text",
    [
        '{"prompt": "hi", "more": "Write every step"}',
        '[{"x": "Write every step"}]',
        '{"x": 1}',
        '{"role": 1}',
        "[1, 2]",
    ],
)
def test_a_caller_s_text_that_looks_like_json_is_measured_whole(text: str) -> None:
    assert one(span("s", CALL | USER | {"gen_ai.prompt": text}))["prompt"] == text


def test_a_caller_cannot_cut_his_own_text_short_where_turns_are_lines() -> None:
    prompt = "user: Write every step\nuser: of the solution"
    row = one(span("s", CALL | USER, events=[event("gen_ai.content.prompt", {"gen_ai.prompt": prompt})]))
    assert row["prompt"] == "Write every step\nof the solution"


def test_members_are_read_in_the_order_of_their_numbers() -> None:
    flat = {
        f"gen_ai.prompt.{n}.{k}": v
        for n in (10, 9, 2)
        for k, v in (("role", "user"), ("content", f"turn {n}"))
    }
    row = one(span("s", CALL | USER | flat))
    assert (row["prompt"], row["turn"]) == ("turn 10", 3)


@pytest.mark.parametrize(
    "attributes",
    [
        {"gen_ai.tool.definitions": json.dumps([{"type": "function", "name": "look"}, {"type": "function", "name": "dig"}])},
        {"gen_ai.tool.definitions": [{"type": "function", "name": "look"}, {"type": "function", "name": "dig"}]},
        {"llm.request.functions.0.name": "look", "llm.request.functions.1.name": "dig"},
        {"llm.tools.0.tool.json_schema": '{"type":"function","function":{"name":"look"}}',
         "llm.tools.1.tool.json_schema": '{"type":"function","function":{"name":"dig"}}'},
        {"ai.prompt.tools": ['{"type":"function","name":"look"}', '{"type":"function","name":"dig"}']},
        {"model_request_parameters": json.dumps({"function_tools": [{"name": "look"}, {"name": "dig"}]})},
        {"llm.invocation_parameters": json.dumps({"tools": [{"function": {"name": "look"}}, {"name": "dig"}]})},
        {"mlflow.chat.tools": json.dumps([{"type": "function", "function": {"name": n}} for n in ("look", "dig")])},
    ],
    ids=lambda a: next(iter(a))[:40],
)  # fmt: skip
def test_tools_are_read_wherever_they_lie(attributes: dict[str, Any]) -> None:
    row = one(span("s", CALL | USER | attributes))
    assert (row["tool_count"], row["tool_names"]) == (2, ["look", "dig"])


@pytest.mark.parametrize(
    "attributes",
    [
        {"gen_ai.request.temperature": 0.5, "gen_ai.request.max_tokens": 64, "gen_ai.request.seed": 7,
         "gen_ai.request.stop_sequences": ["A", "B"], "gen_ai.request.choice.count": 2, "gen_ai.request.stream": True},
        {"llm.invocation_parameters": json.dumps(GIVEN)},
        {"request_data": json.dumps(GIVEN)},
    ],
    ids=["conventions", "OpenInference", "Logfire"],
)  # fmt: skip
def test_parameters_are_read_wherever_they_lie(attributes: dict[str, Any]) -> None:
    row = one(span("s", CALL | USER | attributes))
    found = [row[n] for n in ("temperature", "max_tokens", "seed", "stop_count", "n", "stream")]
    assert found == [0.5, 64, 7, 2, 2, True]


@pytest.mark.parametrize(
    ("attributes", "account"),
    [
        ({"user.id": "u"}, "u"),
        ({"traceloop.association.properties.user_id": "u"}, "u"),
        ({"ai.telemetry.metadata.userId": "u"}, "u"),
        ({"langfuse.user.id": "u"}, "u"),
        ({"langsmith.metadata.user_id": "u"}, "u"),
        ({"mlflow.trace.user": "u"}, "u"),
        ({"metadata.user_api_key_user_id": "u"}, "u"),
        ({"user.id": "none", "tenant.id": "org"}, "org"),
        ({"api_key.id": "k"}, "k"),
    ],
    ids=str,
)
def test_the_account_is_read_wherever_a_tool_names_it(attributes: dict[str, Any], account: str) -> None:
    assert one(span("s", CALL | attributes))["account_id"] == account


@pytest.mark.parametrize(
    "attributes",
    [
        {"metadata.tenant": "t-1"},
        {"metadata": '{"tenant": "t-1"}'},
        {"metadata": {"tenant": "t-1"}},
    ],
    ids=["name", "JSON text", "kvlist"],
)
def test_a_site_s_attribute_is_found_in_a_name_a_text_and_a_list(attributes: dict[str, Any]) -> None:
    for spans, resource in (
        ([span("s", CALL | USER | attributes)], {}),
        ([span("s", CALL | USER, parent="p"), span("p", attributes, kind=2)], {}),
        ([span("s", CALL | USER)], attributes),
    ):
        found = mapped(line(*spans, resource=resource), account_attribute="metadata.tenant")
        assert found.rows["account_id"].to_list() == ["t-1"]
        assert found.n_named == 1


def test_who_called_is_taken_from_the_spans_around_a_call_wherever_they_lie() -> None:
    server = span("a", {"user.id": "u", "client.address": "192.0.2.7", "http.route": "/v1"}, kind=2)
    client = span(
        "c",
        {"http.request.method": "POST", "net.peer.ip": "203.0.113.1", "user_agent.original": "inner"},
        "b",
        kind=3,
    )
    row = mapped(
        line(span("d", CALL, "c")), line(client), line(span("b", {"session.id": "s-1"}, "a")), line(server)
    ).rows.to_dicts()[0]
    assert (row["account_id"], row["source_ip"], row["session_id"]) == ("u", "192.0.2.7", "s-1")
    assert row["user_agent"] is None  # that of the gateway's own request


def test_a_list_of_addresses_is_read_by_the_trusted_hops() -> None:
    hops = "198.51.100.1, 192.0.2.7, 203.0.113.9"
    for attributes in ({"client.address": hops}, {"http.request.header.x-forwarded-for": [hops]}):
        assert one(span("s", CALL | USER | attributes), trusted_hops=1)["source_ip"] == "192.0.2.7"


@pytest.mark.parametrize(
    "outer",
    [
        {
            "openinference.span.kind": "LLM",
            "llm.model_name": "m",
            "llm.token_count.prompt": 9,
            "session.id": "s-1",
        },
        {"gen_ai.operation.name": "chat", "gen_ai.request.model": "provider/m", "session.id": "s-1"},
        {
            "ai.operationId": "ai.generateText",
            "ai.model.id": "m",
            "ai.prompt": '{"prompt":"x"}',
            "session.id": "s-1",
        },
    ],
    ids=["OpenInference", "router", "Vercel"],
)
def test_a_framework_s_span_around_the_client_s_is_the_same_request(outer: dict[str, Any]) -> None:
    row = one(
        span("in", CALL | {"gen_ai.response.id": "c-1"}, "http"),
        span("http", {"x": 1}, "out"),
        span("out", outer | USER),
    )
    assert (row["request_id"], row["session_id"], row["input_tokens"]) == ("c-1", "s-1", 9)


def test_usage_that_only_the_outer_span_has_is_kept() -> None:
    bare = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.response.id": "c-1"}
    row = one(span("in", bare, "out", kind=3), span("out", CALL | USER | {"gen_ai.input.messages": TALK}))
    assert (row["request_id"], row["input_tokens"], row["prompt"]) == ("c-1", 9, "What is a lock?")


def test_every_call_inside_an_agent_is_a_request_and_the_agent_is_none() -> None:
    agent = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.request.model": "m",
        "gen_ai.usage.input_tokens": 18,
    } | USER
    found = mapped(
        line(
            span("a", agent),
            *(span(n, CALL, "a") for n in "bc"),
            span("t", {"gen_ai.operation.name": "execute_tool"}, "a"),
        )
    )
    assert found.rows.height == 2
    assert found.n_other == 2


def test_another_model_or_an_embedding_inside_a_call_is_a_request_of_its_own() -> None:
    guard = CALL | {"gen_ai.request.model": "guard", "gen_ai.usage.input_tokens": 40}
    search = {"gen_ai.operation.name": "embeddings", "gen_ai.request.model": "m"}
    found = mapped(line(span("a", CALL | USER), span("b", guard, "a"), span("c", search, "a")))
    assert found.rows.height == 3


def test_a_caller_s_own_trace_header_removes_no_request() -> None:
    # A second request claims to have come out of the first one's call.
    first = [span("s1", USER, kind=2), span("c1", CALL, "s1", kind=3)]
    second = [span("s2", {"user.id": "v"}, "c1", kind=2), span("c2", CALL, "s2", kind=3)]
    found = mapped(line(*first, *second))
    assert sorted(found.rows["account_id"]) == ["u", "v"]


def test_spans_that_are_each_other_s_parents_are_both_kept() -> None:
    found = mapped(
        line(span("a", CALL | USER, "b"), span("b", CALL | USER, "a"), span("c", CALL | USER, "c"))
    )
    assert found.rows.height == 3


@pytest.mark.parametrize(
    "attributes",
    [
        {"gen_ai.operation.name": "create_agent", "gen_ai.request.model": "m"},
        {"gen_ai.operation.name": "create_thread", "gen_ai.system": "az.ai.agents"},
        {"gen_ai.operation.name": "submit_tool_outputs", "gen_ai.system": "az.ai.agents", "gen_ai.request.model": "m"},
        {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "x"},
        {"openinference.span.kind": "CHAIN", "llm.model_name": "m", "input.value": "x"},
        {"openinference.span.kind": "RETRIEVER", "input.value": "x"},
        {"traceloop.span.kind": "workflow", "traceloop.entity.input": "{}"},
        {"langsmith.span.kind": "tool", "gen_ai.prompt": "{}"},
        {"mlflow.spanType": '"AGENT"', "mlflow.spanInputs": "{}"},
        {"ai.operationId": "ai.toolCall", "ai.toolCall.name": "x"},
        {"db.system": "postgresql", "db.statement": "select 1"},
        {"http.request.method": "POST", "url.full": "https://example.com/v1/chat/completions"},
        {"model_name": "m", "agent_name": "a", "gen_ai.usage.input_tokens": 3, "all_messages_events": "[]"},
    ],
    ids=lambda a: next(iter(a.values())),
)  # fmt: skip
def test_what_is_no_call_of_a_model_is_counted_and_is_no_reject(attributes: dict[str, Any]) -> None:
    found = mapped(line(span("s", attributes | USER)))
    assert (found.rows.height, found.rejects, found.n_other) == (0, [], 1)


@pytest.mark.parametrize(
    "attributes",
    [
        {
            "gen_ai.operation.name": "process_thread_run",
            "gen_ai.request.model": "m",
            "gen_ai.usage.input_tokens": 3,
        },
        {"gen_ai.operation.name": "a.new.name", "gen_ai.request.model": "m", "gen_ai.input.messages": "[]"},
        {"openinference.span.kind": "LLM", "llm.model_name": "m"},
        {"mlflow.spanType": '"CHAT_MODEL"', "mlflow.llm.model": "m"},
        {"gen_ai.system": "x", "gen_ai.request.model": "m", "llm.request.type": "completion"},
        {"ai.operationId": "ai.generateObject.doGenerate", "ai.model.id": "m", "ai.usage.promptTokens": 3},
    ],
    ids=lambda a: next(iter(a.values())),
)
def test_a_call_is_told_by_what_it_says(attributes: dict[str, Any]) -> None:
    assert one(span("s", attributes | USER))["model"] == "m"


@pytest.mark.parametrize(
    ("more", "status", "error"),
    [
        ({}, 200, None),
        ({"attributes": {"error.type": "429"}}, 429, "429"),
        ({"attributes": {"error.type": "openai.RateLimitError"}}, 429, "openai.RateLimitError"),
        ({"attributes": {"error.type": "ServiceError", "error.code": "429"}}, 429, "ServiceError"),
        ({"attributes": {"gen_ai.response.error_code": "ThrottlingException"}}, 429, "ThrottlingException"),
        ({"attributes": {"http.response.status_code": 503, "error.type": "Exception"}}, 503, "Exception"),
        ({"status": {"code": 2}}, 500, None),
        ({"status": {"code": [2]}, "attributes": {"langfuse.observation.level": {"ERROR": 1}}}, 200, None),
        ({"attributes": {"langfuse.observation.level": "ERROR"}}, 500, None),
        ({"status": {"code": "STATUS_CODE_ERROR", "message": "Error code: 401 - {'error': ...}"}}, 401, None),
        ({"status": {"code": 2}, "events": [event("exception", {"exception.type": "sdk.BadRequestError"})]},
         400, "sdk.BadRequestError"),
    ],
)  # fmt: skip
def test_status_and_kind_of_error_are_read_from_codes_names_and_words(
    more: dict[str, Any], status: int, error: str | None
) -> None:
    attributes = CALL | USER | more.pop("attributes", {})
    row = one(span("s", attributes, **more))
    assert (row["status"], row.get("error_class")) == (status, error)


def test_a_failed_call_without_a_model_is_a_request() -> None:
    row = one(span("s", {"gen_ai.operation.name": "chat", "error.type": "401"} | USER))
    assert (row["status"], row.get("model")) == (401, None)


@pytest.mark.parametrize(
    ("usage", "read"),
    [
        ({"gen_ai.usage.cache_read.input_tokens": 4}, 9),
        ({"gen_ai.usage.cache_read_input_tokens": 900}, 909),
        ({"gen_ai.usage.cache_read_input_tokens": 900, "gen_ai.usage.cache_creation_input_tokens": 50}, 959),
        ({"gen_ai.usage.cache_read_input_tokens": 5, "llm.usage.total_tokens": 17}, 14),
        ({"gen_ai.usage.cache_read_input_tokens": 5, "llm.usage.total_tokens": 12}, 9),
    ],
)
def test_input_tokens_include_cached_ones_whoever_counts(usage: dict[str, Any], read: int) -> None:
    assert one(span("s", CALL | USER | usage))["input_tokens"] == read


@pytest.mark.parametrize(
    ("attributes", "events"),
    [
        ({"gen_ai.response.time_to_first_chunk": 0.25}, []),
        ({"ai.response.msToFirstChunk": 250.0}, []),
        ({"gen_ai.server.time_to_first_token": 0.25}, []),
        ({"gen_ai.server.time_to_first_token": 250, "gen_ai.provider.name": "strands-agents"}, []),
        ({"gen_ai.response.time_to_first_token": 0.25}, []),
        ({"gen_ai.latency.time_to_first_token": 0.25}, []),
        ({"gen_ai.performance.start_response_time": 250}, []),
        ({}, [event("First Token Stream Event", {}, 250)]),
        ({}, [event("ai.stream.firstChunk", {"ai.response.msToFirstChunk": 250.0}, 900)]),
    ],
)
def test_the_first_chunk_is_read_in_seconds_milliseconds_and_from_events(
    attributes: dict[str, Any], events: list[dict[str, Any]]
) -> None:
    assert one(span("s", CALL | USER | attributes, events=events))["ttft_ms"] == 250


@pytest.mark.parametrize(
    "attributes",
    [
        {"gen_ai.response.finish_reasons": ["tool_calls"]},
        {"gen_ai.response.finish_reasons": '["tool_calls"]'},
        {"gen_ai.response.finish_reasons": "tool_calls"},
        {"gen_ai.response.finish_reasons": "tool_calls, stop"},
        {"gen_ai.response.finish_reason": "[ToolCalls]"},
        {"ai.finishReason": "tool-calls"},
        {"llm.finish_reason": "tool_calls"},
        {"llm.completions.0.finish_reason": "tool_calls"},
        {"ai.response.finishReason": "tool-calls"},
        {"gen_ai.completion.0.finish_reason": "tool_calls"},
        {
            "gen_ai.output.messages": json.dumps(
                [{"role": "assistant", "parts": [], "finish_reason": "tool_call"}]
            )
        },
        {"output.value": json.dumps({"choices": [{"finish_reason": "tool_calls"}]})},
    ],
    ids=str,
)
def test_how_an_answer_ended_is_read_wherever_it_lies(attributes: dict[str, Any]) -> None:
    assert one(span("s", CALL | USER | attributes))["finish_reason"] == "tool"


def test_state_that_was_minted_and_state_that_comes_back() -> None:
    back = [
        {"role": "user", "parts": [{"type": "text", "content": "go on"}]},
        {"role": "assistant", "parts": [{"type": "reasoning", "content": "..", "signature": "sig-1"}]},
    ]
    out = [
        {
            "role": "assistant",
            "parts": [{"type": "reasoning", "encrypted_content": "enc-2"}],
            "finish_reason": "stop",
        }
    ]
    row = one(
        span("s", CALL | USER | {
            "gen_ai.input.messages": json.dumps(back), "gen_ai.output.messages": json.dumps(out),
            "gen_ai.response.id": "resp_9", "gen_ai.request.previous_response.id": "resp_8",
        })
    )  # fmt: skip
    assert row["carried"] == ["sig-1", "resp_8"]
    assert row["minted"] == ["enc-2", "resp_9"]
    assert "minted" not in one(span("s", CALL | USER | {"gen_ai.response.id": "chatcmpl-9"}))


def test_names_in_snake_case_and_scopes_of_before_are_read() -> None:
    made = {
        "trace_id": "t", "span_id": "s", "start_time_unix_nano": START, "end_time_unix_nano": START + 10**9,
        "attributes": [
            {"key": k, "value": {f"{'string' if isinstance(v, str) else 'int'}_value": v}} for k, v in (CALL | USER).items()
        ],
    }  # fmt: skip
    for text in (
        json.dumps({"resource_spans": [{"scope_spans": [{"spans": [made]}]}]}),
        json.dumps({"resourceSpans": [{"instrumentationLibrarySpans": [{"spans": [made]}]}]}),
    ):
        [row] = mapped(text).rows.to_dicts()
        assert (row["request_id"], row["input_tokens"], row["latency_ms"]) == ("t:s", 9, 1000)


def test_the_first_of_equal_names_holds_and_odd_values_cost_only_themselves() -> None:
    held = span("s", CALL | USER)
    held["attributes"] += [
        {"key": "user.id", "value": {"stringValue": "late"}}, {"key": None, "value": {"stringValue": "x"}}, 7,
        {"key": "gen_ai.request.seed", "value": {"stringValue": "many"}}, {"key": "gen_ai.request.max_tokens"},
        {"key": "blob", "value": {"bytesValue": "AAAA"}},
    ]  # fmt: skip
    found = mapped(line(held))
    assert found.rows["account_id"].to_list() == ["u"]
    assert found.rows["seed"].to_list() == [None]
    assert sum(found.notes.values()) == 1


def test_a_broken_span_costs_only_itself() -> None:
    text = json.dumps(
        {"resourceSpans": [{"scopeSpans": [{"spans": [5, None, span("s", CALL | USER), {"attributes": 7}]}]}]}
    )
    found = mapped(text)
    assert found.rows.height == 1
    assert len(found.rejects) == 3


def test_metrics_and_empty_exports_are_counted_and_other_objects_are_rejects() -> None:
    found = mapped(
        '{"resourceMetrics":[]}', '{"resourceSpans":[]}', '{"resourceLogs":[{"scopeLogs":[]}]}', '{"x":1}'
    )
    assert found.n_other == 3
    assert [(r.line, r.code) for r in found.rejects] == [(4, "bad_entry")]


def test_unknown_names_are_told_and_lists_count_as_one() -> None:
    found = mapped(
        line(
            span(
                "s", CALL | USER | {"acme.steps.0.name": "a", "acme.steps.1.name": "b", "gen_ai.usage.new": 1}
            )
        )
    )
    assert found.unknown == {"acme.steps.N.name", "gen_ai.usage.new"}


def test_the_order_of_lines_changes_no_request() -> None:
    lines = [
        line(span("s1", USER, kind=2)), line(span("o1", CALL | {"session.id": "x"}, "s1")),
        line(span("c1", CALL | {"gen_ai.response.id": "r"}, "o1")),
    ]  # fmt: skip
    ahead, back = mapped(*lines).rows.drop("line"), mapped(*reversed(lines)).rows.drop("line")
    assert isinstance(ahead, pl.DataFrame)
    assert ahead.height == 1
    assert ahead.equals(back)

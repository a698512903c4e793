"""Requests as OpenTelemetry would log them: OTLP/JSON spans of both generations of the conventions, and log events."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from detector.lab.worlds.record import ERRORS, Row, batches, end_ns, epoch_ns, hashed, line, messages


def _value(value: Any) -> Row:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_value(v) for v in value]}}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": _attributes(value)}}
    return {"stringValue": str(value)}


def _attributes(values: Row) -> list[Row]:
    return [{"key": k, "value": _value(v)} for k, v in values.items() if v is not None]


def _caller(row: Row) -> Row:
    """Attributes of the caller, which a gateway puts on its SERVER span."""
    return {
        "user.id": row["account_id"], "api_key.id": row["api_key_id"], "organization.id": row["org_id"],
        "client.address": row["source_ip"], "user_agent.original": row["user_agent"],
        "tls.client.ja4": row["ja4"],
        "http.response.status_code": row["status"],
    }  # fmt: skip


def _generation(row: Row) -> Row:
    """Attributes of a model call in the present generation of the conventions."""
    return {
        "gen_ai.operation.name": row["operation"], "gen_ai.provider.name": row["pathway"],
        "gen_ai.request.model": row["model"], "gen_ai.response.model": row["model"],
        "gen_ai.response.id": row["request_id"], "gen_ai.conversation.id": row["session_id"],
        "gen_ai.request.temperature": row["temperature"], "gen_ai.request.max_tokens": row["max_tokens"],
        "gen_ai.request.choice.count": row["n"] if row["n"] != 1 else None,
        "gen_ai.request.stream": row["stream"],
        "gen_ai.request.top_logprobs": row["top_logprobs"],
        "gen_ai.usage.input_tokens": row["input_tokens"], "gen_ai.usage.output_tokens": row["output_tokens"],
        "gen_ai.usage.cache_read.input_tokens": row["cached_tokens"] or None,
        "gen_ai.usage.reasoning.output_tokens": row["reasoning_tokens"] or None,
        "gen_ai.response.time_to_first_chunk": row["ttft_ms"] / 1000 if row["ttft_ms"] is not None else None,
        "gen_ai.response.finish_reasons": [row["finish_reason"]] if row["finish_reason"] else None,
        "error.type": ERRORS.get(row["status"], "APIError") if row["status"] != 200 else None,
    }  # fmt: skip


def _parts(row: Row) -> list[Row]:
    return [
        {"role": m["role"], "parts": [{"type": "text", "content": m["content"]}]}
        for m in messages(row, system=False)
    ]


def _span(row: Row, name: str, kind: int, attributes: Row, *, parent: str = "") -> Row:
    failed = row["status"] != 200
    return {
        "traceId": hashed(row["request_id"], 32), "spanId": hashed(f"{row['request_id']}/{kind}", 16),
        "parentSpanId": parent, "name": name, "kind": kind,
        "startTimeUnixNano": str(epoch_ns(row["ts"])), "endTimeUnixNano": str(end_ns(row)),
        "attributes": _attributes(attributes), "status": {"code": 2} if failed else {},
    }  # fmt: skip


def _spans(rows: Iterable[Row], scope: str, make: Callable[[Row], list[Row]]) -> Iterator[str]:
    for part in batches(rows):
        spans = [span for row in part for span in make(row)]
        resource = {"attributes": _attributes({"service.name": "llm-gateway"})}
        yield line({"resourceSpans": [{
            "resource": resource, "scopeSpans": [{"scope": {"name": scope}, "spans": spans}]
        }]})  # fmt: skip


def otel_spans(rows: Iterable[Row]) -> Iterator[str]:
    """OTLP/JSON spans of the present generation: a client span under the gateway's server span."""

    def make(row: Row) -> list[Row]:
        content = {
            "gen_ai.input.messages": json.dumps(_parts(row), ensure_ascii=False),
            "gen_ai.system_instructions": json.dumps([{"type": "text", "content": row["system_prompt"]}])
            if row["system_prompt"] else None,
            "gen_ai.tool.definitions": json.dumps([{"type": "function",
            "name": t} for t in row["tool_names"]])
            if row["tool_names"] else None,
        }  # fmt: skip
        server = _span(row, "POST /v1/chat/completions", 2, _caller(row))
        call = _span(row, f"chat {row['model']}", 3, _generation(row) | content, parent=server["spanId"])
        return [server, call]

    return _spans(rows, "opentelemetry.instrumentation.openai_v2", make)


def otel_spans_old(rows: Iterable[Row]) -> Iterator[str]:
    """OTLP/JSON spans of the generation before 1.37: flattened prompts, old token names."""

    def make(row: Row) -> list[Row]:
        values: Row = {
            "gen_ai.system": row["pathway"], "llm.request.type": row["operation"],
            "gen_ai.request.model": row["model"], "gen_ai.response.model": row["model"],
            "gen_ai.response.id": row["request_id"], "session.id": row["session_id"],
            "gen_ai.request.temperature": row["temperature"], "gen_ai.request.max_tokens": row["max_tokens"],
            "gen_ai.usage.prompt_tokens": row["input_tokens"],
            "gen_ai.usage.completion_tokens": row["output_tokens"], "llm.is_streaming": row["stream"],
            "enduser.id": row["account_id"], "net.peer.ip": row["source_ip"],
            "http.user_agent": row["user_agent"],
            "http.status_code": row["status"],
        }  # fmt: skip
        for i, message in enumerate(messages(row)):
            values[f"gen_ai.prompt.{i}.role"] = message["role"]
            values[f"gen_ai.prompt.{i}.content"] = message["content"]
        return [_span(row, "openai.chat", 3, values)]

    return _spans(rows, "opentelemetry.instrumentation.openai", make)


def otel_events(rows: Iterable[Row]) -> Iterator[str]:
    """OTLP/JSON log events of model calls, content as structured values."""
    for part in batches(rows):
        records = []
        for row in part:
            values = _generation(row) | _caller(row) | {"gen_ai.input.messages": _parts(row)}
            if row["system_prompt"]:
                values["gen_ai.system_instructions"] = [{"type": "text", "content": row["system_prompt"]}]
            records.append({
                "timeUnixNano": str(epoch_ns(row["ts"])), "severityNumber": 9,
                "eventName": "gen_ai.client.inference.operation.details",
                "traceId": hashed(row["request_id"], 32), "spanId": hashed(row["request_id"], 16),
                "attributes": _attributes(values),
            })  # fmt: skip
        yield line({"resourceLogs": [{
            "resource": {"attributes": _attributes({"service.name": "llm-gateway"})},
            "scopeLogs": [{"scope": {"name": "gen_ai"}, "logRecords": records}],
        }]})  # fmt: skip

"""The same requests as other systems would log them, for sample logs and for tests of the door.

Every writer takes canonical rows (dicts, in order of time) and gives the lines of a file. Fields a format has
no place for are left out, as they are in life.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import polars as pl

Row = dict[str, Any]
_PER_BATCH = 8
_ERRORS = {429: "RateLimitError", 500: "InternalServerError", 503: "ServiceUnavailable", 400: "BadRequestError"}


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    it = iter(rows)
    while part := list(islice(it, _PER_BATCH)):
        yield part


def rows_of(requests: pl.DataFrame) -> list[Row]:
    """Rows in order of time, each with ``history``: the earlier prompts of its conversation."""
    said: dict[str, list[str]] = {}
    rows = []
    for row in requests.sort("ts", "request_id").iter_rows(named=True):
        earlier = said.setdefault(row["session_id"] or row["request_id"], [])
        row["history"] = list(earlier)
        earlier.append(row["prompt"])
        rows.append(row)
    return rows


def _line(record: Any) -> str:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n"


def _present(record: Row) -> Row:
    return {k: v for k, v in record.items() if v is not None}


def _iso(ts: datetime, digits: int = 3) -> str:
    return ts.strftime("%Y-%m-%dT%H:%M:%S.%f")[: 20 + digits] + "Z"


def _epoch_ns(ts: datetime) -> int:
    return round(ts.replace(tzinfo=UTC).timestamp() * 1e6) * 1000


def _end_ns(row: Row) -> int:
    return _epoch_ns(row["ts"]) + int(row["latency_ms"] * 1e6)


def _hex(text: str, length: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def _messages(row: Row, *, system: bool = True) -> list[Row]:
    """OpenAI-style messages: system, the conversation so far, the last user turn."""
    found = [{"role": "system", "content": row["system_prompt"]}] if system and row["system_prompt"] else []
    for prompt in row["history"]:
        found += [{"role": "user", "content": prompt}, {"role": "assistant", "content": "..."}]
    return [*found, {"role": "user", "content": row["prompt"]}]


def _tools(row: Row) -> list[Row] | None:
    names = row["tool_names"] or []
    return [{"type": "function", "function": {"name": name, "parameters": {}}} for name in names] or None


def native_jsonl(rows: Iterable[Row]) -> Iterator[str]:
    """Canonical names, one object a line."""
    for row in rows:
        kept = {k: v for k, v in row.items() if k != "history"}
        yield _line(_present(kept | {"ts": _iso(row["ts"], 6)}))


def native_csv(rows: Iterable[Row]) -> Iterator[str]:
    """Canonical names, a header and one row a request; lists as JSON."""
    out = io.StringIO()
    writer: Any = None
    for row in rows:
        kept = {k: v for k, v in row.items() if k != "history"}
        kept["ts"] = _iso(row["ts"], 6)
        kept["tool_names"] = json.dumps(row["tool_names"]) if row["tool_names"] else None
        for name in ("stream", "logit_bias"):
            kept[name] = None if kept[name] is None else str(kept[name]).lower()
        if writer is None:
            writer = csv.DictWriter(out, list(kept), lineterminator="\n")
            writer.writeheader()
        writer.writerow(kept)
        yield out.getvalue()
        out.seek(0)
        out.truncate()


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
    """What a gateway knows of the caller; on its SERVER span."""
    return {
        "user.id": row["account_id"], "api_key.id": row["api_key_id"], "organization.id": row["org_id"],
        "client.address": row["source_ip"], "user_agent.original": row["user_agent"], "tls.client.ja4": row["ja4"],
        "http.request.method": "POST", "url.path": "/v1/chat/completions", "http.response.status_code": row["status"],
    }  # fmt: skip


def _generation(row: Row) -> Row:
    """Attributes of a model call in the present generation of the conventions."""
    return {
        "gen_ai.operation.name": row["operation"], "gen_ai.provider.name": row["pathway"],
        "gen_ai.request.model": row["model"], "gen_ai.response.model": row["model"],
        "gen_ai.response.id": row["request_id"], "gen_ai.conversation.id": row["session_id"],
        "gen_ai.request.temperature": row["temperature"], "gen_ai.request.max_tokens": row["max_tokens"],
        "gen_ai.request.choice.count": row["n"] if row["n"] != 1 else None, "gen_ai.request.stream": row["stream"],
        "gen_ai.request.top_logprobs": row["top_logprobs"],
        "gen_ai.usage.input_tokens": row["input_tokens"], "gen_ai.usage.output_tokens": row["output_tokens"],
        "gen_ai.usage.cache_read.input_tokens": row["cached_tokens"] or None,
        "gen_ai.usage.reasoning.output_tokens": row["reasoning_tokens"] or None,
        "gen_ai.response.time_to_first_chunk": row["ttft_ms"] / 1000 if row["ttft_ms"] is not None else None,
        "gen_ai.response.finish_reasons": [row["finish_reason"]] if row["finish_reason"] else None,
        "error.type": _ERRORS.get(row["status"], "APIError") if row["status"] != 200 else None,
    }  # fmt: skip


def _parts(row: Row) -> list[Row]:
    messages = _messages(row, system=False)
    return [{"role": m["role"], "parts": [{"type": "text", "content": m["content"]}]} for m in messages]


def _span(row: Row, name: str, kind: int, attributes: Row, *, parent: str = "") -> Row:
    failed = row["status"] != 200
    return {
        "traceId": _hex(row["request_id"], 32), "spanId": _hex(f"{row['request_id']}/{kind}", 16),
        "parentSpanId": parent, "name": name, "kind": kind,
        "startTimeUnixNano": str(_epoch_ns(row["ts"])), "endTimeUnixNano": str(_end_ns(row)),
        "attributes": _attributes(attributes), "status": {"code": 2} if failed else {},
    }  # fmt: skip


def _spans(rows: Iterable[Row], scope: str, make: Callable[[Row], list[Row]]) -> Iterator[str]:
    for part in _batches(rows):
        spans = [span for row in part for span in make(row)]
        resource = {"attributes": _attributes({"service.name": "llm-gateway"})}
        yield _line({"resourceSpans": [{
            "resource": resource, "scopeSpans": [{"scope": {"name": scope}, "spans": spans}]
        }]})  # fmt: skip


def otel_spans(rows: Iterable[Row]) -> Iterator[str]:
    """OTLP/JSON spans of the present generation: a client span under the gateway's server span."""

    def make(row: Row) -> list[Row]:
        content = {
            "gen_ai.input.messages": json.dumps(_parts(row), ensure_ascii=False),
            "gen_ai.system_instructions": json.dumps([{"type": "text", "content": row["system_prompt"]}])
            if row["system_prompt"] else None,
            "gen_ai.tool.definitions": json.dumps([{"type": "function", "name": t} for t in row["tool_names"]])
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
            "enduser.id": row["account_id"], "net.peer.ip": row["source_ip"], "http.user_agent": row["user_agent"],
            "http.status_code": row["status"],
        }  # fmt: skip
        for i, message in enumerate(_messages(row)):
            values[f"gen_ai.prompt.{i}.role"] = message["role"]
            values[f"gen_ai.prompt.{i}.content"] = message["content"]
        return [_span(row, "openai.chat", 3, values)]

    return _spans(rows, "opentelemetry.instrumentation.openai", make)


def otel_events(rows: Iterable[Row]) -> Iterator[str]:
    """OTLP/JSON log events of model calls, content as structured values."""
    for part in _batches(rows):
        records = []
        for row in part:
            values = _generation(row) | _caller(row) | {"gen_ai.input.messages": _parts(row)}
            if row["system_prompt"]:
                values["gen_ai.system_instructions"] = [{"type": "text", "content": row["system_prompt"]}]
            records.append({
                "timeUnixNano": str(_epoch_ns(row["ts"])), "severityNumber": 9,
                "eventName": "gen_ai.client.inference.operation.details",
                "traceId": _hex(row["request_id"], 32), "spanId": _hex(row["request_id"], 16),
                "attributes": _attributes(values),
            })  # fmt: skip
        yield _line({"resourceLogs": [{
            "resource": {"attributes": _attributes({"service.name": "llm-gateway"})},
            "scopeLogs": [{"scope": {"name": "gen_ai"}, "logRecords": records}],
        }]})  # fmt: skip


def _litellm_metadata(row: Row) -> Row:
    headers = {"x-ja4": row["ja4"], "user-agent": row["user_agent"]}
    return _present({
        "user_api_key_user_id": row["account_id"], "user_api_key_hash": _hex(row["api_key_id"], 64),
        "user_api_key_team_id": row["org_id"], "requester_ip_address": row["source_ip"],
        "requester_custom_headers": _present(headers),
        "usage_object": {
            "prompt_tokens_details": {"cached_tokens": row["cached_tokens"]},
            "completion_tokens_details": {"reasoning_tokens": row["reasoning_tokens"]},
        },
        "error_information": {"error_code": str(row["status"]), "error_class": _ERRORS.get(row["status"], "APIError")}
        if row["status"] != 200 else None,
    })  # fmt: skip


def _parameters(row: Row) -> Row:
    return _present({
        "temperature": row["temperature"], "max_tokens": row["max_tokens"], "n": row["n"] if row["n"] != 1 else None,
        "logprobs": True if row["top_logprobs"] else None, "top_logprobs": row["top_logprobs"],
        "logit_bias": {"11": -5} if row["logit_bias"] else None, "stream": row["stream"], "tools": _tools(row),
    })  # fmt: skip


def litellm_spend(rows: Iterable[Row]) -> Iterator[str]:
    """Rows of ``LiteLLM_SpendLogs``, prompts stored."""
    for row in rows:
        end = datetime.fromtimestamp(_end_ns(row) / 1e9, UTC)
        yield _line({
            "request_id": row["request_id"], "call_type": "acompletion", "api_key": _hex(row["api_key_id"], 64),
            "spend": round(row["output_tokens"] * 1.5e-5 + row["input_tokens"] * 3e-6, 6),
            "total_tokens": row["input_tokens"] + row["output_tokens"], "prompt_tokens": row["input_tokens"],
            "completion_tokens": row["output_tokens"], "startTime": _iso(row["ts"]), "endTime": _iso(end),
            "request_duration_ms": int(row["latency_ms"]), "model": row["model"], "model_group": row["model"],
            "custom_llm_provider": row["pathway"], "user": row["account_id"], "metadata": _litellm_metadata(row),
            "cache_hit": "False", "team_id": row["org_id"] or "", "organization_id": row["org_id"] or "",
            "end_user": row["end_user_id"] or "", "requester_ip_address": row["source_ip"], "messages": {},
            "response": {}, "session_id": row["session_id"] or "",
            "status": "success" if row["status"] == 200 else "failure",
            "proxy_server_request": _parameters(row) | {"model": row["model"], "messages": _messages(row)},
        })  # fmt: skip


def litellm_payload(rows: Iterable[Row]) -> Iterator[str]:
    """Callback records: ``StandardLoggingPayload``."""
    for row in rows:
        start = _epoch_ns(row["ts"]) / 1e9
        yield _line({
            "id": row["request_id"], "trace_id": row["session_id"] or row["request_id"], "call_type": "acompletion",
            "stream": row["stream"], "response_cost": round(row["output_tokens"] * 1.5e-5, 6),
            "status": "success" if row["status"] == 200 else "failure", "custom_llm_provider": row["pathway"],
            "total_tokens": row["input_tokens"] + row["output_tokens"], "prompt_tokens": row["input_tokens"],
            "completion_tokens": row["output_tokens"], "startTime": start, "endTime": _end_ns(row) / 1e9,
            "completionStartTime": start + (row["ttft_ms"] or row["latency_ms"]) / 1000,
            "response_time": row["latency_ms"] / 1000, "model": row["model"], "model_group": row["model"],
            "metadata": _litellm_metadata(row), "cache_hit": False, "request_tags": [],
            "end_user": row["end_user_id"] or "", "requester_ip_address": row["source_ip"],
            "messages": _messages(row), "response": {"choices": [{"finish_reason": row["finish_reason"]}]},
            "model_parameters": _parameters(row),
        })  # fmt: skip


def bedrock(rows: Iterable[Row]) -> Iterator[str]:
    """Model-invocation records of Converse calls: the customer's own log, without addresses."""
    for row in rows:
        number = f"{int(_hex(row['org_id'] or row['account_id'], 12), 16) % 10**12:012d}"
        settings = _present({"temperature": row["temperature"], "maxTokens": row["max_tokens"]})
        messages = [
            {"role": m["role"], "content": [{"text": m["content"]}]} for m in _messages(row, system=False)
        ]
        body = _present({
            "messages": messages, "system": [{"text": row["system_prompt"]}] if row["system_prompt"] else None,
            "inferenceConfig": settings or None,
            "toolConfig": {"tools": [{"toolSpec": {"name": t}} for t in row["tool_names"]]} if row["tool_names"] else None,
        })  # fmt: skip
        reason = {"stop": "end_turn", "length": "max_tokens", "tool": "tool_use", "refusal": "guardrail_intervened"}
        answer = {
            "output": {"message": {"role": "assistant", "content": [{"text": "..."}]}},
            "stopReason": reason.get(row["finish_reason"], "end_turn"), "metrics": {"latencyMs": int(row["latency_ms"])},
            "usage": {"inputTokens": row["input_tokens"], "outputTokens": row["output_tokens"],
                      "totalTokens": row["input_tokens"] + row["output_tokens"]},
        }  # fmt: skip
        error = {429: "ThrottlingException", 400: "ValidationException"}.get(row["status"], "ServiceUnavailableException")
        yield _line(_present({
            "schemaType": "ModelInvocationLog", "schemaVersion": "1.0", "timestamp": _iso(row["ts"]),
            "accountId": number, "region": "us-east-1", "requestId": row["request_id"],
            "identity": {"arn": f"arn:aws:sts::{number}:assumed-role/{row['account_id']}/session-{row['api_key_id'][-6:]}"},
            "operation": "ConverseStream" if row["stream"] else "Converse", "modelId": f"vendor.{row['model']}-v1:0",
            "errorCode": error if row["status"] != 200 else None,
            "input": {"inputContentType": "application/json", "inputBodyJson": body,
                      "inputTokenCount": row["input_tokens"]},
            "output": {"outputContentType": "application/json", "outputBodyJson": answer,
                       "outputTokenCount": row["output_tokens"]} if row["status"] == 200 else None,
        }))  # fmt: skip


def envoy(rows: Iterable[Row]) -> Iterator[str]:
    """Access-log records of Envoy AI Gateway, with the account headers an operator adds; no text."""
    for row in rows:
        size = len(row["prompt"] or "") + len(row["system_prompt"] or "")
        yield _line({
            "start_time": _iso(row["ts"]), "method": "POST", ":authority": "llm.example.com",
            "x-envoy-origin-path": "/v1/chat/completions", "response_code": row["status"], "response_flags": "-",
            "bytes_received": size + 180, "bytes_sent": row["output_tokens"] * 5 + 300,
            "duration": int(row["latency_ms"]), "x-envoy-upstream-service-time": str(int(row["latency_ms"])),
            "x-forwarded-for": row["source_ip"], "downstream_remote_address": "192.0.2.10:40112",
            "user-agent": row["user_agent"], "x-request-id": row["request_id"], "ja4": row["ja4"],
            "x-account-id": row["account_id"], "x-api-key-id": row["api_key_id"], "x-org-id": row["org_id"] or "-",
            "gen_ai.provider.name": row["pathway"], "gen_ai.request.model": row["model"],
            "gen_ai.request.model_override": None, "gen_ai.usage.input_tokens": row["input_tokens"],
            "gen_ai.usage.output_tokens": row["output_tokens"],
            "gen_ai.usage.total_tokens": row["input_tokens"] + row["output_tokens"],
        })  # fmt: skip


#: File name -> writer.
WRITERS: dict[str, Callable[[Iterable[Row]], Iterator[str]]] = {
    "native-requests.jsonl": native_jsonl,
    "native-requests.csv": native_csv,
    "otel-spans.jsonl": otel_spans,
    "otel-spans-before-1.37.jsonl": otel_spans_old,
    "otel-log-events.jsonl": otel_events,
    "litellm-spend-logs.jsonl": litellm_spend,
    "litellm-standard-logging-payload.jsonl": litellm_payload,
    "bedrock-model-invocations.jsonl": bedrock,
    "envoy-ai-gateway-access.jsonl": envoy,
}

"""The same requests as other systems would log them, for sample logs and for tests of ingest.

Every writer takes canonical rows (dicts, in order of time) and gives the lines of a file. A field that a format does
not have is left out, as in real logs.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from detector.lab.worlds.otlp import otel_events, otel_spans, otel_spans_old
from detector.lab.worlds.record import (
    ERRORS,
    Row,
    end_ns,
    epoch_ns,
    hashed,
    iso,
    line,
    messages,
    present,
    rows_of,
    tools,
)

__all__ = ["WRITERS", "rows_of"]


def native_jsonl(rows: Iterable[Row]) -> Iterator[str]:
    """Canonical names, one object on each line."""
    for row in rows:
        kept = {k: v for k, v in row.items() if k != "history"}
        yield line(present(kept | {"ts": iso(row["ts"], 6)}))


def native_csv(rows: Iterable[Row]) -> Iterator[str]:
    """Canonical names, a header and one row for each request. Lists are JSON."""
    out = io.StringIO()
    writer: Any = None
    for row in rows:
        kept = {k: v for k, v in row.items() if k != "history"}
        kept["ts"] = iso(row["ts"], 6)
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


def _litellm_metadata(row: Row) -> Row:
    headers = {"x-ja4": row["ja4"], "user-agent": row["user_agent"]}
    return present({
        "user_api_key_user_id": row["account_id"], "user_api_key_hash": hashed(row["api_key_id"], 64),
        "user_api_key_team_id": row["org_id"], "requester_ip_address": row["source_ip"],
        "requester_custom_headers": present(headers),
        "usage_object": {
            "prompt_tokens_details": {"cached_tokens": row["cached_tokens"]},
            "completion_tokens_details": {"reasoning_tokens": row["reasoning_tokens"]},
        },
        "error_information": {"error_code": str(row["status"]), "error_class": ERRORS.get(row["status"],
        "APIError")}
        if row["status"] != 200 else None,
    })  # fmt: skip


def _parameters(row: Row) -> Row:
    return present({
        "temperature": row["temperature"], "max_tokens": row["max_tokens"],
        "n": row["n"] if row["n"] != 1 else None,
        "logprobs": True if row["top_logprobs"] else None, "top_logprobs": row["top_logprobs"],
        "logit_bias": {"11": -5} if row["logit_bias"] else None, "stream": row["stream"],
        "tools": tools(row),
    })  # fmt: skip


def litellm_spend(rows: Iterable[Row]) -> Iterator[str]:
    """Rows of ``LiteLLM_SpendLogs`` with stored prompts."""
    for row in rows:
        end = datetime.fromtimestamp(end_ns(row) / 1e9, UTC)
        yield line({
            "request_id": row["request_id"], "call_type": "acompletion", "api_key": hashed(row["api_key_id"],
            64),
            "spend": round(row["output_tokens"] * 1.5e-5 + row["input_tokens"] * 3e-6, 6),
            "total_tokens": row["input_tokens"] + row["output_tokens"], "prompt_tokens": row["input_tokens"],
            "completion_tokens": row["output_tokens"], "startTime": iso(row["ts"]), "endTime": iso(end),
            "request_duration_ms": int(row["latency_ms"]), "model": row["model"], "model_group": row["model"],
            "custom_llm_provider": row["pathway"], "user": row["account_id"],
            "metadata": _litellm_metadata(row),
            "cache_hit": "False", "team_id": row["org_id"] or "", "organization_id": row["org_id"] or "",
            "end_user": row["end_user_id"] or "", "requester_ip_address": row["source_ip"], "messages": {},
            "response": {}, "session_id": row["session_id"] or "",
            "status": "success" if row["status"] == 200 else "failure",
            "proxy_server_request": _parameters(row) | {"model": row["model"], "messages": messages(row)},
        })  # fmt: skip


def litellm_payload(rows: Iterable[Row]) -> Iterator[str]:
    """Callback records: ``StandardLoggingPayload``."""
    for row in rows:
        start = epoch_ns(row["ts"]) / 1e9
        yield line({
            "id": row["request_id"], "trace_id": row["session_id"] or row["request_id"],
            "call_type": "acompletion",
            "stream": row["stream"], "response_cost": round(row["output_tokens"] * 1.5e-5, 6),
            "status": "success" if row["status"] == 200 else "failure", "custom_llm_provider": row["pathway"],
            "total_tokens": row["input_tokens"] + row["output_tokens"], "prompt_tokens": row["input_tokens"],
            "completion_tokens": row["output_tokens"], "startTime": start, "endTime": end_ns(row) / 1e9,
            "completionStartTime": start + (row["ttft_ms"] or row["latency_ms"]) / 1000,
            "response_time": row["latency_ms"] / 1000, "model": row["model"], "model_group": row["model"],
            "metadata": _litellm_metadata(row), "cache_hit": False, "request_tags": [],
            "end_user": row["end_user_id"] or "", "requester_ip_address": row["source_ip"],
            "messages": messages(row), "response": {"choices": [{"finish_reason": row["finish_reason"]}]},
            "model_parameters": _parameters(row),
        })  # fmt: skip


def bedrock(rows: Iterable[Row]) -> Iterator[str]:
    """Model-invocation records of Converse calls: the customer's own log, which has no addresses."""
    for row in rows:
        number = f"{int(hashed(row['org_id'] or row['account_id'], 12), 16) % 10**12:012d}"
        role = f"arn:aws:sts::{number}:assumed-role/{row['account_id']}/session-{row['api_key_id'][-6:]}"
        settings = present({"temperature": row["temperature"], "maxTokens": row["max_tokens"]})
        talk = [{"role": m["role"], "content": [{"text": m["content"]}]} for m in messages(row, system=False)]
        body = present({
            "messages": talk, "system": [{"text": row["system_prompt"]}]
            if row["system_prompt"] else None,
            "inferenceConfig": settings or None,
            "toolConfig": {"tools": [{"toolSpec": {"name": t}} for t in row["tool_names"]]}
            if row["tool_names"] else None,
        })  # fmt: skip
        reason = {
            "stop": "end_turn",
            "length": "max_tokens",
            "tool": "tool_use",
            "refusal": "guardrail_intervened",
        }
        answer = {
            "output": {"message": {"role": "assistant", "content": [{"text": "..."}]}},
            "stopReason": reason.get(row["finish_reason"], "end_turn"),
            "metrics": {"latencyMs": int(row["latency_ms"])},
            "usage": {"inputTokens": row["input_tokens"], "outputTokens": row["output_tokens"],
                      "totalTokens": row["input_tokens"] + row["output_tokens"]},
        }  # fmt: skip
        error = {429: "ThrottlingException", 400: "ValidationException"}.get(
            row["status"], "ServiceUnavailableException"
        )
        yield line(present({
            "schemaType": "ModelInvocationLog", "schemaVersion": "1.0", "timestamp": iso(row["ts"]),
            "accountId": number, "region": "us-east-1", "requestId": row["request_id"],
            "identity": {"arn": role},
            "operation": "ConverseStream" if row["stream"] else "Converse",
            "modelId": f"vendor.{row['model']}-v1:0",
            "errorCode": error if row["status"] != 200 else None,
            "input": {"inputContentType": "application/json", "inputBodyJson": body,
                      "inputTokenCount": row["input_tokens"]},
            "output": {"outputContentType": "application/json", "outputBodyJson": answer,
                       "outputTokenCount": row["output_tokens"]} if row["status"] == 200 else None,
        }))  # fmt: skip


def envoy(rows: Iterable[Row]) -> Iterator[str]:
    """Access-log records of Envoy AI Gateway with the account headers that an operator adds. They have no text."""
    for row in rows:
        size = len(row["prompt"] or "") + len(row["system_prompt"] or "")
        yield line({
            "start_time": iso(row["ts"]), "method": "POST", ":authority": "llm.example.com",
            "x-envoy-origin-path": "/v1/chat/completions", "response_code": row["status"],
            "response_flags": "-",
            "bytes_received": size + 180, "bytes_sent": row["output_tokens"] * 5 + 300,
            "duration": int(row["latency_ms"]), "x-envoy-upstream-service-time": str(int(row["latency_ms"])),
            "x-forwarded-for": row["source_ip"], "downstream_remote_address": "192.0.2.10:40112",
            "user-agent": row["user_agent"], "x-request-id": row["request_id"], "ja4": row["ja4"],
            "x-account-id": row["account_id"], "x-api-key-id": row["api_key_id"],
            "x-org-id": row["org_id"] or "-",
            "gen_ai.provider.name": row["pathway"], "gen_ai.request.model": row["model"],
            "gen_ai.request.model_override": None, "gen_ai.usage.input_tokens": row["input_tokens"],
            "gen_ai.usage.output_tokens": row["output_tokens"],
            "gen_ai.usage.total_tokens": row["input_tokens"] + row["output_tokens"],
        })  # fmt: skip


#: File name -> writer. A file whose name ends in .gz is compressed.
WRITERS: dict[str, Callable[[Iterable[Row]], Iterator[str]]] = {
    "native-requests.jsonl": native_jsonl,
    "native-requests.csv": native_csv,
    "otel-spans.jsonl.gz": otel_spans,
    "otel-spans-before-1.37.jsonl.gz": otel_spans_old,
    "otel-log-events.jsonl.gz": otel_events,
    "litellm-spend-logs.jsonl": litellm_spend,
    "litellm-standard-logging-payload.jsonl": litellm_payload,
    "bedrock-model-invocations.jsonl": bedrock,
    "envoy-ai-gateway-access.jsonl": envoy,
}

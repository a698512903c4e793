"""Vertex AI: rows of the BigQuery table that request-response logging writes, and Elastic's records of them.

The columns are snake_case in the table. Exports of the API's own messages spell the bodies in camelCase; both are read.
Bodies are those of Gemini, and of partner models called through ``rawPredict`` (Claude). The table has no caller: the
account is the label of the request that ``account_attribute`` names, or else the project. A site may log only a sample of
its requests; the counts are those of the sample then.

Sources: Google Cloud, "Log requests and responses" and the REST reference of ``generateContent``; elastic/integrations
``packages/gcp_vertexai/data_stream/prompt_response_logs/fields/fields.yml``; elastic/beats
``x-pack/metricbeat/module/gcp/vertexai_logs`` (the columns it asks the table for).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from detector.ingest import bodies
from detector.ingest.formats import Columns, Format, Options, Record
from detector.ingest.messages import minted, n_logprobs
from detector.ingest.records import Path, Records, as_list, as_object, first_of, something

#: Columns of the request and of the answer in both spellings. The older columns hold lists of JSON text.
_REQUEST: tuple[Path, ...] = ("full_request", "fullRequest", "request_payload/0", "requestPayload/0")
_RESPONSE: tuple[Path, ...] = ("full_response", "fullResponse", "response_payload", "responsePayload")
_FIELDS: dict[str, tuple[Path, ...]] = {
    "request_id": ("request_id", "requestId"),
    "ts": ("logging_time", "loggingTime"),
    "model": (
        "model",
        "full_request/model",
        "fullRequest/model",
        "endpoint",
        "deployed_model_id",
        "deployedModelId",
    ),
    "org_id": ("endpoint", "full_request/model", "fullRequest/model"),
    "operation": ("api_method", "apiMethod"),
    "latency_ms": ("metadata/request_latency", "metadata/requestLatency"),
}
_LABELS: tuple[Path, ...] = ("", "full_request/labels", "fullRequest/labels", "metadata")
_PROJECT = re.compile(r"projects/([^/]+)/")
#: Methods that call no model.
_NO_CALL = frozenset(("counttokens", "computetokens"))
_PASSED = frozenset(
    ("full_request", "fullRequest", "full_response", "fullResponse", "request_payload", "requestPayload",
     "response_payload", "responsePayload", "metadata", "model_version", "modelVersion", "otel_log", "otelLog")
)  # fmt: skip


def _row(record: Record) -> Record:
    """The row of the table: Elastic nests it under the names of its integration, Metricbeat under one of its own."""
    outer = as_object(record.get("gcp"))
    inner = as_object(outer.get("vertexai")).get("prompt_response_logs")
    return as_object(inner) or as_object(outer.get("vertexai_logs")) or record


def _sniff(record: Record) -> bool:
    row = _row(record)
    return ("logging_time" in row or "loggingTime" in row) and any(
        name in row for path in _REQUEST if isinstance(path, str) for name in (path.partition("/")[0],)
    )


def _rows(record: Record) -> Iterator[Record]:
    row = _row(record)
    if row is record:
        yield record
        return
    project = as_object(as_object(record.get("cloud")).get("project")).get("id")
    yield {**row, "endpoint": row.get("endpoint") or (f"projects/{project}/" if project else None)}


def _derive(records: Records, options: Options, columns: Columns) -> Columns:
    request_bodies = [as_object(v) for v in records.first_any(*_REQUEST)]
    logged = records.first_any(*_RESPONSE)
    answers = [_pieces(v) for v in logged]
    first = Records(records.lines, [pieces[0] if pieces else {} for pieces in answers])
    methods = [str(m or "").lower() for m in columns["operation"]]
    projects = [_project(v) for v in records.first("endpoint", "full_request/model", "fullRequest/model")]
    named = columns.get("account_id", [None] * len(projects))
    derived = bodies.request_columns(request_bodies) | bodies.answer_columns(
        [_whole(pieces) for pieces in answers]
    )
    derived["stream"] = [None if not m else "stream" in m for m in methods]
    return derived | _settings(records, request_bodies) | {
        "request_id": first_of(columns["request_id"], first.first("response_id", "responseId")),
        "ts": first_of(first.first("create_time", "createTime"), columns["ts"]),
        "account_id": first_of(named, projects),
        "org_id": projects,
        "pathway": ["vertex"] * len(records),
        "model": [_last(v) for v in columns["model"]],
        "status": [_status(pieces, answer) for pieces, answer in zip(answers, logged, strict=True)],
        "finish_reason": first_of(
            [_blocked(pieces) for pieces in answers], derived["finish_reason"]
        ),
        "error_class": first_of(first.first("error/status", "error/type"), derived["error_class"]),
        "minted": [[state for piece in pieces for state in minted(piece) or ()] or None for pieces in answers],
        "other": [m in _NO_CALL for m in methods],
    }  # fmt: skip


def _settings(records: Records, request_bodies: list[dict[str, Any]]) -> Columns:
    """Parameters that only Gemini has, in both spellings."""
    body = Records(records.lines, request_bodies)
    holders = ("generationConfig", "generation_config")
    tops = body.first(*(f"{h}/logprobs" for h in holders))
    flags = body.first(*(f"{h}/{n}" for h in holders for n in ("responseLogprobs", "response_logprobs")))
    older = body.first("top_logprobs")
    counts = body.first("n", *(f"{h}/{n}" for h in holders for n in ("candidateCount", "candidate_count")))
    return {
        "n": counts,
        "top_logprobs": first_of([n_logprobs(t, f) for t, f in zip(tops, flags, strict=True)], older),
    }


def _pieces(logged: Any) -> list[dict[str, Any]]:
    """The pieces of a streamed answer, or the whole answer as one piece."""
    listed = as_list(logged)
    values = [logged] if listed is None else listed
    return [piece for piece in map(as_object, values) if piece]


def _whole(pieces: list[dict[str, Any]]) -> Any:
    """One answer. Each of Gemini's pieces holds what is new, and the last one the ending; events of others stay a list."""
    if len(pieces) > 1 and any(
        "candidates" in p or "usageMetadata" in p or "usage_metadata" in p for p in pieces
    ):
        return {name: value for piece in pieces for name, value in piece.items() if value is not None}
    return pieces if len(pieces) > 1 else pieces[0] if pieces else None


def _project(value: Any) -> str | None:
    match = _PROJECT.search(value) if isinstance(value, str) else None
    return match[1] if match else None


def _last(value: Any) -> Any:
    """The model's own name, without publisher and project."""
    return value.rstrip("/").rpartition("/")[2] if isinstance(value, str) else value


def _status(pieces: list[dict[str, Any]], logged: Any) -> Any:
    for piece in pieces:
        if error := as_object(piece.get("error")):
            code = something(error.get("code"))
            return "failure" if code is None else code
    return "success" if logged else None


def _blocked(pieces: list[dict[str, Any]]) -> str | None:
    """``safety`` for a prompt that was blocked: its answer has a reason and no candidate."""
    for piece in pieces:
        feedback = as_object(piece.get("promptFeedback")) or as_object(piece.get("prompt_feedback"))
        if something(feedback.get("blockReason") or feedback.get("block_reason")) is not None:
            return "safety"
    return None


FORMAT = Format(
    name="vertex",
    meaning="Vertex AI request-response logging: rows of its BigQuery table",
    capabilities=frozenset(("prompts", "account", "params", "logprobs", "tokens", "latency")),
    sniff=_sniff,
    fields=_FIELDS,
    roots=_LABELS,
    derive=_derive,
    spread=_rows,
    passed=_PASSED,
)

"""OTLP/JSON taken apart: spans and log records out of a line, attributes out of their wrapping.

OTLP writes ``{"key": k, "value": {"stringValue" | "intValue" | "arrayValue" | "kvlistValue" ...}}``, 64-bit numbers as
text. Names are camelCase in OTLP/JSON and snake_case where an exporter kept those of protobuf; both are read.
An entry is ``{"a": own attributes, "s": those of the spans around it, "r": its resource's, "span": the rest}``; that of a
log record has ``event``, its name, and ``body`` too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

#: Names of the lists that lead to spans and to log records; the last spelling of a scope is that before OTLP 0.15.
_SPANS = (
    ("resourceSpans", "resource_spans"),
    ("scopeSpans", "scope_spans", "instrumentationLibrarySpans", "instrumentation_library_spans"),
    ("spans",),
)
_LOGS = (
    ("resourceLogs", "resource_logs"),
    ("scopeLogs", "scope_logs", "instrumentationLibraryLogs", "instrumentation_library_logs"),
    ("logRecords", "log_records", "logs"),
)
_METRICS = ("resourceMetrics", "resource_metrics")
LISTS = frozenset((*_SPANS[0], *_LOGS[0]))
#: Parts of a span or log record that are looked at, in both spellings.
_CAMEL = {
    "trace_id": "traceId", "span_id": "spanId", "parent_span_id": "parentSpanId",
    "start_time_unix_nano": "startTimeUnixNano", "end_time_unix_nano": "endTimeUnixNano",
    "time_unix_nano": "timeUnixNano", "observed_time_unix_nano": "observedTimeUnixNano", "event_name": "eventName",
}  # fmt: skip
#: The event that holds a whole call.
DETAILS = "gen_ai.client.inference.operation.details"
_NONE: dict[str, Any] = {}
#: What nested attribute values may hold at most, in levels.
_DEEPEST = 64


def entries(record: Any) -> Iterator[dict[str, Any]]:
    """Every span and log record of one parsed line.

    Raises
    ------
    ValueError : it holds neither spans nor log records (an empty list of them, and metrics, are nothing but empty).
    """
    n = 0
    for one, resource in _within(record, _SPANS):
        n += 1
        yield _span(one, resource)
    for one, resource in _within(record, _LOGS):
        n += 1
        yield _log_record(one, resource)
    if not n and not any(record.get(name).__class__ is list for name in (*LISTS, *_METRICS)):
        raise ValueError("neither spans nor log records in it")


def _within(record: Any, names: tuple[tuple[str, ...], ...]) -> Iterator[tuple[Any, dict[str, Any]]]:
    outer, middle, inner = names
    for group in _lists(record, outer):
        if group.__class__ is not dict:
            continue
        held = group.get("resource")
        resource = attributes(held.get("attributes")) if held.__class__ is dict else _NONE
        for scope in _lists(group, middle):
            if scope.__class__ is dict:
                for one in _lists(scope, inner):
                    yield one, resource


def _lists(holder: Any, names: tuple[str, ...]) -> Iterator[Any]:
    for name in names:
        found = holder.get(name)
        if found.__class__ is list:
            yield from found


def _camel(one: dict[str, Any]) -> dict[str, Any]:
    return {_CAMEL.get(key, key): value for key, value in one.items()}


def _span(one: Any, resource: dict[str, Any]) -> dict[str, Any]:
    """An entry; one that holds nothing a span must have is no span and lacks all that a request needs."""
    if one.__class__ is not dict:
        return {"a": _NONE, "s": _NONE, "r": _NONE, "span": _NONE}
    if "trace_id" in one or "span_id" in one or "start_time_unix_nano" in one:
        one = _camel(one)
    own = attributes(one.pop("attributes", None))  # what it was wrapped in need not be held for a whole block
    if not own and one.get("spanId") is None and one.get("startTimeUnixNano") is None:
        one = _NONE
    return {"a": own, "s": _NONE, "r": resource, "span": one}


def _log_record(one: Any, resource: dict[str, Any]) -> dict[str, Any]:
    if one.__class__ is not dict:
        return {"a": _NONE, "s": _NONE, "r": _NONE, "span": _NONE}
    if "trace_id" in one or "span_id" in one or "time_unix_nano" in one or "observed_time_unix_nano" in one:
        one = _camel(one)
    own = attributes(one.get("attributes"))
    at = one.get("timeUnixNano")
    if at is None or at in (0, "0", ""):
        at = one.get("observedTimeUnixNano")
    if not own and one.get("spanId") is None and at is None and "body" not in one:
        return {"a": _NONE, "s": _NONE, "r": _NONE, "span": _NONE}
    event = one.get("eventName") or own.get("event.name") or own.get("event_name") or "log"
    body = plain(one.get("body"))
    if event == DETAILS and body.__class__ is dict:
        own = body | own
    span = {"traceId": one.get("traceId"), "spanId": one.get("spanId"), "startTimeUnixNano": at}
    return {"a": own, "s": _NONE, "r": resource, "span": span, "event": str(event), "body": body}


def attributes(wrapped: Any) -> dict[str, Any]:
    """Attributes as an object; the first of equal keys holds, and what is no attribute is passed over."""
    if wrapped.__class__ is not list:
        return wrapped if wrapped.__class__ is dict else _NONE
    try:
        return {
            t["key"]: v["stringValue"]
            if "stringValue" in (v := t["value"])
            else int(v["intValue"])
            if "intValue" in v
            else plain(v)
            for t in reversed(wrapped)
        }
    except (KeyError, TypeError, ValueError):
        return {
            t["key"]: plain(t.get("value"))
            for t in reversed(wrapped)
            if t.__class__ is dict and t.get("key").__class__ is str
        }


def plain(value: Any, depth: int = _DEEPEST) -> Any:
    """A wrapped value as the Python value it stands for; None for an empty one and for what is none."""
    if value.__class__ is not dict:
        return value if value.__class__ in (str, int, float, bool) else None
    for name, inner in value.items():
        kind = _KINDS.get(name)
        if kind == "scalar":
            return inner if inner.__class__ in (str, bool, int, float) else None
        if kind == "int":
            return _whole(inner)
        if kind is None or not depth:
            continue
        held = inner.get("values") if inner.__class__ is dict else inner
        if held.__class__ is not list:
            return [] if kind == "list" else {}
        if kind == "list":
            return [plain(one, depth - 1) for one in held]
        return {
            one["key"]: plain(one.get("value"), depth - 1)
            for one in reversed(held)
            if one.__class__ is dict and one.get("key").__class__ is str
        }
    return None


_KINDS = {
    "stringValue": "scalar", "string_value": "scalar", "boolValue": "scalar", "bool_value": "scalar",
    "doubleValue": "scalar", "double_value": "scalar", "bytesValue": "scalar", "bytes_value": "scalar",
    "intValue": "int", "int_value": "int", "arrayValue": "list", "array_value": "list",
    "kvlistValue": "object", "kvlist_value": "object",
}  # fmt: skip


def _whole(value: Any) -> Any:
    if value.__class__ is str:
        try:
            return int(value)
        except ValueError:
            return value
    return value if value.__class__ in (int, float) else None

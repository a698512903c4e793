"""Takes OTLP/JSON apart: spans and log records out of a line, attributes out of their wrapping.

OTLP writes ``{"key": k, "value": {"stringValue" | "intValue" | "arrayValue" | "kvlistValue" ...}}`` and 64-bit numbers
as text. Names are camelCase in OTLP/JSON. Some exporters keep the snake_case of protobuf; both are read.
An entry is ``{"a": own attributes, "s": those of the spans around it, "r": its resource's, "span": the rest}``. The entry
of a log record also has ``event``, its name, and ``body``. A call may have ``logs``, the log records of its span.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

#: Names of the lists that lead to spans and to log records. ``instrumentation...`` is the spelling before OTLP 0.15.
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
#: snake_case -> camelCase of the parts of a span or log record that are read.
_CAMEL = {
    "trace_id": "traceId", "span_id": "spanId", "parent_span_id": "parentSpanId",
    "start_time_unix_nano": "startTimeUnixNano", "end_time_unix_nano": "endTimeUnixNano",
    "time_unix_nano": "timeUnixNano", "observed_time_unix_nano": "observedTimeUnixNano", "event_name": "eventName",
}  # fmt: skip
#: The event that holds a whole call.
DETAILS = "gen_ai.client.inference.operation.details"
_NONE: dict[str, Any] = {}
#: Deepest level of nested attribute values that is read.
_DEEPEST = 64


def entries(record: Any) -> Iterator[dict[str, Any]]:
    """Every span and log record of one parsed line.

    Raises
    ------
    ValueError : the line holds neither spans nor log records. An empty list of them, and metrics, give no entry.
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
        holder = group.get("resource")
        resource = attributes(holder.get("attributes")) if holder.__class__ is dict else _NONE
        for scope in _lists(group, middle):
            if scope.__class__ is dict:
                for one in _lists(scope, inner):
                    yield one, resource


def _lists(holder: Any, names: tuple[str, ...]) -> Iterator[Any]:
    for name in names:
        listed = holder.get(name)
        if listed.__class__ is list:
            yield from listed


def _camel(one: dict[str, Any]) -> dict[str, Any]:
    return {_CAMEL.get(key, key): value for key, value in one.items()}


def _span(one: Any, resource: dict[str, Any]) -> dict[str, Any]:
    """A span as an entry. A value without anything of a span gives an empty entry, which becomes a reject."""
    if one.__class__ is not dict:
        return {"a": _NONE, "s": _NONE, "r": _NONE, "span": _NONE}
    if "trace_id" in one or "span_id" in one or "start_time_unix_nano" in one:
        one = _camel(one)
    own = attributes(one.pop("attributes", None))  # the wrapped form is not kept for a whole block
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
    """Attributes as an object. The first of equal keys wins; anything else in the list is passed over."""
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
    """The Python value of a wrapped value; None for an empty one and for anything else."""
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
        values = inner.get("values") if inner.__class__ is dict else inner
        if values.__class__ is not list:
            return [] if kind == "list" else {}
        if kind == "list":
            return [plain(one, depth - 1) for one in values]
        return {
            one["key"]: plain(one.get("value"), depth - 1)
            for one in reversed(values)
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

"""Flat ``gen_ai.*`` records without an OTLP wrapper, as Elastic, Splunk, Datadog, ClickHouse and AI gateways store them.

Names are those of ``otel``, dotted (``"gen_ai.request.model"``) or nested (``{"gen_ai": {"request": {"model": ...}}}``),
at the top of a record or under its attributes. The store adds its own names: ECS (``@timestamp``, ``user.id``,
``source.ip``, ``event.outcome``), Elastic's records of Bedrock, Datadog's standard attributes (``usr.id``,
``network.client.ip``), and the OpenTelemetry exporters for Elasticsearch and ClickHouse. Spans of one trace are joined
within a block of lines, as in ``otel``.

Sources: ``semconv`` for the calls; elastic/ecs ``schemas`` (``gen_ai``, ``user``, ``source``, ``event``, ``error``);
docs.datadoghq.com "Default Standard Attributes"; open-telemetry/opentelemetry-collector-contrib ``clickhouseexporter`` and
``elasticsearchexporter``; Splunk's Common Information Model, data model Web (``src_ip``, ``http_user_agent``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from detector.ingest import calls, semconv, traces
from detector.ingest.casting import epoch_us, scaled
from detector.ingest.formats import CAPABILITIES, Columns, Format, Options, Record
from detector.ingest.otlp import DETAILS
from detector.ingest.records import Path, Records, as_object, something
from detector.ingest.semconv import rooted

#: Objects that hold a record's attributes, and those of its resource: Elastic and Python's exporter, ClickHouse.
_ATTRIBUTES = (
    "attributes",
    "Attributes",
    "span_attributes",
    "SpanAttributes",
    "log_attributes",
    "LogAttributes",
)
_RESOURCES = ("resource_attributes", "ResourceAttributes")
#: Names whose values are objects and are not flattened.
_WHOLE = frozenset(
    path if isinstance(path, str) else path[0]
    for names in (
        semconv.MESSAGES, semconv.TEXTS, semconv.LAST_TEXTS, semconv.ANSWERS, semconv.TOOLS, semconv.BIAS, semconv.SYSTEM,
        semconv.STOPS,
    )
    for path in names
)  # fmt: skip
_DEEPEST = 8
_STARTS: tuple[Path, ...] = rooted(
    ("event.start", "start_time", "startTime", "start_time_unix_nano", "startTimeUnixNano", "@timestamp", "timestamp",
     "Timestamp", "TimestampTime", "time", "_time", "start_ns", "ts", "date"),
    "a",
)  # fmt: skip
_ENDS: tuple[Path, ...] = rooted(
    ("event.end", "end_time", "endTime", "end_time_unix_nano", "endTimeUnixNano"), "a"
)
#: Names of durations, with the factor to ms. Plain ``duration`` is in ns in records of spans (Elastic, Datadog).
_DURATIONS: tuple[tuple[str, float], ...] = (
    ("event.duration", 1e-6), ("Duration", 1e-6), ("span.duration.us", 1e-3), ("transaction.duration.us", 1e-3),
    ("duration_ms", 1.0), ("latency_ms", 1.0), ("gen_ai.client.operation.duration", 1e3),
    ("gen_ai.performance.response_time", 1.0),
)  # fmt: skip
_IDS: tuple[Path, ...] = rooted(("http.request.id", "request_id", "requestId", "event.id"), "a")
_LAST_IDS: tuple[Path, ...] = rooted(("transaction.id", "id", "_id"), "a")
#: Parts of a span <- the names that stores give them.
_SPAN = {
    "traceId": ("trace.id", "trace_id", "traceId", "TraceId", "context.trace_id", "dd.trace_id"),
    "spanId": ("span.id", "span_id", "spanId", "SpanId", "context.span_id", "dd.span_id"),
    "parentSpanId": ("parent.id", "parent_id", "parent_span_id", "parentSpanId", "ParentSpanId"),
    "kind": ("kind", "span.kind", "SpanKind", "span_kind"),
}
#: Names that say whether a request failed; below, names of the error message.
_OUTCOMES = ("event.outcome", "status.code", "StatusCode", "status.status_code", "otel.status_code")
_MESSAGES = (
    "error.message",
    "status.message",
    "StatusMessage",
    "status.description",
    "otel.status_description",
)
_FAILED = frozenset(("failure", "error", "status_code_error", "statuscode.error", "2"))
_CODE = re.compile(r"[1-5][0-9][0-9]")
_MORE: dict[str, tuple[Path, ...]] = {
    "source_ip": ("network.client.ip", "src_ip"),
    "user_agent": ("http.useragent", "http_user_agent"),
    "country": ("network.client.geoip.country.iso_code",),
}
_FIELDS = calls.FIELDS | {name: calls.FIELDS[name] + rooted(names, "a", "s") for name, names in _MORE.items()}
#: Names of a user beside those of ``otel``: Datadog's, ECS's, Splunk's.
_USERS: tuple[Path, ...] = ("usr.id", "user.name", "user.email", "usr.email", "user")
_ACCOUNT = (
    *rooted(semconv.USER, "a", "s", "r"), *rooted(_USERS, "a", "s"),
    *(p for p in calls.ACCOUNT if p[-1] not in semconv.USER),
)  # fmt: skip
#: First parts of names that the store or the shipper adds, and that say nothing of a request.
_PASSED = frozenset(
    ("@timestamp", "@version", "_time", "_id", "_index", "_source", "host", "agent", "ecs", "data_stream", "log", "labels",
     "tags", "event", "trace", "span", "transaction", "parent", "process", "cloud", "container", "kubernetes", "observer",
     "geo", "source", "destination", "related", "error", "organization", "user", "usr", "name", "kind", "message",
     "SpanName", "SpanKind", "SpanId", "TraceId", "ParentSpanId", "TraceState", "StatusCode", "StatusMessage", "Duration",
     "duration", "Timestamp", "TimestampTime", "timestamp", "time", "start_time", "startTime", "end_time", "endTime",
     "ServiceName", "ScopeName", "ScopeVersion", "scope", "service", "resource", "body", "Body", "level", "severity",
     "severity_text", "SeverityText", "status", "dd", "index", "id", "request", "request_id", "requestId", "context",
     "events", "Events", "Links", "links", "type", "date", "ts", "latency_ms", "duration_ms", "network", "trace_id",
     "span_id", "traceId", "spanId", "parent_id", "parent_span_id", "trace_state", "dropped_attributes_count", "src_ip",
     "http_user_agent", "event_name", "sourcetype")
)  # fmt: skip
#: Keys of an Envoy access log. A record with three of them is not of this format.
_ACCESS_LOG = frozenset(
    ("response_code", "response_flags", "duration", "x-request-id", "downstream_remote_address", "x-envoy-origin-path",
     "bytes_sent", "bytes_received", "upstream_host")
)  # fmt: skip


def _sniff(record: Record) -> bool:
    if len(_ACCESS_LOG.intersection(record)) >= 3:
        return False
    return any(_has_gen_ai(holder) for holder in (record, *_holders(record)))


def _holders(record: Record) -> Iterator[Any]:
    """Objects of attributes. Datadog's list of logs has one inside another."""
    for name in _ATTRIBUTES:
        attributes = record.get(name)
        if isinstance(attributes, Mapping):
            yield attributes.get("attributes")
            yield {k: v for k, v in attributes.items() if k != "attributes"}


def _has_gen_ai(holder: Any) -> bool:
    if not isinstance(holder, Mapping):
        return False
    inner = holder.get("gen_ai")
    if isinstance(inner, Mapping) and any(str(n).split(".")[0] in _SAYS for n in inner):
        return True
    return any(
        isinstance(name, str) and name.startswith("gen_ai.") and name.split(".")[1] in _SAYS
        for name in holder
    )


_SAYS = frozenset(
    (
        "operation",
        "request",
        "response",
        "usage",
        "system",
        "provider",
        "input",
        "output",
        "prompt",
        "conversation",
        "tool",
    )
)


def _entry(record: Record) -> Iterator[Record]:
    """One record in the shape of a span's entry, with all attributes flat."""
    own: dict[str, Any] = {}
    resource: dict[str, Any] = {}
    for holder in _holders(record):
        _flatten(holder, "", own)
    for name in _RESOURCES:
        _flatten(record.get(name), "", resource)
    holder = as_object(record.get("resource"))
    _flatten(holder.get("attributes"), "", resource)
    own_keys = {k: v for k, v in record.items() if k not in _ATTRIBUTES and k not in _RESOURCES}
    for name in ("events", "Events"):
        if own_keys.get(name).__class__ is list:  # of the span, and no attribute
            del own_keys[name]
    _flatten(own_keys, "", own)
    span: dict[str, Any] = {part: _named(own, names) for part, names in _SPAN.items()}
    span["kind"] = str(span["kind"]).rpartition(".")[2].rpartition("_")[2].upper()
    span["events"] = record.get("events") or record.get("Events")
    span["status"] = _status(own)
    entry: dict[str, Any] = {"a": own, "s": {}, "r": resource, "span": span}
    event = own.get("event.name", own.get("event_name"))
    if isinstance(event, str) and event.startswith("gen_ai.") and event.count(".") > 1:
        entry |= {"event": event, "body": record.get("body", record.get("Body"))}
        if event != DETAILS and "gen_ai.usage.input_tokens" in own:
            del entry["event"], entry["body"]  # a gateway's own event that is a whole call
    yield entry


def _flatten(value: Any, prefix: str, into: dict[str, Any], depth: int = _DEEPEST) -> None:
    """Add the members of an object under dotted names; the first of equal names wins."""
    for name, inner in as_object(value).items():
        full = f"{prefix}{name}"
        if inner.__class__ is dict and inner and depth and not (full in _WHOLE and _stays(full, inner)):
            _flatten(inner, f"{full}.", into, depth - 1)
        else:
            into.setdefault(full, inner)


def _stays(name: str, value: dict[str, Any]) -> bool:
    """Whether an object is a value of its own, and no list that was flattened under numbers."""
    return f"{name}." not in (*semconv.FLAT_MESSAGES, *semconv.FLAT_TOOLS) or not all(
        k.isdecimal() for k in value
    )


def _named(own: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    for name in names:
        value = something(own.get(name))
        if value is not None:
            return str(value)
    return None


def _status(own: dict[str, Any]) -> dict[str, Any]:
    """The outcome in the words of spans. The code of an error is an HTTP status, or else the kind of the error."""
    word = (_named(own, _OUTCOMES) or "").lower()
    code = _named(own, ("error.code",))
    if code is not None:
        if _CODE.fullmatch(code):
            own.setdefault("http.response.status_code", code)
            word = "error" if code[0] in "45" else word
        else:
            own.setdefault("error.type", code)
    return {"code": "ERROR" if word in _FAILED else word, "message": _named(own, _MESSAGES)}


def _names(entry: Record) -> Iterator[str]:
    return (name for name in semconv.untaken(entry["a"]) if name.partition(".")[0] not in _PASSED)


def _derive(records: Records, options: Options, columns: Columns) -> Columns:
    starts = records.first(*_STARTS)
    return {
        "request_id": calls.request_ids(records, _IDS, _LAST_IDS),
        "ts": starts,
        "latency_ms": _latency(records, starts),
    } | calls.columns(records, options, columns)


def _latency(records: Records, starts: list[Any]) -> list[Any]:
    latencies: list[Any] = [None] * len(records)
    for name, scale in _DURATIONS:
        values = records.first(("a", name))
        latencies = [f if f is not None else scaled(v, scale) for f, v in zip(latencies, values, strict=True)]
    ends, plain = records.first(*_ENDS), records.first(("a", "duration"))
    for row, value in enumerate(latencies):
        if value is None and ends[row] is not None:
            start, end = epoch_us(starts[row]), epoch_us(ends[row])
            latencies[row] = (end - start) / 1000 if start is not None and end is not None else None
        if (
            latencies[row] is None
            and plain[row] is not None
            and records.entries[row]["span"]["spanId"] is not None
        ):
            latencies[row] = scaled(plain[row], 1e-6)
    return latencies


FORMAT = Format(
    name="genai",
    meaning="flat or nested gen_ai.* records: Elastic, Splunk, Datadog, ClickHouse, AI gateways",
    capabilities=frozenset(CAPABILITIES),
    sniff=_sniff,
    fields=_FIELDS,
    account=_ACCOUNT,
    roots=(("a",), ("s",), ("r",)),
    derive=_derive,
    spread=_entry,
    join=traces.related,
    names=_names,
)

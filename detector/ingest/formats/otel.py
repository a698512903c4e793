"""OpenTelemetry GenAI: OTLP/JSON lines as the Collector's file exporter writes them, spans and log events.

Attribute names of all common instrumentations are read (``semconv``). The caller is seldom on the span itself. It is
looked up on the span, then on the spans around it, then on the SERVER span of its trace within the block, then on the
resource. Other spans (tools, agents, HTTP) are only counted: as calls they would count the same work twice.
"""

from __future__ import annotations

from collections.abc import Iterator

from detector.ingest import calls, otlp, semconv, traces
from detector.ingest.formats import CAPABILITIES, Columns, Format, Options, Record
from detector.ingest.records import Records


def _sniff(record: Record) -> bool:
    return not otlp.LISTS.isdisjoint(record)


def _names(entry: Record) -> Iterator[str]:
    return semconv.untaken(entry["a"])


def _derive(records: Records, options: Options, columns: Columns) -> Columns:
    starts = [_whole(v) for v in records.at("span/startTimeUnixNano")]
    ends = [_whole(v) for v in records.at("span/endTimeUnixNano")]
    return {
        "request_id": calls.request_ids(records),
        "ts": starts,
        "latency_ms": [
            (end - start) / 1e6 if start.__class__ is int and end.__class__ is int and end else None
            for start, end in zip(starts, ends, strict=True)
        ],
    } | calls.columns(records, options, columns)


def _whole(value: object) -> object:
    """A 64-bit number, which OTLP/JSON writes as text."""
    try:
        return int(value) if isinstance(value, str) else value
    except ValueError:
        return value


FORMAT = Format(
    name="otel",
    meaning="OpenTelemetry GenAI spans and log events as OTLP/JSON lines",
    capabilities=frozenset(CAPABILITIES),
    sniff=_sniff,
    fields=calls.FIELDS,
    account=calls.ACCOUNT,
    roots=(("a",), ("s",), ("r",)),
    derive=_derive,
    spread=otlp.entries,
    join=traces.related,
    names=_names,
)

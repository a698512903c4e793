"""Takes off the wrappers that log shippers put around a record, in one place for all formats.

    {"Records": [record, ...]}   {"log": "{record}\n", "stream": "stdout", ...}   2026-03-01T00:00:00Z {record}

``loads`` parses a line, with or without a prefix before its JSON; ``unwrap`` returns the records in the parsed value.
The names beside its content show that an object is a wrapper. An object that ``is_record`` knows is never a wrapper:
a record holds text of callers, and that text must not pass for a record.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from detector.ingest.complexity import is_too_complex
from detector.ingest.records import mended, parse
from detector.ingest.splitting import Code

#: Most wrappers within one another, and most entries of one line.
MAX_DEPTH = 10
MAX_ENTRIES = 1_000_000
#: Most bytes that base64 and gzip inside a wrapper may unpack to.
MAX_INNER = 64 << 20

Record = Mapping[str, object]


@dataclass(frozen=True)
class Fault:
    """What a wrapper holds instead of a record: code and detail of the reject."""

    code: Code
    detail: str = ""


Entry = Record | Fault

#: Members that hold a list of entries, or an object with such a member.
_LISTS = (
    "Records", "records", "logEvents", "events", "data", "result", "results", "value", "items", "hits",
    "streams", "receivedMessages", "entries", "rows",
)  # fmt: skip
#: Members that hold one record, as an object or as JSON in a string.
_ONES = (
    "message", "log", "line", "MESSAGE", "@message", "body", "msg", "jsonPayload", "textPayload", "_source",
    "_raw", "raw", "event", "detail", "awslogs", "kinesis", "Sns", "Message", "data", "result", "value",
)  # fmt: skip
_ANY = frozenset(_LISTS) | frozenset(_ONES)
#: What shippers write beside a record, in lower case: its origin, its time, and how it was carried.
_BESIDE = frozenset((
    "@log", "@logstream", "@ptr", "@timestamp", "@version", "__cursor", "__realtime_timestamp",
    "_hostname", "_id", "_index", "_score", "_systemd_unit", "_type", "account", "ackid", "agent", "app",
    "appname", "approximatearrivaltimestamp", "attributes", "attrs", "awsregion", "body", "cluster",
    "container", "container_id", "container_name", "date", "datetime", "detail-type", "docker", "ecs",
    "event_type", "eventid", "eventname", "eventsource", "eventsourcearn", "eventsubscriptionarn",
    "eventversion", "facility", "fields", "file", "host", "hostname", "id", "ident", "index",
    "ingestiontime", "input", "insertid", "key", "kubernetes", "labels", "lastrow", "level", "loggroup",
    "loggroupname", "logname", "logstream", "logstreamname", "logtag", "message_id", "messageid",
    "messagetype", "msgid", "namespace", "node", "offset", "owner", "partial_message", "partition",
    "partitionkey", "path", "pid", "pod", "preview", "priority", "procid", "program", "publishtime",
    "receivetimestamp", "recordid", "region", "resource", "result", "sequencenumber", "service",
    "severity", "source", "source_type", "sourcetype", "spanid", "stream", "structured_metadata",
    "subscription", "subscriptionfilters", "syslog_identifier", "tag", "tags", "time", "timestamp",
    "topic", "topicarn", "trace", "ts", "type", "version",
))  # fmt: skip

_TIME = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:[ ]?(?:Z|UTC|[+-]\d\d:?\d\d))?"
_TAG = r"[^\s:\[\]{}\"]{1,128}(?:\[\d{1,10}\])?"
#: What may come before the JSON of a line. Free words may not: ``prompt: {...}`` is an application's text with words of
#: a caller in it, and must not be read as a record.
_PREFIX = re.compile(
    rf"""\s*(?:
      (?:\[[a-z]{{1,16}}/[^\s\]{{}}]{{1,253}}\]|[^\s|{{}}"]{{1,128}}\s*\|)\s*(?:{_TIME}\s+)?   # kubectl, docker compose
    | {_TIME}\s+(?:stdout|stderr)\s+[FP](?::\S*)?\s                            # CRI
    | (?:<\d{{1,3}}>)?{_TIME}\s+\S{{1,255}}\s+{_TAG}:\s*                       # syslog with an ISO time
    | (?:<\d{{1,3}}>)?[A-Z][a-z]{{2}}\s+\d{{1,2}}\s\d\d:\d\d:\d\d(?:\.\d+)?\s+(?:\S{{1,255}}\s+)?{_TAG}:\s*
    | <\d{{1,3}}>\d\s(?:{_TIME}|-)(?:\s\S{{1,255}}){{4}}\s(?:-|(?:\[[^\]]*\])+)?\s*           # RFC 5424
    | {_TIME}[ ](?=\S{{0,511}}[/\d])[^\s:*{{}}"]{{1,512}}[ ]                        # aws logs tail: time, stream
    | \[?{_TIME}\]?[\s,]+                                                      # CloudWatch's export, kubectl
    | <\d{{1,3}}>\s*
    )(?:@cee:\s*)?(?:\ufeff)?(?=[{{\[])""",
    re.X,
)
_JUNK = b"\0\x1e \t\r\n"
_IN_A_ROW = re.compile(rb"\}\s*\{")
_GAP = re.compile(r"\s*")
_DECODER = json.JSONDecoder(parse_constant=lambda _: None)


def loads(text: str | bytes) -> object:
    """The JSON of a line without a time, syslog, container or compose prefix. Several objects in a row make a list.

    Raises
    ------
    ValueError : no JSON, with or without a known prefix.
    """
    try:
        return parse(text)
    except ValueError:
        pass
    raw = text.encode("utf-8", "replace") if isinstance(text, str) else text
    raw = raw.strip(_JUNK).removeprefix(b"\xef\xbb\xbf").rstrip(b",")
    if not raw.startswith(b"{"):
        match = _PREFIX.match(raw[:2048].decode("utf-8", "surrogateescape"))
        if not match:
            raise ValueError("not valid JSON")
        raw = raw[len(match.group().encode("utf-8", "surrogateescape")) :]
    return _in_a_row(raw) if _IN_A_ROW.search(raw) else parse(raw)


def _in_a_row(raw: bytes) -> object:
    """Objects in a row without a separator, as Firehose writes them; a single object is returned as itself."""
    try:
        return parse(raw)
    except ValueError:
        if len(raw) > MAX_INNER:
            raise
    text = raw.decode()
    values: list[object] = []
    at = 0
    while at < len(text):
        try:
            value, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            raise ValueError("not valid JSON") from None
        values.append(mended(value))
        at = _GAP.match(text, end).end()  # type: ignore[union-attr]
    return values


def _never(record: Record) -> bool:
    return False


def unwrap(value: object, is_record: Callable[[Record], bool] = _never) -> tuple[Entry, ...]:
    """The entries in a parsed line; a bare record is the only one of its line.

    ``is_record``: whether an object itself is a record of the log's format. The result is never empty: a wrapper
    without entries is a fault ``not_a_call``.
    """
    if isinstance(value, dict) and _ANY.isdisjoint(value):  # most lines are bare
        return (value,)
    entries: list[Entry] = []
    for entry in _entries(value, is_record, MAX_DEPTH):
        if len(entries) >= MAX_ENTRIES:
            entries.append(Fault("bad_envelope", f"more than {MAX_ENTRIES:,} entries in one line"))
            break
        entries.append(entry)
    return tuple(entries) or (Fault("not_a_call", "a wrapper without entries"),)


def _entries(value: object, is_record: Callable[[Record], bool], depth: int) -> Iterator[Entry]:
    if depth <= 0:
        yield Fault("bad_envelope", f"more than {MAX_DEPTH} wrappers within one another")
    elif isinstance(value, list) and value and not any(isinstance(item, dict | list | str) for item in value):
        yield Fault("not_object")  # a list of numbers is one line that is no record
    elif isinstance(value, list):
        for item in value:
            yield from _entries(item, is_record, depth - 1)
    elif isinstance(value, str):
        inner = _parsed(value)
        if isinstance(inner, Fault):
            yield inner
        else:
            yield from _entries(inner, is_record, depth - 1)
    elif not isinstance(value, dict):
        yield Fault("not_object")
    elif _ANY.isdisjoint(value) or is_record(value):
        yield value
    elif value.get("messageType") == "CONTROL_MESSAGE":
        yield Fault("not_a_call", "control message of CloudWatch Logs")
    else:
        content = _content(value)
        if content is None:
            yield Fault("not_json", "text in a wrapper") if _is_text(value) else value
        else:
            yield from _entries(content, is_record, depth - 1)


def _content(wrapper: Mapping[str, object], depth: int = MAX_DEPTH) -> object | None:
    """The content of ``wrapper``; None when it is no wrapper."""
    for name in _LISTS:
        inner = wrapper.get(name)
        if name == "results" and isinstance(inner, list) and (rows := _insights(inner)):
            return rows
        if isinstance(inner, list) and _are_entries(inner):
            return _loki(inner) if name in ("streams", "result") else inner
        if isinstance(inner, dict) and name in ("data", "hits", "result") and depth:
            within = _content(inner, depth - 1)
            if within is not None:
                return within
    n_beside = sum(name.lower() in _BESIDE for name in wrapper)
    for name in _ONES:
        inner = wrapper.get(name)
        if not inner or not (n_beside or len(wrapper) == 1):
            continue
        if name == "data" and isinstance(inner, str):
            inner = _decoded(inner)
        elif name in ("MESSAGE", "message") and isinstance(inner, list):
            inner = _characters(inner)
        if isinstance(inner, dict) and name not in _STRINGS_ONLY:
            return inner
        if isinstance(inner, str) and _may_hold(inner):
            parsed = _parsed(inner)
            if isinstance(parsed, Fault) and parsed.code == "too_complex":
                return inner
            if isinstance(parsed, dict) or (isinstance(parsed, list) and parsed and _are_entries(parsed)):
                return parsed
    return None


#: Records that are no wrappers have objects under these names.
_STRINGS_ONLY = frozenset(("log", "event", "result", "value", "body", "line", "msg", "raw"))


def _may_hold(text: str) -> bool:
    """Whether a text may hold JSON: a cheap look before it is parsed."""
    start = text.lstrip()[:1]
    return start in ("{", "[") or (start != "" and "{" in text[:400])


def _is_text(wrapper: Mapping[str, object]) -> bool:
    """Whether an object is nothing but a wrapper around text that is no JSON."""
    texts = [n for n in wrapper if n in _ONES and isinstance(wrapper[n], str)]
    return bool(texts) and len(wrapper) > 1 and all(n.lower() in _BESIDE or n in texts for n in wrapper)


def _are_entries(inner: list[object]) -> bool:
    """Whether a list holds entries: objects or their JSON. An empty list counts."""
    return all(isinstance(i, dict) or (isinstance(i, str) and i.lstrip()[:1] == "{") for i in inner[:20])


def _loki(streams: list[object]) -> list[object]:
    """Lines of Loki's answer, ``{"stream": labels, "values": [[time, line], ...]}``; the list itself for any other."""
    lines: list[object] = []
    for stream in streams:
        values = stream.get("values") if isinstance(stream, dict) else None
        if not isinstance(values, list) or not all(isinstance(v, list) and len(v) > 1 for v in values):
            return streams
        lines.extend(v[1] for v in values)
    return lines


def _insights(results: list[object]) -> list[object] | None:
    """Rows of CloudWatch Insights' answer as objects; None for another list. A row is a list of ``{"field", "value"}``."""
    rows: list[object] = []
    for row in results:
        if not isinstance(row, list) or not row:
            return None
        if not all(isinstance(f, dict) and isinstance(f.get("field"), str) and "value" in f for f in row):
            return None
        rows.append({f["field"]: f["value"] for f in row})
    return rows


def _parsed(text: str) -> object:
    """The JSON in a string, or a fault that says why there is none."""
    if is_too_complex(text):
        return Fault("too_complex")
    try:
        return loads(text)
    except (ValueError, RecursionError):
        return Fault("not_json", "text in a wrapper")


def _decoded(text: str) -> str | None:
    """Text from base64, or from gzip in base64, as Kinesis, Firehose and Pub/Sub carry records; None for other text."""
    if text.lstrip()[:1] in ("{", "["):
        return text
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    if raw.startswith(b"\x1f\x8b"):
        inflater = zlib.decompressobj(wbits=31)
        try:
            raw = inflater.decompress(raw, MAX_INNER)
        except zlib.error:
            return None
        if inflater.unconsumed_tail:
            return None
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def _characters(codes: Iterable[object]) -> str | None:
    """Text from a list of bytes, as the journal writes a message with control characters."""
    try:
        return bytes(c for c in codes if isinstance(c, int)).decode("utf-8", "replace")
    except ValueError:
        return None

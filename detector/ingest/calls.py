"""Canonical columns from the attributes of model calls, alike for OTLP and for flat records of the same names."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from detector.ingest import semconv
from detector.ingest.address import forwarded
from detector.ingest.carriers import (
    answer_of,
    answers_lie_flat,
    conversation_columns,
    finish_in,
    flat_tools,
    has_events,
    span_events,
)
from detector.ingest.casting import Inferred, epoch_us, scaled
from detector.ingest.formats import Columns, Options
from detector.ingest.messages import carried, minted, n_stops, tools
from detector.ingest.records import Path, Records, any_value, as_list, first_of, something
from detector.ingest.semconv import rooted

_EVERYWHERE = ("a", "s", "r")
#: Canonical column -> paths under an entry's own attributes, then those around it, then its resource's.
FIELDS: dict[str, tuple[Path, ...]] = {
    **{name: rooted(names, "a") for name, names in semconv.OWN.items()},
    **{name: rooted(names, *_EVERYWHERE) for name, names in semconv.AROUND.items()},
}
ACCOUNT: tuple[Path, ...] = tuple(
    path
    for names in (semconv.USER, semconv.AROUND["org_id"], semconv.AROUND["api_key_id"])
    for path in rooted(names, *_EVERYWHERE)
)
#: HTTP status of the names that clients give errors.
_ERRORS = {
    "ratelimit": 429, "rate_limit": 429, "throttling": 429, "toomanyrequests": 429, "insufficient_quota": 429,
    "authentication": 401, "unauthorized": 401, "permissiondenied": 403, "permission_denied": 403, "forbidden": 403,
    "accessdenied": 403, "badrequest": 400, "invalid_request": 400, "invalidrequest": 400, "validationexception": 400,
    "contextwindow": 400, "contentpolicy": 400, "content_filter": 400, "notfound": 404, "not_found": 404,
    "unprocessableentity": 422, "timeout": 408, "conflict": 409, "serviceunavailable": 503, "overloaded": 529,
}  # fmt: skip
_CODE = re.compile(r"[1-5][0-9][0-9]")
_CODE_IN_WORDS = re.compile(r"(?i)(?:error code|status code|status|http)\W{1,3}([45][0-9][0-9])\b")
_FAILED = (2, "2", "STATUS_CODE_ERROR", "ERROR", "Error", "error", "failure")
_FIRST_CHUNK = frozenset(("First Token Stream Event", "ai.stream.firstChunk", "gen_ai.content.first_token"))


def columns(records: Records, options: Options, by_path: Columns) -> Columns:
    """The columns that paths alone cannot give: conversation, tools, status, ending, and tokens of one meaning.

    ``by_path`` holds the columns read by path.
    """
    answers = _answers(records)
    derived = {
        "source_ip": _addresses(records, by_path["source_ip"], options.trusted_hops),
        "input_tokens": _input_tokens(records, by_path),
        "user_agent": _headers(records, "user_agent", by_path["user_agent"]),
        "finish_reason": _finish(records, answers),
        "logit_bias": records.first_any(*rooted(semconv.BIAS, "a")),
        "stop_count": _each(n_stops, records.first_any(*rooted(semconv.STOPS, "a"))),
        "minted": _minted(records, answers),
        "stream": _streamed(by_path["stream"], by_path["operation"]),
        "org_id": [None if v in semconv.NOBODY else v for v in by_path["org_id"]],
        "account_id": records.somebody(by_path["account_id"], ACCOUNT, semconv.NOBODY),
    }
    return derived | conversation_columns(records) | _tools(records) | _outcome(records)


def request_ids(records: Records, others: tuple[Path, ...] = (), last: tuple[Path, ...] = ()) -> list[Any]:
    """Ids of requests: the response's id, then an id of the store (``others``), trace and span, and the ``last`` paths."""
    named = records.first(*rooted(semconv.RESPONSE_ID, "a"), *others)
    if None not in named:
        return named
    spans = zip(
        records.first("span/traceId"), records.first("span/spanId"), records.first(*last), strict=True
    )
    return [
        name if name is not None else f"{trace}:{span}" if trace is not None and span is not None else other
        for name, (trace, span, other) in zip(named, spans, strict=True)
    ]


def _each(convert: Callable[[Any], Any], values: list[Any]) -> list[Any]:
    """``convert`` of each value; a column without any value is returned as it is."""
    return [None if v is None else convert(v) for v in values] if any_value(values) else values


def _tools(records: Records) -> Columns:
    values = records.first_any(*rooted(semconv.TOOLS, "a"))
    if any(name.startswith(semconv.FLAT_TOOLS) for name in records.names("a") if name.__class__ is str):
        values = [flat_tools(e) if v is None else v for v, e in zip(values, records.entries, strict=True)]
    if not any_value(values):
        return {}
    tool_lists = [tools(v) if v is not None else (None, None) for v in values]
    return {"tool_count": [n for n, _ in tool_lists], "tool_names": [names for _, names in tool_lists]}


def _answers(records: Records) -> list[Any]:
    values = _each(lambda v: as_list(v) or v, records.first_any(*rooted(semconv.ANSWERS, "a")))
    if has_events(records) or answers_lie_flat(records):
        return [answer_of(e) if v is None else v for v, e in zip(values, records.entries, strict=True)]
    return values


def _finish(records: Records, answers: list[Any]) -> list[Any]:
    stated = records.first_any(*rooted(semconv.FINISH, "a"))
    reasons = _each(_first_of, stated)
    if None in reasons and any_value(answers):
        reasons = [
            finish_in(a) if f is None and a is not None else f for f, a in zip(reasons, answers, strict=True)
        ]
    return reasons


def _first_of(value: Any) -> Any:
    """The first of several values: of a list, or of text such as ``stop, length`` (LangSmith) or ``[Stop]``."""
    listed = as_list(value)
    if listed is not None:
        return listed[0] if listed else None
    return value.strip("[] ").partition(",")[0] if value.__class__ is str else value


def _minted(records: Records, answers: list[Any]) -> list[Any]:
    states = _each(minted, answers)
    ids = records.first(*rooted(semconv.RESPONSE_ID, "a"))
    if any(i.__class__ is str and i.startswith("resp_") for i in ids):
        states = [
            carried(f, i) if i.__class__ is str and i.startswith("resp_") else f
            for f, i in zip(states, ids, strict=True)
        ]
    return states


def _addresses(records: Records, addresses: list[Any], trusted_hops: int) -> list[Any]:
    values = _headers(records, "source_ip", addresses)
    return [forwarded(v, trusted_hops) if v.__class__ is str and "," in v else v for v in values]


def _headers(records: Records, column: str, values: list[Any]) -> list[Any]:
    """``values``, filled up from the request header of the same meaning, which holds a list."""
    if None not in values:
        return values
    headers = records.first_any(*rooted((semconv.HEADERS[column],), *_EVERYWHERE))
    if not any_value(headers):
        return values
    return [
        f if f is not None else ", ".join(map(str, v)) if (v := as_list(h)) else something(h)
        for f, h in zip(values, headers, strict=True)
    ]


def _streamed(flags: list[Any], operations: list[Any]) -> list[Any]:
    """Whether answers were streamed. The Vercel AI SDK says it only in the name of the operation."""
    if None not in flags:
        return flags
    return [
        (True if o.startswith("ai.stream") else False if o.startswith("ai.generate") else None)
        if f is None and o.__class__ is str
        else f
        for f, o in zip(flags, operations, strict=True)
    ]


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0


def _input_tokens(records: Records, by_path: Columns) -> list[Any]:
    """Input tokens, cached ones included.

    Some providers leave cached tokens out of the input count. It shows when the count is below that of the cached
    tokens, or when the total has them on top; they are added then.
    """
    reads, cached = by_path["input_tokens"], by_path["cached_tokens"]
    cache_writes = records.first(*rooted(semconv.CACHE_WRITTEN, "a"))
    if not any_value(cached) and not any_value(cache_writes):
        return reads
    totals = records.first(*rooted(semconv.TOTAL, "a"))
    counts = []
    for read, cache_read, write, total, out in zip(
        reads, cached, cache_writes, totals, by_path["output_tokens"], strict=True
    ):
        if cache_read is None and write is None:
            counts.append(read)
            continue
        n_cached = _number(cache_read) + _number(write)
        n = _number(read)
        is_apart = (
            read is not None
            and n_cached > 0
            and (n_cached > n or (total is not None and _number(total) == n + n_cached + _number(out)))
        )
        counts.append(int(n + n_cached) if is_apart else read)
    return counts


def _outcome(records: Records) -> Columns:
    """Status, kind of error and time to the first token, from the span or its events."""
    names, codes = (records.first(*rooted(paths, "a")) for paths in (semconv.ERROR, semconv.ERROR_CODE))
    https = records.first(*rooted(semconv.HTTP, *_EVERYWHERE))
    statuses = records.objects("span/status")
    levels, notes = (records.at(("a", name)) for name in (semconv.LEVEL, semconv.LEVEL_MESSAGE))
    events = records.at("span/events")
    status: list[Any] = ["success" if http is None else http for http in https]
    if not any(map(any_value, (names, codes, levels))) and not any(
        code in _FAILED for code in set(map(_hashed, records.at("span/status/code")))
    ):
        return {"status": status} | _first_chunks(records, events)
    status = []
    errors: list[Any] = []
    rows = zip(names, codes, https, statuses, map(_hashed, levels), notes, events, strict=True)
    for name, code, http, stated, level, note, entry_events in rows:
        if (
            name is None
            and code is None
            and _hashed(stated.get("code")) not in _FAILED
            and level not in _FAILED
        ):
            status.append("success" if http is None else http)
            errors.append(None)
            continue
        if _CODE.fullmatch(str(code)):
            http = code
        elif name is None:
            name = code
        words = [name, stated.get("message") or note]
        if entry_events:
            for event, _, own in span_events(entry_events):
                if event == "exception":
                    name = own.get("exception.type") if name is None else name
                    words += [own.get("exception.type"), own.get("exception.message")]
        status.append(error_status(name, http, words))
        errors.append(name)
    return {"status": status, "error_class": errors} | _first_chunks(records, events)


def _hashed(value: Any) -> Any:
    return value if value.__class__ in (str, int) else None


def error_status(name: Any, http: Any, words: Sequence[Any]) -> Any:
    """Status of a failed call: a name that is a code, the HTTP status, a code in words, or the code of an error's name.

    ``words`` : texts about the error. The first and the third text may be the name of an error.
    """
    if _CODE.fullmatch(str(name)):
        return name
    if 400 <= _number(http) < 600:
        return http
    texts = [w for w in words if w.__class__ is str]
    for word in texts:
        if match := _CODE_IN_WORDS.search(word):
            return Inferred(match[1])
    for word in texts[:1] + texts[2:3]:
        plain = word.rsplit(".", 1)[-1].lower()
        for part, code in _ERRORS.items():
            if part in plain:
                return Inferred(code)
    return "failure"


def _first_chunks(records: Records, events: list[Any]) -> Columns:
    seconds = first_of(records.first(*rooted(semconv.FIRST_CHUNK_S, "a")), _first_tokens(records))
    waits = [
        *first_of(records.first(*rooted(semconv.FIRST_CHUNK_MS, "a")), [scaled(v, 1000) for v in seconds])
    ]
    moments = records.at(("a", semconv.FIRST_CHUNK_AT))
    for row, moment in enumerate(moments if any_value(moments) else ()):
        if waits[row] is None and moment.__class__ is str:
            waits[row] = _since(records.entries[row]["span"].get("startTimeUnixNano"), moment.strip('"'))
    if any(events):
        for row, entry_events in enumerate(events):
            if entry_events and waits[row] is None and entry_events.__class__ is list:
                waits[row] = _first_event(entry_events, records.entries[row]["span"].get("startTimeUnixNano"))
    return {"ttft_ms": waits}


def _first_tokens(records: Records) -> list[Any]:
    """Seconds to the first token, under a name that some tools fill with milliseconds."""
    waits = records.at(("a", semconv.FIRST_TOKEN))
    if not any_value(waits):
        return waits
    providers = records.first(*rooted(semconv.PROVIDER, "a"))
    return [
        scaled(wait, 0.001) if provider in semconv.IN_MS else wait
        for wait, provider in zip(waits, providers, strict=True)
    ]


def _since(start: Any, moment: Any) -> float | None:
    """Milliseconds from a start to a moment; None where either is no time, or the start is later."""
    low, high = epoch_us(start), epoch_us(moment)
    return (high - low) / 1000 if low is not None and high is not None and high >= low else None


def _first_event(events: list[Any], start: Any) -> Any:
    for event in events:
        if event.__class__ is dict and str(event.get("name")) in _FIRST_CHUNK:
            own = dict(next(((n, a) for n, _, a in span_events([event])), ("", {}))[1])
            for name in semconv.FIRST_CHUNK_MS:
                if name in own:
                    return own[name]
            try:  # whole numbers: nanoseconds since 1970 are beyond what a float holds
                wait = int(event.get("timeUnixNano") or event["time_unix_nano"]) - int(start)
            except (KeyError, TypeError, ValueError):
                return None
            return wait / 1e6 if wait >= 0 else None
    return None

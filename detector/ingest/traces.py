"""Which spans of a block are model calls, and what the spans around a call say of it.

A call names a model, and its operation is inference, or it has tokens or a conversation. Agents, tools, threads and
plain HTTP are no calls. A framework's span and the client's span inside it may describe the same call. The innermost is
the call then, and gets the attributes that only the outer one has.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from detector.ingest import semconv
from detector.ingest.otlp import DETAILS
from detector.ingest.records import something

_SERVER = (2, "2", "SPAN_KIND_SERVER", "SERVER")
_CLIENT = (3, "3", "SPAN_KIND_CLIENT", "CLIENT")
#: A client span with one of these is a request to another service: its peer and client are not those of the call.
_OUTGOING = ("http.request.method", "http.method", "rpc.system", "db.system")
_KINDS = frozenset(semconv.KINDS)
#: Most spans between a call and its root; a longer chain of parents is a loop.
_HIGHEST = 64
#: Attributes that name the user of a call, also in stores of flat records.
_USERS = tuple(
    name
    for name in (*semconv.USER, "usr.id", "user.name", "user.email", "usr.email", "user")
    if isinstance(name, str)
)
_OWNERS = _USERS + tuple(
    name
    for part in ("org_id", "api_key_id", "end_user_id")
    for name in semconv.AROUND[part]
    if isinstance(name, str)
)
Entry = dict[str, Any]


def related(entries: list[Any]) -> list[bool]:
    """Whether each entry is a call. ``s`` of each call is filled with the attributes of the spans around it."""
    calls = [is_call(entry) for entry in entries]
    if not any(calls):
        return calls
    spans: dict[tuple[str, str], int] = {}
    servers: dict[str, dict[str, Any]] = {}
    for at, entry in enumerate(entries):
        span = entry["span"]
        trace, name = span.get("traceId"), span.get("spanId")
        if "event" in entry or trace.__class__ is not str or name.__class__ is not str or not trace:
            continue
        spans.setdefault((trace, name), at)
        if span.get("kind") in _SERVER:
            servers.setdefault(trace, entry["a"])
    _add_logs(entries, calls, spans)
    outer: dict[int, list[int]] = {}
    wrappers = _wrappers(entries, calls)
    for at, entry in enumerate(entries):
        if calls[at] and entry["span"]:
            above = _ancestors(entry, entries, spans)
            if wrappers:
                above += [up for up in wrappers.get(_inner_of(entry), ()) if up not in above]
            entry["s"] = _around(entry["span"], above, entries, servers)
            if above and (calls_around := _outer_calls(at, above, entries, calls)):
                outer[at] = calls_around
    if outer:
        _innermost(entries, calls, outer)
    return calls


def is_call(entry: Entry) -> bool:
    """Whether an entry is one call of a model. An empty entry counts as one, so that it is rejected and not lost."""
    own, span = entry["a"], entry["span"]
    if not span:
        return True
    if entry.get("event", DETAILS) != DETAILS:
        return False
    # LangSmith names a filled template "chat" and a look-up "embeddings"; its own attribute has the right kind.
    if str(own.get("langsmith.span.kind")).lower() in semconv.NO_CALL_KINDS:
        return False
    operation = own.get("gen_ai.operation.name")
    if operation.__class__ is str:
        if operation in semconv.INFERENCE:
            return True
        if operation in semconv.NO_CALL:
            return False
    if not _KINDS.isdisjoint(own):
        for name in semconv.KINDS:
            kind = str(own.get(name)).strip('"').lower()
            if kind in semconv.NO_CALL_KINDS:
                return False
            if kind in semconv.CALL_KINDS:
                return True
    if semconv.HAS_MODEL.isdisjoint(own) or "gen_ai.tool.name" in own:
        return False
    return (
        "llm.request.type" in own
        or not semconv.HAS_USAGE.isdisjoint(own)
        or not semconv.HAS_MESSAGES.isdisjoint(own)
        or _tells(span.get("events"))
        or (operation is None and span.get("kind") in _CLIENT and not semconv.HAS_PROVIDER.isdisjoint(own))
    )


def _tells(events: Any) -> bool:
    """Whether some event of a span holds a message."""
    return events.__class__ is list and any(
        e.__class__ is dict and str(e.get("name", "")).startswith("gen_ai.") for e in events
    )


def _add_logs(entries: Sequence[Entry], calls: list[bool], spans: dict[tuple[str, str], int]) -> None:
    """Move log records to the call whose span they name: its details, and its messages one by one."""
    for at, entry in enumerate(entries):
        event = entry.get("event")
        if event is None or event == "log":
            continue
        trace, name = entry["span"].get("traceId"), entry["span"].get("spanId")
        if trace.__class__ is not str or name.__class__ is not str:
            continue
        span_at = spans.get((trace, name))
        if span_at is None or not calls[span_at]:
            continue
        if event == DETAILS:
            entries[span_at]["a"] = entry["a"] | entries[span_at]["a"]
            calls[at] = False
        elif event.startswith("gen_ai."):
            entries[span_at].setdefault("logs", []).append((event, entry["body"], entry["a"]))


def _ancestors(entry: Entry, entries: Sequence[Entry], spans: dict[tuple[str, str], int]) -> list[int]:
    """The spans around an entry, the nearest first. The first one of a log record is its own span."""
    span = entry["span"]
    trace, up = span.get("traceId"), span.get("spanId" if "event" in entry else "parentSpanId")
    ancestors: list[int] = []
    while up.__class__ is str and up and trace.__class__ is str and len(ancestors) < _HIGHEST:
        at = spans.get((trace, up))
        if at is None or at in ancestors:
            break
        ancestors.append(at)
        up = entries[at]["span"].get("parentSpanId")
    return ancestors


def _outer_calls(at: int, above: list[int], entries: Sequence[Entry], calls: Sequence[bool]) -> list[int]:
    """Calls around a call, up to the SERVER span that took the request. The caller's own header chose the spans beyond."""
    outer = []
    for up in above:
        if calls[up] and up != at:
            outer.append(up)
        if entries[up]["span"].get("kind") in _SERVER:
            break
    return outer


def _wrappers(entries: Sequence[Entry], calls: Sequence[bool]) -> dict[tuple[Any, str], list[int]]:
    """Spans of the Vercel AI SDK around its calls, by trace and operation: names stand in for parents that are missing."""
    wrappers: defaultdict[tuple[Any, str], list[int]] = defaultdict(list)
    for at, entry in enumerate(entries):
        if calls[at] and "ai.operationId" in entry["a"]:
            operation, trace = entry["a"]["ai.operationId"], entry["span"].get("traceId")
            if operation.__class__ is str and ".do" not in operation and trace.__class__ is str and trace:
                wrappers[trace, operation].append(at)
    return dict(wrappers)


def _inner_of(entry: Entry) -> tuple[Any, str]:
    """Trace and operation of the span around one of the Vercel AI SDK's calls."""
    operation = entry["a"].get("ai.operationId")
    name, do, _ = operation.partition(".do") if operation.__class__ is str else ("", "", "")
    trace = entry["span"].get("traceId")
    return (trace, name) if do and trace.__class__ is str else ("", "")


def _around(
    span: dict[str, Any], above: list[int], entries: Sequence[Entry], servers: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """Attributes of the spans around a call; nearer ones win. The SERVER span of its trace comes last."""
    levels: list[dict[str, Any]] = []
    served = False
    for at in above:
        one = entries[at]
        served = served or one["span"].get("kind") in _SERVER
        if one["a"] and not (one["span"].get("kind") in _CLIENT and any(n in one["a"] for n in _OUTGOING)):
            levels.append(one["a"])
    trace = span.get("traceId")
    if not served and trace.__class__ is str and trace in servers:
        levels.append(servers[trace])
    if len(levels) == 1:
        return levels[0]
    merged: dict[str, Any] = {}
    for own in reversed(levels):
        merged |= own
    return merged


def _innermost(entries: list[Entry], calls: list[bool], outer: dict[int, list[int]]) -> None:
    """Keep only the innermost of nested calls that describe the same call."""
    inside: defaultdict[int, list[int]] = defaultdict(list)
    for at, above in outer.items():
        for up in above:
            if at not in outer.get(up, ()) and _same(entries[up]["a"], entries[at]["a"]):
                inside[up].append(at)
    leaves = {up: [at for at in inner if at not in inside] for up, inner in inside.items()}
    for at, above in outer.items():
        for up in above:
            if leaves.get(up) == [at]:
                entries[at]["a"] = entries[up]["a"] | entries[at]["a"]
    for up in inside:
        calls[up] = False


def _same(outer: dict[str, Any], inner: dict[str, Any]) -> bool:
    """Whether a span and one inside it describe the same call: of the same sort, with one model or one usage.

    Two spans that name different users are never the same call: a caller may send the trace and parent of another.
    """
    if not _of_one_user(outer, inner):
        return False
    if _embeds(outer) != _embeds(inner):
        return False
    of_outer, of_inner = _models(outer), _models(inner)
    if not of_outer or not of_inner:
        return True
    if any(a.startswith(b) or b.startswith(a) for a in of_outer for b in of_inner):
        return True
    usage = [
        own.get(name)
        for own in (outer, inner)
        for name in ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens")
    ]
    return None not in usage and usage[:2] == usage[2:]


def _of_one_user(outer: dict[str, Any], inner: dict[str, Any]) -> bool:
    """Whether two spans may have the same user: their first user, and every name that both have, must agree."""
    users = [
        next((str(own[n]) for n in _USERS if something(own.get(n)) is not None), None)
        for own in (outer, inner)
    ]
    if None not in users and users[0] != users[1]:
        return False
    both = (
        (outer[n], inner[n])
        for n in _OWNERS
        if something(outer.get(n)) is not None and something(inner.get(n)) is not None
    )
    return all(str(one) == str(other) for one, other in both)


def _embeds(own: dict[str, Any]) -> bool:
    words = (
        own.get("gen_ai.operation.name"),
        own.get("ai.operationId"),
        *(own.get(n) for n in semconv.KINDS),
    )
    return any("embed" in str(word).lower() for word in words if word is not None)


def _models(own: dict[str, Any]) -> set[str]:
    """Names of the model, without the prefix of a router."""
    named = (own.get(name) for name in semconv.HAS_MODEL)
    return {str(model).rsplit("/", 1)[-1].lower() for model in named if model.__class__ is str and model}

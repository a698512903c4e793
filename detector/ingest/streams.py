"""Folds a streamed answer, logged as the list of its events, into one answer.

Logs keep the events as they were sent: a JSON list, or the text of server-sent events. Every maker puts the ending, the
usage and the minted state into other events. Their keys decide, not the name of the maker.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from detector.ingest.messages import state_in
from detector.ingest.records import as_list, as_object, opened_json, something

#: Keys by which an answer, or one of its events, says how it ended.
FINISH_KEYS = (
    "stopReason",
    "stop_reason",
    "completionReason",
    "finish_reason",
    "finishReason",
    "done_reason",
)
#: Lists whose first element is the answer proper.
CHOICES = ("choices", "results", "outputs", "generations", "candidates")
GUARDRAIL, METRICS = "amazon-bedrock-guardrailAction", "amazon-bedrock-invocationMetrics"
#: Objects inside an event that hold what other makers put at its top.
_INNER = ("message", "delta", "messageStop", "metadata", "response", "chunk")
#: Objects inside an event that may hold provider-minted state.
_HOLDERS = ("content_block", "item", "message", "response")
_USAGE = ("usage", "usageMetadata", "usage_metadata")


def answer(logged: Any) -> dict[str, Any]:
    """The answer: an object or its JSON text, or events folded into one; empty when there is neither."""
    if logged.__class__ is dict:
        return logged
    events = as_list(logged)
    if events is None and logged.__class__ is str:
        events = _sent_events(logged) if "data:" in logged[:4096] and logged.lstrip()[:1] != "{" else None
    return _folded(events) if events is not None else as_object(logged)


def _sent_events(text: str) -> list[Any]:
    pieces = (line[5:].strip() for line in text.splitlines() if line.startswith("data:"))
    return [opened_json(piece) for piece in pieces if piece[:1] == "{"]


def _folded(events: Iterable[Any]) -> dict[str, Any]:
    usage: dict[str, Any] = {}
    metrics: dict[str, Any] = {}
    signed: dict[int, str] = {}
    state: list[str] = []
    folded: dict[str, Any] = {}
    for event in events:
        if event.__class__ is not dict:
            continue
        for part in (event, *(event[k] for k in _INNER if event.get(k).__class__ is dict)):
            for key in _USAGE:
                usage.update((k, v) for k, v in as_object(part.get(key)).items() if v is not None)
            for key in ("metrics", METRICS):
                metrics.update(as_object(part.get(key)))
            if part.get(GUARDRAIL) == "INTERVENED":
                folded[GUARDRAIL] = "INTERVENED"
            if part.get("object") == "response":
                folded |= part
            if (ended := finish(part)) is not None:
                folded["stop_reason"] = ended
            if part.get("error").__class__ is dict:
                folded["error"] = part["error"]
        block = as_object(event.get("contentBlockDelta")) or event
        delta = as_object(block.get("delta"))
        piece = delta.get("signature") or as_object(delta.get("reasoningContent")).get("signature")
        if piece.__class__ is str:
            index = block.get("index", block.get("contentBlockIndex"))
            at = index if index.__class__ is int else 0
            signed[at] = signed.get(at, "") + piece
        elif delta:
            state += state_in(delta)
        for key in _HOLDERS:
            if event.get(key).__class__ is dict:
                state += state_in(event[key])
        if (first := _first(event.get("choices"))) is not None:
            state += state_in(first.get("delta"))
    return folded | {
        "usage": usage,
        "metrics": metrics,
        "content": [{"signature": value} for value in dict.fromkeys([*signed.values(), *state]) if value],
    }


def finish(body: Mapping[str, Any]) -> Any:
    """How an answer ended, in the words of its maker; None when it does not say."""
    if body.get("object") == "response":
        return as_object(body.get("incomplete_details")).get("reason") or body.get("status")
    for key in FINISH_KEYS:
        if (word := something(body.get(key))) is not None:
            return word
    for key in CHOICES:
        if (first := _first(body.get(key))) is not None:
            return next((w for k in FINISH_KEYS if (w := something(first.get(k))) is not None), None)
    return None


def _first(listed: Any) -> dict[str, Any] | None:
    return listed[0] if listed.__class__ is list and listed and listed[0].__class__ is dict else None

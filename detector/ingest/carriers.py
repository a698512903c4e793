"""Where instrumentations put a conversation: one value, an attribute a message, events of the span, or log records.

All end as a list of messages that ``messages`` reads. Content that a carrier stores as JSON text is opened there, since
an attribute holds no objects.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from detector.ingest import semconv
from detector.ingest.formats import Columns
from detector.ingest.messages import NONE, Conversation, carried, columns_of, conversation, text_of
from detector.ingest.otlp import DETAILS, attributes
from detector.ingest.records import Path, Records, as_list, as_object, something
from detector.ingest.semconv import rooted

#: Events that are one message each, and the role of each; what else an event may be called for its answer.
_ROLES = {
    "gen_ai.user.message": "user", "gen_ai.system.message": "system", "gen_ai.developer.message": "system",
    "gen_ai.assistant.message": "assistant", "gen_ai.tool.message": "tool",
}  # fmt: skip
_CHOICES = frozenset(("gen_ai.choice", "gen_ai.content.completion"))
#: Events that hold a list of messages, and their answer and system text (Azure).
_LISTS, _ANSWER_LIST, _SYSTEM_LIST = (
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.system.instructions",
)
#: Attributes of an event in which a whole message lies as JSON text (Azure), or its content.
_WHOLE, _CONTENT = "gen_ai.event.content", ("content", "gen_ai.prompt", "message")
#: ``user: text`` a line, as openlit writes a conversation as one text.
_TURN = re.compile(r"(?m)^(system|developer|user|assistant|tool|function): ")
#: Most members of a flat list, so that a made-up index costs nothing.
MAX_MEMBERS = 10_000


def conversations(records: Records) -> Columns:
    """The conversation of each entry, from the first of its carriers that holds one."""
    systems = records.first_held(*rooted(semconv.SYSTEM, "a"))
    talks = _from(records, semconv.MESSAGES, said, systems, [NONE] * len(records))
    talks = _from(records, semconv.TEXTS, written, systems, talks)
    if NONE in talks and _scatter(records):
        rows = zip(talks, records.entries, strict=True)
        talks = [scattered(entry) if talk is NONE else talk for talk, entry in rows]
    talks = _from(records, semconv.LAST_TEXTS, written, systems, talks)
    if any(systems):
        beside = zip(talks, systems, strict=True)
        talks = [t if t.system is not None or s is None else t._replace(system=text_of(s)) for t, s in beside]
    held = [talk.carried for talk in talks]
    previous = records.first(*rooted(semconv.PREVIOUS, "a"))
    if any(previous):
        held = [carried(h, p) if p is not None else h for h, p in zip(held, previous, strict=True)]
    return columns_of(talks) | {"carried": held}


def _from(
    records: Records,
    names: tuple[Path, ...],
    read: Callable[[Any, Any], Conversation],
    systems: list[Any],
    talks: list[Conversation],
) -> list[Conversation]:
    """``talks``, and where there is none yet what ``read`` finds in the first of the attributes that is there."""
    values = records.first_held(*rooted(names, "a"))
    if not any(values):
        return talks
    rows = zip(talks, values, systems, strict=True)
    return [read(v, system) if talk is NONE and v is not None else talk for talk, v, system in rows]


def _scatter(records: Records) -> bool:
    """Whether any entry may hold its conversation in several attributes, events or log records."""
    names = (name for name in records.names("a") if name.__class__ is str)
    return any(name.startswith(semconv.FLAT_MESSAGES) for name in names) or has_events(records)


def has_events(records: Records) -> bool:
    """Whether any entry has events of its span, or log records that belong to it."""
    return any(records.at("span/events")) or any(records.at("said"))


def said(value: Any, system: Any) -> Conversation:
    """The conversation in one value: messages, or an object that holds them beside other parameters."""
    holder = as_object(value)
    if holder and "role" not in holder:
        for key in _TALK:
            if holder.get(key):
                beside = (
                    system
                    or holder.get("system")
                    or holder.get("instructions")
                    or holder.get("system_instruction")
                )
                return _listed_talk(holder[key], beside)
        return conversation(None, system)
    return _listed_talk(value, system)


def written(value: Any, system: Any) -> Conversation:
    """The conversation in a value that may also be just what the caller wrote.

    JSON text in which no user speaks, or that holds more than a request does, is then text: opened, it would hide the
    rest of itself from measurement.
    """
    if value.__class__ is not str:
        return said(value, system)
    holder = as_object(value)
    if not holder or _PARAMETERS.issuperset(holder):
        found = said(holder or value, system)  # opened once
        if found.turn is not None or (found.prompt is not None and (holder or found.prompt == value)):
            return found
    return (
        conversation([value], system) if holder or as_list(value) is not None else conversation(value, system)
    )


#: Where an object holds its conversation.
_TALK = ("messages", "input", "contents", "prompt", "inputs", "texts")
#: What else an object beside its messages or its prompt may have, for it to be a request and no text.
_PARAMETERS = frozenset(
    (*_TALK, "role", "content", "system", "instructions", "system_instruction", "model",
     "temperature", "top_p", "top_k", "max_tokens", "max_output_tokens", "max_completion_tokens", "stream", "n", "stop",
     "seed", "tools", "tool_choice", "user", "config", "generation_config", "response_format", "frequency_penalty",
     "presence_penalty", "logprobs", "top_logprobs", "logit_bias", "stream_options", "text", "reasoning", "store",
     "metadata", "encoding_format", "dimensions", "extra_headers", "extra_body", "timeout", "parallel_tool_calls",
     "previous_response_id", "stop_sequences", "thinking", "modalities", "service_tier", "args", "kwargs")
)  # fmt: skip


def _listed_talk(value: Any, system: Any) -> Conversation:
    listed = as_list(value)
    return conversation(value if listed is None else _plain_messages(listed), system, stored=True)


def _plain_messages(listed: list[Any]) -> list[Any]:
    """Messages without what frameworks wrap around them: LangChain's constructors, a list around the list, JSON text."""
    if len(listed) == 1 and listed[0].__class__ is list:
        listed = listed[0]
    if not listed or (listed[0].__class__ is dict and "role" in listed[0]):
        return listed
    plain = []
    for message in listed:
        if message.__class__ is str and message[:1] in ("{", '"'):
            message = as_object(message) or (message[1:-1] if message[-1:] == '"' else message)
        if message.__class__ is dict:
            if "lc" in message and message.get("kwargs").__class__ is dict:
                message = {"type": str((as_list(message.get("id")) or [""])[-1]), **message["kwargs"]}
            elif "role" not in message and str(message.get("event.name")) in _ROLES:
                message = {"role": _ROLES[message["event.name"]], **message}
        plain.append(message)
    return plain


def scattered(entry: Mapping[str, Any]) -> Conversation:
    """The conversation of an entry that holds it in no one value: in flat attributes, else in events."""
    own = entry["a"]
    for prefix in semconv.FLAT_MESSAGES:
        if members := flat(own, prefix):
            return conversation([_message(m) for m in members], in_text=True)
    events = _told(entry)
    return _from_events(events) if events else NONE


def flat(own: Mapping[str, Any], prefix: str) -> list[Any]:
    """The members of a list that lies flat under ``prefix``, in order of their numbers."""
    names = [name for name in own if name.__class__ is str and name.startswith(prefix)]
    if not names:
        return []
    root: dict[str, Any] = {}
    for name in names:
        *path, last = name[len(prefix) :].split(".")
        holder = root
        for step in path:
            inner = holder.get(step)
            if inner.__class__ is not dict:
                inner = holder[step] = {}
            holder = inner
        if holder.get(last).__class__ is not dict:
            holder[last] = own[name]
    return _listed(root)


def _listed(holder: dict[str, Any]) -> list[Any]:
    numbers = sorted((int(key), key) for key in holder if key.isdecimal() and len(key) < 7)
    return [holder[key] for _, key in numbers[:MAX_MEMBERS]]


def _message(member: Any) -> Any:
    """A flat member as a message: OpenLLMetry's as it is, OpenInference's taken out of its own names."""
    if member.__class__ is not dict:
        return member
    inner = member.get("message")
    if inner.__class__ is dict:
        parts = inner.get("contents")
        if parts.__class__ is dict:
            inner = inner | {"content": [_part(p) for p in _listed(parts)]}
        if "tool_call_id" in inner:
            inner = inner | {"role": "tool"}
        return inner
    for name in ("prompt", "embedding"):  # a text without a role
        if member.get(name).__class__ is dict:
            return member[name].get("text")
    return member


def _part(part: Any) -> Any:
    held = part.get("message_content") if part.__class__ is dict else None
    if held.__class__ is not dict:
        return part
    if held.get("type") == "reasoning" and "data" in held:  # redacted, as the provider minted it
        return held | {"type": "redacted_thinking"}
    return held


def _told(entry: Mapping[str, Any]) -> list[tuple[str, Any, dict[str, Any]]]:
    """Name, body and attributes of an entry's own events, and of the log records that belong to it."""
    return [*span_events(entry["span"].get("events")), *entry.get("said", ())]


def span_events(events: Any) -> list[tuple[str, Any, dict[str, Any]]]:
    """Name, body and attributes of the events of a span."""
    if events.__class__ is not list:
        return []
    return [
        (str(e.get("name")), e.get("body"), attributes(e.get("attributes")))
        for e in events
        if e.__class__ is dict
    ]


def _from_events(events: Sequence[tuple[str, Any, dict[str, Any]]]) -> Conversation:
    told: list[Any] = []
    system: Any = None
    for name, body, own in events:
        if name == DETAILS or "gen_ai.input.messages" in own:
            if (value := own.get("gen_ai.input.messages")) is not None:
                return said(value, own.get("gen_ai.system_instructions"))
        elif name in _ROLES:
            told.append(_told_message(name, body, own))
        elif name == _LISTS:
            told += _listed_messages(own.get(_WHOLE))
        elif name == _SYSTEM_LIST:
            system = own.get(_WHOLE)
        elif (
            name in ("gen_ai.content.prompt", "gen_ai.prompt")
            and (prompt := own.get("gen_ai.prompt")) is not None
        ):
            if (role := as_object(body).get("role")).__class__ is str:  # LiteLLM: a message an event
                told.append({"role": role, "content": prompt})
            elif as_list(prompt) is None and not as_object(prompt) and prompt.__class__ is str:
                told += _turns(prompt)
            else:
                return said(prompt, None)
    return conversation(told, system, in_text=True) if told or system else NONE


def _told_message(name: str, body: Any, own: Mapping[str, Any]) -> dict[str, Any]:
    message = as_object(own.get(_WHOLE)) or as_object(body)
    held = [message.get("content"), *(own.get(key) for key in _CONTENT)]
    content = next((c for c in held if c is not None), body if body.__class__ is str else None)
    return {**message, "role": message.get("role") or _ROLES[name], "content": content}


def _listed_messages(value: Any) -> list[Any]:
    """The messages of an event that holds several, or one."""
    listed = as_list(value)
    return listed if listed is not None else [one] if (one := as_object(value)) else []


def _turns(text: str) -> list[dict[str, str]]:
    """Messages of ``role: text`` lines; what a user wrote in several pieces is one turn, whatever it looks like."""
    marks = list(_TURN.finditer(text))
    if not marks or marks[0].start():
        return [{"role": "user", "content": text}]
    ends = [m.start() for m in marks[1:]] + [len(text)]
    turns: list[tuple[str, list[str]]] = []
    for mark, end in zip(marks, ends, strict=True):
        role, content = mark[1], text[mark.end() : end].rstrip("\n")
        if turns and role == turns[-1][0] == "user":
            turns[-1][1].append(content)
        else:
            turns.append((role, [content]))
    return [{"role": role, "content": "\n".join(pieces)} for role, pieces in turns]


def answers_lie_flat(records: Records) -> bool:
    """Whether any entry may hold its answer an attribute a message."""
    return any(name.startswith(semconv.FLAT_ANSWERS) for name in records.names("a") if name.__class__ is str)


def answer_of(entry: Mapping[str, Any]) -> list[Any] | None:
    """The answer's messages, where events or flat attributes hold them; None where there are none."""
    found: list[Any] = []
    for prefix in semconv.FLAT_ANSWERS:
        found += [_message(m) for m in flat(entry["a"], prefix)]
    for name, body, own in _told(entry):
        if name in _CHOICES:
            found.append({**own, **as_object(body), **as_object(own.get(_WHOLE))})
        elif name == DETAILS:
            found += as_list(own.get("gen_ai.output.messages")) or []
        elif name == _ANSWER_LIST:
            found += _listed_messages(own.get(_WHOLE))
    return found or None


def finish_in(answer: Any) -> Any:
    """How the first message of an answer, or an answer with choices, says that it ended."""
    listed = as_list(answer)
    first = listed[0] if listed else as_object(answer)
    if first.__class__ is not dict:
        return None
    choices = as_list(first.get("choices"))
    if choices and choices[0].__class__ is dict:
        first = choices[0]
    for name in ("finish_reason", "stop_reason", "finishReason", "stopReason"):
        if something(first.get(name)) is not None:
            return first[name]
    return None


def offered(entry: Mapping[str, Any]) -> list[Any] | None:
    """Tools that lie flat, an attribute a tool."""
    for prefix in semconv.FLAT_TOOLS:
        if members := flat(entry["a"], prefix):
            return [_tool(m) for m in members]
    return None


def _tool(member: Any) -> Any:
    held = member.get("tool") if member.__class__ is dict else None
    return held.get("json_schema") or held if held.__class__ is dict else member

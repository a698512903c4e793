"""Where instrumentations put a conversation: one value, an attribute a message, events of the span, or log records.

Every carrier ends as a list of messages that ``messages`` reads. Content stored as JSON text is opened there, since an
attribute holds no objects.
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

#: Events that are one message each, with their role. Below: events that are one answer.
_ROLES = {
    "gen_ai.user.message": "user", "gen_ai.system.message": "system", "gen_ai.developer.message": "system",
    "gen_ai.assistant.message": "assistant", "gen_ai.tool.message": "tool",
}  # fmt: skip
_CHOICES = frozenset(("gen_ai.choice", "gen_ai.content.completion"))
#: Events that hold the list of input messages, the answer and the system text (Azure).
_LISTS, _ANSWER_LIST, _SYSTEM_LIST = (
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.system.instructions",
)
#: Attributes of an event that hold a whole message as JSON text (Azure), or its content.
_WHOLE, _CONTENT = "gen_ai.event.content", ("content", "gen_ai.prompt", "message")
#: ``user: text`` a line, as openlit writes a conversation as one text.
_TURN = re.compile(r"(?m)^(system|developer|user|assistant|tool|function): ")
#: Most members of a flat list, so that a forged index costs nothing.
MAX_MEMBERS = 10_000


def conversation_columns(records: Records) -> Columns:
    """Columns of the conversation of each entry, from its first carrier that holds one."""
    systems = records.first_any(*rooted(semconv.SYSTEM, "a"))
    by_entry = _from(records, semconv.MESSAGES, conversation_in, systems, [NONE] * len(records))
    by_entry = _from(records, semconv.TEXTS, conversation_or_text, systems, by_entry)
    if NONE in by_entry and _scatter(records):
        rows = zip(by_entry, records.entries, strict=True)
        by_entry = [scattered(entry) if one is NONE else one for one, entry in rows]
    by_entry = _from(records, semconv.LAST_TEXTS, conversation_or_text, systems, by_entry)
    if any(systems):
        pairs = zip(by_entry, systems, strict=True)
        by_entry = [
            t if t.system is not None or s is None else t._replace(system=text_of(s)) for t, s in pairs
        ]
    states = [one.carried for one in by_entry]
    previous = records.first(*rooted(semconv.PREVIOUS, "a"))
    if any(previous):
        states = [carried(h, p) if p is not None else h for h, p in zip(states, previous, strict=True)]
    return columns_of(by_entry) | {"carried": states}


def _from(
    records: Records,
    names: tuple[Path, ...],
    parse: Callable[[Any, Any], Conversation],
    systems: list[Any],
    by_entry: list[Conversation],
) -> list[Conversation]:
    """``by_entry``, where ``parse`` fills the gaps from the first attribute of ``names`` that has a value."""
    values = records.first_any(*rooted(names, "a"))
    if not any(values):
        return by_entry
    rows = zip(by_entry, values, systems, strict=True)
    return [parse(v, system) if one is NONE and v is not None else one for one, v, system in rows]


def _scatter(records: Records) -> bool:
    """Whether some entry may spread its conversation over several attributes, events or log records."""
    names = (name for name in records.names("a") if name.__class__ is str)
    return any(name.startswith(semconv.FLAT_MESSAGES) for name in names) or has_events(records)


def has_events(records: Records) -> bool:
    """Whether some entry has span events, or log records of its span."""
    return any(records.at("span/events")) or any(records.at("logs"))


def conversation_in(value: Any, system: Any) -> Conversation:
    """The conversation in one value: messages, or an object of them and other parameters."""
    holder = as_object(value)
    if holder and "role" not in holder:
        for key in _CONVERSATION_KEYS:
            if holder.get(key):
                system_text = (
                    system
                    or holder.get("system")
                    or holder.get("instructions")
                    or holder.get("system_instruction")
                )
                return _listed_conversation(holder[key], system_text)
        return conversation(None, system)
    return _listed_conversation(value, system)


def conversation_or_text(value: Any, system: Any) -> Conversation:
    """The conversation in a value that may also be plain text of the caller.

    JSON text counts as plain text when no user speaks in it or when it holds more than a request does: opened, it would
    hide its other parts from measurement.
    """
    if value.__class__ is not str:
        return conversation_in(value, system)
    holder = as_object(value)
    if not holder or _PARAMETERS.issuperset(holder):
        opened = conversation_in(holder or value, system)  # opened once
        if opened.turn is not None or (opened.prompt is not None and (holder or opened.prompt == value)):
            return opened
    return (
        conversation([value], system) if holder or as_list(value) is not None else conversation(value, system)
    )


#: Where an object holds its conversation.
_CONVERSATION_KEYS = ("messages", "input", "contents", "prompt", "inputs", "texts")
#: The only keys of an object that is a request and not a caller's text.
_PARAMETERS = frozenset(
    (*_CONVERSATION_KEYS, "role", "content", "system", "instructions", "system_instruction", "model",
     "temperature", "top_p", "top_k", "max_tokens", "max_output_tokens", "max_completion_tokens", "stream", "n", "stop",
     "seed", "tools", "tool_choice", "user", "config", "generation_config", "response_format", "frequency_penalty",
     "presence_penalty", "logprobs", "top_logprobs", "logit_bias", "stream_options", "text", "reasoning", "store",
     "metadata", "encoding_format", "dimensions", "extra_headers", "extra_body", "timeout", "parallel_tool_calls",
     "previous_response_id", "stop_sequences", "thinking", "modalities", "service_tier", "args", "kwargs")
)  # fmt: skip


def _listed_conversation(value: Any, system: Any) -> Conversation:
    listed = as_list(value)
    return conversation(value if listed is None else _plain_messages(listed), system, stored=True)


def _plain_messages(listed: list[Any]) -> list[Any]:
    """Messages without the wrapping of frameworks: LangChain's constructors, a list around the list, JSON text."""
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
    """The conversation of an entry that has it in no single value: from flat attributes, or from events."""
    own = entry["a"]
    for prefix in semconv.FLAT_MESSAGES:
        if members := flat(own, prefix):
            return conversation([_message(m) for m in members], in_text=True)
    events = _events_of(entry)
    return _from_events(events) if events else NONE


def flat(own: Mapping[str, Any], prefix: str) -> list[Any]:
    """The members of a list that was flattened under ``prefix``, in order of their numbers."""
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
    """A flat member as a message: OpenLLMetry's is one already, OpenInference's is translated."""
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
    content = part.get("message_content") if part.__class__ is dict else None
    if content.__class__ is not dict:
        return part
    if content.get("type") == "reasoning" and "data" in content:  # redacted, as the provider minted it
        return content | {"type": "redacted_thinking"}
    return content


def _events_of(entry: Mapping[str, Any]) -> list[tuple[str, Any, dict[str, Any]]]:
    """Name, body and attributes of the events of an entry's span, and of its log records."""
    return [*span_events(entry["span"].get("events")), *entry.get("logs", ())]


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
    messages: list[Any] = []
    system: Any = None
    for name, body, own in events:
        if name == DETAILS or "gen_ai.input.messages" in own:
            if (value := own.get("gen_ai.input.messages")) is not None:
                return conversation_in(value, own.get("gen_ai.system_instructions"))
        elif name in _ROLES:
            messages.append(_event_message(name, body, own))
        elif name == _LISTS:
            messages += _listed_messages(own.get(_WHOLE))
        elif name == _SYSTEM_LIST:
            system = own.get(_WHOLE)
        elif (
            name in ("gen_ai.content.prompt", "gen_ai.prompt")
            and (prompt := own.get("gen_ai.prompt")) is not None
        ):
            if (role := as_object(body).get("role")).__class__ is str:  # LiteLLM: a message an event
                messages.append({"role": role, "content": prompt})
            elif as_list(prompt) is None and not as_object(prompt) and prompt.__class__ is str:
                messages += _turns(prompt)
            else:
                return conversation_in(prompt, None)
    return conversation(messages, system, in_text=True) if messages or system else NONE


def _event_message(name: str, body: Any, own: Mapping[str, Any]) -> dict[str, Any]:
    message = as_object(own.get(_WHOLE)) or as_object(body)
    contents = [message.get("content"), *(own.get(key) for key in _CONTENT)]
    content = next((c for c in contents if c is not None), body if body.__class__ is str else None)
    return {**message, "role": message.get("role") or _ROLES[name], "content": content}


def _listed_messages(value: Any) -> list[Any]:
    """The messages of an event that holds one or several."""
    listed = as_list(value)
    return listed if listed is not None else [one] if (one := as_object(value)) else []


def _turns(text: str) -> list[dict[str, str]]:
    """Messages of ``role: text`` lines. Several pieces of a user in a row are one turn: its text may hold such lines."""
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
    """Whether some entry may hold its answer in flat attributes."""
    return any(name.startswith(semconv.FLAT_ANSWERS) for name in records.names("a") if name.__class__ is str)


def answer_of(entry: Mapping[str, Any]) -> list[Any] | None:
    """The messages of an answer in events or flat attributes; None when there are none."""
    messages: list[Any] = []
    for prefix in semconv.FLAT_ANSWERS:
        messages += [_message(m) for m in flat(entry["a"], prefix)]
    for name, body, own in _events_of(entry):
        if name in _CHOICES:
            messages.append({**own, **as_object(body), **as_object(own.get(_WHOLE))})
        elif name == DETAILS:
            messages += as_list(own.get("gen_ai.output.messages")) or []
        elif name == _ANSWER_LIST:
            messages += _listed_messages(own.get(_WHOLE))
    return messages or None


def finish_in(answer: Any) -> Any:
    """How an answer ended, by its first message or its first choice."""
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


def flat_tools(entry: Mapping[str, Any]) -> list[Any] | None:
    """Tools in flat attributes; None when there are none."""
    for prefix in semconv.FLAT_TOOLS:
        if members := flat(entry["a"], prefix):
            return [_tool(m) for m in members]
    return None


def _tool(member: Any) -> Any:
    tool = member.get("tool") if member.__class__ is dict else None
    return tool.get("json_schema") or tool if tool.__class__ is dict else member

"""Reads conversations in every shape in which providers and tools log them. Only structure decides, never words.

A conversation is a list of messages, ``{"role", "content" | "parts" | "message"}``. Content is text or a list of parts:
text, images, tool calls, tool results. The prompt is the last user turn that a person or a script wrote. A message that
only returns tool results is no turn.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from detector.ingest.records import as_list, as_object

_USER = frozenset(("user", "human", "humanmessage"))
_SYSTEM = frozenset(("system", "developer", "systemmessage"))
#: Types of parts that hold the writer's own text, under any key.
_TEXT = frozenset(("text", "input_text", "string", "plain_text"))
#: Types of parts that return the result of a tool.
_RESULT = frozenset(
    ("tool_result", "tool-result", "tool_call_response", "function_call_output", "tool", "function_response",
     "web_search_tool_result", "code_execution_tool_result", "mcp_tool_result", "computer_call_output")
)  # fmt: skip
#: Types of parts in which the model asks for a tool, and roles of messages that are a tool's output.
_CALLS = frozenset(("tool_use", "tool_call", "tool-call", "function_call", "server_tool_use", "mcp_tool_use"))
_TOOL_ROLES = frozenset(("tool", "function", "toolmessage"))
_IMAGE = frozenset(("image", "image_url", "input_image"))
#: Keys that show what a part of Bedrock's Converse or of Gemini is; these parts have no type.
_RESULT_KEYS = frozenset(("toolResult", "functionResponse", "function_response"))
_IMAGE_KEYS = frozenset(("image", "image_url"))
#: Keys of provider-minted state. Only the account that received it can send it back.
_MINTED_KEYS = ("signature", "encrypted_content", "thoughtSignature", "thought_signature", "redactedContent")
#: Most state values kept of one request.
MAX_STATE = 256
#: Data inside a text: at least 64 characters of base64 with a digit. Anything shorter may be somebody's sentence.
_DATA_URI = ";base64,"
_DATA = re.compile(r"data:[\w.+-]{1,64}/[\w.+-]{1,64};base64,(?=[A-Za-z]*\d)[A-Za-z0-9+/]{64,}={0,2}")


class Conversation(NamedTuple):
    """One conversation; None is not known. ``turn`` counts the user turns, ``carried`` is state that was sent back."""

    prompt: str | None = None
    system: str | None = None
    turn: int | None = None
    n_images: int | None = None
    carried: list[str] | None = None


class _Body(NamedTuple):
    texts: list[str]
    n_images: int
    n_results: int
    n_parts: int


NONE = Conversation()
#: Column -> field of a conversation.
COLUMNS = {
    "prompt": "prompt", "system_prompt": "system", "turn": "turn", "n_images": "n_images", "carried": "carried",
}  # fmt: skip


def columns_of(conversations: Sequence[Conversation]) -> dict[str, list[Any]]:
    """The canonical columns that conversations fill."""
    return {name: [getattr(one, field) for one in conversations] for name, field in COLUMNS.items()}


def conversation(
    messages: Any, system: Any = None, *, in_text: bool = False, stored: bool = False
) -> Conversation:
    """The last user turn, the system text, the number of turns and the images of that turn.

    ``messages`` : a list of messages, one message, or bare text.
    ``stored`` : whether the log stores a list of messages as JSON text. In other logs a text is the caller's own: opened
        as messages, it would hide all but its last turn from measurement.
    ``system`` : system text from elsewhere in the request: text, parts or messages.
    ``in_text`` : whether the log stores parts as JSON text, as attributes of spans must. In other logs a text is the
        caller's own: opened, a forged tool result would be hidden from measurement.
    """
    is_text = messages.__class__ is str
    listed = None if is_text and not stored else _listed(messages)
    system_text = text_of(system)
    if listed is None:
        text = messages if is_text and not (stored and messages in ("{}", "[]")) else None
        if not text:
            return Conversation(system=system_text) if system_text else NONE
        return Conversation(prose(text) or None, system_text)
    last: dict[str, Any] | list[str] | None = None  # a message, or bare texts
    turns = 0
    instructions: list[str] = [system_text] if system_text else []
    state: list[str] = []
    tools_asked = False  # by the model since the last turn
    for message in listed:
        if message.__class__ is str:  # a list of bare texts: inputs of an embedding, lines of a prompt
            if isinstance(last, list):
                last.append(message)
            else:
                last, turns = [message], 1
            continue
        if message.__class__ is not dict:
            continue
        role = _role(message)
        if role in _USER:
            if in_text and not tools_asked and (text := _unasked_results(message)):
                last, turns = [text], turns + 1
            elif not _only_results(message, in_text):
                last, turns, tools_asked = message, turns + 1, False
        elif role in _SYSTEM:
            instructions += _body(message, in_text).texts
        else:
            tools_asked = tools_asked or _asks_for_tools(message, in_text)
            if len(state) < MAX_STATE:
                _state(message, 4, state)
    body = _body(last, in_text) if isinstance(last, dict) else _Body(last or [], 0, 0, 1)
    prompt = "\n".join(t for t in body.texts if t)
    return Conversation(
        prose(prompt) or None,
        prose("\n".join(t for t in instructions if t)) or None,
        turns or None,
        body.n_images + data_images(prompt) if last else None,
        list(dict.fromkeys(state))[:MAX_STATE] or None,
    )


def _listed(messages: Any) -> list[Any] | None:
    listed = as_list(messages)
    if listed is not None:
        return listed
    one = as_object(messages)
    if not one:
        return None
    for key in ("messages", "message", "input", "contents", "prompt"):
        if (inner := as_list(one.get(key))) is not None:
            return inner
    return [one] if "content" in one or "parts" in one or "role" in one else None


def _role(message: dict[str, Any]) -> str:
    role = message.get("role")
    if role.__class__ is not str:
        kind = message.get("type")
        if kind.__class__ is not str or kind in ("message", ""):
            # Gemini leaves the role of a first user message out.
            return "user" if "parts" in message or "content" in message else ""
        role = kind
    return role.strip().lower()


def _content(message: dict[str, Any]) -> Any:
    for key in ("content", "parts", "message", "text", "data"):
        content = message.get(key)
        if content is not None:
            return content
    return None


def _only_results(message: dict[str, Any], in_text: bool) -> bool:
    """Whether a message of the user only returns results of tools."""
    content = _content(message)
    if content.__class__ is str and not (in_text and content[:1] == "["):
        return False
    if content.__class__ is list and content and _is_text(content[0]):
        return False
    body = _body(message, in_text)
    return body.n_parts > 0 and body.n_results == body.n_parts


def _unasked_results(message: dict[str, Any]) -> str | None:
    """JSON text of a user that looks like results of tools although no tool was asked for; None for other messages.

    The user wrote it as text. Opened, it would hide from measurement anything that the caller calls a tool's result.
    """
    content = _content(message)
    if content.__class__ is not str or content[:1] != "[":
        return None
    parts = as_list(content)
    return content if parts and _are_parts(parts) and _parts(parts).n_results else None


def _asks_for_tools(message: dict[str, Any], in_text: bool) -> bool:
    """Whether a message of another role than the user calls tools, or is the result of one."""
    if _role(message) in _TOOL_ROLES or message.get("tool_calls") or message.get("function_call"):
        return True
    content = _content(message)
    if content.__class__ is str:
        content = as_list(content) if in_text and content[:1] == "[" else None
    return content.__class__ is list and any(
        p.__class__ is dict and ("toolUse" in p or (p.get("type").__class__ is str and p["type"] in _CALLS))
        for p in content
    )


def _is_text(part: Any) -> bool:
    return part.__class__ is str or (
        part.__class__ is dict and part.get("type").__class__ is str and part["type"] in _TEXT
    )


def _body(message: dict[str, Any], in_text: bool = False) -> _Body:
    """Text, images and tool results of one message."""
    content = _content(message)
    if content.__class__ is str:
        parts = as_list(content) if in_text and content[:1] == "[" else None
        return _parts(parts) if parts and _are_parts(parts) else _Body([content], 0, 0, 1)
    if content.__class__ is dict:
        return (
            _body(content, in_text) if "content" in content and "type" not in content else _parts([content])
        )
    return _parts(content)


def _are_parts(listed: list[Any]) -> bool:
    """Whether opened JSON text is a list of parts, as some instrumentations write them, and no prompt in JSON."""
    return all(
        p.__class__ is dict
        and (p["type"] in _PART_TYPES if p.get("type").__class__ is str else _PART_KEYS.issuperset(p))
        for p in listed
    )


#: Keys of parts that have no type: Bedrock's Converse.
_PART_KEYS = frozenset(("text", "image", "document", "video", "toolUse", "toolResult", "guardContent", "cachePoint",
                        "reasoningContent", "citationsContent"))  # fmt: skip
_OTHER = frozenset(
    ("tool_use", "tool_call", "thinking", "redacted_thinking", "document", "file", "input_file", "input_audio", "audio",
     "video", "blob", "uri", "reasoning")
)  # fmt: skip
#: Parts that hold text of their own one level down.
_DOCUMENTS = frozenset(("document", "search_result"))
_PART_TYPES = _TEXT | _RESULT | _IMAGE | _OTHER


def _parts(content: Any) -> _Body:
    texts: list[str] = []
    n_images = n_results = n_parts = 0
    for part in content if content.__class__ is list else ():
        if part.__class__ is str:
            texts.append(part)
            n_parts += 1
            continue
        if part.__class__ is not dict:
            continue
        kind = part.get("type")
        if kind.__class__ is not str:
            kind = None
        if kind in _TEXT or (kind is None and part.get("text").__class__ is str and part["text"]):
            n_parts += 1
            if (text := _part_text(part, kind)) is not None:
                texts.append(text)
        elif kind in _RESULT or (kind is None and not _RESULT_KEYS.isdisjoint(part)):
            n_parts += 1
            n_results += 1
        elif kind in _IMAGE or (kind is None and not _IMAGE_KEYS.isdisjoint(part)) or _is_image(part):
            n_parts += 1
            n_images += 1
        elif "cachePoint" in part or "cache_point" in part:
            continue
        else:
            n_parts += 1
            if (text := _part_text(part, kind)) is not None:
                texts.append(text)
    return _Body(texts, n_images, n_results, n_parts)


def _is_image(part: dict[str, Any]) -> bool:
    modality = part.get("modality")
    if modality is not None:
        return bool(modality == "image")
    for key in ("mime_type", "mimeType", "mediaType", "media_type"):
        kind = part.get(key)
        if kind.__class__ is str and kind.startswith("image/"):
            return True
    for key in ("inlineData", "inline_data", "fileData", "file_data"):
        data = as_object(part.get(key))
        if str(data.get("mimeType") or data.get("mime_type") or "").startswith("image/"):
            return True
    return False


def _part_text(part: dict[str, Any], kind: str | None) -> str | None:
    """The writer's own text in one part; None when it holds none (reasoning, tool calls, files)."""
    if kind in _DOCUMENTS or (kind is None and "document" in part):
        return _document_text(part)
    if kind is not None and kind not in _TEXT and kind != "message":
        return None if kind in _OTHER or "text" not in part else _plain(part["text"])
    for key in ("text", "content", "value"):
        if (text := _plain(part.get(key))) is not None:
            return text
    guard = part.get("guardContent") or part.get("guard_content")
    return _plain(as_object(guard).get("text")) if guard else None


def _document_text(part: dict[str, Any]) -> str | None:
    """Text that the caller put into a document or a search result; None for a file."""
    document = as_object(part.get("document")) or part
    source = as_object(document.get("source"))
    for text in (source.get("data") if source.get("type") == "text" else None, source.get("text")):
        if text.__class__ is str:
            return text
    inner = source.get("content") or document.get("content")
    return text_of(inner) if inner.__class__ is list else _plain(inner)


def _plain(value: Any) -> str | None:
    if value.__class__ is dict:
        value = value.get("text") if "text" in value else value.get("value")
    return value if value.__class__ is str else None


def text_of(content: Any) -> str | None:
    """The text of a system prompt or of one message's content: text, parts, messages, or their JSON text."""
    if content is None or content == "":
        return None
    if content.__class__ is str:
        opened = (
            as_list(content) if content[:1] == "[" else as_object(content) if content[:1] == "{" else None
        )
        # JSON without any text part is itself the caller's text.
        return (text_of(opened) if opened else None) or prose(content)
    if content.__class__ is dict:
        content = [content]
    if content.__class__ is not list:
        return None
    texts: list[str] = []
    for item in content:
        if item.__class__ is dict and ("role" in item or "parts" in item):
            texts += _body(item).texts
        else:
            texts += _parts([item]).texts
    return prose("\n".join(t for t in texts if t)) or None


def prose(text: str) -> str:
    """``text`` without base64 data, which would be measured as prose."""
    if _DATA_URI not in text:
        return text
    return _DATA.sub("", text)


def data_images(text: str) -> int:
    """Number of images inside a text as data."""
    return text.count("data:image/") if _DATA_URI in text else 0


def tools(offered: Any) -> tuple[int | None, list[str] | None]:
    """Number and names of the tools offered: OpenAI's, Anthropic's, Bedrock's or Gemini's list, or its JSON text."""
    listed = as_list(offered)
    if listed is None:
        inner = as_object(offered)
        listed = as_list(inner.get("tools")) if inner else None
        if listed is None:
            return None, None
    names: list[str] = []
    n = 0
    for tool in listed:
        if tool.__class__ is str:
            tool = as_object(tool) or {"name": tool}
        if tool.__class__ is not dict or "cachePoint" in tool:
            continue
        declared = tool.get("functionDeclarations") or tool.get("function_declarations")
        for one in declared if declared.__class__ is list else (tool,):
            n += 1
            one = as_object(one)
            holder = as_object(one.get("function") or one.get("toolSpec") or one.get("systemTool"))
            name = holder.get("name") or one.get("name") or one.get("type")
            if name.__class__ is str:
                names.append(name)
    return n, names


def n_stops(value: Any) -> int | None:
    """Number of stop sequences: of a list, of its JSON text, or 1 for plain text; None when the request has none."""
    listed = as_list(value)
    return len(listed) if listed is not None else 1 if value.__class__ is str and value else None


def n_logprobs(top: Any, flag: Any) -> Any:
    """Number of alternatives from ``top_logprobs`` and the older ``logprobs``, which is a flag or a number."""
    if flag is True:
        return max(top, 1) if top.__class__ is int else 1
    return 0 if flag is False else top if top is not None and top.__class__ not in (dict, list) else flag


def state_in(message: Any) -> list[str]:
    """Provider-minted state in one message or answer: signatures, encrypted reasoning, redacted thinking."""
    state: list[str] = []
    _state(message, 4, state)
    return [value for value in state if value][:MAX_STATE]


def _state(value: Any, depth: int, state: list[str]) -> None:
    """Add the state in ``value`` to ``state``."""
    if value.__class__ is list:
        for item in value[:MAX_STATE] if depth else ():
            _state(item, depth - 1, state)
        return
    if value.__class__ is not dict:
        return
    if not _MINTED.isdisjoint(value):
        state += [text for key in _MINTED_KEYS if (text := value.get(key)).__class__ is str]
    if value.get("type") == "redacted_thinking" and value.get("data").__class__ is str:
        state.append(value["data"])
    for key, inner in value.items() if depth else ():
        if (inner.__class__ is dict or inner.__class__ is list) and key in _STATE_HOLDERS:
            _state(inner, depth - 1, state)


_MINTED = frozenset(_MINTED_KEYS)
_STATE_HOLDERS = frozenset(
    ("content", "parts", "reasoningContent", "reasoningText", "reasoning_details", "thinking_blocks", "output", "message",
     "reasoning", "choices", "candidates", "provider_specific_fields")
)  # fmt: skip


def minted(answer: Any) -> list[str] | None:
    """State that an answer hands out: signatures and the like, and the id of a stored response."""
    listed = as_list(answer)
    body = {"output": listed} if listed is not None else as_object(answer)
    if not body:
        return None
    state: list[str] = []
    _state(body, 6, state)
    if body.get("object") == "response" or str(body.get("id", "")).startswith("resp_"):
        state.append(str(body.get("id")))
    return list(dict.fromkeys(state))[:MAX_STATE] or None


def carried(previous: Iterable[str] | None, previous_response_id: Any) -> list[str] | None:
    """State of earlier turns, together with the id of the stored response that a request continues."""
    state = list(previous or ())
    if previous_response_id.__class__ is str and previous_response_id:
        state.append(previous_response_id)
    return list(dict.fromkeys(state))[:MAX_STATE] or None

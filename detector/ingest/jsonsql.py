"""SQL that reads JSON: a named attribute, and the text of a conversation in the shapes providers log it.

A conversation is a JSON array of ``{"role", "content" | "parts"}``; content is text, or parts that are text,
images, tool calls and results. The prompt is the last user turn that a person (or a script) wrote: messages
that only carry tool results back are no turn.
"""

from __future__ import annotations

from collections.abc import Mapping


def quote(text: str) -> str:
    """A SQL string literal; for names the operator typed, never for values of a log."""
    return "'" + text.replace("'", "''") + "'"


def attribute(text: str, name: str) -> str:
    """SQL of the attribute ``name`` of the JSON object ``text``: the key of that name, else the path."""
    found = [f"json_extract_string({text}, {quote(key(name))})"]
    if "." in name and all(part.isidentifier() for part in name.split(".")):
        found.append(f"json_extract_string({text}, {quote('$.' + name)})")
    return f"CASE WHEN json_valid({text}) THEN nullif(coalesce({', '.join(found)}), '') END"


def not_object(text: str = "text") -> str:
    """SQL of why ``text`` is no JSON object; NULL when it is one."""
    return f"""CASE WHEN NOT json_valid({text}) THEN
            CASE WHEN contains({text}, chr(0)) THEN 'not valid JSON (NUL byte)' ELSE 'not valid JSON' END
        WHEN NOT starts_with({text}, '{{') AND json_type({text}) <> 'OBJECT' THEN 'not an object' END"""


def pull(relation: str, text: str, paths: Mapping[str, str], *, kept: str) -> str:
    """One SELECT over ``relation``: the columns ``kept`` and one text a JSON path, one parse for all.

    Objects and lists come as their JSON; where ``text`` is no JSON everything is NULL.
    """
    asked = ", ".join(quote(p) for p in paths.values())
    names = ", ".join(f"found[{at}] AS {name}" for at, name in enumerate(paths, 1))
    return f"""SELECT {kept}, {names} FROM (SELECT *, CASE WHEN json_valid({text})
        THEN json_extract_string({text}, [{asked}]) END AS found FROM {relation})"""


def key(name: str) -> str:
    """JSON path of a top-level key, whatever characters it has."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'$."{escaped}"'


def nested(text: str, paths: Mapping[str, str]) -> str:
    """SQL of the first name whose path holds an object or a list, where a text belongs; NULL when none."""
    arms = " ".join(
        f"WHEN json_type({text}, {quote(path)}) IN ('OBJECT', 'ARRAY') THEN {quote(name)}"
        for name, path in paths.items()
    )
    return f"CASE {arms} END"


def valid(text: str) -> str:
    """SQL of ``text`` as JSON, NULL when it is none."""
    return f"CASE WHEN json_valid({text}) THEN {text}::JSON END"


def texts_in(array: str) -> str:
    """SQL of the members of a JSON array as texts; NULL when it is no array."""
    members = f"CAST({array} AS JSON[])"
    return f"CASE WHEN json_type({array}) = 'ARRAY' THEN list_transform({members}, lambda x: x->>'$') END"


def turns(messages: str) -> str:
    """SQL of the user turns (a list of JSON) in the JSON array ``messages``; NULL when it is no array."""
    return f"""CASE WHEN json_type({messages}) = 'ARRAY' THEN
        list_filter(CAST({messages} AS JSON[]), lambda m: m->>'$.role' IN ('user', 'human')
            AND NOT contains(m::VARCHAR, '"tool_result"') AND NOT contains(m::VARCHAR, '"toolResult"')
            AND NOT contains(m::VARCHAR, '"tool_call_response"')) END"""


def of_role(messages: str, *roles: str) -> str:
    """SQL of the messages of ``roles`` (a list of JSON) in the JSON array ``messages``."""
    said = ", ".join(map(quote, roles))
    return f"""CASE WHEN json_type({messages}) = 'ARRAY' THEN
        list_filter(CAST({messages} AS JSON[]), lambda m: m->>'$.role' IN ({said})) END"""


def text_of(content: str) -> str:
    """SQL of the text of JSON ``content``: a text, or the text parts of an array, a line each."""
    return f"""CASE json_type({content}) WHEN 'VARCHAR' THEN {content}->>'$'
        WHEN 'ARRAY' THEN nullif(array_to_string(list_filter(list_transform(
            CAST({content} AS JSON[]), lambda p: CASE WHEN json_type(p) = 'VARCHAR' THEN p->>'$'
                WHEN json_type(p) = 'OBJECT' AND coalesce(p->>'$.type', 'text') IN ('text', 'input_text')
                THEN coalesce(p->>'$.text', p->>'$.content') END), lambda t: t IS NOT NULL), chr(10)), '')
        WHEN 'OBJECT' THEN coalesce({content}->>'$.text', {content}->>'$.content') END"""


def _body(message: str) -> str:
    """SQL of what a message (JSON) holds: content, or parts where the content is absent or null."""
    has_content = f"{message}->>'$.content' IS NOT NULL"
    return f"(CASE WHEN {has_content} THEN {message}->'$.content' ELSE {message}->'$.parts' END)"


def message_text(message: str) -> str:
    """SQL of the text of one message (JSON), whatever its shape."""
    return text_of(_body(message))


def last_text(found: str) -> str:
    """SQL of the text of the last message in a list of JSON."""
    return f"CASE WHEN len({found}) > 0 THEN {message_text(f'{found}[-1]')} END"


def all_text(found: str) -> str:
    """SQL of the text of every message in a list of JSON, a line each."""
    return f"""CASE WHEN len({found}) > 0 THEN nullif(array_to_string(list_filter(list_transform({found},
        lambda q: {message_text("q")}), lambda t: t IS NOT NULL), chr(10)), '') END"""


def n_images(message: str) -> str:
    """SQL of the number of images in one message (JSON); 0 for plain text."""
    body = _body(message)
    return f"""CASE WHEN {message} IS NULL THEN NULL WHEN json_type({body}) <> 'ARRAY' THEN 0 ELSE
        len(list_filter(CAST({body} AS JSON[]), lambda p: json_type(p) = 'OBJECT' AND (
            p->>'$.type' IN ('image', 'image_url', 'input_image') OR p->>'$.modality' = 'image'
            OR json_exists(p, '$.image')))) END"""


def tool_names(tools: str) -> str:
    """SQL of the names (a JSON array as text) in the JSON array ``tools``, in OpenAI's, Anthropic's or
    Bedrock's shape; NULL when it is no array."""
    return f"""CASE WHEN json_type({tools}) = 'ARRAY' THEN to_json(list_filter(list_transform(
        CAST({tools} AS JSON[]), lambda t:
            coalesce(t->>'$.function.name', t->>'$.name', t->>'$.toolSpec.name')),
        lambda x: x IS NOT NULL))::VARCHAR END"""


def n_tools(tools: str) -> str:
    """SQL of the length of the JSON array ``tools``; NULL when it is no array."""
    return f"CASE WHEN json_type({tools}) = 'ARRAY' THEN json_array_length({tools}) END"

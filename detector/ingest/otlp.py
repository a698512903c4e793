"""SQL that takes OTLP/JSON apart: spans and log records out of a line, attributes out of their wrapping.

OTLP writes ``{"key": k, "value": {"stringValue" | "intValue" | "arrayValue" | "kvlistValue": ...}}``; 64-bit
numbers are text. Conversations come as JSON in a text (spans) or wrapped the same way (events).
"""

from __future__ import annotations

_ATTRIBUTES = """[{"key": "VARCHAR", "value": {"stringValue": "VARCHAR", "intValue": "VARCHAR",
    "doubleValue": "VARCHAR", "boolValue": "VARCHAR", "arrayValue": "JSON", "kvlistValue": "JSON"}}]"""
_EVENTS = f'[{{"name": "VARCHAR", "attributes": {_ATTRIBUTES}}}]'
_RESOURCE = f'"resource": {{"attributes": {_ATTRIBUTES}}}'
_SPAN = f"""{{"traceId": "VARCHAR", "spanId": "VARCHAR", "kind": "VARCHAR", "startTimeUnixNano": "VARCHAR",
    "endTimeUnixNano": "VARCHAR", "attributes": {_ATTRIBUTES}, "events": {_EVENTS},
    "status": {{"code": "VARCHAR"}}}}"""
_RECORD = f"""{{"traceId": "VARCHAR", "spanId": "VARCHAR", "eventName": "VARCHAR", "timeUnixNano": "VARCHAR",
    "observedTimeUnixNano": "VARCHAR", "attributes": {_ATTRIBUTES}}}"""
_SHAPE = f"""{{"resourceSpans": [{{{_RESOURCE}, "scopeSpans": [{{"spans": [{_SPAN}]}}]}}],
    "resourceLogs": [{{{_RESOURCE}, "scopeLogs": [{{"logRecords": [{_RECORD}]}}]}}]}}"""


def _map(attributes: str) -> str:
    """SQL of attributes as MAP(VARCHAR, VARCHAR); the first of equal keys holds; nested values as JSON."""
    pairs = f"""list_transform(list_filter({attributes}, lambda t: t.key IS NOT NULL), lambda t: {{'k': t.key,
        'v': coalesce(t.value.stringValue, t.value.intValue, t.value.doubleValue, t.value.boolValue,
            t.value.arrayValue::VARCHAR, t.value.kvlistValue::VARCHAR)}})"""
    names = f"list_transform(list_filter({attributes}, lambda u: u.key IS NOT NULL), lambda u: u.key)"
    first = f"list_filter({pairs}, lambda t, i: list_position({names}, t.k) = i)"
    return f"""CASE WHEN {attributes} IS NULL THEN map_from_entries([]::STRUCT(k VARCHAR, v VARCHAR)[])
        WHEN len(list_distinct({names})) = len({names}) THEN map_from_entries({pairs})
        ELSE map_from_entries({first}) END"""


def entries(not_object: str) -> str:
    """SELECT of every span and log record in ``lines``, each with ``a`` (its attributes), ``s`` (those of its
    trace's SERVER span in the block) and ``r`` (its resource's); lines that hold none have a ``fault`` unless
    they are metrics."""
    spans = f"""SELECT line, n_bytes, e.traceId AS trace_id, e.spanId AS span_id, e.kind AS kind,
            e.startTimeUnixNano AS ts, e.endTimeUnixNano AS ended, e.status.code AS code, e.events AS events,
            NULL::VARCHAR AS event, {_map("e.attributes")} AS a, r
        FROM (SELECT line, n_bytes, r, unnest(scope.spans) AS e FROM (
            SELECT line, n_bytes, r, unnest(scopes) AS scope FROM (
                SELECT line, n_bytes, {_map("x.resource.attributes")} AS r, x.scopeSpans AS scopes FROM (
                    SELECT line, n_bytes, unnest(d.resourceSpans) AS x FROM parsed))))
        WHERE e IS NOT NULL"""
    records = f"""SELECT line, n_bytes, e.traceId, e.spanId, NULL,
            coalesce(nullif(e.timeUnixNano, '0'), e.observedTimeUnixNano), NULL, NULL, NULL,
            coalesce(nullif(e.eventName, ''), m['event.name'], 'log'), m, r
        FROM (SELECT *, {_map("e.attributes")} AS m FROM (
            SELECT line, n_bytes, r, unnest(scope.logRecords) AS e FROM (
                SELECT line, n_bytes, r, unnest(scopes) AS scope FROM (
                    SELECT line, n_bytes, {_map("x.resource.attributes")} AS r, x.scopeLogs AS scopes FROM (
                        SELECT line, n_bytes, unnest(d.resourceLogs) AS x FROM parsed))))
            WHERE e IS NOT NULL)"""
    return f"""
        WITH parsed AS MATERIALIZED (SELECT line, text,
                strlen(text) - ends_with(text, chr(10))::INTEGER AS n_bytes, {not_object} AS fault,
                CASE WHEN json_valid(text) THEN json_transform(text, '{_SHAPE}') END AS d FROM lines),
            found AS MATERIALIZED ({spans} UNION ALL {records}),
            servers AS (SELECT trace_id, arg_min(a, line) AS s FROM found
                WHERE kind IN ('2', 'SPAN_KIND_SERVER') AND trace_id <> '' GROUP BY trace_id)
        SELECT line, n_bytes, CASE WHEN span_id IS NULL AND ts IS NULL AND len(map_keys(a)) = 0
            THEN 'no span or log record' END AS fault, found.trace_id, span_id, ts, ended, code, events,
            event, a, coalesce(s, map_from_entries([]::STRUCT(k VARCHAR, v VARCHAR)[])) AS s, r
        FROM found LEFT JOIN servers ON found.trace_id = servers.trace_id
        UNION ALL
        SELECT line, n_bytes, CASE WHEN fault IS NOT NULL THEN fault
                WHEN json_exists(text, '$.resourceMetrics') THEN NULL
                ELSE 'neither spans nor log records in it' END,
            NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
        FROM parsed WHERE line NOT IN (SELECT line FROM found) AND CASE WHEN fault IS NOT NULL THEN true
            ELSE coalesce(json_array_length(text, '$.resourceSpans'), 1)
                + coalesce(json_array_length(text, '$.resourceLogs'), 0) > 0 END
    """


def _wrapped(value: str, name: str) -> str:
    """SQL of the member ``name`` of a wrapped object (JSON), itself still wrapped."""
    inner = f"{value}->'$.kvlistValue.values'"
    return f"""(CASE WHEN json_type({inner}) = 'ARRAY' THEN list_filter(CAST({inner} AS JSON[]),
        lambda w: w->>'$.key' = '{name}')[1]->'$.value' END)"""


def _list(value: str) -> str:
    """SQL of the members (JSON[], still wrapped) of a wrapped list in JSON; NULL when it is none."""
    inner = f"{value}->'$.values'"
    return f"CASE WHEN json_type({inner}) = 'ARRAY' THEN CAST({inner} AS JSON[]) END"


def _json(text: str) -> str:
    return f"(CASE WHEN json_valid({text}) THEN {text}::JSON END)"


def _part(part: str) -> str:
    """SQL of a wrapped message part as plain JSON."""
    text = f"coalesce({_wrapped(part, 'content')}, {_wrapped(part, 'text')})->>'$.stringValue'"
    said = ", ".join(f"'{n}', {_wrapped(part, n)}->>'$.stringValue'" for n in ("type", "modality", "name"))
    return f"json_object({said}, 'content', {text})"


def plain_list(text: str) -> str:
    """SQL of a JSON array of plain parts (or tools) from JSON text, wrapped or not."""
    found = _json(text)
    return f"""CASE WHEN json_type({found}, '$.values') = 'ARRAY'
        THEN to_json(list_transform({_list(found)}, lambda p: {_part("p")})) ELSE {found} END"""


def messages(text: str, events: str) -> str:
    """SQL of the conversation as a plain JSON array: JSON text, a wrapped list, or events of the span."""
    found = _json(text)
    parts = _wrapped("m", "parts")
    message = f"""json_object('role', {_wrapped("m", "role")}->>'$.stringValue',
        'content', {_wrapped("m", "content")}->'$.stringValue',
        'parts', list_transform(CASE WHEN json_type({parts}, '$.arrayValue.values') = 'ARRAY'
            THEN CAST({parts}->'$.arrayValue.values' AS JSON[]) END, lambda p: {_part("p")}))"""
    told = f"""list_transform(list_filter({events}, lambda v: v.name IN ('gen_ai.user.message',
        'gen_ai.system.message')), lambda v: json_object('role', split_part(v.name, '.', 2), 'content',
        list_filter(v.attributes, lambda t: t.key = 'content')[1].value.stringValue))"""
    whole = f"""list_filter({events}, lambda v: v.name = 'gen_ai.content.prompt')[1].attributes"""
    prompt = f"list_filter({whole}, lambda t: t.key = 'gen_ai.prompt')[1].value.stringValue"
    return f"""CASE WHEN json_type({found}, '$.values') = 'ARRAY'
            THEN to_json(list_transform({_list(found)}, lambda m: {message}))
        WHEN json_type({found}) = 'ARRAY' THEN {found}
        WHEN {text} IS NULL AND len({told}) > 0 THEN to_json({told})
        WHEN {text} IS NULL AND json_type({_json(prompt)}) = 'ARRAY' THEN {_json(prompt)} END"""


def plain_prompt(text: str) -> str:
    """SQL of a prompt given as bare text and not as a list of messages."""
    return f"CASE WHEN json_type({_json(text)}) IN ('ARRAY', 'OBJECT') THEN NULL ELSE {text} END"


def parts_text(parts: str) -> str:
    """SQL of the text of a JSON array of parts, a line each; of bare text, the text."""
    texts = f"list_transform(CAST({parts} AS JSON[]), lambda p: coalesce(p->>'$.content', p->>'$.text'))"
    return f"""CASE json_type({parts}) WHEN 'VARCHAR' THEN {parts}->>'$'
        WHEN 'ARRAY' THEN
            nullif(array_to_string(list_filter({texts}, lambda t: t IS NOT NULL), chr(10)), '') END"""


def flattened(attributes: str) -> str:
    """SQL of ``{prompt, system, turns}`` from one attribute a message (``gen_ai.prompt.0.content``,
    ``llm.input_messages.0.message.content``); NULLs when there are none."""
    roles = f"""list_filter(map_entries({attributes}), lambda e:
        regexp_full_match(e.key, '(gen_ai\\.prompt|llm\\.input_messages)\\.\\d+\\.(message\\.)?role'))"""
    user = f"list_filter({roles}, lambda e: e.value = 'user')"
    last = f"""list_reverse_sort(list_transform({user}, lambda e:
        {{'at': regexp_extract(e.key, '\\.(\\d+)\\.', 1)::INTEGER, 'key': e.key}}))[1].key"""
    system = f"list_filter({roles}, lambda e: e.value = 'system')[1].key"
    return f"""CASE WHEN len({roles}) > 0 THEN {{'prompt': {attributes}[replace({last}, 'role', 'content')],
        'system': {attributes}[replace({system}, 'role', 'content')], 'turns': len({user})}} END"""


def first_of(text: str) -> str:
    """SQL of the first text of a wrapped list, a JSON array, or the bare text."""
    found = _json(text)
    return f"""CASE WHEN json_type({found}) = 'OBJECT' THEN {found}->>'$.values[0].stringValue'
        WHEN json_type({found}) = 'ARRAY' THEN {found}->>'$[0]' ELSE {text} END"""


def in_first(text: str, name: str) -> str:
    """SQL of a text member of the first object of a JSON array, plain or wrapped."""
    found = _json(text)
    first = f"{found}->'$.values[0]'"
    return f"""CASE WHEN json_type({found}) = 'ARRAY' THEN {found}->>'$[0].{name}'
        WHEN json_type({found}, '$.values') = 'ARRAY' THEN {_wrapped(first, name)}->>'$.stringValue' END"""

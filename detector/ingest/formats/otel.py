"""OpenTelemetry GenAI: OTLP/JSON lines as the Collector's file exporter writes them, spans and log events.

Attribute names of both generations are read (``gen_ai.*`` now and before 1.37, and OpenInference's
``llm.*``). Who called is seldom on the span itself: it is taken from the span, else from the SERVER span of
the same trace in the same block of lines, else from the resource. Spans that are no model calls (tools,
agents, HTTP) are only counted, as they would count the same work twice.
"""

from __future__ import annotations

from detector.ingest import otlp
from detector.ingest.formats import Format, Options, Record
from detector.ingest.jsonsql import (
    all_text,
    last_text,
    n_images,
    n_tools,
    not_object,
    of_role,
    quote,
    tool_names,
    turns,
)

_USER = ("user.id", "enduser.id", "enduser.pseudo.id")
_ORG = ("organization.id", "tenant.id")
_KEY = ("api_key.id",)
#: Canonical column -> attributes, first present wins: the span's own.
_OWN: dict[str, tuple[str, ...]] = {
    "model": ("gen_ai.request.model", "llm.model_name", "gen_ai.response.model", "llm.request.model"),
    "pathway": ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system"),
    "operation": ("gen_ai.operation.name", "llm.request.type"),
    "input_tokens": (
        "gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt",
        "llm.usage.prompt_tokens",
    ),
    "output_tokens": (
        "gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion",
        "llm.usage.completion_tokens",
    ),
    "cached_tokens": (
        "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens",
        "llm.token_count.prompt_details.cache_read",
    ),
    "reasoning_tokens": (
        "gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens",
        "llm.token_count.completion_details.reasoning",
    ),
    "temperature": ("gen_ai.request.temperature",),
    "max_tokens": ("gen_ai.request.max_tokens", "llm.request.max_tokens"),
    "n": ("gen_ai.request.choice.count",),
    "top_logprobs": ("gen_ai.request.top_logprobs", "gen_ai.request.logprobs"),
    "logit_bias": ("gen_ai.request.logit_bias",),
    "stream": ("gen_ai.request.stream", "llm.is_streaming"),
    "session_id": ("gen_ai.conversation.id", "session.id"),
}  # fmt: skip
#: The same for what may lie on the SERVER span or the resource.
_AROUND: dict[str, tuple[str, ...]] = {
    "api_key_id": _KEY,
    "org_id": _ORG,
    "end_user_id": ("gen_ai.request.user",),
    "source_ip": ("client.address", "net.peer.ip", "http.client_ip"),
    "user_agent": ("user_agent.original", "http.user_agent"),
    "ja4": ("tls.client.ja4",),
    "asn": ("client.as.number", "source.as.number"),
    "country": ("geo.country.iso_code", "client.geo.country_iso_code"),
}
_MESSAGES = ("gen_ai.input.messages", "gen_ai.prompt", "llm.input_messages")
_SYSTEM = ("gen_ai.system_instructions",)
_TOOLS = ("gen_ai.tool.definitions",)
_HTTP = ("http.response.status_code", "http.status_code")
_TTFT = ("gen_ai.response.time_to_first_chunk",)
_PASSED = {
    "gen_ai.response.id", "gen_ai.response.model", "gen_ai.response.finish_reasons", "error.type",
    "gen_ai.request.top_p", "gen_ai.request.top_k", "gen_ai.request.seed", "gen_ai.request.stop_sequences",
    "gen_ai.request.frequency_penalty", "gen_ai.request.presence_penalty", "gen_ai.request.reasoning.level",
    "gen_ai.request.encoding_formats", "gen_ai.output.type", "gen_ai.output.messages", "gen_ai.completion",
    "gen_ai.usage.cache_creation.input_tokens", "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.total_tokens", "llm.usage.total_tokens", "llm.token_count.total", "server.address",
    "server.port", "gen_ai.embeddings.dimension.count", "event.name", "openinference.span.kind",
    "gen_ai.prompt.N.role", "gen_ai.prompt.N.content",
    "gen_ai.completion.N.role", "gen_ai.completion.N.content", "gen_ai.completion.N.finish_reason",
    "llm.input_messages.N.message.role", "llm.input_messages.N.message.content",
    "llm.output_messages.N.message.role", "llm.output_messages.N.message.content",
}  # fmt: skip
#: Operations that hold model calls, or are none.
_NO_CALL = ("execute_tool", "invoke_agent", "create_agent", "invoke_workflow", "retrieval", "plan")
#: HTTP status of the names that clients give errors.
_ERRORS = {
    "RateLimit": 429, "Authentication": 401, "PermissionDenied": 403, "BadRequest": 400, "NotFound": 404,
    "UnprocessableEntity": 422, "Timeout": 408, "timeout": 408, "Conflict": 409,
}  # fmt: skip


def _sniff(record: Record) -> bool:
    return bool({"resourceSpans", "resourceLogs"} & set(record))


def _own(names: tuple[str, ...]) -> str:
    return "coalesce(" + ", ".join(f"nullif(a[{quote(n)}], '')" for n in names) + ")"


def _around(names: tuple[str, ...]) -> str:
    return "coalesce(" + ", ".join(f"nullif({m}[{quote(n)}], '')" for m in "asr" for n in names) + ")"


def _calls() -> str:
    """SQL of whether an entry is a model call."""
    operation = "coalesce(a['gen_ai.operation.name'], '')"
    gen_ai = """(a['gen_ai.operation.name'] IS NOT NULL OR a['gen_ai.system'] IS NOT NULL
        OR a['llm.request.type'] IS NOT NULL OR a['openinference.span.kind'] = 'LLM')"""
    return f"""{gen_ai} AND {operation} NOT IN ({", ".join(map(quote, _NO_CALL))}) AND (event IS NULL
        OR event = 'gen_ai.client.inference.operation.details')"""


def _select(options: Options, content: str) -> str:
    named = f"{_around((options.account_attribute,))}, " if options.account_attribute else ""
    columns = ", ".join(
        [f"{_own(names)} AS {name}" for name, names in _OWN.items()]
        + [f"{_around(names)} AS {name}" for name, names in _AROUND.items()]
    )
    errors = " ".join(f"WHEN contains(error, '{name}') THEN '{code}'" for name, code in _ERRORS.items())
    failed = f"""CASE WHEN regexp_full_match(error, '[1-5][0-9][0-9]') THEN error
        WHEN TRY_CAST(http AS INTEGER) >= 400 THEN http {errors} ELSE 'failure' END"""
    return f"""
        SELECT line, n_bytes, fault, other, ts, {columns},
            coalesce(nullif(a['gen_ai.response.id'], ''), trace_id || ':' || span_id) AS request_id,
            coalesce({named}{_around(_USER)}, {_around(_ORG)}, {_around(_KEY)}) AS account_id,
            ((TRY_CAST(ended AS BIGINT) - TRY_CAST(ts AS BIGINT)) / 1e6)::VARCHAR AS latency_ms,
            (TRY_CAST({_own(_TTFT)} AS DOUBLE) * 1000)::VARCHAR AS ttft_ms,
            CASE WHEN error IS NOT NULL OR code IN ('2', 'STATUS_CODE_ERROR') THEN {failed}
                ELSE coalesce(http, 'success') END AS status,
            coalesce({otlp.first_of("a['gen_ai.response.finish_reasons']")},
                {otlp.in_first("a['gen_ai.output.messages']", "finish_reason")}) AS finish_reason,
            coalesce({last_text("said")}, flat.prompt, plain) AS prompt,
            coalesce({otlp.parts_text("system")}, {all_text("told")}, flat.system) AS system_prompt,
            CASE WHEN len(said) > 0 THEN len(said) WHEN flat.prompt IS NOT NULL THEN flat.turns END::VARCHAR
                AS turn,
            {n_images("said[-1]")}::VARCHAR AS n_images,
            {n_tools("tools")}::VARCHAR AS tool_count, {tool_names("tools")} AS tool_names
        FROM (SELECT *, {turns("talk")} AS said, {of_role("talk", "system", "developer")} AS told FROM (
            SELECT *, ({_calls()}) IS NOT TRUE AND fault IS NULL AS other,
                nullif(a['error.type'], '') AS error, {_around(_HTTP)} AS http,
                {otlp.messages(_own(_MESSAGES), "events")} AS talk,
                {otlp.plain_prompt(_own(_MESSAGES))} AS plain,
                {otlp.flattened("a")} AS flat,
                {otlp.plain_list(_own(_SYSTEM))} AS system, {otlp.plain_list(_own(_TOOLS))} AS tools
            FROM ({otlp.entries(not_object())})))
        ORDER BY line, ts, request_id
    """


def _keys(options: Options, content: str) -> str:
    return f"""SELECT DISTINCT regexp_replace(unnest(map_keys(a)), '\\.\\d+\\.', '.N.') AS key
        FROM (SELECT * FROM ({otlp.entries(not_object())}) WHERE {_calls()})"""


def _known(options: Options, content: str) -> frozenset[str]:
    taken = {n for names in (*_OWN.values(), *_AROUND.values()) for n in names} | _PASSED
    taken.update(_USER, _MESSAGES, _SYSTEM, _TOOLS, _HTTP, _TTFT)
    return frozenset(taken | ({options.account_attribute} if options.account_attribute else set()))


FORMAT = Format(
    name="otel",
    meaning="OpenTelemetry GenAI spans and log events as OTLP/JSON lines",
    capabilities=frozenset(
        ("prompts", "ip", "account", "ja4", "params", "logprobs", "tokens", "latency", "session")
    ),
    sniff=_sniff,
    select=_select,
    keys=_keys,
    known=_known,
)

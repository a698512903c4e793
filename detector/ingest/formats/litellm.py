"""LiteLLM: rows of ``LiteLLM_SpendLogs`` and callback records (``StandardLoggingPayload``), told by line.

Prompts are there only when the proxy is set to store them. The proxy writes ``default_user_id`` and empty
text for a user it does not know; both are no account.
"""

from __future__ import annotations

from detector.ingest.casting import timestamp
from detector.ingest.formats import Format, Options, Record
from detector.ingest.jsonsql import (
    all_text,
    attribute,
    last_text,
    n_images,
    n_tools,
    nested,
    not_object,
    of_role,
    pull,
    texts_in,
    tool_names,
    turns,
    valid,
)

_TOP = {
    "request_id": "$.request_id", "id": "$.id", "call_type": "$.call_type", "api_key": "$.api_key",
    "prompt_tokens": "$.prompt_tokens", "completion_tokens": "$.completion_tokens",
    "started": "$.startTime", "ended": "$.endTime", "first": "$.completionStartTime",
    "duration": "$.request_duration_ms", "response_time": "$.response_time",
    "model": "$.model", "model_group": "$.model_group", "provider": "$.custom_llm_provider",
    "usr": "$.user", "metadata": "$.metadata", "team_id": "$.team_id", "organization_id": "$.organization_id",
    "end_user": "$.end_user", "requester_ip": "$.requester_ip_address", "messages": "$.messages",
    "response": "$.response", "session": "$.session_id", "trace": "$.trace_id", "status": "$.status",
    "asked": "$.proxy_server_request", "parameters": "$.model_parameters", "streamed": "$.stream",
    "error_code": "$.error_information.error_code", "tags": "$.request_tags",
}  # fmt: skip
_PASSED = {
    "spend", "total_tokens", "model_id", "api_base", "cache_hit", "cache_key", "mcp_namespaced_tool_name",
    "agent_id", "response_cost", "cost_breakdown", "status_fields", "error_str", "error_information",
    "hidden_params", "guardrail_information", "response_cost_failure_debug_info", "saved_cache_cost",
    "model_map_information", "litellm_call_id", "standard_built_in_tools_params",
}  # fmt: skip
_METADATA = {
    "m_user": "$.user_api_key_user_id", "m_key": "$.user_api_key_hash", "m_key_old": "$.user_api_key",
    "m_team": "$.user_api_key_team_id", "m_org": "$.user_api_key_org_id",
    "m_end": "$.user_api_key_end_user_id", "m_ip": "$.requester_ip_address", "m_status": "$.status",
    "m_code": "$.error_information.error_code", "m_agent": "$.user_agent",
    "m_ja4": '$.requester_custom_headers."x-ja4"', "m_header": '$.requester_custom_headers."user-agent"',
    "m_asn": '$.requester_custom_headers."x-asn"', "m_country": '$.requester_custom_headers."x-country"',
    "m_cached": "$.usage_object.prompt_tokens_details.cached_tokens",
    "m_cache_read": "$.usage_object.cache_read_input_tokens",
    "m_reasoning": "$.usage_object.completion_tokens_details.reasoning_tokens",
}  # fmt: skip
_PARAMETERS = {
    "p_messages": "$.messages", "p_system": "$.system", "p_tools": "$.tools",
    "p_temperature": "$.temperature", "p_n": "$.n", "p_logprobs": "$.logprobs",
    "p_top": "$.top_logprobs", "p_bias": "$.logit_bias", "p_stream": "$.stream",
    "p_max": "$.max_tokens", "p_max_new": "$.max_completion_tokens", "p_input": "$.input",
    "p_prompt": "$.prompt", "p_instructions": "$.instructions",
}  # fmt: skip


def _sniff(record: Record) -> bool:
    keys = set(record)
    return "call_type" in keys and bool(
        keys & {"startTime", "custom_llm_provider", "model_group", "api_key", "response_cost", "spend"}
    )


def _known_id(name: str) -> str:
    return f"nullif(nullif({name}, ''), 'default_user_id')"


def _select(options: Options, content: str) -> str:
    named = ""
    if options.account_attribute:
        top_level, own = (attribute(t, options.account_attribute) for t in ("text", "metadata"))
        named = f"{top_level}, {own}, "
    start, end, first = (f"epoch_us({timestamp(name)})" for name in ("started", "ended", "first"))
    texts = {"request_id": "$.request_id", "model": "$.model", "account_id": "$.user"}
    wrong = f"CASE WHEN json_valid(text) THEN {nested('text', texts)} END AS wrong"
    kept = f"line, text, strlen(text) - ends_with(text, chr(10))::INTEGER AS n_bytes, {not_object()} AS broken, {wrong}"
    top = pull("lines", "text", _TOP, kept=kept)
    # Stored requests and parameters come as objects or, exported from the database, as JSON text.
    with_metadata = pull(f"({top})", "metadata", _METADATA, kept="* EXCLUDE (found)")
    asked = f"(SELECT *, coalesce(nullif(asked, '{{}}'), parameters) AS given FROM ({with_metadata}))"
    whole = pull(asked, "given", _PARAMETERS, kept="* EXCLUDE (found)")
    conversation = f"coalesce({valid('nullif(p_messages, chr(91) || chr(93))')}, {valid('messages')})"
    return f"""
        SELECT line, n_bytes,
            coalesce(broken, wrong || ': expected text, found an object or a list') AS fault,
            CASE WHEN broken IS NULL THEN wrong END AS field,
            call_type IN ('call_mcp_tool', 'list_mcp_tools') AS other,
            coalesce(nullif(request_id, ''), id) AS request_id, started AS ts,
            coalesce({named}{_known_id("usr")}, {_known_id("m_user")}, nullif(organization_id, ''),
                nullif(m_org, ''), nullif(team_id, ''), nullif(m_team, ''), nullif(api_key, ''),
                nullif(m_key, ''), nullif(m_key_old, '')) AS account_id,
            coalesce(nullif(model_group, ''), model) AS model,
            coalesce(nullif(api_key, ''), nullif(m_key, ''), nullif(m_key_old, '')) AS api_key_id,
            coalesce(nullif(organization_id, ''), nullif(m_org, ''), nullif(team_id, ''), m_team) AS org_id,
            coalesce(nullif(end_user, ''), m_end) AS end_user_id,
            coalesce(nullif(requester_ip, ''), m_ip) AS source_ip,
            m_asn AS asn, m_country AS country, m_ja4 AS ja4, provider AS pathway, call_type AS operation,
            coalesce(nullif(m_header, ''), nullif(m_agent, ''), tag_agent) AS user_agent,
            coalesce({last_text("said")}, p_prompt,
                CASE WHEN json_type({valid("p_input")}) IS NULL THEN p_input END) AS prompt,
            coalesce({all_text("told")}, CASE WHEN json_valid(p_system) THEN NULL ELSE p_system END,
                p_instructions) AS system_prompt,
            CASE WHEN len(said) > 0 THEN len(said)::VARCHAR END AS turn,
            {n_images("said[-1]")}::VARCHAR AS n_images,
            coalesce(nullif(session, ''), trace) AS session_id,
            prompt_tokens AS input_tokens, completion_tokens AS output_tokens,
            coalesce(m_cached, m_cache_read) AS cached_tokens, m_reasoning AS reasoning_tokens,
            coalesce(nullif(duration, ''), (TRY_CAST(response_time AS DOUBLE) * 1000)::VARCHAR,
                (({end} - {start}) / 1000.0)::VARCHAR) AS latency_ms,
            CASE WHEN {first} < {end} THEN (({first} - {start}) / 1000.0)::VARCHAR END AS ttft_ms,
            CASE WHEN coalesce(nullif(status, ''), m_status) = 'failure'
                THEN coalesce(CASE WHEN regexp_full_match(coalesce(error_code, m_code), '[1-5][0-9][0-9]')
                    THEN coalesce(error_code, m_code) END, 'failure')
                ELSE coalesce(nullif(status, ''), m_status) END AS status,
            coalesce(nullif(streamed, ''), p_stream) AS stream,
            p_temperature AS temperature, coalesce(p_max_new, p_max) AS max_tokens, p_n AS n,
            CASE WHEN p_logprobs = 'true' THEN greatest(coalesce(TRY_CAST(p_top AS INTEGER), 1), 1)::VARCHAR
                WHEN p_logprobs = 'false' THEN '0' ELSE coalesce(p_top, p_logprobs) END AS top_logprobs,
            p_bias AS logit_bias,
            {n_tools("tools")}::VARCHAR AS tool_count, {tool_names("tools")} AS tool_names,
            answer->>'$.choices[0].finish_reason' AS finish_reason
        FROM (SELECT *, {turns("talk")} AS said, {of_role("talk", "system", "developer")} AS told FROM (
            SELECT *, {conversation} AS talk, {valid("response")} AS answer, {valid("p_tools")} AS tools,
                list_max(list_filter({texts_in(valid("tags"))}, lambda t: starts_with(t, 'User-Agent: ')))
                    [13:] AS tag_agent
            FROM ({whole})))
    """


def _keys(options: Options, content: str) -> str:
    return "SELECT unnest(json_keys(text)) AS key FROM lines WHERE json_valid(text)"


def _known(options: Options, content: str) -> frozenset[str]:
    taken = {path[2:] for path in _TOP.values()} | _PASSED
    return frozenset(taken | ({options.account_attribute} if options.account_attribute else set()))


FORMAT = Format(
    name="litellm",
    meaning="LiteLLM proxy: SpendLogs rows or StandardLoggingPayload records",
    capabilities=frozenset(
        ("prompts", "ip", "account", "ja4", "params", "logprobs", "tokens", "latency", "session")
    ),
    sniff=_sniff,
    select=_select,
    keys=_keys,
    known=_known,
)

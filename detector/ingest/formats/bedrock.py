"""Amazon Bedrock model-invocation logs: Converse and the bodies of Anthropic, Titan, Llama, Mistral, Cohere.

A customer's own log: the account is the calling role (its session name left off) or user, the organisation
the AWS account. Addresses and clients are in CloudTrail, not here.
"""

from __future__ import annotations

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
    text_of,
    tool_names,
    turns,
    valid,
)

_IN, _OUT = "$.input.inputBodyJson", "$.output.outputBodyJson"
#: A streamed answer is logged as the list of its events; the last one carries the figures.
_LAST = _OUT + '[#-1]."amazon-bedrock-invocationMetrics"'
_PATHS = {
    "schema_type": "$.schemaType", "ts": "$.timestamp", "org": "$.accountId", "arn": "$.identity.arn",
    "request_id": "$.requestId", "operation": "$.operation", "model_id": "$.modelId",
    "error_code": "$.errorCode", "status_given": "$.status", "metadata": "$.requestMetadata",
    "tokens_in": "$.input.inputTokenCount", "tokens_cached": "$.input.cacheReadInputTokenCount",
    "tokens_out": "$.output.outputTokenCount", "body": _IN,
    "usage_in": _OUT + ".usage.inputTokens", "usage_out": _OUT + ".usage.outputTokens",
    "usage_cached": _OUT + ".usage.cacheReadInputTokens", "latency": _OUT + ".metrics.latencyMs",
    "stream_in": _LAST + ".inputTokenCount", "stream_out": _LAST + ".outputTokenCount",
    "stream_latency": _LAST + ".invocationLatency", "stream_first": _LAST + ".firstByteLatency",
    "stop_converse": _OUT + ".stopReason", "stop_anthropic": _OUT + ".stop_reason",
    "stop_titan": _OUT + ".results[0].completionReason", "stop_mistral": _OUT + ".outputs[0].stop_reason",
    "stop_cohere": _OUT + ".finish_reason",
}  # fmt: skip
_BODY = {
    "b_messages": "$.messages", "b_system": "$.system", "b_titan": "$.inputText", "b_prompt": "$.prompt",
    "b_message": "$.message", "b_history": "$.chat_history", "b_preamble": "$.preamble",
    "b_tools": "$.toolConfig.tools", "b_tools_flat": "$.tools",
    "b_temp_converse": "$.inferenceConfig.temperature", "b_temp": "$.temperature",
    "b_temp_titan": "$.textGenerationConfig.temperature",
    "b_max_converse": "$.inferenceConfig.maxTokens", "b_max_nova": "$.inferenceConfig.max_new_tokens",
    "b_max": "$.max_tokens", "b_max_titan": "$.textGenerationConfig.maxTokenCount",
    "b_max_llama": "$.max_gen_len", "b_max_old": "$.max_tokens_to_sample", "b_n": "$.num_generations",
}  # fmt: skip
_PASSED = {
    "schemaVersion", "region", "inferenceRegion", "input", "output", "identity", "requestMetadata",
    "performanceConfig", "schemaType", "timestamp", "accountId", "requestId", "operation", "modelId",
    "errorCode", "status",
}  # fmt: skip
#: HTTP status of the service's error names.
_ERRORS = {
    "AccessDenied": 403, "ResourceNotFound": 404, "Throttling": 429, "ServiceQuotaExceeded": 429,
    "Validation": 400, "ModelTimeout": 408, "ModelNotReady": 429, "ModelError": 424,
    "ServiceUnavailable": 503,
}  # fmt: skip


def _sniff(record: Record) -> bool:
    return record.get("schemaType") == "ModelInvocationLog" or {"requestId", "modelId", "timestamp"} <= set(
        record
    )


def _select(options: Options, content: str) -> str:
    named = ""
    if options.account_attribute:
        own, top_level = (attribute(t, options.account_attribute) for t in ("metadata", "text"))
        named = f"{own}, {top_level}, "
    texts = {"request_id": "$.requestId", "model": "$.modelId", "org_id": "$.accountId"}
    wrong = f"CASE WHEN json_valid(text) THEN {nested('text', texts)} END AS wrong"
    kept = f"line, text, strlen(text) - ends_with(text, chr(10))::INTEGER AS n_bytes, {not_object()} AS broken, {wrong}"
    top = pull("lines", "text", _PATHS, kept=kept)
    whole = pull(f"({top})", "body", _BODY, kept="* EXCLUDE (found)")
    errors = " ".join(
        f"WHEN starts_with(error_code, '{name}') THEN '{code}'" for name, code in _ERRORS.items()
    )
    return f"""
        SELECT line, n_bytes, coalesce(broken, wrong || ': expected text, found an object or a list',
                CASE WHEN schema_type <> 'ModelInvocationLog' THEN 'not a model invocation' END) AS fault,
            CASE WHEN broken IS NULL THEN wrong END AS field, false AS other,
            request_id, ts, regexp_extract(model_id, '[^/]*$') AS model,
            coalesce({named}nullif(regexp_replace(arn, '^(.*:assumed-role/[^/]+)/.*$', '\\1'), ''),
                nullif(org, '')) AS account_id,
            arn AS api_key_id, org AS org_id, 'bedrock' AS pathway, operation,
            coalesce({last_text("said")}, b_titan, b_message, b_prompt) AS prompt,
            coalesce({text_of("system_json")}, CASE WHEN system_json IS NULL THEN b_system END,
                {all_text("told")}, b_preamble) AS system_prompt,
            CASE WHEN len(said) > 0 THEN len(said)::VARCHAR
                WHEN b_message IS NOT NULL THEN (1 + coalesce(len(past), 0))::VARCHAR END AS turn,
            {n_images("said[-1]")}::VARCHAR AS n_images,
            coalesce(tokens_in, usage_in, stream_in) AS input_tokens,
            coalesce(tokens_out, usage_out, stream_out) AS output_tokens,
            coalesce(tokens_cached, usage_cached) AS cached_tokens,
            coalesce(latency, stream_latency) AS latency_ms, stream_first AS ttft_ms,
            CASE WHEN regexp_full_match(coalesce(status_given, ''), '[1-5][0-9][0-9]') THEN status_given
                WHEN coalesce(error_code, '') = '' THEN 'success'
                WHEN regexp_full_match(error_code, '[1-5][0-9][0-9]') THEN error_code
                {errors} ELSE 'failure' END AS status,
            coalesce(stop_converse, stop_anthropic, stop_titan, stop_mistral, stop_cohere) AS finish_reason,
            CASE WHEN operation IS NOT NULL THEN
                (operation IN ('ConverseStream', 'InvokeModelWithResponseStream'))::VARCHAR END AS stream,
            coalesce(b_temp_converse, b_temp, b_temp_titan) AS temperature,
            coalesce(b_max_converse, b_max_nova, b_max, b_max_titan, b_max_llama, b_max_old) AS max_tokens,
            b_n AS n, {n_tools("tools")}::VARCHAR AS tool_count, {tool_names("tools")} AS tool_names
        FROM (SELECT *, {turns("talk")} AS said, {of_role("talk", "system")} AS told FROM (
            SELECT *, {valid("b_messages")} AS talk,
                {valid("b_system")} AS system_json,
                {valid("coalesce(b_tools, b_tools_flat)")} AS tools,
                {of_role(valid("b_history"), "user", "USER")} AS past
            FROM ({whole})))
    """


def _keys(options: Options, content: str) -> str:
    return "SELECT unnest(json_keys(text)) AS key FROM lines WHERE json_valid(text)"


def _known(options: Options, content: str) -> frozenset[str]:
    return frozenset(_PASSED | ({options.account_attribute} if options.account_attribute else set()))


FORMAT = Format(
    name="bedrock",
    meaning="Amazon Bedrock model-invocation logs",
    capabilities=frozenset(("prompts", "account", "params", "tokens", "latency")),
    sniff=_sniff,
    select=_select,
    keys=_keys,
    known=_known,
)

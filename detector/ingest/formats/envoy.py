"""Envoy and Envoy AI Gateway access logs (JSON). Their keys are the operator's choice: the map can be set.

Access logs carry no text, so only traffic and identity are measured. ``x-forwarded-for`` can be forged by
the client up to what one's own proxies append: with N trusted hops the address N places left of the last is
taken.
"""

from __future__ import annotations

from detector.ingest.formats import Format, Options, Record
from detector.ingest.jsonsql import attribute, key, nested, not_object, pull

#: Canonical name -> JSON key, as Envoy AI Gateway documents its format; ``x-account-id``, ``x-api-key-id``,
#: ``x-org-id`` and ``ja4`` are to be added by the operator.
KEYS: dict[str, str] = {
    "request_id": "x-request-id",
    "ts": "start_time",
    "account_id": "x-account-id",
    "api_key_id": "x-api-key-id",
    "org_id": "x-org-id",
    "model": "gen_ai.request.model",
    "pathway": "gen_ai.provider.name",
    "operation": "x-envoy-origin-path",
    "source_ip": "x-forwarded-for",
    "user_agent": "user-agent",
    "ja4": "ja4",
    "session_id": "x-session-id",
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "cached_tokens": "gen_ai.usage.cached_input_tokens",
    "reasoning_tokens": "gen_ai.usage.reasoning_tokens",
    "latency_ms": "duration",
    "status": "response_code",
}
#: Read beside the canonical columns.
_BESIDE = {"peer": "downstream_remote_address", "path": "path", "flags": "response_flags"}
#: Keys Envoy writes that no column takes.
_PASSED = {
    ":authority", "method", "protocol", "bytes_received", "bytes_sent", "connection_termination_details",
    "downstream_local_address", "upstream_cluster", "upstream_host", "upstream_local_address",
    "upstream_transport_failure_reason", "requested_server_name", "response_code_details", "route_name",
    "x-envoy-upstream-service-time", "x-envoy-original-path", "gen_ai.usage.total_tokens",
    "gen_ai.request.model_override", "gen_ai.response.model", "gen_ai.backend.name", "response_flags",
    "virtual_cluster", "log_name",
}  # fmt: skip
#: Paths of inference, in any of the providers' spellings; a line without model elsewhere is no model call.
_INFERENCE = "completions|messages|responses|embeddings|generateContent|/invoke|/converse|/model/|rerank"


def _sniff(record: Record) -> bool:
    keys = set(record)
    return len(keys & {"response_code", "response_flags", "start_time", "duration", "x-request-id",
                       "downstream_remote_address", "x-envoy-origin-path", "bytes_sent"}) >= 4  # fmt: skip


def _select(options: Options, content: str) -> str:
    names = KEYS | dict(options.envoy_keys)
    paths = {name: key(json_key) for name, json_key in (names | _BESIDE).items()}
    same = [n for n in names if n not in ("account_id", "source_ip", "operation", "status", "ts")]
    plain = ", ".join(f"nullif({n}, '-') AS {n}" for n in same)
    named = f"{attribute('text', options.account_attribute)}, " if options.account_attribute else ""
    wrong = nested("text", {n: paths[n] for n in ("request_id", "account_id", "model")})
    pulled = pull(
        "lines",
        "text",
        paths,
        kept=f"""line, text, strlen(text) - ends_with(text, chr(10))::INTEGER AS n_bytes, {not_object()} AS broken,
            CASE WHEN json_valid(text) THEN {wrong} END AS wrong""",
    )
    return f"""
        SELECT line, n_bytes,
            coalesce(broken, wrong || ': expected text, found an object or a list') AS fault,
            CASE WHEN broken IS NULL THEN wrong END AS field,
            broken IS NULL AND target IS NOT NULL AND nullif(nullif(model, ''), '-') IS NULL
                AND input_tokens IS NULL AND NOT regexp_matches(target, '{_INFERENCE}') AS other,
            ts, {plain}, split_part(target, '?', 1) AS operation,
            coalesce({named}nullif(nullif(account_id, ''), '-'), nullif(nullif(org_id, ''), '-'),
                nullif(nullif(api_key_id, ''), '-')) AS account_id,
            CASE WHEN len(hops) > 0 THEN hops[greatest(len(hops) - {options.trusted_hops}, 1)]
                ELSE peer END AS source_ip,
            CASE WHEN status = '0' THEN CASE WHEN contains(flags, 'DC') THEN '499' ELSE '500' END
                ELSE status END AS status
        FROM (SELECT *, coalesce(nullif(operation, '-'), nullif(path, '-')) AS target,
                list_filter(list_transform(string_split(nullif(source_ip, '-'), ','), lambda h: trim(h)),
                    lambda h: h <> '') AS hops
            FROM ({pulled}))
    """


def _keys(options: Options, content: str) -> str:
    return "SELECT unnest(json_keys(text)) AS key FROM lines WHERE json_valid(text)"


def _known(options: Options, content: str) -> frozenset[str]:
    taken = set(KEYS.values()) | set(options.envoy_keys.values()) | set(_BESIDE.values()) | _PASSED
    return frozenset(taken | ({options.account_attribute} if options.account_attribute else set()))


FORMAT = Format(
    name="envoy",
    meaning="Envoy and Envoy AI Gateway access logs as JSON lines; the keys can be set",
    capabilities=frozenset(("ip", "account", "ja4", "tokens", "latency")),
    sniff=_sniff,
    select=_select,
    keys=_keys,
    known=_known,
)

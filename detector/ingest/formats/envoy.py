"""Envoy access logs in JSON: Envoy AI Gateway, Istio, Higress. Operators choose their keys, so the map can be set.

An access log has no text, with one exception: Higress writes the conversation into ``ai_log`` (JSON text whose numbers
are text too). A client can forge ``x-forwarded-for`` except for the addresses that the site's own proxies append: with N
trusted hops the address N places before the last is taken.

Sources: envoyproxy/ai-gateway ``site/docs/capabilities/observability/accesslogs.md`` (``genai_*``, ``mcp_*``, as in its
example; a site may name them by OpenTelemetry's ``gen_ai.*``, of which those for cached and for reasoning tokens are in no
example of it); Istio, "Default access log format"; alibaba/higress ``plugins/wasm-go/extensions/ai-statistics/README.md``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from detector.ingest.address import forwarded, is_address
from detector.ingest.formats import Columns, Format, Options, Record
from detector.ingest.messages import NONE, Conversation, columns_of, conversation
from detector.ingest.records import Path, Records, first_of, named_paths

#: Canonical name -> JSON keys in order; those of Envoy AI Gateway first. The operator has to add ``x-account-id``,
#: ``x-api-key-id``, ``x-org-id`` and ``ja4`` to the log.
KEYS: dict[str, tuple[Path, ...]] = {
    "request_id": ("x-request-id", "request_id"),
    "ts": ("start_time",),
    "account_id": ("x-account-id", "ai_log/consumer", "consumer"),
    "api_key_id": ("x-api-key-id",),
    "org_id": ("x-org-id",),
    "model": ("gen_ai.request.model", "genai_model_name", "ai_log/model"),
    "pathway": ("gen_ai.provider.name", "gen_ai.backend.name", "genai_backend_name"),
    "operation": ("x-envoy-origin-path", "path"),
    "source_ip": ("x-forwarded-for", "x_forwarded_for"),
    "user_agent": ("user-agent", "user_agent"),
    "ja4": ("ja4",),
    "session_id": ("x-session-id", "ai_log/session_id"),
    "input_tokens": ("gen_ai.usage.input_tokens", "genai_tokens_input", "ai_log/input_token"),
    "output_tokens": ("gen_ai.usage.output_tokens", "genai_tokens_output", "ai_log/output_token"),
    "cached_tokens": ("gen_ai.usage.cached_input_tokens",),
    "reasoning_tokens": ("gen_ai.usage.reasoning_tokens",),
    "latency_ms": ("duration", "ai_log/llm_service_duration"),
    "ttft_ms": ("ai_log/llm_first_token_duration",),
    "status": ("response_code",),
}
#: Keys of Envoy that no column uses, and default keys of columns for which a site may have set another.
_PASSED = frozenset(key for keys in KEYS.values() for key in keys if isinstance(key, str)) | frozenset(
    (":authority", "authority", "method", "protocol", "bytes_received", "bytes_sent", "connection_termination_details",
     "downstream_local_address", "downstream_remote_address", "upstream_cluster", "upstream_host", "upstream_local_address",
     "upstream_transport_failure_reason", "upstream_service_time", "requested_server_name", "response_code_details",
     "route_name", "trace_id", "istio_policy_status", "x-envoy-upstream-service-time", "x-envoy-original-path",
     "gen_ai.usage.total_tokens", "gen_ai.request.model_override", "gen_ai.response.model", "genai_model_name_override",
     "genai_tokens_total", "response_flags", "virtual_cluster", "log_name", "mcp.method.name", "mcp.session.id",
     "mcp.provider.name", "mcp.tool.name", "jsonrpc.request.id", "ai_log", "mcp_method", "mcp_session_id", "mcp_backend",
     "mcp_request_id")
)  # fmt: skip
#: Paths of inference in the providers' spellings. A line without a model and without such a path is no model call.
_INFERENCE = re.compile(
    "completions|messages|responses|embeddings|[gG]enerateContent|/invoke|/converse|/model/|rerank|images/generations"
)


def table(options: Options) -> Mapping[str, tuple[Path, ...]]:
    """The map in force: a key that a site sets replaces the default keys of its column."""
    return KEYS | {name: named_paths(key) for name, key in options.envoy_keys.items()}


def _sniff(record: Record) -> bool:
    keys = set(record)
    return len(keys & {"response_code", "response_flags", "start_time", "duration", "x-request-id",
                       "downstream_remote_address", "x-envoy-origin-path", "bytes_sent"}) >= 4  # fmt: skip


def _derive(records: Records, options: Options, columns: Columns) -> Columns:
    targets = columns["operation"]
    peers = records.first("downstream_remote_address")
    tools = records.first("mcp.method.name", "mcp_method")
    conversations = _conversations(records, options)
    return {
        "request_id": _ids(records, columns),
        "account_id": first_of(columns["account_id"], columns["org_id"], columns["api_key_id"]),
        "operation": [t.partition("?")[0] if isinstance(t, str) else t for t in targets],
        "source_ip": [
            address if (address := forwarded(hops, options.trusted_hops)) and is_address(address) else peer or address
            for hops, peer in zip(columns["source_ip"], peers, strict=True)
        ],
        "status": [
            _status(code, flags)
            for code, flags in zip(columns["status"], records.first("response_flags"), strict=True)
        ],
        "other": [
            model is None and n is None and (tool is not None or (target is not None and not _infers(target)))
            for model, n, tool, target in zip(
                columns["model"], columns["input_tokens"], tools, targets, strict=True
            )
        ],
    } | {
        name: values
        for name, values in columns_of(conversations).items()
        if name == "prompt" or name not in columns
    }  # fmt: skip


def _ids(records: Records, columns: Columns) -> list[Any]:
    """Ids of requests. If a proxy kept an empty id of the client, the id is a hash of the entry."""
    ids = columns["request_id"]
    if None not in ids:
        return ids
    return [
        hashlib.blake2b(
            repr(sorted(entry.items(), key=str)).encode("utf-8", "replace"), digest_size=12
        ).hexdigest()
        if name is None and start is not None and "x-request-id" in entry
        else name
        for name, start, entry in zip(ids, columns["ts"], records.entries, strict=True)
    ]


def _conversations(records: Records, options: Options) -> list[Conversation]:
    """The conversation of each entry: under the site's own key, or in Higress's member."""
    if key := options.envoy_keys.get("prompt"):
        values = zip(*(records.at(path) for path in named_paths(key)), strict=True)
        return [conversation(next((v for v in row if v), None), stored=True) for row in values]
    return [
        conversation(messages, stored=True) if messages else
        # The question is the last user turn alone, so the number of the turn is not known.
        conversation([{"role": "user", "content": question}])._replace(turn=None) if question else NONE
        for messages, question in zip(records.at("ai_log/messages"), records.at("ai_log/question"), strict=True)
    ]  # fmt: skip


def _infers(target: Any) -> bool:
    return isinstance(target, str) and bool(_INFERENCE.search(target))


def _status(code: Any, flags: Any) -> Any:
    """The status. Envoy writes 0 when it sent no answer; the flag DC says that the client had left."""
    if str(code).strip() != "0":
        return code
    return 499 if isinstance(flags, str) and "DC" in flags else 500


FORMAT = Format(
    name="envoy",
    meaning="Envoy, Envoy AI Gateway, Istio and Higress access logs as JSON lines; the keys can be set",
    capabilities=frozenset(("prompts", "ip", "account", "ja4", "tokens", "latency", "session")),
    sniff=_sniff,
    fields=KEYS,
    table=table,
    derive=_derive,
    passed=_PASSED,
    setting="envoy_keys",
)

"""Kong Gateway with its AI plugins, as a logging plugin writes it (file-log, http-log, tcp-log ...).

Up to 3.8 the figures are under the plugin's name with ``prompt_token`` and ``completion_token``, and the payload of the
request is beside the plugins. Since then everything is under ``ai.proxy``. Payloads are JSON text, and only logged with
``log_payloads``. Other traffic of the gateway is no model call.

Sources: Kong/developer.konghq.com ``app/ai-gateway/ai-audit-log-reference.md`` (as of 3.8 and now) and "Kong log format".
"""

from __future__ import annotations

import re
from typing import Any

from detector.ingest import bodies
from detector.ingest.address import forwarded
from detector.ingest.formats import Columns, Format, Options, Record
from detector.ingest.records import Path, Records, as_object, first_of, something

_FIELDS: dict[str, tuple[Path, ...]] = {
    "request_id": ("request/id", "response/headers/x-kong-request-id", "request/headers/x-kong-request-id"),
    "ts": ("started_at",),
    "api_key_id": ("authenticated_entity/id",),
    "source_ip": ("client_ip", "request/headers/x-forwarded-for"),
    "user_agent": ("request/headers/user-agent", "request/headers/User-Agent"),
    "operation": ("request/uri",),
    "latency_ms": ("latencies/request",),
    "status": ("response/status",),
}
_ACCOUNT: tuple[Path, ...] = (
    "consumer/id", "consumer/custom_id", "consumer/username", "authenticated_entity/consumer_id", "authenticated_entity/id",
)  # fmt: skip
_PASSED = frozenset(
    ("ai", "consumer", "authenticated_entity", "request", "response", "latencies", "route", "service", "tries",
     "upstream_uri", "upstream_status", "workspace", "workspace_name", "source", "tls", "websocket",
     "client_ip", "started_at")
)  # fmt: skip
#: Plugins that call the model. They come before plugins that only change a request.
_PROXIES = ("proxy", "ai-proxy", "ai-proxy-advanced")
_INFERENCE = re.compile(
    r"completions|messages|responses|embeddings|generatecontent|/invoke|/converse|/model/|rerank|images/generations",
    re.IGNORECASE,
)


def _sniff(record: Record) -> bool:
    keys = set(record)
    return {"started_at", "latencies", "request"} <= keys and bool(keys & {"response", "client_ip", "route"})


def _derive(records: Records, options: Options, columns: Columns) -> Columns:
    plugins = [_plugin_log(ai) for ai in records.objects("ai")]
    plugin_log = Records(records.lines, plugins)
    request_bodies = [
        as_object(v)
        for v in first_of(
            plugin_log.first_any("payload/request", "payload/request_body"),
            records.first_any("ai/payload/request"),
        )
    ]
    requests = bodies.request_columns(request_bodies)
    answers = bodies.answer_columns(plugin_log.first_any("payload/response", "payload/response_body"))
    models = first_of(
        plugin_log.first("meta/request_model"), [something(body.get("model")) for body in request_bodies]
    )
    # The answer comes first: Kong's own count lacks the cached tokens that some makers count apart.
    tokens = first_of(
        answers["input_tokens"],
        plugin_log.first("usage/prompt_tokens", "usage/prompt_token", "usage/input_tokens"),
    )
    modes = plugin_log.first("meta/request_mode")
    return requests | answers | {
        "model": models,
        "pathway": plugin_log.first("meta/provider_name"),
        "operation": [v.partition("?")[0] if isinstance(v, str) else v for v in columns["operation"]],
        "source_ip": [forwarded(v, options.trusted_hops) for v in columns["source_ip"]],
        "input_tokens": tokens,
        "output_tokens": first_of(
            plugin_log.first("usage/completion_tokens", "usage/completion_token", "usage/output_tokens"),
            answers["output_tokens"],
        ),
        "cached_tokens": first_of(
            answers["cached_tokens"], plugin_log.first("usage/prompt_tokens_details/cached_tokens")
        ),
        "reasoning_tokens": first_of(
            plugin_log.first("usage/completion_tokens_details/reasoning_tokens"), answers["reasoning_tokens"]
        ),
        "latency_ms": first_of(columns["latency_ms"], plugin_log.first("meta/llm_latency")),
        "ttft_ms": plugin_log.first("usage/time_to_first_token"),
        "stream": first_of(
            [None if v is None else str(v).startswith("stream") for v in modes], requests["stream"]
        ),
        "other": [
            model is None and n is None and not (isinstance(uri, str) and _INFERENCE.search(uri))
            for model, n, uri in zip(models, tokens, columns["operation"], strict=True)
        ],
    }  # fmt: skip


def _plugin_log(ai: Record) -> Any:
    """The log of the plugin that called the model; empty when none did."""
    for name in _PROXIES:
        if plugin := as_object(ai.get(name)):
            return plugin
    return next((v for v in ai.values() if v.__class__ is dict and ("usage" in v and "meta" in v)), {})


FORMAT = Format(
    name="kong",
    meaning="Kong Gateway logs with AI plugins",
    capabilities=frozenset(("prompts", "ip", "account", "params", "logprobs", "tokens", "latency")),
    sniff=_sniff,
    fields=_FIELDS,
    account=_ACCOUNT,
    roots=("", "consumer", "request/headers"),
    derive=_derive,
    passed=_PASSED,
)

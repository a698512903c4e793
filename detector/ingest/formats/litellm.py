"""LiteLLM: rows of ``LiteLLM_SpendLogs`` and callback records (``StandardLoggingPayload``), also mixed in one file.

Prompts are logged only when the proxy is set to store them. The proxy writes ``default_user_id`` or empty text for an
unknown user, and ``litellm-dashboard`` for its own pages; neither is an account.

Sources: BerriAI/litellm ``schema.prisma`` (``LiteLLM_SpendLogs``), ``litellm/types/utils.py`` (``StandardLoggingPayload``,
``StandardLoggingMetadata``); elastic/integrations ``lite_llm``, whose failed rows spell ``start_time``. The proxy keeps
those headers of a client that begin with ``x-``: ``x-ja4``, ``x-asn`` and ``x-country`` are there where a site's own edge
adds them, and a ``user-agent`` among them where a site's hook does (no release writes it).
"""

from __future__ import annotations

import re
from typing import Any

from detector.ingest.address import forwarded
from detector.ingest.casting import epoch_us
from detector.ingest.formats import CAPABILITIES, Columns, Format, Options, Record
from detector.ingest.messages import Conversation, carried, columns_of, conversation, minted, tools
from detector.ingest.records import Path, Records, as_list, first_of, something
from detector.ingest.semconv import NOBODY

_HEADERS = "metadata/requester_custom_headers"
_USAGE = "metadata/usage_object"
#: The request as the proxy got it: ``proxy_server_request`` in SpendLogs (some releases put it under ``body``),
#: ``model_parameters`` in callbacks.
_HOLDERS = ("proxy_server_request", "proxy_server_request/body", "model_parameters")


def _parameter(*names: str) -> tuple[Path, ...]:
    return tuple(f"{holder}/{name}" for name in names for holder in _HOLDERS)


_FIELDS: dict[str, tuple[Path, ...]] = {
    "request_id": ("request_id", "id", "litellm_call_id", "metadata/litellm_call_id"),
    "ts": ("startTime", "start_time"),
    "model": ("model_group", "model", *_parameter("model")),
    "api_key_id": ("api_key", "metadata/user_api_key_hash", "metadata/user_api_key"),
    "org_id": ("organization_id", "metadata/user_api_key_org_id", "team_id", "metadata/user_api_key_team_id"),
    "end_user_id": ("end_user", "metadata/user_api_key_end_user_id"),
    "asn": (f"{_HEADERS}/x-asn",),
    "country": (f"{_HEADERS}/x-country",),
    "ja4": (f"{_HEADERS}/x-ja4",),
    "user_agent": (f"{_HEADERS}/user-agent", "metadata/user_agent", "user_agent", "proxy_server_request/headers/user-agent"),
    "pathway": ("custom_llm_provider",),
    "operation": ("call_type",),
    "session_id": ("session_id", "trace_id"),
    "input_tokens": ("prompt_tokens", f"{_USAGE}/prompt_tokens"),
    "output_tokens": ("completion_tokens", f"{_USAGE}/completion_tokens"),
    "cached_tokens": (
        f"{_USAGE}/prompt_tokens_details/cached_tokens", f"{_USAGE}/cache_read_input_tokens",
    ),
    "reasoning_tokens": (
        f"{_USAGE}/completion_tokens_details/reasoning_tokens",
        "response/usage/completion_tokens_details/reasoning_tokens",
    ),
    "finish_reason": ("response/choices/0/finish_reason", "response/stop_reason", "response/status"),
    "stream": ("stream", *_parameter("stream")),
    "temperature": _parameter("temperature"),
    "max_tokens": _parameter("max_completion_tokens", "max_tokens", "max_output_tokens"),
    "n": _parameter("n"),
    "seed": _parameter("seed"),
    "error_class": ("error_information/error_class", "metadata/error_information/error_class"),
}  # fmt: skip
_ACCOUNT: tuple[Path, ...] = (
    "user", "metadata/user_api_key_user_id", "organization_id", "metadata/user_api_key_org_id", "team_id",
    "metadata/user_api_key_team_id", "api_key", "metadata/user_api_key_hash", "metadata/user_api_key",
)  # fmt: skip
_PASSED = frozenset(
    ("spend", "total_tokens", "model_id", "api_base", "cache_hit", "cache_key", "mcp_namespaced_tool_name", "agent_id",
     "response_cost", "cost_breakdown", "status_fields", "error_str", "error_information", "hidden_params",
     "guardrail_information", "response_cost_failure_debug_info", "saved_cache_cost", "model_map_information",
     "litellm_call_id", "standard_built_in_tools_params", "metadata", "user", "endTime", "end_time", "completionStartTime",
     "request_duration_ms", "response_time", "requester_ip_address", "messages", "response", "status", "request_tags",
     "proxy_server_request", "model_parameters", "error_code")
)  # fmt: skip
_NO_CALL = frozenset(("call_mcp_tool", "list_mcp_tools"))
_STATUS = re.compile(r"[1-5][0-9][0-9]")


def _sniff(record: Record) -> bool:
    keys = set(record)
    return "call_type" in keys and bool(
        keys
        & {
            "startTime",
            "start_time",
            "custom_llm_provider",
            "model_group",
            "api_key",
            "response_cost",
            "spend",
        }
    )


def _derive(records: Records, options: Options, columns: Columns) -> Columns:
    ends, firsts = (
        [epoch_us(v) if v is not None else None for v in records.first(*paths)]
        for paths in (("endTime", "end_time"), ("completionStartTime",))
    )
    starts = [epoch_us(v) if v is not None else None for v in columns["ts"]]
    conversations = _conversations(records)
    tool_lists = [tools(v) for v in _either(records, "tools")]
    agents = columns["user_agent"]
    if None in agents:
        tags = records.at("request_tags")
        agents = [a if a is not None else _tagged(t) for a, t in zip(agents, tags, strict=True)]
    return {
        "request_id": _ids(records, columns),
        "account_id": records.somebody(columns["account_id"], _ACCOUNT, NOBODY),
        "org_id": [None if v in NOBODY else v for v in columns["org_id"]],
        "source_ip": [
            forwarded(v, options.trusted_hops)
            for v in records.first("requester_ip_address", "metadata/requester_ip_address")
        ],
        "user_agent": agents,
        "latency_ms": _latency(records, starts, ends),
        "ttft_ms": [
            (first - start) / 1000 if start is not None and first is not None and end is not None and start <= first < end
            else None
            for start, first, end in zip(starts, firsts, ends, strict=True)
        ],
        "status": _status(records),
        "top_logprobs": _logprobs(records),
        "logit_bias": _either(records, "logit_bias"),
        "stop_count": [_n_stops(v) for v in _either(records, "stop")],
        **columns_of(conversations),
        "minted": [minted(v) for v in records.at("response")],
        "tool_count": [n for n, _ in tool_lists],
        "tool_names": [names for _, names in tool_lists],
        "other": [v in _NO_CALL for v in columns["operation"]],
    }  # fmt: skip


def _ids(records: Records, columns: Columns) -> list[Any]:
    """Ids of requests. A call without an id of its own gets its trace and time as the id."""
    ids = columns["request_id"]
    if None not in ids:
        return ids
    traces = records.first("trace_id", "session_id")
    return [
        f"{trace}:{start}" if name is None and trace is not None and start is not None else name
        for name, trace, start in zip(ids, traces, columns["ts"], strict=True)
    ]


def _either(records: Records, name: str) -> list[Any]:
    """A parameter, unchanged, from the first place that has it."""
    return first_of(*(records.at(f"{holder}/{name}") for holder in _HOLDERS))


def _n_stops(value: Any) -> int | None:
    return len(value) if isinstance(value, list) else 1 if isinstance(value, str) and value else None


def _conversations(records: Records) -> list[Conversation]:
    """The conversation of each entry: from the stored request, or from the callback's ``messages``."""
    conversations: list[Conversation] = []
    holders = (records.objects(holder) for holder in _HOLDERS)
    rows = zip(*holders, records.at("messages"), records.at("call_type"), strict=True)
    for outer, body, parameters, messages, call in rows:
        request = body or outer or parameters
        messages_given = next((request[k] for k in _places(call) if request.get(k)), None)
        system = request.get("system") or request.get("instructions")
        # The gateway's own column holds messages as JSON text. Text inside the request is the caller's.
        one = (
            conversation(messages or None, system, stored=True)
            if messages_given is None
            else conversation(messages_given, system)
        )
        previous = request.get("previous_response_id")
        conversations.append(one._replace(carried=carried(one.carried, previous)) if previous else one)
    return conversations


def _places(call: Any) -> tuple[str, ...]:
    """Keys of the input, in order, for a request of this kind: a caller may add other keys that the model never sees."""
    call = call if isinstance(call, str) else ""
    if "text_completion" in call or "image" in call or "moderation" in call:
        return ("prompt", "input", "messages", "contents")
    if "embedding" in call or "responses" in call or "speech" in call:
        return ("input", "messages", "prompt", "contents")
    return ("messages", "input", "prompt", "contents")


def _tagged(tags: Any) -> str | None:
    """The longest client name that the proxy put among a request's tags."""
    named = [t[12:] for t in as_list(tags) or () if isinstance(t, str) and t.startswith("User-Agent: ")]
    return max(named, default=None)


def _latency(records: Records, starts: list[int | None], ends: list[int | None]) -> list[Any]:
    durations, waits = records.first("request_duration_ms"), records.first("response_time")
    latencies: list[Any] = []
    for duration, wait, start, end in zip(durations, waits, starts, ends, strict=True):
        if duration is not None:
            latencies.append(duration)
        elif isinstance(wait, int | float):
            latencies.append(wait * 1000)
        else:
            latencies.append((end - start) / 1000 if start is not None and end is not None else None)
    return latencies


def _status(records: Records) -> list[Any]:
    codes = records.first(
        "error_information/error_code", "metadata/error_information/error_code", "error_code"
    )
    stated = records.first("status", "metadata/status")
    return [
        (code if _STATUS.fullmatch(str(code)) else "failure") if word == "failure" else word
        for word, code in zip(stated, codes, strict=True)
    ]


def _logprobs(records: Records) -> list[Any]:
    """Numbers of alternatives: ``top_logprobs``, or the older ``logprobs``, which may be a number itself."""
    tops, flags = _either(records, "top_logprobs"), _either(records, "logprobs")
    counts: list[Any] = []
    for top, flag in zip(tops, flags, strict=True):
        if flag is True:
            counts.append(max(top, 1) if isinstance(top, int) else 1)
        else:
            counts.append(0 if flag is False else top if something(top) is not None else flag)
    return counts


FORMAT = Format(
    name="litellm",
    meaning="LiteLLM proxy: SpendLogs rows or StandardLoggingPayload records",
    capabilities=frozenset(CAPABILITIES),
    sniff=_sniff,
    fields=_FIELDS,
    account=_ACCOUNT,
    roots=("", "metadata"),
    derive=_derive,
    passed=_PASSED,
)

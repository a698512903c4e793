"""Langfuse: observations from its blob-storage export (JSON lines, CSV, Parquet) or its API.

Exports are snake_case, the API is camelCase. A generation is one call of a model. Spans, tools and agents are only
counted, and so is a generation around another one of the same model. An export may lack groups of fields. The older
``observations/`` files have no user; such entries are rejected, since a project is no account.

Sources: langfuse.com, "Blob Storage Export Field Reference", "Observations API", "Token & cost tracking".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from detector.ingest import carriers
from detector.ingest.calls import error_status
from detector.ingest.casting import epoch_us, scaled
from detector.ingest.formats import Columns, Format, Options, Record
from detector.ingest.messages import NONE, columns_of, minted, n_logprobs, n_stops, tools
from detector.ingest.records import Path, Records, as_list, as_object, something


def _both(*names: str) -> tuple[str, ...]:
    """Names of the export, each with its spelling in the API."""
    return tuple(spelled for name in names for spelled in dict.fromkeys((name, _camel(name))))


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


def _parameter(*names: str) -> tuple[str, ...]:
    return tuple(f"{holder}/{name}" for name in names for holder in _both("model_parameters"))


_FIELDS: dict[str, tuple[Path, ...]] = {
    "request_id": ("id",),
    "ts": _both("start_time"),
    "account_id": _both("user_id"),
    "model": (*_both("provided_model_name"), "model"),
    "org_id": _both("project_id"),
    "session_id": _both("session_id"),
    "temperature": _parameter("temperature"),
    "max_tokens": _parameter("max_completion_tokens", "max_tokens", "max_output_tokens", "maxTokens", "maxOutputTokens"),
    "n": _parameter("n"),
    "seed": _parameter("seed"),
    "stream": _parameter("stream"),
}  # fmt: skip
#: Kinds of usage in several spellings: tokens read from a cache; below, tokens of hidden reasoning.
_CACHED = ("input_cached_tokens", "cache_read_input_tokens", "input_cache_read", "input_cache_read_tokens")
_REASONING = ("output_reasoning_tokens", "output_reasoning", "reasoning_tokens")
_PASSED: frozenset[str] = frozenset(
    (*_both("trace_id", "parent_observation_id", "end_time", "status_message", "model_parameters", "usage_details",
            "cost_details", "completion_start_time", "prompt_name", "prompt_version", "total_cost", "model_id",
            "created_at", "updated_at", "prompt_id", "tool_calls", "tool_call_names", "tool_definitions", "trace_name",
            "usage_pricing_tier_id", "usage_pricing_tier_name", "internal_model_id", "input_usage", "output_usage",
            "total_usage", "input_cost", "output_cost", "input_price", "output_price", "total_price",
            "time_to_first_token", "metadata_names", "metadata_values", "calculated_input_cost", "calculated_output_cost",
            "calculated_total_cost", "prompt_tokens", "completion_tokens", "total_tokens"),
     "type", "environment", "name", "metadata", "level", "version", "input", "output", "latency", "tags", "release",
     "bookmarked", "public", "usage", "unit")
)  # fmt: skip


def _sniff(record: Record) -> bool:
    has = set(record)
    return {"id", "type"} <= has and any(
        {trace, parent, start} <= has
        for trace, parent, start in (
            ("trace_id", "parent_observation_id", "start_time"),
            ("traceId", "parentObservationId", "startTime"),
        )
    )


def _calls(entries: list[Any]) -> list[bool]:
    """Whether each entry is a generation without another one of the same model inside it."""
    generations = [str(entry.get("type")).upper() == "GENERATION" for entry in entries]
    models = {
        str(entry.get("id")): _model(entry) for entry, call in zip(entries, generations, strict=True) if call
    }
    around: set[str] = set()
    for entry, call in zip(entries, generations, strict=True):
        parent = str(entry.get("parent_observation_id") or entry.get("parentObservationId") or "")
        if (
            call
            and parent in models
            and parent != str(entry.get("id"))
            and models[parent] in (None, _model(entry))
        ):
            around.add(parent)
    return [
        call and str(entry.get("id")) not in around for entry, call in zip(entries, generations, strict=True)
    ]


def _model(entry: Mapping[str, Any]) -> Any:
    return next((v for name in _FIELDS["model"] if (v := something(entry.get(str(name)))) is not None), None)


def _derive(records: Records, options: Options, columns: Columns) -> Columns:
    conversations = [
        carriers.conversation_or_text(value, None) if value not in (None, "") else NONE
        for value in records.at("input")
    ]
    tool_lists = [_offered(v) for v in records.first_any(*_both("tool_definitions"), "input/tools")]
    used = [_usage(v) for v in records.first_any(*_both("usage_details"), "usage")]
    outputs = [v if v != "" else None for v in records.at("output")]
    stops = records.first_any(*_parameter("stop", "stop_sequences"))
    return {
        "input_tokens": [_summed(u, "input") for u in used],
        "output_tokens": [_summed(u, "output") for u in used],
        "cached_tokens": [next((u[n] for n in _CACHED if n in u), None) for u in used],
        "reasoning_tokens": [next((u[n] for n in _REASONING if n in u), None) for u in used],
        "latency_ms": _waits(records, columns["ts"], "latency", "end_time"),
        "ttft_ms": _waits(records, columns["ts"], "time_to_first_token", "completion_start_time"),
        "status": [
            error_status(None, None, (message,)) if str(level).upper() == "ERROR" else "success"
            for level, message in zip(
                records.at("level"), records.first(*_both("status_message")), strict=True
            )
        ],
        "finish_reason": [carriers.finish_in(v) if v is not None else None for v in outputs],
        **columns_of(conversations),
        "minted": [minted(v) if v is not None else None for v in outputs],
        "tool_count": [n for n, _ in tool_lists],
        "tool_names": [names for _, names in tool_lists],
        "stop_count": [n_stops(v) for v in stops],
        "logit_bias": records.first_any(*_parameter("logit_bias")),
        "top_logprobs": [
            n_logprobs(top, flag)
            for top, flag in zip(
                records.first(*_parameter("top_logprobs")),
                records.first(*_parameter("logprobs")),
                strict=True,
            )
        ],
    }


def _offered(value: Any) -> tuple[int | None, list[str] | None]:
    """Tools as a list, or as an object of name to schema."""
    named = as_object(value)
    if named and "tools" not in named:
        return len(named), list(named)
    return tools(value)


def _usage(value: Any) -> dict[str, float]:
    """Kinds of usage. Parquet writes a map as a list of pairs."""
    listed = as_list(value)
    if listed is not None:
        value = {}
        for pair in listed:
            if pair.__class__ is dict and "key" in pair:
                value[str(pair["key"])] = pair.get("value")
            elif pair.__class__ is list and len(pair) == 2:
                value[str(pair[0])] = pair[1]
    usage: dict[str, float] = {}
    for name, number in as_object(value).items():
        try:
            usage[name] = float(number)
        except (TypeError, ValueError):
            continue
    return usage


def _summed(used: Mapping[str, float], way: str) -> float | None:
    """Tokens in or out: the sum of all kinds of that way, or the plain one if the total shows that it includes them."""
    parts = [number for name, number in used.items() if way in name.lower() and number == number]
    if not parts:
        return None
    plain, total = used.get(way), used.get("total")
    if plain is not None and total is not None and total == used.get("input", 0) + used.get("output", 0):
        return plain
    return sum(parts)


def _waits(records: Records, starts: list[Any], seconds: str, until: str) -> list[Any]:
    """Milliseconds from a column of seconds, else from the start to a time."""
    stated, ends = records.first(*_both(seconds)), records.first(*_both(until))
    return [
        scaled(value, 1000) if value is not None else _between(start, end)
        for value, start, end in zip(stated, starts, ends, strict=True)
    ]


def _between(start: Any, end: Any) -> float | None:
    low, high = epoch_us(start), epoch_us(end)
    return (high - low) / 1000 if low is not None and high is not None else None


FORMAT = Format(
    name="langfuse",
    meaning="Langfuse observations: blob-storage export or API",
    capabilities=frozenset(("prompts", "account", "params", "logprobs", "tokens", "latency", "session")),
    sniff=_sniff,
    fields=_FIELDS,
    roots=("", "metadata"),
    derive=_derive,
    join=_calls,
    passed=_PASSED,
)

"""Langfuse: observations as its blob-storage export (JSON lines, CSV, Parquet) and its API give them.

Exports are snake_case, the API camelCase. A generation is one call of a model; spans, tools and agents are only counted,
and so is a generation around another one of the same model. An export may lack groups of fields, and the older
``observations/`` files have no user: entries without one are rejects, since a project is no account.

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
    """Names of the export, and as the API spells them."""
    return tuple(spelled for name in names for spelled in dict.fromkeys((name, _camel(name))))


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


def _asked(*names: str) -> tuple[str, ...]:
    return tuple(f"{holder}/{name}" for name in names for holder in _both("model_parameters"))


_FIELDS: dict[str, tuple[Path, ...]] = {
    "request_id": ("id",),
    "ts": _both("start_time"),
    "account_id": _both("user_id"),
    "model": (*_both("provided_model_name"), "model"),
    "org_id": _both("project_id"),
    "session_id": _both("session_id"),
    "temperature": _asked("temperature"),
    "max_tokens": _asked("max_completion_tokens", "max_tokens", "max_output_tokens", "maxTokens", "maxOutputTokens"),
    "n": _asked("n"),
    "seed": _asked("seed"),
    "stream": _asked("stream"),
}  # fmt: skip
#: Kinds of usage, each tokens of its own; what is read from a cache and what was hidden reasoning, in several spellings.
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
    """Generations, but for those around another generation of the same model."""
    found = [str(entry.get("type")).upper() == "GENERATION" for entry in entries]
    models = {str(entry.get("id")): _model(entry) for entry, call in zip(entries, found, strict=True) if call}
    around: set[str] = set()
    for entry, call in zip(entries, found, strict=True):
        parent = str(entry.get("parent_observation_id") or entry.get("parentObservationId") or "")
        if (
            call
            and parent in models
            and parent != str(entry.get("id"))
            and models[parent] in (None, _model(entry))
        ):
            around.add(parent)
    return [call and str(entry.get("id")) not in around for entry, call in zip(entries, found, strict=True)]


def _model(entry: Mapping[str, Any]) -> Any:
    return next((v for name in _FIELDS["model"] if (v := something(entry.get(str(name)))) is not None), None)


def _derive(records: Records, options: Options, columns: Columns) -> Columns:
    talks = [
        carriers.written(value, None) if value not in (None, "") else NONE for value in records.at("input")
    ]
    offered = [_offered(v) for v in records.first_held(*_both("tool_definitions"), "input/tools")]
    used = [_usage(v) for v in records.first_held(*_both("usage_details"), "usage")]
    outputs = [v if v != "" else None for v in records.at("output")]
    stops = records.first_held(*_asked("stop", "stop_sequences"))
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
        **columns_of(talks),
        "minted": [minted(v) if v is not None else None for v in outputs],
        "tool_count": [n for n, _ in offered],
        "tool_names": [names for _, names in offered],
        "stop_count": [n_stops(v) for v in stops],
        "logit_bias": records.first_held(*_asked("logit_bias")),
        "top_logprobs": [
            n_logprobs(top, flag)
            for top, flag in zip(
                records.first(*_asked("top_logprobs")), records.first(*_asked("logprobs")), strict=True
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
    """Kinds of usage; Parquet keeps a map as a list of pairs."""
    listed = as_list(value)
    if listed is not None:
        value = {}
        for pair in listed:
            if pair.__class__ is dict and "key" in pair:
                value[str(pair["key"])] = pair.get("value")
            elif pair.__class__ is list and len(pair) == 2:
                value[str(pair[0])] = pair[1]
    made: dict[str, float] = {}
    for name, number in as_object(value).items():
        try:
            made[name] = float(number)
        except (TypeError, ValueError):
            continue
    return made


def _summed(used: Mapping[str, float], way: str) -> float | None:
    """Tokens in or out: the kinds that say so together, unless the total shows that the plain one holds the others."""
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

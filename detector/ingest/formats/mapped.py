"""Any JSON or CSV whose keys a site names itself: APISIX, nginx, an application's own log.

The map is ``[mapped_keys]`` of the configuration: a canonical column, or one of ``EXTRA``, to the path of its value. It is
used with ``--format mapped``, and for files whose entries mostly have the paths of the map.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from detector.ingest import bodies
from detector.ingest.address import forwarded
from detector.ingest.carriers import conversation_or_text
from detector.ingest.casting import scaled, total
from detector.ingest.formats import CAPABILITIES, Columns, Format, Options, Record
from detector.ingest.messages import columns_of, n_stops, tools
from detector.ingest.records import Path, Records, as_object, first_of, named_paths, something, steps
from features import schema

Keys = Mapping[str, str | Sequence[str]]
#: What can be mapped in addition to the canonical columns, and its meaning.
EXTRA = {
    "request_body": "the request as it was sent: prompt, parameters, tools",
    "response_body": "the answer as it was sent: how it ended, its tokens",
    "latency_s": "latency in seconds",
    "ttft_s": "time to the first token in seconds",
    "cache_read_tokens": "tokens read from a cache that input_tokens leaves out",
    "cache_write_tokens": "tokens written to a cache that input_tokens leaves out",
}
_CANONICAL = tuple(c.name for c in schema.CANONICAL)
_ACCOUNT = ("account_id", "org_id", "api_key_id")
#: Columns whose value may be an object or a list.
_WHOLE = frozenset(("prompt", "system_prompt", "tool_names", "logit_bias", "minted", "carried", "stop_count"))
#: Words of a path that show a model call. If an operation is mapped, a line without a model needs one of them.
_INFERENCE = (
    "completions", "messages", "responses", "embeddings", "generatecontent", "/invoke", "/converse", "/model/", "rerank",
    "images/generations",
)  # fmt: skip


def faults(keys: Keys) -> list[str]:
    """What is wrong with a map; empty when nothing is."""
    faults = [f"no such column {name!r}" for name in sorted(set(keys) - set(_CANONICAL) - set(EXTRA))]
    faults += [f"{name} is not mapped" for name in ("request_id", "ts") if name not in keys]
    if not set(_ACCOUNT) & set(keys):
        faults.append("none of account_id, org_id and api_key_id is mapped")
    if not {"model", "request_body"} & set(keys):
        faults.append("neither model nor request_body is mapped")
    return faults


def candidates(value: str | Sequence[str]) -> tuple[Path, ...]:
    """The paths of a setting: one text or several; the first path with a value wins."""
    listed = [value] if isinstance(value, str) else value
    return tuple(path for text in listed if not text.startswith("=") for path in named_paths(text))


def _chosen(record: Record, options: Options) -> bool:
    """Whether a record has the paths of the map for the required columns."""
    if not options.mapped_keys:
        return False
    # The keys decide and not their values: a caller can blank an id or have no account.
    entry = Records([1], [record])
    names = {
        name
        for name in ("request_id", "ts", *_ACCOUNT)
        if (value := options.mapped_keys.get(name)) and _is_there(entry, value)
    }
    return {"request_id", "ts"} <= names and len(names) > 2


def _is_there(entry: Records, value: str | Sequence[str]) -> bool:
    for text in [value] if isinstance(value, str) else value:
        if text.startswith("="):
            return True
        for path in named_paths(text):
            *holder, name = steps(path)
            if name in (entry.objects(tuple(holder))[0] if holder else entry.entries[0]):
                return True
    return False


def _table(options: Options) -> Mapping[str, tuple[Path, ...]]:
    return {name: candidates(value) for name, value in options.mapped_keys.items()}


def _column(records: Records, value: str | Sequence[str], *, whole: bool = False) -> list[Any]:
    """The values of a setting. A text that starts with ``=`` is itself the value."""
    merged: list[Any] = [None] * len(records)
    for text in [value] if isinstance(value, str) else value:
        if text.startswith("="):
            values: list[Any] = [text[1:]] * len(records)
        elif whole:
            values = first_of(*(records.at(path) for path in named_paths(text)))
            values = [v if v.__class__ in (dict, list) else something(v) for v in values]
        else:
            values = records.first(*named_paths(text))
        merged = first_of(merged, values)
    return merged


def _derive(records: Records, options: Options, columns: Columns) -> Columns:
    keys = options.mapped_keys
    own: Columns = {
        name: _column(records, value, whole=name in _WHOLE or name in EXTRA) for name, value in keys.items()
    }
    if "account_id" in columns:  # the site's account_attribute comes first
        own["account_id"] = first_of(columns["account_id"], own.get("account_id", columns["account_id"]))
    account = [own[name] for name in _ACCOUNT if name in own]
    derived: Columns = {}
    if "request_body" in own:
        request_bodies = [as_object(v) for v in own["request_body"]]
        derived |= bodies.request_columns(request_bodies) | {
            "model": [something(body.get("model")) for body in request_bodies]
        }
    if "response_body" in own:
        derived |= bodies.answer_columns(own["response_body"])
    for name, values in own.items():
        if name in EXTRA or name == "prompt":
            continue
        derived[name] = first_of(values, derived[name]) if name in derived else values
    if "prompt" in own:
        derived |= _conversation(own, derived)
    if "tool_names" in own:
        derived |= _offered(own)
    if "stop_count" in own:
        derived["stop_count"] = [n_stops(v) if v.__class__ is list else v for v in own["stop_count"]]
    if account:
        derived["account_id"] = first_of(*account)
    if "source_ip" in own:
        derived["source_ip"] = [forwarded(v, options.trusted_hops) for v in own["source_ip"]]
    for name, seconds in (("latency_ms", "latency_s"), ("ttft_ms", "ttft_s")):
        if seconds in own:
            in_ms = [scaled(v, 1000) for v in own[seconds]]
            derived[name] = first_of(own[name], in_ms) if name in own else in_ms
    if "input_tokens" in derived:
        cached = [
            own.get(name, [None] * len(records)) for name in ("cache_read_tokens", "cache_write_tokens")
        ]
        derived["input_tokens"] = [
            total(n, *rest) for n, *rest in zip(derived["input_tokens"], *cached, strict=True)
        ]
    if "cache_read_tokens" in own:
        derived["cached_tokens"] = first_of(
            derived.get("cached_tokens", own["cache_read_tokens"]), own["cache_read_tokens"]
        )
    derived["other"] = _other(derived, len(records))
    return derived


def _conversation(own: Columns, derived: Columns) -> Columns:
    """Columns of a prompt, which may be text, parts or a list of messages. Mapped columns win over its other parts."""
    conversations = [conversation_or_text(v, None) for v in own["prompt"]]
    parts = columns_of(conversations)
    prompts = parts.pop("prompt")
    return {"prompt": first_of(prompts, derived["prompt"]) if "prompt" in derived else prompts} | {
        name: first_of(derived[name], values) if name in derived else values for name, values in parts.items()
    }


def _offered(own: Columns) -> Columns:
    """Names of tools, from a list of names or a list of tools."""
    listed = [tools(v) if v.__class__ in (dict, list) else (None, v) for v in own["tool_names"]]
    columns: Columns = {"tool_names": [names for _, names in listed]}
    if "tool_count" not in own:
        columns["tool_count"] = [n for n, _ in listed]
    return columns


def _other(columns: Columns, n: int) -> list[bool]:
    """Lines of a web server's log that are no model call: they have no model, no tokens, and no path of inference."""
    targets = columns.get("operation")
    if targets is None:
        return [False] * n
    nothing: list[Any] = [None] * n
    return [
        model is None and tokens is None and isinstance(target, str) and target.lstrip().startswith(("/", "http"))
        and not any(word in target.lower() for word in _INFERENCE)
        for model, tokens, target in zip(
            columns.get("model", nothing), columns.get("input_tokens", nothing), targets, strict=True
        )
    ]  # fmt: skip


def _sniff(record: Record) -> bool:
    """Never true: only a site's map says what its entries are."""
    return False


FORMAT = Format(
    name="mapped",
    meaning="any JSON or CSV by the map [mapped_keys] of the configuration",
    capabilities=frozenset(CAPABILITIES),
    sniff=_sniff,
    fields={},
    table=_table,
    derive=_derive,
    chosen=_chosen,
    setting="mapped_keys",
)

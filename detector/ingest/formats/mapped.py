"""Any JSON or CSV whose keys a site names itself: APISIX, nginx, an application's own log.

The map is ``[mapped_keys]`` of the configuration: a canonical column, or one of ``EXTRA``, to the path of its value. It is
used when ``--format mapped`` says so, and by itself for files in most of whose entries the map's paths lead somewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from detector.ingest import bodies
from detector.ingest.address import forwarded
from detector.ingest.carriers import written
from detector.ingest.casting import scaled, total
from detector.ingest.formats import CAPABILITIES, Columns, Format, Options, Record
from detector.ingest.messages import columns_of, n_stops, tools
from detector.ingest.records import Path, Records, as_object, first_of, named_paths, something, steps
from features import schema

Keys = Mapping[str, str | Sequence[str]]
#: What can be mapped beside the canonical columns, and what becomes of it.
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
#: Words of a path that say that a model was called; with an operation mapped, lines without model need one of them.
_INFERENCE = (
    "completions", "messages", "responses", "embeddings", "generatecontent", "/invoke", "/converse", "/model/", "rerank",
    "images/generations",
)  # fmt: skip


def faults(keys: Keys) -> list[str]:
    """What is wrong with a map; empty where nothing is."""
    found = [f"no such column {name!r}" for name in sorted(set(keys) - set(_CANONICAL) - set(EXTRA))]
    found += [f"{name} is not mapped" for name in ("request_id", "ts") if name not in keys]
    if not set(_ACCOUNT) & set(keys):
        found.append("none of account_id, org_id and api_key_id is mapped")
    if not {"model", "request_body"} & set(keys):
        found.append("neither model nor request_body is mapped")
    return found


def candidates(value: str | Sequence[str]) -> tuple[Path, ...]:
    """The paths a setting names: one text, or several of which the first that says something is taken."""
    listed = [value] if isinstance(value, str) else value
    return tuple(path for text in listed if not text.startswith("=") for path in named_paths(text))


def _chosen(record: Record, options: Options) -> bool:
    """Whether the map leads somewhere for what no request can do without."""
    if not options.mapped_keys:
        return False
    # That the places are there tells, not what stands in them: a caller can blank an id or go without an account.
    entry = Records([1], [record])
    found = {
        name
        for name in ("request_id", "ts", *_ACCOUNT)
        if (value := options.mapped_keys.get(name)) and _is_there(entry, value)
    }
    return {"request_id", "ts"} <= found and len(found) > 2


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
    """The values a setting names; a text that starts with ``=`` stands for itself."""
    made: list[Any] = [None] * len(records)
    for text in [value] if isinstance(value, str) else value:
        if text.startswith("="):
            found: list[Any] = [text[1:]] * len(records)
        elif whole:
            found = first_of(*(records.at(path) for path in named_paths(text)))
            found = [v if v.__class__ in (dict, list) else something(v) for v in found]
        else:
            found = records.first(*named_paths(text))
        made = first_of(made, found)
    return made


def _derive(records: Records, options: Options, columns: Columns) -> Columns:
    keys = options.mapped_keys
    own: Columns = {
        name: _column(records, value, whole=name in _WHOLE or name in EXTRA) for name, value in keys.items()
    }
    if "account_id" in columns:  # a site's account_attribute has been looked at before
        own["account_id"] = first_of(columns["account_id"], own.get("account_id", columns["account_id"]))
    account = [own[name] for name in _ACCOUNT if name in own]
    made: Columns = {}
    if "request_body" in own:
        sent = [as_object(v) for v in own["request_body"]]
        made |= bodies.asked(sent) | {"model": [something(body.get("model")) for body in sent]}
    if "response_body" in own:
        made |= bodies.answered(own["response_body"])
    for name, values in own.items():
        if name in EXTRA or name == "prompt":
            continue
        made[name] = first_of(values, made[name]) if name in made else values
    if "prompt" in own:
        made |= _conversation(own, made)
    if "tool_names" in own:
        made |= _offered(own)
    if "stop_count" in own:
        made["stop_count"] = [n_stops(v) if v.__class__ is list else v for v in own["stop_count"]]
    if account:
        made["account_id"] = first_of(*account)
    if "source_ip" in own:
        made["source_ip"] = [forwarded(v, options.trusted_hops) for v in own["source_ip"]]
    for name, seconds in (("latency_ms", "latency_s"), ("ttft_ms", "ttft_s")):
        if seconds in own:
            in_ms = [scaled(v, 1000) for v in own[seconds]]
            made[name] = first_of(own[name], in_ms) if name in own else in_ms
    if "input_tokens" in made:
        apart = [own.get(name, [None] * len(records)) for name in ("cache_read_tokens", "cache_write_tokens")]
        made["input_tokens"] = [
            total(n, *rest) for n, *rest in zip(made["input_tokens"], *apart, strict=True)
        ]
    if "cache_read_tokens" in own:
        made["cached_tokens"] = first_of(
            made.get("cached_tokens", own["cache_read_tokens"]), own["cache_read_tokens"]
        )
    made["other"] = _other(made, len(records))
    return made


def _conversation(own: Columns, made: Columns) -> Columns:
    """A prompt may be text, parts, or the list of messages. Its system text, turn and images yield to mapped ones."""
    talks = [written(v, None) for v in own["prompt"]]
    parts = columns_of(talks)
    prompts = parts.pop("prompt")
    return {"prompt": first_of(prompts, made["prompt"]) if "prompt" in made else prompts} | {
        name: first_of(made[name], values) if name in made else values for name, values in parts.items()
    }


def _offered(own: Columns) -> Columns:
    """Names of tools, from a list of names or of the tools as they were offered."""
    listed = [tools(v) if v.__class__ in (dict, list) else (None, v) for v in own["tool_names"]]
    found: Columns = {"tool_names": [names for _, names in listed]}
    if "tool_count" not in own:
        found["tool_count"] = [n for n, _ in listed]
    return found


def _other(made: Columns, n: int) -> list[bool]:
    """Lines of a web server's log that are no model call: no model, no tokens, a path that is none of inference."""
    targets = made.get("operation")
    if targets is None:
        return [False] * n
    nothing: list[Any] = [None] * n
    return [
        model is None and tokens is None and isinstance(target, str) and target.lstrip().startswith(("/", "http"))
        and not any(word in target.lower() for word in _INFERENCE)
        for model, tokens, target in zip(
            made.get("model", nothing), made.get("input_tokens", nothing), targets, strict=True
        )
    ]  # fmt: skip


def _sniff(record: Record) -> bool:
    """Never by itself: only a site's map says what its entries are."""
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

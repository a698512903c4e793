"""Amazon Bedrock model-invocation logs: Converse and the bodies of every maker that Bedrock serves.

A customer's own log: the account is the calling role (its session name left off) or user, the organisation the AWS
account. Addresses and clients are in CloudTrail, not here. Bedrock counts tokens read from and written to its cache
beside ``inputTokenCount``; here they are part of ``input_tokens``, as in every format.

Sources: "Monitor model invocation using CloudWatch Logs and Amazon S3" and "Inference request parameters and response
fields" (Amazon Bedrock user guide), "Converse" (API reference), elastic/integrations ``aws_bedrock`` invocation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from detector.ingest import streams
from detector.ingest.casting import total
from detector.ingest.formats import Columns, Format, Options, Record
from detector.ingest.messages import (
    NONE,
    Conversation,
    carried,
    conversation,
    minted,
    n_logprobs,
    n_stops,
    text_of,
    tools,
)
from detector.ingest.records import Path, Records, as_list, as_object

_IN, _OUT = "input/inputBodyJson", "output/outputBodyJson"


def _body(*names: str) -> tuple[Path, ...]:
    return tuple(f"{_IN}/{name}" for name in names)


_FIELDS: dict[str, tuple[Path, ...]] = {
    "request_id": ("requestId",),
    "ts": ("timestamp",),
    "model": ("modelId",),
    "api_key_id": ("identity/arn",),
    "org_id": ("accountId",),
    "operation": ("operation",),
    "temperature": _body("inferenceConfig/temperature", "temperature", "textGenerationConfig/temperature"),
    "max_tokens": _body(
        "inferenceConfig/maxTokens", "inferenceConfig/max_new_tokens", "max_tokens", "max_completion_tokens",
        "max_output_tokens", "textGenerationConfig/maxTokenCount", "max_gen_len", "max_tokens_to_sample", "maxTokens",
    ),
    "n": _body("n", "num_generations", "numResults", "imageGenerationConfig/numberOfImages"),
    "seed": _body(
        "seed", "additionalModelRequestFields/seed", "imageGenerationConfig/seed", "videoGenerationConfig/seed",
    ),
    "stop_count": _body(
        "inferenceConfig/stopSequences", "stop_sequences", "textGenerationConfig/stopSequences", "stop", "stopSequences",
    ),
    "error_class": ("errorCode",),
}  # fmt: skip
_ACCOUNT: tuple[Path, ...] = ("identity/arn", "accountId")
_PASSED = frozenset(
    ("schemaVersion", "region", "inferenceRegion", "input", "output", "identity", "requestMetadata", "performanceConfig",
     "schemaType", "status")
)  # fmt: skip
#: HTTP status of the service's error names.
_ERRORS = {
    "AccessDenied": 403, "ExpiredToken": 403, "UnrecognizedClient": 403, "ResourceNotFound": 404, "Throttling": 429,
    "ServiceQuotaExceeded": 429, "TooManyRequests": 429, "Validation": 400, "ModelTimeout": 408, "ModelNotReady": 429,
    "ModelError": 424, "ModelStreamError": 424, "ServiceUnavailable": 503, "InternalServer": 500,
}  # fmt: skip
_STATUS = re.compile(r"[1-5][0-9][0-9]")
#: An assumed role is one caller, however many sessions it opens.
_ROLE = re.compile(r"(.*:assumed-role/[^/]+)/.*", re.DOTALL)


def _sniff(record: Record) -> bool:
    return record.get("schemaType") == "ModelInvocationLog" or {"requestId", "modelId", "timestamp"} <= set(
        record
    )


def _spread(record: Record) -> Iterator[Record]:
    if record.get("schemaType") not in (None, "ModelInvocationLog"):
        raise ValueError("not a model invocation")
    yield record


def _derive(records: Records, options: Options, columns: Columns) -> Columns:
    bodies = records.objects(_IN)
    answers = [streams.answer(v) for v in records.at(_OUT)]
    out = Records(records.lines, answers)
    talks = [_talk(body) for body in bodies]
    offered = [tools(as_object(b.get("toolConfig")).get("tools") or b.get("tools")) for b in bodies]
    counts = [
        records.first("input/inputTokenCount"),
        out.first("usage/inputTokens", "usage/input_tokens", "usage/prompt_tokens", "metrics/inputTokenCount",
                  "prompt_token_count", "inputTextTokenCount"),
    ]  # fmt: skip
    read = _either(
        records.first("input/cacheReadInputTokenCount"),
        out.first(
            "usage/cacheReadInputTokens", "usage/cache_read_input_tokens", "metrics/cacheReadInputTokenCount"
        ),
    )
    written = _either(
        records.first("input/cacheWriteInputTokenCount"),
        out.first(
            "usage/cacheWriteInputTokens",
            "usage/cache_creation_input_tokens",
            "metrics/cacheWriteInputTokenCount",
        ),
    )
    return {
        "account_id": [_ROLE.sub(r"\1", a) if isinstance(a, str) else a for a in columns["account_id"]],
        "model": [m.rpartition("/")[2] or m if isinstance(m, str) else m for m in columns["model"]],
        "pathway": ["bedrock"] * len(records),
        "prompt": [t.prompt for t in talks],
        "system_prompt": [t.system for t in talks],
        "turn": [t.turn for t in talks],
        "n_images": [t.n_images for t in talks],
        "carried": [
            carried(t.carried, previous) if previous else t.carried
            for t, previous in zip(talks, records.at(f"{_IN}/previous_response_id"), strict=True)
        ],
        "minted": [minted(a) for a in answers],
        "tool_count": [n for n, _ in offered],
        "tool_names": [names for _, names in offered],
        "input_tokens": [total(c, r, w) for c, r, w in zip(_either(*counts), read, written, strict=True)],
        "cached_tokens": _either(read, out.first("usage/prompt_tokens_details/cached_tokens")),
        "output_tokens": _either(
            records.first("output/outputTokenCount"),
            out.first("usage/outputTokens", "usage/output_tokens", "usage/completion_tokens", "metrics/outputTokenCount",
                      "generation_token_count"),
        ),
        "reasoning_tokens": out.first(
            "usage/completion_tokens_details/reasoning_tokens", "usage/output_tokens_details/reasoning_tokens"
        ),
        "latency_ms": out.first(
            "metrics/latencyMs", "metrics/invocationLatency", f"{streams.METRICS}/invocationLatency"
        ),
        "ttft_ms": out.first("metrics/firstByteLatency", f"{streams.METRICS}/firstByteLatency"),
        "status": [
            _status(given, code)
            for given, code in zip(records.first("status"), records.first("errorCode"), strict=True)
        ],
        "finish_reason": [
            "guardrail_intervened" if a.get(streams.GUARDRAIL) == "INTERVENED" else streams.finish(a) for a in answers
        ],
        "stream": [
            None if name is None else str(name).endswith("Stream") or flag is True
            for name, flag in zip(columns["operation"], records.at(f"{_IN}/stream"), strict=True)
        ],
        "stop_count": [n_stops(v) for v in _given(records, "stop_count")],
        "top_logprobs": [
            n_logprobs(top, asked)
            for top, asked in zip(records.at(f"{_IN}/top_logprobs"), records.at(f"{_IN}/logprobs"), strict=True)
        ],
        "logit_bias": records.at(f"{_IN}/logit_bias"),
    }  # fmt: skip


def _either(first: list[Any], *others: list[Any]) -> list[Any]:
    made = first
    for other in others:
        made = [o if m is None else m for m, o in zip(made, other, strict=True)]
    return made


def _given(records: Records, name: str) -> list[Any]:
    """The first value there is along a field's paths, a list among them."""
    return _either(*(records.at(path) for path in _FIELDS[name]))


def _status(given: Any, code: Any) -> Any:
    for value in (given, code):
        if value is not None and _STATUS.fullmatch(str(value)):
            return value
    if code is None:
        return "success"
    return next((status for name, status in _ERRORS.items() if str(code).startswith(name)), "failure")


def _talk(body: Record) -> Conversation:
    """The conversation in one request body, whoever made the model."""
    if not body:
        return NONE
    for key in ("messages", "input"):
        if (messages := body.get(key)) not in (None, "", []):
            return conversation(messages, body.get("system") or body.get("instructions"))
    if (said := body.get("message")).__class__ is str and said:  # Cohere
        turns = [*(as_list(body.get("chat_history")) or ()), {"role": "user", "content": said}]
        return conversation(turns, body.get("preamble"))
    return Conversation(_text(body), text_of(body.get("system")))


def _text(body: Record) -> str | None:
    """Text of a body that is no conversation: completion, embedding, search, pictures, a stored prompt's variables."""
    for key in ("inputText", "prompt", "inputPrompt", "query", "text"):
        if (text := body.get(key)).__class__ is str and text:
            return conversation(text).prompt
    for key in ("text_prompts", "texts", "inputs"):
        if body.get(key).__class__ is list:
            return text_of([_holder(item) for item in body[key]])
    if (filled := body.get("promptVariables")).__class__ is dict:
        return text_of(list(filled.values()))
    tasks = [v for k, v in body.items() if k.endswith("Params") and v.__class__ is dict]
    return text_of(tasks) if tasks else None


def _holder(item: Any) -> Any:
    """An input of an embedding as a message, where it has parts of its own."""
    return {"role": "user", **item} if item.__class__ is dict and "content" in item else item


FORMAT = Format(
    name="bedrock",
    meaning="Amazon Bedrock model-invocation logs",
    capabilities=frozenset(("prompts", "account", "params", "logprobs", "tokens", "latency")),
    sniff=_sniff,
    fields=_FIELDS,
    account=_ACCOUNT,
    roots=("requestMetadata", ""),
    derive=_derive,
    spread=_spread,
    passed=_PASSED,
)

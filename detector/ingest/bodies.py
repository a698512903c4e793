"""Columns of request bodies and of answer bodies, in the spelling of every model maker.

Gateways log bodies as they pass, so one log holds those of many makers: OpenAI (chat, responses), Anthropic, Gemini,
Converse, and the makers that Bedrock serves. The keys of a body decide how it is read, not the name of a maker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from detector.ingest import streams
from detector.ingest.casting import total
from detector.ingest.formats import Columns
from detector.ingest.messages import (
    NONE,
    Conversation,
    carried,
    columns_of,
    conversation,
    minted,
    n_logprobs,
    n_stops,
    text_of,
    tools,
)
from detector.ingest.records import Path, Records, as_list, as_object, first_of

Body = Mapping[str, Any]
#: Objects that hold a maker's parameters; "" is the body itself.
_HOLDERS = (
    "",
    "inferenceConfig/",
    "generationConfig/",
    "generation_config/",
    "textGenerationConfig/",
    "options/",
)


def _in_holders(*names: str) -> tuple[Path, ...]:
    return tuple(holder + name for name in names for holder in _HOLDERS)


#: Column <- its paths in request bodies.
PARAMETERS: dict[str, tuple[Path, ...]] = {
    "temperature": _in_holders("temperature"),
    "max_tokens": _in_holders(
        "max_completion_tokens", "max_tokens", "maxTokens", "max_output_tokens", "maxOutputTokens", "max_new_tokens",
        "maxTokenCount", "max_gen_len", "max_tokens_to_sample",
    ),
    "n": ("n", "num_generations", "numResults", "generationConfig/candidateCount", "imageGenerationConfig/numberOfImages"),
    "seed": (*_in_holders("seed"), "random_seed", "additionalModelRequestFields/seed", "imageGenerationConfig/seed",
             "videoGenerationConfig/seed"),
    "end_user_id": ("user", "safety_identifier", "metadata/user_id"),
    "stream": ("stream",),
}  # fmt: skip
_STOPS = _in_holders("stop", "stop_sequences", "stopSequences")
_INPUT = (
    "usage/inputTokens", "usage/input_tokens", "usage/prompt_tokens", "metrics/inputTokenCount",
    "usageMetadata/promptTokenCount", "usage_metadata/prompt_token_count", "prompt_token_count", "inputTextTokenCount",
    "prompt_eval_count",
)  # fmt: skip
_OUTPUT = (
    "usage/outputTokens", "usage/output_tokens", "usage/completion_tokens", "metrics/outputTokenCount",
    "usageMetadata/candidatesTokenCount", "usage_metadata/candidates_token_count", "generation_token_count", "eval_count",
)  # fmt: skip
#: Cached tokens that these makers count beside the input.
CACHE_READ = (
    "usage/cacheReadInputTokens",
    "usage/cache_read_input_tokens",
    "metrics/cacheReadInputTokenCount",
)
CACHE_WRITTEN = (
    "usage/cacheWriteInputTokens",
    "usage/cache_creation_input_tokens",
    "metrics/cacheWriteInputTokenCount",
)
#: Cached tokens that these makers count as a part of the input.
_CACHED = (
    "usage/prompt_tokens_details/cached_tokens", "usage/input_tokens_details/cached_tokens", "usage/prompt_cache_hit_tokens",
    "usageMetadata/cachedContentTokenCount", "usage_metadata/cached_content_token_count",
)  # fmt: skip
_REASONING = (
    "usage/completion_tokens_details/reasoning_tokens", "usage/output_tokens_details/reasoning_tokens",
    "usageMetadata/thoughtsTokenCount", "usage_metadata/thoughts_token_count",
)  # fmt: skip


def request_columns(bodies: Sequence[Body]) -> Columns:
    """Columns of the request bodies: conversation, parameters and tools. An empty body gives NULLs."""
    body = Records(range(len(bodies)), bodies)
    conversations = [conversation_of(b) for b in bodies]
    tool_lists = [tools(as_object(b.get("toolConfig")).get("tools") or b.get("tools")) for b in bodies]
    return (
        {name: body.first(*paths) for name, paths in PARAMETERS.items()}
        | columns_of(conversations)
        | {
            "carried": [
                carried(t.carried, previous) if previous else t.carried
                for t, previous in zip(conversations, body.at("previous_response_id"), strict=True)
            ],
            "tool_count": [n for n, _ in tool_lists],
            "tool_names": [names for _, names in tool_lists],
            "stop_count": [n_stops(v) for v in first_of(*(body.at(path) for path in _STOPS))],
            "top_logprobs": [
                n_logprobs(top, flag)
                for top, flag in zip(
                    first_of(body.at("top_logprobs"), body.at("generationConfig/logprobs")),
                    first_of(body.at("logprobs"), body.at("generationConfig/responseLogprobs")),
                    strict=True,
                )
            ],
            "logit_bias": body.at("logit_bias"),
        }
    )


def answer_columns(logged: Sequence[Any]) -> Columns:
    """Columns of the answers, as bodies, their JSON text, or the events of a stream."""
    answers = [streams.answer(v) for v in logged]
    out = Records(range(len(answers)), answers)
    cache_reads, cache_writes = out.first(*CACHE_READ), out.first(*CACHE_WRITTEN)
    return {
        "input_tokens": [
            total(n, r, w) for n, r, w in zip(out.first(*_INPUT), cache_reads, cache_writes, strict=True)
        ],
        "cached_tokens": first_of(cache_reads, out.first(*_CACHED)),
        "output_tokens": out.first(*_OUTPUT),
        "reasoning_tokens": out.first(*_REASONING),
        "finish_reason": [_ended(a) for a in answers],
        "error_class": out.first("error/code", "error/type", "error/status"),
        "minted": [minted(a) for a in answers],
    }  # fmt: skip


def input_counts(logged: Sequence[Any]) -> tuple[list[Any], list[Any], list[Any]]:
    """Tokens of the input, cache reads and cache writes as answers count them, for logs that have counts of their own."""
    out = Records(range(len(logged)), [streams.answer(v) for v in logged])
    return out.first(*_INPUT), out.first(*CACHE_READ), out.first(*CACHE_WRITTEN)


def _ended(body: Body) -> Any:
    """How the answer ended. Some makers report a refusal by a content filter as an error; it is an ending here too."""
    if body.get(streams.GUARDRAIL) == "INTERVENED":
        return "guardrail_intervened"
    error = as_object(body.get("error"))
    inner = as_object(error.get("innererror"))
    if (
        "content_filter" in (error.get("code"), error.get("type"))
        or inner.get("code") == "ResponsibleAIPolicyViolation"
    ):
        return "content_filter"
    return streams.finish(body)


def conversation_of(body: Body) -> Conversation:
    """The conversation in one request body of any maker."""
    if not body:
        return NONE
    for key in ("messages", "input", "contents"):
        if (messages := body.get(key)) not in (None, "", []):
            system = (
                body.get(k) for k in ("system", "instructions", "systemInstruction", "system_instruction")
            )
            return conversation(messages, next((s for s in system if s), None))
    if (message := body.get("message")).__class__ is str and message:  # Cohere
        turns = [*(as_list(body.get("chat_history")) or ()), {"role": "user", "content": message}]
        return conversation(turns, body.get("preamble"))
    return Conversation(_text(body), text_of(body.get("system")))


def _text(body: Body) -> str | None:
    """Text of a body without a conversation: completion, embedding, search, images, variables of a stored prompt."""
    for key in ("inputText", "prompt", "inputPrompt", "query", "text"):
        if (text := body.get(key)).__class__ is str and text:
            return conversation(text).prompt
    for key in ("text_prompts", "texts", "inputs", "prompt"):
        if body.get(key).__class__ is list:
            return text_of([_turn(item) for item in body[key]])
    if (filled := body.get("promptVariables")).__class__ is dict:
        return text_of(list(filled.values()))
    tasks = [v for k, v in body.items() if k.endswith("Params") and v.__class__ is dict]
    return text_of(tasks) if tasks else None


def _turn(item: Any) -> Any:
    """An embedding input as a message, if it has parts."""
    return {"role": "user", **item} if item.__class__ is dict and "content" in item else item

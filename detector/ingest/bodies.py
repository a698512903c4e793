"""What the body of a request asks for and what the body of an answer says, in every maker's spelling, as columns.

Gateways log bodies as they went by, so one log holds those of many makers: OpenAI (chat, responses), Anthropic, Gemini,
Converse, and the makers that Bedrock serves. They are told by key, not by a maker's name.
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
#: Objects in which a maker keeps its parameters; "" is the body itself.
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


#: Column <- where request bodies keep it.
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
#: Tokens read from and written to a cache that these makers count beside the input.
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
#: Tokens read from a cache that these makers count as a part of the input.
_CACHED = (
    "usage/prompt_tokens_details/cached_tokens", "usage/input_tokens_details/cached_tokens", "usage/prompt_cache_hit_tokens",
    "usageMetadata/cachedContentTokenCount", "usage_metadata/cached_content_token_count",
)  # fmt: skip
_REASONING = (
    "usage/completion_tokens_details/reasoning_tokens", "usage/output_tokens_details/reasoning_tokens",
    "usageMetadata/thoughtsTokenCount", "usage_metadata/thoughts_token_count",
)  # fmt: skip


def asked(bodies: Sequence[Body]) -> Columns:
    """Columns of the request bodies: the conversation, parameters and tools. An empty body is not known."""
    body = Records(range(len(bodies)), bodies)
    talks = [talk(b) for b in bodies]
    offered = [tools(as_object(b.get("toolConfig")).get("tools") or b.get("tools")) for b in bodies]
    return (
        {name: body.first(*paths) for name, paths in PARAMETERS.items()}
        | columns_of(talks)
        | {
            "carried": [
                carried(t.carried, previous) if previous else t.carried
                for t, previous in zip(talks, body.at("previous_response_id"), strict=True)
            ],
            "tool_count": [n for n, _ in offered],
            "tool_names": [names for _, names in offered],
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


def answered(logged: Sequence[Any]) -> Columns:
    """Columns of the answers, as bodies, their JSON text, or the events of a stream."""
    answers = [streams.answer(v) for v in logged]
    out = Records(range(len(answers)), answers)
    read, written = out.first(*CACHE_READ), out.first(*CACHE_WRITTEN)
    return {
        "input_tokens": [
            total(n, r, w) for n, r, w in zip(out.first(*_INPUT), read, written, strict=True)
        ],
        "cached_tokens": first_of(read, out.first(*_CACHED)),
        "output_tokens": out.first(*_OUTPUT),
        "reasoning_tokens": out.first(*_REASONING),
        "finish_reason": [_ended(a) for a in answers],
        "error_class": out.first("error/code", "error/type", "error/status"),
        "minted": [minted(a) for a in answers],
    }  # fmt: skip


def inputs_apart(logged: Sequence[Any]) -> tuple[list[Any], list[Any], list[Any]]:
    """Tokens of the input, read from and written to a cache, as answers count them: for logs with counts of their own."""
    out = Records(range(len(logged)), [streams.answer(v) for v in logged])
    return out.first(*_INPUT), out.first(*CACHE_READ), out.first(*CACHE_WRITTEN)


def _ended(body: Body) -> Any:
    """How the answer ended; a refusal by a content filter is an error in some makers' words, and ends it all the same."""
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


def talk(body: Body) -> Conversation:
    """The conversation in one request body, whoever made the model."""
    if not body:
        return NONE
    for key in ("messages", "input", "contents"):
        if (messages := body.get(key)) not in (None, "", []):
            system = (
                body.get(k) for k in ("system", "instructions", "systemInstruction", "system_instruction")
            )
            return conversation(messages, next((s for s in system if s), None))
    if (said := body.get("message")).__class__ is str and said:  # Cohere
        turns = [*(as_list(body.get("chat_history")) or ()), {"role": "user", "content": said}]
        return conversation(turns, body.get("preamble"))
    return Conversation(_text(body), text_of(body.get("system")))


def _text(body: Body) -> str | None:
    """Text of a body that is no conversation: completion, embedding, search, pictures, a stored prompt's variables."""
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
    """An input of an embedding as a message, where it has parts of its own."""
    return {"role": "user", **item} if item.__class__ is dict and "content" in item else item

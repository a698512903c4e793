"""Names of attributes of model calls, as the instrumentations of OpenTelemetry write them, for every format that holds them.

Sources: OpenTelemetry's GenAI conventions (``gen_ai.*``, now and before 1.37), OpenLLMetry (``llm.request.*``,
``traceloop.*``), OpenInference (``llm.*``, ``embedding.*``), the Vercel AI SDK (``ai.*``), LiteLLM's exporter
(``metadata.user_api_key_*``), LangSmith, Langfuse, MLflow, pydantic-ai, Logfire, openlit, and ECS for those around a call.
A tuple is a path: an object under that name, or its JSON text, is opened.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from detector.ingest.records import Path

_NUMBER = re.compile(r"\.\d+(?=\.|$)")
#: Parameters of the call as the client was given them, objects or their JSON text.
_GIVEN = (
    "llm.invocation_parameters",
    "request_data",
    "langfuse.observation.model.parameters",
    "mlflow.spanInputs",
)


def _given(*names: str) -> tuple[Path, ...]:
    return tuple((holder, name) for name in names for holder in _GIVEN)


#: Canonical column -> names, the first that says something wins: what the call itself says.
OWN: dict[str, tuple[Path, ...]] = {
    "model": (
        "gen_ai.request.model", "llm.model_name", "ai.model.id", "llm.request.model", "embedding.model_name",
        "langfuse.observation.model.name", "mlflow.llm.model", "langsmith.metadata.ls_model_name", *_given("model"),
        "gen_ai.response.model", "llm.response.model", "ai.response.model",
    ),
    "pathway": (
        "gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system", "ai.model.provider", "mlflow.llm.provider",
        "langsmith.metadata.ls_provider",
    ),
    "operation": ("gen_ai.operation.name", "llm.request.type", "ai.operationId"),
    "input_tokens": (
        "gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt", "llm.usage.prompt_tokens",
        "ai.usage.inputTokens", "ai.usage.promptTokens", "ai.usage.tokens", ("mlflow.chat.tokenUsage", "input_tokens"),
        ("langfuse.observation.usage_details", "input"), ("langfuse.observation.usage_details", "prompt_tokens"),
    ),
    "output_tokens": (
        "gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion",
        "llm.usage.completion_tokens", "ai.usage.outputTokens", "ai.usage.completionTokens",
        ("mlflow.chat.tokenUsage", "output_tokens"), ("langfuse.observation.usage_details", "output"),
        ("langfuse.observation.usage_details", "completion_tokens"),
    ),
    "cached_tokens": (
        "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens", "gen_ai.usage.cached_input_tokens",
        "llm.token_count.prompt_details.cache_read", "ai.usage.cachedInputTokens",
        "ai.usage.inputTokenDetails.cacheReadTokens", "gen_ai.usage.details.cache_read_tokens",
        "gen_ai.usage.details.cache_read_input_tokens", "gen_ai.usage.details.cached_tokens",
        "gen_ai.usage.cache_read_tokens", "gen_ai.usage.input_tokens.cached",
    ),
    "reasoning_tokens": (
        "gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens", "llm.usage.reasoning_tokens",
        "llm.token_count.completion_details.reasoning", "ai.usage.reasoningTokens",
        "ai.usage.outputTokenDetails.reasoningTokens", "gen_ai.usage.details.reasoning_tokens",
        "gen_ai.usage.output_tokens.reasoning",
    ),
    "temperature": ("gen_ai.request.temperature", "ai.settings.temperature", *_given("temperature")),
    "max_tokens": (
        "gen_ai.request.max_tokens", "llm.request.max_tokens", "ai.settings.maxOutputTokens", "ai.settings.maxTokens",
        *_given("max_completion_tokens", "max_tokens", "max_output_tokens"),
    ),
    "n": ("gen_ai.request.choice.count", *_given("n")),
    "seed": ("gen_ai.request.seed", "gen_ai.openai.request.seed", "ai.settings.seed", *_given("seed")),
    "top_logprobs": ("gen_ai.request.top_logprobs", "gen_ai.request.logprobs", *_given("top_logprobs", "logprobs")),
    "stream": (
        "gen_ai.request.stream", "llm.is_streaming", "gen_ai.request.is_stream", "gen_ai.is_streaming", *_given("stream"),
    ),
}  # fmt: skip
#: The same for what may lie on a span around the call, or on the resource.
AROUND: dict[str, tuple[Path, ...]] = {
    "api_key_id": ("api_key.id", "metadata.user_api_key_hash"),
    "org_id": (
        "organization.id", "tenant.id", "metadata.user_api_key_org_id", "metadata.user_api_key_team_id",
    ),
    "end_user_id": ("gen_ai.request.user", "llm.user", "metadata.user_api_key_end_user_id"),
    "session_id": (
        "gen_ai.conversation.id", "session.id", "gen_ai.thread.id", "langfuse.session.id",
        "traceloop.association.properties.session_id", "traceloop.association.properties.conversation_id",
        "traceloop.association.properties.chat_id", "traceloop.association.properties.thread_id",
        "ai.telemetry.metadata.sessionId", "ai.telemetry.metadata.chatId", "ai.telemetry.metadata.threadId",
        "langsmith.metadata.session_id", "langsmith.metadata.thread_id", "langsmith.metadata.conversation_id",
        "mlflow.trace.session",
    ),
    "source_ip": ("client.address", "net.peer.ip", "http.client_ip", "source.ip", "client.ip",
                  "metadata.requester_ip_address"),
    "user_agent": ("user_agent.original", "http.user_agent"),
    "ja4": ("tls.client.ja4",),
    "asn": ("client.as.number", "source.as.number"),
    "country": ("geo.country.iso_code", "client.geo.country_iso_code", "source.geo.country_iso_code"),
}  # fmt: skip
USER: tuple[Path, ...] = (
    "user.id", "enduser.id", "enduser.pseudo.id", "langfuse.user.id", "traceloop.association.properties.user_id",
    "ai.telemetry.metadata.userId", "ai.telemetry.metadata.user_id", "langsmith.metadata.user_id", "mlflow.trace.user",
    "metadata.user_api_key_user_id",
)  # fmt: skip
#: Headers that an instrumentation of HTTP was told to keep: lists of the values sent.
HEADERS: dict[str, Path] = {
    "source_ip": "http.request.header.x-forwarded-for",
    "user_agent": "http.request.header.user-agent",
}
HTTP: tuple[Path, ...] = ("http.response.status_code", "http.status_code")
RESPONSE_ID: tuple[Path, ...] = ("gen_ai.response.id", "ai.response.id")
#: Tokens written to a prompt cache: read too, by providers that count them apart.
CACHE_WRITTEN: tuple[Path, ...] = (
    "gen_ai.usage.cache_creation.input_tokens", "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens", "llm.token_count.prompt_details.cache_write",
    "ai.usage.inputTokenDetails.cacheWriteTokens", "gen_ai.usage.details.cache_creation_input_tokens",
    "gen_ai.usage.details.cache_write_tokens",
)  # fmt: skip
TOTAL: tuple[Path, ...] = ("gen_ai.usage.total_tokens", "llm.usage.total_tokens", "llm.token_count.total",
                           "ai.usage.totalTokens")  # fmt: skip
FIRST_CHUNK_S: tuple[Path, ...] = ("gen_ai.response.time_to_first_chunk", "gen_ai.server.time_to_first_token")
FIRST_CHUNK_MS: tuple[Path, ...] = ("ai.response.msToFirstChunk", "ai.stream.msToFirstChunk")
FINISH: tuple[Path, ...] = (
    "gen_ai.response.finish_reasons", "gen_ai.response.finish_reason", "ai.response.finishReason",
    "gen_ai.completion.0.finish_reason", "llm.response.finish_reason", "llm.response.stop_reason",
)  # fmt: skip
STOPS: tuple[Path, ...] = (
    "gen_ai.request.stop_sequences", "llm.chat.stop_sequences", "ai.settings.stopSequences",
    *_given("stop", "stop_sequences"),
)  # fmt: skip
BIAS: tuple[Path, ...] = ("gen_ai.request.logit_bias", *_given("logit_bias"))
PREVIOUS: tuple[Path, ...] = ("gen_ai.request.previous_response.id", *_given("previous_response_id"))
ERROR: tuple[Path, ...] = ("error.type",)
#: The conversation as one value: messages, or an object that holds them.
MESSAGES: tuple[Path, ...] = (
    "gen_ai.input.messages", "ai.prompt.messages", "llm.input_messages", "events", "mlflow.chat.messages", "request_data",
    "gen_ai.request.messages", "ai.prompt", "pydantic_ai.all_messages", "all_messages_events", "mlflow.spanInputs",
)  # fmt: skip
#: The same, or just what the caller wrote; and those that an instrumentation writes beside a conversation in parts.
TEXTS: tuple[Path, ...] = ("gen_ai.prompt", "llm.prompts", "langfuse.observation.input")
LAST_TEXTS: tuple[Path, ...] = ("input.value", "ai.values", "ai.value")
SYSTEM: tuple[Path, ...] = ("gen_ai.system_instructions",)
ANSWERS: tuple[Path, ...] = ("gen_ai.output.messages", "gen_ai.completion", "response_data", "output.value")
TOOLS: tuple[Path, ...] = (
    "gen_ai.tool.definitions", "ai.prompt.tools", "llm.tools", "mlflow.chat.tools", "gen_ai.request.available_tools",
    ("model_request_parameters", "function_tools"), *_given("tools"),
)  # fmt: skip
#: Prefixes of names under which a list lies flat, an attribute a member: ``gen_ai.prompt.0.content``.
FLAT_MESSAGES = ("gen_ai.prompt.", "llm.input_messages.", "llm.prompts.", "embedding.embeddings.")
FLAT_TOOLS = ("llm.request.functions.", "llm.tools.", "gen_ai.request.tools.")
#: What shows that an entry holds a conversation.
_FLAT_FIRST = (
    "gen_ai.prompt.0.role", "gen_ai.prompt.0.content", "llm.input_messages.0.message.role",
    "llm.input_messages.0.message.content", "llm.prompts.0.prompt.text",
)  # fmt: skip
HAS_MESSAGES = frozenset(
    (
        *(str(n) for n in MESSAGES if n != "events"),
        "gen_ai.prompt",
        "langfuse.observation.input",
        *_FLAT_FIRST,
    )
)
HAS_MODEL = frozenset(n for n in OWN["model"] if isinstance(n, str))
HAS_USAGE = frozenset(
    (
        *(n for c in ("input_tokens", "output_tokens") for n in OWN[c] if isinstance(n, str)),
        "mlflow.chat.tokenUsage",
        "langfuse.observation.usage_details",
    )
)
HAS_PROVIDER = frozenset(("gen_ai.provider.name", "gen_ai.system"))
#: Operations that are one call of a model, and those of the conventions that are none or hold several.
INFERENCE = frozenset(
    (
        "chat",
        "text_completion",
        "completion",
        "generate_content",
        "embeddings",
        "embedding",
        "responses",
        "message",
    )
)
NO_CALL = frozenset(
    ("execute_tool", "invoke_agent", "create_agent", "invoke_workflow", "retrieval", "plan", "create_thread",
     "create_message", "list_messages", "rerank", "evaluate")
)  # fmt: skip
#: Attributes in which tools name the kind of a span, and those kinds, lower case.
KINDS = ("openinference.span.kind", "traceloop.span.kind", "langsmith.span.kind", "mlflow.spanType",
         "langfuse.observation.type")  # fmt: skip
CALL_KINDS = frozenset(("llm", "chat_model", "chat", "completion", "generation", "embedding", "embeddings"))
NO_CALL_KINDS = frozenset(
    ("chain", "agent", "tool", "retriever", "reranker", "guardrail", "evaluator", "workflow", "task", "prompt", "parser",
     "memory", "span", "event")
)  # fmt: skip
#: Names with one of these beginnings say nothing that a request has a place for.
PASSED = (
    "server.", "client.", "network.", "net.", "http.", "url.", "tls.", "thread.", "code.", "exception.", "telemetry.",
    "service.", "otel.", "az.", "aws.", "rpc.", "user_agent.", "logfire.", "openinference.", "traceloop.", "langsmith.",
    "langfuse.", "mlflow.", "gen_ai.agent.", "gen_ai.completion.", "gen_ai.prompt.", "gen_ai.output.", "gen_ai.azure.",
    "gen_ai.openai.", "gen_ai.usage.details.", "gen_ai.tool.", "llm.input_messages.", "llm.output_messages.", "llm.prompts.",
    "llm.cost.", "llm.request.functions.", "llm.tools.", "llm.prompt_template.", "embedding.", "input.", "output.",
    "ai.settings.", "ai.telemetry.", "ai.response.", "ai.prompt.", "ai.request.", "ai.schema.", "ai.usage.", "metadata.",
    "logprobs.", "db.", "messaging.", "peer.",
)  # fmt: skip
#: Names that are known and taken by no column.
KNOWN = frozenset(
    ("gen_ai.response.model", "gen_ai.request.top_p", "gen_ai.request.top_k", "gen_ai.request.frequency_penalty",
     "gen_ai.request.presence_penalty", "gen_ai.request.reasoning.level", "gen_ai.request.encoding_formats",
     "gen_ai.request.service_tier", "gen_ai.response.service_tier", "gen_ai.response.system_fingerprint",
     "gen_ai.embeddings.dimension.count", "gen_ai.embeddings.dimension", "gen_ai.token.type", "gen_ai.usage.cost",
     "gen_ai.application_name", "gen_ai.environment", "gen_ai.endpoint", "gen_ai.sdk.version", "gen_ai.data_source.id",
     "gen_ai.output.type", "llm.headers", "llm.request.top_p", "llm.top_k", "llm.presence_penalty", "llm.frequency_penalty",
     "llm.response.model", "llm.response.id", "llm.token_count.prompt_details", "event.name", "operation.name",
     "resource.name", "metadata", "tag.tags", "model_request_parameters", "model_name", "final_result", "async",
     "openai.api.type", "openai.request.service_tier", "openai.response.service_tier", "openai.response.system_fingerprint",
     "ai.embedding", "ai.embeddings", "error.message")
)  # fmt: skip


def rooted(names: tuple[Path, ...], *roots: str) -> tuple[Path, ...]:
    """Paths to ``names`` under each of the roots in turn."""
    return tuple((root, *((n,) if isinstance(n, str) else n)) for root in roots for n in names)


def _named(*tables: tuple[Path, ...]) -> frozenset[str]:
    return frozenset(n if isinstance(n, str) else n[0] for names in tables for n in names)


#: Every name that something is read from, or that is known to say nothing we need.
TAKEN = KNOWN | _named(
    *OWN.values(), *AROUND.values(), USER, tuple(HEADERS.values()), HTTP, RESPONSE_ID, CACHE_WRITTEN, TOTAL, FIRST_CHUNK_S,
    FIRST_CHUNK_MS, FINISH, STOPS, BIAS, PREVIOUS, ERROR, MESSAGES, TEXTS, LAST_TEXTS, SYSTEM, ANSWERS, TOOLS, KINDS,
)  # fmt: skip


def untaken(own: Mapping[str, object]) -> Iterator[str]:
    """Names among attributes that no column takes, with the numbers of lists as ``N``."""
    for name in own:
        if name.__class__ is str and name not in TAKEN and not name.startswith(PASSED):
            yield _NUMBER.sub(".N", name)

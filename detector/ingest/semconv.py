"""Names of attributes of model calls, as the instrumentations of OpenTelemetry write them, for all formats that have them.

A tuple is a path into an object or its JSON text. Every name was read in a public source:

* OpenTelemetry, ``gen_ai.*``: open-telemetry/semantic-conventions-genai ``model/gen-ai/registry.yaml``; before 1.37
  open-telemetry/semantic-conventions ``model/gen-ai``. Newest names: its Python package ``opentelemetry-util-genai``.
* OpenLLMetry, ``llm.request.*``, ``traceloop.*``: traceloop/openllmetry ``semconv_ai/__init__.py``, first release to now.
* OpenInference, ``llm.*``, ``embedding.*``: Arize-ai/openinference ``spec/semantic_conventions.md``.
* Vercel AI SDK, ``ai.*``: vercel/ai ``content/docs/03-ai-sdk-core/60-telemetry.mdx``, version 3 to now.
* LiteLLM, ``metadata.user_api_key_*``: BerriAI/litellm ``litellm/integrations/opentelemetry.py``; ``litellm.*``: the same,
  ``integrations/otel/model/semconv.py``.
* LangSmith: langchain-ai/langsmith-sdk ``_internal/otel/_otel_exporter.py``. Langfuse: langfuse/langfuse-python
  ``_client/attributes.py``. MLflow: mlflow/mlflow ``mlflow/tracing/constant.py``.
* pydantic-ai: pydantic/pydantic-ai ``models/instrumented.py``, ``usage.py``. Logfire: pydantic/logfire
  ``integrations/llm_providers``. openlit: openlit/openlit ``semcov/__init__.py``. Strands Agents: strands-agents/sdk-python
  ``telemetry/tracer.py``. Azure AI: Azure/azure-sdk-for-python ``azure/ai/projects/telemetry/_utils.py``. Semantic Kernel:
  microsoft/semantic-kernel ``ModelDiagnostics.cs``, ``gen_ai_attributes.py``.
* Sentry: getsentry/sentry-conventions ``model/attributes/gen_ai``. AgentOps: AgentOps-AI/agentops ``agentops/semconv``.
  Langtrace: Scale3-Labs/langtrace-python-sdk. Bifrost: maximhq/bifrost ``core/schemas/trace.go``. vLLM: vllm-project/vllm
  ``vllm/tracing``.
* Elastic's records of Bedrock, ``gen_ai.request.model.id``, ``gen_ai.performance.*``: elastic/integrations
  ``packages/aws_bedrock/data_stream/invocation``.
* Around a call: OpenTelemetry's HTTP, user, session, geo and TLS attributes of then and now; elastic/ecs ``schemas``
  (``source``, ``client``, ``as``, ``geo``, ``organization``); ``tls.client.ja4``: opentelemetry-collector-contrib, AWS WAF.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from detector.ingest.records import Path

_NUMBER = re.compile(r"\.\d+(?=\.|$)")
#: Attributes that hold the parameters of the call, as objects or their JSON text.
_GIVEN = (
    "llm.invocation_parameters",
    "embedding.invocation_parameters",
    "request_data",
    "langfuse.observation.model.parameters",
    "mlflow.spanInputs",
)


def _given(*names: str) -> tuple[Path, ...]:
    return tuple((holder, name) for name in names for holder in _GIVEN)


#: Canonical column -> names on the call itself; the first with a value wins.
OWN: dict[str, tuple[Path, ...]] = {
    "model": (
        "gen_ai.request.model", "llm.request.model_name", "llm.model_name", "ai.model.id", "llm.request.model",
        "embedding.model_name",
        "langfuse.observation.model.name", "mlflow.llm.model", "langsmith.metadata.ls_model_name", *_given("model"),
        "gen_ai.request.model.id", "gen_ai.model.id",
        "gen_ai.response.model", "llm.response.model_name", "llm.response.model", "ai.response.model",
    ),
    "pathway": (
        "gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system", "ai.model.provider", "mlflow.llm.provider",
        "langsmith.metadata.ls_provider", "llm.vendor",
    ),
    "operation": ("gen_ai.operation.name", "llm.request.type", "ai.operationId"),
    "input_tokens": (
        "gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt", "llm.usage.prompt_tokens",
        "ai.usage.inputTokens", "ai.usage.promptTokens", "ai.usage.tokens", ("mlflow.chat.tokenUsage", "input_tokens"),
        ("langfuse.observation.usage_details", "input"), ("langfuse.observation.usage_details", "prompt_tokens"),
        "gen_ai.response.prompt_tokens",
    ),
    "output_tokens": (
        "gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion",
        "llm.usage.completion_tokens", "ai.usage.outputTokens", "ai.usage.completionTokens",
        ("mlflow.chat.tokenUsage", "output_tokens"), ("langfuse.observation.usage_details", "output"),
        ("langfuse.observation.usage_details", "completion_tokens"), "gen_ai.response.completion_tokens",
    ),
    "cached_tokens": (
        "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens",
        "llm.token_count.prompt_details.cache_read", "ai.usage.cachedInputTokens",
        "ai.usage.inputTokenDetails.cacheReadTokens", "gen_ai.usage.details.cache_read_tokens",
        "gen_ai.usage.details.cache_read_input_tokens", "gen_ai.usage.details.cached_tokens",
        "gen_ai.usage.input_tokens.cached", "llm.token_count.prompt_details.cache_input",
        ("mlflow.chat.tokenUsage", "cache_read_input_tokens"),
        ("langfuse.observation.usage_details", "cache_read_input_tokens"),
        ("langfuse.observation.usage_details", "input_cached_tokens"),
        # No public source of a tool has these two. People and gateways write them, and they mean nothing else.
        "gen_ai.usage.cached_input_tokens", "gen_ai.usage.cache_read_tokens",
    ),
    "reasoning_tokens": (
        "gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens", "llm.usage.reasoning_tokens",
        "llm.token_count.completion_details.reasoning", "ai.usage.reasoningTokens",
        "ai.usage.outputTokenDetails.reasoningTokens", "gen_ai.usage.details.reasoning_tokens",
        "gen_ai.usage.output_tokens.reasoning",
    ),
    "temperature": (
        "gen_ai.request.temperature", "ai.settings.temperature", "llm.temperature", *_given("temperature"),
    ),
    "max_tokens": (
        "gen_ai.request.max_tokens", "llm.request.max_tokens", "ai.settings.maxOutputTokens", "ai.settings.maxTokens",
        "gen_ai.request.max_output_tokens", "gen_ai.request.max_token",
        *_given("max_completion_tokens", "max_tokens", "max_output_tokens"),
    ),
    "n": ("gen_ai.request.choice.count", "gen_ai.request.n", *_given("n")),
    "seed": ("gen_ai.request.seed", "gen_ai.openai.request.seed", "ai.settings.seed", *_given("seed")),
    "top_logprobs": (
        "gen_ai.request.top_logprobs", "gen_ai.request.top_props", "gen_ai.request.logprobs", "gen_ai.request.log_props",
        *_given("top_logprobs", "logprobs"),
    ),
    "stream": (
        "gen_ai.request.stream", "llm.is_streaming", "gen_ai.request.is_stream", "gen_ai.is_streaming",
        "gen_ai.response.streaming", "langsmith.request.streaming", "litellm.request.streaming", *_given("stream"),
    ),
}  # fmt: skip
#: The same for names that may be on a span around the call, or on the resource. ``api_key.id`` and ``tenant.id`` are our
#: own, for a site that sets them: no public convention names a key or a tenant.
AROUND: dict[str, tuple[Path, ...]] = {
    "api_key_id": ("api_key.id", "metadata.user_api_key_hash", "litellm.api_key.hash"),
    "org_id": (
        "organization.id", "tenant.id", "metadata.user_api_key_org_id", "litellm.metadata.user_api_key_org_id",
        "metadata.user_api_key_team_id", "litellm.team.id",
    ),
    "end_user_id": (
        "gen_ai.request.user", "llm.user", "gen_ai.user", "gen_ai.request.safety_identifier",
        "metadata.user_api_key_end_user_id", "litellm.end_user.id", "litellm.metadata.user_api_key_end_user_id",
    ),
    "session_id": (
        "gen_ai.conversation.id", "session.id", "gen_ai.thread.id", "langfuse.session.id",
        "traceloop.association.properties.session_id", "traceloop.association.properties.conversation_id",
        "traceloop.association.properties.chat_id", "traceloop.association.properties.thread_id",
        "ai.telemetry.metadata.sessionId", "ai.telemetry.metadata.chatId", "ai.telemetry.metadata.threadId",
        "langsmith.metadata.session_id", "langsmith.metadata.thread_id", "langsmith.metadata.conversation_id",
        "mlflow.trace.session",
    ),
    "source_ip": ("client.address", "net.peer.ip", "http.client_ip", "source.ip", "client.ip",
                  "metadata.requester_ip_address", "litellm.metadata.requester_ip_address"),
    "user_agent": ("user_agent.original", "http.user_agent"),
    "ja4": ("tls.client.ja4",),
    "asn": ("client.as.number", "source.as.number"),
    "country": ("geo.country.iso_code", "client.geo.country_iso_code", "source.geo.country_iso_code"),
}  # fmt: skip
USER: tuple[Path, ...] = (
    "user.id", "enduser.id", "enduser.pseudo.id", "langfuse.user.id", "traceloop.association.properties.user_id",
    "ai.telemetry.metadata.userId", "ai.telemetry.metadata.user_id", "langsmith.metadata.user_id", "mlflow.trace.user",
    "metadata.user_api_key_user_id", "litellm.metadata.user_api_key_user_id",
    "gen_ai.user.id",
)  # fmt: skip
#: What LiteLLM's proxy writes when it knows no user, and the team of its own pages.
NOBODY = frozenset(("default_user_id", "litellm-dashboard", "litellm_proxy_master_key"))
#: Request headers that an HTTP instrumentation can be set to keep: lists of values.
HEADERS: dict[str, Path] = {
    "source_ip": "http.request.header.x-forwarded-for",
    "user_agent": "http.request.header.user-agent",
}
HTTP: tuple[Path, ...] = ("http.response.status_code", "http.status_code")
RESPONSE_ID: tuple[Path, ...] = (
    "gen_ai.response.id",
    "ai.response.id",
    "gen_ai.response_id",
    "gen_ai.request.id",
)
#: Tokens written to a prompt cache. Some providers count them apart from the input.
CACHE_WRITTEN: tuple[Path, ...] = (
    "gen_ai.usage.cache_creation.input_tokens", "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens", "llm.token_count.prompt_details.cache_write",
    "ai.usage.inputTokenDetails.cacheWriteTokens", "gen_ai.usage.details.cache_creation_input_tokens",
    "gen_ai.usage.details.cache_write_tokens", "gen_ai.usage.cache_write_input_tokens",
    "gen_ai.usage.input_tokens.cache_write", ("mlflow.chat.tokenUsage", "cache_creation_input_tokens"),
    ("langfuse.observation.usage_details", "cache_creation_input_tokens"),
)  # fmt: skip
TOTAL: tuple[Path, ...] = ("gen_ai.usage.total_tokens", "llm.usage.total_tokens", "llm.token_count.total",
                           "ai.usage.totalTokens", ("mlflow.chat.tokenUsage", "total_tokens"),
                           ("langfuse.observation.usage_details", "total"))  # fmt: skip
FIRST_CHUNK_S: tuple[Path, ...] = (
    "gen_ai.response.time_to_first_chunk", "gen_ai.response.time_to_first_token", "gen_ai.latency.time_to_first_token",
)  # fmt: skip
#: Seconds in openlit, milliseconds in Strands Agents; the provider's name tells them apart.
FIRST_TOKEN = "gen_ai.server.time_to_first_token"
PROVIDER: tuple[Path, ...] = ("gen_ai.provider.name", "gen_ai.system")
IN_MS = frozenset(("strands-agents",))
#: The time at which the first chunk came.
FIRST_CHUNK_AT = "langfuse.observation.completion_start_time"
FIRST_CHUNK_MS: tuple[Path, ...] = (
    "ai.response.msToFirstChunk",
    "ai.stream.msToFirstChunk",
    "gen_ai.performance.start_response_time",
)
FINISH: tuple[Path, ...] = (
    "gen_ai.response.finish_reasons", "gen_ai.response.finish_reason", "ai.response.finishReason",
    "gen_ai.completion.0.finish_reason", "llm.response.finish_reason", "llm.response.stop_reason", "llm.finish_reason",
    "ai.finishReason", "llm.completions.0.finish_reason", "gen_ai.response.stop_reason",
)  # fmt: skip
STOPS: tuple[Path, ...] = (
    "gen_ai.request.stop_sequences", "llm.chat.stop_sequences", "ai.settings.stopSequences", "gen_ai.chat.stop_sequences",
    *_given("stop", "stop_sequences"),
)  # fmt: skip
BIAS: tuple[Path, ...] = ("gen_ai.request.logit_bias", *_given("logit_bias"))
PREVIOUS: tuple[Path, ...] = (
    "gen_ai.request.previous_response.id", "gen_ai.responses.previous_response_id", *_given("previous_response_id"),
)  # fmt: skip
ERROR: tuple[Path, ...] = ("error.type", "gen_ai.response.error_code")
#: A code of the error, in most cases an HTTP status; below, a tool's own words for the outcome.
ERROR_CODE: tuple[Path, ...] = ("error.code", "gen_ai.error.code")
LEVEL = "langfuse.observation.level"
LEVEL_MESSAGE = "langfuse.observation.status_message"
#: The conversation as one value: messages, or an object that holds them.
MESSAGES: tuple[Path, ...] = (
    "gen_ai.input.messages", "ai.prompt.messages", "llm.input_messages", "events", "mlflow.chat.messages", "request_data",
    "gen_ai.request.messages", "ai.prompt", "pydantic_ai.all_messages", "all_messages_events", "mlflow.spanInputs",
)  # fmt: skip
#: The same, or plain text of the caller; below, names that also occur beside a conversation in parts.
TEXTS: tuple[Path, ...] = (
    "gen_ai.prompt", "llm.prompts", "langfuse.observation.input", "gen_ai.embeddings.input", "gen_ai.input.text",
    "gen_ai.request.prompt",
)  # fmt: skip
LAST_TEXTS: tuple[Path, ...] = ("input.value", "ai.values", "ai.value")
SYSTEM: tuple[Path, ...] = (
    "gen_ai.system_instructions",
    "gen_ai.system.message",
    "gen_ai.request.instructions",
)
ANSWERS: tuple[Path, ...] = (
    "gen_ai.output.messages", "gen_ai.completion", "response_data", "langfuse.observation.output", "mlflow.spanOutputs",
    "output.value",
)  # fmt: skip
TOOLS: tuple[Path, ...] = (
    "gen_ai.tool.definitions", "ai.prompt.tools", "llm.tools", "mlflow.chat.tools", "gen_ai.request.available_tools",
    "gen_ai.request.tools", ("model_request_parameters", "function_tools"), *_given("tools"),
)  # fmt: skip
#: Prefixes of names under which a list lies flat, an attribute a member: ``gen_ai.prompt.0.content``.
FLAT_MESSAGES = ("gen_ai.prompt.", "llm.input_messages.", "llm.prompts.", "embedding.embeddings.")
FLAT_TOOLS = ("llm.request.functions.", "llm.tools.", "gen_ai.request.tools.", "gen_ai.tool.")
FLAT_ANSWERS = ("llm.output_messages.",)
#: Names that show that an entry has a conversation.
_FLAT_FIRST = (
    "gen_ai.prompt.0.role", "gen_ai.prompt.0.content", "llm.input_messages.0.message.role",
    "llm.input_messages.0.message.content", "llm.prompts.0.prompt.text", "llm.prompts.0.content", "llm.prompts.0.role",
)  # fmt: skip
HAS_MESSAGES = frozenset(
    (
        *(str(n) for n in MESSAGES if n != "events"),
        *(str(n) for n in TEXTS if n != "llm.prompts"),
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
HAS_PROVIDER = frozenset(str(n) for n in PROVIDER)
#: Operations that are one call of a model; below, operations of the conventions that are no call or several.
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
        "chat.completions",
        "text.completions",
    )
)
NO_CALL = frozenset(
    ("execute_tool", "invoke_agent", "create_agent", "invoke_workflow", "retrieval", "plan", "create_thread",
     "create_message", "list_messages", "rerank", "evaluate", "search_memory", "create_memory", "update_memory",
     "upsert_memory", "delete_memory")
)  # fmt: skip
#: Attributes by which tools name the kind of a span; below, those kinds in lower case.
KINDS = ("openinference.span.kind", "traceloop.span.kind", "langsmith.span.kind", "mlflow.spanType",
         "langfuse.observation.type")  # fmt: skip
CALL_KINDS = frozenset(("llm", "chat_model", "chat", "completion", "generation", "embedding", "embeddings"))
NO_CALL_KINDS = frozenset(
    ("chain", "agent", "tool", "retriever", "reranker", "guardrail", "evaluator", "workflow", "task", "prompt", "parser",
     "memory", "span", "event")
)  # fmt: skip
#: No column of a request takes names with one of these prefixes.
PASSED = (
    "server.", "client.", "network.", "net.", "http.", "url.", "tls.", "thread.", "code.", "exception.", "telemetry.",
    "service.", "otel.", "az.", "aws.", "rpc.", "user_agent.", "logfire.", "openinference.", "traceloop.", "langsmith.",
    "langfuse.", "mlflow.", "gen_ai.agent.", "gen_ai.completion.", "gen_ai.prompt.", "gen_ai.output.", "gen_ai.azure.",
    "gen_ai.openai.", "gen_ai.usage.details.", "gen_ai.tool.", "llm.input_messages.", "llm.output_messages.", "llm.prompts.",
    "llm.cost.", "llm.request.functions.", "llm.tools.", "llm.prompt_template.", "embedding.", "input.", "output.",
    "ai.settings.", "ai.telemetry.", "ai.response.", "ai.prompt.", "ai.request.", "ai.schema.", "ai.usage.", "metadata.",
    "logprobs.", "db.", "messaging.", "peer.", "litellm.", "ai.result.", "ai.stream.", "llm.completions.", "gen_ai.event.",
    "gen_ai.server.", "gen_ai.latency.", "gen_ai.cost.", "gen_ai.responses.", "gen_ai.request.tools.",
    "gen_ai.performance.", "gen_ai.policy.", "gen_ai.compliance.", "gen_ai.request.model.", "gen_ai.request.model_version",
    "gen_ai.response.timestamp", "gen_ai.request.timestamp", "aws_bedrock.",
)  # fmt: skip
#: Known names that no column takes.
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
     "ai.embedding", "ai.embeddings", "error.message", "error.stack_trace", "error.llm_provider", "hidden_params",
     "llm.top_p", "llm.usage.token_type", "gen_ai.usage.num_sequences", "gen_ai.content.prompt", "gen_ai.content.completion",
     "gen_ai.response.tokens_per_second")
)  # fmt: skip


def rooted(names: tuple[Path, ...], *roots: str) -> tuple[Path, ...]:
    """Paths to ``names`` under each of the roots in turn."""
    return tuple((root, *((n,) if isinstance(n, str) else n)) for root in roots for n in names)


def _named(*tables: tuple[Path, ...]) -> frozenset[str]:
    return frozenset(n if isinstance(n, str) else n[0] for names in tables for n in names)


#: Every name that is read, or that is known and not needed.
TAKEN = KNOWN | _named(
    *OWN.values(), *AROUND.values(), USER, tuple(HEADERS.values()), HTTP, RESPONSE_ID, CACHE_WRITTEN, TOTAL, FIRST_CHUNK_S,
    FIRST_CHUNK_MS, (FIRST_TOKEN, FIRST_CHUNK_AT, LEVEL, LEVEL_MESSAGE), ERROR_CODE, FINISH, STOPS, BIAS, PREVIOUS, ERROR,
    MESSAGES, TEXTS, LAST_TEXTS, SYSTEM, ANSWERS, TOOLS, KINDS,
)  # fmt: skip


def untaken(own: Mapping[str, object]) -> Iterator[str]:
    """Names among attributes that no column takes, with the numbers of lists as ``N``."""
    for name in own:
        if name.__class__ is str and name not in TAKEN and not name.startswith(PASSED):
            yield _NUMBER.sub(".N", name)

"""The columns that a log line is mapped to, and those that the lake keeps of it.

``CANONICAL`` is the record that every log format is mapped to; it still has text and clear identifiers. ``REQUESTS`` is
what ingest stores of it: text is measured, identifiers are keyed hashes. NULL means not known, or too few observations;
0 means measured, and zero. Timestamps are UTC, in microseconds, without zone.
"""

from __future__ import annotations

from features.spec import Column

#: Pinned parameters of stored sketches and hashed keys. After a change of any of them stored sketches cannot be compared,
#: so it needs a new lake.
SKETCH_VERSION = 1
MINHASH_PERMUTATIONS = 32
MINHASH_SEED = 7
SHINGLE_TOKENS = 3

_C = Column

CANONICAL: tuple[Column, ...] = (
    _C(
        "request_id",
        "VARCHAR",
        "the log's own id of the request; one account's twice in a second counts once",
    ),
    _C("ts", "TIMESTAMP", "when the request arrived; ISO 8601 or epoch s, ms, us or ns", "UTC"),
    _C("account_id", "VARCHAR", "who is answerable: user id, else organisation, else key id"),
    _C("model", "VARCHAR", "model asked for"),
    _C("api_key_id", "VARCHAR", "identifier of the API key (never the key itself)"),
    _C("org_id", "VARCHAR", "organisation, team or tenant"),
    _C("end_user_id", "VARCHAR", "the caller's own user, as the caller names it"),
    _C("source_ip", "VARCHAR", "client address, IPv4 or IPv6"),
    _C("asn", "BIGINT", "autonomous system number of the address"),
    _C("country", "VARCHAR", "country of the address; never scored", "ISO 3166-1 alpha-2"),
    _C("user_agent", "VARCHAR", "client's own description of itself"),
    _C("ja4", "VARCHAR", "JA4 TLS client fingerprint"),
    _C("pathway", "VARCHAR", "route the request came by (first-party api, a cloud, a programme)"),
    _C("operation", "VARCHAR", "chat, completion, embeddings ..."),
    _C("prompt", "VARCHAR", "text of the last user turn; measured, then dropped"),
    _C("system_prompt", "VARCHAR", "system text; measured, then dropped"),
    _C("turn", "INTEGER", "position in its conversation, 1 is the first"),
    _C("session_id", "VARCHAR", "conversation"),
    _C("input_tokens", "BIGINT", "tokens read", "tokens"),
    _C("output_tokens", "BIGINT", "tokens written", "tokens"),
    _C("cached_tokens", "BIGINT", "input tokens served from the prompt cache", "tokens"),
    _C("reasoning_tokens", "BIGINT", "tokens of hidden reasoning", "tokens"),
    _C("latency_ms", "DOUBLE", "time to the end of the answer", "ms"),
    _C("ttft_ms", "DOUBLE", "time to the first token", "ms"),
    _C("status", "INTEGER", "HTTP status; plain success is 200, unknown failure 500"),
    _C("finish_reason", "VARCHAR", "stop, length, tool, filter or refusal"),
    _C("stream", "BOOLEAN", "whether the answer was streamed"),
    _C("temperature", "DOUBLE", "sampling temperature"),
    _C("max_tokens", "BIGINT", "limit on the answer", "tokens"),
    _C("n", "INTEGER", "answers asked for at once"),
    _C("top_logprobs", "INTEGER", "log-probabilities asked for per token"),
    _C("logit_bias", "BOOLEAN", "whether token probabilities were biased"),
    _C("tool_count", "INTEGER", "tools offered to the model"),
    _C("tool_names", "VARCHAR[]", "names of those tools"),
    _C("n_images", "INTEGER", "images in the prompt"),
    _C(
        "minted",
        "VARCHAR[]",
        "state the answer hands out (signatures, encrypted reasoning, ids of stored responses)",
    ),
    _C("carried", "VARCHAR[]", "state of earlier answers that the request sends back, at most 256"),
    _C("seed", "BIGINT", "seed asked for"),
    _C("stop_count", "INTEGER", "stop sequences asked for"),
    _C("error_class", "VARCHAR", "what kind of error a failed request met"),
)
REQUIRED = ("request_id", "ts", "account_id", "model")

ACCOUNTS: tuple[Column, ...] = (
    _C("account_id", "VARCHAR", "the account"),
    _C("org_id", "VARCHAR", "organisation it belongs to"),
    _C("created_at", "TIMESTAMP", "sign-up", "UTC"),
    _C("payment_fingerprint", "VARCHAR", "the payment processor's fingerprint of the card or bank account"),
    _C("payment_bin", "VARCHAR", "issuer part of the card number"),
    _C("email_domain", "VARCHAR", "mail domain, lower case"),
    _C("signup_ip", "VARCHAR", "address at sign-up"),
    _C("country", "VARCHAR", "stated country; never scored", "ISO 3166-1 alpha-2"),
    _C("pathway", "VARCHAR", "route the account was opened by"),
    _C("program", "VARCHAR", "payg, education, research, startup, enterprise, partner ..."),
    _C("verified", "BOOLEAN", "whether identity was verified"),
    _C("status", "VARCHAR", "active, suspended, banned ..."),
    _C("valid_from", "TIMESTAMP", "from when the row holds", "UTC"),
    _C("keys", "MAP(VARCHAR, VARCHAR[])", "any further linking keys a site has: kind to values"),
)
ACCOUNT_EVENTS: tuple[Column, ...] = (
    _C("ts", "TIMESTAMP", "when", "UTC"),
    _C("account_id", "VARCHAR", "the account"),
    _C("event", "VARCHAR", "created, banned, suspended, reinstated, key_rotated ..."),
)
MODEL_RELEASES: tuple[Column, ...] = (
    _C("model", "VARCHAR", "model name as it stands in requests"),
    _C("released_at", "TIMESTAMP", "when the public could first call it", "UTC"),
)

ELICITATION_KINDS = ("cot", "pairs", "grading", "rewrite", "trace")
CAPABILITIES = (
    "coding", "reasoning", "agentic", "vision", "data", "safety", "writing", "translation", "general",
)  # fmt: skip

#: Kind of a content key, by its low four bits (``key % 16``); the other bits are a keyed hash.
CONTENT_KEY_KINDS = {
    0: "exact",  # the whole masked prompt
    1: "opening4",  # first 4 tokens
    2: "opening8",  # first 8 tokens
    3: "ending4",  # last 4 tokens
    4: "ending8",  # last 8 tokens
    5: "line",  # a whole line of 4 tokens or more
    6: "gram5",  # a sampled run of 5 tokens
    7: "band",  # a band of the prompt's MinHash sketch
    8: "system",  # the whole masked system prompt
    9: "system_band",  # a band of the system prompt's sketch
    10: "template",  # the template id
}

#: What ingest stores of a request. ``day`` is the partition.
REQUESTS: tuple[Column, ...] = (
    _C("request_id", "VARCHAR", "the log's own id of the request; not unique"),
    _C("ts", "TIMESTAMP", "when the request arrived", "UTC"),
    _C("day", "DATE", "partition: the UTC day of ts"),
    _C("account_id", "VARCHAR", "who is answerable for the request"),
    _C("model", "VARCHAR", "model asked for"),
    _C("api_key_hash", "VARCHAR", "keyed hash of the API key's id"),
    _C("org_id", "VARCHAR", "organisation, team or tenant"),
    _C("end_user_hash", "VARCHAR", "keyed hash of the caller's own user"),
    _C("ip_hash", "VARCHAR", "keyed hash of the client address"),
    _C("ip_prefix", "VARCHAR", "its /24 (IPv4) or /48 (IPv6) network"),
    _C("asn", "BIGINT", "autonomous system number of the address"),
    _C("country", "VARCHAR", "country of the address; never scored", "ISO 3166-1 alpha-2"),
    _C(
        "user_agent", "VARCHAR", "client's own description, cut at 256 characters, control characters dropped"
    ),
    _C("ja4", "VARCHAR", "JA4 TLS client fingerprint"),
    _C("pathway", "VARCHAR", "route the request came by"),
    _C("operation", "VARCHAR", "chat, completion, embeddings ..."),
    _C("turn", "INTEGER", "position in its conversation, 1 is the first"),
    _C("session_hash", "VARCHAR", "keyed hash of the conversation id"),
    _C("input_tokens", "BIGINT", "tokens read", "tokens"),
    _C("output_tokens", "BIGINT", "tokens written", "tokens"),
    _C("cached_tokens", "BIGINT", "input tokens served from the prompt cache", "tokens"),
    _C("reasoning_tokens", "BIGINT", "tokens of hidden reasoning", "tokens"),
    _C("latency_ms", "DOUBLE", "time to the end of the answer", "ms"),
    _C("ttft_ms", "DOUBLE", "time to the first token", "ms"),
    _C("status", "INTEGER", "HTTP status"),
    _C("finish_reason", "VARCHAR", "stop, length, tool, filter or refusal"),
    _C("stream", "BOOLEAN", "whether the answer was streamed"),
    _C("temperature", "DOUBLE", "sampling temperature"),
    _C("max_tokens", "BIGINT", "limit on the answer", "tokens"),
    _C("n", "INTEGER", "answers asked for at once"),
    _C("top_logprobs", "INTEGER", "log-probabilities asked for per token"),
    _C("logit_bias", "BOOLEAN", "whether token probabilities were biased"),
    _C("tool_count", "INTEGER", "tools offered to the model"),
    _C("tools_hash", "VARCHAR", "keyed hash of the sorted tool names"),
    _C("n_images", "INTEGER", "images in the prompt"),
    _C(
        "minted",
        "UBIGINT[]",
        "keyed hashes of state the answer hands out; only the account it was given to has it",
    ),
    _C("carried", "UBIGINT[]", "keyed hashes of such state that the request sends back"),
    _C("seed", "BIGINT", "seed asked for"),
    _C("stop_count", "INTEGER", "stop sequences asked for"),
    _C("error_class", "VARCHAR", "what kind of error a failed request met"),
    _C("prompt_chars", "INTEGER", "length of the prompt", "characters"),
    _C("prompt_words", "INTEGER", "tokens of the prompt as ingest counts them", "words"),
    _C("prompt_lines", "INTEGER", "lines of the prompt that are not blank", "lines"),
    _C("system_chars", "INTEGER", "length of the system prompt", "characters"),
    _C("prompt_hash", "UBIGINT", "keyed hash of the whole masked prompt"),
    _C("system_hash", "UBIGINT", "keyed hash of the whole masked system prompt"),
    _C("template_id", "UBIGINT", "keyed hash of the prompt's skeleton"),
    _C("prompt_sketch", "BLOB", "MinHash of the prompt's 3-token shingles: 32 little-endian uint32"),
    _C("system_sketch", "BLOB", "the same of the system prompt"),
    _C("content_keys", "UBIGINT[]", "keyed hashes of what a scaffold leaves behind; kind in the low 4 bits"),
    _C("elicitation_score", "DOUBLE", "how much it asks for training material", "0..1"),
    _C("elicit_cot", "DOUBLE", "asks for reasoning written out", "0..1"),
    _C("elicit_pairs", "DOUBLE", "asks for question, reasoning, answer records", "0..1"),
    _C("elicit_grading", "DOUBLE", "asks for grades by a rubric or preference labels", "0..1"),
    _C("elicit_rewrite", "DOUBLE", "asks for censorship-safe rewriting", "0..1"),
    _C("elicit_trace", "DOUBLE", "asks to reconstruct the reasoning behind a given answer", "0..1"),
    _C(
        "capability",
        "VARCHAR",
        "coding, reasoning, agentic, vision, data, safety, writing, translation, general",
    ),
    _C("language", "VARCHAR", "main script and language of the prompt: en, zh, ... or other"),
    _C("logit_probe", "BOOLEAN", "short answers with log-probabilities, biases or many samples asked for"),
    _C("file_id", "VARCHAR", "log file it came from"),
    _C("line", "BIGINT", "line (or entry) in that file, from 1"),
)

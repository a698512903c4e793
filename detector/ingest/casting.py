"""From the text of a field to its canonical type, in SQL, so that a wrong type is a reject and never a NULL.

Every format pulls its fields out as text; here they get their types, one way for all of them. Only functions
that do not fail on bad input are used (``TRY_CAST``).
"""

from __future__ import annotations

from detector.ingest.jsonsql import quote
from features.spec import Column

#: Longest identifier kept, in characters. A longer one keeps its start and a digest of the whole: were the
#: line rejected, a caller who may name things (his own user, his request) could keep himself out of the lake.
MAX_ID = 1024
#: Longest descriptive text kept, in characters; a longer one is cut.
MAX_LABEL = 256

_IDS = {"request_id", "account_id", "api_key_id", "org_id", "end_user_id", "session_id"}
_FREE = {"prompt", "system_prompt", "tool_names", "keys"}

#: What formats call the way an answer ended, lower case, to the five words of the canonical record.
FINISH = {
    "stop": ("stop", "end_turn", "stop_sequence", "eos", "eos_token", "complete", "completed", "finish",
             "finished", "endoftext", "pause_turn"),
    "length": ("length", "max_tokens", "max_output_tokens", "model_length", "model_context_window_exceeded"),
    "tool": ("tool", "tool_calls", "tool_call", "tool_use", "function_call"),
    "filter": ("filter", "content_filter", "content_filtered", "guardrail_intervened", "safety", "blocklist",
               "prohibited_content", "recitation", "error_toxic"),
    "refusal": ("refusal", "refused"),
}  # fmt: skip

_EXPECTED = {
    "TIMESTAMP": "a time (ISO 8601, or epoch s, ms, us or ns) between 2000 and 2100",
    "BIGINT": "a whole number",
    "INTEGER": "a whole number",
    "DOUBLE": "a number",
    "BOOLEAN": "true or false",
    "VARCHAR": "text",
    "VARCHAR[]": "a list of names",
    "MAP(VARCHAR, VARCHAR[])": "an object of lists",
}


def value(column: Column, raw: str) -> str:
    """SQL of ``column``'s value; ``raw`` is SQL of its text. NULL where the text is NULL, empty or wrong."""
    if column.name == "status" and column.type == "INTEGER":
        return f"""CASE lower({raw}) WHEN 'success' THEN 200 WHEN 'failure' THEN 500
            WHEN 'true' THEN NULL WHEN 'false' THEN NULL ELSE TRY_CAST({raw} AS INTEGER) END"""
    if column.name == "asn":
        return f"TRY_CAST(CASE WHEN upper({raw}[:2]) = 'AS' THEN trim({raw}[3:]) ELSE {raw} END AS BIGINT)"
    if column.name == "logit_bias":
        nested = f"starts_with({raw}, '{{') OR starts_with({raw}, '[')"
        return f"CASE WHEN {nested} THEN {raw} NOT IN ('{{}}', '[]') ELSE TRY_CAST({raw} AS BOOLEAN) END"
    if column.name == "finish_reason":
        arms = " ".join(
            f"WHEN lower({raw}) IN ({', '.join(map(quote, said))}) THEN '{word}'"
            for word, said in FINISH.items()
        )
        return f"CASE {arms} END"
    if column.type == "TIMESTAMP":
        return timestamp(raw)
    if column.type in ("BIGINT", "INTEGER", "DOUBLE", "BOOLEAN"):
        return f"TRY_CAST({raw} AS {column.type})"
    if column.type == "VARCHAR[]":
        return _names(raw)
    if column.name in _IDS:
        short = f"{raw}[:64] || '#' || md5({raw})"
        return f"CASE WHEN length({raw}) > {MAX_ID} THEN {short} ELSE nullif({raw}, '') END"
    if column.name in _FREE:
        return f"nullif({raw}, '')"
    return f"CASE WHEN length({raw}) > {MAX_LABEL} THEN {raw}[:{MAX_LABEL}] ELSE nullif({raw}, '') END"


def wrong(column: Column, raw: str, cast: str) -> str | None:
    """SQL that is true where the text ``raw`` is no value of ``column``; None: it cannot be wrong."""
    if column.name == "finish_reason" or column.name in _FREE - {"tool_names"}:
        return None
    if column.name == "status" and column.type == "INTEGER":
        return f"{raw} <> '' AND ({cast} IS NULL OR {cast} NOT BETWEEN 100 AND 599)"
    if column.type == "TIMESTAMP":
        return f"{raw} <> '' AND ({cast} IS NULL OR {cast} NOT BETWEEN '2000-01-01' AND '2100-01-01')"
    if column.type in ("BIGINT", "INTEGER"):
        broken = f"contains({raw}, '.') AND TRY_CAST({raw} AS DOUBLE) <> {cast}"
        return f"{raw} <> '' AND ({cast} IS NULL OR ({broken}))"
    if column.type == "DOUBLE":
        return f"{raw} <> '' AND ({cast} IS NULL OR NOT isfinite({cast}))"
    if column.type in ("BOOLEAN", "VARCHAR[]"):
        return f"{raw} <> '' AND {cast} IS NULL"
    return None


def tidy(column: Column, cast: str) -> str:
    """SQL of the value as it is kept: a negative count or time is not known (proxies write -1 for that)."""
    if column.type in ("BIGINT", "INTEGER", "DOUBLE"):
        return f"CASE WHEN {cast} >= 0 THEN {cast} END"
    return cast


def expected(column: Column) -> str:
    """What a reject says was expected of ``column``."""
    if column.name == "status" and column.type == "INTEGER":
        return "an HTTP status, success or failure"
    return _EXPECTED[column.type]


def timestamp(raw: str) -> str:
    """SQL of a time in UTC from ISO 8601 (no zone: UTC) or an epoch number, whose unit shows in its size.

    Years 2000 to 2100 are told apart by it: seconds 9.4e8..4.1e9, ms, us and ns a thousand times each.
    """
    number = f"TRY_CAST({raw} AS DECIMAL(28, 6))"
    return f"""CASE
        WHEN {raw}[5:5] = '-' AND ends_with({raw}, 'Z') THEN TRY_CAST({raw} AS TIMESTAMP)
        WHEN {raw}[5:5] = '-' THEN timezone('UTC', TRY_CAST(upper({raw}) AS TIMESTAMPTZ))
        WHEN {number} BETWEEN 900000000 AND 4200000000 THEN make_timestamp(({number} * 1000000)::BIGINT)
        WHEN {number} BETWEEN 900000000000 AND 4200000000000 THEN make_timestamp(({number} * 1000)::BIGINT)
        WHEN {number} BETWEEN 900000000000000 AND 4200000000000000 THEN make_timestamp({number}::BIGINT)
        WHEN {number} BETWEEN 900000000000000000 AND 4200000000000000000
            THEN make_timestamp(TRY_CAST({raw} AS BIGINT) // 1000)
        END"""


def _names(raw: str) -> str:
    """SQL of a list of names from a JSON array of texts, or from text with commas (CSV)."""
    return f"""CASE WHEN {raw} IS NULL OR {raw} = '' THEN NULL
        WHEN starts_with({raw}, '[') THEN CASE
            WHEN json_valid({raw}) AND NOT contains(json_structure({raw})::VARCHAR, '{{')
            THEN list_filter(json_transform({raw}, '["VARCHAR"]'), lambda x: x <> '') END
        WHEN starts_with({raw}, '{{') THEN NULL
        ELSE list_filter(list_transform(string_split({raw}, ','), lambda x: trim(x)),
            lambda x: x <> '') END"""

"""How much an account calls, how much comes out, and how often it fails.

The base of the grain: counts and sums that every reader of ``account_days`` needs, and the ratio of what is
taken out to what is put in, which harvest of long answers raises.
"""

from __future__ import annotations

from features.spec import Column, Example, Measure

SQL = """
WITH by_model AS (
    SELECT
        account_id, model,
        count(*) AS n,
        count(CASE WHEN status < 400 THEN 1 END) AS ok,
        count(CASE WHEN status >= 400 THEN 1 END) AS failed,
        count(finish_reason) AS finished,
        count(CASE WHEN finish_reason = 'refusal' THEN 1 END) AS refused,
        sum(input_tokens) AS tokens_in,
        sum(output_tokens) AS tokens_out,
        sum(reasoning_tokens) AS tokens_thought,
        sum(CASE WHEN output_tokens IS NOT NULL THEN input_tokens END) AS paired_in,
        sum(CASE WHEN input_tokens IS NOT NULL THEN output_tokens END) AS paired_out,
        min(ts) AS first_ts, max(ts) AS last_ts
    FROM requests
    GROUP BY account_id, model
), sums AS (
    SELECT
        account_id,
        sum(n) AS n, sum(ok) AS ok, sum(failed) AS failed, sum(finished) AS finished, sum(refused) AS refused,
        sum(tokens_in) AS tokens_in, sum(tokens_out) AS tokens_out, sum(tokens_thought) AS tokens_thought,
        sum(paired_in) AS paired_in, sum(paired_out) AS paired_out,
        count(*) AS models, max(n) AS top_model, min(first_ts) AS first_ts, max(last_ts) AS last_ts
    FROM by_model
    GROUP BY account_id
), medians AS (
    SELECT
        account_id,
        median(input_tokens) AS median_in, median(output_tokens) AS median_out
    FROM requests
    GROUP BY account_id
), sessions AS (
    SELECT account_id, count(*) AS n_sessions
    FROM (
        SELECT account_id, session_hash FROM requests
        WHERE session_hash IS NOT NULL
        GROUP BY account_id, session_hash
    ) AS each_session
    GROUP BY account_id
)
SELECT
    sums.account_id,
    n AS n_requests,
    CASE WHEN ok + failed > 0 THEN ok END AS n_ok,
    tokens_in AS input_tokens,
    tokens_out AS output_tokens,
    tokens_thought AS reasoning_tokens,
    median_in AS input_tokens_median,
    median_out AS output_tokens_median,
    CAST(paired_out AS DOUBLE) / nullif(paired_in, 0) AS output_input_ratio,
    n_sessions,
    models AS n_models,
    CAST(top_model AS DOUBLE) / n AS top_model_share,
    CAST(failed AS DOUBLE) / nullif(ok + failed, 0) AS error_share,
    CAST(refused AS DOUBLE) / nullif(finished, 0) AS refusal_share,
    first_ts,
    last_ts
FROM sums
JOIN medians ON sums.account_id = medians.account_id
LEFT JOIN sessions ON sums.account_id = sessions.account_id
"""

MEASURE = Measure(
    name="volume",
    columns=(
        Column("n_requests", "BIGINT", "requests of the day", "requests"),
        Column(
            "n_ok", "BIGINT", "requests with a status under 400; NULL when no status is logged", "requests"
        ),
        Column("input_tokens", "BIGINT", "tokens read", "tokens"),
        Column("output_tokens", "BIGINT", "tokens written", "tokens"),
        Column("reasoning_tokens", "BIGINT", "tokens of hidden reasoning", "tokens"),
        Column("input_tokens_median", "DOUBLE", "median tokens read by a request", "tokens"),
        Column("output_tokens_median", "DOUBLE", "median tokens written for a request", "tokens"),
        Column("output_input_ratio", "DOUBLE", "tokens written for each token read, where both are logged"),
        Column("n_sessions", "BIGINT", "conversations; NULL when none is logged", "sessions"),
        Column("n_models", "BIGINT", "models asked for", "models"),
        Column("top_model_share", "DOUBLE", "requests that went to the model used most", "0..1"),
        Column(
            "error_share", "DOUBLE", "requests with a status of 400 or more, of those with a status", "0..1"
        ),
        Column(
            "refusal_share", "DOUBLE", "answers that were refusals, of those with a finish reason", "0..1"
        ),
        Column("first_ts", "TIMESTAMP", "first request of the day", "UTC"),
        Column("last_ts", "TIMESTAMP", "last request of the day", "UTC"),
    ),
    sql=SQL,
    example=Example(
        tables={
            "requests": [
                {
                    "account_id": "a",
                    "ts": "2026-03-02 10:00:00",
                    "model": "m1",
                    "status": 200,
                    "finish_reason": "stop",
                    "session_hash": "s1",
                    "input_tokens": 100,
                    "output_tokens": 300,
                },
                {
                    "account_id": "a",
                    "ts": "2026-03-02 10:05:00",
                    "model": "m1",
                    "status": 200,
                    "finish_reason": "refusal",
                    "session_hash": "s1",
                    "input_tokens": 100,
                    "output_tokens": 100,
                },
                # No output: it counts for the sums of input but not for the ratio.
                {
                    "account_id": "a",
                    "ts": "2026-03-02 11:00:00",
                    "model": "m2",
                    "status": 429,
                    "session_hash": "s2",
                    "input_tokens": 40,
                },
                {"account_id": "b", "ts": "2026-03-02 12:00:00", "model": "m2"},
            ]
        },
        expect=[
            {
                "account_id": "a",
                "n_requests": 3,
                "n_ok": 2,
                "input_tokens": 240,
                "output_tokens": 400,
                "reasoning_tokens": None,
                "input_tokens_median": 100.0,
                "output_tokens_median": 200.0,
                "output_input_ratio": 2.0,  # 400 out for the 200 in of the two answered
                "n_sessions": 2,
                "n_models": 2,
                "top_model_share": 2 / 3,
                "error_share": 1 / 3,
                "refusal_share": 0.5,  # of two with a finish reason
            },
            {
                "account_id": "b",
                "n_requests": 1,
                "n_ok": None,
                "input_tokens": None,
                "output_tokens": None,
                "output_input_ratio": None,
                "n_sessions": None,
                "n_models": 1,
                "top_model_share": 1.0,
                "error_share": None,
                "refusal_share": None,
            },
        ],
    ),
    false_positives=(
        "an enterprise or a contracted reseller sends more than any attacker through one account",
        "writing long documents from short orders is what many people pay for",
    ),
)

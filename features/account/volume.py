"""How much an account calls, how much comes out, and how often it fails.

The base of the grain: counts and sums that every reader of ``account_days`` needs, and the ratio of what is
taken out to what is put in, which harvest of long answers raises.
"""

from __future__ import annotations

from features.spec import Column, Example, Measure, Row

#: Shares of one to three requests say nothing.
MIN_REQUESTS = 4

SQL = f"""
WITH by_model AS (
    SELECT
        bucket, model,
        sum(calls) AS n,
        sum(CASE WHEN failed THEN 0 WHEN NOT failed THEN calls END) AS ok,
        sum(CASE WHEN failed THEN calls WHEN NOT failed THEN 0 END) AS failed,
        sum(CASE WHEN refused IS NOT NULL THEN calls END) AS finished,
        sum(CASE WHEN refused THEN calls ELSE 0 END) AS refused,
        sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
        sum(reasoning_tokens) AS reasoning_tokens,
        sum(paired_input) AS paired_input, sum(paired_output) AS paired_output,
        min(first_ts) AS first_ts, max(last_ts) AS last_ts
    FROM facets
    GROUP BY bucket, model
), sums AS (
    SELECT
        bucket,
        sum(n) AS n, sum(ok) AS ok, sum(failed) AS failed, sum(finished) AS finished, sum(refused) AS refused,
        sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
        sum(reasoning_tokens) AS reasoning_tokens,
        sum(paired_input) AS paired_input, sum(paired_output) AS paired_output,
        count(*) AS models, max(n) AS top_model, min(first_ts) AS first_ts, max(last_ts) AS last_ts
    FROM by_model
    GROUP BY bucket
), medians AS (
    SELECT bucket_of(account_id) AS bucket, median(output_tokens) AS median_out
    FROM requests
    GROUP BY bucket_of(account_id)
)
SELECT
    names.account_id,
    n AS n_requests,
    ok AS n_ok,
    input_tokens,
    output_tokens,
    reasoning_tokens,
    median_out AS output_tokens_median,
    paired_output * 1.0 / nullif(paired_input, 0) AS output_input_ratio,
    models AS n_models,
    CASE WHEN n >= {MIN_REQUESTS} THEN top_model * 1.0 / n END AS top_model_share,
    CASE WHEN ok + failed >= {MIN_REQUESTS} THEN failed * 1.0 / (ok + failed) END AS error_share,
    CASE WHEN finished >= {MIN_REQUESTS} THEN refused * 1.0 / finished END AS refusal_share,
    first_ts,
    last_ts
FROM sums
JOIN account_buckets AS names ON sums.bucket = names.bucket
JOIN medians ON sums.bucket = medians.bucket
"""


def _call(
    account: str,
    time: str,
    *,
    model: str = "m1",
    status: int | None = None,
    finish: str | None = None,
    read: int | None = None,
    wrote: int | None = None,
    thought: int | None = None,
) -> Row:
    return {
        "account_id": account,
        "ts": f"2026-03-02 {time}",
        "model": model,
        "status": status,
        "finish_reason": finish,
        "input_tokens": read,
        "output_tokens": wrote,
        "reasoning_tokens": thought,
    }


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
        Column("output_tokens_median", "DOUBLE", "median tokens written for a request", "tokens"),
        Column("output_input_ratio", "DOUBLE", "tokens written for each token read, where both are logged"),
        Column("n_models", "BIGINT", "models asked for", "models"),
        Column(
            "top_model_share", "DOUBLE", "requests that went to the model used most; NULL under 4", "0..1"
        ),
        Column(
            "error_share",
            "DOUBLE",
            "requests with a status of 400 or more, of those with a status; NULL under 4",
            "0..1",
        ),
        Column(
            "refusal_share",
            "DOUBLE",
            "answers that were refusals, of those with a finish reason; NULL under 4",
            "0..1",
        ),
        Column("first_ts", "TIMESTAMP", "first request of the day", "UTC"),
        Column("last_ts", "TIMESTAMP", "last request of the day", "UTC"),
    ),
    sql=SQL,
    reads=("requests", "account_buckets", "facets"),
    example=Example(
        tables={
            "requests": [
                _call("a", "10:00:00", status=200, finish="stop", read=100, wrote=300, thought=50),
                _call("a", "10:05:00", status=200, finish="refusal", read=100, wrote=100, thought=0),
                _call("a", "10:06:00", status=200, finish="stop", read=50, wrote=50),
                _call("a", "10:07:00", status=200, finish="stop", read=50, wrote=150),
                # No output: it counts for the sum of input but not for the ratio.
                _call("a", "11:00:00", model="m2", status=429, read=40),
                _call("b", "12:00:00", model="m2"),
            ]
        },
        expect=[
            {
                "account_id": "a",
                "n_requests": 5,
                "n_ok": 4,
                "input_tokens": 340,
                "output_tokens": 600,
                "reasoning_tokens": 50,
                "output_tokens_median": 125.0,  # of 50, 100, 150, 300
                "output_input_ratio": 2.0,  # 600 out for the 300 in of the four answered
                "n_models": 2,
                "top_model_share": 0.8,
                "error_share": 0.2,
                "refusal_share": 0.25,  # of four with a finish reason
                "first_ts": "2026-03-02 10:00:00",
                "last_ts": "2026-03-02 11:00:00",
            },
            {
                "account_id": "b",
                "n_requests": 1,
                "n_ok": None,
                "input_tokens": None,
                "output_tokens": None,
                "output_input_ratio": None,
                "n_models": 1,
                "top_model_share": None,
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

"""How much an account calls, how many tokens it gets, and how often a call fails.

These are the counts and sums that every reader of ``account_days`` needs. The ratio of output to input tokens is
higher for a harvest of long answers.
"""

from __future__ import annotations

from features.spec import Column, Example, Measure, Row

#: Fewest requests of a share.
MIN_REQUESTS = 4

SQL = f"""
WITH by_model AS (
    SELECT bucket, model, sum(calls) AS n
    FROM facets
    GROUP BY bucket, model
), models AS (
    SELECT bucket, count(*) AS n_models, max(n) AS n_top
    FROM by_model
    GROUP BY bucket
)
SELECT
    account_id,
    calls AS n_requests,
    CASE WHEN volume_statuses > 0 THEN volume_statuses - volume_failed END AS n_ok,
    volume_input AS input_tokens,
    volume_output AS output_tokens,
    volume_reasoning AS reasoning_tokens,
    volume_paired_output * 1.0 / nullif(volume_paired_input, 0) AS output_input_ratio,
    n_models,
    CASE WHEN calls >= {MIN_REQUESTS} THEN n_top * 1.0 / calls END AS top_model_share,
    CASE WHEN volume_statuses >= {MIN_REQUESTS} THEN volume_failed * 1.0 / volume_statuses END AS error_share,
    CASE WHEN volume_finished >= {MIN_REQUESTS} THEN volume_refused * 1.0 / volume_finished END AS refusal_share,
    volume_first AS first_ts,
    volume_last AS last_ts
FROM tally JOIN models ON tally.bucket = models.bucket
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
        Column(
            "n_requests",
            "BIGINT",
            "requests of the day",
            "requests",
            descriptive="says how large a customer is, not what it does",
        ),
        Column(
            "n_ok",
            "BIGINT",
            "requests with a status under 400; NULL when no status is logged",
            "requests",
            descriptive="says how large a customer is, not what it does",
        ),
        Column(
            "input_tokens",
            "BIGINT",
            "tokens read",
            "tokens",
            descriptive="says how large a customer is, not what it does",
        ),
        Column(
            "output_tokens",
            "BIGINT",
            "tokens written",
            "tokens",
            descriptive="says how large a customer is, not what it does",
        ),
        Column(
            "reasoning_tokens",
            "BIGINT",
            "tokens of hidden reasoning",
            "tokens",
            descriptive="says how large a customer is, not what it does",
        ),
        Column(
            "output_input_ratio",
            "DOUBLE",
            "tokens written for each token read, where both are logged",
            descriptive="says how one campaign behaved; misleads about one nobody has seen",
        ),
        Column(
            "n_models",
            "BIGINT",
            "models asked for",
            "models",
            descriptive="for people; trying models is what customers do",
        ),
        Column(
            "top_model_share",
            "DOUBLE",
            "requests that went to the model used most; NULL under 4",
            "0..1",
            descriptive="says how one campaign behaved; misleads about one nobody has seen",
        ),
        Column(
            "error_share",
            "DOUBLE",
            "requests with a status of 400 or more, of those with a status; NULL under 4",
            "0..1",
            descriptive="for people; a broken client fails as often as a blocked one",
        ),
        Column(
            "refusal_share",
            "DOUBLE",
            "answers that were refusals, of those with a finish reason; NULL under 4",
            "0..1",
            descriptive="for people; depends on what the provider's models refuse",
        ),
        Column("first_ts", "TIMESTAMP", "first request of the day", "UTC", descriptive="when, for people"),
        Column("last_ts", "TIMESTAMP", "last request of the day", "UTC", descriptive="when, for people"),
    ),
    sql=SQL,
    reads=("requests", "tally", "facets"),
    tally={
        "volume_statuses": "count(status)",
        "volume_failed": "count(CASE WHEN status >= 400 THEN 1 END)",
        "volume_finished": "count(finish_reason)",
        "volume_refused": "count(CASE WHEN finish_reason = 'refusal' THEN 1 END)",
        "volume_input": "sum(input_tokens)",
        "volume_output": "sum(output_tokens)",
        "volume_reasoning": "sum(reasoning_tokens)",
        "volume_paired_input": "sum(CASE WHEN output_tokens IS NOT NULL THEN input_tokens END)",
        "volume_paired_output": "sum(CASE WHEN input_tokens IS NOT NULL THEN output_tokens END)",
        "volume_first": "min(ts)",
        "volume_last": "max(ts)",
    },
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

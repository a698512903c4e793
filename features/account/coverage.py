"""How an account covers a space of questions: each once, each in a conversation of its own.

Harvest works through a list. People come back to a question, follow it up, and ask nearly the same again.
"""

from __future__ import annotations

from features.spec import Column, Example, Measure

#: Fewest requests: two or three differ by chance.
MIN_REQUESTS = 4

SQL = f"""
WITH walked AS (
    SELECT bucket, count(prompt_hash) AS n_prompts
    FROM asked
    GROUP BY bucket
)
SELECT
    account_id,
    CASE WHEN coverage_prompted > 0 THEN n_prompts END AS n_distinct_prompts,
    CASE WHEN coverage_prompted >= {MIN_REQUESTS} THEN n_prompts * 1.0 / coverage_prompted END
        AS distinct_prompt_share,
    CASE WHEN coverage_turned >= {MIN_REQUESTS} THEN coverage_first * 1.0 / coverage_turned END
        AS first_turn_share
FROM walked JOIN tally ON walked.bucket = tally.bucket
"""

MEASURE = Measure(
    name="coverage",
    columns=(
        Column(
            "n_distinct_prompts",
            "BIGINT",
            "different masked prompts",
            "prompts",
            descriptive="says how large a customer is, not what it does",
        ),
        Column(
            "distinct_prompt_share",
            "DOUBLE",
            "those, of its requests; NULL under 4",
            "0..1",
            descriptive="pipelines see each document once; read between accounts as shared_exact_share",
        ),
        Column(
            "first_turn_share",
            "DOUBLE",
            "requests that open a conversation; NULL under 4",
            "0..1",
            descriptive="says how one campaign behaved; misleads about one nobody has seen",
        ),
    ),
    sql=SQL,
    reads=("requests", "tally", "asked"),
    tally={
        "coverage_prompted": "count(prompt_hash)",
        "coverage_turned": "count(turn)",
        "coverage_first": "count(CASE WHEN turn = 1 THEN 1 END)",
    },
    needs=("prompt_hash",),
    example=Example(
        tables={
            "requests": [
                # Four different prompts in five requests, each opening a conversation but the last.
                {"account_id": "a", "prompt_hash": 1, "turn": 1},
                {"account_id": "a", "prompt_hash": 2, "turn": 1},
                {"account_id": "a", "prompt_hash": 3, "turn": 1},
                {"account_id": "a", "prompt_hash": 4, "turn": 1},
                {"account_id": "a", "prompt_hash": 4, "turn": 2},
                {"account_id": "few", "prompt_hash": 5, "turn": 1},
            ]
        },
        expect=[
            {
                "account_id": "a",
                "n_distinct_prompts": 4,
                "distinct_prompt_share": 0.8,
                "first_turn_share": 0.8,
            },
            {
                "account_id": "few",
                "n_distinct_prompts": 1,
                "distinct_prompt_share": None,
                "first_turn_share": None,
            },
        ],
    ),
    false_positives=(
        "a pipeline that classifies or summarises documents sees each once, without follow-up",
        "an evaluation harness walks a public list of questions",
        "clients that send no conversation id, or a new one a call",
    ),
)

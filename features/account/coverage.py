"""How an account covers a space of questions: each once, each in a conversation of its own.

Harvest works through a list. People come back to a question, follow it up, and ask nearly the same again.
"""

from __future__ import annotations

from features.spec import Column, Example, Measure

#: Fewest requests: two or three differ by chance.
MIN_REQUESTS = 4

SQL = f"""
WITH walked AS (
    SELECT
        bucket,
        count(prompt_hash) AS n_prompts,
        stddev_pop(prompt_words) / nullif(avg(prompt_words), 0) AS words_cv
    FROM asked
    GROUP BY bucket
), talks AS (
    SELECT bucket, count(*) AS n_sessions, count(CASE WHEN n = 1 THEN 1 END) AS n_single
    FROM (
        SELECT bucket_of(account_id) AS bucket, bucket_of(session_hash) AS session, count(*) AS n
        FROM requests
        WHERE session_hash IS NOT NULL
        GROUP BY bucket_of(account_id), bucket_of(session_hash)
    ) AS each_session
    GROUP BY bucket
)
SELECT
    account_id,
    CASE WHEN coverage_prompted > 0 THEN n_prompts END AS n_distinct_prompts,
    CASE WHEN coverage_prompted >= {MIN_REQUESTS} THEN n_prompts * 1.0 / coverage_prompted END
        AS distinct_prompt_share,
    CASE WHEN n_prompts >= {MIN_REQUESTS} THEN words_cv END AS prompt_words_cv,
    CASE WHEN coverage_turned >= {MIN_REQUESTS} THEN coverage_first * 1.0 / coverage_turned END
        AS first_turn_share,
    n_sessions,
    CASE WHEN n_sessions >= {MIN_REQUESTS} THEN n_single * 1.0 / n_sessions END AS single_turn_session_share
FROM walked
JOIN tally ON walked.bucket = tally.bucket
LEFT JOIN talks ON walked.bucket = talks.bucket
"""

MEASURE = Measure(
    name="coverage",
    columns=(
        Column("n_distinct_prompts", "BIGINT", "different masked prompts", "prompts"),
        Column("distinct_prompt_share", "DOUBLE", "those, of its requests; NULL under 4", "0..1"),
        Column(
            "prompt_words_cv",
            "DOUBLE",
            "standard deviation over mean of the length of its different prompts; NULL under 4",
        ),
        Column("first_turn_share", "DOUBLE", "requests that open a conversation; NULL under 4", "0..1"),
        Column("n_sessions", "BIGINT", "conversations; NULL when none is logged", "sessions"),
        Column(
            "single_turn_session_share",
            "DOUBLE",
            "conversations of one request; NULL under 4 conversations",
            "0..1",
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
                # Four different prompts in five requests, each its own conversation but the last two.
                {"account_id": "a", "prompt_hash": 1, "prompt_words": 10, "turn": 1, "session_hash": "s1"},
                {"account_id": "a", "prompt_hash": 2, "prompt_words": 20, "turn": 1, "session_hash": "s2"},
                {"account_id": "a", "prompt_hash": 3, "prompt_words": 30, "turn": 1, "session_hash": "s3"},
                {"account_id": "a", "prompt_hash": 4, "prompt_words": 40, "turn": 1, "session_hash": "s4"},
                {"account_id": "a", "prompt_hash": 4, "prompt_words": 40, "turn": 2, "session_hash": "s4"},
                {"account_id": "few", "prompt_hash": 5, "prompt_words": 12, "turn": 1},
            ]
        },
        expect=[
            {
                "account_id": "a",
                "n_distinct_prompts": 4,
                "distinct_prompt_share": 0.8,
                "prompt_words_cv": 0.4472135954999579,  # sqrt(125) / 25
                "first_turn_share": 0.8,
                "n_sessions": 4,
                "single_turn_session_share": 0.75,
            },
            {
                "account_id": "few",
                "n_distinct_prompts": 1,
                "distinct_prompt_share": None,
                "prompt_words_cv": None,
                "first_turn_share": None,
                "n_sessions": None,
                "single_turn_session_share": None,
            },
        ],
    ),
    false_positives=(
        "a pipeline that classifies or summarises documents sees each once, without follow-up",
        "an evaluation harness walks a public list of questions",
        "clients that send no conversation id, or a new one a call",
    ),
)

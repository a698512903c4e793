"""How much of a student's training the day's answers would cover.

The need depends on what the student is taught: about a thousand examples for following instructions, five to ten
thousand for a domain, fifty thousand and more for translation or summaries, millions for frontier reasoning, coding and
tool use. An answer is useful if it succeeded, and if it was asked for as training material or is long enough to teach.
Each prompt counts once.
"""

from __future__ import annotations

from features.spec import Column, Example, Measure

#: Capability -> examples that a student needs to learn it: the lower end of published numbers.
_NEED = {
    "coding": 1_000_000,
    "reasoning": 1_000_000,
    "agentic": 1_000_000,
    "translation": 50_000,
    "writing": 50_000,
    "vision": 50_000,
    "data": 7_500,
    "safety": 7_500,
    "general": 1_000,
}
#: Tokens from which an answer shows its work. A shorter one is a label, a fact or small talk.
_LONG_TOKENS = 400
#: Score from which a request counts as asking for training material, however short the answer.
_ELICITED = 0.5

_NEEDS = " ".join(f"WHEN '{capability}' THEN {need}" for capability, need in _NEED.items())

_SQL = f"""
WITH answers AS (
    SELECT group_id, coalesce(capability, 'general') AS capability, prompt_hash, output_tokens,
        CASE WHEN elicitation_score >= {_ELICITED} OR output_tokens >= {_LONG_TOKENS}
            THEN 1 ELSE 0 END AS useful
    FROM member_requests
    WHERE coalesce(status, 200) < 400 AND coalesce(finish_reason, 'stop') <> 'refusal'
        AND (elicitation_score IS NOT NULL OR output_tokens IS NOT NULL)
),
parts AS (
    SELECT group_id, capability,
        count(DISTINCT CASE WHEN useful = 1 THEN prompt_hash END)
            + count(CASE WHEN useful = 1 AND prompt_hash IS NULL THEN 1 END) AS n_useful,
        count(*) AS n, sum(CASE WHEN useful = 1 THEN output_tokens END) AS tokens
    FROM answers GROUP BY group_id, capability
),
sums AS (
    SELECT group_id, sum(n_useful) AS n_useful, sum(n) AS n, sum(tokens) AS tokens,
        max(n_useful * 1e0 / (CASE capability {_NEEDS} ELSE 7500 END)) AS progress
    FROM parts GROUP BY group_id
)
SELECT sums.group_id, n_useful AS n_useful_answers, n_useful * 1e0 / n AS useful_share,
    CAST(tokens AS BIGINT) AS useful_tokens,
    CASE WHEN progress > 0 THEN ln(progress) / ln(10) END AS extraction_log10
FROM sums
"""

MEASURE = Measure(
    name="extraction",
    key="group_id",
    columns=(
        Column(
            "n_useful_answers",
            "BIGINT",
            "distinct prompts with an answer that could teach",
            "answers",
            descriptive="the count behind extraction_log10",
        ),
        Column("useful_share", "DOUBLE", "such answers of all answers", "0..1", "up", ("group",)),
        Column(
            "useful_tokens",
            "BIGINT",
            "tokens of them; NULL: not logged",
            "tokens",
            descriptive="the volume behind extraction_log10",
        ),
        Column(
            "extraction_log10",
            "DOUBLE",
            "the day's part of what a student needs; 0: all of it",
            "log10",
            "up",
            ("group",),
        ),
    ),
    sql=_SQL,
    reads=("requests", "members", "member_requests"),
    example=Example(
        tables={
            "members": [{"group_id": "g", "account_id": who} for who in "ab"],
            "requests": [
                {
                    "account_id": "ab"[i % 2],
                    "ts": "2026-03-02 09:00:00",
                    "capability": "general",
                    "prompt_hash": i,
                    "output_tokens": 500 if i < 10 else 20,
                }
                for i in range(20)
            ]
            + [
                # the same prompt again, and a failure: neither teaches anything new
                {
                    "account_id": "a",
                    "ts": "2026-03-02 09:00:00",
                    "capability": "general",
                    "prompt_hash": 1,
                    "output_tokens": 500,
                },
                {
                    "account_id": "a",
                    "ts": "2026-03-02 09:00:00",
                    "capability": "general",
                    "prompt_hash": 99,
                    "output_tokens": 500,
                    "status": 500,
                },
            ],
        },
        expect=[
            {
                "group_id": "g",
                "n_useful_answers": 10,
                "useful_share": 10 / 21,
                "useful_tokens": 5500,
                "extraction_log10": -2.0,
            }
        ],
    ),
    false_positives=(
        "any large customer receives enough to train on: volume alone accuses nobody",
        "a content or support company with long answers",
    ),
)

"""How far an account's prompts are built like other accounts' prompts without being the same.

Pieces of a prompt (first and last eight words, skeleton) are looked up among all accounts of the day. A piece counts
more if many different prompts have it: a scaffold is filled anew each time, while an assignment or a public benchmark
repeats. A piece counts less if a large part of all traffic has it.
"""

from __future__ import annotations

import math

from features.spec import Column, Example, Measure, Row

#: Fewest different prompts of a share.
MIN_PROMPTS = 4

SQL = f"""
WITH weighed AS (
    SELECT kind, key, (1.0 - sqrt(n_requests * 1.0 / n_all)) * distinctness AS weight
    FROM shared_keys CROSS JOIN (SELECT sum(calls) AS n_all FROM tally) AS traffic
), alike AS (
    SELECT
        bucket, count(asked.prompt_hash) AS n_prompts,
        sum(CASE WHEN asked.prompt_hash IS NOT NULL THEN greatest(
            coalesce(openings.weight, 0.0), coalesce(endings.weight, 0.0), coalesce(templates.weight, 0.0)
        ) END) AS total
    FROM asked
    LEFT JOIN (SELECT key, weight FROM weighed WHERE kind = 2) AS openings ON asked.opening = openings.key
    LEFT JOIN (SELECT key, weight FROM weighed WHERE kind = 4) AS endings ON asked.ending = endings.key
    LEFT JOIN (SELECT key, weight FROM weighed WHERE kind = 10) AS templates
        ON asked.template_id = templates.key
    GROUP BY bucket
)
SELECT
    account_id,
    CASE WHEN n_prompts >= {MIN_PROMPTS} THEN total / n_prompts END AS template_similarity_score,
    total AS similar_prompts_sum
FROM alike JOIN tally ON alike.bucket = tally.bucket
"""


def _rows(account: str, prompts: list[int], keys: list[int]) -> list[Row]:
    return [{"account_id": account, "prompt_hash": p, "content_keys": [p * 16, 1, *keys]} for p in prompts]


# The low four bits of a key are its kind, here 2 (first eight words): 18 = 1 * 16 + 2, 34 = 2 * 16 + 2.
_SCAFFOLD, _CLASS, _OWN = 18, 34, 50

MEASURE = Measure(
    name="similarity",
    columns=(
        Column(
            "template_similarity_score",
            "DOUBLE",
            "mean over its different prompts of the best piece held by 3 accounts or more, at (1 - sqrt(part"
            " of all requests)) x (part of different prompts under it); NULL under 4 prompts",
            "0..1",
            "up",
            ("conduct",),
        ),
        Column(
            "similar_prompts_sum",
            "DOUBLE",
            "the same, summed: other traffic cannot dilute it",
            "prompts",
            "up",
            ("conduct",),
        ),
    ),
    sql=SQL,
    reads=("requests", "tally", "asked", "shared_keys"),
    needs=("content_keys", "prompt_hash"),
    example=Example(
        tables={
            "requests": [
                *_rows("a", [101, 102, 103, 104], [_SCAFFOLD]),
                *_rows("b", [105, 106], [_SCAFFOLD]),
                *_rows("c", [107, 108, 109], [_SCAFFOLD]),
                # Three accounts of a class send the same prompt: few different prompts under its opening.
                *_rows("d", [200, 201, 202, 203], [_CLASS]),
                *_rows("e", [200], [_CLASS]),
                *_rows("f", [200], [_CLASS]),
                *_rows("alone", [301, 302, 303, 304], [_OWN]),
            ]
        },
        expect=[
            # 9 of 19 requests, 9 different prompts (9.7 estimated): 1 - sqrt(9 / 19).
            {
                "account_id": "a",
                "template_similarity_score": 1 - math.sqrt(9 / 19),
                "similar_prompts_sum": 4 * (1 - math.sqrt(9 / 19)),
            },
            {
                "account_id": "b",
                "template_similarity_score": None,  # two prompts
                "similar_prompts_sum": 2 * (1 - math.sqrt(9 / 19)),
            },
            # 6 of 19 requests, 4 different prompts, estimated from 4 of 64 marks.
            {
                "account_id": "d",
                "template_similarity_score": (1 - math.sqrt(6 / 19)) * (-64 * math.log(1 - 4 / 64) / 6),
            },
            {"account_id": "alone", "template_similarity_score": 0.0, "similar_prompts_sum": 0.0},
        ],
    ),
    false_positives=(
        "users of one product or plug-in that wraps their words in its own",
        "an evaluation harness run by several teams on different questions",
        "form letters and prompt collections that many people copy",
    ),
)

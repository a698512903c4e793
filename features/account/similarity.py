"""How much of an account's prompts is built like other accounts' prompts without being the same.

Pieces of a prompt (first and last eight words, some runs of five) are looked up among all accounts of the
day. A piece counts the more, the more different prompts hang under it - a scaffold is filled anew each time,
an assignment or a public benchmark repeats - and the less, the larger the part of all
traffic that carries it.
"""

from __future__ import annotations

import math

from features.spec import Column, Example, Measure, Row

#: Different prompts an account needs before a share of them means something.
MIN_PROMPTS = 4

SQL = f"""
WITH marked AS (
    SELECT
        structure.bucket, prompt,
        max((1.0 - sqrt(n_requests * 1.0 / n_all)) * distinctness) AS weight
    FROM structure
    JOIN shared_keys ON structure.key = shared_keys.key
    CROSS JOIN (SELECT count(*) AS n_all FROM requests) AS traffic
    GROUP BY structure.bucket, prompt
), alike AS (
    SELECT bucket, sum(weight) AS total FROM marked GROUP BY bucket
), counted AS (
    SELECT bucket, count(prompt_hash) AS n_prompts FROM asked GROUP BY bucket
)
SELECT
    account_id,
    CASE WHEN n_prompts >= {MIN_PROMPTS} THEN coalesce(total, 0) / n_prompts END AS template_similarity_score,
    CASE WHEN n_prompts > 0 THEN coalesce(total, 0) END AS similar_prompts_sum
FROM account_buckets AS names
JOIN counted ON names.bucket = counted.bucket
LEFT JOIN alike ON names.bucket = alike.bucket
"""


def _rows(account: str, prompts: list[int], keys: list[int]) -> list[Row]:
    return [{"account_id": account, "prompt_hash": p, "content_keys": [p * 16, *keys]} for p in prompts]


# Kind 2 (first eight words) sits in the low four bits: 18 = 1 * 16 + 2 is the scaffold, 34 the class's.
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
        ),
        Column(
            "similar_prompts_sum", "DOUBLE", "the same, summed: other traffic cannot dilute it", "prompts"
        ),
    ),
    sql=SQL,
    reads=("requests", "account_buckets", "asked", "structure", "shared_keys"),
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

"""Whether the group asks things twice: a harvest list does not repeat, classes and benchmarks do.

Repeats over members and repeats within a member are counted apart. All members ask an assignment once, while only one
member asks each question of a divided list.
"""

from __future__ import annotations

from features.spec import Column, Example, Measure

#: Fewest requests of a group in which repeats can be expected.
_MIN_REQUESTS = 10

_SQL = f"""
WITH counted AS (
    SELECT group_id, account_id, prompt_hash, count(*) AS n FROM member_requests
    WHERE prompt_hash IS NOT NULL GROUP BY group_id, account_id, prompt_hash
),
by_prompt AS (
    SELECT group_id, prompt_hash, sum(n) AS n, count(*) AS m FROM counted GROUP BY group_id, prompt_hash
),
known AS (
    SELECT DISTINCT prompt_hash FROM requests_before WHERE prompt_hash IN (SELECT prompt_hash FROM by_prompt)
),
outside AS (
    SELECT requests.prompt_hash, count(DISTINCT requests.account_id) AS m FROM requests
    WHERE prompt_hash IN (SELECT prompt_hash FROM by_prompt) GROUP BY requests.prompt_hash
),
told AS (
    SELECT by_prompt.group_id, sum(by_prompt.n) AS n, count(*) AS n_prompts,
        sum(CASE WHEN by_prompt.m >= 2 THEN by_prompt.n ELSE 0 END) AS n_across,
        sum(CASE WHEN outside.m > by_prompt.m THEN by_prompt.n ELSE 0 END) AS n_public,
        sum(CASE WHEN known.prompt_hash IS NOT NULL THEN by_prompt.n ELSE 0 END) AS n_known
    FROM by_prompt JOIN outside ON by_prompt.prompt_hash = outside.prompt_hash
    LEFT JOIN known ON by_prompt.prompt_hash = known.prompt_hash GROUP BY by_prompt.group_id
),
within AS (
    SELECT group_id, sum(n - 1) AS n_again, count(DISTINCT account_id) AS m FROM counted GROUP BY group_id
)
SELECT told.group_id, 1 - n_prompts * 1e0 / n AS group_repeat_share, n_again * 1e0 / n AS member_repeat_share,
    n_across * 1e0 / n AS cross_member_repeat_share, n_public * 1e0 / n AS public_prompt_share,
    n_known * 1e0 / n AS known_prompt_share, n_prompts AS group_n_prompts
FROM told JOIN within ON told.group_id = within.group_id
WHERE n >= {_MIN_REQUESTS} AND m >= 2
"""

MEASURE = Measure(
    name="repeats",
    key="group_id",
    columns=(
        Column(
            "group_repeat_share",
            "DOUBLE",
            "requests whose prompt the group had sent that day",
            "0..1",
            descriptive="read apart, within a member and across members",
        ),
        Column(
            "member_repeat_share",
            "DOUBLE",
            "requests whose prompt the same member had sent",
            "0..1",
            "down",
            ("group",),
        ),
        Column(
            "cross_member_repeat_share",
            "DOUBLE",
            "requests whose prompt another member sends",
            "0..1",
            "down",
            ("group",),
        ),
        Column(
            "public_prompt_share",
            "DOUBLE",
            "requests whose prompt an outsider sends that day",
            "0..1",
            "down",
            ("group",),
        ),
        Column(
            "known_prompt_share",
            "DOUBLE",
            "requests whose prompt somebody sent in the week before",
            "0..1",
            "down",
            ("group",),
        ),
        Column(
            "group_n_prompts",
            "BIGINT",
            "distinct prompts of the day",
            "prompts",
            descriptive="the count behind the shares of repeats",
        ),
    ),
    sql=_SQL,
    reads=("requests", "requests_before", "members", "member_requests"),
    needs=("prompt_hash",),
    example=Example(
        tables={
            "members": [{"group_id": "g", "account_id": who} for who in "ab"],
            "requests": [
                {"account_id": who, "ts": "2026-03-02 09:00:00", "prompt_hash": prompt}
                for who, prompts in (("a", (1, 1, 2, 3, 4)), ("b", (4, 5, 6, 7, 8)), ("x", (5,)))
                for prompt in prompts
            ],
            "requests_before": [{"account_id": "y", "ts": "2026-03-01 09:00:00", "prompt_hash": 1}],
        },
        expect=[
            {
                "group_id": "g",
                "group_repeat_share": 0.2,
                "member_repeat_share": 0.1,
                "cross_member_repeat_share": 0.2,
                "public_prompt_share": 0.1,
                "known_prompt_share": 0.2,
                "group_n_prompts": 8,
            }
        ],
    ),
    false_positives=("most honest traffic does not repeat either: this clears rather than accuses",),
)

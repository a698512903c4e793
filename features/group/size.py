"""How large a group is, and how much of it is active today.

All other measurements of a group depend on its size: three accounts prove less than three hundred.
"""

from __future__ import annotations

from features.spec import Column, Example, Measure

_SQL = """
WITH sizes AS (SELECT group_id, count(*) AS n_members FROM members GROUP BY group_id),
busy AS (
    SELECT group_id, count(DISTINCT account_id) AS n_active, count(*) AS n, sum(output_tokens) AS tokens
    FROM member_requests GROUP BY group_id
)
SELECT sizes.group_id, sizes.n_members, coalesce(busy.n_active, 0) AS n_active,
    coalesce(busy.n_active, 0) / sizes.n_members AS active_share,
    coalesce(busy.n, 0) AS group_n_requests, busy.tokens AS group_output_tokens
FROM sizes LEFT JOIN busy ON sizes.group_id = busy.group_id
"""

MEASURE = Measure(
    name="size",
    key="group_id",
    columns=(
        Column(
            "n_members",
            "BIGINT",
            "members, silent and banned ones included",
            descriptive="size is no suspicion: the score grows by evidence, not by members",
        ),
        Column(
            "n_active",
            "BIGINT",
            "members with a request that day",
            descriptive="the count a group's measurements rest on",
        ),
        Column(
            "active_share",
            "DOUBLE",
            "active members of all members",
            "0..1",
            descriptive="for people; silent members are as often banned as on holiday",
        ),
        Column(
            "group_n_requests",
            "BIGINT",
            "requests of the members that day",
            descriptive="says how large a customer is, not what it does",
        ),
        Column(
            "group_output_tokens",
            "BIGINT",
            "tokens written for them; NULL: not logged",
            "tokens",
            descriptive="says how large a customer is, not what it does",
        ),
    ),
    sql=_SQL,
    reads=("requests", "members", "member_requests"),
    example=Example(
        tables={
            "members": [
                {"group_id": "g", "account_id": "a"},
                {"group_id": "g", "account_id": "b"},
                {"group_id": "silent", "account_id": "c"},
            ],
            "requests": [
                {"account_id": "a", "ts": "2026-03-02 09:00:00", "output_tokens": 10},
                {"account_id": "a", "ts": "2026-03-02 09:01:00", "output_tokens": 20},
                {"account_id": "x", "ts": "2026-03-02 09:02:00", "output_tokens": 40},
            ],
        },
        expect=[
            {
                "group_id": "g",
                "n_members": 2,
                "n_active": 1,
                "active_share": 0.5,
                "group_n_requests": 2,
                "group_output_tokens": 30,
            },
            {
                "group_id": "silent",
                "n_members": 1,
                "n_active": 0,
                "active_share": 0.0,
                "group_n_requests": 0,
                "group_output_tokens": None,
            },
        ],
    ),
    false_positives=("enterprises and campuses are larger than any hydra",),
)

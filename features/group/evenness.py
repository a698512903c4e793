"""How evenly the load is spread over the members: people differ by orders of magnitude, accounts of a relay do not.

A relay that takes accounts in turn, or the least used one, gives every member the same share.
"""

from __future__ import annotations

from features.spec import Column, Example, Measure

_SQL = """
WITH loads AS (
    SELECT group_id, account_id, count(*) AS n, sum(output_tokens) AS tokens
    FROM member_requests GROUP BY group_id, account_id
),
ranked AS (
    SELECT group_id, n, tokens,
        row_number() OVER (PARTITION BY group_id ORDER BY n, account_id) AS place,
        row_number() OVER (PARTITION BY group_id ORDER BY coalesce(tokens, 0), account_id) AS token_place
    FROM loads
),
spread AS (
    SELECT group_id, count(*) AS m, sum(n) AS total, max(n) AS top,
        2e0 * sum(place * n) / (count(*) * sum(n)) - (count(*) + 1e0) / count(*) AS gini,
        2e0 * sum(token_place * coalesce(tokens, 0)) / nullif(count(*) * sum(tokens), 0)
            - (count(*) + 1e0) / count(*) AS token_gini,
        power(stddev_samp(n), 2) / avg(n) AS fano
    FROM ranked GROUP BY group_id
)
SELECT spread.group_id, gini AS load_gini, fano AS load_fano, token_gini,
    top * 1e0 / spread.total AS top_member_share
FROM spread
WHERE m >= 3 AND spread.total >= 3 * m
"""

MEASURE = Measure(
    name="evenness",
    key="group_id",
    columns=(
        Column(
            "load_gini",
            "DOUBLE",
            "inequality of requests over active members, 0 even",
            "0..1",
            "down",
            ("group",),
        ),
        Column(
            "load_fano",
            "DOUBLE",
            "variance over mean of requests a member; 1: chance, below: dealt out",
            direction="down",
            models=("group",),
        ),
        Column(
            "token_gini",
            "DOUBLE",
            "inequality of output tokens over active members",
            "0..1",
            "down",
            ("group",),
        ),
        Column("top_member_share", "DOUBLE", "requests of the busiest member", "0..1", "down", ("group",)),
    ),
    sql=_SQL,
    reads=("requests", "members", "member_requests"),
    example=Example(
        tables={
            "members": [{"group_id": "g", "account_id": who} for who in "abc"],
            "requests": [
                {"account_id": who, "ts": f"2026-03-02 {hour}:00:00", "output_tokens": 10}
                for who, hours in (
                    ("a", ("09", "10", "09", "10")),
                    ("b", ("09", "10") * 2),
                    ("c", ("09",) * 4),
                )
                for hour in hours
            ],
        },
        expect=[
            {
                "group_id": "g",
                "load_gini": 0.0,
                "load_fano": 0.0,
                "token_gini": 0.0,
                "top_member_share": 1 / 3,
                # 12 (4 + 4 + 16) / (8 * 4) + 12 (4 + 4) / (4 * 4) = 15, less 12, over (3 - 1)(2 - 1)
            }
        ],
    ),
    false_positives=(
        "a job split evenly over a company's service accounts",
        "monitors that each send the same number of probes",
        "a class in which everybody does the same ten exercises",
    ),
)

"""How evenly the load is spread over the members: people differ by orders of magnitude, accounts of a relay do not.

A relay that takes accounts in turn, or the least used one, gives every member the same share. The dispersion within
hours is 1 for independent members, above 1 for members who work in sittings of their own, and below 1 for work that is
dealt out.
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
        stddev_pop(n) / avg(n) AS cv, power(stddev_samp(n), 2) / avg(n) AS fano
    FROM ranked GROUP BY group_id
),
cells AS (
    SELECT group_id, account_id, date_trunc('hour', ts) AS hour_ts, count(*) AS n
    FROM member_requests GROUP BY group_id, account_id, date_trunc('hour', ts)
),
hours AS (SELECT group_id, hour_ts, sum(n) AS n FROM cells GROUP BY group_id, hour_ts),
chi AS (
    SELECT cells.group_id, sum(cells.n * cells.n * spread.total * 1e0 / (hours.n * loads.n)) AS observed,
        max(spread.total) AS total
    FROM cells
    JOIN hours ON cells.group_id = hours.group_id AND cells.hour_ts = hours.hour_ts
    JOIN loads ON cells.group_id = loads.group_id AND cells.account_id = loads.account_id
    JOIN spread ON cells.group_id = spread.group_id
    GROUP BY cells.group_id
),
n_hours AS (SELECT group_id, count(*) AS n FROM hours GROUP BY group_id)
SELECT spread.group_id, gini AS load_gini, cv AS load_cv, fano AS load_fano, token_gini,
    top * 1e0 / spread.total AS top_member_share,
    CASE WHEN n_hours.n >= 2 THEN (observed - chi.total) / ((m - 1) * (n_hours.n - 1)) END
        AS hourly_dispersion
FROM spread JOIN chi ON spread.group_id = chi.group_id JOIN n_hours ON spread.group_id = n_hours.group_id
WHERE m >= 3 AND spread.total >= 3 * m
"""

MEASURE = Measure(
    name="evenness",
    key="group_id",
    columns=(
        Column("load_gini", "DOUBLE", "inequality of requests over active members, 0 even", "0..1"),
        Column("load_cv", "DOUBLE", "standard deviation over mean of requests a member"),
        Column("load_fano", "DOUBLE", "variance over mean of requests a member; 1: chance, below: dealt out"),
        Column("token_gini", "DOUBLE", "inequality of output tokens over active members", "0..1"),
        Column("top_member_share", "DOUBLE", "requests of the busiest member", "0..1"),
        Column("hourly_dispersion", "DOUBLE", "spread of an hour's requests over members; 1: independent"),
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
                "load_cv": 0.0,
                "load_fano": 0.0,
                "token_gini": 0.0,
                "top_member_share": 1 / 3,
                # 12 (4 + 4 + 16) / (8 * 4) + 12 (4 + 4) / (4 * 4) = 15, less 12, over (3 - 1)(2 - 1)
                "hourly_dispersion": 1.5,
            }
        ],
    ),
    false_positives=(
        "a job split evenly over a company's service accounts",
        "monitors that each send the same number of probes",
        "a class in which everybody does the same ten exercises",
    ),
)

"""How much of the group's traffic asks for training material, and how many members take part.

There are counts and high percentiles as well as shares: an operator's ordinary customers dilute a mean, but no count.
"""

from __future__ import annotations

from features.spec import Column, Example, Measure

#: Score from which a request counts as asking for training material.
_FROM = 0.5

_SQL = f"""
WITH scored AS (SELECT * FROM member_requests WHERE elicitation_score IS NOT NULL),
sums AS (
    SELECT group_id, count(*) AS n, count(DISTINCT account_id) AS m,
        quantile_of(elicitation_score, 0.9) AS p90,
        sum(CASE WHEN elicitation_score >= {_FROM} THEN 1 ELSE 0 END) AS hits
    FROM scored GROUP BY group_id
),
takers AS (
    SELECT group_id, count(CASE WHEN hits > 0 THEN 1 END) AS m_hit
    FROM (
        SELECT group_id, account_id, sum(CASE WHEN elicitation_score >= {_FROM} THEN 1 ELSE 0 END) AS hits
        FROM scored GROUP BY group_id, account_id
    ) AS by_member GROUP BY group_id
),
everybody AS (
    SELECT avg(CASE WHEN elicitation_score >= {_FROM} THEN 1e0 ELSE 0e0 END) AS share
    FROM requests WHERE elicitation_score IS NOT NULL
)
SELECT sums.group_id, hits * 1e0 / n AS group_elicited_share, hits AS n_elicited,
    p90 AS group_elicitation_p90,
    log2((hits + 1e0) / (n * everybody.share + 1e0)) AS group_elicited_lift_bits,
    m_hit * 1e0 / m AS eliciting_members_share
FROM sums JOIN takers ON sums.group_id = takers.group_id CROSS JOIN everybody
"""

MEASURE = Measure(
    name="elicitation",
    key="group_id",
    columns=(
        Column(
            "group_elicited_share",
            "DOUBLE",
            "requests that ask for training material",
            "0..1",
            descriptive="mixed-in traffic dilutes it; read as group_elicited_lift_bits",
        ),
        Column(
            "n_elicited",
            "BIGINT",
            "requests that ask for training material",
            descriptive="the count behind group_elicited_lift_bits",
        ),
        Column(
            "group_elicitation_p90", "DOUBLE", "elicitation score, 90th percentile", "0..1", "up", ("group",)
        ),
        Column(
            "group_elicited_lift_bits",
            "DOUBLE",
            "their number against the site's rate",
            "bits",
            "up",
            ("group",),
        ),
        Column(
            "eliciting_members_share",
            "DOUBLE",
            "active members with such a request",
            "0..1",
            "up",
            ("group",),
        ),
    ),
    sql=_SQL,
    reads=("requests", "members", "member_requests"),
    needs=("elicitation_score",),
    example=Example(
        tables={
            "members": [{"group_id": "g", "account_id": who} for who in "abc"],
            "requests": [
                {
                    "account_id": who,
                    "ts": "2026-03-02 09:00:00",
                    "elicitation_score": score,
                    "elicit_cot": cot,
                    "elicit_pairs": pairs,
                }
                for who, score, cot, pairs in [("a", 0.9, 0.9, 0.0)] * 2
                + [("b", 0.9, 0.9, 0.0)] * 2
                + [("a", 0.9, 0.0, 0.9)]
                + [("c", 0.1, 0.0, 0.0)] * 5
                + [("x", 0.1, 0.0, 0.0)] * 5
            ],
        },
        expect=[
            {
                "group_id": "g",
                "group_elicited_share": 0.5,
                "n_elicited": 5,
                "group_elicitation_p90": 0.9,
                "group_elicited_lift_bits": 0.46948528330122024,  # log2(6 / (10 / 3 + 1))
                "eliciting_members_share": 2 / 3,
            }
        ],
    ),
    false_positives=(
        "evaluators who ask for step-by-step answers",
        "teachers and graders with rubrics",
        "a customer who makes synthetic data with permission",
    ),
)

"""How the work passes between members: in turn, in sittings, or in the middle of a conversation.

The ratio compares how often successive requests of the group come from different members with what the members' shares
alone would give. It is 1 for independent members, above 1 for work dealt out in turn, and below 1 for people in
sittings. A conversation or an end user seen in two members moved between them.
"""

from __future__ import annotations

from features.spec import Column, Example, Measure

#: Fewest requests of a group whose successive requests are compared.
_MIN_REQUESTS = 20

_SQL = f"""
WITH steps AS (
    SELECT group_id, account_id,
        lag(account_id) OVER (PARTITION BY group_id ORDER BY ts, request_id, account_id) AS before_id
    FROM member_requests
),
passed AS (
    SELECT group_id,
        count(CASE WHEN account_id <> before_id THEN 1 END) * 1e0 / nullif(count(before_id), 0) AS share
    FROM steps GROUP BY group_id
),
loads AS (
    SELECT group_id, sum(n) AS n, count(*) AS m, 1 - sum(n * n) * 1e0 / (sum(n) * sum(n)) AS chance FROM (
        SELECT group_id, account_id, count(*) AS n FROM member_requests GROUP BY group_id, account_id
    ) AS counts GROUP BY group_id
),
sessions AS (
    SELECT group_id, count(CASE WHEN m >= 2 THEN 1 END) * 1e0 / count(*) AS share FROM (
        SELECT group_id, session_hash, count(DISTINCT account_id) AS m
        FROM member_requests WHERE session_hash IS NOT NULL GROUP BY group_id, session_hash
    ) AS each_session GROUP BY group_id
),
users AS (
    SELECT group_id, count(CASE WHEN m >= 2 THEN 1 END) * 1e0 / count(*) AS share FROM (
        SELECT group_id, end_user_hash, count(DISTINCT account_id) AS m
        FROM member_requests WHERE end_user_hash IS NOT NULL GROUP BY group_id, end_user_hash
    ) AS each_user GROUP BY group_id
)
SELECT loads.group_id,
    CASE WHEN loads.n >= {_MIN_REQUESTS} THEN passed.share / nullif(loads.chance, 0) END AS alternation_ratio,
    sessions.share AS moved_session_share, users.share AS moved_end_user_share
FROM loads JOIN passed ON loads.group_id = passed.group_id
LEFT JOIN sessions ON loads.group_id = sessions.group_id
LEFT JOIN users ON loads.group_id = users.group_id
WHERE loads.m >= 2
"""

MEASURE = Measure(
    name="alternation",
    key="group_id",
    columns=(
        Column(
            "alternation_ratio",
            "DOUBLE",
            "changes of member from request to request; 1: independent",
            direction="up",
            models=("group",),
        ),
        Column(
            "moved_session_share",
            "DOUBLE",
            "conversations seen in two members or more",
            "0..1",
            "up",
            ("group",),
        ),
        Column(
            "moved_end_user_share",
            "DOUBLE",
            "end users seen in two members or more",
            "0..1",
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
                    "ts": f"2026-03-02 09:{i:02d}:00",
                    "request_id": f"r{i:02d}",
                    "session_hash": f"s{i // 4}",
                }
                for i in range(20)
            ],
        },
        # 19 changes of 19, where even chance gives one half
        expect=[
            {
                "group_id": "g",
                "alternation_ratio": 2.0,
                "moved_session_share": 1.0,
                "moved_end_user_share": None,
            }
        ],
    ),
    false_positives=(
        "a load balancer over a company's own accounts",
        "one person who goes on with a conversation from the private to the company account",
        "end users called 'user' by every caller",
    ),
)

"""When the members signed up: in one batch, or over the years as customers do.

Sign-ups within hours are an operator's batch, a course or a rollout, which the group's makeup distinguishes. Accounts
kept in reserve show as old accounts that all became active together.
"""

from __future__ import annotations

from features.spec import Column, Example, Measure

#: An account is new in its first week (seconds).
_NEW_S = 604_800

_SQL = f"""
WITH today AS (SELECT max(ts) AS ts FROM requests),
created AS (
    SELECT members.group_id, members.account_id, accounts.created_at
    FROM members JOIN accounts ON members.account_id = accounts.account_id
    WHERE accounts.created_at IS NOT NULL
),
woken AS (
    SELECT created.group_id, count(*) AS n, count(CASE WHEN known.account_id IS NULL THEN 1 END) AS n_woken
    FROM created JOIN (SELECT DISTINCT account_id FROM requests) AS active
        ON created.account_id = active.account_id
    LEFT JOIN (SELECT DISTINCT account_id FROM requests_before) AS known
        ON created.account_id = known.account_id
    CROSS JOIN today
    WHERE epoch_s(today.ts) - epoch_s(created.created_at) > {_NEW_S} GROUP BY created.group_id
),
top_day AS (
    SELECT group_id, max(n) AS n FROM (
        SELECT group_id, CAST(created_at AS DATE) AS created_day, count(*) AS n
        FROM created GROUP BY group_id, CAST(created_at AS DATE)
    ) AS days GROUP BY group_id
),
spread AS (
    SELECT group_id, count(*) AS n,
        (quantile_of(epoch_s(created_at), 0.9) - quantile_of(epoch_s(created_at), 0.1)) / 86400 AS days,
        (max(epoch_s(today.ts)) - median(epoch_s(created_at))) / 86400 AS age_days,
        count(CASE WHEN epoch_s(today.ts) - epoch_s(created_at) <= {_NEW_S} THEN 1 END) AS n_new
    FROM created CROSS JOIN today GROUP BY group_id
)
SELECT spread.group_id, spread.days AS creation_spread_days,
    top_day.n * 1e0 / spread.n AS creation_top_day_share,
    spread.age_days AS member_age_days_median, spread.n_new * 1e0 / spread.n AS new_member_share,
    woken.n_woken * 1e0 / nullif(woken.n, 0) AS woken_share
FROM spread JOIN top_day ON spread.group_id = top_day.group_id
LEFT JOIN woken ON spread.group_id = woken.group_id
WHERE spread.n >= 2
"""

MEASURE = Measure(
    name="creation",
    key="group_id",
    columns=(
        Column(
            "creation_spread_days",
            "DOUBLE",
            "from the 10th to the 90th percentile of sign-up",
            "days",
            "down",
            ("group",),
        ),
        Column(
            "creation_top_day_share",
            "DOUBLE",
            "members that signed up on the commonest day",
            "0..1",
            "up",
            ("group",),
        ),
        Column(
            "member_age_days_median",
            "DOUBLE",
            "age of an account, median",
            "days",
            descriptive="for people; creation_spread_days and new_member_share say how ages agree",
        ),
        Column("new_member_share", "DOUBLE", "members in their first week", "0..1", "up", ("group",)),
        Column(
            "woken_share",
            "DOUBLE",
            "active members older than a week that were silent for one",
            "0..1",
            "up",
            ("group",),
        ),
    ),
    sql=_SQL,
    reads=("requests", "requests_before", "members", "accounts"),
    needs=("accounts.created_at",),
    example=Example(
        tables={
            "members": [{"group_id": "g", "account_id": who} for who in "abc"],
            "accounts": [
                {"account_id": "a", "created_at": "2026-02-10 00:00:00"},
                {"account_id": "b", "created_at": "2026-02-10 12:00:00"},
                {"account_id": "c", "created_at": "2026-03-01 00:00:00"},
            ],
            "requests_before": [{"account_id": "b", "ts": "2026-03-01 12:00:00"}],
            "requests": [
                {"account_id": "a", "ts": "2026-03-02 09:00:00"},
                {"account_id": "b", "ts": "2026-03-02 12:00:00"},
            ],
        },
        expect=[
            {
                "group_id": "g",
                "creation_spread_days": 15.2,  # 15.3 days (0.2 of b..c before c) less 0.1
                "creation_top_day_share": 2 / 3,
                "member_age_days_median": 20.0,
                "new_member_share": 1 / 3,
                "woken_share": 0.5,
            }
        ],
    ),
    false_positives=(
        "a course, workshop or hackathon that signs up together",
        "an enterprise rollout",
        "a term that begins, after which last term's accounts wake together",
    ),
)

"""Whether banned members are replaced: who was banned, and who began within a day of a ban.

Honest groups lose members one by one and wait for the appeal. An operator puts the next account in service within
minutes to a day.
"""

from __future__ import annotations

from features.spec import Column, Example, Measure

#: A replacement begins within a day of the ban before it (seconds).
_WITHIN_S = 86_400

_SQL = f"""
WITH bans AS (
    SELECT members.group_id, members.account_id, min(account_events.ts) AS ts
    FROM members JOIN account_events ON members.account_id = account_events.account_id
    WHERE lower(account_events.event) IN ('banned', 'suspended')
    GROUP BY members.group_id, members.account_id
),
seen AS (
    SELECT account_id, min(ts) AS ts FROM (
        SELECT account_id, ts FROM requests UNION ALL SELECT account_id, ts FROM requests_before
    ) AS both_relations WHERE account_id IN (SELECT account_id FROM members) GROUP BY account_id
),
window_start AS (SELECT min(ts) AS ts FROM seen),
starts AS (
    SELECT members.group_id, members.account_id, seen.ts
    FROM members JOIN seen ON members.account_id = seen.account_id
    LEFT JOIN accounts ON members.account_id = accounts.account_id
    CROSS JOIN window_start
    WHERE accounts.created_at >= window_start.ts OR epoch_s(seen.ts) - epoch_s(window_start.ts) > {_WITHIN_S}
),
moments AS (
    SELECT group_id, account_id, ts, CASE WHEN is_ban = 1 THEN ts END AS ban_ts, is_ban FROM (
        SELECT group_id, account_id, ts, 1 AS is_ban FROM bans
        UNION ALL SELECT group_id, account_id, ts, 0 FROM starts
    ) AS both_kinds
),
traced AS (
    SELECT group_id, is_ban, ts, max(ban_ts) OVER (
        PARTITION BY group_id ORDER BY ts, is_ban DESC, account_id ROWS UNBOUNDED PRECEDING) AS last_ban_ts
    FROM moments
),
told AS (
    SELECT group_id, count(CASE WHEN is_ban = 1 THEN 1 END) AS n_bans,
        count(CASE WHEN is_ban = 0 THEN 1 END) AS n_starts,
        count(CASE WHEN is_ban = 0 AND epoch_s(ts) - epoch_s(last_ban_ts) <= {_WITHIN_S} THEN 1 END)
            AS n_followed,
        median(CASE WHEN is_ban = 0 AND epoch_s(ts) - epoch_s(last_ban_ts) <= {_WITHIN_S}
            THEN (epoch_s(ts) - epoch_s(last_ban_ts)) / 3600 END) AS gap_h
    FROM traced GROUP BY group_id
),
sizes AS (SELECT group_id, count(*) AS m FROM members GROUP BY group_id)
SELECT sizes.group_id, coalesce(n_bans, 0) AS n_banned_members,
    coalesce(n_bans, 0) * 1e0 / sizes.m AS banned_share,
    coalesce(n_followed, 0) AS n_successors,
    n_followed * 1e0 / nullif(n_starts, 0) AS successor_share,
    CASE WHEN n_bans > 0 THEN least(n_followed * 1e0 / n_bans, 1e0) END AS replaced_share,
    gap_h AS replacement_gap_h
FROM sizes LEFT JOIN told ON sizes.group_id = told.group_id
"""

MEASURE = Measure(
    name="replacement",
    key="group_id",
    columns=(
        Column(
            "n_banned_members",
            "BIGINT",
            "members ever banned or suspended",
            descriptive="the count behind banned_share",
        ),
        Column("banned_share", "DOUBLE", "members ever banned or suspended", "0..1", "up", ("group",)),
        Column(
            "n_successors",
            "BIGINT",
            "members that began within a day of a ban in the group, past week",
            descriptive="the count behind successor_share",
        ),
        Column(
            "successor_share",
            "DOUBLE",
            "such members of all that began; NULL: none began",
            "0..1",
            "up",
            ("group",),
        ),
        Column(
            "replaced_share",
            "DOUBLE",
            "successors for each ban, at most 1; NULL: no ban",
            "0..1",
            "up",
            ("group",),
        ),
        Column(
            "replacement_gap_h",
            "DOUBLE",
            "from a ban to the next member's first request, median",
            "h",
            descriptive="for people; known of too few groups to learn from",
        ),
    ),
    sql=_SQL,
    reads=("requests", "requests_before", "members", "accounts", "account_events"),
    needs=("account_events.event",),
    example=Example(
        tables={
            "members": [{"group_id": "g", "account_id": who} for who in ("old", "gone", "new", "late")],
            "accounts": [{"account_id": "new", "created_at": "2026-03-01 12:00:00"}],
            "requests_before": [
                {"account_id": "old", "ts": "2026-02-24 09:00:00"},
                {"account_id": "gone", "ts": "2026-02-24 10:00:00"},
                {"account_id": "late", "ts": "2026-02-27 10:00:00"},
            ],
            "requests": [{"account_id": "new", "ts": "2026-03-02 09:00:00"}],
            "account_events": [{"account_id": "gone", "ts": "2026-03-02 06:00:00", "event": "banned"}],
        },
        expect=[
            {
                "group_id": "g",
                "n_banned_members": 1,
                "banned_share": 0.25,
                "n_successors": 1,
                "successor_share": 0.5,
                "replaced_share": 1.0,
                "replacement_gap_h": 3.0,
            }
        ],
    ),
    false_positives=(
        "a company that opens a new account while a wrong ban is looked into",
        "a growing team one of whose members was suspended for an unpaid bill",
    ),
)

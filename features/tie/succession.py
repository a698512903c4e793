"""Accounts whose first request follows the last request of a banned account.

A relay replaces a lost account within minutes to a day. The key is the banned account, which has the key too. Each
newcomer is tied only to the few nearest bans before it, so the work is linear in newcomers, however many bans there
were. Many newcomers after one ban make its key common, and a common key weighs nothing.
"""

from __future__ import annotations

from features.spec import Example, Kind, Tie

#: Most bans that a newcomer is tied to, nearest first: a relay that loses accounts in a wave replaces them in a wave.
_NEAREST = 8
#: Time within which a replacement is in service (seconds).
_WITHIN_S = 86_400
#: Greatest age of a new account (seconds). An older one was kept in reserve, or is an old customer.
_FRESH_S = 604_800

_STEPS = " UNION ALL ".join(f"SELECT {i} AS step" for i in range(_NEAREST))

_SQL = f"""
WITH bans AS (
    SELECT account_id, max(ts) AS banned_ts FROM account_events
    WHERE lower(event) IN ('banned', 'suspended') GROUP BY account_id
),
starts AS (
    SELECT requests.account_id, count(*) AS n, min(requests.ts) AS first_ts, max(requests.ts) AS last_ts
    FROM requests LEFT JOIN (SELECT DISTINCT account_id FROM requests_before) AS known
        ON requests.account_id = known.account_id
    WHERE known.account_id IS NULL GROUP BY requests.account_id
),
involved AS (SELECT account_id FROM bans UNION SELECT account_id FROM starts),
work AS (
    SELECT account_id, model, capability, count(*) AS n, max(ts) AS last_ts
    FROM (SELECT account_id, model, capability, ts FROM requests
        UNION ALL SELECT account_id, model, capability, ts FROM requests_before) AS both_relations
    WHERE account_id IN (SELECT account_id FROM involved)
    GROUP BY account_id, model, capability
),
main_work AS (
    SELECT account_id, model || '|' || coalesce(capability, '') AS job, ended_ts
    FROM (
        SELECT account_id, model, capability, max(last_ts) OVER (PARTITION BY account_id) AS ended_ts,
            row_number() OVER (PARTITION BY account_id ORDER BY n DESC, model, capability) AS place
        FROM work
    ) AS ranked WHERE place = 1
),
ended AS (
    SELECT bans.account_id, main_work.job, least(main_work.ended_ts, bans.banned_ts) AS end_ts
    FROM bans JOIN main_work ON bans.account_id = main_work.account_id
),
started AS (
    SELECT starts.account_id, starts.n, starts.first_ts, starts.last_ts, main_work.job,
        coalesce(epoch_s(starts.first_ts) - epoch_s(accounts.created_at), 0) <= {_FRESH_S} AS fresh
    FROM starts JOIN main_work ON starts.account_id = main_work.account_id
    LEFT JOIN accounts ON starts.account_id = accounts.account_id
),
lanes AS (
    SELECT 'succession' AS kind, '' AS lane, account_id, end_ts AS ts, 1 AS is_ban FROM ended
    UNION ALL SELECT 'succession_work', job, account_id, end_ts, 1 FROM ended
    UNION ALL SELECT 'succession', '', account_id, first_ts, 0 FROM started WHERE fresh
    UNION ALL SELECT 'succession_work', job, account_id, first_ts, 0 FROM started
),
counted AS (
    SELECT kind, lane, account_id, ts, is_ban, sum(is_ban) OVER (
        PARTITION BY kind, lane ORDER BY ts, is_ban DESC, account_id ROWS UNBOUNDED PRECEDING) AS n_bans
    FROM lanes
),
followed AS (
    SELECT newcomer.kind, newcomer.account_id, ban.account_id AS banned_id
    FROM (SELECT kind, lane, account_id, ts, n_bans - step AS ban_no
            FROM counted CROSS JOIN ({_STEPS}) AS steps WHERE is_ban = 0) AS newcomer
    JOIN (SELECT kind, lane, account_id, ts, n_bans FROM counted WHERE is_ban = 1) AS ban
        ON newcomer.kind = ban.kind AND newcomer.lane = ban.lane AND newcomer.ban_no = ban.n_bans
    WHERE epoch_s(newcomer.ts) - epoch_s(ban.ts) <= {_WITHIN_S} AND newcomer.account_id <> ban.account_id
)
SELECT followed.account_id, followed.kind, key64(followed.kind, followed.banned_id) AS key, started.n,
    CAST(NULL AS BIGINT) AS n_prompts, CAST(NULL AS BIGINT) AS n_prompts_all, CAST(NULL AS DOUBLE) AS asked_sum,
    started.first_ts, started.last_ts,
    CASE WHEN followed.kind = 'succession' THEN 'began within a day of a ban'
        ELSE 'took up the work of a banned account within a day' END AS detail
FROM followed JOIN started ON followed.account_id = started.account_id
UNION ALL
SELECT gone.banned_id, gone.kind, key64(gone.kind, gone.banned_id) AS key, 0 AS n,
    CAST(NULL AS BIGINT) AS n_prompts, CAST(NULL AS BIGINT) AS n_prompts_all,
    CAST(NULL AS DOUBLE) AS asked_sum, ended.end_ts, ended.end_ts,
    'banned; others began within a day' AS detail
FROM (SELECT DISTINCT kind, banned_id FROM followed) AS gone JOIN ended ON gone.banned_id = ended.account_id
"""

TIE = Tie(
    name="succession",
    family="succession",
    kinds={
        # The only newcomer in a day after a ban is the banned customer again, or nobody: 3 to 1.
        "succession": Kind(1.6, "took over after", "account that stopped", "accounts that stopped"),
        # ... and does mainly the same kind of work on the same model: 5 to 1.
        "succession_work": Kind(
            2.3, "took over the work of", "account that stopped", "accounts that stopped"
        ),
    },
    sql=_SQL,
    reads=("requests", "requests_before", "accounts", "account_events"),
    needs=("account_events.event",),
    half_life_days=14.0,
    example=Example(
        tables={
            "requests": [
                {"account_id": "new", "ts": "2026-03-02 10:00:00", "model": "m", "capability": "coding"},
                {"account_id": "old", "ts": "2026-03-02 10:00:00", "model": "m", "capability": "coding"},
                {"account_id": "reserve", "ts": "2026-03-02 11:00:00", "model": "m", "capability": "coding"},
            ],
            "requests_before": [
                {"account_id": "old", "ts": "2026-03-01 10:00:00", "model": "m", "capability": "coding"},
                {"account_id": "gone", "ts": "2026-03-01 22:00:00", "model": "m", "capability": "coding"},
            ],
            "accounts": [
                {"account_id": "new", "created_at": "2026-03-01 23:00:00"},
                {"account_id": "reserve", "created_at": "2025-11-01 23:00:00"},
            ],
            "account_events": [{"account_id": "gone", "ts": "2026-03-01 23:30:00", "event": "banned"}],
        },
        expect=[
            {"account_id": "new", "kind": "succession", "n": 1, "first_ts": "2026-03-02 10:00:00"},
            {"account_id": "gone", "kind": "succession", "n": 0, "first_ts": "2026-03-01 22:00:00"},
            {"account_id": "new", "kind": "succession_work"},
            {"account_id": "reserve", "kind": "succession_work"},
            {"account_id": "gone", "kind": "succession_work"},
        ],
    ),
    false_positives=(
        "a customer who signs up on the day somebody else is banned",
        "a wrongly banned customer who opens a second account",
        "a day with many bans and many newcomers, such as a launch",
        "an old customer back from a week's holiday (succession_work)",
    ),
)

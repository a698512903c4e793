"""Who uses each member: one person, or many strangers.

A relay mixes unrelated customers in every account. Each account then has many end users, languages, applications and
topics, and all accounts look the same in that.
"""

from __future__ import annotations

from features.spec import Column, Example, Measure

_SQL = """
WITH served AS (
    SELECT group_id, account_id, count(*) AS n, count(DISTINCT end_user_hash) AS n_users,
        count(DISTINCT language) AS n_languages, count(DISTINCT system_hash) AS n_systems,
        count(DISTINCT capability) AS n_capabilities, count(DISTINCT model) AS n_models,
        count(DISTINCT coalesce(ja4, '') || '|' || coalesce(user_agent, '')) AS n_clients,
        count(end_user_hash) AS with_user, count(language) AS with_language,
        count(system_hash) AS with_system,
        count(capability) AS with_capability, count(turn) AS with_turn
    FROM member_requests GROUP BY group_id, account_id
),
lengths AS (
    SELECT group_id, count(*) AS n_sessions, count(CASE WHEN n = 1 AND last_turn <= 1 THEN 1 END) AS n_single
    FROM (
        SELECT group_id, session_hash, count(*) AS n, max(coalesce(turn, 1)) AS last_turn
        FROM member_requests WHERE session_hash IS NOT NULL GROUP BY group_id, session_hash
    ) AS sessions GROUP BY group_id
)
SELECT served.group_id,
    avg(CASE WHEN with_user > 0 THEN n_users END) AS end_users_per_member,
    avg(CASE WHEN with_language > 0 THEN n_languages END) AS languages_per_member,
    avg(CASE WHEN with_system > 0 THEN n_systems END) AS systems_per_member,
    avg(CASE WHEN with_capability > 0 THEN n_capabilities END) AS capabilities_per_member,
    avg(n_models) AS models_per_member,
    count(CASE WHEN n_languages >= 3 OR n_users >= 5 OR n_clients >= 4 THEN 1 END) * 1e0 / count(*)
        AS mixed_member_share,
    max(lengths.n_single) * 1e0 / nullif(max(lengths.n_sessions), 0) AS group_single_turn_share
FROM served LEFT JOIN lengths ON served.group_id = lengths.group_id
GROUP BY served.group_id
"""

MEASURE = Measure(
    name="tenancy",
    key="group_id",
    columns=(
        Column("end_users_per_member", "DOUBLE", "end users the callers name, mean; NULL: none named"),
        Column("languages_per_member", "DOUBLE", "languages of the prompts, mean; NULL: not told"),
        Column("systems_per_member", "DOUBLE", "system prompts, mean over members with any"),
        Column("capabilities_per_member", "DOUBLE", "capabilities, mean; NULL: not told"),
        Column("models_per_member", "DOUBLE", "models, mean"),
        Column("mixed_member_share", "DOUBLE", "members with 3 languages, 5 end users or 4 clients", "0..1"),
        Column("group_single_turn_share", "DOUBLE", "conversations of one request; NULL: not logged", "0..1"),
    ),
    sql=_SQL,
    reads=("requests", "members", "member_requests"),
    example=Example(
        tables={
            "members": [{"group_id": "g", "account_id": who} for who in "ab"],
            "requests": [
                *(
                    {
                        "account_id": "a",
                        "ts": "2026-03-02 09:00:00",
                        "model": "m",
                        "language": language,
                        "session_hash": f"s-{language}",
                        "turn": 1,
                    }
                    for language in ("en", "zh", "fr")
                ),
                *(
                    {
                        "account_id": "b",
                        "ts": "2026-03-02 09:00:00",
                        "model": "m",
                        "language": "en",
                        "session_hash": "s4",
                        "turn": turn,
                    }
                    for turn in (1, 2)
                ),
            ],
        },
        expect=[
            {
                "group_id": "g",
                "end_users_per_member": None,
                "languages_per_member": 2.0,
                "systems_per_member": None,
                "models_per_member": 1.0,
                "mixed_member_share": 0.5,
                "group_single_turn_share": 0.75,
            }
        ],
    ),
    false_positives=(
        "a contracted aggregator or gateway",
        "an application with many users behind one account, which is what an API is for",
        "a translator",
    ),
)

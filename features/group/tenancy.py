"""Who uses each member: one person, or many strangers.

A relay mixes unrelated customers in every account. Each account then has many end users, languages, applications and
topics, and all accounts look the same in that.
"""

from __future__ import annotations

from features.spec import Column, Example, Measure

_SQL = """
WITH served AS (
    SELECT group_id, account_id, count(*) AS n, count(DISTINCT end_user_hash) AS n_users,
        count(DISTINCT language) AS n_languages,
        count(DISTINCT coalesce(ja4, '') || '|' || coalesce(user_agent, '')) AS n_clients,
        count(end_user_hash) AS with_user, count(language) AS with_language
    FROM member_requests GROUP BY group_id, account_id
)
SELECT served.group_id,
    avg(CASE WHEN with_user > 0 THEN n_users END) AS end_users_per_member,
    avg(CASE WHEN with_language > 0 THEN n_languages END) AS languages_per_member,
    count(CASE WHEN n_languages >= 3 OR n_users >= 5 OR n_clients >= 4 THEN 1 END) * 1e0 / count(*)
        AS mixed_member_share
FROM served
GROUP BY served.group_id
"""

MEASURE = Measure(
    name="tenancy",
    key="group_id",
    columns=(
        Column(
            "end_users_per_member",
            "DOUBLE",
            "end users the callers name, mean; NULL: none named",
            descriptive="named by few callers; read in mixed_member_share",
        ),
        Column(
            "languages_per_member",
            "DOUBLE",
            "languages of the prompts, mean; NULL: not told",
            descriptive="languages of people are not scored; read in mixed_member_share, by number",
        ),
        Column(
            "mixed_member_share",
            "DOUBLE",
            "members with 3 languages, 5 end users or 4 clients",
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
                "mixed_member_share": 0.5,
            }
        ],
    ),
    false_positives=(
        "a contracted aggregator or gateway",
        "an application with many users behind one account, which is what an API is for",
        "a translator",
    ),
)

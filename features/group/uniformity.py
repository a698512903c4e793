"""Whether the members call in one way: model and sampling settings.

One program drives all members of a hydra, so what the program sets is the same in all of them. Shares are of members
and not of requests: each member's commonest setting is compared.
"""

from __future__ import annotations

from features.spec import Column, Example, Measure

#: Name of a compared setting -> SQL of its value, and SQL of the condition that it is set.
_SETTINGS = {
    "model": ("model", "model IS NOT NULL"),
    "sampling": (
        "coalesce(CAST(round(temperature, 3) AS VARCHAR), '') || '|'"
        " || coalesce(CAST(max_tokens AS VARCHAR), '') || '|' || coalesce(CAST(stream AS VARCHAR), '')",
        "temperature IS NOT NULL OR max_tokens IS NOT NULL OR stream IS NOT NULL",
    ),
}


def _agreement(name: str, setting: str, is_set: str) -> str:
    return f"""
{name}_counts AS (
    SELECT group_id, account_id, {setting} AS setting, count(*) AS n FROM member_requests
    WHERE {is_set} GROUP BY group_id, account_id, {setting}
),
{name}_main AS (
    SELECT group_id, setting FROM (
        SELECT group_id, setting, row_number() OVER (PARTITION BY group_id, account_id ORDER BY n DESC, setting) AS place
        FROM {name}_counts
    ) AS ranked WHERE place = 1
),
{name}_top AS (
    SELECT group_id, max(m) * 1e0 / sum(m) AS agreement FROM (
        SELECT group_id, setting, count(*) AS m FROM {name}_main GROUP BY group_id, setting
    ) AS settings GROUP BY group_id HAVING sum(m) >= 2
)"""


_SQL = f"""
WITH active AS (SELECT group_id, count(DISTINCT account_id) AS m FROM member_requests GROUP BY group_id),
{",".join(_agreement(name, *rest) for name, rest in _SETTINGS.items())}
SELECT active.group_id, model_top.agreement AS model_agreement, sampling_top.agreement AS sampling_agreement
FROM active LEFT JOIN model_top ON active.group_id = model_top.group_id
LEFT JOIN sampling_top ON active.group_id = sampling_top.group_id
WHERE active.m >= 2
"""

MEASURE = Measure(
    name="uniformity",
    key="group_id",
    columns=(
        Column(
            "model_agreement",
            "DOUBLE",
            "members whose main model is the commonest one",
            "0..1",
            "up",
            ("group",),
        ),
        Column(
            "sampling_agreement",
            "DOUBLE",
            "members whose main sampling settings are the commonest",
            "0..1",
            "up",
            ("group",),
        ),
    ),
    sql=_SQL,
    reads=("requests", "members", "member_requests"),
    example=Example(
        tables={
            "members": [{"group_id": "g", "account_id": who} for who in "abc"],
            "requests": [
                {
                    "account_id": who,
                    "ts": "2026-03-02 09:00:00",
                    "model": model,
                    "temperature": heat,
                }
                for who, model, heat in (
                    ("a", "m1", 0.7),
                    ("a", "m1", 0.7),
                    ("a", "m1", 0.2),
                    ("a", "m2", 0.2),
                    ("a", "m1", 0.7),
                    ("b", "m1", 0.7),
                    ("c", "m2", 0.7),
                )
            ],
        },
        expect=[
            {
                "group_id": "g",
                "model_agreement": 2 / 3,
                "sampling_agreement": 1.0,
            }
        ],
    ),
    false_positives=(
        "users of one popular agent or SDK with its defaults",
        "a company's services, which share a library",
        "a class that copies the course's sample",
    ),
)

"""How strongly the members are tied together, and whether outsiders share their keys.

The main key of a family is the one that many members and few outsiders have. A hydra's keys belong to most of its
members and to hardly anybody else. The users of a popular client share its key with the whole site.
"""

from __future__ import annotations

from typing import get_args

from features.spec import Column, Example, Family, Measure

_FAMILIES: tuple[str, ...] = get_args(Family)

_PIVOTED = ",\n    ".join(
    f"max(CASE WHEN family = '{family}' THEN n_in * 1e0 / n_present END) AS main_key_share_{family},\n"
    f"    max(CASE WHEN family = '{family}' THEN n_in * 1e0 / n_all END) AS inside_share_{family}"
    for family in _FAMILIES
)

_SQL = f"""
WITH held AS (
    SELECT DISTINCT members.group_id, bucket_of(ties.account_id) AS bucket, ties.family, ties.key
    FROM ties JOIN members ON ties.account_id = members.account_id
),
present AS (SELECT group_id, count(DISTINCT bucket) AS n_present FROM held GROUP BY group_id),
inside AS (
    SELECT group_id, family, key, count(*) AS n_in FROM held
    GROUP BY group_id, family, key HAVING count(*) >= 2
),
everybody AS (
    SELECT key, count(*) AS n_all FROM (
        SELECT DISTINCT key, bucket_of(account_id) AS bucket FROM ties WHERE key IN (SELECT key FROM inside)
    ) AS holders GROUP BY key
),
main AS (
    SELECT group_id, family, n_in, n_all FROM (
        SELECT inside.group_id, inside.family, inside.n_in, everybody.n_all, row_number() OVER (
            PARTITION BY inside.group_id, inside.family
            ORDER BY inside.n_in * 1e0 * inside.n_in / everybody.n_all DESC, inside.key) AS place
        FROM inside JOIN everybody ON inside.key = everybody.key
    ) AS ranked WHERE place = 1
),
linked AS (
    SELECT group_id, bucket, count(*) AS n_families FROM (
        SELECT DISTINCT held.group_id, held.bucket, held.family
        FROM held JOIN inside ON held.group_id = inside.group_id AND held.key = inside.key
            AND held.family = inside.family
    ) AS shared GROUP BY group_id, bucket
),
links AS (SELECT group_id, sum(n_families) AS n_links FROM linked GROUP BY group_id),
pivoted AS (
    SELECT main.group_id, count(CASE WHEN n_in * 2 >= n_present THEN 1 END) AS n_binding_families,
    {_PIVOTED}
    FROM main JOIN present ON main.group_id = present.group_id GROUP BY main.group_id
)
SELECT present.group_id, coalesce(links.n_links, 0) * 1e0 / n_present AS families_per_member,
    coalesce(n_binding_families, 0) AS n_binding_families,
    {", ".join(f"main_key_share_{f}, inside_share_{f}" for f in _FAMILIES)}
FROM present LEFT JOIN links ON present.group_id = links.group_id
LEFT JOIN pivoted ON present.group_id = pivoted.group_id
"""

MEASURE = Measure(
    name="density",
    key="group_id",
    columns=(
        Column(
            "families_per_member",
            "DOUBLE",
            "families of evidence that tie a member to another, mean",
            direction="up",
            models=("group",),
        ),
        Column(
            "n_binding_families",
            "BIGINT",
            "families whose main key half of the members hold",
            direction="up",
            models=("group",),
        ),
        *(
            column
            for family in _FAMILIES
            for column in (
                Column(
                    f"main_key_share_{family}",
                    "DOUBLE",
                    f"members that hold the main {family} key",
                    "0..1",
                    descriptive="for people; the classifier reads how many families bind, not which",
                ),
                Column(
                    f"inside_share_{family}",
                    "DOUBLE",
                    f"holders of the main {family} key that are members; NULL: no such key is shared",
                    "0..1",
                    descriptive="for people; weights of keys already fall with their holders",
                ),
            )
        ),
    ),
    sql=_SQL,
    reads=("members", "ties"),
    example=Example(
        tables={
            "members": [{"group_id": "g", "account_id": who} for who in "abcd"],
            "ties": [
                {"account_id": who, "family": family, "kind": "any", "key": key}
                for family, key, holders in (
                    ("billing", 1, "ab"),
                    ("client", 2, "abcdxyz"),
                    ("billing", 3, "x"),
                )
                for who in holders
            ],
        },
        expect=[
            {
                "group_id": "g",
                "families_per_member": 1.5,
                "n_binding_families": 2,
                "main_key_share_billing": 0.5,
                "inside_share_billing": 1.0,
                "main_key_share_client": 1.0,
                "inside_share_client": 4 / 7,
                "main_key_share_content": None,
                "inside_share_content": None,
            }
        ],
    ),
    false_positives=(
        "a start-up on one card, one office line and one client is as dense as a hydra",
        "a class shares its network, its assignment and its hours",
    ),
)

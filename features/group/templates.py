"""How much of the group's traffic is built on text that its members share and nobody else has.

A scaffold shows as text with which several members send new questions all the time. Two kinds of shared text differ
from it: outsiders also have a popular agent's system prompt, and an assignment or a benchmark has few questions.
There are counts as well as shares, because ordinary traffic lowers a share but no count.
"""

from __future__ import annotations

from features.schema import CONTENT_KEY_KINDS
from features.spec import Column, Example, Measure

#: Kinds of content key long enough to be somebody's own words.
_OWN_WORDS = ("opening8", "ending8", "line", "band", "system", "system_band", "template")
_CODES = ", ".join(str(code) for code, kind in sorted(CONTENT_KEY_KINDS.items()) if kind in _OWN_WORDS)
#: Share of a key's accounts that must be members for the key to be the group's own.
_OWNED = 0.8

# Nearly every key belongs to one account. Those keys are dropped first, because the later counts are expensive.
_SQL = f"""
WITH common AS (
    SELECT owner, key FROM (
        SELECT bucket_of(group_id) AS owner, bucket_of(account_id) AS bucket, each_of(content_keys) AS key
        FROM member_requests
    ) AS keys WHERE key_kind(key) IN ({_CODES})
    GROUP BY owner, key HAVING min(bucket) <> max(bucket)
),
keyed AS (
    SELECT group_id, account_id, bucket, request_id, ts, prompt_hash, keys.key FROM (
        SELECT group_id, bucket_of(group_id) AS owner, account_id, bucket_of(account_id) AS bucket, request_id, ts,
            prompt_hash, each_of(content_keys) AS key
        FROM member_requests
    ) AS keys JOIN common ON keys.key = common.key AND keys.owner = common.owner
),
inside AS (
    SELECT group_id, key, count(DISTINCT bucket) AS n_in, count(*) AS n, count(DISTINCT prompt_hash) AS n_prompts
    FROM keyed GROUP BY group_id, key
),
everybody AS (
    SELECT key, count(*) AS n_all FROM (
        SELECT DISTINCT key, bucket FROM (
            SELECT bucket_of(account_id) AS bucket, each_of(content_keys) AS key FROM requests
        ) AS keys WHERE key IN (SELECT key FROM inside)
    ) AS holders GROUP BY key
),
judged AS (
    SELECT inside.group_id, inside.key, inside.n_in, inside.n, inside.n_prompts,
        inside.n_in >= {_OWNED} * everybody.n_all AS own,
        CASE WHEN key_kind(inside.key) IN (8, 9) THEN 1 ELSE 0 END AS is_system
    FROM inside JOIN everybody ON inside.key = everybody.key
),
marked AS (
    SELECT keyed.group_id, keyed.account_id, keyed.request_id, keyed.ts,
        max(CASE WHEN judged.own THEN 1 ELSE 0 END) AS own,
        max(CASE WHEN judged.own THEN is_system ELSE 0 END) AS own_system
    FROM keyed JOIN judged ON keyed.group_id = judged.group_id AND keyed.key = judged.key
    GROUP BY keyed.group_id, keyed.account_id, keyed.request_id, keyed.ts
),
covered AS (
    SELECT group_id, count(*) AS n_shared, sum(own) AS n_own, sum(own_system) AS n_system,
        count(DISTINCT CASE WHEN own = 1 THEN account_id END) AS m_own
    FROM marked GROUP BY group_id
),
main AS (
    SELECT group_id, n, n_prompts, n_in FROM (
        SELECT group_id, n, n_prompts, n_in, row_number() OVER (
            PARTITION BY group_id ORDER BY n_in DESC, n_prompts DESC, key) AS place
        FROM judged WHERE own
    ) AS ranked WHERE place = 1
),
totals AS (
    SELECT group_id, count(*) AS n, count(DISTINCT account_id) AS m, count(system_hash) AS n_with_system
    FROM member_requests WHERE content_keys IS NOT NULL GROUP BY group_id
)
SELECT totals.group_id, coalesce(n_shared, 0) * 1e0 / totals.n AS shared_text_share,
    coalesce(n_own, 0) * 1e0 / totals.n AS own_text_share, coalesce(n_own, 0) AS n_own_text_requests,
    coalesce(m_own, 0) * 1e0 / totals.m AS own_text_members_share,
    coalesce(n_system, 0) * 1e0 / nullif(n_with_system, 0) AS own_system_share,
    main.n_prompts * 1e0 / main.n AS own_text_distinct_share, main.n_prompts AS own_text_n_prompts
FROM totals LEFT JOIN covered ON totals.group_id = covered.group_id
LEFT JOIN main ON totals.group_id = main.group_id
WHERE totals.m >= 2
"""

MEASURE = Measure(
    name="templates",
    key="group_id",
    columns=(
        Column(
            "shared_text_share",
            "DOUBLE",
            "requests with text that another member sends as well",
            "0..1",
            descriptive="text that outsiders send too; read as own_text_share",
        ),
        Column(
            "own_text_share",
            "DOUBLE",
            "requests with shared text that hardly an outsider sends",
            "0..1",
            "up",
            ("group",),
        ),
        Column(
            "n_own_text_requests",
            "BIGINT",
            "requests with shared text that hardly an outsider sends",
            descriptive="the count behind own_text_share",
        ),
        Column(
            "own_text_members_share", "DOUBLE", "active members that send such text", "0..1", "up", ("group",)
        ),
        Column(
            "own_system_share",
            "DOUBLE",
            "requests under the group's own system prompts, of those with one",
            "0..1",
            "up",
            ("group",),
        ),
        Column(
            "own_text_distinct_share",
            "DOUBLE",
            "distinct prompts for a request under the main own text",
            "0..1",
            "up",
            ("group",),
        ),
        Column(
            "own_text_n_prompts",
            "BIGINT",
            "distinct prompts under the main own text",
            "prompts",
            descriptive="the count behind own_text_distinct_share",
        ),
    ),
    sql=_SQL,
    reads=("requests", "members", "member_requests"),
    needs=("content_keys",),
    example=Example(
        tables={
            "members": [{"group_id": "g", "account_id": who} for who in "ab"],
            "requests": [
                # 18 is an opening of the group's own, 37 a line everybody uses, 66 an opening of one member
                {
                    "account_id": "a",
                    "ts": "2026-03-02 09:00:00",
                    "request_id": "1",
                    "prompt_hash": 1,
                    "content_keys": [18],
                },
                {
                    "account_id": "b",
                    "ts": "2026-03-02 09:00:00",
                    "request_id": "2",
                    "prompt_hash": 2,
                    "content_keys": [18, 37],
                },
                {
                    "account_id": "b",
                    "ts": "2026-03-02 09:00:00",
                    "request_id": "3",
                    "prompt_hash": 2,
                    "content_keys": [18],
                },
                {
                    "account_id": "a",
                    "ts": "2026-03-02 09:00:00",
                    "request_id": "4",
                    "prompt_hash": 3,
                    "content_keys": [37, 66],
                },
                {
                    "account_id": "x",
                    "ts": "2026-03-02 09:00:00",
                    "request_id": "5",
                    "prompt_hash": 4,
                    "content_keys": [37],
                },
            ],
        },
        expect=[
            {
                "group_id": "g",
                "shared_text_share": 1.0,
                "own_text_share": 0.75,
                "n_own_text_requests": 3,
                "own_text_members_share": 1.0,
                "own_system_share": None,
                "own_text_distinct_share": 2 / 3,
                "own_text_n_prompts": 2,
            }
        ],
    ),
    false_positives=(
        "a company's pipeline: its own template over thousands of documents, from several accounts",
        "a class with one assignment text",
        "an application whose users each bring an account",
    ),
)

"""What prompts are made of: openings, endings, lines, runs of words, skeletons and system prompts in common.

A scaffold is text that stays while the question changes. It shows as a content key of several accounts with new prompts
all the time. Each tie has the number of different prompts (``n_prompts`` of the account, ``n_prompts_all`` of all
accounts that day). A public question that many repeat has few, and a scaffold has many.
"""

from __future__ import annotations

from features.schema import CONTENT_KEY_KINDS
from features.spec import Example, Kind, Tie

_LABELS = {
    "exact": "the same prompt",
    "opening4": "the same first 4 words",
    "opening8": "the same first 8 words",
    "ending4": "the same last 4 words",
    "ending8": "the same last 8 words",
    "line": "the same line",
    "gram5": "the same run of 5 words",
    "band": "prompts of nearly the same words",
    "system": "the same system prompt",
    "system_band": "system prompts of nearly the same words",
    "template": "the same prompt skeleton",
}


def _case(values: dict[int, str]) -> str:
    whens = " ".join(f"WHEN {code} THEN '{value}'" for code, value in sorted(values.items()))
    return f"CASE key_kind(keyed.key) {whens} END"


_KIND = _case(CONTENT_KEY_KINDS)
_LABEL = _case({code: _LABELS[kind] for code, kind in CONTENT_KEY_KINDS.items()})


def _keyed(relation: str, *columns: str) -> str:
    """Subquery of every content key of every request. Each use repeats it, so that no engine stores the whole of it.

    Accounts are given by their bucket: a request has twenty-five keys, and a name costs twice as much as a number.
    """
    selected = ", ".join(("bucket_of(account_id) AS bucket", *columns, "each_of(content_keys) AS key"))
    return f"(SELECT {selected} FROM {relation})"


_USED = ("ts", "prompt_hash", "elicitation_score")
_SQL = f"""
WITH held AS (
    SELECT key, min(bucket) AS low, max(bucket) AS high
    FROM {_keyed("requests")} AS keyed GROUP BY key
),
past AS (
    SELECT key, min(bucket) AS low, max(bucket) AS high
    FROM {_keyed("requests_before")} AS keyed
    WHERE key IN (SELECT key FROM held) GROUP BY key
),
kept AS (
    SELECT held.key, CASE WHEN past.low = past.high THEN past.low END AS sole
    FROM held LEFT JOIN past ON held.key = past.key
    WHERE held.low <> held.high OR past.low <> held.low OR past.high <> held.high
),
alone AS (SELECT key, sole FROM kept WHERE sole IS NOT NULL),
by_prompt AS (
    SELECT bucket, keyed.key, prompt_hash, count(*) AS n, sum(elicitation_score) AS asked,
        min(ts) AS first_ts, max(ts) AS last_ts
    FROM {_keyed("requests", *_USED)} AS keyed JOIN kept ON keyed.key = kept.key
    GROUP BY bucket, keyed.key, prompt_hash
),
everybody AS (
    SELECT key, count(prompt_hash) AS n_prompts_all
    FROM (SELECT key, prompt_hash FROM by_prompt GROUP BY key, prompt_hash) AS distinct_prompts GROUP BY key
),
today AS (
    SELECT bucket, key, CAST(sum(n) AS BIGINT) AS n, count(prompt_hash) AS n_prompts, sum(asked) AS asked_sum,
        min(first_ts) AS first_ts, max(last_ts) AS last_ts
    FROM by_prompt GROUP BY bucket, key
),
earlier AS (
    SELECT keyed.bucket, keyed.key, count(*) AS n, count(DISTINCT prompt_hash) AS n_prompts,
        sum(elicitation_score) AS asked_sum, min(ts) AS first_ts, max(ts) AS last_ts
    FROM {_keyed("requests_before", *_USED)} AS keyed
    JOIN alone ON keyed.key = alone.key AND keyed.bucket = alone.sole
    GROUP BY keyed.bucket, keyed.key
),
everyone AS (
    SELECT bucket, key, n, n_prompts, asked_sum, first_ts, last_ts FROM today
    UNION ALL
    SELECT earlier.bucket, earlier.key, earlier.n, earlier.n_prompts, earlier.asked_sum,
        earlier.first_ts, earlier.last_ts
    FROM earlier LEFT JOIN today ON earlier.key = today.key AND earlier.bucket = today.bucket
    WHERE today.bucket IS NULL
),
named AS (
    SELECT bucket_of(account_id) AS bucket, min(account_id) AS account_id FROM (
        SELECT account_id FROM requests UNION ALL SELECT account_id FROM requests_before
    ) AS everywhere GROUP BY bucket_of(account_id)
)
SELECT named.account_id, {_KIND} AS kind, keyed.key, keyed.n, keyed.n_prompts, everybody.n_prompts_all,
    keyed.asked_sum, keyed.first_ts, keyed.last_ts, {_LABEL} AS detail
FROM everyone AS keyed JOIN everybody ON keyed.key = everybody.key JOIN named ON keyed.bucket = named.bucket
"""

TIE = Tie(
    name="template",
    family="content",
    kinds={
        # A whole prompt in two accounts is mostly a public question or a sample from documentation: even.
        "exact": Kind(0.5, "sent", "identical prompt", "identical prompts", spoofable=True),
        # Four words are language, eight somebody's phrase; a sentence two accounts alone use, 2 to 1.
        "opening4": Kind(0.2, "opened prompts with", "rare wording", "rare wordings", spoofable=True),
        "opening8": Kind(1.2, "opened prompts with", "rare wording", "rare wordings", spoofable=True),
        "ending4": Kind(0.2, "ended prompts with", "rare wording", "rare wordings", spoofable=True),
        "ending8": Kind(1.2, "ended prompts with", "rare wording", "rare wordings", spoofable=True),
        "line": Kind(1.2, "wrote", "rare prompt line", "rare prompt lines", spoofable=True),
        "gram5": Kind(0.4, "wrote", "rare run of words", "rare runs of words", spoofable=True),
        "band": Kind(0.7, "sent near-identical prompts of", "family", "families", spoofable=True),
        # System prompts are written once by whoever builds the application; two holders alone, 8 to 1.
        "system": Kind(3.0, "ran with", "rare system prompt", "rare system prompts", spoofable=True),
        "system_band": Kind(
            2.5, "ran with near-identical system prompts of", "family", "families", spoofable=True
        ),
        "template": Kind(1.2, "sent", "rare prompt template", "rare prompt templates", spoofable=True),
    },
    sql=_SQL,
    reads=("requests", "requests_before"),
    needs=("content_keys",),
    half_life_days=7.0,
    # Anybody who has read a prompt can send it.
    example=Example(
        tables={
            "requests": [
                {"account_id": "a", "ts": "2026-03-02 09:00:00", "prompt_hash": 1, "content_keys": [18, 32]},
                {"account_id": "a", "ts": "2026-03-02 09:01:00", "prompt_hash": 2, "content_keys": [18, 48]},
                {"account_id": "b", "ts": "2026-03-02 09:02:00", "prompt_hash": 3, "content_keys": [18, 69]},
                {"account_id": "b", "ts": "2026-03-02 09:03:00", "prompt_hash": 3, "content_keys": [18]},
            ],
            "requests_before": [
                {"account_id": "c", "ts": "2026-02-27 09:00:00", "prompt_hash": 4, "content_keys": [69]},
            ],
        },
        expect=[
            {"account_id": "a", "kind": "opening8", "key": 18, "n": 2, "n_prompts": 2, "n_prompts_all": 3},
            {"account_id": "b", "kind": "opening8", "key": 18, "n": 2, "n_prompts": 1, "n_prompts_all": 3},
            {"account_id": "b", "kind": "line", "key": 69, "n": 1, "detail": "the same line"},
            {"account_id": "c", "kind": "line", "key": 69, "n": 1, "first_ts": "2026-02-27 09:00:00"},
        ],
    ),
    false_positives=(
        "users of one agent or application, which brings its system prompt along",
        "a class working on one assignment",
        "evaluation harnesses with the public wording of a benchmark",
        "samples copied from documentation",
        "one company's pipeline run from several of its accounts",
    ),
)

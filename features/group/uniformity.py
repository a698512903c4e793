"""Whether the members call in one way: model, sampling settings, tools, shape of the request.

One program drives all members of a hydra, so its settings are the same in all members and constant in each. Shares are
of members and not of requests: each member's commonest setting is compared.
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
    "tools": ("coalesce(tools_hash, '')", "tool_count IS NOT NULL OR tools_hash IS NOT NULL"),
}


def _agreement(name: str, setting: str, is_set: str) -> str:
    return f"""
{name}_counts AS (
    SELECT group_id, account_id, {setting} AS setting, count(*) AS n FROM member_requests
    WHERE {is_set} GROUP BY group_id, account_id, {setting}
),
{name}_main AS (
    SELECT group_id, account_id, setting, n * 1e0 / total AS constancy FROM (
        SELECT group_id, account_id, setting, n, sum(n) OVER (PARTITION BY group_id, account_id) AS total,
            row_number() OVER (PARTITION BY group_id, account_id ORDER BY n DESC, setting) AS place
        FROM {name}_counts
    ) AS ranked WHERE place = 1
),
{name}_top AS (
    SELECT group_id, max(m) * 1e0 / sum(m) AS agreement, sum(constancy) / sum(m) AS constancy FROM (
        SELECT group_id, setting, count(*) AS m, sum(constancy) AS constancy
        FROM {name}_main GROUP BY group_id, setting
    ) AS settings GROUP BY group_id HAVING sum(m) >= 2
)"""


_SQL = f"""
WITH lengths AS (
    SELECT group_id, stddev_pop(own) / nullif(avg(own), 0) AS prompt_cv,
        stddev_pop(answer) / nullif(avg(answer), 0) AS answer_cv, count(*) AS m
    FROM (
        SELECT group_id, account_id, median(prompt_words) AS own, median(output_tokens) AS answer
        FROM member_requests GROUP BY group_id, account_id
    ) AS medians GROUP BY group_id
),{",".join(_agreement(name, *rest) for name, rest in _SETTINGS.items())}
SELECT lengths.group_id, model_top.agreement AS model_agreement, model_top.constancy AS model_constancy,
    sampling_top.agreement AS sampling_agreement, sampling_top.constancy AS sampling_constancy,
    tools_top.agreement AS tools_agreement,
    lengths.prompt_cv AS member_prompt_words_cv, lengths.answer_cv AS member_output_tokens_cv
FROM lengths LEFT JOIN model_top ON lengths.group_id = model_top.group_id
LEFT JOIN sampling_top ON lengths.group_id = sampling_top.group_id
LEFT JOIN tools_top ON lengths.group_id = tools_top.group_id
WHERE lengths.m >= 2
"""

MEASURE = Measure(
    name="uniformity",
    key="group_id",
    columns=(
        Column("model_agreement", "DOUBLE", "members whose main model is the commonest one", "0..1"),
        Column("model_constancy", "DOUBLE", "a member's requests to its main model, mean", "0..1"),
        Column(
            "sampling_agreement", "DOUBLE", "members whose main sampling settings are the commonest", "0..1"
        ),
        Column("sampling_constancy", "DOUBLE", "a member's requests with its main settings, mean", "0..1"),
        Column("tools_agreement", "DOUBLE", "members whose main set of tools is the commonest", "0..1"),
        Column("member_prompt_words_cv", "DOUBLE", "variation of members' median prompt length"),
        Column("member_output_tokens_cv", "DOUBLE", "variation of members' median answer length"),
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
                    "prompt_words": 10,
                    "output_tokens": tokens,
                }
                for who, model, heat, tokens in (
                    ("a", "m1", 0.7, 100),
                    ("a", "m1", 0.7, 100),
                    ("a", "m1", 0.2, 100),
                    ("a", "m2", 0.2, 100),
                    ("a", "m1", 0.7, 100),
                    ("b", "m1", 0.7, 100),
                    ("c", "m2", 0.7, 250),
                )
            ],
        },
        expect=[
            {
                "group_id": "g",
                "model_agreement": 2 / 3,
                "model_constancy": (0.8 + 1 + 1) / 3,
                "sampling_agreement": 1.0,
                "sampling_constancy": (0.6 + 1 + 1) / 3,
                "tools_agreement": None,
                "member_prompt_words_cv": 0.0,
                "member_output_tokens_cv": 0.47140452079103173,
            }
        ],
    ),
    false_positives=(
        "users of one popular agent or SDK with its defaults",
        "a company's services, which share a library",
        "a class that copies the course's sample",
    ),
)

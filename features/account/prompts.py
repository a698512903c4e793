"""What an account's prompts have in common with each other, and with those of other accounts.

An operator's scaffold shows as prompts of one construction in unrelated accounts, whose filling never repeats. Whole
prompts in common mean the opposite: a public question, a class, a sample from documentation.
"""

from __future__ import annotations

from features.spec import Column, Example, Measure, Row

#: Fewest requests: one or two prompts are of one template by chance.
MIN_REQUESTS = 4

SQL = f"""
WITH old AS (
    -- Of the history only whether it has the day's templates: they are few, its different ones may be many.
    SELECT template_id
    FROM (SELECT DISTINCT template_id FROM templated) AS todays
    WHERE template_id IN (SELECT template_id FROM requests_before WHERE template_id IS NOT NULL)
), spread AS (
    SELECT
        bucket,
        sum(templated.n) AS n, count(*) AS n_templates, max(templated.n) AS most,
        log2(sum(templated.n)) - sum(templated.n * log2(templated.n)) / sum(templated.n) AS entropy,
        sum(CASE WHEN old.template_id IS NULL THEN templated.n ELSE 0 END) AS n_new
    FROM templated LEFT JOIN old ON templated.template_id = old.template_id
    GROUP BY bucket
), exact AS (
    SELECT prompt_hash FROM asked WHERE prompt_hash IS NOT NULL GROUP BY prompt_hash HAVING count(*) > 1
), copied AS (
    SELECT
        bucket,
        sum(CASE WHEN asked.prompt_hash IS NOT NULL THEN n END) AS n_prompted,
        sum(CASE WHEN exact.prompt_hash IS NOT NULL THEN n ELSE 0 END) AS n_copied
    FROM asked LEFT JOIN exact ON asked.prompt_hash = exact.prompt_hash
    GROUP BY bucket
), systems AS (
    SELECT bucket_of(account_id) AS bucket, system_hash, count(*) AS n
    FROM requests
    WHERE system_hash IS NOT NULL
    GROUP BY bucket_of(account_id), system_hash
), held AS (
    SELECT system_hash, count(*) AS n_holders FROM systems GROUP BY system_hash
), schooled AS (
    SELECT
        bucket, count(*) AS n_systems, sum(n) AS n_schooled,
        sum(CASE WHEN n_holders > 1 THEN n ELSE 0 END) AS n_shared
    FROM systems JOIN held ON systems.system_hash = held.system_hash
    GROUP BY bucket
)
SELECT
    account_id,
    n_templates,
    CASE WHEN spread.n >= {MIN_REQUESTS} THEN most * 1.0 / spread.n END AS template_concentration,
    CASE WHEN spread.n >= {MIN_REQUESTS} THEN entropy END AS template_entropy_bits,
    CASE WHEN spread.n >= {MIN_REQUESTS}
        AND (SELECT count(*) FROM (SELECT 1 AS one FROM requests_before LIMIT 1) AS any_before) > 0
        THEN n_new * 1.0 / spread.n END AS template_novelty,
    CASE WHEN n_prompted >= {MIN_REQUESTS} THEN n_copied * 1.0 / n_prompted END AS shared_exact_share,
    n_systems AS n_system_prompts,
    CASE WHEN n_schooled >= {MIN_REQUESTS} THEN n_shared * 1.0 / n_schooled END AS system_shared_share
FROM copied
JOIN tally ON copied.bucket = tally.bucket
LEFT JOIN spread ON copied.bucket = spread.bucket
LEFT JOIN schooled ON copied.bucket = schooled.bucket
"""


def _row(account: str, prompt: int, template: int, system: int | None = None) -> Row:
    return {"account_id": account, "prompt_hash": prompt, "template_id": template, "system_hash": system}


MEASURE = Measure(
    name="prompts",
    columns=(
        Column("n_templates", "BIGINT", "prompt templates used", "templates"),
        Column(
            "template_concentration", "DOUBLE", "requests with the template used most; NULL under 4", "0..1"
        ),
        Column("template_entropy_bits", "DOUBLE", "spread over templates; NULL under 4", "bits"),
        Column(
            "template_novelty",
            "DOUBLE",
            "requests with a template nobody used in the seven days before; NULL under 4, or without them",
            "0..1",
        ),
        Column(
            "shared_exact_share",
            "DOUBLE",
            "requests whose whole masked prompt another account sent that day; NULL under 4",
            "0..1",
        ),
        Column("n_system_prompts", "BIGINT", "different system prompts; NULL when none is sent", "prompts"),
        Column(
            "system_shared_share",
            "DOUBLE",
            "requests with a system prompt that another account uses that day; NULL under 4 with one",
            "0..1",
        ),
    ),
    sql=SQL,
    reads=("requests", "requests_before", "tally", "asked", "templated"),
    needs=("template_id",),
    example=Example(
        tables={
            "requests": [
                _row("a", 1, 10, 7),
                _row("a", 2, 10, 7),
                _row("a", 3, 10, 7),
                _row("a", 4, 11, 8),
                _row("b", 4, 11, 8),  # the same whole prompt and system prompt as a's last
            ],
            "requests_before": [_row("c", 9, 11)],
        },
        expect=[
            {
                "account_id": "a",
                "n_templates": 2,
                "template_concentration": 0.75,
                "template_entropy_bits": 0.8112781244591328,  # 3 : 1
                "template_novelty": 0.75,  # template 11 was there before
                "shared_exact_share": 0.25,
                "n_system_prompts": 2,
                "system_shared_share": 0.25,
            },
            {
                "account_id": "b",
                "n_templates": 1,
                "template_concentration": None,
                "template_entropy_bits": None,
                "template_novelty": None,
                "shared_exact_share": None,
                "n_system_prompts": 1,
                "system_shared_share": None,
            },
        ],
    ),
    false_positives=(
        "a retrieval or classification pipeline has one template over thousands of documents",
        "users of one coding agent share its system prompt by the thousand",
        "a class works on one assignment",
    ),
)

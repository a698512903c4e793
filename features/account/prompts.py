"""What an account's prompts have in common with each other, and with those of other accounts.

An operator's scaffold shows as prompts of one construction in unrelated accounts, whose filling never repeats. Whole
prompts in common mean the opposite: a public question, a class, a sample from documentation.
"""

from __future__ import annotations

from features.spec import Column, Example, Measure, Row

#: Fewest requests: one or two prompts are of one template by chance.
MIN_REQUESTS = 4

SQL = f"""
WITH spread AS (
    SELECT
        bucket,
        sum(n) AS n, count(*) AS n_templates, max(n) AS most,
        log2(sum(n)) - sum(n * log2(n)) / sum(n) AS entropy
    FROM templated
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
)
SELECT
    account_id,
    n_templates,
    CASE WHEN spread.n >= {MIN_REQUESTS} THEN most * 1.0 / spread.n END AS template_concentration,
    CASE WHEN spread.n >= {MIN_REQUESTS} THEN entropy END AS template_entropy_bits,
    CASE WHEN n_prompted >= {MIN_REQUESTS} THEN n_copied * 1.0 / n_prompted END AS shared_exact_share
FROM copied
JOIN tally ON copied.bucket = tally.bucket
LEFT JOIN spread ON copied.bucket = spread.bucket
"""


def _row(account: str, prompt: int, template: int) -> Row:
    return {"account_id": account, "prompt_hash": prompt, "template_id": template}


MEASURE = Measure(
    name="prompts",
    columns=(
        Column(
            "n_templates",
            "BIGINT",
            "prompt templates used",
            "templates",
            descriptive="the count behind template_entropy_bits",
        ),
        Column(
            "template_concentration",
            "DOUBLE",
            "requests with the template used most; NULL under 4",
            "0..1",
            "down",
            ("single_account",),
        ),
        Column(
            "template_entropy_bits",
            "DOUBLE",
            "spread over templates; NULL under 4",
            "bits",
            "up",
            ("single_account",),
        ),
        Column(
            "shared_exact_share",
            "DOUBLE",
            "requests whose whole masked prompt another account sent that day; NULL under 4",
            "0..1",
            "down",
            ("conduct",),
        ),
    ),
    sql=SQL,
    reads=("requests", "tally", "asked", "templated"),
    needs=("template_id",),
    example=Example(
        tables={
            "requests": [
                _row("a", 1, 10),
                _row("a", 2, 10),
                _row("a", 3, 10),
                _row("a", 4, 11),
                _row("b", 4, 11),  # the same whole prompt as a's last
            ],
        },
        expect=[
            {
                "account_id": "a",
                "n_templates": 2,
                "template_concentration": 0.75,
                "template_entropy_bits": 0.8112781244591328,  # 3 : 1
                "shared_exact_share": 0.25,
            },
            {
                "account_id": "b",
                "n_templates": 1,
                "template_concentration": None,
                "template_entropy_bits": None,
                "shared_exact_share": None,
            },
        ],
    ),
    false_positives=(
        "a retrieval or classification pipeline has one template over thousands of documents",
        "a class works on one assignment",
    ),
)

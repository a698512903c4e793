"""Which of the model's capabilities an account uses, and how far it concentrates on one.

Harvest aims at the capability that a student lacks. People move between several.
"""

from __future__ import annotations

from features.spec import Column, Example, Measure

#: Fewest requests: one or two are of one class by chance.
MIN_REQUESTS = 4

SQL = f"""
WITH used AS (
    SELECT bucket, capability, sum(calls) AS n
    FROM facets
    WHERE capability IS NOT NULL
    GROUP BY bucket, capability
), ranked AS (
    SELECT bucket, capability, n, max(n) OVER (PARTITION BY bucket) AS most
    FROM used
), spread AS (
    SELECT
        bucket,
        sum(n) AS n, max(most) AS most, count(*) AS classes,
        min(CASE WHEN n = most THEN capability END) AS top
    FROM ranked
    GROUP BY bucket
)
SELECT
    account_id,
    top AS capability_top,
    classes AS n_capabilities,
    CASE WHEN n >= {MIN_REQUESTS} THEN CAST(most AS DOUBLE) / n END AS capability_top_share
FROM spread JOIN tally ON spread.bucket = tally.bucket
"""

MEASURE = Measure(
    name="capability",
    columns=(
        Column(
            "capability_top",
            "VARCHAR",
            "capability class used most; of equals the first by name",
            descriptive="what the account is for; one campaign's choice of work says nothing of the next",
        ),
        Column(
            "n_capabilities",
            "BIGINT",
            "capability classes used",
            "classes",
            descriptive="counts beside capability_top_share",
        ),
        Column(
            "capability_top_share",
            "DOUBLE",
            "requests of that class, of those with a class; NULL under 4",
            "0..1",
            descriptive="says how one campaign behaved; misleads about one nobody has seen",
        ),
    ),
    sql=SQL,
    reads=("requests", "tally", "facets"),
    needs=("capability",),
    example=Example(
        tables={
            "requests": [
                {"account_id": "a", "capability": "coding"},
                {"account_id": "a", "capability": "coding"},
                {"account_id": "a", "capability": "reasoning"},
                {"account_id": "a", "capability": "data"},
                {"account_id": "a"},
                {"account_id": "few", "capability": "writing"},
                {"account_id": "few", "capability": "coding"},
            ]
        },
        expect=[
            {
                "account_id": "a",
                "capability_top": "coding",
                "n_capabilities": 3,
                "capability_top_share": 0.5,
            },
            {
                "account_id": "few",
                "capability_top": "coding",
                "n_capabilities": 2,
                "capability_top_share": None,
            },
        ],
    ),
    false_positives=(
        "a coding assistant or translation product uses one capability all day",
        "a pipeline does one thing",
    ),
)

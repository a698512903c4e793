"""Pathways that an account uses, and facts about it: programme, verification, age.

These are facts for readers and rules. One pathway or programme says nothing about abuse, but many at once may.
"""

from __future__ import annotations

from features.spec import Column, Example, Measure

SQL = """
WITH used AS (
    SELECT bucket, pathway, sum(calls) AS n
    FROM facets
    GROUP BY bucket, pathway
), ranked AS (
    SELECT
        bucket, pathway, n,
        max(CASE WHEN pathway IS NOT NULL THEN n END) OVER (PARTITION BY bucket) AS most
    FROM used
), pathways AS (
    SELECT
        bucket,
        count(pathway) AS n_pathways,
        min(CASE WHEN n = most THEN pathway END) AS top
    FROM ranked
    GROUP BY bucket
)
SELECT
    tally.account_id,
    top AS pathway_top,
    CASE WHEN n_pathways > 0 THEN n_pathways END AS n_pathways,
    lower(accounts.program) AS program,
    lower(accounts.program) IN ('partner', 'reseller', 'aggregator') AS is_partner,
    accounts.verified AS verified,
    CASE WHEN accounts.created_at IS NOT NULL
        THEN greatest(0.0, (epoch_s(programme_midnight) + 86400.0 - epoch_s(accounts.created_at)) / 86400.0)
    END AS account_age_days
FROM pathways
JOIN tally ON pathways.bucket = tally.bucket
LEFT JOIN accounts ON tally.account_id = accounts.account_id
"""

MEASURE = Measure(
    name="programme",
    columns=(
        Column(
            "pathway_top",
            "VARCHAR",
            "pathway most requests came through; of equals the first by name",
            descriptive="which pathway says nothing of abuse",
        ),
        Column(
            "n_pathways",
            "BIGINT",
            "pathways used that day; NULL when none is logged",
            "pathways",
            descriptive="for people; companies use several side by side",
        ),
        Column(
            "program",
            "VARCHAR",
            "programme of the account, lower case",
            descriptive="a name; read as is_partner, and by exemptions",
        ),
        Column(
            "is_partner",
            "BOOLEAN",
            "partner, reseller or aggregator by contract; NULL: programme not known",
            direction="down",
            models=("conduct", "single_account"),
        ),
        Column(
            "verified",
            "BOOLEAN",
            "whether identity was verified",
            descriptive="identity, which is not scored",
        ),
        Column(
            "account_age_days",
            "DOUBLE",
            "from sign-up to the end of the day; NULL: sign-up not known",
            "days",
            descriptive="most new accounts are new customers; groups read how their members' ages agree",
        ),
    ),
    sql=SQL,
    reads=("requests", "accounts", "tally", "facets"),
    tally={"programme_midnight": "date_trunc('day', max(ts))"},
    example=Example(
        tables={
            "requests": [
                {"account_id": "a", "ts": "2026-03-02 10:00:00", "pathway": "cloud"},
                {"account_id": "a", "ts": "2026-03-02 11:00:00", "pathway": "api"},
                {"account_id": "a", "ts": "2026-03-02 12:00:00", "pathway": "api"},
                {"account_id": "unknown", "ts": "2026-03-02 12:00:00"},
                {"account_id": "unknown", "ts": "2026-03-02 12:01:00"},
                {"account_id": "tied", "ts": "2026-03-02 12:00:00", "pathway": "cloud"},
                {"account_id": "tied", "ts": "2026-03-02 12:01:00", "pathway": "api"},
            ],
            "accounts": [
                {
                    "account_id": "a",
                    "created_at": "2026-03-01 12:00:00",
                    "program": "Partner",
                    "verified": True,
                },
                {"account_id": "tied", "program": "payg", "verified": False},
            ],
        },
        expect=[
            {
                "account_id": "a",
                "pathway_top": "api",
                "n_pathways": 2,
                "program": "partner",
                "is_partner": True,
                "verified": True,
                "account_age_days": 1.5,  # noon of the day before to midnight
            },
            {
                "account_id": "unknown",
                "pathway_top": None,
                "n_pathways": None,
                "program": None,
                "is_partner": None,
                "verified": None,
                "account_age_days": None,
            },
            {
                "account_id": "tied",
                "pathway_top": "api",
                "n_pathways": 2,
                "is_partner": False,
                "verified": False,
                "account_age_days": None,
            },
        ],
    ),
    false_positives=(
        "most new accounts are new customers",
        "companies use a cloud's interface and the first party's side by side",
    ),
)

"""How narrow the group's work is: one capability, one language.

A student is taught few things at a time, so harvest concentrates. A community of strangers does everything.
"""

from __future__ import annotations

from features.spec import Column, Example, Measure

_SQL = """
WITH by_group AS (
    SELECT group_id, capability, count(*) AS n FROM member_requests
    WHERE capability IS NOT NULL GROUP BY group_id, capability
),
totals AS (SELECT group_id, sum(n) AS n FROM by_group GROUP BY group_id),
site AS (
    SELECT capability, count(*) * 1e0 / sum(count(*)) OVER () AS share
    FROM requests WHERE capability IS NOT NULL GROUP BY capability
),
mix AS (
    SELECT by_group.group_id, by_group.capability, by_group.n * 1e0 / totals.n AS share,
        site.share AS site_share
    FROM by_group JOIN totals ON by_group.group_id = totals.group_id
    JOIN site ON by_group.capability = site.capability
),
mixes AS (
    SELECT group_id, max(share) AS top_share, sum(share * log2(share / site_share)) AS divergence
    FROM mix GROUP BY group_id
),
languages AS (
    SELECT group_id, count(DISTINCT language) AS n_languages
    FROM member_requests WHERE language IS NOT NULL GROUP BY group_id
)
SELECT totals.group_id, mixes.top_share AS group_top_capability_share,
    mixes.divergence AS group_capability_divergence_bits, languages.n_languages AS group_n_languages
FROM totals JOIN mixes ON totals.group_id = mixes.group_id
LEFT JOIN languages ON totals.group_id = languages.group_id
WHERE totals.n >= 10
"""

MEASURE = Measure(
    name="focus",
    key="group_id",
    columns=(
        Column(
            "group_top_capability_share",
            "DOUBLE",
            "requests for the commonest capability",
            "0..1",
            descriptive="says how one campaign behaved; misleads about one nobody has seen",
        ),
        Column(
            "group_capability_divergence_bits",
            "DOUBLE",
            "how far its mix is from the site's",
            "bits",
            "up",
            ("group",),
        ),
        Column(
            "group_n_languages",
            "BIGINT",
            "languages of the prompts; NULL: not told",
            descriptive="languages of people are not scored",
        ),
    ),
    sql=_SQL,
    reads=("requests", "members", "member_requests"),
    needs=("capability",),
    example=Example(
        tables={
            "members": [{"group_id": "g", "account_id": who} for who in "ab"],
            "requests": [
                {"account_id": who, "ts": "2026-03-02 09:00:00", "capability": what, "language": "en"}
                for who, what in [("a", "coding")] * 6
                + [("b", "coding")] * 2
                + [("b", "data")] * 4
                + [("x", "data")] * 4
                + [("x", "writing")] * 4
                + [("x", "coding")] * 4
            ],
        },
        expect=[
            {
                "group_id": "g",
                "group_top_capability_share": 2 / 3,
                # 2/3 log2((2/3)/(1/2)) + 1/3 log2((1/3)/(1/3))
                "group_capability_divergence_bits": 0.27669166635949214,
                # 0.9183 less half of b's 0.9183
                "group_n_languages": 1,
            }
        ],
    ),
    false_positives=(
        "users of a coding agent only code",
        "a translation or support company",
        "a small group, which is always narrow",
    ),
)

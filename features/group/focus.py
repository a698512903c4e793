"""How narrow the group's work is: one capability, one language, the same for all members.

A student is taught few things at a time, so harvest concentrates. A community of strangers does everything.
"""

from __future__ import annotations

from features.spec import Column, Example, Measure

_SQL = """
WITH counted AS (
    SELECT group_id, account_id, capability, count(*) AS n FROM member_requests
    WHERE capability IS NOT NULL GROUP BY group_id, account_id, capability
),
by_group AS (
    SELECT group_id, capability, sum(n) AS n FROM counted GROUP BY group_id, capability
),
totals AS (SELECT group_id, sum(n) AS n FROM by_group GROUP BY group_id),
site AS (
    SELECT capability, count(*) * 1e0 / sum(count(*)) OVER () AS share
    FROM requests WHERE capability IS NOT NULL GROUP BY capability
),
mix AS (
    SELECT by_group.group_id, by_group.capability, by_group.n * 1e0 / totals.n AS share,
        site.share AS site_share,
        row_number() OVER (
            PARTITION BY by_group.group_id ORDER BY by_group.n DESC, by_group.capability) AS place
    FROM by_group JOIN totals ON by_group.group_id = totals.group_id
    JOIN site ON by_group.capability = site.capability
),
mixes AS (
    SELECT group_id, max(share) AS top_share, abs(sum(share * log2(share))) AS bits,
        sum(share * log2(share / site_share)) AS divergence FROM mix GROUP BY group_id
),
tops AS (
    SELECT counted.group_id, counted.account_id, counted.capability, row_number() OVER (
        PARTITION BY counted.group_id, counted.account_id
        ORDER BY counted.n DESC, counted.capability) AS place
    FROM counted
),
alike AS (
    SELECT tops.group_id,
        count(CASE WHEN tops.capability = mix.capability THEN 1 END) * 1e0 / count(*) AS share
    FROM tops JOIN mix ON tops.group_id = mix.group_id AND mix.place = 1
    WHERE tops.place = 1 GROUP BY tops.group_id
),
members_mix AS (
    SELECT group_id, abs(sum(part * log2(share))) AS bits FROM (
        SELECT counted.group_id, counted.n * 1e0 / own.n AS share, counted.n * 1e0 / totals.n AS part
        FROM counted
        JOIN (SELECT group_id, account_id, sum(n) AS n FROM counted GROUP BY group_id, account_id) AS own
            ON counted.group_id = own.group_id AND counted.account_id = own.account_id
        JOIN totals ON counted.group_id = totals.group_id
    ) AS shares GROUP BY group_id
),
languages AS (
    SELECT group_id, count(*) AS n_languages, abs(sum(share * log2(share))) AS bits FROM (
        SELECT group_id, n * 1e0 / sum(n) OVER (PARTITION BY group_id) AS share FROM (
            SELECT group_id, language, count(*) AS n FROM member_requests
            WHERE language IS NOT NULL GROUP BY group_id, language
        ) AS counts
    ) AS shares GROUP BY group_id
)
SELECT totals.group_id, mixes.top_share AS group_top_capability_share,
    mixes.bits AS group_capability_entropy_bits, mixes.divergence AS group_capability_divergence_bits,
    mixes.bits - members_mix.bits AS member_capability_divergence_bits, alike.share AS focused_members_share,
    languages.n_languages AS group_n_languages, languages.bits AS group_language_entropy_bits
FROM totals JOIN mixes ON totals.group_id = mixes.group_id JOIN alike ON totals.group_id = alike.group_id
JOIN members_mix ON totals.group_id = members_mix.group_id
LEFT JOIN languages ON totals.group_id = languages.group_id
WHERE totals.n >= 10
"""

MEASURE = Measure(
    name="focus",
    key="group_id",
    columns=(
        Column("group_top_capability_share", "DOUBLE", "requests for the commonest capability", "0..1"),
        Column("group_capability_entropy_bits", "DOUBLE", "spread over capabilities", "bits"),
        Column("group_capability_divergence_bits", "DOUBLE", "how far its mix is from the site's", "bits"),
        Column(
            "member_capability_divergence_bits",
            "DOUBLE",
            "how far members' mixes are from the group's",
            "bits",
        ),
        Column(
            "focused_members_share", "DOUBLE", "members whose commonest capability is the group's", "0..1"
        ),
        Column("group_n_languages", "BIGINT", "languages of the prompts; NULL: not told"),
        Column("group_language_entropy_bits", "DOUBLE", "spread over languages", "bits"),
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
                "group_capability_entropy_bits": 0.9182958340544896,
                # 2/3 log2((2/3)/(1/2)) + 1/3 log2((1/3)/(1/3))
                "group_capability_divergence_bits": 0.27669166635949214,
                # 0.9183 less half of b's 0.9183
                "member_capability_divergence_bits": 0.4591479170272448,
                "focused_members_share": 0.5,
                "group_n_languages": 1,
                "group_language_entropy_bits": 0.0,
            }
        ],
    ),
    false_positives=(
        "users of a coding agent only code",
        "a translation or support company",
        "a small group, which is always narrow",
    ),
)

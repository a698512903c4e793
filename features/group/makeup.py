"""Who the members say they are: organisations, programmes, pathways, mail domains.

A hydra is spread over organisations, pathways and free mail. A team, a campus or an enterprise is one organisation on
one domain, often under a contract.
"""

from __future__ import annotations

from features.spec import Column, Example, Measure

_SQL = """
WITH known AS (
    SELECT members.group_id, members.account_id, accounts.account_id AS found, accounts.org_id,
        accounts.pathway, lower(accounts.program) AS program, accounts.verified,
        CASE WHEN accounts.email_domain_class = 'custom' THEN accounts.email_domain_hash END AS domain,
        accounts.email_domain_class AS domain_class, accounts.payment_hash
    FROM members LEFT JOIN accounts ON members.account_id = accounts.account_id
),
by_domain AS (
    SELECT group_id, max(n) AS n_top FROM (
        SELECT group_id, domain, count(*) AS n FROM known WHERE domain IS NOT NULL GROUP BY group_id, domain
    ) AS domains GROUP BY group_id
),
by_org AS (
    SELECT group_id, max(n) AS n_top FROM (
        SELECT group_id, org_id, count(*) AS n FROM known WHERE org_id IS NOT NULL GROUP BY group_id, org_id
    ) AS orgs GROUP BY group_id
),
by_pathway AS (
    SELECT group_id, abs(sum(share * log2(share))) AS bits FROM (
        SELECT group_id, n * 1e0 / sum(n) OVER (PARTITION BY group_id) AS share FROM (
            SELECT group_id, pathway, count(*) AS n FROM known
            WHERE pathway IS NOT NULL GROUP BY group_id, pathway
        ) AS pathways
    ) AS shares GROUP BY group_id
),
facts AS (
    SELECT group_id, count(found) AS n_found, nullif(count(DISTINCT org_id), 0) AS n_orgs,
        count(org_id) AS n_with_org, count(DISTINCT payment_hash) AS n_cards,
        count(payment_hash) AS n_with_card,
        count(program) AS n_with_program, count(domain_class) AS n_with_domain,
        count(CASE WHEN program IN ('education', 'research', 'enterprise', 'partner') THEN 1 END)
            AS n_contract,
        count(CASE WHEN domain_class IN ('free', 'disposable') THEN 1 END) AS n_free,
        count(verified) AS n_verdicts, count(CASE WHEN verified THEN 1 END) AS n_verified
    FROM known GROUP BY group_id
)
SELECT facts.group_id, n_orgs, n_orgs * 1e0 / nullif(n_with_org, 0) AS orgs_per_member,
    by_org.n_top * 1e0 / nullif(n_with_org, 0) AS top_org_share,
    n_cards * 1e0 / nullif(n_with_card, 0) AS cards_per_member,
    n_contract * 1e0 / nullif(n_with_program, 0) AS contract_share,
    n_verified * 1e0 / nullif(n_verdicts, 0) AS verified_share,
    n_free * 1e0 / nullif(n_with_domain, 0) AS free_mail_share,
    coalesce(by_domain.n_top, 0) * 1e0 / nullif(n_with_domain, 0) AS top_domain_share,
    by_pathway.bits AS pathway_entropy_bits
FROM facts LEFT JOIN by_domain ON facts.group_id = by_domain.group_id
LEFT JOIN by_org ON facts.group_id = by_org.group_id
LEFT JOIN by_pathway ON facts.group_id = by_pathway.group_id
"""

MEASURE = Measure(
    name="makeup",
    key="group_id",
    columns=(
        Column(
            "n_orgs",
            "BIGINT",
            "organisations of the members; NULL: none known",
            descriptive="the count behind orgs_per_member",
        ),
        Column(
            "orgs_per_member", "DOUBLE", "organisations for each member with one", "0..1", "up", ("group",)
        ),
        Column(
            "top_org_share",
            "DOUBLE",
            "members in the largest organisation, of those with one",
            "0..1",
            "down",
            ("group",),
        ),
        Column("cards_per_member", "DOUBLE", "cards for each member with one", "0..1", "", ("group",)),
        Column(
            "contract_share",
            "DOUBLE",
            "members on education, research, enterprise or partner terms",
            "0..1",
            "down",
            ("group",),
        ),
        Column(
            "verified_share",
            "DOUBLE",
            "members whose identity was verified, of those with a finding",
            "0..1",
            descriptive="identity, which is not scored",
        ),
        Column(
            "free_mail_share",
            "DOUBLE",
            "members on free or disposable mail, of those with mail",
            "0..1",
            descriptive="most private customers are on free mail",
        ),
        Column(
            "top_domain_share",
            "DOUBLE",
            "members on the commonest own mail domain, of those with mail",
            "0..1",
            "down",
            ("group",),
        ),
        Column(
            "pathway_entropy_bits",
            "DOUBLE",
            "spread over the pathways that accounts were opened through",
            "bits",
            "up",
            ("group",),
        ),
    ),
    sql=_SQL,
    reads=("members", "accounts"),
    needs=("accounts.account_id",),
    example=Example(
        tables={
            "members": [{"group_id": "g", "account_id": who} for who in "abcd"],
            "accounts": [
                {
                    "account_id": "a",
                    "org_id": "o1",
                    "pathway": "api",
                    "program": "Enterprise",
                    "email_domain_class": "custom",
                    "email_domain_hash": "d1",
                    "payment_hash": "p1",
                    "verified": True,
                },
                {
                    "account_id": "b",
                    "org_id": "o1",
                    "pathway": "api",
                    "program": "payg",
                    "email_domain_class": "custom",
                    "email_domain_hash": "d1",
                    "payment_hash": "p1",
                },
                {"account_id": "c", "org_id": "o2", "pathway": "cloud", "email_domain_class": "free"},
                {"account_id": "d", "pathway": "cloud", "email_domain_class": "disposable"},
            ],
        },
        expect=[
            {
                "group_id": "g",
                "n_orgs": 2,
                "orgs_per_member": 2 / 3,
                "top_org_share": 2 / 3,
                "cards_per_member": 0.5,
                "contract_share": 0.5,
                "verified_share": 1.0,
                "free_mail_share": 0.5,
                "top_domain_share": 0.5,
                "pathway_entropy_bits": 1.0,
            }
        ],
    ),
    false_positives=(
        "a hackathon or course: many organisations, free mail",
        "an agency that keeps an organisation for each client",
        "a site where every account is an organisation of its own",
    ),
)

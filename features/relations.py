"""What a measurement may read: relations that the pipeline binds, and shared ones that are composed once."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from features import plugins, schema
from features.spec import Column

_C = Column
ACCOUNTS = (
    _C("account_id", "VARCHAR", "the account"),
    _C("org_id", "VARCHAR", "organisation it belongs to"),
    _C("created_at", "TIMESTAMP", "sign-up", "UTC"),
    _C("payment_hash", "VARCHAR", "keyed hash of the payment fingerprint"),
    _C("payment_bin_hash", "VARCHAR", "keyed hash of the card's issuer number"),
    _C("email_domain_hash", "VARCHAR", "keyed hash of the mail domain"),
    _C("email_domain_class", "VARCHAR", "free, disposable or custom"),
    _C("signup_ip_hash", "VARCHAR", "keyed hash of the address at sign-up"),
    _C("signup_ip_prefix", "VARCHAR", "its /24 or /48 network"),
    _C("country", "VARCHAR", "stated country; never scored", "ISO 3166-1 alpha-2"),
    _C("pathway", "VARCHAR", "route the account was opened by"),
    _C("program", "VARCHAR", "payg, education, research, startup, enterprise, partner ..."),
    _C("verified", "BOOLEAN", "whether identity was verified"),
    _C("status", "VARCHAR", "active, suspended, banned ..."),
    _C("valid_from", "TIMESTAMP", "from when the row holds; NULL: always", "UTC"),
    _C("keys", "MAP(VARCHAR, VARCHAR[])", "further linking keys of the site: kind to keyed hashes"),
)
TIE_COLUMNS = (
    _C("account_id", "VARCHAR", "the account"),
    _C("family", "VARCHAR", "billing, network, client, content, rhythm or succession"),
    _C("kind", "VARCHAR", "kind of key, told by its tie plug-in"),
    _C("key", "UBIGINT", "the key, hashed"),
    _C("n", "BIGINT", "times used that day"),
    _C("n_prompts", "BIGINT", "distinct prompts the account sent under the key; NULL: not a content key"),
    _C(
        "n_prompts_all",
        "BIGINT",
        "distinct prompts anybody sent under the key that day; NULL: not a content key",
    ),
    _C("asked_sum", "DOUBLE", "sum of the elicitation scores of those requests; NULL: not a content key"),
    _C("first_ts", "TIMESTAMP", "first use that day", "UTC"),
    _C("last_ts", "TIMESTAMP", "last use that day", "UTC"),
    _C("detail", "VARCHAR", "label for people; never text of a prompt"),
)
_MEMBERS = (
    _C("group_id", "VARCHAR", "the group"),
    _C("account_id", "VARCHAR", "a member"),
)

#: Relations that several plug-ins would otherwise each compute. A statement defines each of them once, if it is read.
#: ``tally``: one row for each account of the day: its name, its ``bucket``, its ``calls``, and every aggregate that a
#: plug-in declares under ``tally``. ``bucket`` is ``bucket_of`` the name: to sort and group by it costs half of what
#: the name costs, and the name is joined back from here.
#: ``member_requests``: the day's requests of members, with their ``group_id``.
#: ``facets``: requests counted by columns with few values, so that three plug-ins read the day once. ``model`` is
#: ``bucket_of`` the model. Plain sums belong into ``tally``: kept for each of many facets they cost several times more.
#: ``asked``: the distinct prompts of each account, by its bucket; a NULL ``prompt_hash`` stands for requests without
#: one.
#: ``templated``: templates of each account.
#: ``shared_keys``: openings, endings (of eight words) and templates of three accounts or more. ``n_requests`` is exact.
#: ``n_accounts`` is a linear count, which misses one in twenty keys of just three holders. ``distinctness`` (0..1) is the
#: share of distinct prompts, counted up to 64 requests.
SHARED: Mapping[str, str] = MappingProxyType(
    {
        "tally": """
SELECT
    bucket_of(account_id) AS bucket,
    min(account_id) AS account_id,
    count(*) AS calls
FROM requests
GROUP BY bucket_of(account_id)""",
        "member_requests": """
SELECT members.group_id, requests.*
FROM members
JOIN requests ON members.account_id = requests.account_id""",
        "facets": """
SELECT
    bucket_of(account_id) AS bucket, bucket_of(model) AS model,
    pathway, capability,
    count(*) AS calls
FROM requests
GROUP BY bucket_of(account_id), bucket_of(model), pathway, capability""",
        "asked": """
SELECT
    bucket_of(account_id) AS bucket, prompt_hash,
    count(*) AS n,
    min(template_id) AS template_id,
    min(key_at(content_keys, 3, 2)) AS opening,
    min(key_at(content_keys, 5, 4)) AS ending
FROM requests
GROUP BY bucket_of(account_id), prompt_hash""",
        "templated": """
SELECT bucket, template_id, sum(n) AS n, bit_or(mark_of(prompt_hash)) AS prompts
FROM asked
WHERE template_id IS NOT NULL
GROUP BY bucket, template_id""",
        "shared_keys": """
SELECT
    kind, key, n_requests, count_of_marks(holders) AS n_accounts,
    least(1.0, count_of_marks(prompts) / least(n_requests, 64)) AS distinctness
FROM (
    SELECT 2 AS kind, opening AS key, sum(n) AS n_requests, bit_or(mark_of(bucket)) AS holders,
        bit_or(mark_of(prompt_hash)) AS prompts
    FROM asked WHERE opening IS NOT NULL GROUP BY opening
    UNION ALL
    SELECT 4 AS kind, ending AS key, sum(n) AS n_requests, bit_or(mark_of(bucket)) AS holders,
        bit_or(mark_of(prompt_hash)) AS prompts
    FROM asked WHERE ending IS NOT NULL GROUP BY ending
    UNION ALL
    SELECT 10 AS kind, template_id AS key, sum(n) AS n_requests, bit_or(mark_of(bucket)) AS holders,
        bit_or(prompts) AS prompts
    FROM templated WHERE template_id IS NOT NULL GROUP BY template_id
) AS held
WHERE count_of_marks(holders) > 2.5""",
    }
)

#: Everything a plug-in's ``reads`` may name.
READABLE: frozenset[str] = frozenset(
    (
        "requests", "requests_before", "accounts", "account_events", "model_releases", "hosting_asns",
        "members", "account_days", "ties", *SHARED,
    )
)  # fmt: skip


def relations() -> dict[str, tuple[Column, ...]]:
    """Relations that a plug-in may read, with their columns.

    ``requests`` holds the day, ``requests_before`` the seven days before it. ``accounts`` has at most one row for each
    account, the one valid at the end of the day. ``account_events`` and ``model_releases`` hold all rows up to then.
    """
    return {
        "requests": schema.REQUESTS,
        "requests_before": schema.REQUESTS,
        "accounts": ACCOUNTS,
        "account_events": schema.ACCOUNT_EVENTS,
        "model_releases": schema.MODEL_RELEASES,
        "hosting_asns": (_C("asn", "BIGINT", "autonomous system that rents out machines"),),
        "members": _MEMBERS,
        "account_days": (_MEMBERS[1], *plugins.columns("account")),
        "ties": TIE_COLUMNS,
    }

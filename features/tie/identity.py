"""Who stands behind the account: its own mail domain, its organisation, and any key that the site defines.

These keys state who belongs together, so honest organisations have the strongest ties here. That is intended: a group
must be whole before anything can be said about it.
"""

from __future__ import annotations

from features.sharing import met_in_accounts
from features.spec import Example, Kind, Tie

#: SQL condition for site keys whose value names another person: anybody can type a victim's code there.
_NAMES_ANOTHER = (
    "(label LIKE '%invit%' OR label LIKE '%refer%' OR label LIKE '%promo%' OR label LIKE '%coupon%')"
)

_FACTS = f"""
SELECT account_id, CASE WHEN email_domain_class = 'custom' THEN email_domain_hash END AS domain,
    org_id AS org,
    CAST(NULL AS VARCHAR) AS own, CAST(NULL AS VARCHAR) AS named, CAST(NULL AS VARCHAR) AS label
FROM accounts
UNION ALL
SELECT account_id, NULL, NULL, CASE WHEN NOT {_NAMES_ANOTHER} THEN label || ':' || value END,
    CASE WHEN {_NAMES_ANOTHER} THEN label || ':' || value END, label
FROM (
    SELECT account_id, lower(entry.key) AS label, each_of(entry.value) AS value
    FROM (SELECT account_id, each_of(entries_of(keys)) AS entry FROM accounts) AS entries
) AS site
"""

_SQL = met_in_accounts(
    _FACTS,
    {
        "mail_domain": ("domain", "'own mail domain'"),
        "org": ("org", "'organisation'"),
        "site_key": ("own", "label"),
        "site_invite": ("named", "label"),
    },
    lasting=frozenset({"mail_domain", "site_key"}),
)

TIE = Tie(
    name="identity",
    family="billing",
    kinds={
        # A domain of one's own takes money and a mailbox; two holders are colleagues, or one person. 60 to 1.
        "mail_domain": Kind(6.0, "signed up with", "mail domain", "mail domains"),
        # Stated by the accounts themselves: one answerable party, whoever it is.
        "org": Kind(6.0, "belonged to", "organisation", "organisations"),
        # What a site key means is the site's affair (telephone, device, document): taken as a shared device.
        "site_key": Kind(4.0, "shared", "key of this site", "keys of this site"),
        # Who invited whom: friends invite friends.
        "site_invite": Kind(1.5, "came by", "invitation", "invitations", spoofable=True),
    },
    sql=_SQL,
    reads=("requests", "accounts"),
    needs=("accounts.account_id",),
    half_life_days=None,
    example=Example(
        tables={
            "requests": [
                {"account_id": "a", "ts": "2026-03-02 09:00:00"},
                {"account_id": "c", "ts": "2026-03-02 10:00:00"},
            ],
            "accounts": [
                {
                    "account_id": "a",
                    "email_domain_hash": "d1",
                    "email_domain_class": "custom",
                    "org_id": "o1",
                },
                {
                    "account_id": "b",
                    "email_domain_hash": "d1",
                    "email_domain_class": "custom",
                    "org_id": "o2",
                },
                {"account_id": "c", "email_domain_hash": "d2", "email_domain_class": "free", "org_id": "o1"},
                {"account_id": "e", "email_domain_hash": "d2", "email_domain_class": "free"},
            ],
        },
        expect=[
            {"account_id": "a", "kind": "mail_domain", "n": 1},
            {"account_id": "b", "kind": "mail_domain", "n": 0},
            {"account_id": "a", "kind": "org", "n": 1},
            {"account_id": "c", "kind": "org", "n": 1},
        ],
    ),
    false_positives=(
        "an enterprise, university or agency on its own domain",
        "a team whose members have an account each in one organisation",
        "a mail provider that is missing from the list of free ones",
        "a telephone shared by a household",
    ),
)

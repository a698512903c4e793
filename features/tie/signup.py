"""How accounts were opened: bursts of sign-ups from one network, with one issuer, in one hour.

Operators open accounts in batches, and so do courses and hackathons. Kinds that depend on the time of sign-up are in
one family with succession, because they all follow from when an account appeared.
"""

from __future__ import annotations

from features.sharing import met_in_accounts
from features.spec import Example, Kind, Tie

_FACTS = """
SELECT account_id, signup_ip_prefix, payment_bin_hash, pathway,
    CAST(CAST(created_at AS DATE) AS VARCHAR) AS created_day,
    CAST(date_trunc('hour', created_at) AS VARCHAR) AS created_hour
FROM accounts WHERE created_at IS NOT NULL
"""

TIE = Tie(
    name="signup",
    family="succession",
    kinds={
        # Two sign-ups a day out of one /24 and no others: a household or an operator, 3 to 1.
        "signup_prefix_day": Kind(1.6, "signed up in one day from", "network range", "network ranges"),
        # One issuer on one day; a quiet issuer's two sign-ups are often one person's.
        "bin_day": Kind(1.0, "signed up in one day with cards of", "issuer number", "issuer numbers"),
        # At a site with two sign-ups in an hour these are rarely one person's.
        "signup_hour": Kind(0.3, "signed up in", "hour", "hours"),
        "signup_pathway_hour": Kind(0.6, "signed up through one pathway in", "hour", "hours"),
    },
    sql=met_in_accounts(
        _FACTS,
        {
            "signup_prefix_day": (
                "signup_ip_prefix || '|' || created_day",
                "'signed up on ' || created_day || ' from ' || signup_ip_prefix",
            ),
            "bin_day": (
                "payment_bin_hash || '|' || created_day",
                "'one card issuer, signed up on ' || created_day",
            ),
            "signup_hour": ("created_hour", "'signed up in the hour of ' || created_hour"),
            "signup_pathway_hour": (
                "pathway || '|' || created_hour",
                "'signed up through ' || pathway || ' in the hour of ' || created_hour",
            ),
        },
        lasting=frozenset(),
    ),
    reads=("requests", "accounts"),
    needs=("accounts.created_at",),
    half_life_days=None,
    # None is spoofable: a victim's sign-up lies in the past.
    example=Example(
        tables={
            "requests": [
                {"account_id": "a", "ts": "2026-03-02 09:00:00"},
                {"account_id": "b", "ts": "2026-03-02 09:00:00"},
            ],
            "accounts": [
                {
                    "account_id": "a",
                    "created_at": "2026-03-01 10:05:00",
                    "signup_ip_prefix": "192.0.2.0/24",
                    "pathway": "api",
                },
                {
                    "account_id": "b",
                    "created_at": "2026-03-01 10:55:00",
                    "signup_ip_prefix": "192.0.2.0/24",
                    "pathway": "cloud",
                },
            ],
        },
        expect=[
            {
                "account_id": "a",
                "kind": "signup_prefix_day",
                "detail": "signed up on 2026-03-01 from 192.0.2.0/24",
            },
            {"account_id": "b", "kind": "signup_prefix_day"},
            {"account_id": "a", "kind": "signup_hour"},
            {"account_id": "b", "kind": "signup_hour"},
        ],
    ),
    false_positives=(
        "a course, workshop or hackathon that signs up together",
        "an enterprise that provisions its accounts in one go",
        "a launch day, when everybody signs up",
    ),
)

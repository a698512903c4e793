"""Where accounts signed up: one address at sign-up, whatever exits they use later.

At sign-up an operator's proxies are often not yet in place for the account.
"""

from __future__ import annotations

from features.sharing import met_in_accounts
from features.spec import Example, Kind, Tie

TIE = Tie(
    name="origin",
    family="network",
    kinds={
        # Two accounts that alone signed up behind one address: one home or office; the rest is chance.
        "signup_address": Kind(3.5, "signed up from", "address", "addresses"),
    },
    sql=met_in_accounts(
        "SELECT account_id, signup_ip_hash, signup_ip_prefix FROM accounts",
        {
            "signup_address": (
                "signup_ip_hash",
                "'signed up from an address in ' || coalesce(signup_ip_prefix, 'unknown network')",
            )
        },
        lasting=frozenset({"signup_address"}),
    ),
    reads=("requests", "accounts"),
    needs=("accounts.signup_ip_hash",),
    half_life_days=None,
    example=Example(
        tables={
            "requests": [{"account_id": "a", "ts": "2026-03-02 09:00:00"}],
            "accounts": [
                {"account_id": "a", "signup_ip_hash": "i1", "signup_ip_prefix": "192.0.2.0/24"},
                {"account_id": "b", "signup_ip_hash": "i1", "signup_ip_prefix": "192.0.2.0/24"},
                {"account_id": "c", "signup_ip_hash": "i2", "signup_ip_prefix": "192.0.2.0/24"},
            ],
        },
        expect=[
            {"account_id": "a", "kind": "signup_address", "n": 1},
            {
                "account_id": "b",
                "kind": "signup_address",
                "n": 0,
                "detail": "signed up from an address in 192.0.2.0/24",
            },
        ],
    ),
    false_positives=(
        "a classroom or office that signs up from its own network",
        "carrier-grade address translation",
        "a reseller or IT department that opens accounts for others",
    ),
)

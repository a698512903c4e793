"""Who pays: the same card or bank account behind several accounts, the same issuer behind many.

Means of payment are what an operator finds hardest to get in bulk, and they outlive a ban.
"""

from __future__ import annotations

from features.sharing import met_in_accounts
from features.spec import Example, Kind, Tie

_FACTS = "SELECT account_id, payment_hash, payment_bin_hash FROM accounts"

TIE = Tie(
    name="billing",
    family="billing",
    kinds={
        # Two accounts that alone share a card are one purse; else families, stolen cards: 100 to 1.
        "card": Kind(7.0, "paid with", "card or bank account", "cards or bank accounts"),
        # Strangers share an issuer all the time, and a rare one is rare for regional reasons as well.
        "bin": Kind(0.5, "paid with cards of", "issuer number", "issuer numbers"),
    },
    sql=met_in_accounts(
        _FACTS,
        {
            "card": ("payment_hash", "'payment fingerprint'"),
            "bin": ("payment_bin_hash", "'card issuer'"),
        },
        lasting=frozenset({"card"}),
    ),
    reads=("requests", "accounts"),
    needs=("accounts.payment_hash",),
    half_life_days=None,
    example=Example(
        tables={
            "requests": [{"account_id": "a", "ts": "2026-03-02 09:00:00"}],
            "accounts": [
                {"account_id": "a", "payment_hash": "p1", "payment_bin_hash": "b1"},
                {"account_id": "b", "payment_hash": "p1", "payment_bin_hash": "b1"},
                {"account_id": "c", "payment_hash": "p2", "payment_bin_hash": "b2"},
            ],
        },
        expect=[
            {"account_id": "a", "kind": "card", "n": 1, "detail": "payment fingerprint"},
            {"account_id": "b", "kind": "card", "n": 0, "detail": "payment fingerprint"},
            {"account_id": "a", "kind": "bin", "n": 1, "detail": "card issuer"},
        ],
    ),
    false_positives=(
        "a company card used by every team of the company",
        "a family or a couple",
        "an agency that pays for its clients",
        "one issuer that a whole country, bank or expense tool uses (bin)",
        "a prepaid or virtual card brand popular with hobbyists (bin)",
    ),
)

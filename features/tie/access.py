"""Credentials of a caller: one API key, or one organisation, in the requests of several accounts.

The log itself states them, so these ties exist without an accounts file.
"""

from __future__ import annotations

from features.sharing import met_in_requests
from features.spec import Example, Kind, Tie

TIE = Tie(
    name="access",
    family="billing",
    kinds={
        # An API key in two accounts' requests was handed over, leaked or pooled: hardly ever chance.
        "api_key": Kind(7.0, "called with", "API key", "API keys"),
        # One answerable party, whoever it is.
        "request_org": Kind(6.0, "called for", "organisation", "organisations"),
    },
    sql=met_in_requests(
        "api_key_hash, org_id",
        {
            "api_key": ("api_key_hash", "'API key'"),
            "request_org": ("org_id", "'organisation of the requests'"),
        },
    ),
    reads=("requests", "requests_before"),
    half_life_days=30.0,
    example=Example(
        tables={
            "requests": [
                {"account_id": "a", "ts": "2026-03-02 09:00:00", "api_key_hash": "k1", "org_id": "o1"},
                {"account_id": "b", "ts": "2026-03-02 10:00:00", "api_key_hash": "k1", "org_id": "o2"},
                {"account_id": "c", "ts": "2026-03-02 10:00:00", "api_key_hash": "k2", "org_id": "o2"},
            ],
        },
        expect=[
            {"account_id": "a", "kind": "api_key", "n": 1},
            {"account_id": "b", "kind": "api_key", "n": 1},
            {"account_id": "b", "kind": "request_org", "detail": "organisation of the requests"},
            {"account_id": "c", "kind": "request_org"},
        ],
    ),
    false_positives=(
        "a team whose members have an account each in one organisation",
        "a key shared inside a team, or pasted into a public notebook",
        "a leaked key: its owner shares it with the thief",
    ),
)

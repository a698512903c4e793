"""What sends the requests, and for whom: TLS and client fingerprint, end users and conversations.

A relay gives every account the same default headers. Its sessions and end users move to another account when one rests.
A popular client says little, which its key degree shows.
"""

from __future__ import annotations

from features.sharing import met_in_requests
from features.spec import Example, Kind, Tie

TIE = Tie(
    name="client",
    family="client",
    kinds={
        # A pair that alone shows one TLS stack with one client version runs one build, or one small library.
        "fingerprint": Kind(1.5, "used", "client fingerprint", "client fingerprints", spoofable=True),
        # A rare client name is a rare program, or one somebody typed; the only key where no JA4 is logged.
        "user_agent": Kind(0.7, "used", "user agent", "user agents", spoofable=True),
        # TLS stacks are few; even a rare one is some library's.
        "ja4": Kind(0.5, "used", "TLS client fingerprint", "TLS client fingerprints", spoofable=True),
        # The callers' own user names are often 'user-1', but keyed hashes of real ones do not meet by chance.
        "end_user": Kind(3.0, "served", "end user", "end users", spoofable=True),
        # Conversation ids are random: one seen in two accounts moved between them.
        "session": Kind(6.0, "carried on", "conversation", "conversations"),
    },
    sql=met_in_requests(
        "ja4, user_agent, end_user_hash, session_hash",
        {
            "fingerprint": (
                "ja4 || '|' || user_agent",
                "'TLS fingerprint with client ' || substr(user_agent, 1, 60)",
            ),
            "user_agent": ("user_agent", "'client ' || substr(user_agent, 1, 60)"),
            "ja4": ("ja4", "'TLS fingerprint ' || ja4"),
            "end_user": ("end_user_hash", "'end user named by the caller'"),
            "session": ("session_hash", "'conversation'"),
        },
    ),
    reads=("requests", "requests_before"),
    half_life_days=14.0,
    # Headers and user names can be copied; another customer's conversation ids cannot be known.
    example=Example(
        tables={
            "requests": [
                {
                    "account_id": "a",
                    "ts": "2026-03-02 09:00:00",
                    "ja4": "t1",
                    "user_agent": "x/1",
                    "session_hash": "s1",
                },
                {
                    "account_id": "b",
                    "ts": "2026-03-02 09:01:00",
                    "ja4": "t1",
                    "user_agent": "x/1",
                    "session_hash": "s1",
                },
                {"account_id": "c", "ts": "2026-03-02 09:02:00", "ja4": "t1", "user_agent": "y/2"},
            ],
        },
        expect=[
            {"account_id": "a", "kind": "fingerprint", "detail": "TLS fingerprint with client x/1"},
            {"account_id": "b", "kind": "fingerprint", "n": 1},
            {"account_id": "a", "kind": "user_agent", "detail": "client x/1"},
            {"account_id": "b", "kind": "user_agent"},
            {"account_id": "a", "kind": "ja4"},
            {"account_id": "b", "kind": "ja4"},
            {"account_id": "c", "kind": "ja4"},
            {"account_id": "a", "kind": "session"},
            {"account_id": "b", "kind": "session"},
        ],
    ),
    false_positives=(
        "a popular agent, SDK or gateway used by thousands",
        "a corporate proxy that gives all its users one TLS stack",
        "end users called 'user' or '1'",
        "one person with a private and a company account in one conversation tool",
    ),
)

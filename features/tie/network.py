"""Where requests come from: one address, one network, one client within a network.

Relays rent few exits and use them for many accounts. Strangers share exits too (carriers, VPNs, campuses), and the key
degree weighs such exits down.
"""

from __future__ import annotations

from features.sharing import met_in_requests
from features.spec import Example, Kind, Tie

TIE = Tie(
    name="network",
    family="network",
    kinds={
        # Two accounts that alone were behind an address in a week: mostly one home, office or exit; the rest
        # is an address handed on by a provider. 8 to 1.
        "address": Kind(3.0, "sent requests from", "address", "addresses"),
        # Half of the pairs alone in a /24 are neighbours by chance.
        "prefix": Kind(0.7, "sent requests from", "network range", "network ranges", spoofable=True),
        # The same client *and* the same network (in this family, since it follows from the prefix).
        "client_prefix": Kind(
            2.5, "ran the same client from", "network range", "network ranges", spoofable=True
        ),
    },
    sql=met_in_requests(
        "ip_hash, ip_prefix, ja4, user_agent",
        {
            "address": ("ip_hash", "'address in ' || coalesce(ip_prefix, 'unknown network')"),
            "prefix": ("ip_prefix", "'network ' || ip_prefix"),
            "client_prefix": (
                "ip_prefix || '|' || coalesce(ja4, '') || '|' || user_agent",
                "'same client in ' || ip_prefix",
            ),
        },
    ),
    reads=("requests", "requests_before"),
    needs=("ip_prefix",),
    half_life_days=7.0,
    # Anybody can rent a machine in a victim's network and copy its client; sharing its address takes more.
    example=Example(
        tables={
            "requests": [
                {
                    "account_id": "a",
                    "ts": "2026-03-02 09:00:00",
                    "ip_hash": "i1",
                    "ip_prefix": "192.0.2.0/24",
                },
                {
                    "account_id": "a",
                    "ts": "2026-03-02 09:05:00",
                    "ip_hash": "i1",
                    "ip_prefix": "192.0.2.0/24",
                },
                {
                    "account_id": "b",
                    "ts": "2026-03-02 11:00:00",
                    "ip_hash": "i2",
                    "ip_prefix": "192.0.2.0/24",
                },
                {
                    "account_id": "c",
                    "ts": "2026-03-02 11:00:00",
                    "ip_hash": "i3",
                    "ip_prefix": "203.0.113.0/24",
                },
            ],
            "requests_before": [
                {
                    "account_id": "d",
                    "ts": "2026-02-28 09:00:00",
                    "ip_hash": "i1",
                    "ip_prefix": "192.0.2.0/24",
                },
            ],
        },
        expect=[
            {"account_id": "a", "kind": "address", "n": 2, "last_ts": "2026-03-02 09:05:00"},
            {"account_id": "d", "kind": "address", "n": 1, "detail": "address in 192.0.2.0/24"},
            {"account_id": "a", "kind": "prefix", "n": 2},
            {"account_id": "b", "kind": "prefix", "n": 1},
            {"account_id": "d", "kind": "prefix", "n": 1},
        ],
    ),
    false_positives=(
        "a campus, office, cafe or conference behind one address",
        "carrier-grade address translation",
        "VPN, residential-proxy and cloud-gateway exits shared by strangers",
        "a hosting provider's network full of unrelated services",
        "an address a provider hands from one home to the next",
    ),
)

"""What the members' traffic comes through: networks and hosting.

A relay's exits are either few and rented, or residential and more than its members would need. A household, an office
or a campus has one line, and each person has a client of their own.
"""

from __future__ import annotations

from features.spec import Column, Example, Measure

_SQL = """
WITH networks AS (
    SELECT group_id, ip_prefix, count(DISTINCT account_id) AS n_users
    FROM member_requests WHERE ip_prefix IS NOT NULL GROUP BY group_id, ip_prefix
),
by_network AS (
    SELECT group_id, count(*) AS n_prefixes, max(n_users) AS n_top
    FROM networks GROUP BY group_id
),
users AS (
    SELECT group_id, count(DISTINCT account_id) AS n_users FROM member_requests
    WHERE ip_prefix IS NOT NULL GROUP BY group_id
),
systems AS (
    SELECT group_id, count(DISTINCT member_requests.asn) AS n_asns, count(member_requests.asn) AS n,
        count(hosting_asns.asn) AS n_hosting
    FROM member_requests LEFT JOIN hosting_asns ON member_requests.asn = hosting_asns.asn GROUP BY group_id
)
SELECT systems.group_id, by_network.n_prefixes * 1e0 / users.n_users AS prefixes_per_member,
    by_network.n_top * 1e0 / users.n_users AS top_prefix_share,
    CASE WHEN systems.n > 0 THEN systems.n_asns END AS group_n_asns,
    systems.n_hosting * 1e0 / nullif(systems.n, 0) AS group_hosting_share
FROM systems LEFT JOIN by_network ON systems.group_id = by_network.group_id
LEFT JOIN users ON systems.group_id = users.group_id
"""

MEASURE = Measure(
    name="exits",
    key="group_id",
    columns=(
        Column(
            "prefixes_per_member",
            "DOUBLE",
            "networks for each active member",
            direction="up",
            models=("group",),
        ),
        Column(
            "top_prefix_share",
            "DOUBLE",
            "active members seen in the commonest network",
            "0..1",
            "down",
            ("group",),
        ),
        Column(
            "group_n_asns",
            "BIGINT",
            "autonomous systems; NULL: not logged",
            descriptive="for people; read as networks a member",
        ),
        Column(
            "group_hosting_share",
            "DOUBLE",
            "requests from systems that rent out machines",
            "0..1",
            "up",
            ("group",),
        ),
    ),
    sql=_SQL,
    reads=("requests", "members", "member_requests", "hosting_asns"),
    example=Example(
        tables={
            "members": [{"group_id": "g", "account_id": who} for who in "ab"],
            "hosting_asns": [{"asn": 64500}],
            "requests": [
                {
                    "account_id": "a",
                    "ts": "2026-03-02 09:00:00",
                    "ip_prefix": "192.0.2.0/24",
                    "asn": 64500,
                    "ja4": "t",
                },
                {"account_id": "a", "ts": "2026-03-02 09:00:00", "ip_prefix": "203.0.113.0/24", "asn": 64501},
                {
                    "account_id": "b",
                    "ts": "2026-03-02 09:00:00",
                    "ip_prefix": "192.0.2.0/24",
                    "asn": 64500,
                    "ja4": "t",
                },
                {"account_id": "b", "ts": "2026-03-02 09:00:00"},
            ],
        },
        expect=[
            {
                "group_id": "g",
                "prefixes_per_member": 1.0,
                "top_prefix_share": 1.0,
                "group_n_asns": 2,
                "group_hosting_share": 2 / 3,
            }
        ],
    ),
    false_positives=(
        "an office or campus behind one line",
        "services that run in the cloud, as most do",
        "a company whose traffic leaves through one gateway",
        "people on the road, or on carriers that change addresses often",
    ),
)

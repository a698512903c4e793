"""Where an account calls from: how many addresses, networks, operators and clients, how new they are, how many rented.

The number of countries at once counts, since one person is in one place; the country itself is never used. Addresses
are keyed hashes and /24 or /48 networks.
"""

from __future__ import annotations

from features.spec import Column, Example, Measure, Scalar

#: Fewest requests of a share.
MIN_REQUESTS = 4

SQL = f"""
WITH places AS (
    SELECT
        bucket_of(account_id) AS bucket, ip, prefix, country, client, asn, count(*) AS n
    FROM (
        SELECT
            account_id, asn,
            bucket_of(ip_hash) AS ip,
            bucket_of(ip_prefix) AS prefix,
            bucket_of(country) AS country,
            CASE WHEN ja4 IS NOT NULL OR user_agent IS NOT NULL THEN pair_of(ja4, user_agent) END AS client
        FROM requests
    ) AS seen
    GROUP BY bucket_of(account_id), ip, prefix, country, client, asn
), rented AS (
    SELECT places.bucket, sum(n) AS n_rented
    FROM places JOIN (SELECT DISTINCT asn FROM hosting_asns) AS hosts ON places.asn = hosts.asn
    GROUP BY places.bucket
), before AS (
    SELECT bucket_of(account_id) AS bucket, bucket_of(ip_prefix) AS prefix
    FROM requests_before
    WHERE ip_prefix IS NOT NULL
    GROUP BY bucket_of(account_id), bucket_of(ip_prefix)
), regulars AS (
    SELECT DISTINCT bucket FROM before
), known AS (
    SELECT places.bucket, sum(n) AS n_known
    FROM places JOIN before ON places.bucket = before.bucket AND places.prefix = before.prefix
    GROUP BY places.bucket
), summed AS (
    SELECT
        bucket,
        sum(n) AS n,
        count(DISTINCT ip) AS n_ips, count(DISTINCT prefix) AS n_prefixes, count(DISTINCT asn) AS n_asns,
        count(DISTINCT country) AS n_countries, count(DISTINCT client) AS n_clients,
        sum(CASE WHEN ip IS NOT NULL THEN n END) AS n_addressed,
        sum(CASE WHEN prefix IS NOT NULL THEN n END) AS n_prefixed,
        sum(CASE WHEN asn IS NOT NULL THEN n END) AS n_routed
    FROM places
    GROUP BY bucket
), hourly AS (
    SELECT bucket, max(n_at_once) AS n_at_once
    FROM (
        SELECT bucket, hour, count(*) AS n_at_once
        FROM (
            SELECT bucket_of(account_id) AS bucket, hour(ts) AS hour, bucket_of(ip_prefix) AS prefix
            FROM requests
            WHERE ip_prefix IS NOT NULL
            GROUP BY bucket_of(account_id), hour(ts), bucket_of(ip_prefix)
        ) AS each_prefix
        GROUP BY bucket, hour
    ) AS each_hour
    GROUP BY bucket
)
SELECT
    account_id,
    nullif(n_ips, 0) AS n_ips,
    nullif(n_prefixes, 0) AS n_prefixes,
    nullif(n_asns, 0) AS n_asns,
    nullif(n_countries, 0) AS n_countries,
    nullif(n_clients, 0) AS n_clients,
    CASE WHEN n_addressed >= {MIN_REQUESTS} THEN (n_ips - 1.0) / (n_addressed - 1.0) END AS ip_churn,
    n_at_once AS prefixes_at_once_max,
    CASE WHEN n_routed >= {MIN_REQUESTS} AND (SELECT count(*) FROM hosting_asns) > 0
        THEN coalesce(n_rented, 0) * 1.0 / n_routed END AS hosting_share,
    CASE WHEN n_prefixed >= {MIN_REQUESTS} AND regulars.bucket IS NOT NULL
        THEN 1.0 - coalesce(n_known, 0) * 1.0 / n_prefixed END AS new_prefix_share
FROM summed
JOIN tally ON summed.bucket = tally.bucket
LEFT JOIN rented ON summed.bucket = rented.bucket
LEFT JOIN known ON summed.bucket = known.bucket
LEFT JOIN hourly ON summed.bucket = hourly.bucket
LEFT JOIN regulars ON summed.bucket = regulars.bucket
"""

_HOME: dict[str, Scalar] = {
    "ip_hash": "i1",
    "ip_prefix": "192.0.2.0/24",
    "asn": 64500,
    "country": "ZZ",
    "user_agent": "u",
    "ja4": "j",
}
_AWAY: dict[str, Scalar] = {
    "ip_hash": "i2",
    "ip_prefix": "198.51.100.0/24",
    "asn": 64501,
    "country": "XX",
    "user_agent": "u",
    "ja4": "j",
}

MEASURE = Measure(
    name="origin",
    columns=(
        Column("n_ips", "BIGINT", "client addresses", "addresses", descriptive="the count behind ip_churn"),
        Column(
            "n_prefixes", "BIGINT", "/24 or /48 networks", "networks", "up", ("conduct", "single_account")
        ),
        Column(
            "n_asns", "BIGINT", "network operators (ASNs)", "operators", "up", ("conduct", "single_account")
        ),
        Column(
            "n_countries",
            "BIGINT",
            "countries at once; which ones is never looked at",
            "countries",
            descriptive="for people; travel and VPNs show several, and which is never looked at",
        ),
        Column(
            "n_clients",
            "BIGINT",
            "client fingerprints (JA4 and user agent)",
            "clients",
            descriptive="for people; every update of a client is a new one",
        ),
        Column(
            "ip_churn",
            "DOUBLE",
            "0: one address; 1: a new one each request; NULL under 4 requests",
            "0..1",
            "up",
            ("conduct", "single_account"),
        ),
        Column(
            "prefixes_at_once_max",
            "BIGINT",
            "most networks within one clock hour",
            "networks",
            "up",
            ("conduct", "single_account"),
        ),
        Column(
            "hosting_share",
            "DOUBLE",
            "requests from operators that rent out machines, of those with an ASN; NULL under 4",
            "0..1",
            "up",
            ("conduct", "single_account"),
        ),
        Column(
            "new_prefix_share",
            "DOUBLE",
            "requests from networks it did not use in the seven days before; NULL under 4, or if new",
            "0..1",
            "up",
            ("conduct", "single_account"),
        ),
    ),
    sql=SQL,
    reads=("requests", "requests_before", "hosting_asns", "tally"),
    example=Example(
        tables={
            "hosting_asns": [{"asn": 64501}],
            "requests": [
                {"account_id": "a", "ts": "2026-03-02 10:00:00", **_HOME},
                {"account_id": "a", "ts": "2026-03-02 10:10:00", **_HOME},
                {"account_id": "a", "ts": "2026-03-02 10:20:00", **_HOME},
                {"account_id": "a", "ts": "2026-03-02 10:30:00", **_AWAY},
                {"account_id": "a", "ts": "2026-03-02 23:00:00", **_HOME, "user_agent": "v"},
                {"account_id": "new", "ts": "2026-03-02 10:00:00", **_AWAY},
                {"account_id": "new", "ts": "2026-03-02 10:01:00", **_AWAY},
                {"account_id": "new", "ts": "2026-03-02 10:02:00", **_AWAY},
                {"account_id": "new", "ts": "2026-03-02 10:03:00", **_AWAY},
                {"account_id": "bare", "ts": "2026-03-02 10:00:00"},
            ],
            "requests_before": [
                {"account_id": "a", "ts": "2026-03-01 10:00:00", **_HOME},
                # Somebody else's use of a network makes it no less new to the account.
                {"account_id": "b", "ts": "2026-03-01 10:00:00", **_AWAY},
            ],
        },
        expect=[
            {
                "account_id": "a",
                "n_ips": 2,
                "n_prefixes": 2,
                "n_asns": 2,
                "n_countries": 2,
                "n_clients": 2,
                "ip_churn": 0.25,  # (2 - 1) / (5 - 1)
                "prefixes_at_once_max": 2,
                "hosting_share": 0.2,
                "new_prefix_share": 0.2,
            },
            {
                "account_id": "new",
                "n_ips": 1,
                "n_clients": 1,
                "ip_churn": 0.0,
                "prefixes_at_once_max": 1,
                "hosting_share": 1.0,
                "new_prefix_share": None,
            },
            {
                "account_id": "bare",
                "n_ips": None,
                "n_prefixes": None,
                "n_asns": None,
                "n_countries": None,
                "n_clients": None,
                "ip_churn": None,
                "prefixes_at_once_max": None,
                "hosting_share": None,
                "new_prefix_share": None,
            },
        ],
    ),
    false_positives=(
        "phones change networks all day",
        "a company's cloud jobs call from hosting networks, and autoscaling changes their addresses",
        "VPN users appear in several countries",
    ),
)

"""When an account calls: spacing, hours, rest, calls in flight at once.

Schedulers and relays call at even spacing, through the night, several at a time. People call in uneven bursts and
sleep. Regularity follows the beacon measures of network-traffic analysis: Bowley skewness and median absolute deviation
of the gaps, which single outliers cannot change much.
"""

from __future__ import annotations

from features.spec import Column, Example, Measure, Row

#: Fewest requests of a spread of gaps: 4 requests give 3 gaps.
MIN_REQUESTS = 4
#: Fewest requests of a quiet time. Twelve requests leave a given third of the day empty by chance in under 1 %.
MIN_HOURS_REQUESTS = 12
#: Rest of a person in a day. A shorter rest counts towards the score, in proportion.
REST_S = 8 * 3600

# Requests in each two-hour slot of the UTC day, so that the quietest eight hours are four slots in a row.
_SLOTS = ", ".join(
    f"sum(CASE WHEN hour IN ({2 * i}, {2 * i + 1}) THEN n ELSE 0 END) AS s{i}" for i in range(12)
)
_QUIET = ", ".join(" + ".join(f"s{(i + j) % 12}" for j in range(4)) for i in range(12))

SQL = f"""
WITH timed AS (
    SELECT
        bucket_of(account_id) AS bucket, epoch_s(ts) AS start_s, epoch_s(ts) + latency_ms / 1000.0 AS end_s
    FROM requests
), spaced AS (
    -- One sort serves the gaps and the finding of requests that overlap: an earlier one is still open, or
    -- this one is when the next starts.
    SELECT
        bucket, start_s, end_s,
        lead(start_s) OVER in_time AS next_s,
        max(end_s) OVER (in_time ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS busy_until
    FROM timed
    WINDOW in_time AS (PARTITION BY bucket ORDER BY start_s)
), gaps AS (
    SELECT
        bucket,
        CASE WHEN count(*) >= {MIN_REQUESTS} THEN quartiles_of(next_s - start_s) END AS q,
        CASE WHEN count(*) >= {MIN_REQUESTS} THEN mad_of(next_s - start_s) END AS mad,
        greatest(max(next_s - start_s), 86400.0 - (max(start_s) - min(start_s))) AS rest,
        count(end_s) AS n_ended
    FROM spaced
    GROUP BY bucket
), flights AS (
    SELECT bucket, start_s AS at_s, 1 AS step
    FROM spaced WHERE (busy_until > start_s OR end_s > next_s) AND end_s IS NOT NULL
    UNION ALL
    SELECT bucket, end_s, -1
    FROM spaced WHERE (busy_until > start_s OR end_s > next_s) AND end_s IS NOT NULL
), flying AS (
    SELECT bucket, max(in_flight) AS concurrency
    FROM (
        SELECT bucket,
            sum(step) OVER (PARTITION BY bucket ORDER BY at_s, step ROWS UNBOUNDED PRECEDING) AS in_flight
        FROM flights
    ) AS steps
    GROUP BY bucket
), hours AS (
    -- Counted while the rows come sorted: cheaper than a scan of its own.
    SELECT bucket, floor(start_s / 3600) % 24 AS hour, count(*) AS n
    FROM spaced
    GROUP BY bucket, floor(start_s / 3600) % 24
), daily AS (
    SELECT
        bucket,
        sum(n) AS n, count(*) AS active,
        log2(sum(n)) - sum(n * log2(n)) / sum(n) AS entropy,
        {_SLOTS}
    FROM hours
    GROUP BY bucket
), judged AS (
    SELECT
        account_id, daily.n, active, entropy, concurrency, n_ended, rest, mad,
        nth_of(q, 2) AS median_gap,
        -- A median gap of nothing (a batch sent at one instant) has no evenness to speak of.
        CASE WHEN mad <= nth_of(q, 2) THEN 1.0 - mad / nullif(nth_of(q, 2), 0)
             WHEN mad > nth_of(q, 2) AND nth_of(q, 2) > 0 THEN 0.0 END
            * (1.0 - abs(coalesce((nth_of(q, 1) + nth_of(q, 3) - 2 * nth_of(q, 2))
                / nullif(nth_of(q, 3) - nth_of(q, 1), 0), 0))) AS regularity,
        CASE WHEN daily.n >= {MIN_HOURS_REQUESTS} THEN CAST(least({_QUIET}) AS DOUBLE) / daily.n END AS quiet,
        1.0 - least(1.0, rest / {REST_S}.0) AS sleepless
    FROM daily
    JOIN tally ON daily.bucket = tally.bucket
    JOIN gaps ON daily.bucket = gaps.bucket
    LEFT JOIN flying ON daily.bucket = flying.bucket
)
SELECT
    account_id,
    median_gap AS gap_median_s,
    mad AS gap_mad_s,
    regularity AS gap_regularity,
    CASE WHEN n >= {MIN_REQUESTS} THEN entropy END AS hour_entropy_bits,
    active AS n_active_hours,
    CASE WHEN n >= {MIN_REQUESTS} THEN rest END AS longest_rest_s,
    quiet AS night_share,
    CASE WHEN n_ended > 0 THEN coalesce(concurrency, 1) END AS max_concurrency,
    CASE WHEN n >= {MIN_REQUESTS} THEN
        (coalesce(regularity, 0) + sleepless + coalesce(3 * quiet, 0))
        / (1 + CASE WHEN regularity IS NULL THEN 0 ELSE 1 END + CASE WHEN quiet IS NULL THEN 0 ELSE 1 END)
    END AS timing_score
FROM judged
"""

_DAY = "2026-03-02 "
#: Every 30 min for 6 h, each answer takes a minute.
_CLOCK: list[Row] = [
    {"account_id": "clock", "ts": f"{_DAY}{8 + i // 2:02d}:{30 * (i % 2):02d}:00", "latency_ms": 60000.0}
    for i in range(12)
]
MEASURE = Measure(
    name="timing",
    columns=(
        Column(
            "gap_median_s",
            "DOUBLE",
            "median time between requests; NULL under 4 requests",
            "s",
            descriptive="part of timing_score",
        ),
        Column(
            "gap_mad_s",
            "DOUBLE",
            "median absolute deviation of the gaps; NULL under 4 requests",
            "s",
            descriptive="part of timing_score",
        ),
        Column(
            "gap_regularity",
            "DOUBLE",
            "evenness of the gaps: (1 - MAD / median) x (1 - |Bowley skewness|); 1 a clock, 0.23 chance",
            "0..1",
            descriptive="part of timing_score",
        ),
        Column(
            "hour_entropy_bits",
            "DOUBLE",
            "spread over the hours of the day, at most 4.58",
            "bits",
            descriptive="for people; batch jobs run in one hour, services in all",
        ),
        Column(
            "n_active_hours",
            "BIGINT",
            "hours of the day with a request",
            "hours",
            descriptive="the count behind hour_entropy_bits",
        ),
        Column(
            "longest_rest_s",
            "DOUBLE",
            "longest time without a request, the day taken as a circle; NULL under 4 requests",
            "s",
            descriptive="part of timing_score",
        ),
        Column(
            "night_share",
            "DOUBLE",
            "requests in the account's own quietest eight hours; 0.33 is no night; NULL under 12 requests",
            "0..1",
            descriptive="part of timing_score",
        ),
        Column(
            "max_concurrency",
            "BIGINT",
            "most requests in flight at once; NULL without latencies",
            "requests",
            "up",
            ("conduct", "single_account"),
        ),
        Column(
            "timing_score",
            "DOUBLE",
            "machine-like hours: mean of gap_regularity, 1 - longest_rest_s / 8 h (not below 0) and"
            " 3 x night_share, those known; NULL under 4 requests",
            "0..1",
            "up",
            ("conduct", "single_account"),
        ),
    ),
    sql=SQL,
    reads=("requests", "tally"),
    needs=("ts",),
    example=Example(
        tables={
            "requests": [
                *_CLOCK,
                # A burst of three that overlap, and one much later: gaps 10, 20 and 5,370 s.
                {"account_id": "burst", "ts": f"{_DAY}10:00:00", "latency_ms": 60000.0},
                {"account_id": "burst", "ts": f"{_DAY}10:00:10", "latency_ms": 60000.0},
                {"account_id": "burst", "ts": f"{_DAY}10:00:30", "latency_ms": 15000.0},
                {"account_id": "burst", "ts": f"{_DAY}11:30:00", "latency_ms": 1000.0},
                {"account_id": "few", "ts": f"{_DAY}09:00:00"},
                {"account_id": "few", "ts": f"{_DAY}09:00:20"},
                {"account_id": "few", "ts": f"{_DAY}23:00:00"},
            ]
        },
        expect=[
            {
                "account_id": "clock",
                "gap_median_s": 1800.0,
                "gap_mad_s": 0.0,
                "gap_regularity": 1.0,
                "hour_entropy_bits": 2.584962500721156,  # log2 of 6 equal hours
                "n_active_hours": 6,
                "longest_rest_s": 66600.0,  # from 13:30 round to 08:00
                "night_share": 0.0,
                "max_concurrency": 1,
                "timing_score": 1 / 3,  # (1 + 0 + 0) / 3
            },
            {
                "account_id": "burst",
                "gap_median_s": 20.0,
                "gap_mad_s": 10.0,  # of |10-20|, |20-20|, |5370-20|
                # quartiles 15, 20, 2695: Bowley (15 + 2695 - 40) / 2680; (1 - 10/20) * (1 - 2670/2680)
                "gap_regularity": 0.5 * (10 / 2680),
                "hour_entropy_bits": 0.8112781244591328,  # 3 : 1
                "n_active_hours": 2,
                "longest_rest_s": 81000.0,  # 86,400 less the 1.5 h between first and last
                "night_share": None,
                "max_concurrency": 3,  # 10:00:30 to 10:00:45
                "timing_score": 0.5 * (10 / 2680) / 2,  # regularity and sleeplessness (none)
            },
            {
                "account_id": "few",
                "gap_median_s": None,
                "gap_mad_s": None,
                "gap_regularity": None,
                "hour_entropy_bits": None,
                "n_active_hours": 2,
                "longest_rest_s": None,
                "night_share": None,
                "max_concurrency": None,
                "timing_score": None,
            },
        ],
    ),
    false_positives=(
        "a cron job, monitor or nightly batch calls by the clock and never sleeps",
        "a service with customers on several continents has no night",
        "an office behind one account looks like one person who never rests",
    ),
)

"""When accounts work and when they rest: the same set of active hours, the same long pauses.

Accounts driven by one scheduler start and stop together, whatever they ask for. Accounts meet at keys, so there is no
all-pairs comparison. The keys of active hours are MinHash bands, which are equal for sets that overlap much. The key of
a pause is the hours in which it begins and ends. With the chosen 4 rows and 16 bands, sets with a Jaccard index of 0.6
meet with a chance of 0.9, and sets with one of 0.3 with a chance of 0.1.
"""

from __future__ import annotations

import random

from features.spec import Example, Kind, Tie

_BANDS, _ROWS = 16, 4
#: A prime above the number of hours from 1970 to 2080, so that the hash of an hour is nearly a permutation.
_PRIME = 1_000_003
_SEED = 20_260
#: Fewest active hours and days of a habit: fewer are one sitting.
_MIN_HOURS, _MIN_DAYS = 8, 2
#: A pause is at least two hours (longer than a meal), at least three times the mean gap at the account's own rate, and
#: at most three days (of a longer rest only the end is seen).
_PAUSE_S, _PAUSE_GAPS, _PAUSE_MAX_S = 7200, 3, 259_200


def _minima() -> str:
    """``m0 .. m63``: minima of 64 seeded quadratic hashes of the hour number, exact in BIGINT."""
    draw = random.Random(_SEED)
    columns = []
    for i in range(_BANDS * _ROWS):
        a, b, c = (draw.randrange(1, _PRIME) for _ in range(3))
        columns.append(f"min((((hour_no * {a} + {b}) % {_PRIME}) * hour_no + {c}) % {_PRIME}) AS m{i}")
    return ",\n        ".join(columns)


def _bands() -> str:
    """One SELECT for each band, with the band's key of every account."""
    selects = []
    for band in range(_BANDS):
        cells = " || '|' || ".join(f"CAST(m{band * _ROWS + row} AS VARCHAR)" for row in range(_ROWS))
        selects.append(
            f"SELECT account_id, n_hours, key64('hours', '{band}|' || {cells}) AS key FROM sketched"
        )
    return "\n    UNION ALL\n    ".join(selects)


_SQL = f"""
WITH active AS (
    SELECT account_id, count(*) AS n, min(ts) AS first_ts, max(ts) AS last_ts
    FROM requests GROUP BY account_id
),
before AS (
    SELECT account_id, max(ts) AS last_ts FROM requests_before
    WHERE account_id IN (SELECT account_id FROM active) GROUP BY account_id
),
hours AS (
    SELECT account_id, CAST(floor(epoch_s(ts) / 3600) AS BIGINT) AS hour_no FROM requests GROUP BY 1, 2
    UNION
    SELECT account_id, CAST(floor(epoch_s(ts) / 3600) AS BIGINT) AS hour_no FROM requests_before
    WHERE account_id IN (SELECT account_id FROM active) GROUP BY 1, 2
),
sketched AS (
    SELECT account_id, count(*) AS n_hours, count(DISTINCT floor(hour_no / 24)) AS n_days,
        {_minima()}
    FROM hours GROUP BY account_id
    HAVING count(*) >= {_MIN_HOURS} AND count(DISTINCT floor(hour_no / 24)) >= {_MIN_DAYS}
),
banded AS (
    {_bands()}
),
steps AS (
    SELECT account_id, epoch_s(ts) AS end_s,
        lag(epoch_s(ts)) OVER (PARTITION BY account_id ORDER BY ts) AS start_s
    FROM (SELECT account_id, ts FROM requests UNION ALL SELECT account_id, last_ts AS ts FROM before) AS times
),
pauses AS (
    SELECT steps.account_id, start_s, end_s
    FROM steps JOIN active ON steps.account_id = active.account_id
    WHERE end_s - start_s BETWEEN {_PAUSE_S} AND {_PAUSE_MAX_S}
        AND end_s - start_s >= {_PAUSE_GAPS} * 86400.0 / active.n
),
edges AS (
    SELECT account_id, 'on the hour|' || CAST(CAST(floor(start_s / 3600) AS BIGINT) AS VARCHAR)
        || '|' || CAST(CAST(floor(end_s / 3600) AS BIGINT) AS VARCHAR) AS edge FROM pauses
    UNION ALL
    SELECT account_id, 'on the half|' || CAST(CAST(floor((start_s + 1800) / 3600) AS BIGINT) AS VARCHAR)
        || '|' || CAST(CAST(floor((end_s + 1800) / 3600) AS BIGINT) AS VARCHAR) AS edge FROM pauses
),
keyed AS (
    SELECT account_id, 'hours' AS kind, key, n_hours AS n, 'awake in the same hours of the week' AS detail
    FROM banded
    UNION ALL
    SELECT account_id, 'pause' AS kind, key64('pause', edge) AS key, count(*) AS n,
        'paused and resumed in the same hours' AS detail
    FROM edges GROUP BY account_id, edge
),
shared AS (SELECT key FROM keyed GROUP BY key HAVING min(account_id) <> max(account_id))
SELECT keyed.account_id, keyed.kind, keyed.key, keyed.n, CAST(NULL AS BIGINT) AS n_prompts,
    CAST(NULL AS BIGINT) AS n_prompts_all, CAST(NULL AS DOUBLE) AS asked_sum, active.first_ts, active.last_ts, keyed.detail
FROM keyed JOIN shared ON keyed.key = shared.key JOIN active ON keyed.account_id = active.account_id
"""

TIE = Tie(
    name="rhythm",
    family="rhythm",
    kinds={
        # Two accounts alone with the same week of hours: a shared scheduler or chance, 3 to 1.
        "hours": Kind(1.6, "kept", "weekly rhythm", "weekly rhythms"),
        # One pause in common is easily chance, even a rare one.
        "pause": Kind(0.7, "fell silent together in", "pause", "pauses"),
    },
    sql=_SQL,
    reads=("requests", "requests_before"),
    half_life_days=3.0,
    example=Example(
        tables={
            "requests": [
                {"account_id": who, "ts": f"2026-03-02 {hour:02d}:{minute}:00"}
                for who, minute in (("a", "05"), ("b", "25"))
                for hour in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 19, 20, 21, 22, 23)
            ],
        },
        expect=[
            {"account_id": who, "kind": "pause", "n": 1, "detail": "paused and resumed in the same hours"}
            for who in ("a", "a", "b", "b")
        ],
    ),
    false_positives=(
        "office workers of one time zone, and everybody's nights",
        "jobs that start on the hour",
        "accounts that never rest: services around the clock",
        "an outage of the provider, which pauses everybody",
        "a course with fixed lessons",
    ),
)

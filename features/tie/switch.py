"""Who changed models in the same hour, from the same old model to the same new one.

An operator changes a setting once, and all its accounts follow. Customers move over weeks. On the day of a release many
customers switch, which the key degree weighs down.
"""

from __future__ import annotations

from features.spec import Example, Kind, Tie

#: Fewest requests of a main model in the days before, and on the day.
_MIN_BEFORE, _MIN_TODAY = 5, 3
#: Smallest share of the requests of a main model.
_MAIN = 0.6

_MAIN_OF = """
    SELECT account_id, model, n, total FROM (
        SELECT account_id, model, n, sum(n) OVER (PARTITION BY account_id) AS total
        FROM (SELECT account_id, model, count(*) AS n FROM {relation} GROUP BY account_id, model) AS counted
    ) AS shares"""

_SQL = f"""
WITH old AS (
    {_MAIN_OF.format(relation="requests_before")}
    WHERE total >= {_MIN_BEFORE} AND n >= {_MAIN} * total
),
fresh AS (
    SELECT requests.account_id, requests.model, count(*) AS n, min(requests.ts) AS first_ts,
        max(requests.ts) AS last_ts
    FROM requests LEFT JOIN (SELECT DISTINCT account_id, model FROM requests_before) AS known
        ON requests.account_id = known.account_id AND requests.model = known.model
    WHERE known.account_id IS NULL GROUP BY requests.account_id, requests.model
),
since AS (
    SELECT fresh.account_id, fresh.model, fresh.n, fresh.first_ts, fresh.last_ts, count(*) AS n_since
    FROM fresh JOIN requests ON fresh.account_id = requests.account_id AND requests.ts >= fresh.first_ts
    GROUP BY fresh.account_id, fresh.model, fresh.n, fresh.first_ts, fresh.last_ts
),
switched AS (
    SELECT since.account_id, since.n, since.first_ts, since.last_ts,
        key64('switch', old.model || '>' || since.model || '@'
            || CAST(CAST(floor(epoch_s(since.first_ts) / 3600) AS BIGINT) AS VARCHAR)) AS key,
        'from ' || substr(old.model, 1, 60) || ' to ' || substr(since.model, 1, 60)
            || ' in one hour' AS detail
    FROM since JOIN old ON since.account_id = old.account_id
    WHERE since.n >= {_MIN_TODAY} AND since.n >= {_MAIN} * since.n_since
),
shared AS (SELECT key FROM switched GROUP BY key HAVING min(account_id) <> max(account_id))
SELECT switched.account_id, 'switch' AS kind, switched.key, switched.n, CAST(NULL AS BIGINT) AS n_prompts,
    CAST(NULL AS BIGINT) AS n_prompts_all,
    CAST(NULL AS DOUBLE) AS asked_sum, switched.first_ts, switched.last_ts, switched.detail
FROM switched JOIN shared ON switched.key = shared.key
"""

TIE = Tie(
    name="switch",
    family="rhythm",
    kinds={
        # Two accounts alone that leave one model for another in the same hour: one hand, or a coincidence
        # of two customers with an eye on the same news. 4 to 1.
        "switch": Kind(2.0, "changed model together in", "hour", "hours"),
    },
    sql=_SQL,
    reads=("requests", "requests_before"),
    half_life_days=14.0,
    example=Example(
        tables={
            "requests": [
                {"account_id": who, "ts": f"2026-03-02 09:{minute}:00", "model": "new"}
                for who, minutes in (("a", ("05", "10", "15")), ("b", ("20", "30", "40")))
                for minute in minutes
            ]
            + [
                {"account_id": "c", "ts": f"2026-03-02 15:{m}:00", "model": "new"} for m in ("01", "02", "03")
            ],
            "requests_before": [
                {"account_id": who, "ts": f"2026-03-01 09:0{minute}:00", "model": "old"}
                for who in ("a", "b", "c")
                for minute in range(5)
            ],
        },
        expect=[
            {"account_id": "a", "kind": "switch", "n": 3, "detail": "from old to new in one hour"},
            {"account_id": "b", "kind": "switch", "n": 3, "last_ts": "2026-03-02 09:40:00"},
        ],
    ),
    false_positives=(
        "customers who try a new model in the hour of its release",
        "an application whose update changes the model for all its users",
        "a model taken out of service, which moves everybody",
    ),
)

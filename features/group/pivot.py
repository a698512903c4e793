"""Whether the group moved to a new model within a day of its release.

One campaign on record moved nearly half of its traffic to a model within 24 hours. Customers try a model, and move over
weeks. The share is of the model's first day, as far as it has passed, and is compared with the site's share.
"""

from __future__ import annotations

from features.spec import Column, Example, Measure

#: The first day of a model (seconds).
_DAY_S = 86_400
#: Fewest requests of the group in that day.
_MIN_REQUESTS = 10

_SQL = f"""
WITH bounds AS (SELECT min(date_trunc('day', ts)) AS day_start, max(ts) AS last_ts FROM requests),
released AS (
    SELECT model_releases.model, min(model_releases.released_at) AS released_at FROM model_releases
    CROSS JOIN bounds
    WHERE model_releases.released_at <= bounds.last_ts
        AND epoch_s(model_releases.released_at) + {_DAY_S} > epoch_s(bounds.day_start)
    GROUP BY model_releases.model
),
traffic AS (
    SELECT all_requests.account_id, released.model AS new_model,
        count(*) AS n, count(CASE WHEN all_requests.model = released.model THEN 1 END) AS n_new
    FROM (
        SELECT account_id, model, ts FROM requests
        UNION ALL SELECT account_id, model, ts FROM requests_before
    ) AS all_requests
    CROSS JOIN released
    WHERE all_requests.ts >= released.released_at
        AND epoch_s(all_requests.ts) - epoch_s(released.released_at) < {_DAY_S}
    GROUP BY all_requests.account_id, released.model
),
site AS (SELECT new_model, sum(n_new) * 1e0 / sum(n) AS share FROM traffic GROUP BY new_model),
moved AS (
    SELECT members.group_id, traffic.new_model, sum(n) AS n, sum(n_new) AS n_new, count(*) AS m,
        count(CASE WHEN n_new > 0 THEN 1 END) AS m_new
    FROM members JOIN traffic ON members.account_id = traffic.account_id
    GROUP BY members.group_id, traffic.new_model HAVING sum(n) >= {_MIN_REQUESTS}
),
best AS (
    SELECT moved.*, site.share, row_number() OVER (
        PARTITION BY moved.group_id ORDER BY moved.n_new * 1e0 / moved.n DESC, moved.new_model) AS place
    FROM moved JOIN site ON moved.new_model = site.new_model
)
SELECT group_id, n_new * 1e0 / n AS pivot_share, m_new * 1e0 / m AS pivot_members_share,
    log2((n_new + 1e0) / (n * share + 1e0)) AS pivot_lift_bits
FROM best WHERE place = 1
"""

MEASURE = Measure(
    name="pivot",
    key="group_id",
    columns=(
        Column(
            "pivot_share",
            "DOUBLE",
            "requests to a model in its first 24 h; NULL: no release",
            "0..1",
            descriptive="read against the site's rate, as pivot_lift_bits",
        ),
        Column(
            "pivot_members_share",
            "DOUBLE",
            "active members that called it in that time",
            "0..1",
            descriptive="for people, beside pivot_lift_bits",
        ),
        Column(
            "pivot_lift_bits", "DOUBLE", "those requests against the site's rate", "bits", "up", ("group",)
        ),
    ),
    sql=_SQL,
    reads=("requests", "requests_before", "members", "model_releases"),
    needs=("model_releases.released_at",),
    example=Example(
        tables={
            "members": [{"group_id": "g", "account_id": who} for who in "ab"],
            "model_releases": [
                {"model": "new", "released_at": "2026-03-01 12:00:00"},
                {"model": "old", "released_at": "2025-03-01 12:00:00"},
            ],
            "requests_before": [
                {"account_id": "a", "ts": "2026-03-01 11:00:00", "model": "old"},
                *({"account_id": "a", "ts": "2026-03-01 13:00:00", "model": "new"} for _ in range(5)),
            ],
            "requests": [
                *({"account_id": "b", "ts": "2026-03-02 09:00:00", "model": "old"} for _ in range(5)),
                *({"account_id": "x", "ts": "2026-03-02 09:00:00", "model": "old"} for _ in range(10)),
                {"account_id": "b", "ts": "2026-03-02 15:00:00", "model": "new"},
            ],
        },
        expect=[
            {
                "group_id": "g",
                "pivot_share": 0.5,
                "pivot_members_share": 0.5,
                "pivot_lift_bits": 0.7776075786635522,  # log2(6 / (10 / 4 + 1))
            }
        ],
    ),
    false_positives=(
        "evaluators and enthusiasts on the day of a release",
        "an application that changes its default model at once",
    ),
)

"""Whether the members work and rest together, more than the site's day explains.

Co-activity is the chance that another member works in an hour in which a member works. It is compared with what the
members' activity and the site's busy hours would give. The requests of all members are also taken as one stream. A
relay's stream is steadier, and its longest rest is longer, than those of independent people.
"""

from __future__ import annotations

from features.spec import Column, Example, Measure

#: Width of the fine bins in seconds: five minutes.
_FINE_S = 300
#: Fewest requests of all members whose rests and gaps are measured.
_MIN_REQUESTS = 20


def _coactive(bins: str, width_s: int) -> str:
    """CTEs that end in ``<bins>_co``: the chance that another member, or an outsider, is active in a member's bin."""
    number = f"CAST(floor(epoch_s(ts) / {width_s}) AS BIGINT)"
    return f"""
{bins}_site AS (
    SELECT bin_no, count(*) AS k FROM (
        SELECT account_id, {number} AS bin_no FROM requests GROUP BY account_id, {number}
    ) AS cells GROUP BY bin_no
),
{bins}_group AS (
    SELECT group_id, bin_no, count(*) AS k FROM (
        SELECT group_id, account_id, {number} AS bin_no
        FROM member_requests GROUP BY group_id, account_id, {number}
    ) AS cells GROUP BY group_id, bin_no
),
{bins}_co AS (
    SELECT active.group_id, max(active.m) AS m,
        sum(g.k * (g.k - 1)) * 1e0 / nullif(sum(g.k) * (max(active.m) - 1), 0) AS inside,
        sum(g.k * (s.k - g.k)) * 1e0 / nullif(sum(g.k) * (max(everybody.m) - max(active.m)), 0) AS outside,
        sum(g.k) * 1e0 / (max(active.m) * max(width.n)) AS member_rate,
        (max(width.k) - sum(g.k)) * 1e0
            / nullif((max(everybody.m) - max(active.m)) * max(width.n), 0) AS out_rate
    FROM {bins}_group AS g JOIN {bins}_site AS s ON g.bin_no = s.bin_no
    JOIN active ON g.group_id = active.group_id CROSS JOIN everybody
    CROSS JOIN (SELECT count(*) AS n, sum(k) AS k FROM {bins}_site) AS width
    GROUP BY active.group_id
)"""


def _lift(bins: str, least_share: float) -> str:
    """SQL of the bits of co-activity above that of members who are as active and keep the site's day.

    Outsiders' co-activity over their mean activity says how much the site's day alone brings people together.
    ``least_share`` (0..1) steadies the ratio where hardly anybody is active.
    """
    expected = f"{bins}_co.member_rate * {bins}_co.outside / nullif({bins}_co.out_rate, 0)"
    return (
        f"CASE WHEN {bins}_co.out_rate > 0 THEN log2(({bins}_co.inside + {least_share})"
        f" / (least({expected}, 1e0) + {least_share})) END"
    )


_SQL = f"""
WITH active AS (
    SELECT group_id, count(DISTINCT account_id) AS m, count(*) AS n FROM member_requests GROUP BY group_id
),
everybody AS (SELECT count(DISTINCT account_id) AS m FROM requests),
{_coactive("hour", 3600)},
{_coactive("fine", _FINE_S)},
union_gaps AS (
    SELECT group_id, epoch_s(ts) - lag(epoch_s(ts)) OVER (PARTITION BY group_id ORDER BY ts) AS gap_s
    FROM member_requests
),
union_rests AS (
    SELECT group_id, max(gap_s) AS rest_s, avg(gap_s) AS mean_s, count(gap_s) AS n_gaps
    FROM union_gaps GROUP BY group_id
)
SELECT active.group_id, hour_co.inside AS hour_coactivity,
    {_lift("hour", 0.01)} AS hour_coactivity_lift_bits,
    {_lift("fine", 0.001)} AS fine_coactivity_lift_bits,
    CASE WHEN active.n >= {_MIN_REQUESTS} THEN union_rests.rest_s / 3600 END AS union_rest_h,
    CASE WHEN active.n >= {_MIN_REQUESTS} AND union_rests.mean_s > 0 AND union_rests.rest_s > 0
        THEN log2(union_rests.rest_s / (union_rests.mean_s * (ln(union_rests.n_gaps) + 0.5772)))
    END AS union_rest_excess_bits
FROM active JOIN hour_co ON active.group_id = hour_co.group_id
JOIN fine_co ON active.group_id = fine_co.group_id
LEFT JOIN union_rests ON active.group_id = union_rests.group_id
WHERE active.m >= 3
"""

_AT = ("00:00", "10:00", "20:00")

MEASURE = Measure(
    name="synchrony",
    key="group_id",
    columns=(
        Column(
            "hour_coactivity",
            "DOUBLE",
            "chance that another member works in an hour a member works",
            "0..1",
            descriptive="read against the site's day, as hour_coactivity_lift_bits",
        ),
        Column(
            "hour_coactivity_lift_bits",
            "DOUBLE",
            "that chance against the site's day and their diligence",
            "bits",
            "up",
            ("group",),
        ),
        Column("fine_coactivity_lift_bits", "DOUBLE", "the same for five minutes", "bits", "up", ("group",)),
        Column(
            "union_rest_h",
            "DOUBLE",
            "longest gap in the stream of all members",
            "h",
            descriptive="read against its own rate, as union_rest_excess_bits",
        ),
        Column(
            "union_rest_excess_bits",
            "DOUBLE",
            "that gap against what its rate makes likely",
            "bits",
            "up",
            ("group",),
        ),
    ),
    sql=_SQL,
    reads=("requests", "members", "member_requests"),
    example=Example(
        tables={
            "members": [{"group_id": "g", "account_id": who} for who in "abc"],
            "requests": [
                {"account_id": who, "ts": f"2026-03-02 {hour}:{at}"}
                for who in "abc"
                for hour in ("09", "10", "19")
                for at in _AT
            ]
            + [{"account_id": "x", "ts": "2026-03-02 14:00:00"}],
        },
        expect=[
            {
                "group_id": "g",
                "hour_coactivity": 1.0,
                "hour_coactivity_lift_bits": 6.658211482751795,  # log2(1.01 / 0.01)
                "union_rest_h": 8 + 40 / 60,
            }
        ],
    ),
    false_positives=(
        "a class or an office with fixed hours in one time zone",
        "batch jobs of one company that start on the hour",
        "a small group in a time zone that few other customers live in",
    ),
)

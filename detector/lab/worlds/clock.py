"""When requests come: daily and weekly rhythm, sessions of turns, heavy tails, machine runs.

Gap and length parameters were fitted to public arrival traces of two large services. Turn gaps are log-normal with a
median of one to two minutes. Batch work has gaps of seconds, and their coefficient of variation is far above one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DAY_S = 86400.0
_BLOCK = 200_000
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Weight of each local hour, 0 to 23.
HOURS: dict[str, Floats] = {
    "evening": np.array(
        [3, 2, 1, 1, 1, 1, 2, 3, 4, 5, 5, 5, 5, 5, 5, 5, 6, 7, 8, 9, 10, 10, 8, 5], dtype=float
    ),
    "office": np.array(
        [1, 0, 0, 0, 0, 0, 1, 3, 8, 11, 11, 10, 7, 9, 11, 11, 10, 8, 4, 3, 2, 2, 2, 1], dtype=float
    ),
    "late": np.array(
        [8, 6, 4, 2, 1, 1, 1, 1, 2, 3, 4, 5, 5, 6, 7, 7, 7, 7, 6, 7, 8, 10, 11, 10], dtype=float
    ),
    "class": np.array(
        [0, 0, 0, 0, 0, 0, 0, 1, 6, 12, 12, 9, 4, 8, 10, 6, 4, 5, 7, 9, 9, 6, 3, 1], dtype=float
    ),
    "flat": np.ones(24),
    "night": np.array(
        [9, 11, 12, 11, 8, 5, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 3, 4, 5, 7], dtype=float
    ),
}
#: Traffic of a Saturday or Sunday relative to a weekday.
WEEKEND: dict[str, float] = {
    "evening": 1.15,
    "office": 0.22,
    "late": 1.05,
    "class": 0.4,
    "flat": 0.95,
    "night": 1.0,
}


def session_starts(
    rng: np.random.Generator,
    owner: Ints,
    zone_h: Floats,
    *,
    rhythm: str,
    days: int,
    first_weekday: int,
    burst: float = 0.8,
) -> Floats:
    """Start of each session, seconds after the world's start.

    Parameters
    ----------
    owner : account of each session, 0 .. len(zone_h) - 1.
    zone_h : hours east of UTC of every account.
    first_weekday : 0 is Monday.
    burst : shape of the gamma weight of an account's days. Small is bursty, large is even.
    """
    n = len(zone_h)
    weekend = np.array([WEEKEND[rhythm] if (first_weekday + d) % 7 > 4 else 1.0 for d in range(days)])
    weight = rng.gamma(burst, size=(n, days)) * weekend + 1e-9
    edges = np.cumsum(weight, axis=1)
    u = rng.random(len(owner)) * edges[owner, -1]
    day = np.empty(len(owner), dtype=np.int64)
    for low in range(
        0, len(owner), _BLOCK
    ):  # a table of sessions by days of a long world would not fit in memory
        part = slice(low, low + _BLOCK)
        day[part] = (edges[owner[part]] < u[part, None]).sum(axis=1)
    hours = HOURS[rhythm]
    # Without a shift of its own for each account, all accounts would keep the same hours.
    shift = rng.normal(0, 1.4, n)
    hour = rng.choice(24, size=len(owner), p=hours / hours.sum()) + rng.random(len(owner))
    utc = np.mod(hour + shift[owner] - zone_h[owner], 24)
    start: Floats = day * DAY_S + utc * 3600
    return start


def turns(rng: np.random.Generator, n: int, *, single: float, more: float) -> Ints:
    """Requests of each of ``n`` sessions: one with probability ``single``, else two plus a geometric number."""
    extra = rng.geometric(1 / (1 + more), size=n) + 1
    counts: Ints = np.where(rng.random(n) < single, 1, extra)
    return counts


def unroll(
    rng: np.random.Generator, starts: Floats, counts: Ints, *, gap_s: float, sigma: float
) -> tuple[Ints, Floats, Ints]:
    """Session number, time, and turn (from 1) of every request of every session.

    Gaps between turns are log-normal with median ``gap_s`` seconds.
    """
    session = np.repeat(np.arange(len(starts)), counts)
    first = np.concatenate([[0], np.cumsum(counts)[:-1]]) if len(counts) else np.zeros(0, dtype=np.int64)
    position = np.arange(len(session)) - first[session]
    gap = np.exp(rng.normal(np.log(gap_s), sigma, len(session)))
    gap[position == 0] = 0.0
    total = np.cumsum(gap)
    ts = starts[session] + total - total[first[session]]
    return session, ts, position + 1


def volumes(rng: np.random.Generator, n: int, *, mean: float, sigma: float) -> Floats:
    """Heavy-tailed (log-normal) expected numbers with the given mean."""
    rates: Floats = np.exp(rng.normal(np.log(max(mean, 1e-6)) - sigma**2 / 2, sigma, n))
    return rates

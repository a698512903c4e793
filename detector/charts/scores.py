"""Charts of one score: how its contributions add up, and how it went from day to day. All in bits of log-odds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime

from detector.charts.svg import COLOURS, INK, Spec, room_for

#: Contributions with a bar of their own, the heaviest; what is left is one bar.
MOST_BARS = 14
#: Contribution every score starts from.
BASE = "base_rate"
_FOR, _AGAINST = COLOURS[1], COLOURS[0]
#: Days named under a chart; more would run into one another.
_NAMED_DAYS = 8
#: An axis of names alone.
_NAMES: Spec = {"title": None, "domain": False, "ticks": False, "labelPadding": 6}


def waterfall(contributions: Sequence[tuple[str, float]], *, threshold_bits: float | None = None) -> Spec:
    """From the base rate to the score: each bar begins where the one before it ended.

    Parameters
    ----------
    contributions : name and bits of each; their sum is the score. ``base_rate``, where it is there, comes first, then
        the others from the most for to the most against; beyond ``MOST_BARS`` the lightest become one bar.
    threshold_bits : where alerts start; None draws no line.
    """
    bars = _steps(contributions)
    names = {"field": "name", "type": "nominal", "sort": None, "axis": _NAMES}
    layers: list[Spec] = [
        {
            "mark": {"type": "bar", "height": 11},
            "encoding": {
                "y": names,
                "x": {"field": "start", "type": "quantitative", "axis": {"title": "bits of log-odds"}},
                "x2": {"field": "end"},
                "color": {
                    "field": "kind",
                    "type": "nominal",
                    "legend": None,
                    "scale": {
                        "domain": ["for", "against", "base", "score"],
                        "range": [_FOR, _AGAINST, COLOURS[2], INK],
                    },
                },
            },
        },
        {
            "mark": {"type": "text", "align": "left", "dx": 5},
            "encoding": {
                "y": names,
                "x": {"field": "right", "type": "quantitative"},
                "text": {"field": "label"},
            },
        },
    ]
    if threshold_bits is not None:
        layers.append(_line_at("x", threshold_bits))
    return {
        "description": f"Waterfall of the score: {len(bars) - 1} contributions add up to {bars[-1]['label']} bits",
        "data": {"values": bars},
        "width": 340,
        "height": {"step": 17},
        "padding": room_for(row["name"] for row in bars),
        "layer": layers,
    }


def _steps(contributions: Sequence[tuple[str, float]]) -> list[Spec]:
    """A row a bar: name, where it starts and ends, kind, label."""
    base = [(name, bits) for name, bits in contributions if name == BASE]
    rest = [(name, bits) for name, bits in contributions if name != BASE]
    heaviest = sorted(range(len(rest)), key=lambda i: (-abs(rest[i][1]), rest[i][0]))
    # One that would be alone in the last bar keeps its name.
    kept = set(heaviest if len(rest) <= MOST_BARS + 1 else heaviest[:MOST_BARS])
    shown = sorted((rest[i] for i in kept), key=lambda part: (-part[1], part[0]))
    left = [bits for i, (_, bits) in enumerate(rest) if i not in kept]
    if left:
        shown.append((f"{len(left)} lighter ones", sum(left)))
    bars, at = [], 0.0
    for name, bits in [*base, *shown]:
        kind = "base" if name == BASE else "for" if bits >= 0 else "against"
        bars.append(_bar(name, at, at + bits, kind, bits))
        at += bits
    bars.append(_bar("score", 0.0, at, "score", at))
    # Bars of one name would lie on one another.
    seen: Counter[str] = Counter()
    for bar in bars:
        seen[bar["name"]] += 1
        if seen[bar["name"]] > 1:
            bar["name"] += f" ({seen[bar['name']]})"
    return bars


def _bar(name: str, start: float, end: float, kind: str, bits: float) -> Spec:
    right = max(start, end)
    return {"name": name, "start": start, "end": end, "right": right, "kind": kind, "label": _signed(bits)}


def _signed(bits: float) -> str:
    """Bits with their sign; what rounds to nothing has none."""
    shown = f"{bits:+.1f}"
    return "0.0" if shown in ("+0.0", "-0.0") else shown


def over_days(days: Sequence[tuple[date, float]], *, threshold_bits: float | None = None) -> Spec:
    """The score of each day on which it was worked out (bits), with the line where alerts start."""
    values = [{"day": _moment(day), "bits": bits, "label": _signed(bits)} for day, bits in days]
    step = max(1, -(-len(values) // _NAMED_DAYS))
    axis = {
        "title": None,
        "values": [row["day"] for row in values[::step]],
        "labelExpr": "utcFormat(datum.value, '%-d %b')",
        "grid": False,
        "labelFlush": False,
    }
    across = {"field": "day", "type": "temporal", "scale": {"type": "utc", "padding": 16}, "axis": axis}
    up = {"field": "bits", "type": "quantitative", "axis": {"title": "bits", "tickCount": 5}}
    layers: list[Spec] = [
        {
            "mark": {"type": "line", "point": {"size": 40, "color": _FOR}, "strokeWidth": 2, "color": _FOR},
            "encoding": {"x": across, "y": up},
        }
    ]
    if len(values) <= _NAMED_DAYS:
        layers.append(
            {
                "mark": {"type": "text", "dy": -10},
                "encoding": {"x": across, "y": up, "text": {"field": "label"}},
            }
        )
    if threshold_bits is not None:
        layers.append(_line_at("y", threshold_bits))
    return {
        "description": f"Score on {len(values)} days (bits of log-odds)",
        "data": {"values": values},
        "width": 440,
        "height": 150,
        "layer": layers,
    }


def _moment(day: date) -> int:
    """Midnight UTC in milliseconds: a number is read alike in every time zone."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)


def _line_at(axis: str, bits: float) -> Spec:
    """A dashed line across the whole chart."""
    return {
        "data": {"values": [{}]},
        "mark": {"type": "rule", "strokeDash": [4, 3], "color": INK, "opacity": 0.7},
        "encoding": {axis: {"datum": bits}},
    }

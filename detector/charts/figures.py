"""Charts of measured figures: bars with intervals, dots, said against seen, curves. A figure that is None leaves a gap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from detector.charts.svg import COLOURS, FAINT, INK, Spec, room_for

Number = float | None
#: Ends of the axes of ``reliability``, and the probabilities named on them.
_ENDS = (1e-4, 1 - 1e-4)
_TICKS = (0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999)


@dataclass(frozen=True)
class Series:
    """One colour of a chart: a figure for each label, with its interval where it has one."""

    name: str
    values: Sequence[Number]
    low: Sequence[Number] = ()
    high: Sequence[Number] = ()


def bars(title: str, labels: Sequence[str], series: Sequence[Series]) -> Spec:
    """Upright bars in groups, a group a label, from 0 to 1, with intervals as whiskers."""
    across = {"field": "label", "type": "nominal", "sort": None, "axis": {"title": None, "labelAngle": 0}}
    beside = {"field": "series", "type": "nominal", "sort": None}
    up = {"type": "quantitative", "scale": {"domain": [0, 1]}, "axis": {"title": None, "tickCount": 5}}
    place = {"x": across, "xOffset": beside}
    whiskers: Spec = {
        "transform": [{"filter": "isValid(datum.low) && isValid(datum.high)"}],
        "mark": {"type": "errorbar", "ticks": {"size": 6, "color": INK}, "rule": {"color": INK}},
        "encoding": {**place, "y": {"field": "low", **up}, "y2": {"field": "high"}},
    }
    return {
        "description": title,
        "data": {"values": _rows(labels, series)},
        "width": {"step": max(86, 18 * len(series) + 22), "for": "position"},
        "height": 190,
        "layer": [
            {"mark": "bar", "encoding": {**place, "y": {"field": "value", **up}, "color": _colour(series)}},
            whiskers,
        ],
    }


def dots(title: str, labels: Sequence[str], series: Sequence[Series]) -> Spec:
    """Lying dots from 0 to 1, a line a label: for many labels with long names."""
    return {
        "description": title,
        "data": {"values": _rows(labels, series)},
        "width": 420,
        "height": {"step": 20},
        "padding": room_for(labels),
        "mark": {"type": "circle", "size": 80, "opacity": 0.85},
        "encoding": {
            "x": {
                "field": "value",
                "type": "quantitative",
                "scale": {"domain": [0, 1]},
                "axis": {"title": None, "tickCount": 5},
            },
            "y": {"field": "label", "type": "nominal", "sort": None, "axis": {"title": None}},
            "color": _colour(series),
        },
    }


def _rows(labels: Sequence[str], series: Sequence[Series]) -> list[Spec]:
    """A row a figure that is there."""
    return [
        {
            "label": label,
            "series": one.name,
            "value": value,
            "low": one.low[i] if one.low else None,
            "high": one.high[i] if one.high else None,
        }
        for one in series
        for i, (label, value) in enumerate(zip(labels, one.values, strict=True))
        if value is not None
    ]


def _colour(series: Sequence[Series]) -> Spec:
    return _named([one.name for one in series])


def _named(names: Sequence[str]) -> Spec:
    colours = [COLOURS[i % len(COLOURS)] for i in range(len(names))]
    return {
        "field": "series",
        "type": "nominal",
        "scale": {"domain": list(names), "range": colours},
        "legend": {"columns": 4},
    }


def reliability(title: str, series: Sequence[tuple[str, Sequence[tuple[float, float, float]]]]) -> Spec:
    """What was said (across) against what was seen (up), axes in log-odds; each point is (said, seen, n)."""
    values = [
        {"series": name, "said": _logit(said), "seen": _logit(seen), "size": _area(n)}
        for name, points in series
        for said, seen, n in points
    ]
    ends = [_logit(end) for end in _ENDS]
    axis = {
        "values": [_logit(tick) for tick in _TICKS],
        "labelExpr": "format(1 / (1 + exp(-datum.value)), '.3~f')",
    }
    scale = {"domain": ends, "nice": False, "zero": False}
    across = {"type": "quantitative", "scale": scale, "axis": {**axis, "title": "probability said"}}
    up = {"type": "quantitative", "scale": scale, "axis": {**axis, "title": "share seen"}}
    place = {"x": {"field": "said", **across}, "y": {"field": "seen", **up}}
    colour = _named([name for name, _ in series])
    sized = {"field": "size", "type": "quantitative", "scale": None, "legend": None}
    return {
        "description": title,
        "width": 300,
        "height": 300,
        "layer": [
            {
                "data": {"values": [{"said": end, "seen": end} for end in ends]},
                "mark": {"type": "line", "strokeDash": [4, 4], "color": FAINT},
                "encoding": place,
            },
            {
                "data": {"values": values},
                "mark": {"type": "line", "strokeWidth": 1.5},
                "encoding": {**place, "color": colour},
            },
            {
                "data": {"values": values},
                "mark": {"type": "circle", "opacity": 1},
                "encoding": {**place, "color": colour, "size": sized},
            },
        ],
    }


def _logit(p: float) -> float:
    kept = min(max(p, _ENDS[0]), _ENDS[1])
    return math.log(kept / (1 - kept))


def _area(n: float) -> float:
    """Of a point, in square pixels: its radius grows with the digits of ``n``."""
    return math.pi * (2.5 + min(5.0, math.log10(max(n, 1)))) ** 2


def curves(lines: Sequence[tuple[str, Sequence[tuple[float, float]]]], *, across: str, up: str) -> Spec:
    """Lines over an axis of powers: each has its name and its points (x, y)."""
    return {
        "description": f"{up or 'figures'} by {across}",
        "data": {"values": [{"series": name, "x": x, "y": y} for name, points in lines for x, y in points]},
        "width": 480,
        "height": 260,
        "mark": {"type": "line", "point": True},
        "encoding": {
            "x": {
                "field": "x",
                "type": "quantitative",
                "scale": {"type": "log", "nice": False},
                "axis": {"title": across, "values": sorted({x for _, points in lines for x, _ in points})},
            },
            "y": {"field": "y", "type": "quantitative", "axis": {"title": up or None}},
            "color": _named([name for name, _ in lines]),
        },
    }

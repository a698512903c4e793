"""Small SVG plots for the report: bars with intervals, a reliability curve, dots. No script, no outside file.

Every string is escaped here, whoever wrote it; numbers that are missing leave a gap.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

Number = float | None

#: Colours told apart by people who see red and green alike.
COLOURS = ("#1b6ca8", "#d9822b", "#7a7a7a", "#4b9b6e", "#a34d8b", "#8a6d3b", "#333f66", "#b0413e")


@dataclass(frozen=True)
class Series:
    """One colour of a plot: a value for each label, with its interval where it has one."""

    name: str
    values: Sequence[Number]
    low: Sequence[Number] = ()
    high: Sequence[Number] = ()


def text(x: float, y: float, words: str, *, anchor: str = "middle", cls: str = "") -> str:
    """A line of text, escaped."""
    kind = f' class="{cls}"' if cls else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{kind}>{escape(words)}</text>'


def _frame(width: int, height: int, title: str, inner: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{escape(title)}"><title>{escape(title)}</title>{"".join(inner)}</svg>'
    )


def _legend_width(names: Sequence[str]) -> float:
    return sum(26 + 6.4 * len(name) for name in names)


def _legend(names: Sequence[str], left: float, y: float) -> list[str]:
    parts, x = [], left
    for i, name in enumerate(names):
        parts.append(f'<rect x="{x:.1f}" y="{y - 9:.1f}" width="10" height="10" fill="{_colour(i)}"/>')
        parts.append(text(x + 14, y, name, anchor="start"))
        x += _legend_width([name])
    return parts


def _colour(i: int) -> str:
    return COLOURS[i % len(COLOURS)]


def bars(title: str, labels: Sequence[str], series: Sequence[Series], *, most: float = 1.0) -> str:
    """Grouped upright bars from 0 to ``most`` with intervals as whiskers; one group a label."""
    left, top, tall = 46.0, 34.0, 190.0
    wide = max(64.0, 18.0 * len(series) + 22.0)
    width, height = int(left + wide * len(labels) + 20), int(top + tall + 44)
    width = max(width, int(left + _legend_width([s.name for s in series]) + 10))

    def y_of(value: float) -> float:
        return top + tall * (1 - min(max(value, 0.0), most) / most)

    parts = _legend([s.name for s in series], left, 16)
    for tick in range(6):
        mark = most * tick / 5
        y = y_of(mark)
        parts.append(f'<line x1="{left}" x2="{width - 10}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>')
        parts.append(text(left - 6, y + 4, f"{mark:.2g}", anchor="end"))
    thick = (wide - 22) / max(len(series), 1)
    for i, label in enumerate(labels):
        start = left + i * wide + 11
        for k, one in enumerate(series):
            value = one.values[i]
            if value is None:
                continue
            x, y = start + k * thick, y_of(value)
            parts.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{thick - 3:.1f}" height="{max(top + tall - y, 0.5):.1f}" '
                f'fill="{_colour(k)}"><title>{escape(one.name)}, {escape(label)}: {value:.3f}</title></rect>'
            )
            parts += _whisker(one, i, x + (thick - 3) / 2, y_of)
        parts.append(text(start + (wide - 22) / 2, top + tall + 18, label))
    return _frame(width, height, title, parts)


def _whisker(one: Series, i: int, x: float, y_of: Callable[[float], float]) -> list[str]:
    low = one.low[i] if one.low else None
    high = one.high[i] if one.high else None
    if low is None or high is None:
        return []
    a, b = y_of(low), y_of(high)
    return [
        f'<path d="M{x:.1f} {a:.1f}V{b:.1f}M{x - 3:.1f} {a:.1f}h6M{x - 3:.1f} {b:.1f}h6" class="whisker"/>'
    ]


def rows(title: str, labels: Sequence[str], series: Sequence[Series], *, most: float = 1.0) -> str:
    """Lying dots, one line a label: for many labels with long names."""
    left = 24.0 + 6.6 * max((len(label) for label in labels), default=0)
    line, top, long = 20.0, 38.0, 420.0
    width = int(left + max(long + 30, _legend_width([s.name for s in series]) + 10))
    height = int(top + line * len(labels) + 26)

    def x_of(value: float) -> float:
        return left + long * min(max(value, 0.0), most) / most

    parts = _legend([s.name for s in series], left, 16)
    for tick in range(6):
        x = x_of(most * tick / 5)
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top - 8}" y2="{height - 20}" class="grid"/>')
        parts.append(text(x, height - 6, f"{most * tick / 5:.2g}"))
    for i, label in enumerate(labels):
        y = top + line * i + 6
        parts.append(text(left - 8, y + 4, label, anchor="end"))
        for k, one in enumerate(series):
            value = one.values[i]
            if value is None:
                continue
            parts.append(
                f'<circle cx="{x_of(value):.1f}" cy="{y:.1f}" r="5" fill="{_colour(k)}" fill-opacity=".85">'
                f"<title>{escape(one.name)}, {escape(label)}: {value:.3g}</title></circle>"
            )
    return _frame(width, height, title, parts)


def reliability(title: str, series: Sequence[tuple[str, Sequence[tuple[float, float, float]]]]) -> str:
    """What was said (across) against what was seen (up), log-odds axes; each point is (said, seen, n)."""
    left, top, side = 50.0, 34.0, 300.0
    ends = (1e-4, 1 - 1e-4)

    def place(p: float) -> float:
        kept = min(max(p, ends[0]), ends[1])
        low = math.log(ends[0] / (1 - ends[0]))
        return (math.log(kept / (1 - kept)) - low) / (-2 * low) * side

    parts = _legend([name for name, _ in series], left, 16)
    for tick in (0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999):
        at = place(tick)
        parts.append(
            f'<line x1="{left + at:.1f}" x2="{left + at:.1f}" y1="{top}" y2="{top + side}" class="grid"/>'
        )
        parts.append(
            f'<line x1="{left}" x2="{left + side}" y1="{top + side - at:.1f}" y2="{top + side - at:.1f}" class="grid"/>'
        )
        parts.append(text(left + at, top + side + 16, f"{tick:g}"))
        parts.append(text(left - 6, top + side - at + 4, f"{tick:g}", anchor="end"))
    parts.append(f'<line x1="{left}" y1="{top + side}" x2="{left + side}" y2="{top}" class="ideal"/>')
    for i, (name, points) in enumerate(series):
        spots = [(left + place(said), top + side - place(seen), n) for said, seen, n in points]
        path = " ".join(f"{'M' if k == 0 else 'L'}{x:.1f} {y:.1f}" for k, (x, y, _) in enumerate(spots))
        parts.append(f'<path d="{path}" fill="none" stroke="{_colour(i)}" stroke-width="1.5"/>')
        for (x, y, n), (said, seen, _) in zip(spots, points, strict=True):
            radius = 2.5 + min(5.0, math.log10(max(n, 1)))
            words = escape(f"{name}: said {said:.3g}, seen {seen:.3g}, {n:.0f} accounts")
            spot = f'cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{_colour(i)}"'
            parts.append(f"<circle {spot}><title>{words}</title></circle>")
    parts.append(text(left + side / 2, top + side + 36, "probability said"))
    width = left + max(side + 30, _legend_width([name for name, _ in series]) + 10)
    return _frame(int(width), int(top + side + 46), title, parts)

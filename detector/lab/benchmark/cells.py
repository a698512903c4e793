"""Cells, tables and notes of the report, everything escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

Json = Mapping[str, Any]

COLUMNS = {
    "same": "same generator",
    "control": "same, training of the held-out",
    "held_out": "held out",
}
LEVEL_NAMES = ("0 naive", "1 spread", "2 camouflaged", "3 ghost")


def number(value: object) -> str:
    """A cell: figures short, nothing for what is not known."""
    if isinstance(value, list):
        main, low, high = value
        if main is None:
            return "–"
        span = (
            f' <span class="ci">{_short(low)}–{_short(high)}</span>'
            if low is not None and high is not None
            else ""
        )
        return _short(main) + span
    if value is None:
        return "–"
    return (
        _short(value)
        if isinstance(value, int | float) and not isinstance(value, bool)
        else escape(str(value))
    )


def _short(value: float) -> str:
    """Counts (integers) as counts; 0 and 1 of anything else may be shares, and keep their decimals."""
    if isinstance(value, int):
        return f"{value:,}"
    if float(value).is_integer() and abs(value) >= 2:
        return f"{int(value):,}"
    return f"{value:.3f}" if abs(value) < 100 else f"{value:,.0f}"


def table(caption: str, head: Sequence[str], body: Sequence[Sequence[object]], *, words: int = 1) -> str:
    """An HTML table; the first ``words`` columns hold words."""
    if not body:
        return ""

    def row(cells: Sequence[str], tag: str) -> str:
        made = (f"<{tag}{' class=t' if i < words else ''}>{cell}</{tag}>" for i, cell in enumerate(cells))
        return "<tr>" + "".join(made) + "</tr>"

    lines = [row([escape(h) for h in head], "th"), *(row([number(c) for c in cells], "td") for cells in body)]
    return f"<table><caption>{escape(caption)}</caption>{''.join(lines)}</table>"


def note(words: str) -> str:
    return f'<p class="note">{escape(words)}</p>'


def level_name(evasion_level: int) -> str:
    return LEVEL_NAMES[evasion_level] if 0 <= evasion_level < len(LEVEL_NAMES) else str(evasion_level)


def median(values: Sequence[float]) -> float | None:
    """Median; of an odd number of values one of them, as it is."""
    ordered = sorted(values)
    if not ordered:
        return None
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def wide(rows: Sequence[Json], key: str, figure: str) -> tuple[list[str], list[int], list[list[Any]]]:
    """Names of ``key``, evasion levels, and the cells of one figure: a line a name, a column an evasion level."""
    names = list(dict.fromkeys(row[key] for row in rows))
    evasion_levels = sorted({row["evasion_level"] for row in rows})
    cells = {(row[key], row["evasion_level"]): row for row in rows}
    return names, evasion_levels, [[cells.get((n, r), {}).get(figure) for r in evasion_levels] for n in names]

"""What a report is made of: figures as text, tables, charts and sections; how they look is the template's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from detector.charts.svg import Spec

Json = Mapping[str, Any]

COLUMNS = {
    "same": "same generator",
    "control": "control: held-out training set, nothing held out",
    "held_out": "held out",
}
LEVEL_NAMES = ("0 naive", "1 spread", "2 camouflaged", "3 ghost")
#: Figures of an evasion level and their names, as the page shows them.
LEVEL_FIGURES = (
    ("recall_at_0.001", "recall at 0.1 % false positives"),
    ("recall_at_0.01", "recall at 1 %"),
    ("average_precision", "average precision"),
    ("alerted_recall", "attackers alerted"),
    ("alert_precision", "alerts that are right"),
    ("pair_precision", "group pair precision"),
    ("pair_recall", "group pair recall"),
    ("pair_f1", "group pair F1"),
    ("lump_f1", "pair F1 with all alerts as one cluster"),
    ("false_groups_per_10000", "false groups per 10,000 honest accounts and day"),
    ("false_single_per_10000", "false single-account alerts, same"),
    ("alerted_framed_share", "framed honest accounts alerted"),
    ("n_attackers", "attacking accounts"),
    ("n_honest", "honest accounts"),
    ("honest_account_days", "honest account-days"),
)
#: What is not known.
UNKNOWN = "–"


@dataclass(frozen=True)
class Cell:
    """One cell as text: what it says, and its interval where it has one."""

    main: str
    interval: str = ""


@dataclass(frozen=True)
class Table:
    """A table: its first ``words`` columns hold words. One without rows is left out."""

    shape: ClassVar[str] = "table"
    caption: str
    head: Sequence[str]
    body: Sequence[Sequence[object]]
    words: int = 1

    def rows(self) -> list[list[Cell]]:
        """The body as cells."""
        return [[cell(value) for value in line] for line in self.body]


@dataclass(frozen=True)
class Chart:
    """A chart under its title."""

    shape: ClassVar[str] = "chart"
    title: str
    spec: Spec


@dataclass(frozen=True)
class Folded:
    """A table a reader opens who wants every line."""

    shape: ClassVar[str] = "folded"
    summary: str
    table: Table


@dataclass(frozen=True)
class Section:
    """A part of the page: what it is about, a note on how to read it, and what it shows."""

    title: str
    note: str = ""
    parts: Sequence[Table | Chart | Folded] = field(default_factory=tuple)


def cell(value: object, digits: int = 3) -> Cell:
    """A value as a cell: a figure, or one with its interval (main, low, high), or words.

    ``digits`` : after the point, of what is no count.
    """
    if isinstance(value, Sequence) and not isinstance(value, str):
        main, low, high = value
        bare = None in (main, low, high)
        return Cell(figure(main, digits), "" if bare else f"{figure(low, digits)}–{figure(high, digits)}")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Cell(figure(value, digits))
    return Cell(UNKNOWN) if value is None else Cell(str(value))


def figure(value: float | None, digits: int = 3) -> str:
    """A figure short: counts (integers) as counts; 0 and 1 of anything else may be shares, and keep their decimals."""
    if value is None:
        return UNKNOWN
    if isinstance(value, int):
        return f"{value:,}"
    if float(value).is_integer() and abs(value) >= 2:
        return f"{int(value):,}"
    return f"{value:.{digits}f}" if abs(value) < 100 else f"{value:,.0f}"


def level_name(level: int) -> str:
    """An evasion level's number and name."""
    return LEVEL_NAMES[level] if 0 <= level < len(LEVEL_NAMES) else str(level)


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
    levels = sorted({row["evasion_level"] for row in rows})
    cells = {(row[key], row["evasion_level"]): row for row in rows}
    return names, levels, [[cells.get((n, r), {}).get(figure) for r in levels] for n in names]

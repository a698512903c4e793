"""The benchmark's main tables as Markdown, for documents that carry them."""

from __future__ import annotations

from collections.abc import Sequence

from detector.lab.benchmark.cells import COLUMNS, LEVEL_NAMES, Json, cell, wide

FIGURES = (
    ("recall_at_0.001", "account recall at 0.1 % false positives"),
    ("recall_at_0.01", "at 1 %"),
    ("average_precision", "average precision"),
    ("alert_precision", "alerts that are right"),
    ("pair_f1", "group pair F1"),
    ("lump_f1", "pair F1 with all alerts as one cluster"),
    ("false_groups_per_10000", "false groups per 10,000 honest accounts and day"),
)


def _cell(value: object) -> str:
    shown = cell(value, digits=2)
    words = shown.main.replace("|", "\\|").replace("<", "&lt;")
    return f"{words} ({shown.interval})" if shown.interval else words


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return [*lines, *("| " + " | ".join(_cell(c) for c in row) + " |" for row in rows), ""]


def tables(results: Json) -> str:
    """By evasion level, rivals, mixed windows, missing inputs, evidence taken away; 90 % intervals in brackets."""
    lines: list[str] = []
    for name, column in results["columns"].items():
        levels = [LEVEL_NAMES[r["evasion_level"]] for r in column["evasion_levels"]]
        rows = [[title, *(r.get(key) for r in column["evasion_levels"])] for key, title in FIGURES]
        lines += [f"**{COLUMNS[name].capitalize()}**", "", *_table(["figure", *levels], rows)]
    for part, key, title in (
        ("rivals", "rival", "Other methods, recall at 0.1 %"),
        ("missing", "missing", "An input missing, recall at 0.1 %"),
        ("ablation", "family", "Without a family of evidence, recall at 0.1 %"),
    ):
        if not results[part]:
            continue
        names, numbers, body = wide(results[part], key, "recall_at_0.001")
        rows = [[n or "nothing taken away", *line] for n, line in zip(names, body, strict=True)]
        lines += [f"**{title}**", "", *_table(["", *(LEVEL_NAMES[r] for r in numbers)], rows)]
    for level in (None, 0):
        lines += _windows([row for row in results["windows"] if row["evasion_level"] == level], level)
    return "\n".join(lines)


def _windows(rows: Sequence[Json], level: int | None) -> list[str]:
    """Mixed windows of one evasion level, or of all; none without rows."""
    if not rows:
        return []
    shares = sorted({row["share"] for row in rows})
    ways = list(dict.fromkeys(row["way"] for row in rows))
    cells = {(row["way"], row["share"]): row for row in rows}
    body = [[way, *(cells[way, s]["detection"] for s in shares)] for way in ways]
    body.append(["MMD as published", *(cells[ways[0], s]["published_mmd"] for s in shares)])
    of = "all evasion levels" if level is None else f"evasion level {LEVEL_NAMES[level]}"
    title = f"**Mixed windows of 100 requests, detection at 1 % false positives, {of}**"
    return [title, "", *_table(["", *(f"{s:.0%} harvest" for s in shares)], body)]

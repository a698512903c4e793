"""Composes one statement from many measurements, so that a grain is one query and the engine can be exchanged.

A plug-in writes one SELECT over named relations. Here the SELECTs become named parts of one statement, joined on the
key. A measurement that cannot be made becomes typed NULLs, with a reason. Only functions of a checked list are allowed:
``PORTABLE`` means the same in DuckDB and Spark, and ``MACROS`` are defined by each engine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from features.dialect import MACROS, PORTABLE, create_macros
from features.relations import READABLE, SHARED, TIE_COLUMNS, relations
from features.spec import Column, Measure, Tie

__all__ = [
    "MACROS",
    "PORTABLE",
    "READABLE",
    "SHARED",
    "Composed",
    "compose",
    "compose_ties",
    "create_macros",
    "example_result",
    "relations",
    "run_on",
    "run_statement",
]

#: Key column of each grain, and the SELECT of its keys.
_SPINES = {
    "account_id": "SELECT DISTINCT account_id FROM requests",
    "group_id": "SELECT DISTINCT group_id FROM members",
}


@dataclass(frozen=True)
class Composed:
    """One statement, and the plug-ins that were left out of it: (plug-in, reason) pairs."""

    sql: str
    skipped: tuple[tuple[str, str], ...]


def compose(measures: Sequence[Measure], *, available: Mapping[str, frozenset[str]]) -> Composed:
    """One statement for a grain: its key and every measurement's columns, one row a key.

    Parameters
    ----------
    measures : measurements of one grain (one ``key``), in the order of their columns.
    available : relation to its columns with at least one value that day. A relation that is missing here cannot be
        read; an empty one has no columns. A shared relation that is named here is bound already, and not composed again.

    A measurement whose relations or needs are not available becomes typed NULLs, with a reason in ``skipped``. Needs
    are columns of ``requests``, or ``relation.column``.

    Raises
    ------
    ValueError : no measures, measures of two grains, or a relation nobody declares.
    """
    if not measures:
        raise ValueError("no measurements to compose")
    key = measures[0].key
    if key not in _SPINES or any(m.key != key for m in measures):
        raise ValueError(f"measurements must share one key of {sorted(_SPINES)}")
    skipped: list[tuple[str, str]] = []
    parts: list[tuple[str, str]] = []
    shared: set[str] = set()
    tallied: dict[str, str] = {}
    columns: list[str] = []
    for measure in measures:
        reason = _missing(measure, available)
        if reason:
            skipped.append((measure.name, reason))
            columns += [f"CAST(NULL AS {c.type}) AS {c.name}" for c in measure.columns]
            continue
        shared.update(SHARED.keys() & set(measure.reads) - available.keys())
        part = f"m_{measure.name}"
        parts.append((part, measure.sql))
        columns += [f"CAST({part}.{c.name} AS {c.type}) AS {c.name}" for c in measure.columns]
        tallied.update(measure.tally)
    spine = "SELECT account_id FROM tally" if "tally" in shared and key == "account_id" else _SPINES[key]
    ctes = [*_shared(shared, tallied), ("spine", spine), *parts]
    joins = [f"LEFT JOIN {part} ON spine.{key} = {part}.{key}" for part, _ in parts]
    select = ",\n    ".join([f"spine.{key}", *columns])
    return Composed(
        f"WITH {_ctes(ctes)}\nSELECT\n    {select}\nFROM spine\n" + "\n".join(joins), tuple(skipped)
    )


def compose_ties(ties: Sequence[Tie], *, available: Mapping[str, frozenset[str]]) -> Composed:
    """One statement for the ties: ``account_id, family, kind, key, n, first_ts, last_ts, detail``.

    ``available`` as in :func:`compose`. Rows without a key or of a kind the plug-in does not declare are
    left out. With nothing to read the statement answers no rows.
    """
    skipped: list[tuple[str, str]] = []
    parts: list[tuple[str, str]] = []
    selects: list[str] = []
    shared: set[str] = set()
    for tie in ties:
        reason = _missing(tie, available)
        if reason:
            skipped.append((tie.name, reason))
            continue
        shared.update(SHARED.keys() & set(tie.reads))
        parts.append((f"t_{tie.name}", tie.sql))
        kinds = ", ".join(_text(kind) for kind in sorted(tie.kinds))
        picked = ", ".join(
            f"{_text(tie.family)} AS family"
            if c.name == "family"
            else f"CAST({c.name} AS {c.type}) AS {c.name}"
            for c in TIE_COLUMNS
        )
        selects.append(f"SELECT {picked}\nFROM t_{tie.name}\nWHERE key IS NOT NULL AND kind IN ({kinds})")
    if not selects:
        empty = ", ".join(f"CAST(NULL AS {c.type}) AS {c.name}" for c in TIE_COLUMNS)
        return Composed(f"SELECT {empty} WHERE 1 = 0", tuple(skipped))
    ctes = [*_shared(shared, {}), *parts]
    return Composed(f"WITH {_ctes(ctes)}\n" + "\nUNION ALL\n".join(selects), tuple(skipped))


def example_result(plugin: Measure | Tie) -> list[dict[str, Any]]:
    """Rows of a plug-in for its worked example, on a temporary DuckDB; for authors and tests.

    Raises
    ------
    ValueError : the example names an unknown relation or column, or lacks a column the plug-in needs.
    """
    return run_on(plugin, plugin.example.tables)


def run_on(plugin: Measure | Tie, tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Rows of a plug-in for literal input. Columns that are not named are NULL, relations that are not named are empty.

    Raises
    ------
    ValueError : as :func:`example_result`.
    """
    declared = relations()
    unknown = sorted(set(tables) - set(declared))
    if unknown:
        raise ValueError(f"{plugin.name}: unknown relations {unknown}; there are {sorted(declared)}")
    available = {
        name: frozenset(c for row in tables.get(name, ()) for c, value in row.items() if value is not None)
        for name in declared
    }
    composed = (
        compose([plugin], available=available)
        if isinstance(plugin, Measure)
        else compose_ties([plugin], available=available)
    )
    if composed.skipped:
        raise ValueError(f"{plugin.name}: its example cannot be measured: {composed.skipped[0][1]}")
    return run_statement(composed.sql, tables)


def run_statement(sql: str, tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Rows of a composed statement for literal input. Relations without rows are empty.

    Raises
    ------
    ValueError : a row names an unknown column.
    """
    import duckdb  # here, so that reading declarations needs no engine

    with duckdb.connect(":memory:") as con:
        for statement in create_macros():
            con.execute(statement).fetchall()
        for name, columns in relations().items():
            if not re.search(rf"\b{name}\b", sql):
                continue
            con.execute(
                f"CREATE TABLE {name} ({', '.join(f'{c.name} {c.type}' for c in columns)})"
            ).fetchall()
            for row in tables.get(name, ()):
                _insert(con, name, columns, row)
        cursor = con.execute(sql)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _insert(con: Any, name: str, columns: tuple[Column, ...], row: Mapping[str, Any]) -> None:
    types = {c.name: c.type for c in columns}
    unknown = sorted(set(row) - set(types))
    if unknown:
        raise ValueError(f"relation {name!r} has no columns {unknown}; it has {sorted(types)}")
    marks = ", ".join(f"CAST(? AS {types[column]})" for column in row)
    con.execute(f"INSERT INTO {name} ({', '.join(row)}) VALUES ({marks})", list(row.values())).fetchall()


def _missing(plugin: Measure | Tie, available: Mapping[str, frozenset[str]]) -> str | None:
    """Why a plug-in cannot be measured; None if it can."""
    for relation in plugin.reads:
        if relation not in READABLE:
            raise ValueError(f"{plugin.name}: unknown relation {relation!r}; there are {sorted(READABLE)}")
        if relation not in SHARED and relation not in available:
            return f"nothing is known of {relation}"
    for need in plugin.needs:
        relation, _, column = need.rpartition(".")
        relation = relation or "requests"
        if column not in available.get(relation, frozenset()):
            return f"{relation} carries no {column} that day"
    return None


def _shared(names: set[str], tallied: Mapping[str, str]) -> list[tuple[str, str]]:
    """Shared relations of these names, after the ones they read; ``tally`` gets the aggregates ``tallied``."""
    wanted = set(names)
    for name in reversed(list(SHARED)):  # each reads only relations declared before it
        if name in wanted:
            wanted |= {
                other for other in SHARED if other != name and re.search(rf"\b{other}\b", SHARED[name])
            }
    more = "".join(f",\n    {aggregate} AS {name}" for name, aggregate in tallied.items())
    return [
        (name, sql.replace("\nFROM", f"{more}\nFROM", 1) if name == "tally" else sql)
        for name, sql in SHARED.items()
        if name in wanted
    ]


def _ctes(parts: Iterable[tuple[str, str]]) -> str:
    return ",\n".join(f"{name} AS (\n{_indent(sql)}\n)" for name, sql in parts)


def _indent(sql: str) -> str:
    return re.sub(r"(?m)^", "    ", sql.strip("\n").rstrip())


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"

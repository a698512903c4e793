"""The views that analysts query: one a table, and for one version the old names beside the new ones.

Old names are declared once, as the steps of the schema that renamed them (``migration/versions.py``). A view shows them
as further columns behind its own, with the values they had; the old name of a table is a view of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeAlias

from detector.lake.engine import literal, quote
from detector.lake.engine.viewfile import View
from detector.lake.migration.shape import Shape
from detector.lake.migration.steps import SAME, RenameColumn, RenameTable, Values
from detector.lake.migration.versions import VERSIONS
from detector.lake.tables import Table, tables
from features.spec import Column

#: Path of the part without rows of the table in a folder.
Empty: TypeAlias = Callable[[str], Path]


@dataclass(frozen=True)
class Alias:
    """The old name of a column: ``of`` of ``table`` is also shown as ``name`` in ``view``, until release ``until``.

    ``values``: how the value under the old name follows from that of ``of``.
    """

    view: str
    table: str
    name: str
    of: str
    until: str
    values: Values = SAME

    @property
    def sql(self) -> str:
        """Its value."""
        return self.values.sql(quote(self.of))

    @property
    def meaning(self) -> str:
        """One line for people."""
        how = f", {self.values.told}" if self.values.told else ""
        return f"alias of {self.of}{how}; goes with {self.until}"


@cache
def aliases() -> tuple[Alias, ...]:
    """Every old name of a column that still stands."""
    old_names = []
    for version in VERSIONS:
        if version.aliases_until is None:
            continue
        renamed = {step.new: step.old for step in version.steps if isinstance(step, RenameTable)}
        old_names += [
            Alias(
                renamed.get(step.table, step.table),
                step.table,
                step.old,
                step.new,
                version.aliases_until,
                step.values.back(),
            )
            for step in version.steps
            if isinstance(step, RenameColumn) and step.old != step.new
        ]
    return tuple(old_names)


@cache
def renamed() -> dict[str, tuple[str, str]]:
    """Views under the old name of a table: the table, and the release that takes the view away."""
    return {
        step.old: (step.new, version.aliases_until)
        for version in VERSIONS
        if version.aliases_until is not None
        for step in version.steps
        if isinstance(step, RenameTable)
    }


@cache
def described() -> dict[str, Table]:
    """Every view as analysts see it, old names included."""
    by_name = {
        name: _with(table, [a for a in aliases() if a.view == name]) for name, table in tables().items()
    }
    for old, (new, until) in renamed().items():
        table = tables()[new]
        own = {a.of: a for a in aliases() if a.view == old}
        columns = tuple(
            Column(own[c.name].name, c.type, own[c.name].meaning, c.unit) if c.name in own else c
            for c in table.columns
        )
        by_name[old] = Table(old, f"alias of {new}; goes with {until}", columns, table.layout, table.writer)
    return by_name


def _with(table: Table, own: list[Alias]) -> Table:
    kinds = {c.name: c for c in table.columns}
    extra = tuple(Column(a.name, kinds[a.of].type, a.meaning, kinds[a.of].unit) for a in own)
    return Table(table.name, table.meaning, (*table.columns, *extra), table.layout, table.writer)


def selects(data: Path, shape: Shape, empty: Empty | None = None) -> dict[str, str]:
    """SELECT of every table of a lake over absolute paths, by name; state tables show the newest day run.

    ``empty``: where the parts without rows lie, if elsewhere than among the others.
    """

    def source(table: str) -> str:
        folder = shape.folder(table)
        files = literal(str(data / folder / "*" / "*.parquet"))
        if empty is not None:
            files = f"[{files}, {literal(str(empty(folder)))}]"
        return f"read_parquet({files}, hive_partitioning = false, union_by_name = true)"

    newest = f"WHERE day = (SELECT max(day) FROM {source('runs')})"
    return {
        table.name: shape.select(table.name, source(table.name))
        + (f" {newest}" if table.layout == "state" else "")
        for table in tables().values()
    }


def views(data: Path, shape: Shape, empty: Empty | None = None) -> dict[str, View]:
    """Every view of the views file, by name; ``empty`` as for ``selects``."""
    own = selects(data, shape, empty)
    by_name = {}
    for name, table in described().items():
        base = renamed()[name][0] if name in renamed() else name
        old = {a.name: a for a in aliases() if a.view == name}
        columns = ", ".join(f"{old[c].sql} AS {quote(c)}" if c in old else quote(c) for c in table.names)
        select = f"SELECT {columns} FROM ({own[base]})" if old or base != name else own[name]
        comments = {a.name: a.meaning for a in old.values()}
        by_name[name] = View(select, table.meaning if base != name else None, comments)
    return by_name

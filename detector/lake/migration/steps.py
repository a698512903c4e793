"""What may differ between two schemas of a lake, as data: each step says how old columns become new ones.

A step is named after what it does to a lake of the version before; ``undo`` takes a schema back over it, so that the
columns of older lakes need not be written down a second time. Tables are named as they are after the step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Protocol

from detector.lake.engine import literal, quote
from detector.lake.tables import Table
from features.spec import Column

#: The tables of one schema by name.
Schema = dict[str, Table]
#: Columns of one table by name, each as SQL over the columns of the older lake.
Columns = dict[str, str]


class Values(Protocol):
    """How the values of a column change."""

    @property
    def told(self) -> str:
        """What that is, behind the name of a column; empty: they do not."""

    def sql(self, column: str) -> str:
        """The new value, of ``column`` (SQL) that holds the old one. NULL stays NULL."""

    def back(self) -> Values:
        """The way back."""


@dataclass(frozen=True)
class Same:
    """The values stay what they are."""

    told = ""

    def sql(self, column: str) -> str:
        return column

    def back(self) -> Values:
        return self


#: One for all: it knows nothing.
SAME = Same()


@dataclass(frozen=True)
class Negated:
    """True becomes false."""

    told = "negated"

    def sql(self, column: str) -> str:
        return f"(NOT {column})"

    def back(self) -> Values:
        return self


@dataclass(frozen=True)
class Words:
    """Words get other names: ``exact`` ones first, then those that begin with one of ``prefixes``."""

    exact: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    prefixes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    told: str = "in other words"

    def sql(self, column: str) -> str:
        cases = [f"WHEN {column} = {literal(old)} THEN {literal(new)}" for old, new in self.exact.items()]
        cases += [
            f"WHEN starts_with({column}, {literal(old)}) "
            f"THEN concat({literal(new)}, substr({column}, {len(old) + 1}))"
            for old, new in self.prefixes.items()
        ]
        return f"(CASE {' '.join(cases)} ELSE {column} END)"

    def back(self) -> Values:
        return Words(
            {new: old for old, new in self.exact.items()}, {new: old for old, new in self.prefixes.items()}
        )


class Step(Protocol):
    """One difference between a schema and the one before."""

    def undo(self, schema: Schema) -> None:
        """Take ``schema``, as it is after the step, back to before it.

        Raises
        ------
        KeyError : the schema has not what the step makes.
        """

    def carry(self, columns: dict[str, Columns]) -> None:
        """Take SQL of the columns of every table, by name, over the step."""


@dataclass(frozen=True)
class RenameTable:
    """The table ``old`` is called ``new``."""

    old: str
    new: str

    def undo(self, schema: Schema) -> None:
        schema[self.old] = replace(schema.pop(self.new), name=self.old)

    def carry(self, columns: dict[str, Columns]) -> None:
        columns[self.new] = columns.pop(self.old)


@dataclass(frozen=True)
class DropTable:
    """``table`` is gone."""

    table: Table

    def undo(self, schema: Schema) -> None:
        schema[self.table.name] = self.table

    def carry(self, columns: dict[str, Columns]) -> None:
        columns.pop(self.table.name)


@dataclass(frozen=True)
class RenameColumn:
    """The column ``old`` is called ``new``, or keeps its name, and its values change as ``values`` says."""

    table: str
    old: str
    new: str
    values: Values = SAME

    def undo(self, schema: Schema) -> None:
        table = schema[self.table]
        if self.new not in table.names:
            raise KeyError(f"{self.table}.{self.new}")
        renamed = (replace(c, name=self.old) if c.name == self.new else c for c in table.columns)
        schema[self.table] = replace(table, columns=tuple(renamed))

    def carry(self, columns: dict[str, Columns]) -> None:
        own = columns[self.table]
        own[self.new] = self.values.sql(own.pop(self.old))


@dataclass(frozen=True)
class DropColumn:
    """``column`` of ``table`` is gone."""

    table: str
    column: Column

    def undo(self, schema: Schema) -> None:
        table = schema[self.table]
        schema[self.table] = replace(table, columns=(*table.columns, self.column))

    def carry(self, columns: dict[str, Columns]) -> None:
        columns[self.table].pop(self.column.name)


@dataclass(frozen=True)
class AddColumn:
    """``column`` is new; ``sql`` tells its value from the other columns.

    A new column that is NULL in older rows needs no step: parts without it are read so.
    """

    table: str
    column: str
    sql: str

    def undo(self, schema: Schema) -> None:
        table = schema[self.table]
        if self.column not in table.names:
            raise KeyError(f"{self.table}.{self.column}")
        left = tuple(c for c in table.columns if c.name != self.column)
        schema[self.table] = replace(table, columns=left)

    def carry(self, columns: dict[str, Columns]) -> None:
        columns[self.table][self.column] = f"({self.sql})"


def untouched(columns: Columns) -> dict[str, str]:
    """Columns that are only passed on, new name to old name."""
    plain = {quote(name): name for name in _names(columns)}
    return {new: plain[sql] for new, sql in columns.items() if sql in plain}


def _names(columns: Columns) -> set[str]:
    return {
        sql[1:-1].replace('""', '"') for sql in columns.values() if sql.startswith('"') and sql.endswith('"')
    }

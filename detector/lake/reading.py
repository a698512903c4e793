"""What lies in a lake, read as the tables of this version: days, parts, relations, rows."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from detector.errors import LakeBusy
from detector.lake import views
from detector.lake.engine import Engine, literal, quote
from detector.lake.migration.shape import Shape, shape_of
from detector.lake.places import day_of
from detector.lake.rows import conform
from detector.lake.tables import Table, tables


class Reading:
    """The reading half of a store. Tables are named as they are today, whatever version wrote the lake.

    ``shape``: how the tables lie on disk.
    """

    root: Path
    data: Path
    engine: Engine
    shape: Shape
    #: Where the part without rows of the table in a folder lies.
    _empty: views.Empty

    def days(self, table: str) -> list[date]:
        """Days that have a partition, oldest first."""
        folders = self._home(table).glob("day=*")
        dated = [(day_of(p), p) for p in folders]
        return sorted(day for day, p in dated if day and any(p.glob("*.parquet")))

    def parts(self, table: str, day: date | None = None) -> list[Path]:
        """Parts of a table (or of one of its days), by name."""
        where = f"day={day}" if day else "*"
        return sorted(p for p in self._home(table).glob(f"{where}/*.parquet") if p.parent.name != "_")

    def relation(
        self, table: str, days: Iterable[date] | None = None, *, parts: list[Path] | None = None
    ) -> str:
        """SQL of a relation over all parts, the parts of ``days``, or ``parts``; typed also when empty.

        Raises
        ------
        LakeBusy : the lake was upgraded since it was opened.
        """
        if parts is None:
            parts = self.parts(table) if days is None else [p for d in days for p in self.parts(table, d)]
        if not self.shape.is_current:
            self._still_older()
        files = ", ".join(literal(str(p)) for p in [self.schema_part(table), *parts])
        source = f"read_parquet([{files}], hive_partitioning = false, union_by_name = true)"
        if self.shape.is_current:
            names = ", ".join(quote(n) for n in tables()[table].names)
            return f"(SELECT {names} FROM {source})"
        return f"({self.shape.select(table, source)})"

    def schema_part(self, table: str) -> Path:
        """The part without rows that gives a table its columns."""
        return self._empty(self.shape.folder(table))

    def table_of(self, part: Path) -> Table:
        """The table of today that a part in the lake is of.

        Raises
        ------
        KeyError : none.
        """
        folder = part.parent.parent.name
        return (
            next((t for t in tables().values() if self.shape.folder(t.name) == folder), None)
            or tables()[folder]
        )

    def is_empty(self) -> bool:
        """Whether no table holds a part."""
        return not any(self.parts(table) for table in tables())

    def newest(self, table: str, *, before: date | None = None) -> date | None:
        """Newest day of a table, or newest strictly before a day; of a state table, of the days that were run.

        The ledger of runs is written last: a partition it does not know of is left over, and tells no state.
        """
        days = [d for d in self.days(table) if before is None or d < before]
        if tables()[table].layout == "state":
            ran = frozenset(self.days("runs"))
            days = [d for d in days if d in ran]
        return days[-1] if days else None

    def read(self, table: str, day: date | None) -> pa.Table:
        """Rows of one day (no rows for None)."""
        days = [] if day is None else [day]
        rows = self.engine.query(f"SELECT * FROM {self.relation(table, days)}", of=table)
        return conform(tables()[table], rows)

    def view_sql(self) -> dict[str, str]:
        """The analysts' views without aliases: name to SELECT over absolute paths."""
        apart = not self.schema_part("runs").is_relative_to(self.data)
        return views.selects(self.data, self.shape, self._empty if apart else None)

    def rows_of(self, view: str, where: str = "true") -> list[dict[str, Any]]:
        """Rows of a view, as analysts see it; ``where`` is SQL."""
        rows = self.engine.query(f"SELECT * FROM ({self.view_sql()[view]}) WHERE {where}", of=view)
        return list(rows.to_pylist())

    def _home(self, table: str) -> Path:
        return self.data / self.shape.folder(table)

    def _still_older(self) -> None:
        """Columns that an upgrade renamed would read as NULL, so whoever reads across one has to begin anew."""
        if shape_of(self.root) is not self.shape:
            raise LakeBusy(f"{self.root}: the lake was upgraded meanwhile", hint="run this again")

"""The part without rows of every table: it gives a table its columns where no part holds any, or not all of them."""

from __future__ import annotations

import os
import tempfile
import uuid
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from detector.lake.access import Access
from detector.lake.migration.steps import Schema
from detector.lake.places import SCHEMA_PART
from detector.lake.rows import arrow_schema, schema_of


class Empties:
    """These parts of one lake. A reader who may not write into it gets them in a folder of its own."""

    def __init__(self, data: Path, access: Access, *, reading: bool) -> None:
        self._data = data
        self._access = access
        self._reading = reading
        self._own: tempfile.TemporaryDirectory[str] | None = None

    def path(self, folder: str) -> Path:
        """The part of the table in ``folder``."""
        if self._own:
            return part_apart(Path(self._own.name), folder)
        return self._data / folder / "_" / SCHEMA_PART

    def write(self, stored: Schema) -> None:
        """Write those of ``stored`` tables that are missing, damaged or of another version."""
        for table in stored.values():
            schema, path = arrow_schema(table.columns), self.path(table.name)
            if schema_of(path) == schema:
                continue
            try:
                self._access.make_folder(path.parent)
                write_empty(schema, path, self._access)
            except OSError:
                if not self._reading:
                    raise
                self._apart(stored)
                return

    def close(self) -> None:
        """Remove what a reader had of its own."""
        if self._own:
            self._own.cleanup()

    def _apart(self, stored: Schema) -> None:
        """For a reader who may not write into the lake: the parts in a folder of its own."""
        self._own = tempfile.TemporaryDirectory(prefix="hydrawatch-")
        write_apart(Path(self._own.name), stored)


def part_apart(home: Path, folder: str) -> Path:
    """Where ``write_apart`` puts the part of the table in ``folder``: named as no partition of a lake is."""
    return home / folder / "apart" / SCHEMA_PART


def write_apart(home: Path, stored: Schema) -> None:
    """Write the parts without rows of ``stored`` tables into a folder that is no lake."""
    for table in stored.values():
        path = part_apart(home, table.name)
        path.parent.mkdir(parents=True)
        pq.write_table(arrow_schema(table.columns).empty_table(), path)


def write_empty(schema: pa.Schema, path: Path, access: Access) -> None:
    """Write a part without rows aside, and rename it into place."""
    aside = path.with_name(f"{uuid.uuid4().hex}.new")
    try:
        pq.write_table(schema.empty_table(), aside)
        access.settle(aside)
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)

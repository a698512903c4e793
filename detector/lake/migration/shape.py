"""How the tables of a lake lie on disk, and how they are read as this version's tables.

Readers may not write, so an older lake is read through a ``Shape``: the same SQL that rewrites its parts stands between
them and whoever asks for today's columns.
"""

from __future__ import annotations

import json
import shlex
from functools import cache
from pathlib import Path

from detector import __version__
from detector.errors import LakeError, Location
from detector.lake.engine import quote
from detector.lake.migration.steps import Columns, Schema, untouched
from detector.lake.migration.versions import SCHEMA, VERSIONS, Version
from detector.lake.rows import schema_of
from detector.lake.tables import Table, tables


class Shape:
    """The tables of a lake whose schema has this ``number``.

    ``stored``: its tables by the name of their folder. ``changed``: today's tables whose parts do not fit them;
    ``retired``: folders that no table of today has.
    """

    def __init__(self, number: int, versions: tuple[Version, ...] = VERSIONS) -> None:
        self.number = number
        steps = [step for version in versions if version.number > number for step in version.steps]
        self.stored: Schema = dict(tables())
        for step in reversed(steps):
            step.undo(self.stored)
        own: dict[str, Columns] = {
            name: {c: quote(c) for c in table.names} for name, table in self.stored.items()
        }
        names = {id(columns): name for name, columns in own.items()}
        for step in steps:
            step.carry(own)
        self._columns = own
        self._folders = {name: names[id(columns)] for name, columns in own.items()}
        self.retired = tuple(sorted(set(self.stored) - set(tables())))
        self.changed = tuple(
            name
            for name, columns in own.items()
            if self._folders[name] != name or any(sql != quote(column) for column, sql in columns.items())
        )

    @property
    def is_current(self) -> bool:
        """Whether it is that of this version."""
        return self.number == SCHEMA

    @property
    def release(self) -> str:
        """The release that brought it."""
        return next(v.release for v in VERSIONS if v.number == self.number)

    def folder(self, table: str) -> str:
        """Name of the folder that holds a table of today."""
        return self._folders[table]

    def held(self, table: str) -> Table:
        """A table of today as it is stored."""
        return self.stored[self.folder(table)]

    def select(self, table: str, source: str) -> str:
        """SELECT of today's columns of a table from ``source``, SQL of a relation of its stored columns."""
        columns = self._columns[table]
        expressions = (
            quote(name) if columns[name] == quote(name) else f"{columns[name]} AS {quote(name)}"
            for name in tables()[table].names
        )
        return f"SELECT {', '.join(expressions)} FROM {source}"

    def carried(self, table: str) -> dict[str, str]:
        """Columns whose values stay as they are, by today's name: their stored name."""
        return untouched(self._columns[table])


@cache
def shape(number: int) -> Shape:
    """The shape of lakes of schema ``number``."""
    return Shape(number)


def shape_of(root: Path) -> Shape:
    """The shape of the lake at ``root``; that of this version where there is no lake yet.

    Raises
    ------
    LakeError : a later version wrote it.
    """
    number, release = _noted(root / "lake.json")
    if number is None:
        return shape(_told_by_folders(root / "data"))
    if number > SCHEMA:
        raise LakeError(
            f"this lake was written by hydrawatch {release or 'of a later version'} (schema {number}); this is "
            f"{__version__}, which knows schemas up to {SCHEMA}",
            at=Location(str(root)),
            hint="install that version or a later one: pip install --upgrade hydrawatch; "
            f"or fill a new lake from the logs: hydrawatch ingest PATH --lake {shlex.quote(str(root))}-new",
        )
    return shape(number)


def _noted(path: Path) -> tuple[int | None, str | None]:
    """Number of the schema in ``lake.json`` and the release that brought it; None: it is not said, or does not read."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        number, release = document.get("schema"), document.get("schema_by") or document.get("made_by")
    except (OSError, ValueError, AttributeError, RecursionError):
        return None, None
    is_number = isinstance(number, int) and not isinstance(number, bool) and number >= 1
    return number if is_number else None, str(release)[:40] if release else None


def _told_by_folders(data: Path) -> int:
    """The schema of a lake that does not say its own: the newest that explains what lies there.

    0.1.0 noted none, and the note may be lost: a folder that a later schema has no table for, or a column that it
    renamed, tells.
    """
    for version in VERSIONS[:-1]:
        older = shape(version.number)
        if any(any((data / name).glob("*/*.parquet")) for name in older.retired):
            return version.number
        for table in older.changed:
            gone = set(older.held(table).names) - set(tables()[table].names)
            part = schema_of(data / older.folder(table) / "_" / "empty.parquet")
            if part is not None and gone & set(part.names):
                return version.number
    return SCHEMA

"""Brings a lake of an earlier version to the tables of this one, all at once or not at all.

Every part of a table that changed is written anew, aside, and held against the old one. One journalled transaction
then puts the tables in their place; what was there stays in ``.before-upgrade`` until a run has ended well.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from detector import __version__
from detector.errors import HydrawatchError, LakeError, Location
from detector.lake.empties import write_empty
from detector.lake.engine import literal
from detector.lake.faults import fault
from detector.lake.journal import BEFORE, Plan, Step, in_order
from detector.lake.marks import Marks, dumps, read_marks
from detector.lake.migration.versions import SCHEMA
from detector.lake.places import PART, day_of, remove
from detector.lake.rows import arrow_schema, conform, write_part
from detector.lake.tables import tables
from detector.lake.transaction import checksum, decide, output_digest

if TYPE_CHECKING:
    from detector.lake.access import Access
    from detector.lake.reading import Reading

#: Name of the transaction, in its journal and in the points a test may stop it at.
NAME = "migrate"
#: The ledger that tells what is stored of every day that was run.
_LEDGER = "runs"
#: Its column that tells what is stored since an upgrade rewrote it.
_STORED = "stored_digest"


def upgrade(lake: Reading, access: Access, apply: Callable[[Path], None]) -> None:
    """Rewrite the tables of ``lake`` that changed since its version. Both locks are held.

    ``apply`` carries out a journal.

    Raises
    ------
    LakeError : a part does not read, or was not carried over whole; the lake is as it was.
    """
    plan_id = uuid.uuid4().hex
    staging = lake.root / "staging" / plan_id
    staging.mkdir()
    try:
        steps = _stage(lake, access, staging)
        remove(lake.root / BEFORE)  # of an upgrade before this one
        journal = decide(Plan(plan_id, NAME, in_order(steps)), lake.root, access)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    apply(journal)
    fault(f"{NAME}.applied")


def drop_before(root: Path) -> None:
    """Remove what an upgrade replaced, as one rename: a stop half-way leaves nothing that looks like it."""
    kept = root / BEFORE
    if kept.exists():
        aside = root / "staging" / uuid.uuid4().hex
        os.rename(kept, aside)
        fault(f"{NAME}.dropping")
        remove(aside)


def _stage(lake: Reading, access: Access, staging: Path) -> list[Step]:
    """The new tables and the new ``lake.json`` below ``staging``, and the steps that put them in their place."""
    shape, folder = lake.shape, staging / "replace"
    changed = [name for name in shape.changed if name != _LEDGER]
    written: dict[Path, Path] = {}
    for name in changed:
        written |= _rewrite(lake, access, name, folder / name)
    written |= _rewrite(lake, access, _LEDGER, folder / _LEDGER, _digests(lake, written))
    steps = [Step("replace", name) for name in (*changed, _LEDGER)]
    for name in shape.retired:
        access.make_folder(staging / "retire" / name)  # says so, where only the staging is left to tell
        steps.append(Step("retire", name))
    if marks := _marks(lake):
        access.make_folder(staging / "note")
        note = staging / "note" / "lake.json"
        note.write_text(dumps(marks), encoding="utf-8")
        access.settle(note)
        steps.append(Step("note", "lake.json"))
    return steps


def _marks(lake: Reading) -> Marks | None:
    """What ``lake.json`` tells from now on; None: it is damaged, and doctor has to see it."""
    try:
        marks = read_marks(lake.root)
    except HydrawatchError:
        return None
    today = {lake.shape.folder(name): name for name in tables()}
    names = sorted(today[name] for name in marks.tables if name in today)
    return replace(marks, tables=tuple(names), schema=SCHEMA, schema_by=__version__)


def _rewrite(
    lake: Reading, access: Access, table: str, home: Path, digests: dict[Path, str | None] | None = None
) -> dict[Path, Path]:
    """All parts of ``table`` as they are to be, below ``home``; old part to new one.

    ``digests``: of every part of ``runs``, what is stored of its day from now on.
    """
    access.make_folder(home / "_")
    write_empty(arrow_schema(tables()[table].columns), home / "_" / "empty.parquet", access)
    parts = {}
    for part in lake.parts(table):
        target = home / part.parent.name / part.name
        access.make_folder(target.parent)
        rows = carried(lake, table, part)
        if digests is not None and digests[part] is not None:
            rows = _with_digest(rows, digests[part])
        write_part(table, rows, target)
        access.settle(target)
        _compare(lake, table, part, target)
        parts[part] = target
        fault(f"{NAME}.part")
    return parts


def carried(lake: Reading, table: str, part: Path) -> pa.Table:
    """Rows of one old part as rows of ``table``.

    Raises
    ------
    QueryError : the part does not read.
    """
    paths = [str(lake.schema_part(table)), str(part)]
    files = ", ".join(literal(path) for path in paths)
    source = f"read_parquet([{files}], hive_partitioning = false, union_by_name = true)"
    return conform(tables()[table], lake.engine.query(lake.shape.select(table, source), of=table))


def _compare(lake: Reading, table: str, old: Path, new: Path) -> None:
    """Hold a part that was written against the one it is of: as many rows, and the same values where none change.

    Raises
    ------
    LakeError : they are not; nothing was changed.
    """
    before, after = pq.ParquetFile(old).read(), pq.ParquetFile(new).read()
    columns, wrong = set(lake.shape.held(table).names), None
    if new_already := sorted((set(tables()[table].names) - columns) & set(before.column_names)):
        wrong = f"it has column {new_already[0]} already"
    elif before.num_rows != after.num_rows:
        wrong = f"{after.num_rows:,} rows of {before.num_rows:,}"
    names = set(before.column_names)
    for name, was in lake.shape.carried(table).items():
        if name == _STORED:  # tells of the other parts
            continue
        if wrong is None and was in names and not _alike(before.column(was), after.column(name)):
            wrong = f"column {name} has other values"
    if wrong:
        raise LakeError(
            f"the upgrade of table {table} went wrong: {wrong}; nothing was changed",
            at=Location(str(old)),
            hint="keep the lake as it is and report this; the version that wrote it goes on with it",
        )


def _alike(before: pa.ChunkedArray, after: pa.ChunkedArray) -> bool:
    """Whether two columns hold the same values in the same order; NaN is NaN, NULL is NULL."""
    first, second = pl.Series(before), pl.Series(after)
    return first.dtype == second.dtype and first.equals(second, null_equal=True)


def _digests(lake: Reading, written: dict[Path, Path]) -> dict[Path, str | None]:
    """For every part of ``runs``: hash of what is stored of its day once ``written`` replaces the old parts.

    None where the old parts were not what the run stored, so that doctor goes on telling of it; a day of a run that
    told no hash has none either.
    """
    hashes: dict[Path, str | None] = {}
    names = [t.name for t in tables().values() if t.writer == "run" and t.name != _LEDGER]
    for ledger in lake.parts(_LEDGER):
        rows = carried(lake, _LEDGER, ledger)
        digests = rows.column("output_digest").to_pylist()
        stored = rows.column(_STORED).to_pylist()
        hashes[ledger] = None
        day = day_of(ledger.parent)
        if day is None or len(digests) != 1 or digests[0] is None:
            continue
        parts = [p for name in names for p in lake.parts(name, day) if p.name == PART]
        old = [(part, checksum(part)) for part in parts]
        if output_digest(lake.data, old) == (stored[0] or digests[0]):
            now = [
                (lake.data / new.relative_to(new.parents[2]), checksum(new))
                if (new := written.get(part))
                else (part, digest)
                for part, digest in old
            ]
            hashes[ledger] = output_digest(lake.data, now)
    return hashes


def _with_digest(rows: pa.Table, digest: str | None) -> pa.Table:
    """Rows of ``runs`` that tell ``digest`` as what is stored."""
    position = rows.column_names.index(_STORED)
    return rows.set_column(position, _STORED, pa.array([digest] * rows.num_rows, pa.string()))

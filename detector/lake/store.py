"""Where the tables lie: Parquet parts by table and day, changed only by journalled transactions.

    DIR/data/TABLE/day=YYYY-MM-DD/PART.parquet     one partition a day
    DIR/data/TABLE/_/empty.parquet                 no rows; the table's present columns
    DIR/staging/ID/...                             parts of a transaction under way
    DIR/journal/ID.json                            a transaction that is decided but perhaps not done

A transaction writes its parts aside, then its journal (the moment of decision), then renames. What a crash
leaves is undone (no journal) or finished (journal) by the next writer; readers see whole parts only.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shlex
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from detector.errors import ConfigError, LakeBusy, LakeError, TableMismatch
from detector.lake.access import Access, access_of, make_lake
from detector.lake.engine import DuckDB, Rows, literal, write_views
from detector.lake.journal import Kind, Plan, Step, in_order, read_plan
from detector.lake.tables import Table, tables
from detector.lake.trouble import in_words, told_of
from features.schema import ELICITATION_KINDS
from features.spec import Column
from features.types import TYPES

#: Columns whose values hardly repeat: a Parquet dictionary would only cost time.
_PLAIN = {
    "request_id", "ts", "content_keys", "prompt_sketch", "latency_ms", "ttft_ms", "prompt_hash", "line",
    "elicitation_score", *(f"elicit_{kind}" for kind in ELICITATION_KINDS),
}  # fmt: skip
#: Columns of bytes that hardly shrink: to compress them would only cost time, here and whenever they are read.
_DENSE = {"prompt_sketch"}
#: Columns nobody looks a range up in: their least and greatest value would be kept for nothing.
_UNRANGED = {"content_keys", "prompt_sketch", "system_sketch"}

#: Name of the one part that a run writes of a table and day.
PART = "part.parquet"
#: Name of the part without rows of a table, in its folder ``_``.
SCHEMA_PART = "empty.parquet"

_DAY = re.compile(r"day=\d{4}-\d\d-\d\d")
#: How often, and after what wait, a writer tries to take the lock.
_LOCK_TRIES, _LOCK_WAIT_S = 10, 0.05

#: Points at which a test may kill the process: ``HYDRAWATCH_FAULT=<point>``.
FAULT_POINTS = (
    "ingest.staged", "ingest.journalled", "ingest.half", "ingest.applied",
    "run.staged", "run.journalled", "run.half", "run.applied",
    "deliver.issued", "deliver.sending", "deliver.sent", "deliver.staged", "deliver.applied",
    "views.written",
)  # fmt: skip


def fault(point: str) -> None:
    """Die here, as a power cut would, when the environment names this point."""
    if os.environ.get("HYDRAWATCH_FAULT") == point:
        os._exit(137)


def arrow_schema(columns: Iterable[Column]) -> pa.Schema:
    """The Arrow schema of declared columns."""
    return pa.schema([pa.field(c.name, TYPES[c.type].arrow) for c in columns])


def _leaves(kind: pa.DataType, path: str) -> list[str]:
    """Parquet's names of the plain columns that a column of this type is stored as."""
    if pa.types.is_map(kind):
        entry = f"{path}.key_value"
        return [*_leaves(kind.key_type, f"{entry}.key"), *_leaves(kind.item_type, f"{entry}.value")]
    if pa.types.is_list(kind):
        return _leaves(kind.value_type, f"{path}.list.element")
    return [path]


def conform(table: Table, rows: Rows) -> pa.Table:
    """``rows`` in the declared columns and types of ``table``.

    Raises
    ------
    TableMismatch : a column is missing, one too many, or a value does not fit its type.
    """
    found = rows if isinstance(rows, pa.Table) else rows.to_arrow()
    missing = [n for n in table.names if n not in found.column_names]
    extra = [n for n in found.column_names if n not in table.names]
    if missing or extra:
        raise TableMismatch(
            f"table {table.name}: missing columns {missing}, unexpected columns {extra}",
            hint=f"see: hydrawatch tables {table.name}",
        )
    found = found.select(list(table.names))
    for position, column in enumerate(table.columns):
        if column.type.startswith("MAP") and not pa.types.is_map(found.schema.field(position).type):
            found = found.set_column(position, column.name, _as_map(found.column(position)))
    try:
        return found.cast(arrow_schema(table.columns))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise TableMismatch(
            f"table {table.name}: {error}", hint=f"see: hydrawatch tables {table.name}"
        ) from error


def _as_map(entries: pa.ChunkedArray) -> pa.Array:
    """A map column from lists of (key, value) structs, as polars holds maps."""
    kind = TYPES["MAP(VARCHAR, VARCHAR[])"].arrow
    if pa.types.is_null(entries.type):
        return pa.nulls(len(entries), kind)
    lists = entries.combine_chunks().cast(
        pa.list_(pa.struct([("key", kind.key_type), ("value", kind.item_type)]))
    )
    flat = lists.flatten()
    offsets = pa.array([0, *np.cumsum(pc.fill_null(pc.list_value_length(lists), 0).to_numpy())], pa.int32())
    return pa.MapArray.from_arrays(offsets, flat.field("key"), flat.field("value"), mask=lists.is_null())


class Store:
    """The lake's files.

    Opened for writing it makes what is missing and puts right what a crash left; changes take the lock. Opened
    for ``reading`` it makes and locks nothing: a lake that may only be read is read as it is.

    Parameters
    ----------
    spill : let the engine put on disk what its memory cannot hold, in ``staging/``. Off unless asked for: what
        passes the engine during ingest is text, and text never reaches a disk.
    as_found : leave everything as it is, for ``doctor``, who tells what was wrong; see ``put_right``.
    group : group that may read a new lake (``lake_group``); a lake that is there keeps what it has.

    Raises
    ------
    ConfigError : ``reading``: there is no lake; ``lake_group`` is no group of the caller's.
    LakeError : no permission, a full disk, a damaged journal.
    """

    def __init__(
        self,
        root: Path,
        *,
        threads: int | None = None,
        memory_gb: float | None = None,
        spill: bool = False,
        reading: bool = False,
        as_found: bool = False,
        group: str | None = None,
    ) -> None:
        self.root = root.absolute()
        self.data = self.root / "data"
        self._lock: int | None = None
        self._reading = reading
        self._schemas: tempfile.TemporaryDirectory[str] | None = None
        self._views_written = False
        self._spill = self.root / "staging" / f"spill-{uuid.uuid4().hex}" if spill and not reading else None
        with in_words(self.root):
            if reading and not is_lake(self.root):
                raise ConfigError(
                    f"{root} is not a lake",
                    hint=f"make one: hydrawatch ingest PATH --lake {shlex.quote(str(root))}",
                )
            new = not self.data.exists()
            self._access = make_lake(self.root, group) if new else access_of(self.data)
            if not reading:
                for folder in (self.data, self.root / "journal", self.root / "staging"):
                    self._access.make_folder(folder)
            if not as_found:
                self.put_right()
        self.engine = DuckDB(threads=threads, memory_gb=memory_gb, spill=self._spill)

    def put_right(self) -> None:
        """Schemas of this version, and nothing left of a crash; a reader does what it is allowed to."""
        try:
            staging = self.root / "staging"
            if not self._reading:
                staging.chmod(0o700)
            self.write_schemas()
            self._sweep()
        except OSError:
            if not self._reading:
                raise
        except LakeError:  # a damaged journal: doctor tells of it, and what is there can be read meanwhile
            if not self._reading:
                raise

    @property
    def access(self) -> Access:
        """Mode, group and owner of what is added to this lake."""
        return self._access

    # -- reading ---------------------------------------------------------------------------------------

    def days(self, table: str) -> list[date]:
        """Days that have a partition, oldest first."""
        found = (self.data / table).glob("day=*")
        dated = [(day_of(p), p) for p in found]
        return sorted(day for day, p in dated if day and any(p.glob("*.parquet")))

    def parts(self, table: str, day: date | None = None) -> list[Path]:
        """Parts of a table (or of one of its days), by name."""
        where = f"day={day}" if day else "*"
        return sorted(p for p in (self.data / table).glob(f"{where}/*.parquet") if p.parent.name != "_")

    def relation(
        self, table: str, days: Iterable[date] | None = None, *, parts: list[Path] | None = None
    ) -> str:
        """SQL of a relation over all parts, the parts of ``days``, or ``parts``; typed also when empty."""
        spec = tables()[table]
        if parts is None:
            parts = self.parts(table) if days is None else [p for d in days for p in self.parts(table, d)]
        files = ", ".join(literal(str(p)) for p in [self.schema_part(table), *parts])
        names = ", ".join(f'"{n}"' for n in spec.names)
        return (
            f"(SELECT {names} FROM read_parquet([{files}], hive_partitioning = false, union_by_name = true))"
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
        return conform(
            tables()[table], self.engine.query(f"SELECT * FROM {self.relation(table, days)}", of=table)
        )

    # -- writing ---------------------------------------------------------------------------------------

    @contextmanager
    def exclusive(self, *, patient: bool = True) -> Iterator[None]:
        """Hold the lake's lock; finish or undo what a crash left. Nested calls hold it once.

        ``patient``: wait half a second for whoever holds it, as a reader that clears up does for a moment.

        Raises
        ------
        LakeBusy : another process holds it.
        LakeError : a crash left a journal that is damaged.
        """
        if self._lock is not None:
            yield
            return
        with self.locked(patient=patient):
            self.repair()
            yield

    @contextmanager
    def locked(self, *, patient: bool = True) -> Iterator[None]:
        """Hold the lake's lock and leave everything as it is found; see ``exclusive``."""
        busy = LakeBusy(
            f"{self.root}: another hydrawatch process is writing", hint="wait for it, then run this again"
        )
        with self._held("lock", busy, tries=_LOCK_TRIES if patient else 1) as handle:
            self._lock = handle
            try:
                yield
            finally:
                self._lock = None

    @contextmanager
    def _held(self, name: str, busy: LakeBusy, *, tries: int = 1) -> Iterator[int]:
        """Hold the lock on a file of the lake's folder, which is made where there is none; ``busy`` when others do."""
        path = self.root / name
        new = not path.exists()
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if new:
                self._access.settle(path)
            for left in reversed(range(tries)):
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if not left:
                        raise busy from None
                    time.sleep(_LOCK_WAIT_S)
            yield handle
        finally:
            os.close(handle)

    @contextmanager
    def transaction(self, name: str) -> Iterator[Transaction]:
        """All parts added inside become visible together, or none of them."""
        with self.exclusive():
            txn = Transaction(self, name)
            try:
                yield txn
            except BaseException:
                shutil.rmtree(txn.staging, ignore_errors=True)
                raise
            txn.commit()

    @contextmanager
    def delivering(self) -> Iterator[int]:
        """Hold the lock of ``deliver``, which is not the writers': a receiver may take minutes, logs come meanwhile.

        Yields the lock's file, in which the holder notes what is on its way.

        Raises
        ------
        LakeBusy : another ``deliver`` of this lake is at work.
        """
        busy = LakeBusy(
            f"{self.root}: another hydrawatch deliver is at work",
            hint="wait for it; what it does not send, the next one does",
        )
        with self._held("deliver.lock", busy) as handle:
            yield handle

    def append(self, table: str, rows: Rows) -> None:
        """Add one part to a ledger that has one writer with a lock of its own: written aside, then renamed.

        Needs neither the writers' lock nor a journal, since one rename is all or nothing.
        """
        folder = self.data / table / "all"
        self._access.make_folder(folder)
        name = uuid.uuid4().hex
        aside = folder / f"{name}.new"
        try:
            write_part(table, rows, aside)
            self._access.settle(aside)
            sync(aside)
            fault("deliver.staged")
            os.replace(aside, folder / f"{name}.parquet")
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
        sync(folder)
        fault("deliver.applied")

    def apply(self, journal: Path) -> None:
        """Carry out a decided transaction; doing it twice is harmless.

        Raises
        ------
        LakeError : the journal is damaged.
        """
        self.carry_out(read_plan(journal, self.root))
        journal.unlink()

    def carry_out(self, plan: Plan) -> None:
        """Move what a transaction staged to where it is read; what was moved before is left alone."""
        staging = self.root / "staging" / plan.id
        changed = {self.data}
        for position, step in enumerate(plan.steps):
            source, target = staging / step.staged, self.data / step.place
            if step.kind == "remove":
                target.unlink(missing_ok=True)
            elif step.kind == "drop" or source.exists():
                if step.kind != "add" and target.exists():
                    old = staging / "old" / step.place
                    self._access.make_folder(old.parent)
                    shutil.rmtree(old, ignore_errors=True)
                    os.rename(target, old)
                if step.kind != "drop":
                    self._access.make_folder(target.parent)
                    os.replace(source, target)
            changed |= {f for f in (target.parent, target.parent.parent) if f.exists()}
            if position == len(plan.steps) // 2:
                fault(f"{plan.name}.half")
        for folder in sorted(changed):
            sync(folder)  # before the journal goes: a power cut must not take what it promised
        shutil.rmtree(staging, ignore_errors=True)

    def _sweep(self) -> None:
        """Finish or undo what a crash left, unless a process is at work on it."""
        if any((self.root / "journal").iterdir()) or any((self.root / "staging").iterdir()):
            try:
                with self.exclusive(patient=False):
                    pass  # taking the lock repairs
            except LakeBusy:
                pass  # then it is not left, but in use

    def repair(self) -> None:
        """Finish transactions that were decided, undo the others. The lock is held.

        Raises
        ------
        LakeError : a journal is damaged.
        """
        for journal in sorted((self.root / "journal").glob("*.json")):
            self.apply(journal)
        for left in [*(self.root / "journal").glob("*.new"), *(self.root / "staging").iterdir()]:
            if left != self._spill:
                remove(left)

    # -- schemas and views -----------------------------------------------------------------------------

    def schema_part(self, table: str) -> Path:
        """The part without rows that gives a table its present columns."""
        if self._schemas:
            return Path(self._schemas.name) / f"{table}.parquet"
        return self.data / table / "_" / SCHEMA_PART

    def write_schemas(self) -> None:
        """Write the parts without rows that are missing, damaged or of another version."""
        for table in tables().values():
            schema, path = arrow_schema(table.columns), self.schema_part(table.name)
            if schema_of(path) == schema:
                continue
            try:
                self._access.make_folder(path.parent)
                self._write_schema(schema, path)
            except OSError:
                if not self._reading:
                    raise
                self._own_schemas()
                return

    def _write_schema(self, schema: pa.Schema, path: Path) -> None:
        aside = path.with_name(f"{uuid.uuid4().hex}.new")
        try:
            pq.write_table(schema.empty_table(), aside)
            self._access.settle(aside)
            os.replace(aside, path)
        finally:
            aside.unlink(missing_ok=True)

    def _own_schemas(self) -> None:
        """For a reader who may not write into the lake: this version's schemas in a folder of its own."""
        self._schemas = tempfile.TemporaryDirectory(prefix="hydrawatch-")
        for table in tables().values():
            pq.write_table(arrow_schema(table.columns).empty_table(), self.schema_part(table.name))

    def view_sql(self) -> dict[str, str]:
        """The analysts' views: name to SELECT over absolute paths; state tables show the newest day run."""

        def source(table: str) -> str:
            everything = literal(str(self.data / table / "*" / "*.parquet"))
            return f"read_parquet({everything}, hive_partitioning = false, union_by_name = true)"

        views = {}
        for table in tables().values():
            names = ", ".join(f'"{n}"' for n in table.names)
            newest = f" WHERE day = (SELECT max(day) FROM {source('runs')})"
            where = newest if table.layout == "state" else ""
            views[table.name] = f"SELECT {names} FROM {source(table.name)}{where}"
        return views

    def rows_of(self, view: str, where: str = "true") -> list[dict[str, Any]]:
        """Rows of a view, as analysts see it; ``where`` is SQL."""
        found = self.engine.query(f"SELECT * FROM ({self.view_sql()[view]}) WHERE {where}", of=view)
        return list(found.to_pylist())

    def write_views(self) -> None:
        """(Re)write ``DIR/hydrawatch.duckdb``, once: views name folders, so that new parts change nothing in them."""
        path = self.root / "hydrawatch.duckdb"
        if not (self._views_written and path.is_file()):
            write_views(path, self.view_sql(), settle=self._access.settle)
            self._views_written = True
        fault("views.written")

    def close(self) -> None:
        self.engine.close()
        if self._schemas:
            self._schemas.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if error and (told := told_of(error, self.root)):
            raise told from error


class Transaction:
    """Parts staged aside; see ``Store.transaction``."""

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._name = name
        self._id = uuid.uuid4().hex
        self._access = store.access
        self.staging = store.root / "staging" / self._id
        self.staging.mkdir()
        self._added: list[str] = []
        self._swapped: list[str] = []
        self._removed: list[str] = []
        self._dropped: list[str] = []

    def add(self, table: str, rows: Rows, *, day: date | None = None, part: str) -> None:
        """Add one part beside those that are there. ``part`` is a file name ending in .parquet."""
        where = f"{table}/day={day}/{part}" if day else f"{table}/all/{part}"
        self._write(table, rows, f"add/{where}")
        self._added.append(where)

    def remove(self, part: Path) -> None:
        """Remove a part that lies in the lake (``Store.parts``). Its name must not be added again."""
        self._removed.append(str(part.relative_to(self._store.data)))

    def swap(self, table: str, rows: Rows, *, day: date) -> None:
        """Replace the whole partition of ``day`` by ``rows``."""
        where = f"{table}/day={day}"
        self._write(table, rows, f"swap/{where}/{PART}")
        self._swapped.append(where)

    def folder(self) -> Path:
        """A folder of this transaction's own, for parts that are to be adopted."""
        made = self.staging / "parts"
        self._access.make_folder(made)
        return made

    def adopt(self, table: str, path: Path, *, day: date, part: str) -> None:
        """Add a part that was written by ``write_part`` below ``staging``; it is moved."""
        where = f"{table}/day={day}/{part}"
        target = self._place(f"add/{where}")
        os.rename(path, target)
        self._access.settle(target)
        self._added.append(where)

    def drop(self, table: str, *, day: date) -> None:
        """Remove the partition of ``day``, if there is one."""
        self._dropped.append(f"{table}/day={day}")

    def digest(self) -> str:
        """Hash of all parts written so far: the same rows give the same digest."""
        told = []
        for part in self.staging.rglob("*.parquet"):
            with part.open("rb") as content:
                told.append((part, hashlib.file_digest(content, "sha256").hexdigest()))
        return output_digest(self.staging / "swap", told)

    def _write(self, table: str, rows: Rows, where: str) -> None:
        path = self._place(where)
        write_part(table, rows, path)
        self._access.settle(path)

    def _place(self, where: str) -> Path:
        path = self.staging / where
        self._access.make_folder(path.parent)
        if path.exists():
            raise LakeError(f"part {where} was written twice in one transaction")
        return path

    def commit(self) -> None:
        """Decide, then rename. The ``runs`` and ``files`` ledgers come last."""
        if not (self._added or self._swapped or self._removed or self._dropped):
            shutil.rmtree(self.staging)
            return
        if again := sorted(set(self._added) & set(self._removed)):
            raise LakeError(f"part {again[0]} was removed and added in one transaction")
        kinds: dict[Kind, list[str]] = {
            "swap": self._swapped, "add": self._added, "remove": self._removed, "drop": self._dropped,
        }  # fmt: skip
        steps = [Step(kind, place) for kind, places in kinds.items() for place in dict.fromkeys(places)]
        fault(f"{self._name}.staged")
        for path in self.staging.rglob("*"):
            sync(path)  # folders too: they hold the names
        sync(self.staging)
        sync(self.staging.parent)
        journal = self._store.root / "journal" / f"{self._id}.json"
        aside = journal.with_suffix(".new")
        aside.write_text(Plan(self._id, self._name, in_order(steps)).dumps())
        self._access.settle(aside)
        sync(aside)
        os.replace(aside, journal)
        sync(journal.parent)
        fault(f"{self._name}.journalled")
        self._store.apply(journal)
        fault(f"{self._name}.applied")


def output_digest(data: Path, parts: Iterable[tuple[Path, str]]) -> str:
    """Hash of the parts of a run below ``data`` with their checksums, as ``runs`` keeps it."""
    told = sorted((f"swap/{part.relative_to(data)}", checksum) for part, checksum in parts)
    return hashlib.sha256(repr(told).encode()).hexdigest()[:32]


def write_part(table: str, rows: Rows, path: Path) -> None:
    """Write ``rows`` of ``table`` as one Parquet file."""
    spec = tables()[table]
    dictionary = [n for n in spec.names if n not in _PLAIN]
    paths = [path for field in arrow_schema(spec.columns) for path in _leaves(field.type, field.name)]
    pq.write_table(
        conform(spec, rows),
        path,
        compression={path: "none" if path in _DENSE else "zstd" for path in paths},
        compression_level={path: 1 for path in paths if path not in _DENSE},
        use_dictionary=dictionary,
        write_statistics=[n for n in spec.names if n not in _UNRANGED],
        row_group_size=122_880,
        write_page_checksum=True,  # so that doctor can tell damage from odd values
    )


def is_lake(root: Path) -> bool:
    """Whether there is a lake at ``root``.

    Raises
    ------
    LakeError : no permission to look.
    """
    with in_words(root.absolute()):
        return (root.absolute() / "data").is_dir()


def sync(path: Path) -> None:
    """Have a file, or the names in a folder, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def day_of(folder: Path) -> date | None:
    """Day of a partition's folder; None: its name is not of one."""
    try:
        return date.fromisoformat(folder.name.removeprefix("day=")) if _DAY.fullmatch(folder.name) else None
    except ValueError:
        return None


def remove(path: Path) -> None:
    """Remove a file, a link or a folder with all that is in it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def schema_of(path: Path) -> pa.Schema | None:
    """Columns of a part; None where there is none, or one that does not read."""
    try:
        return pq.read_schema(path)
    except Exception:  # damage raises whatever the decoder happened to do with it
        return None


def empty(table: str) -> pl.DataFrame:
    """No rows, in the columns of ``table``."""
    made = pl.from_arrow(arrow_schema(tables()[table].columns).empty_table())
    assert isinstance(made, pl.DataFrame)
    return made

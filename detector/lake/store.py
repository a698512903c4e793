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
import json
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from detector.errors import LakeBusy, LakeError, TableMismatch
from detector.lake.engine import DuckDB, Rows, literal, write_views
from detector.lake.tables import Table, tables
from features.schema import ELICITATION_KINDS
from features.spec import Column

_ARROW = {
    "VARCHAR": pa.string(),
    "TIMESTAMP": pa.timestamp("us"),
    "DATE": pa.date32(),
    "BIGINT": pa.int64(),
    "INTEGER": pa.int32(),
    "UBIGINT": pa.uint64(),
    "DOUBLE": pa.float64(),
    "BOOLEAN": pa.bool_(),
    "BLOB": pa.binary(),
    "UBIGINT[]": pa.list_(pa.uint64()),
    "VARCHAR[]": pa.list_(pa.string()),
    "MAP(VARCHAR, VARCHAR[])": pa.map_(pa.string(), pa.list_(pa.string())),
}
#: Columns whose values hardly repeat: a Parquet dictionary would only cost time.
_PLAIN = {
    "request_id", "ts", "content_keys", "prompt_sketch", "latency_ms", "ttft_ms", "prompt_hash", "line",
    "elicitation_score", *(f"elicit_{kind}" for kind in ELICITATION_KINDS),
}  # fmt: skip
#: Columns of bytes that hardly shrink: to compress them would only cost time, here and whenever they are read.
_DENSE = {"prompt_sketch"}
#: Columns nobody looks a range up in: their least and greatest value would be kept for nothing.
_UNRANGED = {"content_keys", "prompt_sketch", "system_sketch"}

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
    return pa.schema([pa.field(c.name, _ARROW[c.type]) for c in columns])


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
    kind = _ARROW["MAP(VARCHAR, VARCHAR[])"]
    if pa.types.is_null(entries.type):
        return pa.nulls(len(entries), kind)
    lists = entries.combine_chunks().cast(
        pa.list_(pa.struct([("key", kind.key_type), ("value", kind.item_type)]))
    )
    flat = lists.flatten()
    offsets = pa.array([0, *np.cumsum(pc.fill_null(pc.list_value_length(lists), 0).to_numpy())], pa.int32())
    return pa.MapArray.from_arrays(offsets, flat.field("key"), flat.field("value"), mask=lists.is_null())


class Store:
    """The lake's files. Opening makes the folders that are missing; writing takes the lock."""

    def __init__(self, root: Path, *, threads: int | None = None, memory_gb: float | None = None) -> None:
        self.root = root.absolute()
        self.data = self.root / "data"
        self._lock: int | None = None
        for folder in (self.data, self.root / "journal", self.root / "staging"):
            folder.mkdir(parents=True, exist_ok=True)
        self.engine = DuckDB(threads=threads, memory_gb=memory_gb, spill=self.root / "staging" / "spill")
        self._write_schemas()
        if any((self.root / "journal").iterdir()):
            with suppress(LakeBusy), self.exclusive():
                pass  # taking the lock repairs; whoever holds it is alive, and ends what it began

    # -- reading ---------------------------------------------------------------------------------------

    def days(self, table: str) -> list[date]:
        """Days that have a partition, oldest first."""
        found = (self.data / table).glob("day=*")
        return sorted(date.fromisoformat(p.name[4:]) for p in found if any(p.glob("*.parquet")))

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
        files = ", ".join(literal(str(p)) for p in [self._schema_part(table), *parts])
        names = ", ".join(f'"{n}"' for n in spec.names)
        return (
            f"(SELECT {names} FROM read_parquet([{files}], hive_partitioning = false, union_by_name = true))"
        )

    def newest(self, table: str, *, before: date | None = None) -> date | None:
        """Newest day of a table, or newest strictly before a day."""
        days = [d for d in self.days(table) if before is None or d < before]
        return days[-1] if days else None

    def read(self, table: str, day: date | None) -> pa.Table:
        """Rows of one day (no rows for None)."""
        days = [] if day is None else [day]
        return conform(
            tables()[table], self.engine.query(f"SELECT * FROM {self.relation(table, days)}", of=table)
        )

    # -- writing ---------------------------------------------------------------------------------------

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the lake's lock; finish or undo what a crash left. Nested calls hold it once.

        Raises
        ------
        LakeBusy : another process holds it.
        """
        if self._lock is not None:
            yield
            return
        handle = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise LakeBusy(
                    f"{self.root}: another hydrawatch process is writing",
                    hint="wait for it, then run this again",
                ) from None
            self._lock = handle
            self._repair()
            yield
        finally:
            self._lock = None
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
        handle = os.open(self.root / "deliver.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise LakeBusy(
                    f"{self.root}: another hydrawatch deliver is at work",
                    hint="wait for it; what it does not send, the next one does",
                ) from None
            yield handle
        finally:
            os.close(handle)

    def append(self, table: str, rows: Rows) -> None:
        """Add one part to a ledger that has one writer with a lock of its own: written aside, then renamed.

        Needs neither the writers' lock nor a journal, since one rename is all or nothing.
        """
        folder = self.data / table / "all"
        folder.mkdir(parents=True, exist_ok=True)
        name = uuid.uuid4().hex
        aside = folder / f"{name}.new"
        try:
            _write_part(tables()[table], rows, aside)
            _sync(aside)
            fault("deliver.staged")
            os.replace(aside, folder / f"{name}.parquet")
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
        _sync(folder)
        fault("deliver.applied")

    def apply(self, journal: Path) -> None:
        """Carry out a decided transaction; doing it twice is harmless."""
        plan = json.loads(journal.read_text())
        staging = self.root / "staging" / plan["id"]
        for position, step in enumerate(plan["steps"]):
            source, target = staging / step["from"], self.data / step["to"]
            if step["kind"] == "swap":
                old = staging / "old" / step["to"]
                if source.exists():
                    if target.exists():
                        old.parent.mkdir(parents=True, exist_ok=True)
                        shutil.rmtree(old, ignore_errors=True)
                        os.rename(target, old)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    os.rename(source, target)
            elif source.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(source, target)
            if position == len(plan["steps"]) // 2:
                fault(f"{plan['name']}.half")
        journal.unlink()
        shutil.rmtree(staging, ignore_errors=True)

    def _repair(self) -> None:
        for journal in sorted((self.root / "journal").glob("*.json")):
            self.apply(journal)
        for left in (self.root / "journal").glob("*.new"):
            left.unlink()
        for left in (self.root / "staging").iterdir():
            if left.name != "spill":
                shutil.rmtree(left, ignore_errors=True)

    # -- schemas and views -----------------------------------------------------------------------------

    def _schema_part(self, table: str) -> Path:
        return self.data / table / "_" / "empty.parquet"

    def _write_schemas(self) -> None:
        for table in tables().values():
            schema, path = arrow_schema(table.columns), self._schema_part(table.name)
            if path.exists() and pq.read_schema(path).equals(schema):
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            aside = path.with_name(f"{uuid.uuid4().hex}.new")
            pq.write_table(schema.empty_table(), aside)
            os.replace(aside, path)

    def view_sql(self) -> dict[str, str]:
        """The analysts' views: name to SELECT over absolute paths; state tables show their newest day."""
        views = {}
        for table in tables().values():
            everything = literal(str(self.data / table.name / "*" / "*.parquet"))
            names = ", ".join(f'"{n}"' for n in table.names)
            source = f"read_parquet({everything}, hive_partitioning = false, union_by_name = true)"
            where = f" WHERE day = (SELECT max(day) FROM {source})" if table.layout == "state" else ""
            views[table.name] = f"SELECT {names} FROM {source}{where}"
        return views

    def write_views(self) -> None:
        """(Re)write ``DIR/hydrawatch.duckdb``."""
        write_views(self.root / "hydrawatch.duckdb", self.view_sql())
        fault("views.written")

    def close(self) -> None:
        self.engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Transaction:
    """Parts staged aside; see ``Store.transaction``."""

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._name = name
        self._id = uuid.uuid4().hex
        self.staging = store.root / "staging" / self._id
        self.staging.mkdir(parents=True)
        self._added: list[str] = []
        self._swapped: list[str] = []

    def add(self, table: str, rows: Rows, *, day: date | None = None, part: str) -> None:
        """Add one part beside those that are there. ``part`` is a file name ending in .parquet."""
        where = f"{table}/day={day}/{part}" if day else f"{table}/all/{part}"
        self._write(table, rows, f"add/{where}")
        self._added.append(where)

    def swap(self, table: str, rows: Rows, *, day: date) -> None:
        """Replace the whole partition of ``day`` by ``rows``."""
        where = f"{table}/day={day}"
        self._write(table, rows, f"swap/{where}/part.parquet")
        self._swapped.append(where)

    def _write(self, table: str, rows: Rows, where: str) -> None:
        spec = tables()[table]
        path = self.staging / where
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            raise LakeError(f"part {where} was written twice in one transaction")
        _write_part(spec, rows, path)

    def commit(self) -> None:
        """Decide, then rename. The ``runs`` and ``files`` ledgers come last."""
        if not self._added and not self._swapped:
            shutil.rmtree(self.staging)
            return
        steps = [{"kind": "swap", "from": f"swap/{w}", "to": w} for w in self._swapped]
        steps += [{"kind": "add", "from": f"add/{w}", "to": w} for w in self._added]
        steps.sort(key=lambda s: (s["to"].split("/")[0] in ("runs", "files"), s["to"]))
        fault(f"{self._name}.staged")
        for path in self.staging.rglob("*.parquet"):
            _sync(path)
        journal = self._store.root / "journal" / f"{self._id}.json"
        aside = journal.with_suffix(".new")
        aside.write_text(json.dumps({"id": self._id, "name": self._name, "steps": steps}))
        _sync(aside)
        os.replace(aside, journal)
        fault(f"{self._name}.journalled")
        self._store.apply(journal)
        fault(f"{self._name}.applied")


def _write_part(spec: Table, rows: Rows, path: Path) -> None:
    """``rows`` as one Parquet file in the columns of ``spec``."""
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
    )


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def empty(table: str) -> pl.DataFrame:
    """No rows, in the columns of ``table``."""
    made = pl.from_arrow(arrow_schema(tables()[table].columns).empty_table())
    assert isinstance(made, pl.DataFrame)
    return made

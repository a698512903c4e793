"""The embedded engine: DuckDB in this process, over one connection."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb
import pyarrow as pa

from detector.errors import OutOfMemory, QueryError
from detector.lake.engine import Rows, quote
from features import compose

NO_EXTENSIONS: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}


class DuckDB:
    """The embedded engine: one connection, in memory.

    When memory runs short it spills to ``spill``. Without such a folder it never writes to disk, not even to
    the working directory, as DuckDB would by default: ingest holds text, which must not reach a disk.
    """

    def __init__(
        self, *, threads: int | None = None, memory_gb: float | None = None, spill: Path | None = None
    ) -> None:
        config: dict[str, Any] = dict(NO_EXTENSIONS)
        if threads:
            config["threads"] = threads
        if memory_gb:
            config["memory_limit"] = f"{memory_gb:g}GB"
        config["temp_directory"] = str(spill) if spill else ""
        self._con = duckdb.connect(":memory:", config=config)
        self._con.execute("SET TimeZone = 'UTC'").fetchall()
        self._con.execute("SET enable_progress_bar = false").fetchall()
        for statement in compose.create_macros():
            self._con.execute(statement).fetchall()

    def bind(self, name: str, rows: Rows | str) -> None:
        self.unbind(name)
        if isinstance(rows, str):
            self._run(f"CREATE TEMP VIEW {quote(name)} AS SELECT * FROM {rows}", name)
        else:
            self._con.register(name, rows if isinstance(rows, pa.Table) else rows.to_arrow())

    def materialise(self, name: str, rows: str) -> None:
        """Bind ``name`` to the *result* of the relation ``rows``, held in the engine's own memory."""
        self.unbind(name)
        self._run(f"CREATE TEMP TABLE {quote(name)} AS SELECT * FROM {rows}", name)

    def unbind(self, name: str) -> None:
        self._con.unregister(name)
        for what in ("VIEW", "TABLE"):
            try:
                self._con.execute(f"DROP {what} IF EXISTS temp.{quote(name)}").fetchall()
            except duckdb.CatalogException:  # it is the other of the two
                continue

    def query(self, sql: str, *, of: str = "statement") -> pa.Table:
        """Run one statement and return all its rows.

        Raises
        ------
        OutOfMemory : it needs more than ``memory_gb``.
        QueryError : DuckDB refused it; the message names ``of``.
        """
        try:
            return self._con.sql(sql).to_arrow_table()
        except duckdb.Error as error:
            raise failed(of, error) from error

    def _run(self, sql: str, of: str) -> None:
        try:
            self._con.execute(sql).fetchall()
        except duckdb.Error as error:
            raise failed(of, error) from error

    def close(self) -> None:
        self._con.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def failed(of: str, error: duckdb.Error) -> QueryError:
    """The error users meet. DuckDB's own advice on memory names settings that are not ours."""
    if not isinstance(error, duckdb.OutOfMemoryException):
        return QueryError(f"{of}: {error}")
    what = str(error).splitlines()[0].removeprefix("Out of Memory Error: ")
    return OutOfMemory(
        f"{of}: the engine ran out of memory: {what}",
        hint="set memory_gb in hydrawatch.toml to more, or threads to fewer; see docs/configuration.md",
    )

"""The one place that runs SQL: bind a relation, query it to Arrow, query in a sandbox.

Statements come from pure functions; nothing else in the project opens a connection for set work. A second
engine (Spark) needs only these calls.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeAlias

import duckdb
import polars as pl
import pyarrow as pa

from detector.errors import ConfigError, OutOfMemory, QueryError
from features import compose

Rows: TypeAlias = pa.Table | pl.DataFrame


class Engine(Protocol):
    """What the pipeline needs of an engine."""

    def bind(self, name: str, rows: Rows | str) -> None:
        """Make ``rows`` (a table, or SQL of a relation) readable as ``name``, replacing what was there."""

    def unbind(self, name: str) -> None:
        """Forget ``name``; unknown names are ignored."""

    def query(self, sql: str, *, of: str = "statement") -> pa.Table:
        """Run one statement; ``of`` names it in the error."""


class DuckDB:
    """The embedded engine: one connection, in memory.

    When memory runs short it spills to ``spill``. Without such a folder it never writes to disk, not even to
    the working directory, as DuckDB would by default: ingest holds text, which must not reach a disk.
    """

    def __init__(
        self, *, threads: int | None = None, memory_gb: float | None = None, spill: Path | None = None
    ) -> None:
        config: dict[str, Any] = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
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
            raise _failed(of, error) from error

    def _run(self, sql: str, of: str) -> None:
        try:
            self._con.execute(sql).fetchall()
        except duckdb.Error as error:
            raise _failed(of, error) from error

    def close(self) -> None:
        self._con.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _failed(of: str, error: duckdb.Error) -> QueryError:
    """The error users meet. DuckDB's own advice on memory names settings that are not ours."""
    if not isinstance(error, duckdb.OutOfMemoryException):
        return QueryError(f"{of}: {error}")
    what = str(error).splitlines()[0].removeprefix("Out of Memory Error: ")
    return OutOfMemory(
        f"{of}: the engine ran out of memory: {what}",
        hint="set memory_gb in hydrawatch.toml to more, or threads to fewer; see docs/configuration.md",
    )


def quote(name: str) -> str:
    """A SQL identifier, quoted."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str) -> str:
    """A SQL string literal."""
    return "'" + value.replace("'", "''") + "'"


def write_views(
    path: Path, views: dict[str, str], *, settle: Callable[[Path], None] = lambda path: None
) -> None:
    """Write a DuckDB file that holds ``views`` (name to SELECT), aside and then renamed into place.

    The file keeps DuckDB's 1.2 storage format so that older clients read it. ``settle`` gives it its mode.

    Raises
    ------
    QueryError : a view does not bind, as when a part beneath it is damaged; the old file stays.
    """
    aside = path.with_name(path.name + ".new")
    aside.unlink(missing_ok=True)
    name = "views"
    try:
        with duckdb.connect(":memory:", config={"temp_directory": ""}) as con:
            con.execute(f"ATTACH {literal(str(aside))} AS made (STORAGE_VERSION 'v1.2.0')").fetchall()
            for name, select in views.items():
                con.execute(f"CREATE VIEW made.{quote(name)} AS {select}").fetchall()
            con.execute("DETACH made").fetchall()
        settle(aside)
        os.replace(aside, path)
    except duckdb.Error as error:
        raise _failed(f"view {name}", error) from error
    finally:
        for left in (aside, aside.with_name(aside.name + ".wal")):
            left.unlink(missing_ok=True)


def analyst_query(path: Path, sql: str, *, readable: Sequence[Path], limit_gb: float = 4.0) -> pa.Table:
    """Run an analyst's SELECT on the views file, with no way to other files, the network or settings.

    Raises
    ------
    ConfigError : it is not one single SELECT.
    QueryError : DuckDB refused it.
    """
    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as error:
        raise QueryError(f"query: {error}") from error
    kinds = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}
    if len(statements) != 1 or statements[0].type not in kinds:
        raise ConfigError(
            "expected one SELECT", hint='quote the whole statement: hydrawatch query "SELECT ..."'
        )
    with duckdb.connect(str(path), read_only=True) as con:
        con.execute("SET TimeZone = 'UTC'").fetchall()
        con.execute("SET enable_progress_bar = false").fetchall()
        con.execute(f"SET memory_limit = '{limit_gb:g}GB'").fetchall()
        allowed = ", ".join(literal(str(p)) for p in readable)
        con.execute(f"SET allowed_directories = [{allowed}]").fetchall()
        con.execute("SET enable_external_access = false").fetchall()
        con.execute("SET lock_configuration = true").fetchall()
        try:
            return con.sql(sql).to_arrow_table()
        except duckdb.Error as error:
            raise QueryError(f"query: {error}") from error

"""The one place that runs SQL: bind a relation, query it to Arrow, query in a sandbox.

Statements come from pure functions; nothing else in the project opens a connection for set work. A second
engine (Spark) needs only these calls.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeAlias

import duckdb
import polars as pl
import pyarrow as pa

from detector.errors import LakeError, OutOfMemory, QueryError
from detector.lake.parts import Parts
from detector.lake.statement import parse_statement
from detector.lake.tables import tables
from detector.lake.views import literal as literal
from detector.lake.views import quote as quote
from detector.lake.views import read_views
from features import compose

Rows: TypeAlias = pa.Table | pl.DataFrame

_NO_EXTENSIONS: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}

#: How often a thread that waits for the engine looks up (s).
_LISTENS_S = 0.1
#: Types that Arrow has no equal for and would get wrong or as bytes of DuckDB's own: they are handed on as text.
_NO_ARROW = re.compile(r"\b(UHUGEINT|BIGNUM|BIT|TIME|TIME_NS|TIMETZ|GEOMETRY|UNION|VARIANT)\b")
_TIMESTAMPS = re.compile(r"\bTIMESTAMP(_\w+)?( WITH TIME ZONE)?")


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
        config: dict[str, Any] = dict(_NO_EXTENSIONS)
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


def write_views(
    path: Path, views: dict[str, str], *, settle: Callable[[Path], None] = lambda path: None
) -> None:
    """Write a DuckDB file that holds ``views`` (name to SELECT), aside and then renamed into place.

    The file keeps DuckDB's 1.2 storage format so that older clients read it. Every view refuses to answer from a file
    that lies elsewhere: a copy of a lake would else answer from its original, as the paths inside are absolute.
    ``settle`` gives the file its mode.

    Raises
    ------
    QueryError : a view does not bind, as when a part beneath it is damaged; the old file stays.
    """
    here = _here(path)
    aside = path.with_name(path.name + ".new")
    aside.unlink(missing_ok=True)
    name = "views"
    try:
        with duckdb.connect(":memory:", config={"temp_directory": ""}) as con:
            con.execute(f"ATTACH {literal(str(aside))} AS made (STORAGE_VERSION 'v1.2.0')").fetchall()
            for name, select in views.items():
                view = f"SELECT * FROM ({select}) WHERE {here}"
                con.execute(f"CREATE VIEW made.{quote(name)} AS {view}").fetchall()
            con.execute("DETACH made").fetchall()
        settle(aside)
        os.replace(aside, path)
    except duckdb.Error as error:
        raise _failed(f"view {name}", error) from error
    finally:
        for left in (aside, aside.with_name(aside.name + ".wal")):
            left.unlink(missing_ok=True)


def _here(path: Path) -> str:
    """SQL of a condition: an error where the views file is attached from another place than ``path``, else true.

    DuckDB 2 tells the real path of a file, older ones the path as it was given; one that is relative or holds ``..``
    proves nothing and passes, and so does a file under another name.
    """
    own = ", ".join(literal(p) for p in sorted({str(path), os.path.realpath(path)}))
    told = literal(
        f"this lake has moved, or is a copy: its views read {path.parent}. Rewrite them: hydrawatch doctor --lake "
        "DIR, with the folder that it is in now"
    )
    return (
        f"(SELECT CASE WHEN count(*) > 0 AND count(*) FILTER (opened IN ({own})) = 0 THEN error({told}) ELSE true END "
        "FROM (SELECT regexp_replace(path, '(/[.])+/', '/', 'g') AS opened FROM duckdb_databases()) "
        f"WHERE opened LIKE {literal('/%/' + path.name)} AND NOT contains(opened, '/../'))"
    )


def analyst_query(
    path: Path,
    sql: str,
    *,
    readable: Sequence[Path],
    limit_gb: float | None = None,
    limit_s: float = 600.0,
) -> pa.Table:
    """Run one statement that reads on the views file, where no path can be written and none but their parts read.

    ``readable`` are the folders whose parts the views may read. ``limit_gb`` (default: half of the machine's memory)
    holds the engine, which never spills, and the answer, each; ``limit_s`` the seconds it may run.

    Raises
    ------
    ConfigError : it is not one single statement that reads.
    LakeError : the views are of another place, or cannot be read.
    QueryError : DuckDB refused it, or it went beyond a limit.
    """
    gigabytes = limit_gb or max(0.5, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2e9)
    for last_try in (False, False, True):
        with duckdb.connect(":memory:", config=_NO_EXTENSIONS) as con:
            statement = parse_statement(con, sql)
            views, parts = read_views(con, path, statement, readable)
            try:
                _shut(con, parts, gigabytes, limit_s)
                return _interruptible(con, partial(_answer, con, statement.sql, views, gigabytes))
            except (duckdb.Error, pa.ArrowException, OSError) as error:
                # Arrow hands on what DuckDB says while rows stream as an OSError of its own.
                if parts.trouble and not isinstance(parts.trouble, FileNotFoundError):
                    found = f"{parts.trouble.filename} cannot be read: {parts.trouble.strerror}"
                    raise LakeError(found, hint="ask the owner of the lake") from error
                if last_try or not parts.trouble:
                    raise _told(error, gigabytes, limit_s) from error
            except RuntimeError as error:
                if "interrupted" in str(error).lower():  # Ctrl-C, as DuckDB hands it on
                    raise KeyboardInterrupt from error
                raise
        # A run replaced a part between listing and reading: look again.
    raise AssertionError


def _interruptible(con: duckdb.DuckDBPyConnection, work: Callable[[], pa.Table]) -> pa.Table:
    """What ``work`` gives. It has a thread of its own, so that a signal reaches this one while the engine is busy."""
    with ThreadPoolExecutor(1, thread_name_prefix="query") as pool:
        answer = pool.submit(work)
        try:
            while not wait([answer], timeout=_LISTENS_S).done:
                pass
        except BaseException:
            while not answer.done():  # between two statements an interruption would be lost
                con.interrupt()
                wait([answer], timeout=_LISTENS_S)
            raise
        return answer.result()


def _shut(con: duckdb.DuckDBPyConnection, parts: Parts, gigabytes: float, seconds: float) -> None:
    """Leave ``con`` nothing to reach but ``parts``, no file to spill to, and limits."""
    con.register_filesystem(parts)
    allowed = ", ".join(literal(name) for name in parts.names)
    for setting in (
        "TimeZone = 'UTC'",
        "enable_progress_bar = false",
        "temp_directory = ''",
        "home_directory = ''",
        "secret_directory = ''",
        "extension_directory = ''",
        "allow_persistent_secrets = false",
        f"memory_limit = '{gigabytes:g}GB'",
        f"max_execution_time = {max(1, int(seconds * 1000))}",
        "python_enable_replacements = false",
        f"allowed_paths = [{allowed}]",
        "enable_external_access = false",
    ):
        con.execute(f"SET {setting}").fetchall()


def _answer(con: duckdb.DuckDBPyConnection, sql: str, views: dict[str, str], gigabytes: float) -> pa.Table:
    con.execute(
        "ATTACH ':memory:' AS hydrawatch"
    ).fetchall()  # the name a client sees that opens the file itself
    con.execute("USE hydrawatch").fetchall()
    for view in views.values():
        con.execute(view).fetchall()
    con.execute("SET lock_configuration = true").fetchall()
    asked = con.sql(sql)
    names = asked.columns
    # By position: two columns may bear one name.
    odd = [bool(_NO_ARROW.search(_TIMESTAMPS.sub("", str(kind)))) for kind in asked.types]
    if any(odd):
        shown = [
            f"CAST(#{n} AS VARCHAR) AS c{n}" if cast else f"#{n} AS c{n}" for n, cast in enumerate(odd, 1)
        ]
        asked = asked.project(", ".join(shown))
    batches, size = [], 0
    with asked.to_arrow_reader(122_880) as reader:
        for batch in reader:
            batches.append(batch)
            size += batch.nbytes
            if size > gigabytes * 1e9:
                raise pa.ArrowCapacityError(
                    f"the answer is larger than {gigabytes:g} GB: aggregate, or add a LIMIT"
                )
        return pa.Table.from_batches(batches, reader.schema).rename_columns(names)


def _told(error: Exception, gigabytes: float, seconds: float) -> QueryError:
    """DuckDB's words, without the advice that an analyst cannot follow."""
    text = str(error)
    if "Out of Memory" in text:
        text = (
            f"the statement needs more than {gigabytes:g} GB of memory: narrow it, for instance to some days"
        )
    elif "maximum execution time" in text:
        text = f"the statement ran longer than {seconds:g} s: narrow it, for instance to some days"
    elif unknown := re.search(r'Table with name "?(.+?)"? does not exist', text):
        near = difflib.get_close_matches(unknown[1].lower(), tables(), 1)
        return QueryError(
            f"query: there is no view {unknown[1]!r}" + (f"; did you mean {near[0]!r}?" if near else ""),
            hint=f"there are {', '.join(sorted(tables()))}",
        )
    return QueryError(f"query: {text}")

"""An analyst's statement, run where no path can be written and none but the lake's own parts read."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path

import duckdb
import pyarrow as pa

from detector.errors import LakeError, QueryError
from detector.lake.engine import literal
from detector.lake.engine.duckdb import NO_EXTENSIONS
from detector.lake.engine.parts import Parts
from detector.lake.engine.statement import parse_statement
from detector.lake.engine.viewfile import read_views
from detector.lake.views import described

#: How often a thread that waits for the engine looks up (s).
_LISTENS_S = 0.1
#: Types that Arrow has no equal for and would get wrong or as bytes of DuckDB's own: they are handed on as text.
_NO_ARROW = re.compile(r"\b(UHUGEINT|BIGNUM|BIT|TIME|TIME_NS|TIMETZ|GEOMETRY|UNION|VARIANT)\b")
_TIMESTAMPS = re.compile(r"\bTIMESTAMP(_\w+)?( WITH TIME ZONE)?")


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
        with duckdb.connect(":memory:", config=NO_EXTENSIONS) as con:
            statement = parse_statement(con, sql)
            views, parts = read_views(con, path, statement, readable)
            try:
                _shut(con, parts, gigabytes, limit_s)
                return _interruptible(con, partial(_answer, con, statement.sql, views, gigabytes))
            except (duckdb.Error, pa.ArrowException, OSError) as error:
                # Arrow hands on what DuckDB says while rows stream as an OSError of its own.
                if parts.trouble and not isinstance(parts.trouble, FileNotFoundError):
                    reason = f"{parts.trouble.filename} cannot be read: {parts.trouble.strerror}"
                    raise LakeError(reason, hint="ask the owner of the lake") from error
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
        near = difflib.get_close_matches(unknown[1].lower(), described(), 1)
        return QueryError(
            f"query: there is no view {unknown[1]!r}" + (f"; did you mean {near[0]!r}?" if near else ""),
            hint=f"there are {', '.join(sorted(described()))}",
        )
    return QueryError(f"query: {text}")

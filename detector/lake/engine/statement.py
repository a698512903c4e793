"""What an analyst may ask: one statement that reads, told by its parse tree and never by its words.

DuckDB's statement type alone does not tell: ``EXPLAIN ANALYZE COPY`` is an EXPLAIN, ``WITH x AS (INSERT ...)`` is a
SELECT. Its functions open files by name (``read_text``), run text as SQL (``query``), follow addresses in memory
(``arrow_scan``) or change the engine (``enable_logging``). So the tree is walked: every node and every table function
must be on a list, and whatever DuckDB adds later is refused until it is put there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb

from detector.errors import ConfigError, QueryError

#: What is taken, as the messages say it.
TAKEN = "one SELECT (or FROM, VALUES, DESCRIBE, SUMMARIZE, SHOW, or EXPLAIN of one)"
#: Longest statement (characters). A tool's longest is a few thousand; parsing takes seconds above a million.
LONGEST = 200_000

_QUERIES = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
_SOURCES = {
    "BASE_TABLE",
    "SUBQUERY",
    "JOIN",
    "TABLE_FUNCTION",
    "EMPTY",
    "EXPRESSION_LIST",
    "PIVOT",
    "SHOW_REF",
}
_CLAUSES = {
    "DISTINCT_MODIFIER", "LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER", "ORDER_MODIFIER",
    "ASCENDING", "DESCENDING", "INVALID", "ORDER_DEFAULT",
}  # fmt: skip
_KNOWN = _QUERIES | _SOURCES | _CLAUSES
#: Table functions that read nothing but their arguments or the catalog of views.
_TABLE_FUNCTIONS = {
    "duckdb_columns", "duckdb_functions", "duckdb_keywords", "duckdb_types", "duckdb_views", "generate_series",
    "histogram", "histogram_values", "icu_calendar_names", "json_each", "json_tree", "pg_timezone_names",
    "pragma_collations", "pragma_show", "pragma_table_info", "pragma_version", "range", "repeat", "repeat_row",
    "test_all_types", "test_vector_types", "unnest",
}  # fmt: skip
#: Scalar functions and aggregates that wait, write, tell of the machine, or take raw states of aggregates for true.
_REFUSED = {
    "combine", "combine_aggr", "current_setting", "currval", "finalize", "getenv", "index_key", "nextval", "pg_sleep",
    "query", "set_config", "setval", "sleep_ms", "to_aggregate_state", "which_secret", "write_log",
}  # fmt: skip
#: Views of the engine's own that tell of it and not of the lake.
_REFUSED_VIEWS = {"duckdb_logs", "pg_prepared_statements", "pg_settings"}
#: Words before a query that has it explained, and nothing more. DuckDB takes comments between them.
_SPACE = r"(?:\s|--[^\n]*(?:\n|\Z)|/\*.*?\*/)*"
_EXPLAIN = re.compile(rf"{_SPACE}EXPLAIN\b{_SPACE}(?:\({_SPACE}FORMAT\s+\w+{_SPACE}\))?", re.I | re.S)


@dataclass(frozen=True)
class Statement:
    """A statement that may run, with the relations it names (lower case) and whether it looks at the catalog."""

    sql: str
    relations: frozenset[str]
    catalog: bool


def parse_statement(con: duckdb.DuckDBPyConnection, sql: str) -> Statement:
    """``sql`` checked; ``con`` only parses it.

    Raises
    ------
    ConfigError : it is not one statement that reads; the message says what it is.
    QueryError : DuckDB cannot parse it, or it calls a function that is not for analysts.
    """
    if len(sql) > LONGEST:
        raise ConfigError(f"a statement of {len(sql):,} characters; expected at most {LONGEST:,}")
    if "\0" in sql or (not sql.isascii() and any("\ud800" <= c <= "\udfff" for c in sql)):
        raise ConfigError(f"the statement holds a character that is no text; expected {TAKEN}")
    try:
        statements = duckdb.extract_statements(sql)
        kinds = [statement.type.name for statement in statements]
        tree = query_tree(con, _explained(sql) if kinds == ["EXPLAIN"] else sql) if len(kinds) == 1 else None
    except duckdb.Error as error:
        raise QueryError(f"query: {error}") from error
    except RecursionError as error:
        raise QueryError("query: the statement is nested too deeply") from error
    except ValueError as error:  # a kind of statement that DuckDB's Python does not know
        raise ConfigError(f"found {_told(['UNKNOWN'], sql)}; expected {TAKEN}") from error
    if tree is None or kinds[0] not in ("SELECT", "EXPLAIN"):
        raise ConfigError(f"found {_told(kinds, sql)}; expected {TAKEN}")
    names: set[str] = set()
    catalog = False
    for node in nodes(tree):
        _check(node)
        if "table_name" in node:
            path = [str(part).lower() for part in (node.get("qualified_name") or {}).get("path", [])]
            names.update(path, [str(node["table_name"]).lower()])
            catalog = catalog or node.get("show_type") == "SHOW_SPECIAL" or len(path) > 1
        called = str(node.get("function_name", "")).lower()
        catalog = catalog or called.startswith(("duckdb_", "pragma_", "pg_"))
    catalog = catalog or any(n.startswith(("duckdb_", "pragma_", "pg_", "sqlite_")) for n in names)
    return Statement(sql, frozenset(names), catalog)


def _explained(sql: str) -> str:
    """The statement behind a plain EXPLAIN."""
    prefix = _EXPLAIN.match(sql)
    rest = sql[prefix.end() :] if prefix else ""
    if not prefix or re.match(rf"{_SPACE}\(?{_SPACE}(ANALY[SZ]E|VERBOSE)\b", rest, re.I | re.S):
        raise ConfigError(f"found EXPLAIN ANALYZE or an option of EXPLAIN; expected {TAKEN}")
    inner = [statement.type.name for statement in duckdb.extract_statements(rest)]
    if inner != ["SELECT"]:
        raise ConfigError(f"found EXPLAIN of {_told(inner, rest)}; expected {TAKEN}")
    return rest


def query_tree(con: duckdb.DuckDBPyConnection, sql: str) -> dict[str, Any] | None:
    """The parse tree of one query; None for what is not a query."""
    row = con.execute("SELECT json_serialize_sql(?)", [sql]).fetchone()
    assert row is not None
    answer = json.loads(row[0])
    if answer.get("error") or len(answer.get("statements", [])) != 1:
        return None
    tree: dict[str, Any] = answer["statements"][0]
    return tree


def nodes(tree: object) -> Iterator[dict[str, Any]]:
    """Every object of a tree, without recursion: trees may be thousands deep."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def _check(node: dict[str, Any]) -> None:
    """Refuse a node that could do anything but read."""
    kind = node.get("type")
    if isinstance(kind, str) and "class" not in node and kind not in _KNOWN:
        what = kind.removesuffix("_QUERY_NODE").removesuffix("_NODE").replace("_", " ")
        raise ConfigError(f"found {what} inside the statement; expected {TAKEN}")
    if kind == "TABLE_FUNCTION":
        name = str((node.get("function") or {}).get("function_name")).lower()
        if name not in _TABLE_FUNCTIONS:
            raise QueryError(
                f"the table function {name!r} is not for analysts; a statement reads the lake's views, "
                "and no file, setting or network",
                hint="the views: hydrawatch tables",
            )
    if str(node.get("table_name")).lower() in _REFUSED_VIEWS:
        raise QueryError(
            f"{node['table_name']!r} is not for analysts: a statement reads the lake's views only"
        )
    called = node.get("function_name")
    if isinstance(called, str) and (called.lower() in _REFUSED or called.lower().startswith("__internal")):
        raise QueryError(
            f"the function {called.lower()!r} is not for analysts: a statement reads the lake's views only"
        )


def _told(kinds: list[str], sql: str) -> str:
    """What was found instead, in words."""
    if not kinds:
        return "no statement"
    if len(kinds) > 1:
        return f"{len(kinds)} statements"
    if kinds == ["MULTI"]:
        return "PIVOT without the list of its values (write: PIVOT ... ON column IN (...))"
    word = re.match(rf"{_SPACE}(\w+)", sql, re.S)
    return word.group(1).upper()[:20] if word else kinds[0]

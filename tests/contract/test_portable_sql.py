"""Composed statements use only functions that DuckDB and Spark mean alike, or named macros.

Transpiling without an error proves little: some functions pass and mean something else. So the functions of
every statement are listed here by name, as written, and held against the checked list.
"""

from __future__ import annotations

import itertools
import re

import duckdb
import pytest
import sqlglot
from sqlglot import exp
from sqlglot.tokens import Token, TokenType

from detector.lake import tables
from features import compose, plugins
from features.spec import Measure, Tie

PLUGINS: tuple[Measure | Tie, ...] = (
    *plugins.measures("account"),
    *plugins.measures("group"),
    *plugins.ties(),
)
KNOWN = {name: frozenset(c.name for c in columns) for name, columns in compose.relations().items()}
#: Words that stand before a bracket and are no functions.
WORDS = frozenset(
    (
        "all", "and", "as", "between", "by", "case", "cast", "distinct", "else", "exists", "filter",
        "from", "having", "in", "interval", "join", "not", "on", "or", "over", "select", "then", "union",
        "using", "values", "when", "where", "with",
    )
)  # fmt: skip
#: Clauses only one engine has.
FOREIGN = (exp.Lambda, exp.Qualify, exp.Pivot)


def statement(plugin: Measure | Tie) -> str:
    if isinstance(plugin, Tie):
        return compose.compose_ties([plugin], available=KNOWN).sql
    return compose.compose([plugin], available=KNOWN).sql


def functions(sql: str) -> set[str]:
    """Names written directly before an opening bracket, less the words of the language."""
    tokens: list[Token] = sqlglot.tokenize(sql, read="duckdb")
    return {
        before.text.lower()
        for before, after in itertools.pairwise(tokens)
        if after.token_type is TokenType.L_PAREN
        and re.fullmatch(r"[A-Za-z_]\w*", before.text)
        and before.token_type is not TokenType.STRING
        and before.text.lower() not in WORDS
    } - types(sql)


def types(sql: str) -> set[str]:
    """Type names with arguments: ``DECIMAL(18, 3)``, ``MAP(VARCHAR, VARCHAR[])``."""
    return {
        str(node.this.value).lower() for node in sqlglot.parse_one(sql, read="duckdb").find_all(exp.DataType)
    }


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda p: f"{type(p).__name__}-{p.name}")
def test_functions_are_portable_or_macros(plugin: Measure | Tie) -> None:
    parsed = sqlglot.parse(statement(plugin), read="duckdb")
    assert len(parsed) == 1
    assert isinstance(parsed[0], exp.Query)
    assert [type(node).__name__ for node in parsed[0].walk() if isinstance(node, FOREIGN)] == []
    assert functions(statement(plugin)) - compose.PORTABLE - set(compose.MACROS) == set()


@pytest.mark.parametrize("measure", [p for p in PLUGINS if isinstance(p, Measure)], ids=lambda m: m.name)
def test_a_measure_selects_its_key_and_columns_alone(measure: Measure) -> None:
    selected = sqlglot.parse_one(measure.sql, read="duckdb").named_selects
    assert sorted(selected) == sorted([measure.key, *(c.name for c in measure.columns)])


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda p: f"{type(p).__name__}-{p.name}")
def test_reads_what_it_says(plugin: Measure | Tie) -> None:
    """Relations named in the statement are those of ``reads``: availability is judged by them."""
    tree = sqlglot.parse_one(plugin.sql, read="duckdb")
    own = {cte.alias for cte in tree.find_all(exp.CTE)}
    read = {table.name for table in tree.find_all(exp.Table)} - own
    assert read - set(plugin.reads) == set()


def test_a_foreign_function_is_noticed() -> None:
    assert functions("SELECT entropy(x), count(*), CAST(y AS DECIMAL(18, 3)) FROM t WHERE z IN (1)") == {
        "entropy",
        "count",
    }


def test_list_and_macros_are_disjoint_and_known() -> None:
    assert compose.PORTABLE.isdisjoint(compose.MACROS)
    with duckdb.connect(":memory:") as con:
        builtin = {name for (name,) in con.execute("SELECT function_name FROM duckdb_functions()").fetchall()}
        for made in compose.create_macros():
            con.execute(made).fetchall()
    # coalesce and nullif are syntax to DuckDB
    assert compose.PORTABLE - builtin - {"coalesce", "nullif"} <= {
        "dense_rank", "lag", "lead", "rank", "row_number", "first_value", "last_value", "ntile", "unnest",
    }  # fmt: skip


def test_relations_are_those_of_the_lake() -> None:
    relations = compose.relations()
    for name in ("accounts", "ties"):
        lake = {c.name: c.type for c in tables.tables()[name].columns}
        assert {c.name: c.type for c in relations[name]}.items() <= lake.items()
    assert set(relations) | set(compose.SHARED) == compose.READABLE

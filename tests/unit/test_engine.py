"""The engine and the analysts' sandbox."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from made_lake import bare_lake

from detector.errors import ConfigError, QueryError
from detector.lake.engine.duckdb import DuckDB
from detector.lake.engine.sandbox import analyst_query
from detector.lake.opened import open_lake


def test_bind_replaces_whatever_held_the_name() -> None:
    with DuckDB() as engine:
        engine.bind("x", pl.DataFrame({"a": [1]}))
        engine.bind("x", "(SELECT 2 AS a)")
        assert engine.query("SELECT a FROM x").to_pylist() == [{"a": 2}]
        engine.materialise("x", "(SELECT 3 AS a)")
        assert engine.query("SELECT a FROM x").to_pylist() == [{"a": 3}]
        engine.unbind("x")
        with pytest.raises(QueryError, match="mine"):
            engine.query("SELECT a FROM x", of="mine")


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = bare_lake(tmp_path_factory.mktemp("lake"))
    (root / "key").write_text("secret" * 8)
    return root


def ask(lake: Path, sql: str) -> list[dict[str, object]]:
    return analyst_query(lake / "hydrawatch.duckdb", sql, readable=[lake / "data"]).to_pylist()


def test_selects_are_answered(lake: Path) -> None:
    assert ask(lake, "SELECT count(*) AS n FROM account_scores") == [{"n": 0}]
    assert ask(lake, "WITH x AS (SELECT 1 AS a) SELECT a FROM x;") == [{"a": 1}]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('{root}/key')",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('{root}/data/../key')",
        "SELECT getenv('PATH')",
        "SELECT * FROM read_parquet('http://192.0.2.1/x.parquet')",
    ],
)
def test_nothing_outside_the_views_can_be_read(lake: Path, sql: str) -> None:
    with pytest.raises(QueryError):
        ask(lake, sql.format(root=lake))


@pytest.mark.parametrize(
    "sql",
    [
        "COPY (SELECT 1) TO '{root}/data/x.csv'",
        "DROP VIEW account_scores",
        "SET enable_external_access = true",
        "ATTACH '{root}/other.duckdb'",
        "INSTALL httpfs",
        "SELECT 1; SELECT 2",
        "",
    ],
)
def test_only_one_select_is_taken(lake: Path, sql: str) -> None:
    with pytest.raises(ConfigError, match="one SELECT"):
        ask(lake, sql.format(root=lake))


def test_open_lake_hands_pandas_and_polars(lake: Path) -> None:
    opened = open_lake(lake)
    assert list(opened.frame("groups").columns)[:2] == ["day", "group_id"]
    assert opened.frame("groups", as_="polars").height == 0
    with pytest.raises(QueryError, match="account_scores"):
        opened.frame("nothing")
    with pytest.raises(ConfigError, match="is not a lake"):
        open_lake(lake / "elsewhere")

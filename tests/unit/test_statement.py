"""Which statements analysts may run, and what a refusal says."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_lake import bare_lake

from detector.errors import ConfigError, HydrawatchError, QueryError
from detector.lake.engine.sandbox import analyst_query

WRITTEN = (Path(__file__).parent / "analyst_sql.txt").read_text().splitlines()[1:]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bare_lake(tmp_path_factory.mktemp("it's a lake") / "läke")


def ask(lake: Path, sql: str, **limits: float) -> list[dict[str, object]]:
    rows = analyst_query(lake / "hydrawatch.duckdb", sql, readable=[lake / "data"], **limits)  # type: ignore[arg-type]
    return rows.to_pylist()


@pytest.mark.parametrize("line", [line for line in WRITTEN if "test_all_types" not in line])
def test_what_analysts_write_is_answered(line: str, lake: Path) -> None:
    ask(lake, line.replace("\\n", "\n"))


def test_an_explanation_is_a_plan_and_runs_nothing(lake: Path) -> None:
    assert "plan" in str(ask(lake, "EXPLAIN SELECT error('this ran') FROM alerts")[0]["explain_key"])


def test_tables_and_columns_are_described(lake: Path) -> None:
    assert {"name": "alerts"} in ask(lake, "SHOW TABLES")
    assert ask(lake, "DESCRIBE alerts")[0]["column_name"] == "day"
    assert {r["column_name"] for r in ask(lake, "SUMMARIZE groups")} >= {"group_id", "score"}


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("COPY (SELECT 1) TO 'x'", "found COPY"),
        ("/* SELECT */ drop view alerts", "found DROP"),
        ("SELECT 1; SELECT 2", "found 2 statements"),
        ("", "found no statement"),
        ("EXPLAIN ANALYZE SELECT 1", "found EXPLAIN ANALYZE"),
        ("EXPLAIN COPY (SELECT 1) TO 'x'", "found EXPLAIN of COPY"),
        ("WITH x AS (DELETE FROM alerts RETURNING *) SELECT * FROM x", "found DELETE inside"),
        ("PIVOT alerts ON kind USING count(*)", "IN \\(...\\)"),
        ("UPDATE EXTENSIONS", "found UPDATE"),
        ("SELECT " + "1 + " * 60_000 + "1", "expected at most"),
    ],
)
def test_a_refusal_says_what_was_found_and_what_is_taken(sql: str, told: str, lake: Path) -> None:
    with pytest.raises(ConfigError, match=told) as refused:
        ask(lake, sql)
    assert "expected" in str(refused.value)


def test_a_refused_function_is_named_with_what_is_possible(lake: Path) -> None:
    with pytest.raises(QueryError, match=r"(?s)'read_text' is not for analysts.*hydrawatch tables"):
        ask(lake, "SELECT * FROM read_text('x')")


def test_deep_nesting_is_an_error_in_words(lake: Path) -> None:
    for sql in ("SELECT " + "(" * 5000 + "1" + ")" * 5000, "SELECT " + "[" * 5000 + "]" * 5000):
        with pytest.raises(HydrawatchError):
            ask(lake, sql)


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("SELECT * FROM range(1000000000)", "the answer is larger than"),
        ("SELECT list(range) FROM range(10000000000)", "more than 0.1 GB of memory"),
        ("SELECT count(*) FROM range(10000000) a, range(10000000) b", "ran longer than"),
    ],
)
def test_an_answer_without_end_ends_in_words(sql: str, told: str, lake: Path) -> None:
    with pytest.raises(QueryError, match=told):
        ask(lake, sql, limit_gb=0.1, limit_s=3 if "range(1000000000)" in sql else 0.5)


def test_names_are_found_however_they_are_written(lake: Path) -> None:
    for name in (
        "alerts",
        "ALERTS",
        '"alerts"',
        "main.alerts",
        "hydrawatch.alerts",
        "hydrawatch.main.Alerts",
    ):
        assert ask(lake, f"SELECT count(*) AS n FROM {name}") == [{"n": 0}]
    with pytest.raises(QueryError, match="nothing_such"):
        ask(lake, "SELECT * FROM nothing_such")


def test_the_engine_tells_nothing_of_the_machine(lake: Path) -> None:
    for name in ("secret_directory", "home_directory", "extension_directory", "temp_directory"):
        assert ask(lake, f"SHOW {name}") == [{name: ""}]
    assert {row["path"] for row in ask(lake, "FROM duckdb_databases")} == {None}
    assert str(lake) not in str(ask(lake, "SELECT sql FROM duckdb_views()"))

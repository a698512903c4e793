"""``hydrawatch query``: where the statement comes from, where the answer goes."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from made_lake import bare_lake
from typer.testing import CliRunner, Result

from detector.cli import app
from detector.errors import ConfigError, QueryError


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bare_lake(tmp_path_factory.mktemp("lake"))


def query(lake: Path, *words: object, stdin: str | bytes = "") -> Result:
    return CliRunner().invoke(app, ["query", "--lake", str(lake), *map(str, words)], input=stdin)


def test_the_statement_comes_in_words_from_stdin_or_from_a_file(lake: Path, tmp_path: Path) -> None:
    sql = "SELECT 'é' AS a, 1 AS n -- done"
    (tmp_path / "q.sql").write_text("\ufeff" + sql, encoding="utf-8")
    for words, stdin in (
        (["--csv", sql], ""),
        (["--csv", "-"], sql),
        (["--csv", "--file", tmp_path / "q.sql"], ""),
    ):
        done = query(lake, *words, stdin=stdin)
        assert done.stdout == "a,n\né,1\n", words


@pytest.mark.parametrize("words", [[], ["SELECT 1", "--file", "x.sql"]])
def test_one_statement_is_asked_for(words: list[str], lake: Path) -> None:
    done = query(lake, *words)
    assert isinstance(done.exception, ConfigError)
    assert f"hydrawatch query --lake {lake}" in str(done.exception)


def test_a_file_that_cannot_be_read_is_named(lake: Path, tmp_path: Path) -> None:
    (tmp_path / "bytes.sql").write_bytes(b"SELECT '\xff'")
    for name in ("none.sql", "bytes.sql", "."):
        done = query(lake, "--file", tmp_path / name)
        assert isinstance(done.exception, ConfigError)
        assert str(tmp_path / name) in str(done.exception)


def test_an_answer_goes_to_a_parquet_file_whole(lake: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    done = query(
        lake,
        "--parquet",
        out,
        "SELECT range AS a, range::VARCHAR AS b, [range] AS c, 1 AS a FROM range(20000)",
    )
    assert done.exit_code == 0, done.output
    assert done.stdout == ""
    made = pl.read_parquet(out)
    assert made.columns == ["a", "b", "c", "a_2"]
    assert made["a"].sum() == 199_990_000
    assert [p.name for p in tmp_path.iterdir()] == ["out.parquet"]


def test_a_parquet_file_that_cannot_be_written_is_told(lake: Path, tmp_path: Path) -> None:
    done = query(lake, "--parquet", lake / "data/alerts/day=2026-03-02/part.parquet", "SELECT 1")
    assert isinstance(done.exception, ConfigError)
    assert "in the lake" in str(done.exception)
    (tmp_path / "kept.parquet").write_bytes(b"kept")
    for sql, path, told in (
        ("SELECT 1 AS a", tmp_path / "none" / "x.parquet", "No such file"),
        ("SELECT INTERVAL 3 DAY AS a", tmp_path / "kept.parquet", "CAST"),
    ):
        done = query(lake, "--parquet", path, sql)
        assert isinstance(done.exception, QueryError), done.output
        assert told in str(done.exception)
    assert (tmp_path / "kept.parquet").read_bytes() == b"kept"
    assert len(list(tmp_path.iterdir())) == 1


def test_styles_exclude_each_other(lake: Path, tmp_path: Path) -> None:
    assert query(lake, "--csv", "--json", "SELECT 1").exit_code == 2
    assert query(lake, "--csv", "--parquet", tmp_path / "x", "SELECT 1").exit_code == 2
    assert not (tmp_path / "x").exists()


def test_limits_are_the_analysts(lake: Path) -> None:
    done = query(lake, "--timeout", "0.2", "SELECT count(*) FROM range(10000000) a, range(10000000) b")
    assert "ran longer than 0.2 s" in str(done.exception)
    done = query(lake, "--memory-gb", "0.1", "SELECT list(range) FROM range(100000000)")
    assert "more than 0.1 GB" in str(done.exception)


def test_an_unknown_view_is_answered_with_those_there_are(lake: Path) -> None:
    done = query(lake, "SELECT * FROM alrts")
    assert "did you mean 'alerts'?" in str(done.exception)
    assert "account_scores" in str(done.exception)

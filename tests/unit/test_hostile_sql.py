"""Analysts' SQL against statements that want to write, read files, reach out or never end."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from made_lake import day_with_alert

from detector.errors import HydrawatchError
from detector.lake.engine import sandbox
from detector.lake.engine.sandbox import analyst_query
from detector.lake.engine.statement import Statement
from detector.lake.opened import open_lake
from detector.lake.store import Store

SECRET = "5ec4e7" * 10
_LETTERS = {"n": "\n", "r": "\r", "f": "\f", "v": "\v", "\\": "\\"}


def families() -> dict[str, list[str]]:
    """The statements of hostile_sql.txt under the comment they stand below."""
    found: dict[str, list[str]] = {}
    title = ""
    for line in (Path(__file__).parent / "hostile_sql.txt").read_text().splitlines():
        if line.startswith("# "):
            title = line[2:]
        else:
            found.setdefault(title, []).append(line)
    return found


def spelled(line: str, lake: Path, out: Path) -> str:
    line = line.replace("{lake}", str(lake)).replace("{out}", str(out))
    line = re.sub(r"\\u([0-9a-f]{4})", lambda m: chr(int(m[1], 16)), line)
    return re.sub(r"\\([nrfv\\])", lambda m: _LETTERS[m[1]], line)


def traces(*folders: Path) -> dict[str, tuple[int, int, int]]:
    """Every file and folder with its size, time of change and inode."""
    found = [p for folder in folders for p in [folder, *folder.rglob("*")]]
    return {str(p): (p.stat().st_size, p.stat().st_mtime_ns, p.stat().st_ino) for p in found}


def contents(*folders: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for folder in folders for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = day_with_alert(tmp_path_factory.mktemp("analyst") / "lake", date(2026, 3, 2), "a-1")
    for name in ("key", "hydrawatch.toml", "journal/x.json", "staging/x"):
        (root / name).write_text(SECRET)
    return root


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to be written to, which is also where the process stands."""
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    monkeypatch.setenv("HYDRAWATCH_KEY", SECRET)
    return tmp_path / "out"


def ask(lake: Path, sql: str) -> str:
    """All that comes back, as text: an answer or the error's words."""
    try:
        rows = analyst_query(
            lake / "hydrawatch.duckdb", sql, readable=[lake / "data"], limit_gb=0.3, limit_s=0.3
        )
    except HydrawatchError as error:
        return f"refused: {error}"
    return str(rows)


def test_there_are_hundreds_of_hostile_statements() -> None:
    every = [s for statements in families().values() for s in statements]
    assert len(set(every)) == len(every) >= 300


@pytest.mark.parametrize("family", families())
def test_a_hostile_statement_changes_no_byte_and_shows_no_file(family: str, lake: Path, out: Path) -> None:
    before, whole = traces(lake, out), contents(lake, out)
    for line in families()[family]:
        told = ask(lake, spelled(line, lake, out))
        assert told.startswith("refused: "), line
        assert SECRET not in told, line
        assert "root:" not in told, line
        assert traces(lake, out) == before, line
    assert contents(lake, out) == whole


def test_the_connection_alone_lets_no_statement_write(
    lake: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were the parser fooled, still no path could be written."""
    monkeypatch.setattr(
        sandbox, "parse_statement", lambda con, sql: Statement(sql, frozenset({"alerts"}), catalog=False)
    )
    before, whole = traces(lake, out), contents(lake, out)
    plain, explained, *_ = families().values()
    for line in [*plain, *explained[::5]]:
        ask(lake, spelled(line, lake, out))
        assert traces(lake, out) == before, line
    assert contents(lake, out) == whole


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('{lake}/key')",
        "SELECT * FROM read_blob('{lake}/staging/x')",
        "SELECT * FROM read_csv('{lake}/journal/x.json')",
        "SELECT * FROM '{lake}/data/alerts/day=2026-03-02/part.parquet'",
        "SELECT * FROM read_text('lake://../key')",
        "SELECT * FROM read_text('lake://key')",
        "SELECT * FROM glob('{lake}/*')",
        "COPY (SELECT 1) TO 'lake://alerts/day=2026-03-02/part.parquet'",
        "COPY (SELECT 1) TO 'lake://alerts/day=2026-03-02/other.parquet'",
        "COPY (SELECT 1) TO 'lake://alerts' (FORMAT parquet, PARTITION_BY (1))",
    ],
)
def test_the_connection_alone_reaches_nothing_but_parts(
    sql: str, lake: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        sandbox, "parse_statement", lambda con, sql: Statement(sql, frozenset({"alerts"}), catalog=False)
    )
    before = traces(lake, out)
    told = ask(lake, sql.replace("{lake}", str(lake)))
    assert told.startswith("refused: "), told
    assert SECRET not in told
    assert traces(lake, out) == before


def test_the_python_face_refuses_what_the_command_refuses(lake: Path, out: Path) -> None:
    before = contents(lake, out)
    part = lake / "data/alerts/day=2026-03-02/part.parquet"
    for sql in (
        f"EXPLAIN ANALYZE COPY (SELECT 1) TO '{part}' (FORMAT parquet)",
        "WITH x AS (DELETE FROM alerts RETURNING *) SELECT * FROM x",
    ):
        with pytest.raises(HydrawatchError, match="one SELECT"):
            open_lake(lake).query(sql)
    assert contents(lake, out) == before


def test_a_link_among_the_parts_is_named_and_not_followed(tmp_path: Path) -> None:
    root = tmp_path / "lake"
    with Store(root) as store:
        store.write_views()
    outside = tmp_path / "outside.parquet"
    outside.write_bytes((root / "data/alerts/_/empty.parquet").read_bytes())
    (root / "data/alerts/day=2026-03-02").mkdir()
    os.symlink(outside, root / "data/alerts/day=2026-03-02/part.parquet")
    assert "not a plain file" in ask(root, "SELECT * FROM alerts")
    (root / "data/groups").rename(tmp_path / "groups")
    os.symlink(tmp_path / "groups", root / "data/groups")
    assert "leaves the lake" in ask(root, "SELECT * FROM groups")
    assert ask(root, "SELECT count(*) AS n FROM requests").count("0") >= 1


def test_a_part_replaced_while_it_is_asked_for_is_looked_up_again(
    lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run renames a new part into place between the listing and the reading."""
    real = sandbox.read_views
    lists = []

    def slow(*args: object) -> object:
        views, parts = real(*args)  # type: ignore[arg-type]
        lists.append(parts)
        if len(lists) == 1:
            gone = lake / "data" / "alerts" / "day=2026-03-02" / "gone.parquet"
            for name in parts.names:
                parts._files[name] = gone
        return views, parts

    monkeypatch.setattr(sandbox, "read_views", slow)
    assert "a-1" in ask(lake, "SELECT alert_id FROM alerts")
    assert len(lists) == 2

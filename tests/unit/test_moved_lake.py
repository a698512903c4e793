"""A lake that was moved or copied: nobody answers from where it was."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import duckdb
import pytest
from made_lake import day_with_alert
from typer.testing import CliRunner

from detector.cli import app
from detector.errors import ConfigError, LakeError
from detector.lake.engine.viewfile import views_elsewhere
from detector.lake.opened import open_lake
from detector.lake.tables import tables


def add_alerts(root: Path, n: int) -> None:
    day_with_alert(root, date(2026, 3, 1 + n), f"a-{n}")


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    add_alerts(tmp_path / "lake", 1)
    return tmp_path / "lake"


def plain(file: Path, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(file), read_only=True) as con:
        return con.sql(sql).fetchall()


def test_the_place_itself_answers_however_it_is_named(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(lake.parent)
    (lake.parent / "link").symlink_to(lake)
    for name in (lake, Path("lake"), Path("./lake"), lake / ".." / "lake", Path("link")):
        assert plain(name / "hydrawatch.duckdb", "SELECT alert_id FROM alerts") == [("a-1",)]
        assert open_lake(name).query("SELECT alert_id FROM alerts")["alert_id"].tolist() == ["a-1"]
    with duckdb.connect() as con:
        con.execute(f"ATTACH '{lake / 'hydrawatch.duckdb'}' AS hw (READ_ONLY)")
        assert con.sql("SELECT alert_id FROM hw.alerts").fetchall() == [("a-1",)]
    assert views_elsewhere(lake / "hydrawatch.duckdb", [lake / "data"]) is None


@pytest.mark.parametrize("original", ["stays", "goes"])
def test_a_copy_never_answers_from_its_original(original: str, lake: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    if original == "stays":
        shutil.copytree(lake, copy)
    else:
        shutil.move(lake, copy)
    with pytest.raises(LakeError, match=r"hydrawatch doctor --lake .*copy") as told:
        open_lake(copy).query("SELECT count(*) FROM alerts")
    assert "has moved" in str(told.value)
    assert views_elsewhere(copy / "hydrawatch.duckdb", [copy / "data"]) == str(lake / "data")
    for view in tables():
        with pytest.raises(duckdb.Error) as refused:
            plain(copy / "hydrawatch.duckdb", f'SELECT count(*) FROM "{view}"')
        assert original == "goes" or "has moved, or is a copy" in str(refused.value)
    done = CliRunner().invoke(app, ["query", "--lake", str(copy), "SELECT count(*) FROM alerts"])
    assert isinstance(done.exception, LakeError)


def test_after_doctor_a_copy_answers_for_itself(lake: Path, tmp_path: Path) -> None:
    copy = tmp_path / "it's the copy"
    shutil.copytree(lake, copy)
    done = CliRunner().invoke(app, ["doctor", "--lake", str(copy)])
    assert done.exit_code == 0, done.output
    add_alerts(lake, 2)
    assert open_lake(copy).query("SELECT alert_id FROM alerts")["alert_id"].tolist() == ["a-1"]
    assert plain(copy / "hydrawatch.duckdb", "SELECT alert_id FROM alerts") == [("a-1",)]
    assert plain(lake / "hydrawatch.duckdb", "SELECT alert_id FROM alerts") == [("a-2",)]


def test_views_are_read_whole_whatever_else_is_attached(lake: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    add_alerts(other, 2)
    with duckdb.connect() as con:
        con.execute(f"ATTACH '{lake / 'hydrawatch.duckdb'}' AS a (READ_ONLY)")
        con.execute(f"ATTACH '{other / 'hydrawatch.duckdb'}' AS b (READ_ONLY)")
        con.execute(f"ATTACH '{tmp_path / 'mine.duckdb'}' AS mine")
        found = con.sql(
            "SELECT alert_id FROM a.alerts UNION ALL SELECT alert_id FROM b.alerts ORDER BY 1"
        ).fetchall()
    assert found == [("a-1",), ("a-2",)]


def test_what_is_no_lake_is_called_so(tmp_path: Path, lake: Path) -> None:
    with pytest.raises(ConfigError, match=r"is not a lake\n  make one: hydrawatch ingest PATH --lake"):
        open_lake(tmp_path / "none")
    done = CliRunner().invoke(app, ["query", "--lake", str(tmp_path / "none"), "SELECT 1"])
    assert "is not a lake" in str(done.exception)
    (lake / "hydrawatch.duckdb").unlink()
    with pytest.raises(ConfigError, match=r"has no views\n  rewrite them: hydrawatch doctor --lake"):
        open_lake(lake)
    (lake / "hydrawatch.duckdb").write_bytes(b"no database")
    with pytest.raises(LakeError, match="hydrawatch doctor --lake"):
        open_lake(lake).query("SELECT 1")

"""A lake that 0.1.0 left: it is read, upgraded by the first command that writes, and runs on."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
from datetime import date
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from conftest import hydrawatch, ok

from detector.errors import HydrawatchError, LakeBusy, LakeError
from detector.lake.engine.viewfile import View, write_views
from detector.lake.faults import FAULT_POINTS
from detector.lake.journal import BEFORE
from detector.lake.migration import upgrade as upgrading
from detector.lake.migration.shape import shape
from detector.lake.migration.versions import SCHEMA
from detector.lake.opened import open_lake
from detector.lake.store import Store
from detector.lake.tables import tables
from detector.lake.views import aliases, described

ARCHIVE = Path(__file__).parents[1] / "data" / "lake-0.1.0.tar.xz"
KEY = "hydrawatch-0.1.0-frozen-lake-key"
#: The alerts it holds: two open, and one closed.
OPEN = ("a-2f25d3ea7d48b760", "a-ff9b3b899d20656a")
CLOSED = "a-62386c0d78761289"
NOW = ("--now", "2026-03-05")
CHANGED = ("account_scores", "contributions", "group_members", "groups")


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYDRAWATCH_KEY", KEY)


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """The lake as 0.1.0 left it, its views too, and its one sink."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="tar")
    lake = tmp_path / "lake"
    views = {}
    for name, table in shape(1).stored.items():
        names = ", ".join(f'"{n}"' for n in table.names if n != "stored_digest")
        files = f"read_parquet('{lake}/data/{name}/*/*.parquet', union_by_name = true)"
        views[name] = View(f"SELECT {names} FROM {files}")
    write_views(lake / "hydrawatch.duckdb", views)
    (lake / "hydrawatch.toml").write_text(f'[[sinks]]\ntype = "jsonl"\npath = "{tmp_path}/alerts.jsonl"\n')
    return lake


@pytest.fixture(scope="module")
def upgraded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lake after a run that found nothing to do; not to be changed."""
    home = tmp_path_factory.mktemp("upgraded")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(home, filter="tar")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HYDRAWATCH_KEY", KEY)
        ok("run", "--lake", home / "lake", *NOW)
    return home / "lake"


def bytes_of(lake: Path) -> dict[str, str]:
    """Every part and note of a lake by its path: hash of its bytes. Locks, views and columns are written at will."""
    left_out = {"lock", "deliver.lock", "hydrawatch.duckdb", "hydrawatch.toml", "empty.parquet"}
    return {
        str(p.relative_to(lake)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(lake.rglob("*"))
        if p.is_file() and p.name not in left_out
    }


def stored(lake: Path, folder: str) -> pl.DataFrame:
    parts = sorted(p for p in (lake / "data" / folder).glob("*/*.parquet") if p.parent.name != "_")
    return pl.concat([pl.read_parquet(p, hive_partitioning=False) for p in parts])


def alerts(lake: Path) -> pl.DataFrame:
    return open_lake(lake).query("SELECT * FROM alerts ORDER BY alert_id", as_="polars")


def stopped(lake: Path, *words: object, point: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", "from detector.cli import main; main()", *map(str, words), "--lake", str(lake)],
        env={**os.environ, "HYDRAWATCH_FAULT": point}, capture_output=True, check=False,
    )  # fmt: skip
    return done.returncode


def test_it_is_explained_as_it_lies(older: Path) -> None:
    before = bytes_of(older)
    for subject in (*OPEN, CLOSED):
        told = json.loads(ok("explain", subject, "--lake", older, "--json").stdout)
        assert told
    assert "neighbours" in ok("explain", OPEN[0], "--lake", older, "--json").stdout
    assert bytes_of(older) == before
    assert not (older / "data" / "contributions").exists()


def test_a_reader_who_may_not_write_reads_it(older: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    shutil.rmtree(older / "data" / "groups" / "_")
    monkeypatch.setattr("detector.lake.empties.write_empty", refused)
    with Store(older, reading=True) as store:
        rows = store.rows_of("alerts", "state = 'open'")
        found = store.engine.query(f"SELECT intrinsic_bits FROM {store.relation('groups')}")
    assert sorted(r["alert_id"] for r in rows) == sorted(OPEN)
    assert found.column(0).null_count < found.num_rows


def test_it_is_explained_alike_before_and_after(older: Path, upgraded: Path) -> None:
    for subject in (*OPEN, CLOSED):
        before = ok("explain", subject, "--lake", older, "--json").stdout
        after = ok("explain", subject, "--lake", upgraded, "--json").stdout
        assert before.replace(str(older), "") == after.replace(str(upgraded), "")


def test_it_is_queried_by_todays_names_and_by_the_old_ones(older: Path) -> None:
    rows = json.loads(
        ok(
            "query", "--json", "--lake", older,
            "SELECT count(*) AS n, count(*) FILTER (feature LIKE 'neighbours_%') AS named FROM contributions",
        ).stdout
    )  # fmt: skip
    assert rows["n"] == stored(older, "score_parts").height
    assert rows["named"] > 0
    old = open_lake(older).query("SELECT DISTINCT part FROM score_parts ORDER BY 1", as_="polars")
    assert old["part"].to_list() == sorted(stored(older, "score_parts")["part"].unique().to_list())


def test_a_run_upgrades_it_and_opens_and_closes_nothing(older: Path) -> None:
    before = alerts(older)
    done = ok("run", "--lake", older, *NOW)
    assert "nothing to do" in done.output
    assert alerts(older).equals(before)
    assert sorted(before.filter(pl.col("state") == "open")["alert_id"]) == sorted(OPEN)
    noted = json.loads((older / "lake.json").read_text())
    assert (noted["schema"], noted["made_by"]) == (SCHEMA, "0.1.0")
    assert "contributions" in noted["tables"]
    assert not (older / BEFORE).exists()
    assert "no faults" in ok("doctor", "--deep", "--lake", older).output


def test_every_row_and_value_is_carried_over(older: Path, upgraded: Path) -> None:
    first = shape(1)
    for name in tables():
        folder = first.folder(name)
        if not any((older / "data" / folder).glob("*/*.parquet")) or name == "runs":
            continue
        if not [p for p in (older / "data" / folder).glob("*/*.parquet") if p.parent.name != "_"]:
            continue
        was, now = stored(older, folder), stored(upgraded, name)
        assert was.height == now.height, name
        for column, old in first.carried(name).items():
            if old in was.columns:
                assert was[old].equals(now[column], null_equal=True), f"{name}.{column}"
    was, now = stored(older, "group_members"), stored(upgraded, "group_members")
    assert (was["firm"] == ~now["spoofable"]).all()
    assert set(now["bond"]) == {"keys", "similarity", "neighbours"}
    assert not (upgraded / "data" / "score_parts").exists()


def test_deliver_upgrades_it_and_sends_nothing(older: Path) -> None:
    assert "0 events" in ok("deliver", "--lake", older, "--dry-run").output
    ok("deliver", "--lake", older)
    assert (older / BEFORE / "score_parts").is_dir()
    sent = older.parent / "alerts.jsonl"
    assert not sent.exists() or not sent.read_text()
    assert "the next run removes them" in ok("doctor", "--lake", older).output
    ok("run", "--lake", older, *NOW)
    assert not (older / BEFORE).exists()


def test_the_way_back_in_the_documents_leads_back(older: Path) -> None:
    before = bytes_of(older)
    with Store(older):
        pass
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    commands = page.partition("## Upgrading")[2].partition("```sh\n")[2].partition("```")[0]
    shell = commands.replace("hydrawatch doctor --lake .", "true")
    subprocess.run(["/bin/sh", "-ec", shell], cwd=older.parent, check=True)
    assert bytes_of(older) == before
    with Store(older, reading=True) as store:
        assert store.shape.number == 1


def test_it_runs_on_with_new_facts(older: Path) -> None:
    known = alerts(older)
    honest = (
        stored(older, "account_scores").filter(pl.col("verdict") == "clear")["account_id"].unique().sort()
    )
    lines = [
        {
            "request_id": f"new-{n}", "ts": f"2026-03-05T10:{n:02d}:00Z", "account_id": account, "model": "m",
            "input_tokens": 10, "output_tokens": 20, "prompt": "What is the capital of France?",
        }
        for n, account in enumerate(honest.head(20))
    ]  # fmt: skip
    log = older.parent / "requests-2026-03-05.jsonl"
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    ok("ingest", log, "--lake", older, "--now", "2026-03-06")
    assert (older / BEFORE).is_dir()
    done = ok("run", "--lake", older, "--now", "2026-03-06")
    assert "2026-03-05: 20 requests" in done.output
    assert "0 opened" in done.output
    after = alerts(older)
    assert set(known["alert_id"]) <= set(after["alert_id"])
    assert not (older / BEFORE).exists()
    assert "no faults" in ok("doctor", "--deep", "--lake", older).output


def test_an_upgraded_lake_is_left_alone(older: Path) -> None:
    ok("run", "--lake", older, *NOW)
    before = bytes_of(older)
    ok("run", "--lake", older, *NOW)
    ok("deliver", "--lake", older)
    assert bytes_of(older) == before


@pytest.mark.parametrize("point", [p for p in FAULT_POINTS if p.startswith("migrate.")])
def test_a_kill_at_any_point_ends_where_no_kill_does(older: Path, upgraded: Path, point: str) -> None:
    assert stopped(older, "run", *NOW, point=point) == 137
    copy = older.parent / "copy"
    shutil.copytree(older, copy)
    ok("run", "--lake", older, *NOW)
    assert bytes_of(older) == bytes_of(upgraded)
    assert not any((older / "staging").iterdir())
    assert not any((older / "journal").iterdir())
    # Readers and doctor manage before the next command that writes.
    assert json.loads(ok("explain", OPEN[0], "--lake", copy, "--json").stdout)
    assert "no faults" in ok("doctor", "--lake", copy).output
    assert alerts(copy).filter(pl.col("state") == "open").height == len(OPEN)


def test_a_folder_made_between_two_renames_is_no_hindrance(older: Path, upgraded: Path) -> None:
    assert stopped(older, "run", *NOW, point="migrate.half") == 137
    groups = older / "data" / "groups"
    groups.rename(older / BEFORE / "groups")
    shutil.copytree(older / BEFORE / "groups" / "_", groups / "_")
    ok("run", "--lake", older, *NOW)
    assert bytes_of(older) == bytes_of(upgraded)


def test_a_damaged_journal_of_an_upgrade_is_finished_from_what_is_staged(older: Path, upgraded: Path) -> None:
    assert stopped(older, "run", *NOW, point="migrate.half") == 137
    [journal] = (older / "journal").glob("*.json")
    journal.write_text("{")
    assert "finished from what was staged" in ok("doctor", "--lake", older).output
    ok("run", "--lake", older, *NOW)
    assert bytes_of(older) == bytes_of(upgraded)


def test_a_reader_that_may_not_finish_it_waits(older: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert stopped(older, "run", *NOW, point="migrate.half") == 137

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("detector.lake.locks.os.open", refused)
    with pytest.raises(LakeBusy, match="being upgraded"):
        Store(older, reading=True)


def test_a_reader_across_an_upgrade_begins_anew(older: Path) -> None:
    with Store(older, reading=True) as reader:
        reader.read("groups", date(2026, 3, 4))
        with Store(older):
            pass
        with pytest.raises(LakeBusy, match="upgraded meanwhile"):
            reader.read("groups", date(2026, 3, 4))


@pytest.mark.parametrize("lock", ["lock", "deliver.lock"])
def test_another_process_at_work_is_waited_for(older: Path, lock: str) -> None:
    with Store(older, reading=True) as other, other.locked() if lock == "lock" else other.delivering():
        with pytest.raises(LakeBusy):
            Store(older)
    assert not (older / BEFORE).exists()


def _shorter(rows: pa.Table) -> pa.Table:
    return rows.slice(1)


def _reordered(rows: pa.Table) -> pa.Table:
    return rows.take(list(reversed(range(rows.num_rows))))


@pytest.mark.parametrize("wrong", [_shorter, _reordered])
def test_a_part_made_wrong_is_noticed(older: Path, wrong: object, monkeypatch: pytest.MonkeyPatch) -> None:
    before = bytes_of(older)
    real = upgrading.write_part

    def write(table: str, rows: pa.Table, path: Path) -> None:
        assert callable(wrong)
        real(table, wrong(rows) if table == "groups" else rows, path)

    monkeypatch.setattr(upgrading, "write_part", write)
    with pytest.raises(LakeError, match="the upgrade of table groups went wrong") as caught:
        Store(older)
    assert "groups" in str(caught.value.at)
    assert bytes_of(older) == before
    assert not any((older / "staging").iterdir())


def test_a_damaged_part_stops_it_and_changes_nothing(older: Path) -> None:
    part = next((older / "data" / "groups").glob("day=*/part.parquet"))
    part.write_bytes(part.read_bytes()[:200])
    before = bytes_of(older)
    with pytest.raises(HydrawatchError):
        Store(older)
    assert bytes_of(older) == before


def test_results_that_were_changed_stay_told_of(older: Path) -> None:
    part = older / "data" / "groups" / "day=2026-03-04" / "part.parquet"
    rows = pl.read_parquet(part, hive_partitioning=False).with_columns(score=pl.lit(0.5))
    rows.write_parquet(part)
    ok("run", "--lake", older, *NOW)
    assert "are not what its run stored" in hydrawatch("doctor", "--deep", "--lake", older).output


@pytest.mark.parametrize(
    "words",
    [("run",), ("deliver",), ("explain", OPEN[0]), ("query", "SELECT 1"), ("doctor",), ("ingest", ".")],
)
def test_a_later_lake_is_refused(older: Path, words: tuple[str, ...]) -> None:
    path = older / "lake.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": SCHEMA + 1, "schema_by": "9.1.0"}))
    before = bytes_of(older)
    error = hydrawatch(*words, "--lake", older).exception
    assert isinstance(error, LakeError)
    assert "hydrawatch 9.1.0" in error.message
    assert "pip install --upgrade" in str(error.hint)
    assert bytes_of(older) == before


def test_a_lake_that_lost_its_note_is_told_by_its_tables(older: Path) -> None:
    (older / "lake.json").unlink()
    with Store(older, reading=True) as store:
        assert store.shape.number == 1
    with Store(older) as store:
        assert store.shape.number == SCHEMA
    (older / "lake.json").unlink()
    with Store(older) as store:
        assert store.shape.number == SCHEMA


def test_doctor_tells_of_an_older_lake_and_of_a_mixture(older: Path) -> None:
    told = ok("doctor", "--lake", older).output
    assert "this lake is as hydrawatch 0.1.0 left it" in told
    assert "no faults" in told
    was = {t: older.parent / t for t in ("groups", "score_parts")}
    for table, copy in was.items():
        shutil.copytree(older / "data" / table / "day=2026-03-04", copy)
    ok("run", "--lake", older, *NOW)
    shutil.rmtree(older / "data" / "groups" / "day=2026-03-04")
    shutil.move(was["groups"], older / "data" / "groups" / "day=2026-03-04")
    (older / "data" / "score_parts").mkdir()
    shutil.move(was["score_parts"], older / "data" / "score_parts" / "day=2026-03-04")
    told = hydrawatch("doctor", "--lake", older).output
    assert "were run by hydrawatch 0.1.0 after the upgrade" in told
    assert "score_parts: a table of an earlier version" in told


def test_each_alias_equals_its_column(upgraded: Path) -> None:
    lake = open_lake(upgraded)
    for alias in aliases():
        if alias.view == alias.table:
            [row] = lake.query(
                f"SELECT count(*) AS n, count(*) FILTER ({alias.name} IS DISTINCT FROM {alias.sql}) AS other "
                f"FROM {alias.view}",
                as_="polars",
            ).to_dicts()
            assert row["n"] > 0
            assert row["other"] == 0, alias
    old = lake.query("SELECT * FROM score_parts ORDER BY ALL", as_="polars")
    new = lake.query("SELECT * REPLACE (feature AS feature) FROM contributions ORDER BY ALL", as_="polars")
    assert old.drop("part").sort(pl.all()).equals(new.drop("feature").sort(pl.all()))
    assert lake.frame("score_parts", as_="polars").height == new.height


def test_the_views_file_says_what_is_an_alias(upgraded: Path) -> None:
    with duckdb.connect(str(upgraded / "hydrawatch.duckdb"), read_only=True) as con:
        comments = dict(
            con.execute(
                "SELECT table_name || '.' || column_name, comment FROM duckdb_columns() WHERE comment IS NOT NULL"
            ).fetchall()
        )
        views = dict(
            con.execute("SELECT view_name, comment FROM duckdb_views() WHERE NOT internal").fetchall()
        )
    assert comments == {f"{a.view}.{a.name}": a.meaning for a in aliases()}
    assert views["score_parts"] == "alias of contributions; goes with 0.3"
    assert set(views) == set(described())

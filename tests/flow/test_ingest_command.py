"""The command ``ingest``: what it says, how it ends, and that neither nights nor kills change what is stored."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from conftest import hydrawatch, ok

from detector import open_lake
from detector.errors import DataQualityError, HydrawatchError
from detector.lake.faults import FAULT_POINTS
from detector.lake.store import Store

FORMATS = Path(__file__).parents[2] / "sample_logs" / "formats"
TABLES = ("requests", "accounts", "account_events", "model_releases", "templates", "rejects", "files")
CLOCK = ("ingested_at", "reread_at", "path")


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYDRAWATCH_KEY", "one key for all lakes of these tests")


def request(n: int, ts: str = "2026-11-01T10:00:00Z", **more: Any) -> dict[str, Any]:
    return {
        "request_id": f"r-{n}", "ts": ts, "account_id": f"a-{n % 3}", "model": "m", "tenant": f"t-{n % 2}",
        "prompt": f"Explain why {n} is the answer to the question.", **more,
    }  # fmt: skip


def log(path: Path, *rows: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


def contents(lake: Path) -> dict[str, set[str]]:
    """Every table as a set of rows, without the clock and the folder."""
    with Store(lake, threads=1) as store:
        found = {}
        for table in TABLES:
            rows = pl.DataFrame(pl.from_arrow(store.engine.query(f"SELECT * FROM {store.relation(table)}")))
            found[table] = {repr(row) for row in rows.drop(CLOCK, strict=False).iter_rows()}
            assert len(found[table]) == rows.height, table
        return found


def same(one: dict[str, set[str]], other: dict[str, set[str]]) -> None:
    for table in TABLES:
        assert one[table] == other[table], table


def fails(*words: object) -> tuple[DataQualityError, str]:
    result = hydrawatch("ingest", *words)
    assert isinstance(result.exception, DataQualityError), result.output
    assert result.exception.exit_code == 3
    return result.exception, result.output


def test_every_table_is_the_same_however_the_nights_are_cut(tmp_path: Path) -> None:
    files = sorted(FORMATS.iterdir())
    grown = tmp_path / "in" / "zz-grown.jsonl"
    rows = [request(n) for n in range(40)]
    log(grown, *rows)
    ok("ingest", *files, grown, "--lake", tmp_path / "whole")
    for path in (*files, grown):
        ok("ingest", path, "--lake", tmp_path / "nights")
    whole = contents(tmp_path / "whole")
    assert len(whole["templates"]) > 10
    same(whole, contents(tmp_path / "nights"))


def test_a_template_is_told_at_its_second_meeting_whenever_that_is(tmp_path: Path) -> None:
    for n in range(3):
        ok("ingest", log(tmp_path / f"{n}.jsonl", request(n)), "--lake", tmp_path / "lake")
        assert len(open_lake(tmp_path / "lake").frame("templates")) == (n > 0)


@pytest.mark.parametrize("point", [p for p in FAULT_POINTS if p.startswith("ingest.")])
def test_a_kill_while_files_are_read_changes_no_table(tmp_path: Path, point: str) -> None:
    for n in range(3):
        log(tmp_path / "in" / f"{n}.jsonl", *(request(m) for m in range(n * 3, n * 3 + 5)))
    killed(point, "ingest", tmp_path / "in", "--lake", tmp_path / "killed")
    ok("ingest", tmp_path / "in", "--lake", tmp_path / "killed")
    ok("ingest", tmp_path / "in", "--lake", tmp_path / "whole")
    same(contents(tmp_path / "whole"), contents(tmp_path / "killed"))


@pytest.mark.parametrize("point", [p for p in FAULT_POINTS if p.startswith("ingest.")])
def test_a_kill_while_a_file_is_read_again_leaves_the_old_rows_or_the_new(tmp_path: Path, point: str) -> None:
    lake = tmp_path / "lake"
    path = log(
        tmp_path / "in" / "a.jsonl", *(request(n, f"2026-11-0{1 + n % 3}T10:00:00Z") for n in range(9))
    )
    other = log(tmp_path / "in" / "b.jsonl", request(8, "2026-11-03T10:00:00Z"), request(20))
    ok("ingest", path, other, "--lake", lake)
    old = contents(lake)
    lake.joinpath("hydrawatch.toml").write_text('account_attribute = "tenant"\n')
    killed(point, "ingest", "--again", path, "--lake", lake)
    # The next command that opens the lake repairs it.
    ok("doctor", "--lake", lake)
    accounts = set(open_lake(lake).query("SELECT DISTINCT account_id FROM requests")["account_id"])
    if point == "ingest.staged":
        same(old, contents(lake))
    else:
        assert accounts == {"t-0", "t-1", "a-2"}  # a-2: the line that only b gave
        assert len(contents(lake)["requests"]) == 10
    ok("ingest", "--again", path, other, "--lake", lake)
    ok("ingest", path, other, "--lake", tmp_path / "fresh", "--config", lake / "hydrawatch.toml")
    fresh, again = contents(tmp_path / "fresh"), contents(lake)
    for table in ("requests", "rejects", "files"):
        assert fresh[table] == again[table], table


def killed(point: str, *words: object) -> None:
    command = [sys.executable, "-c", "from detector.cli import main; main()", *map(str, words)]
    done = subprocess.run(
        command, env={**os.environ, "HYDRAWATCH_FAULT": point}, capture_output=True, check=False
    )
    assert done.returncode == 137, done.stderr


def test_no_run_is_proposed_where_nothing_was_read(tmp_path: Path) -> None:
    logs, lake = tmp_path / "logs", tmp_path / "lake"
    logs.mkdir()
    (logs / "README.md").write_text("words\n")
    assert "next: hydrawatch run" not in ok("ingest", logs, "--lake", lake).output
    log(logs / "good.jsonl", request(1))
    log(logs / "same.jsonl", request(1))
    output = ok("ingest", logs, "--lake", lake).output
    assert "next: hydrawatch run" in output
    assert f"same.jsonl: already ingested as {logs / 'good.jsonl'}, nothing done" in output


def test_unreadable_files_end_in_3_every_night_until_cured_or_ignored(tmp_path: Path) -> None:
    logs, lake = tmp_path / "logs", tmp_path / "lake"
    log(logs / "good.jsonl", request(1))
    (logs / "cut.parquet").write_bytes(b"PAR1 and no more")
    (logs / ".hidden").write_text("x")
    for said in ("(native requests): 1 line", "already ingested, nothing done"):
        error, output = fails(logs, "--lake", lake)
        assert "cut.parquet" in str(error)
        assert "--ignore" in str(error)
        assert f"{logs / 'cut.parquet'}: unreadable: " in output
        assert f"{logs / '.hidden'}: passed over: " in output
        assert said in output
        assert output.count("already ingested") == (1 if "already" in said else 0)
        assert "next: hydrawatch run" in output
    assert "passed over" in ok("ingest", logs, "--lake", lake, "--ignore", "*.parquet").output
    (lake / "hydrawatch.toml").write_text('ignore = ["cut.*"]\n')
    assert "2 passed over" in ok("ingest", logs, "--lake", lake).output
    statuses = open_lake(lake).query("SELECT status, count(*) AS n FROM files GROUP BY ALL ORDER BY ALL")
    assert statuses.to_numpy().tolist() == [["passed", 2], ["read", 1]]


def test_a_file_of_rejects_alone_does_not_heal_by_itself(tmp_path: Path) -> None:
    path, lake = log(tmp_path / "requests.jsonl", request(1), request(2)), tmp_path / "lake"
    for said in ("2 lines = 0 kept + 2 rejected", "100% of its lines were rejected"):
        _, output = fails(path, "--lake", lake, "--format", "envoy")
        assert said in output
    output = ok("ingest", path, "--lake", lake).output
    assert "2 kept + 0 rejected" in output
    assert "1 file read; 2 requests of 2 accounts kept" in output


def test_what_is_named_can_be_pasted_whatever_the_file_is_called(tmp_path: Path) -> None:
    lake = tmp_path / "my lake"
    path = log(tmp_path / "in" / "a b'c$(x)\n;--lake.jsonl", request(1))
    ok("ingest", path, "--lake", lake)
    (lake / "hydrawatch.toml").write_text('account_attribute = "tenant"\n')
    output = ok("ingest", path, "--lake", lake).output
    [command] = [line.strip() for line in output.splitlines() if "ingest --again" in line]
    shown = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {command}"], capture_output=True, check=True
    ).stdout.split(b"\0")[:-1]
    words = [os.fsdecode(word) for word in shown]
    assert words == ["hydrawatch", "ingest", "--again", str(path), "--lake", str(lake)]
    output = ok(*words[1:]).output
    assert "1 row of 2026-11-01 will be replaced" in output
    assert output.index("will be replaced") < output.index("in place of 1 row")
    assert "already ingested, nothing done" in ok("ingest", path, "--lake", lake).output
    [following] = [line for line in output.splitlines() if line.startswith("next: ")]
    assert shlex.split(following)[1:] == ["hydrawatch", "run", "--lake", str(lake)]


def test_late_lines_are_named_with_the_backfill_that_takes_them(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    ok("ingest", log(tmp_path / "a.jsonl", request(1)), "--lake", lake)
    ok("run", "--lake", lake)
    late = log(tmp_path / "b.jsonl", request(2), request(3, "2026-09-01T00:00:00Z"))
    output = ok("ingest", late, "--lake", lake).output
    assert "1 rejected: dated before what this lake takes without --backfill (before 2026-09-27)" in output
    assert "--again --backfill" in ok("ingest", late, "--lake", lake, "--backfill").output
    output = ok("ingest", late, "--lake", lake, "--again", "--backfill").output
    assert "2 lines = 2 kept" in output


def test_now_is_the_time_that_a_replay_says_it_is(tmp_path: Path) -> None:
    path, lake = log(tmp_path / "a.jsonl", request(1)), tmp_path / "lake"
    fails(path, "--lake", lake, "--now", "2026-10-01T00:00:00Z")
    assert "1 kept" in ok("ingest", path, "--lake", lake, "--now", "2026-11-02T01:00:00+02:00").output
    assert hydrawatch("ingest", path, "--lake", lake, "--now", "tomorrow").exit_code == 2


def test_a_slip_in_the_path_leaves_no_lake(tmp_path: Path) -> None:
    result = hydrawatch("ingest", tmp_path / "typo", "--lake", tmp_path / "lake")
    assert isinstance(result.exception, HydrawatchError)
    assert result.exception.exit_code == 2
    assert not (tmp_path / "lake").exists()


def test_the_lakes_own_folder_is_never_read(tmp_path: Path) -> None:
    log(tmp_path / "a.jsonl", request(1))
    ok("ingest", tmp_path, "--lake", tmp_path / "lake")
    before = contents(tmp_path / "lake")
    hydrawatch("ingest", tmp_path, "--lake", tmp_path / "lake")
    after = contents(tmp_path / "lake")
    assert before["requests"] == after["requests"]
    assert before["templates"] == after["templates"]
    read = open_lake(tmp_path / "lake").query("SELECT path FROM files WHERE status = 'read'")["path"]
    assert list(read) == [str(tmp_path / "a.jsonl")]

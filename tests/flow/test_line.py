"""The whole line: logs in, alerts out; twice is once; late logs make days stale; crashes lose nothing."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import polars as pl
import pytest
from conftest import hydrawatch, ok

from detector import open_lake
from detector.errors import ConfigError, DataQualityError, HydrawatchError
from detector.lab.benchmark.outcome import outcome
from detector.lake.faults import FAULT_POINTS
from detector.lake.tables import tables

RESULTS = (
    "account_days",
    "ties",
    "group_members",
    "group_days",
    "groups",
    "account_scores",
    "contributions",
    "why",
    "alerts",
)


def rows(lake: Path, table: str) -> pl.DataFrame:
    """Everything a table holds, all days, in a fixed order."""
    parts = sorted((lake / "data" / table).glob("day=*/*.parquet"))
    return pl.concat([pl.read_parquet(p) for p in parts]) if parts else pl.DataFrame()


def snapshot(lake: Path) -> dict[str, pl.DataFrame]:
    return {t: rows(lake, t) for t in RESULTS}


def same(one: dict[str, pl.DataFrame], other: dict[str, pl.DataFrame]) -> None:
    for table, frame in one.items():
        assert frame.equals(other[table]), table


def test_the_line_alerts_on_a_naive_hydra(world: Path, finished: Path) -> None:
    result = outcome(finished, world / "truth.csv")
    assert result.average_precision > 0.9
    assert result.alerts.num_rows >= 1
    assert result.false_groups == 0


def test_every_line_is_accounted_for(world: Path, finished: Path) -> None:
    files = open_lake(finished).frame("files", as_="polars")
    assert (files["n_lines"] == files["n_requests"] + files["n_rejects"] + files["n_duplicates"]).all()
    lines = 0
    for path in (world / "logs").glob("requests-*.jsonl.gz"):
        with gzip.open(path) as log:
            lines += sum(1 for _ in log)
    assert files.filter(pl.col("content") == "requests")["n_lines"].sum() == lines


def test_again_changes_nothing(world: Path, lake: Path) -> None:
    before = snapshot(lake)
    assert "already ingested" in ok("ingest", world / "logs", "--lake", lake).output
    assert "nothing to do" in ok("run", "--lake", lake).output
    same(before, snapshot(lake))
    ok("run", "--lake", lake, "--since", "2000-01-01")
    same(before, snapshot(lake))


def test_every_account_seen_is_scored_and_in_one_group_at_most(finished: Path) -> None:
    opened = open_lake(finished)
    seen = set(opened.query("SELECT DISTINCT account_id FROM requests")["account_id"])
    scores = opened.frame("account_scores", as_="polars")
    assert seen <= set(scores["account_id"])
    assert scores["account_id"].is_unique().all()
    assert scores["score"].is_between(0, 1).all()
    assert set(scores["verdict"]) <= {"clear", "watch", "alert"}
    assert opened.frame("group_members", as_="polars")["account_id"].is_unique().all()


def test_a_run_knows_only_its_own_past(world: Path, finished: Path, tmp_path: Path) -> None:
    """The first day alone gives the first day's results, to the last digit."""
    short = tmp_path / "short"
    logs = tmp_path / "logs"
    shutil.copytree(world / "logs", logs)
    later = sorted(logs.glob("requests-*"))[1:]
    for path in later:
        path.unlink()
    shutil.copytree(
        finished, short, ignore=lambda d, names: ["data", "hydrawatch.duckdb"] if d == str(finished) else []
    )
    ok("ingest", logs, "--lake", short)
    ok("run", "--lake", short)
    day = rows(short, "account_scores")["day"].unique().item()
    for table in RESULTS:
        whole = rows(finished, table)
        if whole.height:
            assert rows(short, table).equals(whole.filter(pl.col("day") == day)), table


def test_late_requests_make_the_day_and_those_after_it_stale(world: Path, lake: Path, tmp_path: Path) -> None:
    second = sorted((world / "logs").glob("requests-*"))[1]
    with gzip.open(second, "rt") as log:
        late = json.loads(next(log))
    late["request_id"] = "late-1"
    (tmp_path / "requests-late.jsonl").write_text(json.dumps(late) + "\n")
    ok("ingest", tmp_path / "requests-late.jsonl", "--lake", lake)
    output = ok("run", "--lake", lake).output
    days = sorted(p.name[9:19] for p in (world / "logs").glob("requests-*"))
    assert [f"{d}:" in output for d in days] == [False, True, True]


def test_late_facts_make_the_days_they_concern_stale(world: Path, lake: Path, tmp_path: Path) -> None:
    days = sorted(p.name[9:19] for p in (world / "logs").glob("requests-*"))
    event = {"ts": f"{days[-1]}T10:00:00Z", "account_id": "whoever", "event": "banned"}
    (tmp_path / "account_events.jsonl").write_text(json.dumps(event) + "\n")
    ok("ingest", tmp_path / "account_events.jsonl", "--lake", lake)
    output = ok("run", "--lake", lake).output
    assert [f"{d}:" in output for d in days] == [False, False, True]


def test_a_folder_with_broken_lines_is_survived(world: Path, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    with gzip.open(sorted((world / "logs").glob("requests-*"))[0]) as log:
        good = log.read().splitlines()[:50]
    broken = [b"", b"{", b'{"request_id": "x"}', b"\xff\xfe{}", b"[1,2]", b"null", good[0]]
    (logs / "requests-a.jsonl").write_bytes(b"\n".join([*good, *broken]) + b"\n")
    (logs / "notes.txt").write_text("not a log")
    lake = tmp_path / "lake"
    ok("ingest", logs, "--lake", lake)
    files = open_lake(lake).frame("files", as_="polars").row(0, named=True)
    assert (files["n_lines"], files["n_requests"], files["n_rejects"], files["n_duplicates"]) == (
        57,
        50,
        6,
        1,
    )
    rejects = open_lake(lake).frame("rejects", as_="polars").sort("line")
    assert rejects["line"].to_list() == [51, 52, 53, 54, 55, 56]
    assert rejects["reason"].is_not_null().all()


def test_the_quality_gate(tmp_path: Path) -> None:
    (tmp_path / "requests.jsonl").write_text('{"ts": "never"}\n' * 10)
    result = hydrawatch(
        "ingest", tmp_path / "requests.jsonl", "--lake", tmp_path / "lake", "--format", "native"
    )
    assert isinstance(result.exception, DataQualityError)
    assert result.exception.exit_code == 3
    assert "10 lines = 0 kept + 10 rejected" in result.output
    assert open_lake(tmp_path / "lake").frame("rejects").shape[0] == 10


def test_deliver_sends_each_version_once(lake: Path) -> None:
    dry = [
        json.loads(line) for line in ok("deliver", "--lake", lake, "--dry-run", "--json").stdout.splitlines()
    ]
    sent = [json.loads(line) for line in ok("deliver", "--lake", lake, "--json").stdout.splitlines()]
    assert dry == sent
    assert all(s["event"]["class_uid"] == 2004 and s["sink"] for s in sent)
    assert len(sent) >= 1
    assert ok("deliver", "--lake", lake, "--json").stdout == ""


def test_explain_tells_the_case_of_alert_group_and_account(finished: Path, tmp_path: Path) -> None:
    opened = open_lake(finished)
    alert = opened.frame("alerts", as_="polars").filter(pl.col("subject_type") == "group").row(0, named=True)
    member = opened.query(
        f"SELECT account_id FROM group_members WHERE group_id = '{alert['subject_id']}' LIMIT 1"
    )["account_id"][0]
    assert alert["subject_id"] in ok("explain", alert["alert_id"], "--lake", finished).stdout
    case = json.loads(ok("explain", alert["subject_id"], "--lake", finished, "--json").stdout)
    assert case["evidence"]
    assert case["parts"]
    assert {m["account_id"] for m in case["members"]} >= {member}
    connected = case["connections"]
    assert connected["whole"]["n_largest"] >= connected["unspoofable"]["n_largest"] > 0
    assert connected["whole"]["n_accounts"] == connected["n_accounts"] <= len(case["members"])
    assert connected["keys"][0]["n_accounts"] >= 2
    assert "What connects the accounts" in ok("explain", alert["alert_id"], "--lake", finished).stdout
    assert member in ok("explain", member, "--lake", finished).stdout
    shown_that_day = opened.query(
        "SELECT w.account_id FROM why w JOIN account_scores s ON w.account_id = s.account_id AND w.day = s.score_day "
        f"WHERE w.group_id = '{alert['subject_id']}' ORDER BY 1"
    )["account_id"][0]
    tied = json.loads(ok("explain", shown_that_day, "--lake", finished, "--json").stdout)["ties"]
    assert tied["group_id"] == alert["subject_id"]
    assert tied["chains"]
    page = tmp_path / "case.html"
    ok("explain", alert["alert_id"], "--lake", finished, "--html", page)
    assert "<script" not in page.read_text()
    assert alert["subject_id"] in page.read_text()
    assert member in page.read_text()
    assert (
        ok("report", alert["alert_id"], "--lake", finished).stdout
        == page.read_text()
        == opened.report(alert["alert_id"])
    )
    ok("report", alert["alert_id"], "--lake", finished, "--out", tmp_path / "again.html")
    assert (tmp_path / "again.html").read_bytes() == page.read_bytes()
    assert case["daily"]
    assert page.read_text().count("<svg") == 1 + (len(case["daily"]) > 1)
    nowhere = hydrawatch("explain", member, "--lake", finished, "--html", tmp_path / "no" / "case.html")
    assert "a folder that exists" in str(getattr(nowhere.exception, "hint", ""))
    assert isinstance(hydrawatch("explain", "nobody", "--lake", finished).exception, ConfigError)


def test_plain_duckdb_reads_the_views(finished: Path) -> None:
    with duckdb.connect(str(finished / "hydrawatch.duckdb"), read_only=True) as con:
        for name in tables():
            con.execute(f'SELECT count(*) FROM "{name}"').fetchall()
        assert con.execute("SELECT count(*) FROM account_scores").fetchall()[0][0] > 0


def test_query_prints_json_csv_and_tables(finished: Path) -> None:
    sql = "SELECT '=1+1' AS f, 1 AS n"
    assert json.loads(ok("query", sql, "--lake", finished, "--json").stdout) == {"f": "=1+1", "n": 1}
    assert "'=1+1" in ok("query", sql, "--lake", finished, "--csv").stdout
    assert "=1+1" in ok("query", sql, "--lake", finished).stdout


@pytest.mark.parametrize("point", [p for p in FAULT_POINTS if p.split(".")[0] in ("ingest", "run", "views")])
def test_a_kill_at_any_point_is_repaired(world: Path, finished: Path, tmp_path: Path, point: str) -> None:
    logs = sorted((world / "logs").glob("requests-*"))[:1]
    facts = [p for p in (world / "logs").iterdir() if not p.name.startswith("requests")]
    lake = tmp_path / "lake"
    lake.mkdir()
    shutil.copy(finished / "key", lake / "key")
    command = [sys.executable, "-c", "from detector.cli import main; main()"]
    environment = {**os.environ, "HYDRAWATCH_FAULT": point}
    steps = (["ingest", *map(str, [*facts, *logs]), "--lake", str(lake)], ["run", "--lake", str(lake)])
    codes = []
    for step in steps:
        done = subprocess.run([*command, *step], env=environment, capture_output=True, check=False)
        codes.append(done.returncode)
        if done.returncode:
            ok(*step)
    assert 137 in codes
    day = rows(lake, "account_scores")["day"].unique().item()
    for table in RESULTS:
        whole = rows(finished, table)
        if whole.height:
            assert rows(lake, table).equals(whole.filter(pl.col("day") == day)), table
    assert "no faults" in ok("doctor", "--lake", lake).output


def test_errors_say_what_to_do(tmp_path: Path) -> None:
    for words in (("run", "--lake", tmp_path / "none"), ("query", "SELECT 1", "--lake", tmp_path / "none")):
        error = hydrawatch(*words).exception
        assert isinstance(error, HydrawatchError)
        assert error.hint
        assert "hydrawatch" in error.hint

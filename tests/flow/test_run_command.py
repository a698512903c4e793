"""The ``run`` and ``nightly`` commands: what is run and what is not, what they say, and how they end."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import typer
from conftest import hydrawatch, ok
from typer.testing import Result

from detector import open_lake, pipeline
from detector.errors import ConfigError, DataQualityError
from detector.lake.store import Store

ODD = {"request_id": "odd-1", "account_id": "acct-odd", "model": "m"}


def days_of(lake: Path) -> list[str]:
    return sorted(p.name[4:] for p in (lake / "data/requests").glob("day=*"))


def add(lake: Path, day: date) -> None:
    """One request of ``day``, as a lake may hold it from before times to come were set aside."""
    with Store(lake) as store:
        source = store.parts("requests")[0]
        odd = {"day": pl.lit(day), "account_id": pl.lit("acct-odd"), "request_id": pl.lit("odd-1")}
        row = pl.read_parquet(source).head(1).with_columns(**odd)
        with store.transaction("ingest") as txn:
            txn.add("requests", row, day=day, part="odd.parquet")


def ran(output: str) -> list[str]:
    """Days that the command says it ran."""
    lines = [line.split(":")[0] for line in output.splitlines() if " request" in line and "; alerts:" in line]
    return [line for line in lines if len(line) == 10]


def alerts(lake: Path) -> list[tuple[Any, ...]]:
    columns = "alert_id, state, version, day"
    return open_lake(lake).query(f"SELECT {columns} FROM alerts ORDER BY 1", as_="polars").rows()


def fails(result: Result) -> str:
    """The message of a usage error, without the frame it is shown in."""
    assert result.exception is not None
    return " ".join(f"{result.exception} {result.output}".replace("│", " ").split())


def test_days_after_today_are_never_run_and_hide_nothing(lake: Path) -> None:
    before = alerts(lake)
    add(lake, date(2099, 1, 1))
    output = ok("run", "--lake", lake).output
    assert ran(output) == []
    assert "1 day after today" in output
    assert "2099-01-01" in output
    assert alerts(lake) == before
    refused = fails(hydrawatch("run", "--lake", lake, "--day", "2099-01-01"))
    assert "after today" in refused
    assert ran(ok("run", "--lake", lake, "--since", "2098-01-01").output) == []
    assert [d for d in days_of(lake) if d.startswith("2099")] == ["2099-01-01"]


def test_a_lake_with_a_day_run_in_the_future_is_healed_by_the_next_run(lake: Path) -> None:
    before = alerts(lake)
    assert any(state == "open" for _, state, _, _ in before)
    add(lake, date(2099, 1, 1))
    assert ran(ok("run", "--lake", lake, "--now", "2099-02-01T03:00:00Z").output) == ["2099-01-01"]
    assert not any(state == "open" for _, state, _, _ in alerts(lake))
    output = ok("run", "--lake", lake).output
    assert "2099-01-01 is after today" in output
    assert "dropped" in output
    assert alerts(lake) == before
    assert open_lake(lake).query("SELECT count(*) AS n FROM requests WHERE day = '2099-01-01'")["n"][0] == 1
    assert "dropped" not in ok("run", "--lake", lake).output


def test_now_replays_the_past(lake: Path) -> None:
    days = days_of(lake)
    for table in (lake / "data").iterdir():
        if table.name not in ("requests", "accounts", "account_events", "model_releases", "files"):
            for partition in table.glob("day=*"):
                shutil.rmtree(partition)
    output = ok("run", "--lake", lake, "--now", f"{days[0]}T23:00:00Z").output
    assert ran(output) == days[:1]
    assert "2 days after today" in output
    assert "is no time" in fails(hydrawatch("run", "--lake", lake, "--now", "yesterday"))


def test_a_rerun_that_is_killed_leaves_the_rest_due(lake: Path) -> None:
    days = days_of(lake)
    done = subprocess.run(
        [sys.executable, "-c", "from detector.cli import main; main()", "run", "--since", days[0], "--lake", str(lake)],
        env={**os.environ, "HYDRAWATCH_FAULT": "run.applied"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    # The mark itself is a transaction: the first one applied.
    assert done.returncode == 137
    assert ran(ok("run", "--lake", lake).output) == days
    assert "none of them due" in ok("run", "--lake", lake).output


def test_a_stop_leaves_the_days_not_reached_due(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    days = days_of(lake)
    real = pipeline.run_day

    def stops_at_the_second(store: Store, day: date, **rest: Any) -> pipeline.DayReport:
        if str(day) == days[1]:
            raise KeyboardInterrupt
        return real(store, day, **rest)

    with monkeypatch.context() as patched:
        patched.setattr(pipeline, "run_day", stops_at_the_second)
        assert hydrawatch("run", "--lake", lake, "--since", days[0]).exit_code == 130
    assert ran(ok("run", "--lake", lake).output) == days[1:]


def test_a_day_that_comes_out_as_it_was_makes_no_other_due(lake: Path) -> None:
    days = days_of(lake)
    assert ran(ok("run", "--lake", lake, "--day", days[0]).output) == days[:1]
    assert ran(ok("run", "--lake", lake).output) == []


def test_ranges_without_a_day_say_so(lake: Path, tmp_path: Path) -> None:
    days = days_of(lake)
    output = ok("run", "--lake", lake, "--since", "2030-01-01", "--now", "2031-01-01").output
    assert "no day with requests from 2030-01-01" in output
    assert days[0] in output
    assert "nothing to do" not in output
    assert "is after" in fails(hydrawatch("run", "--lake", lake, "--since", days[1], "--until", days[0]))
    (tmp_path / "accounts.jsonl").write_text('{"account_id": "a"}\n')
    ok("ingest", tmp_path / "accounts.jsonl", "--lake", tmp_path / "facts")
    for words in ((), ("--since", "2026-01-01")):
        output = ok("run", "--lake", tmp_path / "facts", *words).output
        assert "no requests yet" in output
        assert f"hydrawatch ingest PATH --lake {tmp_path / 'facts'}" in output
    missing = fails(hydrawatch("run", "--lake", lake, "--day", "2026-01-01"))
    assert "no requests of 2026-01-01" in missing
    assert f"hydrawatch query --lake {lake}" in missing


def test_the_next_command_names_the_settings_that_were_used(lake: Path, tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text("alert_budget = 1.0\n")
    output = ok("run", "--lake", lake, "--config", tmp_path / "my.toml").output
    assert f"hydrawatch deliver --lake {lake} --config {tmp_path / 'my.toml'} --dry-run" in output


def test_days_of_another_classifier_are_told_with_the_way_to_score_them_anew(lake: Path) -> None:
    assert "another classifier" not in ok("run", "--lake", lake).output
    days = days_of(lake)
    with Store(lake) as store, store.transaction("run") as txn:
        rows = pl.from_arrow(store.read("runs", date.fromisoformat(days[0])))
        assert isinstance(rows, pl.DataFrame)
        txn.swap("runs", rows.with_columns(model_digest=pl.lit("older")), day=date.fromisoformat(days[0]))
    output = ok("run", "--lake", lake).output
    assert "1 earlier day scored by another classifier" in output
    assert f"hydrawatch run --since {days[0]} --lake {lake}" in output


def told(*found: tuple[str, str]) -> Callable[..., pipeline.DayReport]:
    """A run of a day that tells of ``found`` alerts, without running it."""

    def run_day(store: Store, day: date, **_: Any) -> pipeline.DayReport:
        return pipeline.DayReport(day, 1, 1, 0, len(found), 0, 0, (), 0.1, found)

    return run_day


def test_fail_on_looks_at_what_this_run_opened_or_raised(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = open_lake(lake).query("SELECT alert_id, severity FROM alerts WHERE state = 'open'", as_="polars")
    assert known.height
    day = days_of(lake)[-1]
    first, severity = known.row(0)
    words = ("run", "--lake", lake, "--day", day, "--fail-on", "medium")
    # Nothing due: the alerts that are open were told before.
    assert hydrawatch("run", "--lake", lake, "--fail-on", "low").exit_code == 0
    assert hydrawatch("run", "--lake", lake, "--fail-on-open", "low").exit_code == 1
    assert hydrawatch("run", "--lake", lake, "--fail-on-open", "critical").exit_code == int(
        "critical" in known["severity"].to_list()
    )
    for found, code in (
        ([], 0),
        ([(first, severity)], 0),
        ([(first, "critical")], 1),
        ([("a-new", "high")], 1),
        ([("a-new", "low")], 0),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(pipeline, "run_day", told(*found))
            assert hydrawatch(*words).exit_code == code, found


def test_severities_are_named_where_one_is_mistyped(lake: Path) -> None:
    for option in ("--fail-on", "--fail-on-open"):
        assert "low, medium, high, critical" in fails(hydrawatch("run", "--lake", lake, option, "severe"))


# -- nightly ---------------------------------------------------------------------------------------------------


@pytest.fixture
def night(world: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A lake of one day that was run and delivered, and a folder for the logs of the next night."""
    logs = tmp_path / "logs"
    logs.mkdir()
    lake = tmp_path / "lake"
    base = date(2026, 3, 2)
    with (logs / "requests-1.jsonl").open("w") as out:
        for n in range(40):
            row = {**ODD, "request_id": f"r{n}", "account_id": f"a{n % 7}", "ts": f"{base}T10:{n:02}:00Z"}
            out.write(json.dumps(row) + "\n")
    ok("nightly", logs, "--lake", lake)
    return lake, logs


def line_of_next_day(logs: Path) -> None:
    (logs / "requests-2.jsonl").write_text(json.dumps({**ODD, "ts": "2026-03-03T10:00:00Z"}) + "\n")


def test_nightly_ingests_runs_and_delivers(night: tuple[Path, Path]) -> None:
    lake, logs = night
    line_of_next_day(logs)
    output = ok("nightly", logs, "--lake", lake).output
    assert ran(output) == ["2026-03-03"]
    assert "nightly: ingest 0, run 0, deliver 0" in output
    assert "jsonl: 0 events sent" in output


def test_rejected_lines_stop_neither_run_nor_deliver(night: tuple[Path, Path]) -> None:
    lake, logs = night
    line_of_next_day(logs)
    (logs / "requests-3.jsonl").write_text('{"request_id": "x"}\n' * 20)
    result = hydrawatch("nightly", logs, "--lake", lake)
    assert result.exit_code == 3
    assert ran(result.output) == ["2026-03-03"]
    assert "nightly: ingest 3, run 0, deliver 0" in result.output


def test_a_failed_ingest_leaves_out_run_and_never_deliver(night: tuple[Path, Path]) -> None:
    lake, logs = night
    result = hydrawatch("nightly", logs / "nowhere", "--lake", lake)
    assert result.exit_code == 2
    assert "nightly: ingest 2, deliver 0; run was left out" in result.output


@pytest.mark.parametrize(
    ("codes", "worst"),
    [
        ({}, 0),
        ({"run": 1}, 1),
        ({"ingest": 3, "run": 1}, 3),
        ({"ingest": 3, "deliver": 4}, 4),
        ({"deliver": 2, "ingest": 3}, 2),
        ({"run": 70, "deliver": 4}, 70),
        ({"ingest": 70, "deliver": 2}, 70),
    ],
)
def test_nightly_ends_with_the_worst_code(
    codes: dict[str, int], worst: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from detector.cli import delivering, nightly
    from detector.errors import DeliveryError

    errors = {
        1: typer.Exit(1),
        2: ConfigError("x"),
        3: DataQualityError("x"),
        4: DeliveryError("x"),
    }
    called: list[str] = []

    def step(name: str) -> Callable[..., None]:
        def command(*_: object, **__: object) -> None:
            called.append(name)
            if name in codes:
                raise errors.get(codes[name]) or ValueError("a fault")

        return command

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(nightly, "ingest", step("ingest"))
    monkeypatch.setattr(nightly, "run", step("run"))
    monkeypatch.setattr(delivering, "deliver", step("deliver"))
    assert hydrawatch("nightly", tmp_path, "--lake", tmp_path / "lake").exit_code == worst
    stopped = codes.get("ingest") in (2, 70)
    assert called == (["ingest", "deliver"] if stopped else ["ingest", "run", "deliver"])


def test_days_with_a_gap_between_them_are_run(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    first = date(2025, 12, 24)
    days = [first, first + timedelta(days=1), first + timedelta(days=40)]
    rows = [{**ODD, "request_id": str(d), "ts": f"{d}T10:00:00Z"} for d in days]
    (tmp_path / "requests.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    ok("ingest", tmp_path / "requests.jsonl", "--lake", lake)
    assert ran(ok("run", "--lake", lake).output) == [str(d) for d in days]
    scores = open_lake(lake).frame("account_scores", as_="polars").row(0, named=True)
    assert (scores["first_day"], scores["last_day"], scores["n_requests"]) == (days[0], days[2], 3)

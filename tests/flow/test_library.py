"""The library does what the command line does, and returns what was done."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

import hydrawatch
from detector.errors import ConfigError, DataQualityError, DayMissing


@pytest.fixture(scope="module")
def lake(world: Path, tmp_path_factory: pytest.TempPathFactory) -> hydrawatch.Lake:
    """The flow tests' world, ingested and run from Python."""
    folder = tmp_path_factory.mktemp("library") / "lake"
    made = hydrawatch.open_lake(folder, create=True)
    reports = made.ingest(world / "logs")
    assert sum(r.n_requests for r in reports if r.content == "requests") > 1000
    assert {r.status for r in reports} == {"read"}
    report = made.run()
    assert len(report.days) == 3
    assert len(report.still_open) > 0
    return made


def test_a_lake_has_to_be_there_or_be_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not a lake"):
        hydrawatch.open_lake(tmp_path / "none")
    made = hydrawatch.open_lake(tmp_path / "none", create=True)
    assert made.frame("requests").empty
    assert made.run().days == []
    assert hydrawatch.open_lake(tmp_path / "none").root == made.root


def test_a_second_run_finds_nothing_due(lake: hydrawatch.Lake) -> None:
    again = lake.run()
    assert (again.days, again.raised) == ([], [])
    assert again.still_open
    with pytest.raises(DayMissing):
        lake.run(day=date(2020, 1, 1))
    with pytest.raises(ConfigError, match="not both"):
        lake.run(day=date(2020, 1, 1), since=date(2020, 1, 1))
    with pytest.raises(ConfigError, match="after today"):
        lake.run(day=date(2999, 1, 1))


def test_a_case_is_the_one_that_explain_prints(lake: hydrawatch.Lake) -> None:
    alert = lake.frame("alerts", as_="polars").filter(state="open").row(0, named=True)
    case = lake.explain(alert["alert_id"])
    assert case.subject_id == alert["subject_id"]
    assert case.summed == pytest.approx(case.score)
    assert alert["alert_id"] in case.alerts
    with pytest.raises(ConfigError, match="no group, account or alert"):
        lake.explain("nobody")


def test_what_is_due_is_told_first_and_then_sent_once(lake: hydrawatch.Lake, tmp_path: Path) -> None:
    told = tmp_path / "alerts.jsonl"
    settings = tmp_path / "settings.toml"
    settings.write_text(f"[[sinks]]\ntype = 'jsonl'\npath = '{told}'\n")
    configured = hydrawatch.open_lake(lake.root, config=settings)
    [due] = configured.deliver(dry_run=True)
    assert len(due.sent) == (lake.frame("alerts", as_="polars")["state"] == "open").sum() > 0
    assert not told.exists()
    [sent] = configured.deliver()
    assert [o.offer.key for o in sent.sent] == [o.offer.key for o in due.sent]
    assert len([json.loads(line) for line in told.read_text().splitlines()]) == len(due.sent)
    [again] = configured.deliver()
    assert (again.sent, again.n_already) == ([], len(due.sent))


def test_a_file_that_cannot_be_read_is_said_after_the_others_were_read(tmp_path: Path) -> None:
    row = {"request_id": "r", "ts": "2026-03-02T10:00:00Z", "account_id": "a", "model": "m"}
    (tmp_path / "good.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "cut.jsonl.gz").write_bytes(b"\x1f\x8b\x08\x00garbled")
    made = hydrawatch.open_lake(tmp_path / "lake", create=True)
    with pytest.raises(DataQualityError, match=r"cut\.jsonl\.gz"):
        made.ingest(tmp_path / "good.jsonl", tmp_path / "cut.jsonl.gz")
    assert len(made.frame("requests")) == 1
    reports = {r.path.name: r.status for r in made.ingest(tmp_path, ignore=["cut*"])}
    assert (reports["good.jsonl"], reports["cut.jsonl.gz"]) == ("read", "passed")

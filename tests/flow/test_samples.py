"""The main job on the commonest real input: every sample log that ships, taken through the whole line.

None of these lakes has an accounts file unless the test says so, as the first try of a new user has none.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from conftest import ok

from detector import open_lake

FORMATS = Path(__file__).parents[2] / "sample_logs/formats"
SAMPLES = sorted(FORMATS.iterdir(), key=lambda p: p.name)
#: One of each way a log looks: plain lines, columns, and lines that hold many entries each.
KINDS = [
    p for p in SAMPLES if p.name.startswith(("litellm-spend", "native-requests.csv", "otel-spans.jsonl"))
]
by_name = pytest.mark.parametrize("sample", SAMPLES, ids=lambda p: p.name)
by_kind = pytest.mark.parametrize("sample", KINDS, ids=lambda p: p.name)


def lines(sample: Path) -> list[str]:
    data = sample.read_bytes()
    return (gzip.decompress(data) if sample.suffix == ".gz" else data).decode().splitlines(keepends=True)


def request(day: str, account: str = "acct-single", **more: Any) -> str:
    """A native request of an account that shares nothing with anybody."""
    row = {"request_id": f"{account}-{day}", "ts": f"{day}T09:00:00Z", "account_id": account}
    return json.dumps({**row, "model": "some-odd-model", **more}) + "\n"


def through_the_line(lake: Path, *logs: Path) -> pl.DataFrame:
    """Ingest, run, explain and deliver; the scores. Every step has to end well and to say something."""
    for log in logs:
        ok("ingest", log, "--lake", lake)
    ran = ok("run", "--lake", lake).output
    scores = open_lake(lake).frame("account_scores", as_="polars")
    days = open_lake(lake).query("SELECT DISTINCT day FROM requests ORDER BY 1", as_="polars")["day"]
    assert [f"{d}:" in ran for d in days] == [True] * len(days)
    assert "none of them due" in ok("run", "--lake", lake).output
    subject = scores["account_id"][0]
    assert subject in ok("explain", subject, "--lake", lake).stdout
    assert json.loads(ok("explain", subject, "--lake", lake, "--json").stdout)
    n_alerts = len(open_lake(lake).frame("alerts", as_="polars"))
    assert len(list(events(ok("deliver", "--lake", lake, "--json").stdout))) == n_alerts
    return scores


def events(printed: str) -> Iterator[dict[str, Any]]:
    for line in printed.splitlines():
        yield json.loads(line)["event"]


def senders(lake: Path) -> set[str]:
    return set(open_lake(lake).query("SELECT DISTINCT account_id FROM requests")["account_id"])


@by_name
def test_every_sample_goes_through_the_whole_line(sample: Path, tmp_path: Path) -> None:
    scores = through_the_line(tmp_path / "lake", sample)
    assert set(scores["account_id"]) == senders(tmp_path / "lake")
    assert len(scores) > 1
    assert scores["score"].is_between(0, 1).all()


def test_all_samples_together_and_facts_about_their_accounts(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    facts = tmp_path / "accounts.jsonl"
    known = [f"user-{n}" for n in range(500)]
    facts.write_text(
        "".join(json.dumps({"account_id": a, "org_id": f"o{i % 9}"}) + "\n" for i, a in enumerate(known))
    )
    scores = through_the_line(lake, FORMATS, facts)
    assert set(scores["account_id"]) == senders(lake)
    assert len(open_lake(lake).frame("files", as_="polars")) == len(SAMPLES) + 1


@by_kind
def test_an_account_that_shares_nothing_and_an_empty_day_between(sample: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    ok("ingest", sample, "--lake", lake)
    last = open_lake(lake).query("SELECT max(day) AS day FROM requests", as_="polars")["day"][0]
    assert isinstance(last, date)
    single = tmp_path / "requests-single.jsonl"
    single.write_text(request(str(last)) + request(str(last.replace(day=last.day + 2))))
    scores = through_the_line(lake, single)
    assert "acct-single" in set(scores["account_id"])
    assert len(scores) > 2


@by_kind
def test_one_request_in_all(sample: Path, tmp_path: Path) -> None:
    first = lines(sample)[: 2 if sample.suffix == ".csv" else 1]
    log = tmp_path / sample.name.removesuffix(".gz")
    log.write_text("".join(first))
    assert len(through_the_line(tmp_path / "lake", log)) >= 1


def test_a_request_of_which_nothing_but_the_account_is_known(tmp_path: Path) -> None:
    log = tmp_path / "requests.jsonl"
    log.write_text(request("2026-03-02"))
    scores = through_the_line(tmp_path / "lake", log)
    assert scores["account_id"].to_list() == ["acct-single"]
    assert scores["verdict"].to_list() == ["clear"]

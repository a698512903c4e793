"""A day is run whatever the logs hold: one account, nothing shared, columns that are all NULL, days with gaps."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from detector import pipeline
from detector.config import Config
from detector.ingest.ingestion import ingest
from detector.lake.store import Store

FIRST = datetime(2026, 3, 2, 8)
Values = Callable[[random.Random, str], object]
#: What a log may know of a request beyond its id, time and account, and values few enough to be shared.
COLUMNS: dict[str, Values] = {
    "api_key_id": lambda r, a: f"key-{a}",
    "org_id": lambda r, a: f"org-{len(a) % 3}",
    "end_user_id": lambda r, a: f"user-{r.randrange(4)}",
    "session_id": lambda r, a: f"{a}-{r.randrange(3)}",
    "source_ip": lambda r, a: r.choice([f"192.0.2.{r.randrange(4)}", "2001:db8::7"]),
    "asn": lambda r, a: r.choice([64_500, 16_509]),
    "country": lambda r, a: r.choice(["DE", "BR"]),
    "user_agent": lambda r, a: r.choice(["one/1.0", "two/2.0"]),
    "ja4": lambda r, a: "t13d1516h2_8daaf6152771_e5627efa2ab1",
    "prompt": lambda r, a: r.choice(["", "hi", f"Think step by step about problem {r.randrange(9)} and show it all."]),
    "system_prompt": lambda r, a: "You grade answers.",
    "turn": lambda r, a: r.choice([1, 2]),
    "input_tokens": lambda r, a: r.randrange(2_000),
    "output_tokens": lambda r, a: r.randrange(2_000),
    "latency_ms": lambda r, a: r.random() * 900,
    "status": lambda r, a: r.choice([200, 429, 500]),
    "finish_reason": lambda r, a: r.choice(["stop", "length", "refusal"]),
    "temperature": lambda r, a: r.choice([0.0, 1.0]),
    "n": lambda r, a: r.choice([1, 4]),
    "top_logprobs": lambda r, a: r.choice([0, 5]),
    "logit_bias": lambda r, a: r.random() < 0.5,
}  # fmt: skip


def rows(
    r: random.Random, *, accounts: int, requests: int, days: list[int], known: list[str]
) -> list[dict[str, Any]]:
    """Requests of a few accounts with some columns; each value is missing now and then."""
    made = []
    for number in range(requests):
        account = f"a{r.randrange(accounts)}"
        ts = FIRST + timedelta(days=r.choice(days), seconds=r.randrange(36_000))
        row: dict[str, Any] = {"request_id": f"r{number}", "ts": ts.isoformat() + "Z", "account_id": account}
        row["model"] = r.choice(["small", "large"])
        made.append(row | {c: COLUMNS[c](r, account) for c in known if r.random() < 0.9})
    return made


def run_all(lake: Path, logs: Path, config: Config) -> list[pipeline.DayReport]:
    with Store(lake, threads=1) as store:
        ingest([logs], store, key=b"k" * 32, max_rejects=1.0)
        detector = pipeline.load_detector()
        reports = [
            pipeline.run_day(store, day, config=config, detector=detector) for day in pipeline.due_days(store)
        ]
        assert pipeline.due_days(store) == []
        seen = store.engine.query(f"SELECT DISTINCT account_id FROM {store.relation('requests')}")
        scored = store.read("account_scores", store.newest("account_scores"))
        assert set(scored["account_id"].to_pylist()) == set(seen["account_id"].to_pylist())
        return reports


def write(logs: Path, name: str, made: list[dict[str, Any]]) -> None:
    logs.mkdir(exist_ok=True)
    pl.DataFrame(made, infer_schema_length=None).write_ndjson(logs / name)


# Every world takes seconds: a few, each with another shape, and the rest of the choices by chance.
@pytest.mark.parametrize(
    ("seed", "accounts", "requests", "days", "share"),
    [
        (1, 1, 1, [0], 0.0),
        (2, 1, 40, [0], 1.0),
        (3, 2, 30, [0, 5], 0.5),
        (4, 7, 60, [0], 0.8),
        (5, 30, 120, [0, 1], 1.0),
        (6, 30, 30, [0], 0.3),
    ],
)
def test_tiny_worlds_with_whatever_is_missing_are_run(
    seed: int, accounts: int, requests: int, days: list[int], share: float, tmp_path: Path
) -> None:
    r = random.Random(seed)
    known = [c for c in COLUMNS if r.random() < share]
    write(
        tmp_path / "logs",
        "requests.jsonl",
        rows(r, accounts=accounts, requests=requests, days=days, known=known),
    )
    if seed % 2:
        facts = [{"account_id": f"a{n}", "org_id": f"org-{n % 2}", "verified": True} for n in range(5)]
        write(tmp_path / "logs", "accounts.jsonl", facts)
    # Floors at nought put everybody on show: what is only reached for alerts is reached.
    floors = Config(alert_floor=0.0, watch_floor=0.0, alert_budget=10_000.0) if seed % 3 else Config()
    reports = run_all(tmp_path / "lake", tmp_path / "logs", floors)
    assert sum(report.n_requests for report in reports) == requests


def test_a_lake_of_facts_alone_has_no_day_to_run(tmp_path: Path) -> None:
    write(tmp_path / "logs", "accounts.jsonl", [{"account_id": "a"}])
    with Store(tmp_path / "lake", threads=1) as store:
        ingest([tmp_path / "logs"], store, key=b"k" * 32)
        assert pipeline.due_days(store) == []
        assert store.newest("alerts") is None


def test_accounts_that_were_all_clear_leave_a_day_without_alerts(tmp_path: Path) -> None:
    made = [
        {
            "request_id": f"r{n}",
            "ts": f"2026-03-0{2 + n % 2}T10:00:00Z",
            "account_id": f"a{n % 3}",
            "model": "m",
        }
        for n in range(12)
    ]
    write(tmp_path / "logs", "requests.jsonl", made)
    reports = run_all(tmp_path / "lake", tmp_path / "logs", Config())
    assert [(r.day, r.n_accounts, r.n_groups, r.opened) for r in reports] == [
        (date(2026, 3, 2), 3, 0, 0),
        (date(2026, 3, 3), 3, 0, 0),
    ]
    assert all(reason for report in reports for _, reason in report.skipped)

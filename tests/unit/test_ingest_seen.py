"""Which requests are duplicates: the same id, account and second, and nothing less."""

from __future__ import annotations

import random
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from detector.ingest import seen as seen_module
from detector.ingest.seen import Keying, SeenRequests
from features.request.hashset import HashSet

NOON = datetime(2026, 11, 2, 12)


def requests(*rows: tuple[str, str, datetime]) -> pl.DataFrame:
    schema = {"request_id": pl.String, "account_id": pl.String, "ts": pl.Datetime("us")}
    return pl.DataFrame(rows, schema=schema, orient="row")


def test_a_hash_set_agrees_with_a_set() -> None:
    rng = random.Random(3)
    found, told = HashSet(), set[int]()
    for _ in range(60):
        batch = [rng.randrange(3000) for _ in range(rng.randrange(0, 200))]
        hashes = np.array(batch, dtype=np.uint64)
        assert found.contains(hashes).tolist() == [value in told for value in batch]
        expected = []
        for value in batch:
            expected.append(value not in told)
            told.add(value)
        assert found.new(hashes).tolist() == expected
    assert len(found) == len(told)


def test_a_duplicate_is_the_same_id_account_and_second() -> None:
    seen = SeenRequests(lambda day: [], Keying())
    new, n_same_id = seen.new(
        requests(
            ("r", "a", NOON),
            ("r", "a", NOON + timedelta(microseconds=999_999)),
            ("r", "b", NOON),
            ("r", "a", NOON + timedelta(seconds=1)),
            ("s", "a", NOON),
            ("r", "a", NOON + timedelta(days=1)),
        )
    )
    assert new.to_list() == [True, False, True, True, True, True]
    assert n_same_id == 2
    again, _ = seen.new(requests(("r", "b", NOON), ("r", "c", NOON)))
    assert again.to_list() == [False, True]


def test_only_days_that_are_read_are_loaded_and_they_are_loaded_once(tmp_path: Path) -> None:
    asked: list[date] = []
    requests(("r", "a", NOON)).write_parquet(tmp_path / "p.parquet")

    def parts(day: date) -> list[Path]:
        asked.append(day)
        return [tmp_path / "p.parquet"] if day == NOON.date() else []

    seen = SeenRequests(parts, Keying())
    rows = requests(("r", "a", NOON), ("s", "a", NOON), ("r", "a", NOON + timedelta(days=400)))
    assert seen.new(rows)[0].to_list() == [False, True, True]
    assert seen.new(rows)[0].to_list() == [False, False, False]
    assert asked == [NOON.date(), NOON.date() + timedelta(days=400)]


def test_days_are_dropped_when_they_have_grown_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[date] = []

    def parts(day: date) -> list[Path]:
        asked.append(day)
        return []

    seen = SeenRequests(parts, Keying())
    seen.new(requests(("r", "a", NOON), ("s", "a", NOON)))
    seen.shrink()
    seen.new(requests(("t", "a", NOON)))
    assert len(asked) == 1
    monkeypatch.setattr(seen_module, "MOST_HELD", 2)
    seen.shrink()
    seen.new(requests(("t", "a", NOON)))
    assert len(asked) == 2


def test_nothing_is_no_request() -> None:
    new, n_same_id = SeenRequests(lambda day: [], Keying()).new(requests())
    assert (new.to_list(), n_same_id) == ([], 0)

"""Which days are due: what a day reads has changed, or what a day before it wrote; days to come never."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest

from detector.lake.rows import empty
from detector.lake.store import Store
from detector.lake.tables import tables
from detector.pipeline import due, relations

FIRST = date(2026, 3, 2)
DAYS = [FIRST + timedelta(days=n) for n in range(20)]
TODAY = DAYS[-1]


def requests(store: Store, day: date, part: str = "a.parquet", *, n: int = 1) -> None:
    row = dict.fromkeys(empty("requests").columns) | {"day": day}
    rows = [{**row, "request_id": f"{day}-{part}-{i}", "account_id": "a"} for i in range(n)]
    with store.transaction("ingest") as txn:
        txn.add("requests", pl.DataFrame(rows, schema=empty("requests").schema), day=day, part=part)


def event(store: Store, ts: datetime, part: str) -> None:
    row = {"ts": ts, "account_id": "a", "event": "banned", "file_id": part, "line": 1}
    with store.transaction("ingest") as txn:
        txn.add("account_events", pl.DataFrame([row], schema=empty("account_events").schema), part=part)


def ran(store: Store, day: date, wrote: str | None = "same", *, ran_at: datetime | None = None) -> None:
    """Note a run of ``day`` that read what is there now."""
    read = due.input_digest(store, day, window_days=14) if wrote else due._first_digest(store, day)
    row = dict.fromkeys(empty("runs").columns) | {
        "day": day, "input_digest": read, "output_digest": wrote, "ran_at": ran_at or datetime(2026, 4, 1),
        "model_digest": "m",
    }  # fmt: skip
    with store.transaction("run") as txn:
        txn.swap("runs", pl.DataFrame([row], schema=empty("runs").schema), day=day)


@pytest.fixture(scope="module")
def twenty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty days with a request each, all run; not to be changed."""
    lake = tmp_path_factory.mktemp("due") / "lake"
    with Store(lake, threads=1) as made:
        for day in DAYS:
            requests(made, day)
        for day in DAYS:
            ran(made, day)
    return lake


@pytest.fixture
def store(twenty: Path, tmp_path: Path) -> Iterator[Store]:
    shutil.copytree(twenty, tmp_path / "lake")
    with Store(tmp_path / "lake", threads=1) as made:
        yield made


def rerun(store: Store, *, wrote: dict[date, str]) -> list[date]:
    """Run what is due as ``hydrawatch run`` does, days writing what is told of them; the days that were run."""
    done = []
    for day in due.days_to_run(store, until=TODAY):
        ran(store, day, wrote.get(day, "same"))
        done.append(day)
    return done


def test_nothing_changed_nothing_due(store: Store) -> None:
    assert due.due_days(store, until=TODAY) == []


def test_late_requests_make_their_day_due_and_those_that_look_back_on_it(store: Store) -> None:
    requests(store, DAYS[4], "late.parquet")
    assert due.due_days(store, until=TODAY) == DAYS[4 : 4 + relations.DAYS_BEFORE + 1]


def test_days_after_a_late_line_are_run_until_one_comes_out_as_it_was(store: Store) -> None:
    requests(store, DAYS[2], "late.parquet")
    looks_back = DAYS[2 : 2 + relations.DAYS_BEFORE + 1]
    assert rerun(store, wrote={}) == looks_back
    assert rerun(store, wrote={}) == []


def test_a_changed_result_makes_the_days_that_rest_on_it_due(store: Store) -> None:
    requests(store, DAYS[0], "late.parquet")
    done = rerun(store, wrote={DAYS[0]: "other"})
    # Every day up to the end of the window of ties reads the first day's, none after it does.
    assert done == DAYS[:14]
    assert rerun(store, wrote={}) == []


def test_a_state_that_changes_every_day_is_carried_on_to_the_last(store: Store) -> None:
    requests(store, DAYS[0], "late.parquet")
    assert rerun(store, wrote=dict.fromkeys(DAYS, "other")) == DAYS
    assert rerun(store, wrote=dict.fromkeys(DAYS, "other")) == []


def test_facts_make_the_days_due_that_know_them(store: Store) -> None:
    event(store, datetime.combine(DAYS[17], datetime.min.time()), "e.parquet")
    assert due.due_days(store, until=TODAY) == DAYS[17:]


def test_the_state_before_a_gap_is_what_the_next_day_rests_on(tmp_path: Path) -> None:
    early, late = date(2026, 1, 1), date(2026, 3, 2)
    with Store(tmp_path) as store:
        for day in (early, late):
            requests(store, day)
        for day in (early, late):
            ran(store, day)
        ran(store, early, "other")
        assert due.due_days(store, until=late) == [late]


def test_days_marked_as_due_stay_due_until_they_are_run(store: Store) -> None:
    due.mark_due(store, DAYS[3:6])
    assert due.due_days(store, until=TODAY) == DAYS[3:6]
    ran(store, DAYS[3])
    assert due.due_days(store, until=TODAY) == DAYS[4:6]
    assert len(store.read("runs", DAYS[5]).to_pylist()) == 1


def test_days_after_today_are_never_due(store: Store) -> None:
    requests(store, date(2099, 1, 1))
    assert due.due_days(store, until=TODAY) == []
    assert due.due_days(store, until=date(2099, 1, 1)) == [date(2099, 1, 1)]
    assert due.ahead(store, TODAY) == [date(2099, 1, 1)]


def test_today_is_the_day_in_utc() -> None:
    assert due.today(datetime(2026, 3, 2, 23, 30)) == date(2026, 3, 2)
    assert due.today(datetime.fromisoformat("2026-03-02T23:30:00-05:00")) == date(2026, 3, 3)
    assert due.today() == datetime.now(UTC).date()


def test_days_of_a_lake_without_digests_of_results_are_due_as_they_were(tmp_path: Path) -> None:
    """Versions that kept no ``output_digest`` made all days after a late line due, and no more than that."""
    with Store(tmp_path) as store:
        for day in DAYS[:4]:
            requests(store, day)
        for day in DAYS[:4]:
            ran(store, day, None)
        assert due.due_days(store, until=TODAY) == []
        requests(store, DAYS[1], "late.parquet")
        assert due.due_days(store, until=TODAY) == DAYS[1:4]
        assert rerun(store, wrote={}) == DAYS[1:4]
        assert due.due_days(store, until=TODAY) == []


def state(store: Store, table: str, day: date, **values: object) -> None:
    row = dict.fromkeys(tables()[table].names) | {"day": day, **values}
    with store.transaction("run") as txn:
        txn.swap(table, pl.DataFrame([row], schema=empty(table).schema), day=day)


def seen(store: Store, table: str, column: str) -> list[object]:
    store.write_views()
    with duckdb.connect(str(store.root / "hydrawatch.duckdb"), read_only=True) as con:
        return [row[0] for row in con.execute(f"SELECT {column} FROM {table}").fetchall()]


@pytest.mark.parametrize("table", [t.name for t in tables().values() if t.layout == "state"])
def test_a_state_without_a_run_is_seen_by_nobody(store: Store, table: str) -> None:
    stray = date(2099, 1, 1)
    state(store, table, TODAY)
    state(store, table, stray)
    assert store.newest(table) == TODAY
    assert store.newest(table, before=stray) == TODAY
    assert seen(store, table, "day") == [TODAY]


def test_what_was_computed_for_days_to_come_is_dropped_and_the_state_before_it_is_back(store: Store) -> None:
    future = date(2099, 1, 1)
    requests(store, future)
    for day, known in ((TODAY, "open"), (future, "closed")):
        state(store, "alerts", day, alert_id="a-1", state=known)
    state(store, "why", future)
    ran(store, future)
    assert seen(store, "alerts", "state") == ["closed"]
    assert due.drop_ahead(store, TODAY) == [future]
    assert seen(store, "alerts", "state") == ["open"]
    assert store.newest("alerts") == TODAY
    assert [t for t in tables() if store.parts(t, future)] == ["requests"]
    assert due.drop_ahead(store, TODAY) == []


def test_a_clock_that_went_back_costs_no_state(store: Store) -> None:
    state(store, "alerts", TODAY, alert_id="a-1", state="open")
    assert due.drop_ahead(store, date(1970, 1, 1)) == []
    assert due.due_days(store, until=date(1970, 1, 1)) == []
    assert seen(store, "alerts", "state") == ["open"]


def test_days_of_another_classifier_are_told(store: Store) -> None:
    assert due.scored_otherwise(store, "m") == []
    assert due.scored_otherwise(store, "n") == DAYS

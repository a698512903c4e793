"""What a day binds is gone when the day ends, however it ends."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from detector.errors import QueryError
from detector.lake.store import Store
from detector.pipeline.view import DayView

DAY = date(2026, 3, 2)
LAKE = ("requests", "requests_before", "accounts", "account_events", "model_releases", "hosting_asns")


def readable(store: Store, name: str) -> bool:
    try:
        store.engine.query(f"SELECT count(*) FROM {name}")
    except QueryError:
        return False
    return True


def test_all_that_a_day_may_read_is_there_and_then_gone(store: Store) -> None:
    with DayView(store, DAY) as view:
        view.bind("account_days", pl.DataFrame({"account_id": ["a"]}))
        assert all(readable(store, name) for name in (*LAKE, "account_days"))
    assert not any(readable(store, name) for name in (*LAKE, "account_days"))


def test_an_error_leaves_nothing_bound(store: Store) -> None:
    def stops() -> None:
        with DayView(store, DAY) as view:
            view.bind("members", pl.DataFrame({"group_id": ["g"], "account_id": ["a"]}))
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        stops()
    assert not any(readable(store, name) for name in (*LAKE, "members"))


def test_an_error_while_binding_leaves_nothing_bound(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(name: str, sql: str) -> None:
        raise RuntimeError(name)

    monkeypatch.setattr(store.engine, "materialise", fails)
    with pytest.raises(RuntimeError, match="accounts"):
        DayView(store, DAY).__enter__()
    assert not any(readable(store, name) for name in LAKE)

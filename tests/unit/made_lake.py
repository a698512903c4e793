"""Small lakes and logs that several tests make alike."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from detector.lake.key import lake_key
from detector.lake.rows import empty
from detector.lake.store import Store
from detector.lake.tables import tables

KEY = b"0123456789abcdef0123456789abcdef"


def log(path: Path, *rows: dict[str, Any] | str) -> Path:
    """A file of JSON lines; a row that is text stands as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows))
    return path


def rows(store: Store, table: str, order: str = "ALL") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = store.engine.query(
        f"SELECT * FROM {store.relation(table)} ORDER BY {order}"
    ).to_pylist()
    return found


def bare_lake(root: Path) -> Path:
    """A lake that nothing was taken into, with its views."""
    with Store(root) as store:
        store.write_views()
    return root


def day_with_alert(root: Path, day: date, alert_id: str) -> Path:
    """A lake whose newest day run has one alert."""
    with Store(root) as store:
        lake_key(root, may_make=True)
        filled = {"alerts": {"day": day, "alert_id": alert_id}, "runs": {"day": day}}
        with store.transaction("run") as txn:
            for table in (t.name for t in tables().values() if t.writer == "run"):
                made = [empty(table), pl.DataFrame([filled[table]] if table in filled else [])]
                txn.swap(table, pl.concat(made, how="diagonal_relaxed"), day=day)
        store.write_views()
    return root

"""Transactions: all or nothing, also when the process dies in the middle."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest

from detector.errors import LakeBusy, OutOfMemory, TableMismatch
from detector.lake.faults import FAULT_POINTS
from detector.lake.rows import arrow_schema, empty
from detector.lake.store import Store
from detector.lake.tables import tables
from detector.lake.views import described

DAY = date(2026, 3, 2)


def events(*accounts: str) -> pl.DataFrame:
    rows = [{"ts": None, "account_id": a, "event": "banned", "file_id": "f", "line": 1} for a in accounts]
    return pl.DataFrame(rows, schema=empty("account_events").schema)


def skips(*plugins: str, day: date = DAY) -> pl.DataFrame:
    return pl.DataFrame(
        [{"day": day, "plugin": p, "reason": "r"} for p in plugins], schema=empty("skipped").schema
    )


def accounts_in(store: Store) -> list[str]:
    rows = store.engine.query(f"SELECT account_id FROM {store.relation('account_events')} ORDER BY 1")
    return rows["account_id"].to_pylist()


def plugins_in(store: Store) -> list[str]:
    return store.engine.query(f"SELECT plugin FROM {store.relation('skipped')} ORDER BY 1")[
        "plugin"
    ].to_pylist()


def test_parts_appear_together_and_only_after_the_block(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        with store.transaction("ingest") as txn:
            txn.add("account_events", events("a"), part="1.parquet")
            txn.add("account_events", events("b"), part="2.parquet")
            assert accounts_in(store) == []
        assert accounts_in(store) == ["a", "b"]


def test_an_error_inside_leaves_nothing(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        with pytest.raises(RuntimeError):  # noqa: PT012 - the error has to rise inside the block
            with store.transaction("ingest") as txn:
                txn.add("account_events", events("a"), part="1.parquet")
                raise RuntimeError
        assert accounts_in(store) == []
        assert list((tmp_path / "staging").iterdir()) == []


def test_swap_replaces_the_day_and_no_other(tmp_path: Path) -> None:
    other = date(2026, 3, 3)
    with Store(tmp_path) as store:
        for names, day in ((("x", "y"), DAY), (("z",), other), (("w",), DAY)):
            with store.transaction("run") as txn:
                txn.swap("skipped", skips(*names, day=day), day=day)
        assert plugins_in(store) == ["w", "z"]
        assert store.days("skipped") == [DAY, other]
        assert store.newest("skipped", before=other) == DAY


def test_columns_are_checked(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        with store.transaction("run") as txn, pytest.raises(TableMismatch, match="missing columns"):
            txn.swap("skipped", pl.DataFrame({"day": [DAY]}), day=DAY)
        with store.transaction("run") as txn, pytest.raises(TableMismatch, match="hydrawatch tables skipped"):
            txn.swap("skipped", skips("a").with_columns(pl.lit(1).alias("extra")), day=DAY)


def test_two_writers_exclude_each_other(tmp_path: Path) -> None:
    with Store(tmp_path) as one, Store(tmp_path) as two, one.exclusive():
        with pytest.raises(LakeBusy, match="another hydrawatch process"), two.exclusive():
            pass


def test_a_dropped_day_is_gone_and_no_other(tmp_path: Path) -> None:
    other = date(2026, 3, 3)
    with Store(tmp_path) as store:
        for day in (DAY, other):
            with store.transaction("run") as txn:
                txn.swap("skipped", skips(str(day), day=day), day=day)
        with store.transaction("run") as txn:
            txn.drop("skipped", day=DAY)
            txn.drop("skipped", day=date(1999, 1, 1))
        assert plugins_in(store) == [str(other)]
        assert store.days("skipped") == [other]
        assert [p for p in (tmp_path / "staging").iterdir() if p.name != "spill"] == []


def test_the_same_rows_give_the_same_digest_and_others_another(tmp_path: Path) -> None:
    digests = []
    with Store(tmp_path) as store:
        for names in (("a", "b"), ("a", "b"), ("a", "c")):
            with store.transaction("run") as txn:
                txn.swap("skipped", skips(*names), day=DAY)
                digests.append(txn.digest())
    assert digests[0] == digests[1] != digests[2]


_KILLED = """
import sys
from datetime import date
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_store import DAY, events, skips
from detector.lake.store import Store
with Store(Path(sys.argv[1])) as store:
    with store.transaction("run") as txn:
        txn.swap("skipped", skips("new"), day=DAY)
        txn.add("account_events", events("new"), part="2.parquet")
        txn.add("account_events", events("newer"), part="3.parquet")
"""


@pytest.mark.parametrize("point", [p for p in FAULT_POINTS if p.startswith("run.")])
def test_a_kill_anywhere_leaves_the_old_or_the_new_state(tmp_path: Path, point: str) -> None:
    with Store(tmp_path) as store, store.transaction("run") as txn:
        txn.swap("skipped", skips("old"), day=DAY)
        txn.add("account_events", events("old"), part="1.parquet")
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, str(tmp_path), str(Path(__file__).parent)],
        env={"HYDRAWATCH_FAULT": point, "PATH": "/usr/bin"},
        check=False,
    )
    assert done.returncode == 137
    with Store(tmp_path) as store, store.exclusive():
        if point == "run.staged":
            assert (plugins_in(store), accounts_in(store)) == (["old"], ["old"])
        else:
            assert (plugins_in(store), accounts_in(store)) == (["new"], ["new", "newer", "old"])
        left = [p for p in (tmp_path / "staging").iterdir() if p.name != "spill"]
        assert left == []
        assert list((tmp_path / "journal").iterdir()) == []


def test_views_are_there_and_empty_from_the_start(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.write_views()
    with duckdb.connect(str(tmp_path / "hydrawatch.duckdb"), read_only=True) as con:
        for name, table in described().items():
            cursor = con.execute(f'SELECT * FROM "{name}"')
            assert [c[0] for c in cursor.description or ()] == list(table.names)
            assert cursor.fetchall() == []


def test_state_views_show_the_newest_day_run(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        row = dict.fromkeys(tables()["account_scores"].names)
        run = dict.fromkeys(tables()["runs"].names)
        for day, account in ((DAY, "a"), (date(2026, 3, 4), "b")):
            frame = pl.DataFrame(
                [{**row, "day": day, "account_id": account}], schema=empty("account_scores").schema
            )
            with store.transaction("run") as txn:
                txn.swap("account_scores", frame, day=day)
                txn.swap("runs", pl.DataFrame([{**run, "day": day}], schema=empty("runs").schema), day=day)
        store.write_views()
    with duckdb.connect(str(tmp_path / "hydrawatch.duckdb"), read_only=True) as con:
        assert con.execute("SELECT account_id FROM account_scores").fetchall() == [("b",)]


def test_parts_are_compressed_but_for_what_does_not_shrink(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        with store.transaction("ingest") as txn:
            for name, table in tables().items():
                txn.add(name, arrow_schema(table.columns).empty_table(), part="a.parquet")
        plain = set()
        for name in tables():
            file = pq.ParquetFile(store.parts(name)[0])
            assert file.metadata.num_row_groups == 1, name
            group = file.metadata.row_group(0)
            columns = [group.column(at) for at in range(group.num_columns)]
            assert {c.compression for c in columns} <= {"ZSTD", "UNCOMPRESSED"}
            plain |= {(name, c.path_in_schema) for c in columns if c.compression == "UNCOMPRESSED"}
        assert plain == {("requests", "prompt_sketch")}


def test_ingest_has_nowhere_to_spill_and_says_which_setting_helps(tmp_path: Path) -> None:
    with Store(tmp_path, threads=1, memory_gb=0.05) as store:
        with pytest.raises(OutOfMemory) as caught:
            store.engine.materialise("t", "(SELECT repeat(i::VARCHAR, 200) AS s FROM range(400000) r(i))")
        assert "memory_gb" in str(caught.value)
        assert "temp_directory" not in str(caught.value)
        assert list((tmp_path / "staging").iterdir()) == []
    assert not (Path.cwd() / ".tmp").exists()


def test_run_spills_to_a_folder_that_is_the_owners_alone(tmp_path: Path) -> None:
    with Store(tmp_path, threads=1, memory_gb=0.05, spill=True) as store:
        store.engine.materialise("t", "(SELECT repeat(i::VARCHAR, 200) AS s FROM range(200000) r(i))")
        assert list((tmp_path / "staging").glob("*/duckdb_temp_*"))
        assert (tmp_path / "staging").stat().st_mode & 0o777 == 0o700
    assert list((tmp_path / "staging").iterdir()) == []


def test_what_a_kill_left_in_staging_goes_at_the_next_opening_unless_somebody_works(tmp_path: Path) -> None:
    with Store(tmp_path) as worker:
        left = tmp_path / "staging" / "spill" / "duckdb_temp_storage-0.tmp"
        left.parent.mkdir()
        left.write_text("text of somebody's prompt")
        with worker.exclusive():
            assert not left.exists()
            left.parent.mkdir()
            left.write_text("in use")
            Store(tmp_path).close()
            assert left.exists()
    Store(tmp_path).close()
    assert list((tmp_path / "staging").iterdir()) == []


def test_a_power_cut_finds_names_on_disk_before_the_journal_and_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the journal promises is on disk before it is; what it moved is on disk before it goes."""
    done: list[str] = []
    real_sync, real_replace, real_unlink = os.fsync, os.replace, Path.unlink

    def name_of(handle: int) -> str:
        return os.readlink(f"/proc/self/fd/{handle}").removeprefix(f"{tmp_path}/")

    def sync(handle: int) -> None:
        done.append(f"sync {name_of(handle)}")
        real_sync(handle)

    def replace(source: Path, target: Path) -> None:
        done.append(f"rename {Path(target).relative_to(tmp_path)}")
        real_replace(source, target)

    def unlink(path: Path, missing_ok: bool = False) -> None:
        done.append(f"unlink {path.relative_to(tmp_path)}")
        real_unlink(path, missing_ok=missing_ok)

    with Store(tmp_path) as store:
        monkeypatch.setattr(os, "fsync", sync)
        monkeypatch.setattr(os, "replace", replace)
        monkeypatch.setattr(Path, "unlink", unlink)
        with store.transaction("run") as txn:
            txn.swap("skipped", skips("a"), day=DAY)
        monkeypatch.undo()
    journal = next(n for n, step in enumerate(done) if step.startswith("rename journal/"))
    moved = done.index(f"rename data/skipped/day={DAY}")
    gone = next(n for n, step in enumerate(done) if step.startswith("unlink journal/"))
    staged = done[journal].removeprefix("rename journal/").removesuffix(".json")
    for folder in (
        "",
        "/swap",
        "/swap/skipped",
        f"/swap/skipped/day={DAY}",
        f"/swap/skipped/day={DAY}/part.parquet",
    ):
        assert f"sync staging/{staged}{folder}" in done[:journal]
    assert "sync journal" in done[journal:moved]
    assert {"sync data", "sync data/skipped"} <= set(done[moved:gone])


def test_a_reader_opens_a_lake_that_somebody_writes_to(tmp_path: Path) -> None:
    with Store(tmp_path) as store, store.exclusive():
        (tmp_path / "staging" / "at-work").mkdir()
        with Store(tmp_path, reading=True) as reader:
            assert accounts_in(reader) == []
        assert (tmp_path / "staging" / "at-work").exists()

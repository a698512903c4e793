"""Every cure that doctor names, followed as it stands, leaves a lake without faults."""

from __future__ import annotations

import gzip
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from detector.cli import app
from detector.config import Config
from detector.errors import DataQualityError
from detector.health import Finding, Report, check
from detector.lake.store import Store
from detector.lake.tables import tables

ROOT = Path(__file__).parents[2]
LOG = ROOT / "sample_logs" / "formats" / "native-requests.jsonl"
DAY = date(2026, 3, 2)


@pytest.fixture(autouse=True)
def _no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HYDRAWATCH_KEY", raising=False)


def hydrawatch(*words: object) -> None:
    done = CliRunner().invoke(app, [str(w) for w in words])
    assert done.exit_code in ((0, 2) if words[0] == "doctor" else (0,)), (words, done.output)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake of three logs, run and delivered, beside its logs."""
    home = tmp_path_factory.mktemp("cures") / "a home"
    home.mkdir()
    (home / "requests.jsonl").write_text(LOG.read_text() + "garbage\n")
    (home / "accounts.jsonl").write_text('{"account_id": "a", "created_at": "2026-03-01T00:00:00Z"}\n')
    (home / "account_events.jsonl").write_text(
        '{"account_id": "a", "ts": "2026-03-01T00:00:00Z", "event": "created"}\n'
    )
    (home / "model_releases.jsonl").write_text('{"model": "m", "released_at": "2026-03-01T00:00:00Z"}\n')
    hydrawatch("ingest", *sorted(home.glob("*.jsonl")), "--lake", home / "lake")
    hydrawatch("run", "--lake", home / "lake")
    assert look(home / "lake").faults == []
    return home.rename(home.parent / "kept")


@pytest.fixture
def lake(filled: Path) -> Path:
    """The lake as it was, at the place where it was filled, and its logs."""
    home = filled.parent / "a home"
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(filled, home)
    return home / "lake"


def look(root: Path) -> Report:
    with Store(root, reading=True, as_found=True) as store:
        return check(store, Config(), deep=True)


def command(finding: Finding) -> str:
    """What a reader pastes of a cure: what stands after the words that lead to it."""
    cure = finding.cure or ""
    for words in (", or else drop all that it gave): ", "or: ", "a second time): ", "look at it, then: "):
        if words in cure:
            return cure.partition(words)[2]
    return cure


def follow(lake: Path, cure: str, bin: Path) -> None:
    """Paste a cure into a shell; a plain ``hydrawatch`` runs in this process, to save its start."""
    bin.mkdir(exist_ok=True)
    tool = bin / "hydrawatch"
    tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m detector "$@"\n')
    tool.chmod(0o755)
    environment = os.environ | {"PATH": f"{bin}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    for step in [cure] if "$(" in cure else cure.split(" && "):
        if step.startswith("hydrawatch ") and "$(" not in step:
            hydrawatch(*shlex.split(step)[1:])
            continue
        done = subprocess.run(["sh", "-c", step], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, (step, done.stderr)


def parts(lake: Path, table: str) -> list[Path]:
    return [p for p in sorted((lake / "data" / table).glob("*/*.parquet")) if p.parent.name != "_"]


def cut(table: str) -> Callable[[Path], None]:
    def damage(lake: Path) -> None:
        part = parts(lake, table)[0]
        part.write_bytes(part.read_bytes()[:-20])

    return damage


def garble_page(table: str) -> Callable[[Path], None]:
    def damage(lake: Path) -> None:
        part = max(parts(lake, table), key=lambda p: p.stat().st_size)
        column = pq.ParquetFile(part).metadata.row_group(0).column(1)
        content = bytearray(part.read_bytes())
        start = min(column.dictionary_page_offset or column.data_page_offset, column.data_page_offset)
        content[start + column.total_compressed_size - 1] ^= 0xFF
        part.write_bytes(content)

    return damage


def lose(table: str) -> Callable[[Path], None]:
    return lambda lake: parts(lake, table)[0].unlink()


def double(table: str, name: str) -> Callable[[Path], None]:
    def damage(lake: Path) -> None:
        part = parts(lake, table)[0]
        shutil.copy(part, part.with_name(name))

    return damage


def folder(table: str) -> Callable[[Path], None]:
    def damage(lake: Path) -> None:
        part = parts(lake, table)[0]
        part.unlink()
        part.mkdir()

    return damage


def foreign(table: str) -> Callable[[Path], None]:
    return lambda lake: pl.DataFrame({"x": [1]}).write_parquet(parts(lake, table)[0])


def exchange(lake: Path) -> None:
    """Sound rows that no run wrote."""
    part = parts(lake, "account_scores")[0]
    made = pq.read_table(part)
    pq.write_table(made.slice(0, made.num_rows // 2), part)


def exchange_runs(lake: Path) -> None:
    [part] = parts(lake, "runs")
    run = pq.read_table(part)
    other = pa.array([date(2026, 2, 28)] * run.num_rows, run.schema.field("day").type)
    pq.write_table(run.set_column(run.schema.get_field_index("day"), "day", other), part)


def future(lake: Path) -> None:
    for table in ("requests", "alerts", "runs"):
        part = parts(lake, table)[0]
        target = lake / "data" / table / "day=2099-01-01" / part.name
        target.parent.mkdir()
        shutil.copy(part, target)


def clock_of_log_was_wrong(lake: Path) -> None:
    """A log with lines from the future, read while the clock stood there."""
    log = lake.parent / "ahead.jsonl"
    log.write_text(LOG.read_text().replace("2026-03-02T", "2099-01-01T").replace('"id": "', '"id": "x'))
    hydrawatch("ingest", log, "--lake", lake, "--now", "2099-01-02T00:00:00Z")
    assert (lake / "data" / "requests" / "day=2099-01-01").exists()


def clock_of_lost_log_was_wrong(lake: Path) -> None:
    clock_of_log_was_wrong(lake)
    (lake.parent / "ahead.jsonl").unlink()


def lost_part_of_lost_log(lake: Path) -> None:
    (lake.parent / "requests.jsonl").unlink()
    lose("requests")(lake)


def damaged_part_of_lost_log(lake: Path) -> None:
    (lake.parent / "requests.jsonl").unlink()
    cut("requests")(lake)


def strange(lake: Path) -> None:
    for name in ("requests/day=soon", "nonsense", "ties/all"):
        (lake / "data" / name).mkdir(parents=True)
    shutil.copy(parts(lake, "requests")[0], lake / "data" / "requests" / "_" / "more.parquet")


def file_for_table(lake: Path) -> None:
    shutil.rmtree(lake / "data" / "skipped")
    (lake / "data" / "skipped").write_text("x")


def loose(lake: Path) -> None:
    (lake / "data").chmod(0o755)
    (lake / "key").chmod(0o644)


def views(lake: Path) -> None:
    (lake / "hydrawatch.duckdb").unlink()
    (lake / "hydrawatch.duckdb").mkdir()


def no_schema(lake: Path) -> None:
    shutil.rmtree(lake / "data" / "why" / "_")


def results_without_requests(lake: Path) -> None:
    old = lake / "data" / "ties" / "day=2026-01-01"
    old.mkdir()
    shutil.copy(parts(lake, "ties")[0], old)


INGESTED = ("requests", "files", "rejects", "accounts", "account_events", "model_releases", "templates")
RAN = tuple(t.name for t in tables().values() if t.writer == "run")

DAMAGE: dict[str, Callable[[Path], None]] = {
    **{f"cut {t}": cut(t) for t in (*INGESTED, "alerts", "runs", "why")},
    **{f"garble {t}": garble_page(t) for t in ("requests", "files", "account_days", "runs")},
    **{f"lose {t}": lose(t) for t in (*INGESTED, "ties", "runs")},
    "double requests": double("requests", "copy.parquet"),
    "double requests by its name": double("requests", "44c78ff9475c45bc-00009.parquet"),
    "double accounts": double("accounts", "copy.parquet"),
    "double templates": double("templates", "copy.parquet"),
    "double templates by its name": double("templates", "44c78ff9475c45bc-00009.parquet"),
    "double alerts": double("alerts", "copy.parquet"),
    "folder for requests": folder("requests"),
    "folder for alerts": folder("alerts"),
    "foreign accounts": foreign("accounts"),
    "foreign ties": foreign("ties"),
}
DAMAGE |= {
    made.__name__: made
    for made in (
        exchange,
        exchange_runs,
        future,
        clock_of_log_was_wrong,
        clock_of_lost_log_was_wrong,
        lost_part_of_lost_log,
        damaged_part_of_lost_log,
        strange,
        file_for_table,
        loose,
        views,
        no_schema,
        results_without_requests,
    )
}
#: What doctor puts right by itself.
_MENDED = {"no_schema"}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_cure_followed_leaves_no_fault(lake: Path, tmp_path: Path, damage: str) -> None:
    DAMAGE[damage](lake)
    report = look(lake)
    assert report.faults or (report.mended and damage in _MENDED), "nothing was said"
    for _ in range(5):
        if not report.faults:
            break
        follow(lake, command(report.faults[0]), tmp_path / "bin")
        report = look(lake)
    assert report.faults == []
    assert not (lake / "data" / "requests" / "day=2099-01-01").exists() or not parts(lake, "requests")[1:]


def archive(lake: Path) -> Path:
    """A truncated archive that ``ingest`` could not read to its end."""
    path = lake.parent / "late.jsonl.gz"
    lines = LOG.read_text().replace("2026-03-02T0", "2026-03-02T1")
    path.write_bytes(gzip.compress(lines.encode())[:-3000])
    with pytest.raises(DataQualityError):
        app(["ingest", str(path), "--lake", str(lake)], standalone_mode=False)
    return path


def test_a_truncated_archive_is_a_fault_until_it_is_put_right_or_gone(lake: Path, tmp_path: Path) -> None:
    path = archive(lake)
    [fault] = look(lake).faults
    assert str(path) in fault.what
    drop = (fault.cure or "").rpartition("what was read of it: ")[2] or f"rm {path}"
    path.unlink()
    report = look(lake)
    assert report.faults == []
    assert any(str(path) in note.what and "when it was there" in note.what for note in report.notes)
    follow(lake, drop, tmp_path / "bin")
    report = look(lake)
    assert report.faults == []


def test_a_truncated_archive_that_was_brought_whole_is_no_fault(lake: Path, tmp_path: Path) -> None:
    path = archive(lake)
    [fault] = look(lake).faults
    path.write_bytes(gzip.compress(LOG.read_bytes()))
    cure = (fault.cure or "").partition("put it right, then: ")[2].partition(";")[0]
    follow(lake, cure, tmp_path / "bin")
    assert look(lake).faults == []


def test_a_damaged_page_is_found_wherever_a_command_meets_it(lake: Path) -> None:
    garble_page("requests")(lake)
    done = CliRunner().invoke(app, ["query", "SELECT * FROM requests", "--lake", str(lake)])
    assert "--deep" in str(getattr(done.exception, "hint", ""))
    with Store(lake, reading=True, as_found=True) as store:
        garble_page("files")(lake)
        report = check(store, Config(), now=datetime(2026, 3, 4, tzinfo=UTC))
    told = "\n".join(f.what for f in report.faults)
    assert "damaged" in told, "a check that failed makes doctor read every value"
    assert "could not be checked" not in told

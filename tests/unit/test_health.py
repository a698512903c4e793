"""Doctor finds what it exists to find, names the cure, and dies of no damage."""

from __future__ import annotations

import json
import os
import random
import shlex
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from detector.cli import app
from detector.config import Config, load_config
from detector.errors import HydrawatchError
from detector.health import Report, check
from detector.lake.rows import empty
from detector.lake.store import Store
from detector.lake.tables import tables

LOG = Path(__file__).parents[2] / "sample_logs" / "formats" / "native-requests.jsonl"
DAY = date(2026, 3, 2)
NOW = datetime(2026, 3, 4, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HYDRAWATCH_KEY", raising=False)


def hydrawatch(*words: object) -> Result:
    return CliRunner().invoke(app, [str(w) for w in words])


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with a day of requests and, as a run leaves them, a partition of every table for that day."""
    root = tmp_path_factory.mktemp("health") / "lake"
    log = root.parent / "requests.jsonl"
    log.write_text(LOG.read_text() + "garbage\n")
    (root.parent / "accounts.jsonl").write_text('{"account_id": "a", "created_at": "2026-03-01T00:00:00Z"}\n')
    assert hydrawatch("ingest", log, root.parent / "accounts.jsonl", "--lake", root).exit_code == 0
    with Store(root) as store:
        [day] = store.days("requests")
        assert day == DAY
        with store.transaction("run") as txn:
            for table in tables().values():
                if table.writer == "run":
                    txn.swap(table.name, empty(table.name), day=day)
        store.write_views()
    return root


@pytest.fixture
def lake(filled: Path, tmp_path: Path) -> Path:
    shutil.copytree(filled, tmp_path / "lake")
    look(tmp_path / "lake")
    return tmp_path / "lake"


def look(root: Path, *, settings: Config | None = None, deep: bool = False) -> Report:
    with Store(root, reading=True, as_found=True) as store:
        return check(store, settings or Config(), deep=deep, now=NOW)


def faults(root: Path, **options: bool) -> str:
    found = look(root, **options).faults
    assert all(f.cure for f in found), "a fault without a cure"
    return "\n".join(f"{f.what}\n    {f.cure}" for f in found)


def part_of(root: Path, table: str) -> Path:
    return next(p for p in sorted((root / "data" / table).glob("*/*.parquet")) if p.parent.name != "_")


def test_a_sound_lake_has_no_faults(lake: Path) -> None:
    assert faults(lake, deep=True) == ""
    report = look(lake)
    assert (report.n_days, report.first_day, report.mended) == (1, DAY, [])
    assert report.n_bytes > 10_000


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda b: b[: len(b) // 2],
    "empty": lambda b: b"",
    "without an end": lambda b: b[:-1],
    "another file": lambda b: b'{"not": "parquet"}\n' * 100,
    "a garbled footer": lambda b: b[:-200] + b"\xff" * 100 + b[-100:],
    "a footer longer than the file": lambda b: b[:-8] + b"\xff\xff\xff\x7fPAR1",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_parts_are_named_with_the_commands_that_bring_them_back(lake: Path, damage: str) -> None:
    parts = {t: part_of(lake, t) for t in ("requests", "files", "accounts", "ties", "runs", "alerts")}
    for part in parts.values():
        part.write_bytes(DAMAGE[damage](part.read_bytes()))
    found = look(lake).faults
    for table, part in parts.items():
        cure = next(f.cure or "" for f in found if f.what.startswith(f"{part}: damaged"))
        again = "hydrawatch run" if tables()[table].writer == "run" else "hydrawatch ingest --again"
        assert again in cure, table
        assert f"--lake {lake}" in cure
    for words in (["query", "SELECT * FROM alerts"], ["explain", "nobody"], ["deliver", "--dry-run"]):
        assert isinstance(hydrawatch(*words, "--lake", lake).exception, HydrawatchError), words


def test_values_that_do_not_read_are_found_by_a_deep_look(lake: Path) -> None:
    part = part_of(lake, "requests")
    column = pq.ParquetFile(part).metadata.row_group(0).column(2)
    content = bytearray(part.read_bytes())
    content[column.data_page_offset + column.total_compressed_size // 2] ^= 0xFF
    part.write_bytes(content)
    assert str(part) not in faults(lake)
    assert str(part) in faults(lake, deep=True)


def test_a_folder_in_the_place_of_a_part_is_told_of(lake: Path) -> None:
    part = part_of(lake, "accounts")
    part.unlink()
    part.mkdir()
    assert "not a regular file" in faults(lake)


@pytest.mark.parametrize("table", ["requests", "ties", "why"])
def test_the_part_without_rows_is_written_anew(lake: Path, table: str) -> None:
    schema = lake / "data" / table / "_" / "empty.parquet"
    whole = schema.read_bytes()
    for content in (b"", whole[:40], b"x" * 100):
        schema.write_bytes(content)
        report = look(lake)
        assert report.faults == []
        assert any(str(schema) in line for line in report.mended)
        assert pq.read_schema(schema).names == list(tables()[table].names)


@pytest.mark.parametrize(
    "content", ["", "[]", "{", "null", '{"id": "../x", "name": "run", "steps": []}', "[" * 9000]
)
def test_a_damaged_journal_is_finished_from_what_was_staged(lake: Path, content: str) -> None:
    with Store(lake) as store:
        staged = part_of(lake, "skipped").read_bytes()
        name = "ab" * 16
        aside = store.root / "staging" / name / "swap" / "skipped" / "day=2026-03-03" / "part.parquet"
        aside.parent.mkdir(parents=True)
        aside.write_bytes(staged)
        journal = store.root / "journal" / f"{name}.json"
        journal.write_text(content)
    for words in (["ingest", LOG], ["run"]):
        error = hydrawatch(*words, "--lake", lake).exception
        assert isinstance(error, HydrawatchError)
        assert "hydrawatch doctor" in str(error)
    report = look(lake)
    assert any(str(journal) in line for line in report.mended)
    assert (lake / "data" / "skipped" / "day=2026-03-03" / "part.parquet").read_bytes() == staged
    assert list((lake / "journal").iterdir()) == list((lake / "staging").iterdir()) == []


@pytest.mark.parametrize(
    "place",
    [
        "../key",
        "requests/day=2026-03-02/../../../key",
        "/etc/passwd",
        "requests/all/.hidden",
        "x/../../lake.json",
    ],
)
def test_a_journal_that_leads_elsewhere_is_never_followed(lake: Path, place: str) -> None:
    name = "cd" * 16
    before = {p: p.read_bytes() for p in lake.rglob("*") if p.is_file() and p.name != "hydrawatch.duckdb"}
    for kind in ("swap", "add", "drop", "remove"):
        plan = {"id": name, "name": "run", "steps": [{"kind": kind, "from": place, "to": place}]}
        (lake / "journal" / f"{name}.json").write_text(json.dumps(plan))
        assert isinstance(hydrawatch("run", "--lake", lake).exception, HydrawatchError), kind
    assert any("damaged" in line for line in look(lake).mended)
    assert {
        p: p.read_bytes() for p in lake.rglob("*") if p.is_file() and p.name != "hydrawatch.duckdb"
    } == before


def test_leftovers_of_a_stopped_command_are_cleared(lake: Path) -> None:
    (lake / "staging" / "spill").mkdir()
    (lake / "staging" / "spill" / "duckdb_temp_storage-0.tmp").write_text("somebody's prompt")
    (lake / "staging" / "stray").write_text("x")
    assert any("2 leftovers" in line for line in look(lake).mended)
    assert list((lake / "staging").iterdir()) == []


def test_a_lost_part_shows_in_the_ledgers_by_file(lake: Path) -> None:
    part_of(lake, "requests").unlink()
    told = faults(lake)
    assert "the ledger of files tells of 200 rows, table requests holds 0" in told
    assert "hydrawatch ingest --again" in told
    assert "requests.jsonl" in told


def test_a_lost_row_of_the_ledger_shows_as_rows_without_a_file(lake: Path) -> None:
    for part in (lake / "data" / "files" / "all").glob("*.parquet"):
        if pl.read_parquet(part)["content"][0] == "requests":
            part.unlink()
    told = faults(lake)
    assert "the ledger of files lacks it, table requests holds 200" in told
    assert "requests.jsonl" in told  # its reject still tells where the file lay


def test_a_log_that_no_ledger_names_is_found_by_its_checksum(lake: Path, filled: Path) -> None:
    for part in (lake / "data" / "files" / "all").glob("*.parquet"):
        if pl.read_parquet(part)["content"][0] == "accounts":
            part.unlink()
    [fault] = look(lake).faults
    search = (fault.cure or "").partition('"$(')[2].partition(')"')[0]
    found = subprocess.run(["sh", "-c", search], capture_output=True, text=True, check=True).stdout
    assert found == f"{filled.parent / 'accounts.jsonl'}\n"


def test_a_part_with_a_name_made_to_be_pasted_runs_nothing(lake: Path) -> None:
    part = part_of(lake, "requests")
    hostile = part.with_name("';touch hit;'$(id).parquet")
    hostile.write_bytes(b"")
    cure = next(f.cure or "" for f in look(lake).faults if f.what.startswith(f"{hostile}: damaged"))
    words = shlex.split(cure.partition("or: ")[2].partition(" && ")[0])
    assert words == ["rm", "-r", str(hostile)]
    assert "touch" not in cure.partition(" && ")[2]


def test_lost_rejects_and_lost_results_are_told_of(lake: Path) -> None:
    part_of(lake, "rejects").unlink()
    part_of(lake, "ties").unlink()
    told = faults(lake)
    assert "rejects holds none" in told
    assert f"hydrawatch run --lake {lake} --since 2026-03-02" in told


def test_days_that_have_not_come_are_told_of_with_a_way_back(lake: Path) -> None:
    for table in ("requests", "alerts"):
        part = part_of(lake, table)
        future = lake / "data" / table / "day=2099-01-01"
        future.mkdir()
        shutil.copy(part, future / part.name)
    told = faults(lake)
    assert "2099-01-01 lies in the future" in told
    cure = next(f.cure for f in look(lake).faults if "future" in f.what) or ""
    # The log is read again: the ledger of files knows its rows (tests/unit/test_cures.py follows the cure).
    assert cure.startswith("hydrawatch ingest --max-rejects 1 --again ")
    assert f"rm -r {lake}/data/alerts/day=2099-01-01 && hydrawatch run" in cure
    assert "data/requests" not in cure


def test_folders_that_are_of_no_day_are_told_of_and_stop_nothing(lake: Path) -> None:
    for name in ("requests/day=soon", "requests/day=2026-13-45", "nonsense"):
        (lake / "data" / name).mkdir()
    told = faults(lake)
    assert told.count("rm -r") == 3
    assert hydrawatch("query", "SELECT count(*) FROM requests", "--lake", lake).exit_code == 0


def test_a_wrong_key_is_told_of(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYDRAWATCH_KEY", "anotherkeythatislong123")
    assert "unset HYDRAWATCH_KEY" in faults(lake)
    monkeypatch.delenv("HYDRAWATCH_KEY")
    (lake / "key").write_text("f" * 64)
    assert "is not the key" in faults(lake)
    (lake / "key").unlink()
    assert "missing" in faults(lake)


@pytest.mark.parametrize("content", [None, "", "[]"])
def test_an_older_lake_or_one_with_damaged_marks_adopts_its_own_key(lake: Path, content: str | None) -> None:
    (lake / "lake.json").unlink()
    if content is not None:
        (lake / "lake.json").write_text(content)
    report = look(lake)
    assert report.faults == []
    [line] = [line for line in report.mended if "noted" in line]
    assert "identifiers of" in line, "tested on a log that is still there"
    assert look(lake).mended == []


def without_logs(lake: Path) -> None:
    """The ledger tells of logs that are no longer there."""
    for part in (lake / "data" / "files" / "all").glob("*.parquet"):
        held = pq.read_table(part)
        path = pa.array([f"/gone/{part.stem}"] * held.num_rows, pa.string())
        pq.write_table(held.set_column(held.column_names.index("path"), "path", path), part)


def as_older(lake: Path) -> None:
    """The ledger of files as a version wrote it that kept no ``lake.json``."""
    for part in (lake / "data" / "files" / "all").glob("*.parquet"):
        pq.write_table(
            pq.read_table(part).drop_columns(["status", "reason", "settings", "settings_digest"]), part
        )


@pytest.mark.parametrize("content", [None, "[]"])
def test_a_lake_that_lost_its_marks_adopts_no_key_untested(lake: Path, content: str | None) -> None:
    without_logs(lake)
    (lake / "lake.json").unlink()
    if content is not None:
        (lake / "lake.json").write_text(content)
    told = faults(lake)
    assert "lake.json is missing" in told
    assert "--adopt-key LOG" in told
    assert not (lake / "lake.json").exists()
    error = hydrawatch("ingest", LOG, "--lake", lake).exception
    assert isinstance(error, HydrawatchError)
    assert "hydrawatch doctor" in str(error)
    assert hydrawatch("doctor", "--lake", lake, "--adopt-key", LOG).exit_code == 0
    assert faults(lake) == ""


def test_an_older_lake_without_its_logs_adopts_its_key_and_says_that_it_assumes(lake: Path) -> None:
    without_logs(lake)
    as_older(lake)
    (lake / "lake.json").unlink()
    report = look(lake)
    assert report.faults == []
    assert any("assumed" in line for line in report.mended)


@pytest.mark.parametrize("older", [False, True])
def test_another_key_is_not_adopted_where_a_log_tells(lake: Path, older: bool) -> None:
    if older:
        as_older(lake)
    (lake / "lake.json").unlink()
    (lake / "key").write_text("f" * 64)
    report = look(lake)
    [fault] = report.faults
    assert "is not the key that the lake was filled with: none of" in fault.what
    assert not (lake / "lake.json").exists()


def test_a_key_of_the_environment_is_adopted_only_when_it_meets_what_is_stored(
    lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = (lake / "key").read_text().strip()
    (lake / "key").unlink()
    (lake / "lake.json").unlink()
    monkeypatch.setenv("HYDRAWATCH_KEY", "anotherkeythatislong123")
    assert "--adopt-key" in faults(lake)
    refused = hydrawatch("doctor", "--lake", lake, "--adopt-key", LOG).exception
    assert "under this key" in str(refused)
    assert not (lake / "lake.json").exists()
    monkeypatch.setenv("HYDRAWATCH_KEY", right)
    assert hydrawatch("doctor", "--lake", lake, "--adopt-key", LOG).exit_code == 0
    monkeypatch.setenv("HYDRAWATCH_KEY", "anotherkeythatislong123")
    assert "is not the key" in str(hydrawatch("ingest", LOG, "--lake", lake).exception)


def test_a_moved_lake_reads_its_own_parts_again(lake: Path) -> None:
    copy = lake.parent / "copy 'of' it"
    shutil.copytree(lake, copy)
    report = look(copy)
    assert report.faults == []
    assert any(str(lake) in line and "copied" in line for line in report.mended)
    shutil.rmtree(lake)
    done = hydrawatch("query", "SELECT count(*) AS n FROM requests", "--lake", copy, "--json")
    assert json.loads(done.stdout) == {"n": 200}


def test_loose_permissions_come_with_the_command_that_tightens_them(lake: Path) -> None:
    (lake / "data" / "requests").chmod(0o755)
    part_of(lake, "requests").chmod(0o644)
    (lake / "hydrawatch.toml").write_text("")
    (lake / "hydrawatch.toml").chmod(0o644)
    told = faults(lake)
    assert "2 files and folders" in told
    os.system(told.splitlines()[1].strip())
    assert faults(lake) == ""


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ('url_env = "HOOK_URL"', False),
        ('url = "https://siem.example.com/ingest"', False),
        ('url = "https://hooks.example.com/services/T0123456789abcdefXYZ"', True),
        ('url = "https://siem.example.com/in?key=1"', True),
        ('url = "https://me:word@siem.example.com/"', True),
        ('auth_token = "x"', True),
        ('token_env = "X"', False),
    ],
)
def test_settings_that_others_can_read_are_a_fault_only_with_a_secret(
    lake: Path, line: str, secret: bool
) -> None:
    toml = lake / "hydrawatch.toml"
    toml.write_text(f'[[sinks]]\ntype = "webhook"\nname = "hook"\n{line}\n')
    toml.chmod(0o644)
    found = [f for f in look(lake, settings=load_config(lake)).faults if "others can read it" in f.what]
    assert bool(found) == secret
    if found:
        assert found[0].cure == f"chmod 600 {toml}"
        toml.chmod(0o600)
        assert "others can read it" not in str(look(lake, settings=load_config(lake)).faults)


def test_settings_sinks_and_exemptions_are_looked_at(lake: Path) -> None:
    (lake / "hydrawatch.toml").write_text(
        """
        [[sinks]]
        type = "slack"
        [[sinks]]
        type = "webhook"
        url = "https://siem.example.com/x"
        secret_env = "HYDRAWATCH_NOT_SET"
        [[allow]]
        account_id = "a"
        reason = "r"
        expires = 2020-01-01
        """
    )
    report = look(lake, settings=load_config(lake))
    told = " ".join(f.what for f in report.faults)
    assert "slack" in told
    assert "HYDRAWATCH_NOT_SET" in told
    assert any("expired on 2020-01-01" in f.what for f in report.notes)
    (lake / "hydrawatch.toml").write_text("alert_bugdet = 1\npseudonymise_accounts = true\n")
    done = hydrawatch("doctor", "--lake", lake)
    assert done.exit_code == 2
    assert "alert_bugdet" in done.output
    (lake / "hydrawatch.toml").write_text("pseudonymise_accounts = true\n")
    assert "account ids as clear" in " ".join(f.what for f in look(lake, settings=load_config(lake)).faults)


def test_the_report_as_json(lake: Path) -> None:
    part_of(lake, "requests").write_bytes(b"")
    done = hydrawatch("doctor", "--lake", lake, "--json")
    assert done.exit_code == 2
    told = json.loads(done.stdout)
    assert told["lake"] == str(lake)
    assert told["version"]
    assert told["faults"][0]["cure"]


def test_doctor_works_beside_a_writer_and_leaves_its_work_alone(lake: Path) -> None:
    with Store(lake) as store, store.exclusive():
        under_way = lake / "staging" / "under-way"
        under_way.mkdir()
        report = look(lake)
        assert under_way.exists()
    assert report.faults == []
    assert any("another process is writing" in f.what for f in report.notes)


def _files(root: Path) -> list[Path]:
    return sorted(p for p in root.rglob("*") if p.is_file())


@pytest.mark.parametrize("seed", range(10))
def test_no_damage_ends_a_command_in_a_traceback(lake: Path, seed: int) -> None:
    """Any file cut, emptied, garbled, removed or replaced: words and an exit code, from every command."""
    draw = random.Random(seed)
    target = draw.choice(_files(lake))
    content = bytearray(target.read_bytes())
    how = draw.choice(["remove", "cut", "empty", "flip", "fill", "folder", "junk"])
    if how in ("remove", "folder"):
        target.unlink()
        if how == "folder":
            target.mkdir()
    else:
        if how == "flip" and content:
            for _ in range(8):
                content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        if how == "fill" and content:
            start = draw.randrange(len(content))
            content[start : start + 4096] = b"\xff" * min(4096, len(content) - start)
        made = {"cut": content[: draw.randrange(len(content) + 1)], "empty": b"", "junk": draw.randbytes(999)}
        target.write_bytes(made.get(how, content))
    for words in (
        ["doctor", "--deep"] if draw.random() < 0.5 else ["doctor"],
        ["query", "SELECT count(*) FROM requests, alerts"],
        ["explain", "nobody"],
        ["deliver", "--dry-run"],
        ["ingest", LOG],
        ["doctor", "--deep"],
    ):
        done = hydrawatch(*words, "--lake", lake)
        named = (seed, target, how, words)
        assert done.exception is None or isinstance(done.exception, HydrawatchError | SystemExit), named
        if words[0] == "doctor":
            assert done.exit_code in (0, 2), named
            assert "fault" in done.output, named

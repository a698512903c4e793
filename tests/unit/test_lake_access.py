"""Who may read a lake, whatever the umask; and what somebody who may not is told."""

from __future__ import annotations

import ctypes
import errno
import grp
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from test_store import accounts_in, events, skips

from detector.errors import ConfigError, HydrawatchError, LakeError
from detector.lake.key import lake_key
from detector.lake.store import Store
from detector.lake.trouble import in_words

DAY = date(2026, 3, 2)
LOG = Path(__file__).parents[2] / "sample_logs" / "formats" / "native-requests.jsonl"


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o027], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def make(root: Path, **options: str) -> Path:
    with Store(root, group=options.get("group")) as store:
        lake_key(root, may_make=True)
        with store.transaction("run") as txn:
            txn.swap("skipped", skips("a"), day=DAY)
            txn.add("account_events", events("a"), part="1.parquet")
        store.write_views()
    return root


def modes(root: Path) -> dict[str, set[int]]:
    """Modes of folders and of files, staging and key apart."""
    found: dict[str, set[int]] = {"folder": {stat.S_IMODE(root.stat().st_mode)}, "file": set()}
    for path in root.rglob("*"):
        if path.name not in ("key", "staging"):
            found["folder" if path.is_dir() else "file"].add(stat.S_IMODE(path.stat().st_mode))
    return found


def test_a_new_lake_is_its_owners_alone(tmp_path: Path, umask: int) -> None:
    root = make(tmp_path / "lake")
    assert modes(root) == {"folder": {0o700}, "file": {0o600}}
    assert stat.S_IMODE((root / "key").stat().st_mode) == 0o600


def test_a_lake_for_a_group_is_readable_by_it_but_for_the_key(tmp_path: Path, umask: int) -> None:
    group = grp.getgrgid(os.getgid()).gr_name
    root = make(tmp_path / "lake", group=group)
    assert modes(root) == {"folder": {0o750}, "file": {0o640}}
    assert stat.S_IMODE((root / "key").stat().st_mode) == 0o600
    assert stat.S_IMODE((root / "staging").stat().st_mode) == 0o700
    assert {p.stat().st_gid for p in root.rglob("*")} == {os.getgid()}


def test_a_group_that_does_not_exist_makes_no_lake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no group"):
        Store(tmp_path / "lake", group="no such group")
    assert not (tmp_path / "lake").exists()


def test_a_lake_that_is_there_keeps_what_it_has_and_what_is_added_follows(tmp_path: Path, umask: int) -> None:
    root = make(tmp_path / "lake")
    for path in [root, *root.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    with Store(root, group="no such group") as store:
        with store.transaction("run") as txn:
            txn.swap("skipped", skips("b"), day=DAY)
            txn.add("account_events", events("b"), part="2.parquet")
        store.write_views()
    assert modes(root) == {"folder": {0o755}, "file": {0o644}}
    assert stat.S_IMODE((root / "staging").stat().st_mode) == 0o700


def test_a_folder_made_for_the_lake_is_closed_and_one_with_other_things_is_not(tmp_path: Path) -> None:
    for name, other, mode in (("made", "hydrawatch.toml", 0o700), ("home", "notes.txt", 0o755)):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(0o755)
        (tmp_path / name / other).write_text("")
        make(tmp_path / name)
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == mode
        assert stat.S_IMODE((tmp_path / name / "data").stat().st_mode) == 0o700


def test_a_file_in_the_place_of_a_lake_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for root in (tmp_path / "file", tmp_path / "file" / "lake"):
        with pytest.raises(ConfigError, match="is a file"):
            Store(root)


# -- reading -------------------------------------------------------------------------------------------------


def test_reading_changes_nothing(tmp_path: Path) -> None:
    root = make(tmp_path / "lake")

    def found() -> dict[Path, tuple[int, int]]:
        return {p: (p.stat().st_mtime_ns, p.stat().st_mode) for p in [root, *root.rglob("*")]}

    before = found()
    with Store(root, reading=True) as store:
        assert accounts_in(store) == ["a"]
    assert found() == before
    with pytest.raises(ConfigError, match="is not a lake"):
        Store(tmp_path / "none", reading=True)
    assert not (tmp_path / "none").exists()


def _without_privileges() -> None:
    """The system's permissions hold for the administrator too."""
    for capability in (0, 1, 2, 3):  # chown, dac_override, dac_read_search, fowner
        ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)


def hydrawatch(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "detector", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=_without_privileges,
        env={k: v for k, v in os.environ.items() if k != "HYDRAWATCH_KEY"},
        cwd=Path(__file__).parents[2],
    )


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    root = make(tmp_path / "lake")
    paths = [root, *root.rglob("*")]
    for path in paths:
        path.chmod(0o500 if path.is_dir() else 0o400)
    yield root
    for path in paths:
        if path.exists():
            path.chmod(0o700 if path.is_dir() else 0o600)


@pytest.mark.skipif(sys.platform != "linux", reason="gives privileges up as Linux has them")
def test_a_lake_that_may_only_be_read_is_read(read_only: Path) -> None:
    for words in (["query", "SELECT account_id FROM account_events"], ["deliver", "--dry-run"]):
        done = hydrawatch(*words, "--lake", read_only)
        assert done.returncode == 0, done.stderr
    told = hydrawatch("doctor", "--lake", read_only).stderr
    assert "not all was put right" in told
    assert "2 faults" in told  # its one event is of no file, its one day of no run
    for words in (["ingest", LOG], ["run"], ["deliver"]):
        done = hydrawatch(*words, "--lake", read_only)
        assert done.returncode == 2
        assert "no permission" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="gives privileges up as Linux has them")
def test_a_reader_of_an_older_version_s_lake_brings_its_own_columns(read_only: Path) -> None:
    schema = read_only / "data" / "account_events" / "_" / "empty.parquet"
    for folder in (schema.parent, schema):
        folder.chmod(0o700)
    schema.unlink()
    schema.parent.chmod(0o500)
    assert hydrawatch("deliver", "--dry-run", "--lake", read_only).returncode == 0


@pytest.mark.skipif(sys.platform != "linux", reason="gives privileges up as Linux has them")
def test_no_permission_at_all_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "closed" / "lake").mkdir(parents=True)
    (tmp_path / "closed").chmod(0)
    try:
        for words in (["ingest", LOG], ["run"], ["query", "SELECT 1"], ["doctor"], ["explain", "x"]):
            done = hydrawatch(*words, "--lake", tmp_path / "closed" / "lake")
            assert done.returncode == 2, words
            assert "Traceback" not in done.stderr
            assert "permission" in done.stderr.lower() or "not readable" in done.stderr
    finally:
        (tmp_path / "closed").chmod(0o700)


# -- words ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "make room"),
        (errno.EDQUOT, "make room"),
        (errno.EACCES, "no permission"),
        (errno.EROFS, "read-only file system"),
        (errno.EMFILE, "ulimit -n"),
        (errno.EIO, "hydrawatch doctor"),
    ],
)
def test_what_the_system_refuses_is_told_with_what_to_do(tmp_path: Path, number: int, said: str) -> None:
    root = make(tmp_path / "lake")
    with pytest.raises(LakeError, match=said), in_words(root):
        raise OSError(number, os.strerror(number), str(root / "data" / "x"))
    if number != errno.EIO:
        with pytest.raises(HydrawatchError, match=said), Store(root):
            raise RuntimeError("wrapped") from OSError(number, os.strerror(number))


def test_other_files_and_other_errors_are_left_alone(tmp_path: Path) -> None:
    root = make(tmp_path / "lake")
    elsewhere = tmp_path / "log.jsonl"
    for error in (PermissionError(errno.EACCES, "no", str(elsewhere)), KeyError("x"), KeyboardInterrupt()):
        with pytest.raises(type(error)), Store(root):
            raise error

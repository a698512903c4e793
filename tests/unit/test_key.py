"""One lake, one key: another is refused, with the way out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from detector.errors import ConfigError
from detector.lake.key import KeyNotProven, WrongKey, check_value, lake_key
from detector.lake.marks import MarksDamaged, keep_account_ids, read_marks
from detector.lake.rows import empty
from detector.lake.store import Store


@pytest.fixture(autouse=True)
def _no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HYDRAWATCH_KEY", raising=False)


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """A lake that has taken logs."""
    with Store(tmp_path / "lake") as store:
        lake_key(store.root, may_make=True)
        fill(store, "acct_1")
    return tmp_path / "lake"


def fill(store: Store, account: str) -> None:
    row = {"ts": None, "account_id": account, "event": "banned", "file_id": "f", "line": 1}
    events = empty("account_events")
    with store.transaction("ingest") as txn:
        txn.add(
            "account_events",
            events.clear().vstack(type(events)([row], schema=events.schema)),
            part="1.parquet",
        )


def test_the_key_is_made_once_and_only_for_an_empty_lake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="key is missing"):
        lake_key(tmp_path, may_make=False)
    made = lake_key(tmp_path, may_make=True)
    assert len(made) == 64
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert lake_key(tmp_path, may_make=False) == made
    assert [p.name for p in tmp_path.iterdir()] == ["key"]


@pytest.mark.parametrize("content", ["short", "", " \n"])
def test_a_key_that_protects_nothing_is_refused(
    lake: Path, content: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (lake / "key").write_text(content)
    with pytest.raises(ConfigError, match="shorter"):
        lake_key(lake, may_make=False)
    monkeypatch.setenv("HYDRAWATCH_KEY", "short")
    with pytest.raises(ConfigError, match="shorter"):
        lake_key(lake, may_make=False)


def test_a_key_that_others_can_read_is_refused(lake: Path) -> None:
    (lake / "key").chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        lake_key(lake, may_make=False)


def test_a_key_that_is_a_folder_is_refused_in_words(lake: Path) -> None:
    (lake / "key").unlink()
    (lake / "key").mkdir(0o700)
    with pytest.raises(ConfigError, match="cannot be read"):
        lake_key(lake, may_make=False)


def test_a_replaced_key_is_refused(lake: Path) -> None:
    (lake / "key").write_text("0" * 64)
    with pytest.raises(WrongKey, match="restore"):
        lake_key(lake, may_make=False)


def test_another_variable_is_refused_and_the_right_key_is_pointed_at(
    lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = (lake / "key").read_text().strip()
    monkeypatch.setenv("HYDRAWATCH_KEY", "anotherkeythatislong123")
    with pytest.raises(WrongKey, match="unset HYDRAWATCH_KEY"):
        lake_key(lake, may_make=False)
    monkeypatch.setenv("HYDRAWATCH_KEY", right)
    assert lake_key(lake, may_make=False) == right.encode()
    (lake / "key").unlink()
    assert lake_key(lake, may_make=False) == right.encode()
    monkeypatch.setenv("HYDRAWATCH_KEY", right.upper())
    with pytest.raises(WrongKey, match="from your copy"):
        lake_key(lake, may_make=False)


def test_a_lake_filled_with_the_variable_refuses_a_key_that_turns_up_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYDRAWATCH_KEY", "k" * 20)
    with Store(tmp_path / "l") as store:
        assert lake_key(store.root, may_make=True) == b"k" * 20
        assert not (store.root / "key").exists()
        fill(store, "a")
    monkeypatch.delenv("HYDRAWATCH_KEY")
    with pytest.raises(ConfigError, match="missing"):
        lake_key(tmp_path / "l", may_make=False)
    (tmp_path / "l" / "key").write_text("1" * 64)
    (tmp_path / "l" / "key").chmod(0o600)
    with pytest.raises(WrongKey):
        lake_key(tmp_path / "l", may_make=False)


def test_an_older_lake_takes_its_own_key_for_its_own(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (lake / "lake.json").unlink()
    monkeypatch.setenv("HYDRAWATCH_KEY", "anotherkeythatislong123")
    with pytest.raises(WrongKey):
        lake_key(lake, may_make=False)
    monkeypatch.delenv("HYDRAWATCH_KEY")
    key = lake_key(lake, may_make=False)
    assert read_marks(lake).key_check == check_value(key)
    (lake / "key").write_text("0" * 64)
    with pytest.raises(WrongKey):
        lake_key(lake, may_make=False)


def test_an_older_lake_whose_key_only_the_environment_has_wants_proof(
    lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYDRAWATCH_KEY", (lake / "key").read_text().strip())
    (lake / "key").unlink()
    (lake / "lake.json").unlink()
    with pytest.raises(KeyNotProven, match="--adopt-key"):
        lake_key(lake, may_make=False)
    assert not (lake / "lake.json").exists()


@pytest.mark.parametrize("content", ["", "[]", "{", '{"key_check": 3}', "null", "[" * 5000, "\udce4"])
def test_damaged_marks_are_no_reason_to_take_any_key(lake: Path, content: str) -> None:
    (lake / "lake.json").write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(MarksDamaged, match="hydrawatch doctor"):
        lake_key(lake, may_make=False)


def test_the_check_value_tells_nothing_of_the_key(lake: Path) -> None:
    key = (lake / "key").read_text().strip()
    told = json.loads((lake / "lake.json").read_text())
    assert key not in json.dumps(told)
    assert len(told["key_check"]) == 32


def test_account_ids_stay_as_they_began(lake: Path) -> None:
    with Store(lake) as store:
        with pytest.raises(ConfigError, match="in clear"):
            keep_account_ids(store, pseudonymise=True)  # told from the ids themselves
        keep_account_ids(store, pseudonymise=False)
        with pytest.raises(ConfigError, match="pseudonymise_accounts = false"):
            keep_account_ids(store, pseudonymise=True)


def test_a_pseudonymised_lake_takes_no_clear_ids(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        keep_account_ids(store, pseudonymise=False)
        keep_account_ids(store, pseudonymise=True)  # nothing is stored yet
        fill(store, "0123456789abcdef" * 2)
        keep_account_ids(store, pseudonymise=True)
        with pytest.raises(ConfigError, match="pseudonymise_accounts = true"):
            keep_account_ids(store, pseudonymise=False)

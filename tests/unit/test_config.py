"""Settings and the key."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from detector.config import Config, lake_key, load_config
from detector.errors import ConfigError


def write(tmp_path: Path, text: str) -> Path:
    (tmp_path / "hydrawatch.toml").write_text(text)
    return tmp_path


def test_defaults_without_a_file(tmp_path: Path) -> None:
    assert load_config(tmp_path) == Config()


def test_everything_is_read(tmp_path: Path) -> None:
    config = load_config(
        write(
            tmp_path,
            """
            alert_budget = 2
            account_attribute = "acme.tenant"
            partner_programs = ["partner"]
            [envoy_keys]
            account_id = "x-acct"
            [[allow]]
            org_id = "org-1"
            reason = "synthetic data under contract"
            expires = 2026-12-31
            [[sinks]]
            type = "jsonl"
            """,
        )
    )
    assert config.alert_budget == 2
    assert config.envoy_keys == {"account_id": "x-acct"}
    assert config.allowed(date(2026, 12, 31)) == (frozenset(), frozenset({"org-1"}))
    assert config.allowed(date(2027, 1, 1)) == (frozenset(), frozenset())
    assert config.sinks == ({"type": "jsonl"},)


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(
            write(
                tmp_path,
                'alert_bugdet = 1\nmax_rejects = 7\nwindow_days = "x"\n[[allow]]\naccount_id = "a"\n',
            )
        )
    for word in ("alert_bugdet", "alert_budget", "max_rejects", "window_days", "reason", "hydrawatch.toml"):
        assert word in str(caught.value)


def test_not_toml(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not valid TOML"):
        load_config(write(tmp_path, "= 3"))
    with pytest.raises(ConfigError, match="no such"):
        load_config(tmp_path, tmp_path / "missing.toml")


def test_the_key_is_made_once_and_only_for_an_empty_lake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HYDRAWATCH_KEY", raising=False)
    with pytest.raises(ConfigError, match="key is missing"):
        lake_key(tmp_path, may_make=False)
    made = lake_key(tmp_path, may_make=True)
    assert len(made) == 64
    assert (tmp_path / "key").stat().st_mode & 0o077 == 0
    assert lake_key(tmp_path, may_make=False) == made
    (tmp_path / "key").chmod(0o644)
    with pytest.raises(ConfigError, match="others can read"):
        lake_key(tmp_path, may_make=False)
    monkeypatch.setenv("HYDRAWATCH_KEY", "short")
    with pytest.raises(ConfigError, match="shorter"):
        lake_key(tmp_path, may_make=False)
    monkeypatch.setenv("HYDRAWATCH_KEY", "x" * 20)
    assert lake_key(tmp_path, may_make=False) == b"x" * 20

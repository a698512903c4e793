"""Settings."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from detector.config import Config, load_config
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


def test_a_group_is_a_name(tmp_path: Path) -> None:
    assert load_config(write(tmp_path, 'lake_group = "soc"')).lake_group == "soc"
    with pytest.raises(ConfigError, match="lake_group: expected a string"):
        load_config(write(tmp_path, "lake_group = 7"))


def test_settings_that_cannot_be_read_say_so(tmp_path: Path) -> None:
    (tmp_path / "hydrawatch.toml").mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path)

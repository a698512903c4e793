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


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("max_rejects = 7", "max_rejects: expected no more than 1, found 7"),
        ("alert_budget = -1", "alert_budget: expected no less than 0, found -1"),
        ("alert_budget = nan", "alert_budget: expected a finite number"),
        ("alert_budget = true", "alert_budget: expected a number, found True"),
        ("threads = 1.5", "threads: expected a whole number, found 1.5"),
        ('pseudonymise_accounts = "yes"', "pseudonymise_accounts: expected true or false, found 'yes'"),
        ('ignore = ["*.tmp", ""]', "ignore.1: expected a list of patterns"),
        ('placeholders = "text"', "placeholders: expected a list, found 'text'"),
        ("[mapped_keys]\nmodel = []", "mapped_keys.model: expected a path, or a list of paths"),
        ('[envoy_keys]\nmodel = ["a"]', "envoy_keys.model: expected a key"),
        ("sinks = 3", r"sinks: expected \[\[sinks\]\] tables, found 3"),
        (
            '[[allow]]\naccount_id = "a"',
            "allow.0.reason: expected a reason .* allow.0.expires: expected a date",
        ),
        ('[[allow]]\nreason = "r"\nexpires = 2026-01-01', "allow.0: every entry needs account_id or org_id"),
        ('[[allow]]\nreason = "r"\nexpires = 2026-01-01\norg_id = ""', "allow.0.org_id: expected a string"),
        (
            '[[allow]]\nreason = "r"\nexpires = 2026-01-01\norg = "o"',
            "unknown key 'allow.0.org'; known: account_id",
        ),
    ],
)
def test_each_fault_says_where_what_was_expected_and_what_was_found(
    tmp_path: Path, text: str, words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        load_config(write(tmp_path, text))


def test_a_date_with_a_time_is_its_day(tmp_path: Path) -> None:
    text = '[[allow]]\naccount_id = "a"\nreason = "r"\nexpires = 2026-12-31T10:00:00'
    assert load_config(write(tmp_path, text)).allow[0].expires == date(2026, 12, 31)

"""Who is watch at most, by what and until when; which settings decide."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from detector.config import Allow, Config, load_config
from detector.decide.exemptions import exemptions
from detector.errors import ConfigError

D = date(2026, 3, 1)
FACTS = pl.DataFrame(
    [("a", "org-1", None), ("b", "org-1", "Partner"), ("c", None, "payg"), ("d", "org-2", "RESELLER")],
    schema={"account_id": pl.String, "org_id": pl.String, "program": pl.String},
    orient="row",
)


def allow(until: date = D, **whom: str) -> Allow:
    return Allow(reason="r", expires=until, **whom)


def test_an_entry_counts_to_its_last_day_and_the_account_before_the_organisation() -> None:
    config = Config(
        allow=(allow(account_id="a"), allow(D + timedelta(9), org_id="org-1"), allow(account_id="new"))
    )
    found = exemptions(FACTS, config, D)
    assert {name: (e.by, e.until) for name, e in found.items()} == {
        "a": ("account", D),
        "b": ("organisation", D + timedelta(9)),
        "d": ("programme", None),
        "new": ("account", D),
    }
    tomorrow = exemptions(FACTS, config, D + timedelta(1))
    assert {name: e.by for name, e in tomorrow.items()} == {
        "a": "organisation",
        "b": "organisation",
        "d": "programme",
    }


def test_of_two_entries_the_longer_counts() -> None:
    for entries in ((D, D + timedelta(5)), (D + timedelta(5), D)):
        config = Config(allow=tuple(allow(until, account_id="a") for until in entries))
        assert exemptions(FACTS, config, D)["a"].until == D + timedelta(5)


def test_the_digest_follows_what_decides_and_nothing_else() -> None:
    base = Config()
    same = [
        Config(threads=3),
        Config(sinks=({"type": "jsonl"},)),
        Config(alert_budget=1),
        Config(allow=(allow(D - timedelta(1), account_id="a"),)),
        Config(partner_programs=("reseller", "partner")),
    ]
    other = [
        Config(alert_floor=0.6),
        Config(close_after_days=3),
        Config(partner_programs=("partner",)),
        Config(allow=(allow(account_id="a"),)),
        Config(allow=(allow(org_id="a"),)),
    ]
    assert {c.digest(D) for c in same} == {base.digest(D)}
    assert len({c.digest(D) for c in (base, *other)}) == 1 + len(other)


def test_an_end_with_a_time_is_that_day(tmp_path: Path) -> None:
    (tmp_path / "hydrawatch.toml").write_text(
        '[[allow]]\naccount_id = "a"\nreason = "r"\nexpires = 2026-03-01T12:00:00Z\n'
    )
    assert load_config(tmp_path).allowed(D)[0] == {"a"}


@pytest.mark.parametrize(
    "line", ["account_id = 42", 'account_id = ""', "org_id = true", 'account_id = ["a", "b"]', 'reason = " "']
)
def test_an_entry_that_could_not_act_is_refused(tmp_path: Path, line: str) -> None:
    lines = {"account_id": 'account_id = "a"', "reason": 'reason = "r"', "expires": "expires = 2026-03-01"}
    lines[line.partition(" ")[0]] = line
    (tmp_path / "hydrawatch.toml").write_text("[[allow]]\n" + "\n".join(lines.values()))
    with pytest.raises(ConfigError, match=f"allow.0.{line.partition(' ')[0]}: expected a (string|reason)"):
        load_config(tmp_path)

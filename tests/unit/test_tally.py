"""The one pass over an account's requests that plug-ins share, and which columns decide what is skipped."""

from __future__ import annotations

import dataclasses

import pytest

from features import compose, plugins
from features.spec import Column, Example, Measure

KNOWN = {name: frozenset(c.name for c in columns) for name, columns in compose.relations().items()}


def measured(name: str, aggregate: str, *, needs: tuple[str, ...] = ()) -> Measure:
    return Measure(
        name=name,
        columns=(Column(f"{name}_sum", "BIGINT", "a sum"),),
        sql=f"SELECT account_id, {name}_total AS {name}_sum FROM tally",
        reads=("requests", "tally"),
        needs=needs,
        tally={f"{name}_total": aggregate},
        example=Example(tables={}, expect=[]),
        false_positives=("none",),
    )


def test_two_plugins_share_one_pass() -> None:
    both = [measured("read", "sum(input_tokens)"), measured("written", "sum(output_tokens)")]
    composed = compose.compose(both, available=KNOWN)
    assert composed.sql.count("FROM requests") == 1
    rows = compose.run_statement(
        composed.sql,
        {
            "requests": [
                {"account_id": "a", "input_tokens": 3, "output_tokens": 5},
                {"account_id": "a", "input_tokens": 4},
                {"account_id": "b", "output_tokens": 7},
            ]
        },
    )
    assert sorted(rows, key=lambda row: str(row["account_id"])) == [
        {"account_id": "a", "read_sum": 7, "written_sum": 5},
        {"account_id": "b", "read_sum": None, "written_sum": 7},
    ]


def test_a_skipped_plugin_tallies_nothing() -> None:
    """Its aggregate might name a column that no log carries."""
    both = [measured("read", "sum(input_tokens)"), measured("seen", "count(country)", needs=("country",))]
    available = {**KNOWN, "requests": KNOWN["requests"] - {"country"}}
    composed = compose.compose(both, available=available)
    assert [name for name, _ in composed.skipped] == ["seen"]
    assert "country" not in composed.sql


def test_names_of_two_plugins_cannot_meet() -> None:
    with pytest.raises(ValueError, match="must begin with its own"):
        dataclasses.replace(measured("read", "sum(input_tokens)"), tally={"total": "count(*)"})


def test_only_accounts_are_tallied() -> None:
    with pytest.raises(ValueError, match="only accounts"):
        dataclasses.replace(measured("read", "sum(input_tokens)"), key="group_id")


def test_only_columns_somebody_needs_are_looked_for() -> None:
    needs = {need for measure in plugins.measures("account") for need in measure.needs if "." not in need}
    assert needs <= plugins.needed("requests") < KNOWN["requests"]
    assert "created_at" in plugins.needed("accounts")
    assert plugins.needed("hosting_asns") == frozenset()

"""Every measurement and every tie found keeps the contract of its kind; a new file is covered unnamed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from features import compose, plugins
from features.spec import Measure, Tie

Rows = list[dict[str, Any]]
Tables = dict[str, list[dict[str, Any]]]
RunOn = Callable[[Measure | Tie, Mapping[str, Sequence[Mapping[str, Any]]]], Rows]

MEASURES = (*plugins.measures("account"), *plugins.measures("group"))
TIES = plugins.ties()
PLUGINS: tuple[Measure | Tie, ...] = (*MEASURES, *TIES)
UNITS = {"_s": "s", "_ms": "ms", "_bits": "bits", "_share": "0..1", "_score": "0..1"}
#: In a column's name: it sets the subject against everybody else.
COMPARING = ("lift", "divergence", "excess")

every_plugin = pytest.mark.parametrize("plugin", PLUGINS, ids=lambda p: f"{type(p).__name__}-{p.name}")
every_measure = pytest.mark.parametrize("measure", MEASURES, ids=lambda m: f"{m.key}-{m.name}")
every_tie = pytest.mark.parametrize("tie", TIES, ids=lambda t: t.name)


def tables_of(plugin: Measure | Tie) -> Tables:
    return {name: [dict(row) for row in rows] for name, rows in plugin.example.tables.items()}


def same(got: Any, want: Any) -> bool:
    """Equality, floats to 1e-6, times by their text."""
    if isinstance(want, float) and isinstance(got, int | float):
        return math.isclose(got, want, abs_tol=1e-6, rel_tol=1e-9)
    if isinstance(want, str) and got is not None and not isinstance(got, str):
        return str(got) == want
    return bool(got == want)


def same_rows(got: Rows, want: Rows) -> bool:
    return len(got) == len(want) and all(
        g.keys() == w.keys() and all(same(g[c], w[c]) for c in w) for g, w in zip(got, want, strict=True)
    )


def own(row: dict[str, Any]) -> dict[str, Any]:
    """The columns that speak of the subject alone."""
    return {c: value for c, value in row.items() if not any(word in c for word in COMPARING)}


def stranger(tables: Tables) -> Tables:
    """The same tables with one more account that has nothing in common with any other."""
    day = next((row["ts"] for row in tables.get("requests", []) if row.get("ts")), "2026-03-02 12:00:00")
    more = {name: list(rows) for name, rows in tables.items()}
    more["requests"] = [
        *more.get("requests", []),
        *(
            {
                "request_id": f"stranger-{i}",
                "ts": str(day),
                "account_id": "zz-stranger",
                "model": "stranger-model",
                "prompt_hash": 9_000_000 + i,
                "template_id": 9_100_000 + i,
                "content_keys": [9_200_002 + 16 * i],
                "ip_prefix": "2001:db8:ffff::/48",
                "ip_hash": "stranger-ip",
                "user_agent": "stranger-agent",
                "capability": "general",
                "elicitation_score": 0.01,
                "status": 200,
                "input_tokens": 1,
                "output_tokens": 1,
            }
            for i in range(5)
        ),
    ]
    return more


@every_measure
def test_worked_example_of_a_measure(measure: Measure, run_on: RunOn) -> None:
    rows = {row[measure.key]: row for row in run_on(measure, measure.example.tables)}
    assert measure.example.expect, "an example expects at least one row"
    named: set[str] = set()
    for want in measure.example.expect:
        assert want[measure.key] in rows
        got = rows[want[measure.key]]
        assert {c: got[c] for c in want if not same(got[c], want[c])} == {}, {
            c: want[c] for c in want if not same(got[c], want[c])
        }
        named |= {c for c, value in want.items() if value is not None}
    unproven = {c.name for c in measure.columns} - named
    # Group plug-ins repeat a column for each family of evidence; an example need not repeat itself.
    most = 0 if measure.key == "account_id" else len(measure.columns) - 1
    assert len(unproven) <= most, f"the example proves no value of {sorted(unproven)}"


@every_tie
def test_worked_example_of_a_tie(tie: Tie, run_on: RunOn) -> None:
    rows = run_on(tie, tie.example.tables)
    assert tie.example.expect, "an example expects at least one row"
    for want in tie.example.expect:
        assert any(all(same(row[c], value) for c, value in want.items()) for row in rows), (want, rows)


@every_measure
def test_one_row_a_key_with_the_declared_columns(measure: Measure, run_on: RunOn) -> None:
    rows = run_on(measure, measure.example.tables)
    keys = [row[measure.key] for row in rows]
    assert len(keys) == len(set(keys))
    spine = "requests" if measure.key == "account_id" else "members"
    assert set(keys) == {row[measure.key] for row in measure.example.tables[spine]}
    for row in rows:
        assert list(row) == [measure.key, *(c.name for c in measure.columns)]


@every_tie
def test_ties_are_unique_and_of_declared_kinds(tie: Tie, run_on: RunOn) -> None:
    rows = run_on(tie, tie.example.tables)
    seen = [(row["account_id"], row["kind"], row["key"]) for row in rows]
    assert len(seen) == len(set(seen))
    for row in rows:
        assert row["family"] == tie.family
        assert row["kind"] in tie.kinds
        assert row["account_id"] is not None
        assert row["key"] is not None


@every_measure
def test_units_follow_names(measure: Measure) -> None:
    for column in measure.columns:
        for suffix, unit in UNITS.items():
            if column.name.endswith(suffix):
                assert column.unit == unit, f"{column.name} is in {unit!r}"


@every_plugin
def test_order_of_rows_does_not_matter(plugin: Measure | Tie, run_on: RunOn) -> None:
    backwards = {name: rows[::-1] for name, rows in tables_of(plugin).items()}
    assert same_rows(run_on(plugin, backwards), run_on(plugin, plugin.example.tables))


@every_plugin
def test_a_stranger_changes_nobody(plugin: Measure | Tie, run_on: RunOn) -> None:
    """Comparing with everybody else is declared: by reading ``shared_keys``, or by the column's name."""
    if "shared_keys" in plugin.reads:
        pytest.skip(f"{plugin.name} compares accounts")
    before = run_on(plugin, plugin.example.tables)
    after = [r for r in run_on(plugin, stranger(tables_of(plugin))) if "zz-stranger" not in r.values()]
    assert same_rows([own(row) for row in after], [own(row) for row in before])


@every_plugin
def test_nothing_in_nothing_out(plugin: Measure | Tie, run_on: RunOn) -> None:
    """No rows at all, with every column said to be there, is an empty answer and no error."""
    known = {name: frozenset(c.name for c in columns) for name, columns in compose.relations().items()}
    composed = (
        compose.compose([plugin], available=known)
        if isinstance(plugin, Measure)
        else compose.compose_ties([plugin], available=known)
    )
    assert composed.skipped == ()
    assert compose.run_statement(composed.sql, {}) == []


@every_measure
def test_too_few_is_null(measure: Measure) -> None:
    """One request that carries the required fields alone has no score, and an account no share either."""
    known = {name: frozenset(c.name for c in columns) for name, columns in compose.relations().items()}
    tables: Tables = {
        "requests": [
            {
                "request_id": "r",
                "ts": "2026-03-02 12:00:00",
                "account_id": "a",
                "model": "m",
                "day": "2026-03-02",
            }
        ],
        "members": [{"group_id": "g", "account_id": "a"}],
    }
    rows = compose.run_statement(compose.compose([measure], available=known).sql, tables)
    assert len(rows) == 1
    endings = ("_score", "_share") if measure.key == "account_id" else ("_score",)
    judged = {c: value for c, value in rows[0].items() if c.endswith(endings) and value is not None}
    assert judged == {}


@every_plugin
def test_missing_needs_skip_with_a_reason(plugin: Measure | Tie) -> None:
    relations = compose.relations()
    known = {name: frozenset(c.name for c in columns) for name, columns in relations.items()}
    for need in plugin.needs:
        relation, _, column = need.rpartition(".")
        relation = relation or "requests"
        assert column in known[relation], f"{need} is no column"
        less = {**known, relation: known[relation] - {column}}
        if isinstance(plugin, Tie):
            composed = compose.compose_ties([plugin], available=less)
            assert compose.run_statement(composed.sql, tables_of(plugin)) == []
        else:
            composed = compose.compose([plugin], available=less)
            for row in compose.run_statement(composed.sql, tables_of(plugin)):
                assert [row[c.name] for c in plugin.columns] == [None] * len(plugin.columns)
        assert [(name, column in reason) for name, reason in composed.skipped] == [(plugin.name, True)]


@every_plugin
def test_says_what_it_mistakes(plugin: Measure | Tie) -> None:
    assert all(len(text.split()) >= 2 for text in plugin.false_positives)


@every_tie
def test_every_kind_of_key_reads_as_a_sentence(tie: Tie) -> None:
    """ "It paid with one card" and "412 of 430 accounts paid with 9 cards" are both told of it."""
    for name, kind in tie.kinds.items():
        first = kind.verb.split()[0]
        assert first not in ("is", "are", "was", "were", "has", "have"), (
            f"{name}: {first!r} fits one or many, not both"
        )
        assert not first.endswith("s"), f"{name}: {kind.verb!r} is not in the past tense"
        assert kind.one != kind.many, name
        for words in (kind.verb, kind.one, kind.many):
            assert words == " ".join(words.split()), f"{name}: {words!r} has stray white space"
            assert words[0].islower() or words.split()[0].isupper(), f"{name}: {words!r} begins a sentence"
            assert not words.endswith("."), name
            assert "_" not in words, f"{name}: {words!r} is no English"
        assert not {"a", "an", "the", "one"} & {kind.one.split()[0], kind.many.split()[0]}, name
        assert not {"their", "its", "his"} & set(f"{kind.one} {kind.many}".split()), name


@every_measure
def test_every_column_is_read_by_a_model_or_says_why_not(measure: Measure) -> None:
    models = {"account_id": {"conduct", "single_account"}, "group_id": {"group"}}[measure.key]
    for column in measure.columns:
        assert bool(column.models) != bool(column.descriptive), (
            f"{column.name}: give it a direction and the models that read it, or the reason why none does"
        )
        assert set(column.models) <= models, f"{column.name}: {column.models} do not read {measure.key}"
        if column.models:
            assert column.type in ("DOUBLE", "BIGINT", "INTEGER", "BOOLEAN"), f"{column.name} is no number"
        assert column.use[:11] in ("descriptive", "read by con", "read by sin", "read by gro"), column.name

"""Steps from one schema of a lake to the next: taken back, and forward as SQL."""

from __future__ import annotations

from typing import Any

import duckdb
import pyarrow as pa
import pytest

from detector.lake.engine import quote
from detector.lake.migration.shape import Shape, shape
from detector.lake.migration.steps import (
    AddColumn,
    Columns,
    DropColumn,
    DropTable,
    Negated,
    RenameColumn,
    RenameTable,
    Schema,
    Step,
    Words,
    untouched,
)
from detector.lake.migration.versions import SCHEMA, VERSIONS, Version
from detector.lake.rows import arrow_schema
from detector.lake.tables import Table, tables
from detector.lake.views import aliases, described, renamed
from features.spec import Column


def table(name: str, **columns: str) -> Table:
    return Table(name, "test", tuple(Column(c, t, "test") for c, t in columns.items()), "day", "run")


def after(
    steps: list[Step], today: Schema, rows: dict[str, list[Any]]
) -> tuple[Schema, list[dict[str, Any]]]:
    """The schema before ``steps``, and ``rows`` of its one table as rows of today's one."""
    before = dict(today)
    for step in reversed(steps):
        step.undo(before)
    [old] = before
    columns: dict[str, Columns] = {old: {c: quote(c) for c in before[old].names}}
    for step in steps:
        step.carry(columns)
    [[new, own]] = columns.items()
    told = ", ".join(f"{sql} AS {quote(name)}" for name, sql in own.items())
    with duckdb.connect() as con:
        con.register("held", pa.table(rows, schema=arrow_schema(before[old].columns)))
        found = con.sql(f"SELECT {told} FROM held").to_arrow_table()
    assert set(found.column_names) == set(today[new].names)
    return before, found.to_pylist()


def test_a_column_is_renamed_under_a_table_that_is() -> None:
    steps = [RenameTable("old", "new"), RenameColumn("new", "a", "b")]
    before, rows = after(
        steps, {"new": table("new", b="BIGINT", c="VARCHAR")}, {"a": [1, None], "c": ["x", "y"]}
    )
    assert before["old"].name == "old"
    assert before["old"].names == ("a", "c")
    assert rows == [{"b": 1, "c": "x"}, {"b": None, "c": "y"}]


def test_values_are_negated_and_null_stays() -> None:
    steps = [RenameColumn("t", "firm", "spoofable", Negated())]
    _, rows = after(steps, {"t": table("t", spoofable="BOOLEAN")}, {"firm": [True, False, None]})
    assert [r["spoofable"] for r in rows] == [False, True, None]


def test_words_are_exchanged_exact_ones_first_and_all_come_back() -> None:
    words = Words({"kin_one": "alone", "it's": "o'clock"}, {"kin_": "neighbours_"})
    given = ["kin_one", "kin_two", "it's", "akin_", "other", None]
    _, rows = after([RenameColumn("t", "w", "w", words)], {"t": table("t", w="VARCHAR")}, {"w": given})
    told = [r["w"] for r in rows]
    assert told == ["alone", "neighbours_two", "o'clock", "akin_", "other", None]
    _, rows = after([RenameColumn("t", "w", "w", words.back())], {"t": table("t", w="VARCHAR")}, {"w": told})
    assert [r["w"] for r in rows] == given


def test_columns_come_and_go() -> None:
    steps = [DropColumn("t", Column("gone", "BIGINT", "test")), AddColumn("t", "twice", "2 * n")]
    before, rows = after(steps, {"t": table("t", n="BIGINT", twice="BIGINT")}, {"n": [1, 2], "gone": [3, 4]})
    assert before["t"].names == ("n", "gone")
    assert rows == [{"n": 1, "twice": 2}, {"n": 2, "twice": 4}]


def test_a_table_goes() -> None:
    schema: Schema = {}
    DropTable(table("gone", n="BIGINT")).undo(schema)
    assert schema["gone"].names == ("n",)
    columns: dict[str, Columns] = {"gone": {"n": '"n"'}}
    DropTable(schema["gone"]).carry(columns)
    assert columns == {}


@pytest.mark.parametrize(
    "step", [RenameTable("a", "none"), RenameColumn("t", "a", "none"), AddColumn("t", "none", "1")]
)
def test_a_step_to_what_is_not_there_is_an_authors_mistake(step: Step) -> None:
    with pytest.raises(KeyError):
        step.undo({"t": table("t", n="BIGINT")})


def test_what_is_only_passed_on_is_known() -> None:
    columns = {"a": '"a"', "new": '"old"', "negated": '(NOT "firm")'}
    assert untouched(columns) == {"a": "a", "new": "old"}


def test_schemas_are_numbered_and_no_step_touches_requests() -> None:
    assert [v.number for v in VERSIONS] == list(range(1, SCHEMA + 1))
    for version in VERSIONS:
        assert "requests" not in shape(version.number).changed, "every day would be due again"


def test_steps_of_two_releases_follow_one_another() -> None:
    versions = (
        Version(1, "1"),
        Version(2, "2", (RenameColumn("runs", "oldest", "older"),)),
        Version(3, "3", (RenameColumn("runs", "older", "model_digest"),)),
    )
    first, second = Shape(1, versions), Shape(2, versions)
    assert "oldest" in first.held("runs").names
    assert "older" in second.held("runs").names
    assert '"oldest" AS "model_digest"' in first.select("runs", "x")
    assert first.changed == second.changed == ("runs",)


def test_todays_shape_is_todays_tables() -> None:
    today = shape(SCHEMA)
    assert today.is_current
    assert today.stored == tables()
    assert today.changed == today.retired == ()


def test_every_old_name_is_an_alias_of_a_column_that_is() -> None:
    for alias in aliases():
        assert alias.of in tables()[alias.table].names
        assert alias.name in described()[alias.view].names
        assert alias.name not in tables()[alias.table].names
        assert alias.until in alias.meaning
    assert "own_score" in described()["account_scores"].names
    assert renamed()["score_parts"] == ("contributions", "0.3")
    assert {c.name for c in described()["score_parts"].columns} == set(shape(1).stored["score_parts"].names)

"""Rows on stdout carry nothing: no formula, no row of their own, no character that steers a terminal."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from made_lake import bare_lake

from detector.clean import STEERING, clean, json_safe, show_id, steers, visible, visible_lines
from detector.cli.rows import csv_cell, distinct, grid, json_text, print_table
from detector.errors import QueryError
from detector.lake.engine.sandbox import analyst_query
from detector.lake.opened import open_lake

#: One of each kind that may reach no terminal.
KINDS = {
    "nul": "\0", "bell": "\a", "backspace": "\b", "escape": "\x1b[31m", "carriage return": "\r", "line feed": "\n",
    "vertical tab": "\v", "form feed": "\f", "delete": "\x7f", "c1 csi": "\x9b31m", "c1 osc": "\x9d0;x\x9c",
    "next line": "\x85",
    "line separator": "\u2028", "paragraph separator": "\u2029", "right-to-left override": "\u202e",
    "left-to-right mark": "\u200e",
    "isolate": "\u2066", "arabic letter mark": "\u061c", "zero width space": "\u200b", "zero width joiner": "\u200d",
    "word joiner": "\u2060", "byte order mark": "\ufeff", "soft hyphen": "\u00ad", "grapheme joiner": "\u034f",
    "hangul filler": "\u3164", "halfwidth filler": "\uffa0", "blank braille": "\u2800", "interlinear": "\ufff9",
    "private use": "\ue000",
    "variation selector": "\ufe0f", "variation supplement": "\U000e0100", "tag": "\U000e0041", "language tag": "\U000e0001",
    "noncharacter": "\ufffe", "musical control": "\U0001d173", "mongolian": "\u180e", "shorthand": "\U0001bca0",
}  # fmt: skip
FORMULAS = (
    "=1+1",
    "+1+1",
    "-1+1",
    "@SUM(A1)",
    "\uff1d1+1",
    "\uff0b1",
    "\uff0d1",
    "\uff201",
    "=cmd|' /C calc'!A0",
)
FRONTS = (
    "",
    " ",
    "\t",
    "\r",
    "\n",
    "\u00a0",
    "\u3000",
    "'",
    '"',
    "\ufeff",
    "\u200b",
    "\0",
    "\x1b",
    " \t\r\n\"'",
)


def printed(rows: pa.Table, style: str, capfdbinary: pytest.CaptureFixture[bytes]) -> str:
    print_table(rows, style=style)
    return capfdbinary.readouterr().out.decode()


def one(value: object, name: str = "a") -> pa.Table:
    return pa.table({name: [value], "after": [7]})


@pytest.mark.parametrize("kind", KINDS)
def test_no_output_holds_a_character_that_steers(
    kind: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    text = f"a{KINDS[kind]}b"
    nested = pa.table({"a": [[text]], "after": [7]})
    for rows in (one(text), one(text, name=text), nested):
        for style in ("table", "csv", "json"):
            out = printed(rows, style, capfdbinary)
            assert not any(steers(c) for c in out.replace("\n", "")), (style, out)
        assert len(printed(rows, "csv", capfdbinary).split("\n")) == 3
    assert json.loads(printed(one(text), "json", capfdbinary))["a"] == text
    assert text in json.loads(printed(one(1, name=text), "json", capfdbinary))


@pytest.mark.parametrize("kind", KINDS)
def test_two_values_that_differ_in_it_look_different(kind: str) -> None:
    assert visible(f"a{KINDS[kind]}b") != visible("ab")
    assert show_id(f"a{KINDS[kind]}b") != show_id("ab")
    assert not any(
        steers(c) for c in clean(f"a{KINDS[kind]}b") + visible_lines(f"a{KINDS[kind]}b").replace("\n", "")
    )


@pytest.mark.parametrize("front", FRONTS)
def test_no_cell_and_no_header_is_a_formula(front: str, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    for formula in FORMULAS:
        text = front + formula
        out = printed(one(text, name=text), "csv", capfdbinary)
        found = list(csv.reader(io.StringIO(out)))
        assert [len(row) for row in found] == [2, 2], out
        assert found[0][0].startswith("'"), out
        assert found[1][0].startswith("'"), out
        assert found[1][1] == "7"


@pytest.mark.parametrize(
    "text",
    ["a\r=1+1", "b\r=cmd|' /C calc'!A0", "c\n=1+1", "d,=1+1", "e;=1+1", 'f",=1+1', "g\u2028=1", "h\x0b=1"],
)
def test_no_cell_makes_a_row_or_a_cell_of_its_own(
    text: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Readers break lines at other places than writers do: pandas at a bare carriage return, str.splitlines at more."""
    import pandas as pd

    out = printed(one(text), "csv", capfdbinary)
    assert len(out.splitlines()) == 2
    frame = pd.read_csv(io.StringIO(out))
    assert frame.shape == (1, 2)
    assert not str(frame.iloc[0, 0]).startswith("=")


def test_plain_values_come_out_plain(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    for text in (
        "acct_0e676",
        "g-1f0c9a7be2d4",
        "2001:db8::/32",
        "Jörg O'Neill",
        "日本語",
        "Việt",
        "naïve café",
        "a@example.com",
        "x=1",
    ):
        assert csv_cell(text) == visible(text) == text
        assert text in printed(one(text), "table", capfdbinary)
    assert csv_cell(-1.5) == "-1.5"
    assert csv_cell(None) == ""
    assert csv_cell(b"\x00=") == "003d"
    assert csv_cell(date(2026, 3, 2)) == "2026-03-02"
    assert csv_cell(["a", None, 1]) == '"[""a"",null,1]"'


def test_every_character_of_unicode_is_safe_or_written_out() -> None:
    for code in range(0x110000):
        char = chr(code)
        if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
            assert steers(char), hex(code)
    assert not [c for c in map(chr, range(0x20, 0x7F)) if steers(c)]
    assert STEERING.isascii() is False


def test_json_reads_back_as_it_was() -> None:
    text = "".join(KINDS.values()) + '\\u202e "quoted" é🦆'
    assert json.loads(json_text({text: [text, {"x": text}]})) == {text: [text, {"x": text}]}
    assert json.loads(json_safe(json.dumps(text, ensure_ascii=False))) == text
    assert json.loads(json_text({"a": "\udcff", "n": 2**70, "f": float("inf"), "d": date(2026, 3, 2)})) == {
        "a": "\udcff", "n": 2**70, "f": None, "d": "2026-03-02",
    }  # fmt: skip


def test_two_columns_of_one_name_are_both_printed(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    rows = pa.Table.from_arrays([pa.array([1]), pa.array([2]), pa.array([3])], ["a", "a", "a_2"])
    assert distinct(["a", "a", "a_2"]) == ["a", "a_2", "a_2_2"]
    assert json.loads(printed(rows, "json", capfdbinary)) == {"a": 1, "a_2": 2, "a_2_2": 3}
    assert printed(rows, "csv", capfdbinary) == "a,a,a_2\n1,2,3\n"


# -- every type --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bare_lake(tmp_path_factory.mktemp("lake"))


def answer(lake: Path, sql: str) -> pa.Table:
    return analyst_query(lake / "hydrawatch.duckdb", sql, readable=[lake / "data"])


def test_every_type_of_duckdb_is_printed_in_every_style(
    lake: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    rows = answer(lake, "SELECT * FROM test_all_types()")
    lines = [json.loads(line) for line in printed(rows, "json", capfdbinary).splitlines()]
    assert len(lines) == 3
    assert lines[0]["date"] == "5877642-06-25 (BC)"
    assert lines[1]["date"] == "5881580-07-10"
    assert lines[1]["uhugeint"] == str(2**128 - 1)
    assert lines[1]["time"] == "24:00:00"
    assert lines[1]["bit"] == "10101"
    assert lines[1]["varchar"] == "goo\0se"
    assert lines[1]["date_array"] == ["1970-01-01", "infinity", "-infinity", None, "2022-05-12"]
    assert lines[1]["timestamp_array"][1:3] == ["infinity", "-infinity"]
    assert lines[1]["double_array"] == [42.0, None, None, None, None, -42.0]
    assert lines[1]["map"] == [["key1", "🦆🦆🦆🦆🦆🦆"], ["key2", "goose"]]
    table = list(csv.reader(io.StringIO(printed(rows, "csv", capfdbinary))))
    assert {len(row) for row in table} == {rows.num_columns}
    assert "goo\\x00se" in printed(rows, "table", capfdbinary)


@pytest.mark.parametrize(
    ("sql", "shown"),
    [
        ("SELECT DATE '290000-01-01' AS a", "290000-01-01"),
        ("SELECT DATE '0001-01-01' - 1 AS a", "0001-12-31 (BC)"),
        ("SELECT DATE '12345-02-28' + 1 AS a", "12345-03-01"),
        ("SELECT DATE '12344-02-28' + 1 AS a", "12344-02-29"),
        ("SELECT TIMESTAMP '20000-06-01 12:34:56.000001' AS a", "20000-06-01 12:34:56.000001"),
        ("SELECT TIMESTAMPTZ '20000-06-01 12:34:56+02' AS a", "20000-06-01 10:34:56"),
        ("SELECT 'infinity'::TIMESTAMP AS a", "infinity"),
        ("SELECT '-infinity'::DATE AS a", "-infinity"),
        ("SELECT {'d': DATE '20000-01-01', 'i': INTERVAL 3 DAY} AS a", {"d": "20000-01-01", "i": "3 days"}),
        ("SELECT MAP {DATE '20000-01-01': [1]} AS a", [["20000-01-01", [1]]]),
        ("SELECT MAP {[1, 2]: 'x', []: 'y'} AS a", [[[1, 2], "x"], [[], "y"]]),
        ("SELECT [INTERVAL 2 MONTH] AS a", ["2 months"]),
        ("SELECT 'x'::ENUM ('x', 'y') AS a", "x"),
        ("SELECT union_value(n := 5) AS a", "5"),
        ("SELECT 1.50::DECIMAL(9, 2) AS a", "1.50"),
        ("SELECT (2::HUGEINT ** 100)::HUGEINT AS a", str(2**100)),
        ("SELECT 'a\x00'::BLOB AS a", None),
        ("SELECT '101'::BIT AS a", "101"),
        ("SELECT 'NaN'::DOUBLE AS a", None),
        ("SELECT NULL AS a", None),
        ("SELECT [] AS a", []),
        ("SELECT {'=1': NULL} AS a", {"=1": None}),
        ("SELECT TIME '24:00:00' AS a", "24:00:00"),
        ("SELECT '00:00:00+15:59'::TIMETZ AS a", "00:00:00+15:59"),
        ("SELECT TIMESTAMP_NS '2026-03-02 00:00:00.123456789' AS a", "2026-03-02 00:00:00.123456789"),
    ],
)
def test_a_value_python_cannot_hold_is_shown_in_words(
    sql: str, shown: object, lake: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    if "\x00" in sql:
        sql, shown = "SELECT '\\x00\\xFF'::BLOB AS a", "00ff"
    rows = answer(lake, sql)
    assert json.loads(printed(rows, "json", capfdbinary)) == {"a": shown}
    for style in ("csv", "table"):
        assert printed(rows, style, capfdbinary)


def test_a_column_no_frame_can_hold_is_an_error_that_says_so(lake: Path) -> None:
    opened = open_lake(lake)
    for kind in ("pandas", "polars"):
        with pytest.raises(QueryError, match="CAST"):
            opened.query("SELECT * FROM test_all_types()", as_=kind)  # type: ignore[call-overload]
    assert len(opened.query("SELECT 1 AS a")) == 1


# -- the grid ----------------------------------------------------------------------------------------------


def lines(rows: pa.Table, width: int) -> list[str]:
    return list(grid(rows, width=width))


def test_ids_are_never_cut_or_folded_however_narrow_the_terminal() -> None:
    ids = [f"g-6dc22f33aac4{n}" for n in range(3)]
    rows = pa.table(
        {
            "group_id": ids,
            "account_id": [f"account number {n} of the site" for n in range(3)],
            "title": ["some words " * 9] * 3,
        }
    )
    for width in (200, 120, 80, 40, 10):
        text = "\n".join(lines(rows, width))
        assert all(name in text for name in ("group_id", "account_id", "title"))
        assert all(i in text for i in [*ids, "account number 1 of the site"])
    assert lines(rows, 40)[0] == "-- row 1"
    assert max(len(line) for line in lines(rows, 120)) <= 120
    assert not any(line.startswith("-- row") for line in lines(rows, 120))


def test_wide_letters_keep_columns_straight() -> None:
    rows = pa.table({"a": ["日本", "ab"], "n": [1, 22]})
    assert lines(rows, 80) == ["a      n", "日本   1", "ab    22"]


def test_an_answer_without_rows_or_columns_prints_its_header() -> None:
    assert lines(pa.table({"a": pa.array([], pa.string())}), 80) == ["a"]
    assert lines(pa.table({"a": pa.array([], pa.string()), "b": pa.array([], pa.string())}), 3) == ["a  b"]
    assert lines(pa.table({}), 80) == []


def test_a_grid_of_very_many_rows_ends(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    with duckdb.connect() as con:
        rows = con.sql("SELECT range AS a FROM range(30000)").to_arrow_table()
    print_table(rows, style="table")
    out, err = capfdbinary.readouterr()
    assert out.count(b"\n") == 10_001
    assert b"30,000 rows, the first 10,000 shown" in err
    assert printed(rows, "csv", capfdbinary).count("\n") == 30_001

"""Every log format against its golden records, and against lines broken at random.

``tests/golden/formats/NAME.jsonl`` holds cases: literal input lines beside the canonical rows (NULLs left
out), rejects (line, reason, field) and counts they must give.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from detector.ingest import formats as package
from detector.ingest import quick
from detector.ingest.checks import Mapped
from detector.ingest.formats import CONTENTS, Columns, Options, formats
from detector.ingest.formats.native import COLUMNS
from detector.ingest.mapping import RecordMapper
from detector.ingest.records import Records
from detector.ingest.splitting import Block, Raw

GOLDEN = Path(__file__).parents[1] / "golden" / "formats"
CASES = {
    name: [json.loads(line) for line in (GOLDEN / f"{name}.jsonl").read_text().splitlines()]
    for name in formats()
}
ALL = [(name, case) for name, cases in CASES.items() for case in cases]


def block(lines: list[str]) -> Block:
    numbers = pa.array(range(1, len(lines) + 1), pa.int64())
    return Block(pa.table({"line": numbers, "text": pa.array(lines, pa.large_string())}), [])


def mapped(name: str, lines: list[str], content: str = "requests", **options: Any) -> Mapped:
    return RecordMapper(formats()[name], content, Options(**options)).map(block(lines))


def plain(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows without NULLs, times as text."""
    return [
        {k: v.isoformat() if isinstance(v, datetime) else v for k, v in row.items() if v is not None}
        for row in rows
    ]


def test_formats_are_the_files_of_the_package() -> None:
    files = {p.stem for p in Path(package.__file__).parent.glob("*.py")} - {"__init__"}
    assert set(formats()) == files
    assert all(f.meaning and f.capabilities and set(f.contents) <= set(CONTENTS) for f in formats().values())


@pytest.mark.parametrize(("name", "case"), ALL, ids=[f"{n}: {c['what']}" for n, c in ALL])
def test_golden(name: str, case: dict[str, Any]) -> None:
    found = mapped(name, case["lines"], case["content"], **case["options"])
    assert plain(found.rows.to_dicts()) == case["rows"]
    assert [[r.line, r.reason, r.field] for r in found.rejects] == case["rejects"]
    assert found.n_other == case["n_other"]
    assert sorted(found.unknown) == case["unknown"]
    assert found.rows.columns == ["line", *(c.name for c in COLUMNS[case["content"]])]


@pytest.mark.parametrize("name", formats())
def test_capabilities_are_shown_by_golden_records(name: str) -> None:
    shows = {
        "prompts": "prompt",
        "ip": "source_ip",
        "account": "account_id",
        "ja4": "ja4",
        "params": "temperature",
        "logprobs": "top_logprobs",
        "tokens": "output_tokens",
        "latency": "latency_ms",
        "session": "session_id",
    }
    seen = {column for case in CASES[name] for row in case["rows"] for column in row}
    shown = {capability for capability, column in shows.items() if column in seen}
    assert shown == formats()[name].capabilities


def needed(name: str) -> dict[str, Any]:
    """Options without which a format reads nothing: those of its first case, where its keys are a site's."""
    return CASES[name][0]["options"] if formats()[name].chosen else {}


def sound(name: str) -> list[str]:
    """Lines of requests that are taken, from the cases without further options."""
    return [
        case["lines"][row["line"] - 1]
        for case in CASES[name]
        if case["content"] == "requests" and case["options"] == needed(name)
        for row in case["rows"][:3]
    ]


@pytest.mark.parametrize("name", formats())
def test_each_format_knows_its_own_lines_only(name: str) -> None:
    assert sound(name)
    for line in sound(name):
        record = json.loads(line.encode("utf-8", "surrogatepass"))
        options = Options(**needed(name))
        assert {f.name for f in formats().values() if f.knows(record, options)} == {name}


def _nodes(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _nodes(inner, (*path, key))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from _nodes(inner, (*path, at))


def _corrupt(rng: random.Random, line: str) -> str:
    """The line with one node replaced by something else, or its text damaged."""
    if rng.random() < 0.3:
        at = rng.randrange(len(line))
        return rng.choice([line[:at], line[:at] + rng.choice('"{}[],:\\x0\t') + line[at + 1 :], line[at:]])
    value = json.loads(line)
    path = rng.choice(list(_nodes(value)))
    new = rng.choice(
        [None, True, 0, -1, 1.5, "", "text", "{", "[]", [], {}, [[1]], {"a": {"b": 1}}, 10**30, "\ud83d"]
    )
    if not path:
        return json.dumps(new)
    holder = value
    for step in path[:-1]:
        holder = holder[step]
    if rng.random() < 0.2 and isinstance(holder, dict):
        del holder[path[-1]]
    else:
        holder[path[-1]] = new
    return json.dumps(value)


@pytest.mark.parametrize("name", formats())
def test_lines_in_are_lines_out_for_random_corruptions(name: str) -> None:
    rng = random.Random(20261122)
    whole = sound(name)
    lines = [_corrupt(rng, rng.choice(whole)) for _ in range(1500)]
    found = mapped(name, lines, **needed(name))
    kept, rejected = set(found.rows["line"]), {r.line for r in found.rejects}
    if name == "otel":  # one line holds many entries, or none
        assert kept | rejected <= set(range(1, len(lines) + 1))
        assert len(kept | rejected) + found.n_other >= len(lines) - sum(_empty(line) for line in lines)
    else:
        assert found.rows.height + len(found.rejects) + found.n_other == len(lines)
        assert not kept & rejected
        assert len(kept) == found.rows.height
    assert kept
    assert rejected
    assert not [r for r in found.rejects if r.code == "bad_entry" and name in r.detail]
    for column in ("request_id", "ts", "account_id"):
        assert not found.rows[column].null_count()
    assert found.rows.filter(
        pl.col("model").is_null() & ~(pl.col("status") >= 400).fill_null(False)
    ).is_empty()


def _empty(line: str) -> bool:
    """Whether an OTLP line may rightly hold no entry: a list in it is empty or null, or is no list."""
    try:
        value = json.loads(line)
    except ValueError:
        return False
    return isinstance(value, dict)


def _long() -> RecordMapper:
    mapping = RecordMapper(formats()["native"], "requests", Options())
    mapping._quick = False
    return mapping


def _same(one: Mapped, other: Mapped) -> None:
    assert one.rows.to_dicts() == other.rows.to_dicts()
    assert one.rows.schema == other.rows.schema
    key = attrgetter("line")
    assert sorted(one.rejects, key=key) == sorted(other.rejects, key=key)


def _native_lines(n_broken: int) -> list[str]:
    rng = random.Random(7)
    cases = [c for c in CASES["native"] if c["content"] == "requests" and not c["options"]]
    lines = [line for c in cases for line in c["lines"]]
    return lines + [_corrupt(rng, rng.choice(sound("native"))) for _ in range(n_broken)]


def test_the_short_way_gives_what_the_long_way_gives() -> None:
    lines = [line for line in _native_lines(600) if "\n" not in line and "\x00" not in line and line.strip()]
    whole = mapped("native", lines)
    by_line = {row["line"]: row for row in whole.rows.to_dicts()}
    n_parsed = 0
    for number, line in enumerate(lines, 1):
        raw = Raw(line.encode() + b"\n", number, 1, 1 << 20)
        columns = COLUMNS["requests"]
        parsed = quick.parse(raw, columns, ("account_id", "org_id", "api_key_id"))
        if parsed is None:
            continue
        rows, plain = quick.typed(parsed, columns, ("request_id", "ts", "account_id", "model"))
        if plain[0]:
            n_parsed += 1
            assert rows.to_dicts() == [by_line[number]]
    assert n_parsed > 60


#: Values as they may stand in a line for any key, in the spelling of JSON.
_ODD = (
    "1", "1.0", "1.5", "-0", "-0.0", "1e3", "1E-7", "0.00001", "1e16", "12345678901234567.0", "123456789012345678",
    "9007199254740993", "18446744073709551615", "18446744073709551616", "-9223372036854775809", "1e300", "true", "false",
    "null", "[]", "{}", "[1]", "[1.0]", '["a", 1.5]', '["a", "1.5", "7"]', '["a", true]', '["a", null]', '["a", "true"]',
    '["[1]", "{"]', '"x"', '""', '" "', '"1.0"', '"007"', '"1e3"', '"true"', '"none"', '"NaN"', '"-"', '"-1"', '"{}"',
    '"\\u0000"', '"\\u00e9"', '"\\"request_id\\":"', '"stop"', '"2026-11-01T10:00:00Z"', "1793527200", "1793527200.25",
)  # fmt: skip


def _as_written(rng: random.Random) -> str:
    """A line of a canonical record with keys given twice, spelled with escapes, and values of any type."""
    names = [c.name for c in COLUMNS["requests"]]
    members = [(k, json.dumps(v)) for k, v in json.loads(rng.choice(sound("native"))).items()]
    held = {name for name, _ in members}
    for _ in range(rng.choice((1, 1, 2, 3))):
        name = rng.choice(names) if rng.random() < 0.5 else rng.choice(members)[0]
        if name in held and rng.random() < 0.7:  # in its place, not beside it
            members = [member for member in members if member[0] != name]
        members.insert(rng.randrange(len(members) + 1), (name, rng.choice(_ODD)))
    if rng.random() < 0.1:
        members.append(("of_ours", '{"model": "inner", "model": "twice", "prompt": "\\"model\\": 1"}'))
    spaces = ("", "", " ", "\t")
    written = []
    for name, value in members:
        if rng.random() < 0.02:
            name = name.replace("o", "\\u006f", 1)
        written.append(f'"{name}"{rng.choice(spaces)}:{rng.choice(spaces)}{value}')
    return "{" + ",".join(written) + "}"


@pytest.mark.parametrize("seed", range(4))
def test_the_short_way_reads_a_repeated_key_and_a_number_for_text_as_the_long_way_does(seed: int) -> None:
    rng = random.Random(seed)
    columns = COLUMNS["requests"]
    n_plain = 0
    for line in (_as_written(rng) for _ in range(500)):
        raw = Raw(line.encode(), 1, 1, 1 << 20)
        _same(
            RecordMapper(formats()["native"], "requests", Options()).map(Block(raw=raw)),
            _long().map(block([line])),
        )
        parsed = quick.parse(raw, columns, ("account_id", "org_id", "api_key_id"))
        if parsed is not None:
            n_plain += quick.typed(parsed, columns, ("request_id", "ts", "account_id", "model"))[1][0]
    assert n_plain > 10


def test_the_last_of_two_equal_keys_holds_whatever_else_is_in_the_block() -> None:
    line = json.dumps(json.loads(CASES["native"][0]["lines"][0]) | {"account_id": "first"})
    twice = line[:-1] + ', "account_id": "last"}'
    escaped = line[:-1] + ', "\\u0061ccount_id": "last"}'
    lines = [line, twice, line, escaped, line, line, line]
    raw = Raw("".join(text + "\n" for text in lines).encode(), 1, len(lines), 1 << 20)
    mapping = RecordMapper(formats()["native"], "requests", Options())
    found = mapping.map(Block(raw=raw))
    assert mapping._n_failed == 0
    assert found.rows["account_id"].to_list() == ["first", "last", "first", "last", "first", "first", "first"]


def test_a_block_parsed_at_once_hands_on_what_is_odd() -> None:
    rows = [json.loads(CASES["native"][0]["lines"][0]) | {"request_id": f"r-{n}"} for n in range(30)]
    rows[3]["prompt"] = {"not": "text"}
    rows[5] |= {"account_id": None, "org_id": None, "api_key_id": None}
    rows[7]["prompt"] = "half \ud83d"
    rows[9]["max_tokens"] = -1
    rows[11]["input_tokens"] = 1.5
    lines = [json.dumps(row) for row in rows]
    raw = Raw("".join(line + "\n" for line in lines).encode(), 1, len(lines), 1 << 20)
    mapping = RecordMapper(formats()["native"], "requests", Options())
    found = mapping.map(Block(raw=raw))
    assert mapping._n_failed == 0
    _same(found, _long().map(block(lines)))
    assert [r.line for r in found.rejects] == [6]
    assert found.rows["prompt"][3] is None
    assert found.rows["prompt"][7 - 1] == "half \ufffd"
    assert found.rows["input_tokens"][11 - 1] is None
    broken = Raw(raw.data + b"{cut\n\n", 1, len(lines) + 2, 1 << 20)
    again = mapping.map(Block(raw=broken))
    assert mapping._n_failed == 1
    assert sorted(r.line for r in again.rejects) == [6, 31, 32]


def test_an_entry_that_the_format_fails_on_costs_only_itself() -> None:
    lines = [CASES["native"][0]["lines"][0].replace('"r-1"', f'"r-{n}"') for n in range(9)]

    def derive(records: Records, options: Options, columns: Columns) -> Columns:
        if "r-5" in columns["request_id"]:
            raise KeyError("r-5")
        return {}

    failing = replace(formats()["native"], derive=derive)
    found = RecordMapper(failing, "requests", Options()).map(block(lines))
    assert found.rows["request_id"].to_list() == [f"r-{n}" for n in range(9) if n != 5]
    assert [(r.line, r.code) for r in found.rejects] == [(6, "bad_entry")]

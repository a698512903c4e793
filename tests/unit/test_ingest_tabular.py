"""CSV in its dialects and Parquet of any type: rows come out as JSON, and nothing fills the memory."""

from __future__ import annotations

import csv
import datetime as dt
import decimal
import io
import json
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from detector.errors import LogError
from detector.ingest.parquet import parquet_blocks
from detector.ingest.splitting import Block, Reject
from detector.ingest.tabular import csv_blocks, sample

HEADER = ["request_id", "ts", "account_id", "model", "prompt"]
ROW = ["r-1", "2026-11-02T09:00:00Z", "acct-1", "m-1", 'two\nlines, "quoted"; a|b\tc']


def taken(blocks: Any) -> tuple[list[tuple[int, dict[str, Any]]], list[Reject]]:
    entries: list[tuple[int, dict[str, Any]]] = []
    rejects: list[Reject] = []
    for block in blocks:
        assert isinstance(block, Block)
        texts = [json.loads(t) for t in block.lines.column("text").to_pylist()]
        entries += zip(block.lines.column("line").to_pylist(), texts, strict=True)
        rejects += block.rejects
    return entries, rejects


def rows(data: bytes, *, size: int = 1 << 20) -> tuple[list[tuple[int, dict[str, Any]]], list[Reject]]:
    chunks = [data[at : at + size] for at in range(0, len(data), size)]
    return taken(csv_blocks(chunks, Path("t.csv"), max_line=1 << 20))


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("start", ["", "\ufeff", "sep"])
def test_every_dialect_gives_the_same_rows(separator: str, ending: str, start: str) -> None:
    made = io.StringIO()
    writer = csv.writer(made, delimiter=separator, lineterminator=ending)
    writer.writerows([HEADER, ROW, ROW])
    first = f"sep={separator}{ending}" if start == "sep" else start
    found, rejects = rows((first + made.getvalue()).encode())
    assert [row for _, row in found] == [dict(zip(HEADER, ROW, strict=True))] * 2
    assert [line for line, _ in found] == ([3, 5] if start == "sep" else [2, 4])
    assert not rejects


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ("REQUEST_ID,TS,ACCOUNT_ID,MODEL,REGION", ["request_id", "ts", "account_id", "model", "region"]),
        ("Request_Id,Ts,Account_ID,Model,Region", ["request_id", "ts", "account_id", "model", "Region"]),
        (
            "REQUEST_ID,STARTTIME,ENDTIME,MODEL,API_KEY",
            ["request_id", "startTime", "endTime", "model", "api_key"],
        ),
        ("model,Model,MODEL,ts,x", ["model", "Model", "MODEL", "ts", "x"]),
        (",ts,account_id,model,", ["", "ts", "account_id", "model", ""]),
        (" ts , account_id,model,a b,c", ["ts", "account_id", "model", "a b", "c"]),
    ],
)
def test_header_names_are_spelled_as_the_formats_know_them(header: str, names: list[str]) -> None:
    found, _ = rows((header + "\n1,2,3,4,5\n").encode())
    assert found == [(2, {n: v for n, v in zip(names, "12345", strict=True) if n})]


def test_blank_rows_are_one_reject_a_run_and_broken_ones_their_own() -> None:
    found, rejects = rows(b'a,b\n\n\n\n1,2\n\n"x\n3,4\n5,6,7\n8\n')
    assert found == [(5, {"a": "1", "b": "2"}), (8, {"a": "3", "b": "4"})]
    assert [(r.line, r.code, r.n) for r in rejects] == [
        (2, "blank", 3), (6, "blank", 1), (7, "bad_csv_row", 1), (9, "bad_csv_row", 1), (10, "bad_csv_row", 1),
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(30))
def test_physical_lines_in_are_rows_and_rejects_out(seed: int) -> None:
    rng = random.Random(seed)
    data = b"a,b\n" + bytes(rng.choice(b'ab,;"\n\r\n \xff\xc3') for _ in range(600)) + b"\n"
    n_lines = data.count(b"\n") - 1
    whole, cut = rows(data), rows(data, size=rng.randrange(1, 40))
    assert whole == cut
    firsts = [line for line, _ in whole[0]] + [r.line for r in whole[1]]
    spans = sorted(firsts)
    assert len(set(spans)) == len(spans)
    assert spans[0] == 2
    assert n_lines + 1 >= spans[-1]
    covered = sum(row.count("\n") + 1 for _, found in whole[0] for row in [" ".join(found.values())])
    assert covered + sum(r.n for r in whole[1]) <= n_lines + len(whole[0]) + len(whole[1])


def test_a_sample_gives_rows_only_where_they_fit_the_header() -> None:
    assert list(sample(b"a,b\n1,2\nwords\n")) == [{"a": "1", "b": "2"}]
    assert list(sample(b"just words\nand more\n")) == []


def parquet(path: Path, table: pa.Table, **settings: Any) -> tuple[list[dict[str, Any]], list[Reject]]:
    pq.write_table(table, path, **settings)
    entries, rejects = taken(parquet_blocks(path))
    assert [line for line, _ in entries] == list(range(1, len(entries) + 1))
    return [row for _, row in entries], rejects


NOON = dt.datetime(2026, 11, 2, 12, 0, 0, 250_000)
COLUMNS: list[tuple[Any, Any]] = [
    (pa.array([b"text", None], pa.binary()), ["text", None]),
    (pa.array([b"\xff\xfe", b"ok"], pa.binary()), [None, "ok"]),
    (pa.array([b"abcd", None], pa.binary(4)), ["abcd", None]),
    (pa.array([bytes(range(16)), b"sixteen letters!"], pa.binary(16)),
     ["00010203-0405-0607-0809-0a0b0c0d0e0f", "sixteen letters!"]),
    (pa.array(["a", None]).dictionary_encode(), ["a", None]),
    (pa.array(["a", None], pa.large_string()), ["a", None]),
    (pa.array([b"a", None], pa.large_binary()), ["a", None]),
    (pa.array([NOON, None], pa.timestamp("us")), ["2026-11-02 12:00:00.250000", None]),
    (pa.array([NOON, None], pa.timestamp("ns", "Europe/Berlin")), ["2026-11-02 12:00:00.250000", None]),
    (pa.array([2**62, None], pa.timestamp("us")), [..., None]),
    (pa.array([dt.date(2026, 11, 2), None]), ["2026-11-02", None]),
    (pa.array([dt.time(12, 30), None]), [..., None]),
    (pa.array([decimal.Decimal("1.50"), None]), ["1.50", None]),
    (pa.array([dt.timedelta(milliseconds=1500), None], pa.duration("us")), [1500.0, None]),
    (pa.array(np.array([1.5, 2.5], np.float16)), [1.5, 2.5]),
    (pa.array([float("nan"), float("inf")]), [None, None]),
    (pa.array([2**63, 1], pa.uint64()), [2**63, 1]),
    (pa.array([True, None]), [True, None]),
    (pa.nulls(2), [None, None]),
    (pa.array([["a", None], None]), [["a", None], None]),
    (pa.array([[b"a", b"\xff"], []]), [["a", None], []]),
    (pa.array([[1, 2], [3, 4]], pa.list_(pa.int8(), 2)), [[1, 2], [3, 4]]),
    (pa.array([{"a": {"b": [NOON]}}, None]), [{"a": {"b": ["2026-11-02 12:00:00.250000"]}}, None]),
    (pa.array([[("k", ["v"])], None], pa.map_(pa.string(), pa.list_(pa.string()))), [{"k": ["v"]}, None]),
    (pa.array([[(1, b"\xff")], []], pa.map_(pa.int32(), pa.binary())), [{"1": None}, {}]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("column", "values"), COLUMNS, ids=[f"{c.type} {at}" for at, (c, _) in enumerate(COLUMNS)]
)
def test_a_column_of_any_type_is_read_or_null_and_costs_no_other(
    tmp_path: Path, column: Any, values: list[Any]
) -> None:
    found, rejects = parquet(tmp_path / "a.parquet", pa.table({"id": ["r-1", "r-2"], "x": column}))
    assert not rejects
    assert [row["id"] for row in found] == ["r-1", "r-2"]
    for row, value in zip(found, values, strict=True):
        assert isinstance(row["x"], str) if value is ... else row["x"] == value


def test_blocks_of_parquet_are_bounded_by_what_a_dictionary_spells_out(tmp_path: Path) -> None:
    long = "z" * 300_000
    wide = pa.DictionaryArray.from_arrays(pa.array([0] * 400), pa.array([long]))
    nested = pa.array([[long]] * 400)
    pq.write_table(pa.table({"id": list(range(400)), "a": wide, "b": nested}), tmp_path / "a.parquet")
    n_rows = 0
    for block in parquet_blocks(tmp_path / "a.parquet", block_bytes=2 << 20):
        assert block.lines.nbytes < 4 << 20
        assert all(json.loads(text)["b"] == [long] for text in block.lines.column("text").to_pylist())
        n_rows += block.lines.num_rows
    assert n_rows == 400


def test_a_parquet_file_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    many = pa.DictionaryArray.from_arrays(pa.array([0] * 2000), pa.array(["z" * (4 << 20)]))
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"request_id": many}), path)
    with pytest.raises(LogError, match="refused, it would fill the memory"):
        taken(parquet_blocks(path))
    pq.write_table(pa.table({"a": pa.nulls(5_000_000)}), path)
    with pytest.raises(LogError, match=r"5,000,000 rows in [\d,]+ bytes"):
        taken(parquet_blocks(path))


@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_parquet_file_is_an_error_of_its_own_and_nothing_else(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    table = pa.table({"id": [f"r-{n}" for n in range(500)], "x": [b"\xff"] * 500, "l": [["a"]] * 500})
    pq.write_table(table, tmp_path / "a.parquet", compression=rng.choice(["snappy", "zstd", "none"]))
    data = bytearray((tmp_path / "a.parquet").read_bytes())
    for _ in range(rng.choice([1, 20])):
        data[rng.randrange(4, len(data))] = rng.randrange(256)
    (tmp_path / "a.parquet").write_bytes(data[: rng.choice([len(data), rng.randrange(8, len(data))])])
    entries: list[Any] = []
    rejects: list[Reject] = []
    with suppress(LogError):  # any other error fails the test
        entries, rejects = taken(parquet_blocks(tmp_path / "a.parquet"))
    assert len(entries) + len(rejects) in range(501)

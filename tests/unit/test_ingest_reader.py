"""Reader: packings, layouts, broken files; every entry comes out once, as a line or as a reject."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from detector.errors import LogError
from detector.ingest.ledger import identify
from detector.ingest.reader import Reader
from detector.ingest.sources import Source, find
from detector.ingest.splitting import Reject
from detector.ingest.values import elements

ROWS = [
    {"request_id": f"r-{n}", "prompt": f'line {n} with "quotes", {{braces}} and [lists] \\'}
    for n in range(57)
]
LINES = [json.dumps(row) for row in ROWS]


def read(path: Path, layout: str = "", **sizes: int) -> tuple[list[tuple[int, str]], list[Reject]]:
    """(line, text) of every entry, and the rejects; ``layout`` where the content would not tell."""
    if layout:
        source = Source(path, layout, "", path.stat().st_size)  # type: ignore[arg-type]
    else:
        [source] = find([path]).sources
    entries: list[tuple[int, str]] = []
    rejects: list[Reject] = []
    for block in Reader(source, **sizes):
        texts = [t.strip() for t in block.lines.column("text").to_pylist()]
        entries += zip(block.lines.column("line").to_pylist(), texts, strict=True)
        rejects += block.rejects
    return entries, rejects


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def rows(entries: list[tuple[int, str]]) -> list[object]:
    return [json.loads(text) for _, text in entries]


@pytest.mark.parametrize("block_bytes", [1, 64, 1000, 1 << 20])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_lines_keep_their_numbers_whatever_the_block(
    tmp_path: Path, block_bytes: int, ending: str, last: bool
) -> None:
    text = ending.join(LINES) + (ending if last else "")
    entries, rejects = read(write(tmp_path / "a.jsonl", text.encode()), block_bytes=block_bytes)
    assert [number for number, _ in entries] == list(range(1, 58))
    assert rows(entries) == ROWS
    assert not rejects


def test_blank_and_foreign_lines_are_set_aside_each_by_itself(tmp_path: Path) -> None:
    data = (
        b"\xef\xbb\xbf"
        + b"\n".join(
            [
                LINES[0].encode(),
                b"",
                b"  \t",
                LINES[1].encode(),
                b'{"a":"\xff\xfe"}',
                LINES[2].encode(),
                b"\r",
            ]
        )
        + b"\n"
    )
    entries, rejects = read(write(tmp_path / "a.jsonl", data))
    assert [n for n, _ in entries] == [1, 4, 6]
    assert rows(entries) == ROWS[:3]
    assert sorted((r.line, r.reason, r.n) for r in rejects) == [
        (2, "blank line", 2), (5, "not UTF-8", 1), (7, "blank line", 1),
    ]  # fmt: skip


@pytest.mark.parametrize("long", [300, 5000, 50_000])
@pytest.mark.parametrize("where", [0, 28, 56])
def test_a_line_over_the_cap_costs_only_itself(tmp_path: Path, long: int, where: int) -> None:
    lines = [line.encode() for line in LINES]
    lines[where] = b'{"prompt":"' + b"x" * long + b'"}'
    path = write(tmp_path / "a.jsonl", b"\n".join(lines) + b"\n")
    entries, rejects = read(path, block_bytes=128, max_line=200)
    assert [(r.line, r.reason, r.n_bytes) for r in rejects] == [
        (where + 1, "line longer than 200 bytes", len(lines[where]))
    ]
    assert rows(entries) == ROWS[:where] + ROWS[where + 1 :]
    assert [n for n, _ in entries] == [n for n in range(1, 58) if n != where + 1]


def test_a_file_of_nothing_has_no_lines(tmp_path: Path) -> None:
    assert read(write(tmp_path / "a.jsonl", b""), "lines") == ([], [])
    assert read(write(tmp_path / "b.json", b"[]"), "lines") == ([], [])
    assert read(write(tmp_path / "c.jsonl", b"\n"), "lines")[1] == [Reject(1, "blank", n_bytes=0)]
    assert read(write(tmp_path / "d.jsonl", b"\0" * 3000), "lines") == ([], [])


@pytest.mark.parametrize("packing", ["gz", "zst"])
def test_packed_files_of_many_members(tmp_path: Path, packing: str) -> None:
    def pack(text: str) -> bytes:
        return gzip.compress(text.encode()) if packing == "gz" else zstandard.compress(text.encode())

    halves = "\n".join(LINES[:20]) + "\n" + LINES[20][:9], LINES[20][9:] + "\n" + "\n".join(LINES[21:])
    entries, rejects = read(
        write(tmp_path / f"a.jsonl.{packing}", pack(halves[0]) + pack("") + pack(halves[1]))
    )
    assert rows(entries) == ROWS
    assert not rejects
    padded = pack(halves[0]) + pack(halves[1]) + b"\0" * 512
    if packing == "gz":
        assert rows(read(write(tmp_path / "b.jsonl.gz", padded))[0]) == ROWS
    named_wrong = read(write(tmp_path / "c.jsonl", pack("\n".join(LINES))))
    assert rows(named_wrong[0]) == ROWS


@pytest.mark.parametrize("packing", ["gz", "zst"])
def test_a_truncated_archive_keeps_what_was_read_and_says_so(tmp_path: Path, packing: str) -> None:
    rng = random.Random(1)
    many = [json.dumps({"request_id": f"r-{n}", "noise": rng.random()}) for n in range(20_000)]
    data = "\n".join(many).encode()
    packed = gzip.compress(data, mtime=0) if packing == "gz" else zstandard.compress(data)
    path = write(tmp_path / f"a.jsonl.{packing}", packed[: len(packed) * 2 // 3])
    entries, rejects = read(path)
    assert len(entries) > 5000
    assert [text for _, text in entries[:-1]] == many[: len(entries) - 1]
    assert [(r.line, r.reason) for r in rejects] == [
        (entries[-1][0] + 1, "archive is damaged (it ends in the middle); what came before was read")
    ]


def test_a_corrupt_archive_is_told_and_not_raised(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress("\n".join(LINES * 50).encode()))
    packed[len(packed) // 2] ^= 0xFF
    _, rejects = read(write(tmp_path / "a.jsonl.gz", bytes(packed)))
    assert rejects[-1].reason.startswith("archive is damaged (")


@pytest.mark.parametrize("block_bytes", [1, 300, 1 << 20])
@pytest.mark.parametrize("indent", [None, 2])
def test_a_json_array_is_its_elements(tmp_path: Path, block_bytes: int, indent: int | None) -> None:
    path = write(tmp_path / "a.json", json.dumps(ROWS, indent=indent).encode())
    entries, rejects = read(path, block_bytes=block_bytes)
    assert rows(entries) == ROWS
    assert [n for n, _ in entries] == list(range(1, 58))
    assert not rejects


def test_an_array_with_an_element_a_line_survives_a_broken_one(tmp_path: Path) -> None:
    lines = [line + "," for line in LINES]
    lines[7] = lines[7][:20]
    text = "[\n" + "\n".join(lines)[:-1] + "\n]\n"
    entries, rejects = read(write(tmp_path / "a.json", text.encode()))
    assert not rejects
    assert len(entries) == 57
    assert rows(entries[:7] + entries[8:]) == ROWS[:7] + ROWS[8:]
    glued = read(write(tmp_path / "b.json", ("[" + ",\n".join(LINES) + "]").encode()))
    assert rows(glued[0]) == ROWS


def test_a_broken_bracket_inside_an_array_costs_its_element(tmp_path: Path) -> None:
    parts = [json.dumps({"n": n, "deep": [[{"x": "]}"}]]}) for n in range(9)]
    parts[4] = '{"n": 4, "deep": [[{"x": 1}}'
    entries, _ = read(write(tmp_path / "a.json", ("[" + ", ".join(parts) + "]").encode()))
    assert [json.loads(text)["n"] for _, text in entries[:4] + entries[5:]] == [0, 1, 2, 3, 5, 6, 7, 8]
    truncated, _ = read(write(tmp_path / "b.json", ("[" + ", ".join(parts[:3]) + ', {"n": 3, "de').encode()))
    assert [text for _, text in truncated[3:]] == ['{"n": 3, "de']


def test_an_endless_element_is_dropped_with_its_length() -> None:
    long = json.dumps({"prompt": "x\\" * 3000, "list": [1] * 500})
    text = "[" + ", ".join([LINES[0], long, LINES[1]]) + "]"
    for size in (7, 100, 4096):
        entries, rejects = [], []
        chunks = [text.encode()[at : at + size] for at in range(0, len(text), size)]
        for block in elements(chunks, in_array=True, max_line=1000):
            entries += block.lines.column("text").to_pylist()
            rejects += block.rejects
        assert entries == [LINES[0], LINES[1]]
        assert [(r.line, r.reason, r.n_bytes) for r in rejects] == [
            (2, "line longer than 1000 bytes", len(long))
        ]


def test_one_object_over_many_lines(tmp_path: Path) -> None:
    pretty = json.dumps(ROWS[0], indent=4) + "\n" + json.dumps(ROWS[1], indent=4)
    assert rows(read(write(tmp_path / "a.json", pretty.encode()))[0]) == ROWS[:2]


def test_json_lines_named_json_stay_lines_when_the_first_is_broken(tmp_path: Path) -> None:
    text = "\n".join([LINES[0][:15], *LINES[1:]])
    entries, _ = read(write(tmp_path / "a.json", text.encode()))
    assert rows(entries[1:]) == ROWS[1:]


def test_csv_rows_are_json_with_their_real_lines(tmp_path: Path) -> None:
    text = 'request_id,prompt,model\nr-1,"two\nlines, ""quoted""",m\n\nr-2,,m\n'
    text += "r-3,too,many,fields\nr-4,few\nr-5,é,m"
    entries, rejects = read(write(tmp_path / "a.csv", b"\xef\xbb\xbf" + text.encode()))
    assert [(n, json.loads(t)) for n, t in entries] == [
        (2, {"request_id": "r-1", "prompt": 'two\nlines, "quoted"', "model": "m"}),
        (5, {"request_id": "r-2", "model": "m"}),
        (8, {"request_id": "r-5", "prompt": "é", "model": "m"}),
    ]
    assert [(r.line, r.reason) for r in rejects] == [
        (4, "blank line"), (6, "4 fields, the header names 3"), (7, "2 fields, the header names 3"),
    ]  # fmt: skip


def test_csv_stray_quotes_and_foreign_bytes_cost_their_rows(tmp_path: Path) -> None:
    data = b'a,b\n1,"x\n2,y\n3,\xff\n4,z\n'
    entries, rejects = read(write(tmp_path / "a.csv", data))
    assert [json.loads(t) for _, t in entries] == [{"a": "2", "b": "y"}, {"a": "4", "b": "z"}]
    assert sorted((r.line, r.reason.split(":")[0]) for r in rejects) == [
        (2, "not valid CSV"),
        (4, "not UTF-8"),
    ]


@pytest.mark.parametrize("header", [b"", b"a,a\n1,2\n", b"\n1,2\n", b'"a\x00",b\n'])
def test_csv_without_a_header_is_an_error(tmp_path: Path, header: bytes) -> None:
    with pytest.raises(LogError, match="header"):
        read(write(tmp_path / "a.csv", header), "csv")


def test_parquet_rows_are_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = pa.table(
        {
            "request_id": ["r-1", "r-2"],
            "ts": pa.array([1793527200_000000, None], pa.timestamp("us")),
            "tool_names": [["a", "b"], None],
            "keys": pa.array([[("inviter", ["x"])], None], pa.map_(pa.string(), pa.list_(pa.string()))),
            "stream": [True, None],
            "prompt": ['new\nline "q"', "é"],
        }
    )
    pq.write_table(table, path)
    entries, rejects = read(path)
    assert not rejects
    found = [{k: v for k, v in json.loads(t).items() if v is not None} for _, t in entries]
    assert found[1] == {"request_id": "r-2", "prompt": "é"}
    assert found[0]["prompt"] == 'new\nline "q"'
    assert found[0]["tool_names"] == ["a", "b"]
    assert found[0]["keys"] == {"inviter": ["x"]}
    assert found[0]["ts"].startswith("2026-11-01")


def test_a_parquet_file_cut_short_is_an_error(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": list(range(1000))}), tmp_path / "a.parquet")
    whole = (tmp_path / "a.parquet").read_bytes()
    with pytest.raises(LogError, match="not a readable Parquet file"):
        read(write(tmp_path / "b.parquet", whole[: len(whole) // 2]))


def test_file_id_is_of_the_bytes(tmp_path: Path) -> None:
    one, same, other = (
        identify(find([write(tmp_path / name, data)]).sources[0].path)[0]
        for name, data in [("a.jsonl", b'{"a":1}'), ("b.jsonl", b'{"a":1}'), ("c.jsonl", b'{"a": 1}')]
    )
    assert one == same == hashlib.sha256(b'{"a":1}').hexdigest()[:32]
    assert one != other


@pytest.mark.parametrize("seed", range(5))
def test_random_bytes_never_lose_count(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    lines = [
        bytes(rng.choice(b'{}[]",:\\ \t\xc3\xa9ab0\x00\xff\r') for _ in range(rng.randrange(0, 60)))
        for _ in range(400)
    ]
    path = write(tmp_path / "a.jsonl", b"\n".join(lines) + b"\n")
    entries, rejects = read(path, "lines", block_bytes=rng.choice([1, 100, 5000]), max_line=50)
    told = [r.line + at for r in rejects for at in range(r.n)]
    assert sorted([n for n, _ in entries] + told) == list(range(1, 401))


LONG = json.dumps({"request_id": "r-long", "prompt": "a long one [{ " * 200_000})


@pytest.mark.parametrize("before", ["", "\ufeff", "\n", " "])
@pytest.mark.parametrize("broken", [False, True])
def test_a_first_line_longer_than_a_chunk_is_a_line_as_any_other(
    tmp_path: Path, before: str, broken: bool
) -> None:
    first = LONG[:-5] if broken else LONG
    text = before + "\n".join([first, *LINES[:3], "no JSON", "{cut", *LINES[3:]]) + "\n"
    entries, rejects = read(write(tmp_path / "a.jsonl", text.encode()))
    shift = before == "\n"
    assert [n for n, _ in entries] == list(range(1 + shift, 61 + shift))
    assert [text for _, text in entries[4:6]] == ["no JSON", "{cut"]
    assert rows(entries[1:4] + entries[6:]) == ROWS
    assert [r.code for r in rejects] == ["blank"] * shift


def test_a_first_wrapper_longer_than_a_chunk_is_a_line_where_others_follow(tmp_path: Path) -> None:
    one = json.dumps({"Records": [json.loads(LONG), ROWS[0]]})
    path = write(tmp_path / "a.jsonl", "\n".join([one, one, LINES[0]]).encode())
    assert [n for n, _ in read(path)[0]] == [1, 2, 3]
    alone = write(tmp_path / "b.json", (one + "\n").encode())
    assert rows(read(alone)[0]) == [json.loads(LONG), ROWS[0]]


def test_an_array_whose_first_element_is_longer_than_a_chunk(tmp_path: Path) -> None:
    lines = [LONG, *LINES]
    cut = [*lines[:9], "{cut", *lines[9:]]
    entries, _ = read(write(tmp_path / "a.json", ("[\n" + ",\n".join(cut) + "\n]").encode()))
    assert rows(entries[:9] + entries[10:]) == [json.loads(line) for line in lines]


@pytest.mark.parametrize("text", ["[", "[[[", "]", "]]", "}]", '"[', "\\[", '\\"[', "[]", "{[("])
@pytest.mark.parametrize("closed", ["]", " ]", "\n]", "]\n", ",\n]\n"])
@pytest.mark.parametrize("opened", ["[", "[\n", "[ "])
def test_brackets_in_a_callers_text_close_no_array(
    tmp_path: Path, text: str, closed: str, opened: str
) -> None:
    given = [{"request_id": f"r-{n}", "prompt": text, "tools": ["[", text]} for n in range(3)]
    given.append({"request_id": "r-3", "list": [text]})
    for indent, between in ((None, ",\n"), (None, " , \n "), (1, ","), (0, ",\n")):
        body = between.join(json.dumps(row, indent=indent) for row in given)
        entries, rejects = read(write(tmp_path / "a.json", f"{opened}{body}{closed}".encode()))
        assert rows(entries) == given
        assert not rejects

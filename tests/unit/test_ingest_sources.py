"""What becomes of every path: read, passed over or unreadable, told by content, each with a reason."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import socket
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from detector.errors import LogError
from detector.ingest.reader import Reader
from detector.ingest.sources import Selection, Source, find

ROW = {"request_id": "r-1", "ts": "2026-11-02T09:00:00Z", "account_id": "acct-1", "model": "m-1"}
LINE = json.dumps(ROW).encode() + b"\n"
TABLE = b"request_id,ts,account_id,model\nr-1,2026-11-02T09:00:00Z,acct-1,m-1\n"
ACCESS = (
    b'[2026-11-02T09:00:00.1Z] "POST /v1/chat/completions HTTP/1.1" 200 - 154 1024 15 "203.0.113.9" "x"\n'
)
COMMON = b'192.0.2.7 - - [02/Nov/2026:09:00:00 +0000] "GET /v1/models HTTP/1.1" 200 512 "-" "curl/8"\n'


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def lz4(data: bytes) -> bytes:
    made = pa.BufferOutputStream()
    with pa.CompressedOutputStream(made, "lz4") as stream:
        stream.write(data)
    return bytes(made.getvalue().to_pybytes())


def framed(*texts: bytes) -> bytes:
    packed = [zstandard.compress(text) for text in texts]
    return b"".join(len(p).to_bytes(4, "big") + p for p in packed)


def records(source: Source) -> list[object]:
    texts = [t for block in Reader(source) for t in block.lines.column("text").to_pylist()]
    return [{k: v for k, v in json.loads(text).items() if v is not None} for text in texts]


def told(found: Selection, folder: Path) -> dict[str, tuple[str, str]]:
    return {str(s.path.relative_to(folder)): (s.status, s.reason) for s in found.skips}


@pytest.mark.parametrize(
    "name",
    ["api.jsonl", "api.jsonl.1", "api.jsonl-20261101", "api.log", "api.LOG", "access.log-20260301", "api.json.bak",
     "app-2026.txt", "noext", "api.ndjson.old", "API.JSONL", "0", "stdout", "x.unheard", "gone.jsonl.gz", "data.csv",
     "a.parquet", "requests"],
)  # fmt: skip
def test_json_lines_are_read_whatever_the_file_is_called(tmp_path: Path, name: str) -> None:
    [source] = find([write(tmp_path / name, LINE * 3)]).sources
    assert source.layout == "lines"
    assert records(source) == [ROW] * 3


@pytest.mark.parametrize(
    "name", ["t.csv", "t.csv.old", "t.CSV", "t", "t.txt", "t.tsv", "t-2026-11-02", "t.csv.1.gz"]
)
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_tables_with_a_header_are_read_whatever_the_file_is_called(
    tmp_path: Path, name: str, separator: str
) -> None:
    data = TABLE.replace(b",", separator.encode())
    [source] = find(
        [write(tmp_path / name, gzip.compress(data, mtime=0) if name.endswith("gz") else data)]
    ).sources
    assert source.layout == "csv"
    assert records(source) == [ROW]


@pytest.mark.parametrize("name", ["a.parquet", "a.parq", "a.PARQUET", "part-00000", "a.parquet.bak"])
def test_parquet_is_read_whatever_the_file_is_called(tmp_path: Path, name: str) -> None:
    pq.write_table(pa.table({k: [v] for k, v in ROW.items()}), tmp_path / name)
    [source] = find([tmp_path]).sources
    assert records(source) == [ROW]


@pytest.mark.parametrize(
    "pack",
    [gzip.compress, zstandard.compress, bz2.compress, lzma.compress, lz4, framed],
    ids=lambda f: f.__name__,
)
@pytest.mark.parametrize("name", ["a.jsonl.packed", "a", "a.jsonl.3.gz"])
def test_packed_logs_are_read_whatever_the_file_is_called(tmp_path: Path, pack: object, name: str) -> None:
    write(tmp_path / name, pack(LINE) + pack(LINE))  # type: ignore[operator]
    [source] = find([tmp_path]).sources
    assert source.packing
    assert records(source) == [ROW, ROW]


@pytest.mark.parametrize(
    "encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]
)
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_wide_text_is_decoded(tmp_path: Path, encoding: str, mark: str) -> None:
    row = ROW | {"prompt": "é 😀 \u2028"}
    text = mark + json.dumps(row, ensure_ascii=False) + "\n"
    for name, data in (("a.jsonl", text.encode(encoding)), ("b.gz", gzip.compress(text.encode(encoding)))):
        [source] = find([write(tmp_path / name, data)]).sources
        assert records(source) == [row]


def test_half_a_pair_in_wide_text_costs_that_character(tmp_path: Path) -> None:
    data = b"\xff\xfe" + '{"a": "x'.encode("utf-16-le") + b"\x3d\xd8" + 'y"}\n{"a": 1}\n'.encode("utf-16-le")
    [source] = find([write(tmp_path / "a.jsonl", data)]).sources
    assert records(source) == [{"a": "x\ufffdy"}, {"a": 1}]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("mixed.log", b"[info] starting\n" * 300 + LINE + b"warming up\n"),
        ("late.log", b"[info] starting\n" * 90_000 + LINE),
        ("hole.jsonl", b"\0" * 200_000 + LINE),
        ("cri", b"2026-11-02T09:00:00.1Z stdout F " + LINE),
        ("old-mac.jsonl", (LINE * 3).replace(b"\n", b"\r")),
        ("pretty.json", json.dumps([ROW] * 2, indent=1).encode()),
        ("wrapped.json", json.dumps({"Records": [ROW]}, indent=1).encode()),
        ("sep.csv", b"sep=;\n" + TABLE.replace(b",", b";")),
    ],
)
def test_logs_that_start_with_something_else_are_read(tmp_path: Path, name: str, data: bytes) -> None:
    found = find([write(tmp_path / name, data)])
    assert [s.path.name for s in found.sources] == [name]


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("_SUCCESS", b"", "marker"),
        ("a.jsonl.crc", b"crc\0\1", "marker"),
        ("SHA256SUMS", b"0a1b  a.jsonl\n", "marker"),
        ("t/_delta_log/0.json", b'{"commitInfo": {"timestamp": 1793610000000}}\n', "marker"),
        ("manifest.json", b'{"files": []}', "marker"),
        (".hidden.jsonl", LINE, "hidden"),
        ("empty.jsonl", b"", "empty"),
        ("empty.json.gz", gzip.compress(b"", mtime=0), "empty"),
        ("blank.jsonl", b"\n \n\n", "empty"),
        ("array.json", b"[]\n", "empty"),
        ("README.md", b"# How to\n\n```\n" + LINE + b"```\nwords\n", "text"),
        ("README", b"Example:\n" + LINE + b"and more words\n", "text"),
        ("run.py", b"#!/usr/bin/env python\nprint('x')\n" + LINE, "text"),
        ("settings.yaml", b"a: 1\nb: [2]\n", "text"),
        ("notes.txt", b"words, and more words\nand others\n", "text"),
        ("app.log", b"2026-11-02 INFO started\n2026-11-02 INFO stopped\n", "text"),
        ("logo.png", b"\x89PNG\r\n\x1a\n\0\0", "picture"),
        ("program", b"\x7fELF\2\1\1\0", "program"),
        ("blob", bytes(range(256)), "binary"),
        ("access.log", ACCESS * 3, "text access log, not JSON; see docs/formats.md"),
        ("access.jsonl", ACCESS * 3, "text access log, not JSON; see docs/formats.md"),
        ("access.log.1.gz", gzip.compress(COMMON * 3, mtime=0), "text access log"),
    ],
)
def test_what_is_no_log_is_passed_over_with_a_reason(
    tmp_path: Path, name: str, data: bytes, why: str
) -> None:
    write(tmp_path / name, data)
    write(tmp_path / "good.jsonl", LINE)
    found = find([tmp_path])
    assert [s.path.name for s in found.sources] == ["good.jsonl"]
    [(status, reason)] = told(found, tmp_path).values()
    assert status == "passed"
    assert why in reason


def zipped(path: Path) -> bytes:
    with zipfile.ZipFile(path / "made", "w") as made:
        made.writestr("a.jsonl", LINE)
    data = (path / "made").read_bytes()
    (path / "made").unlink()
    return data


def tarred(path: Path, mode: str) -> bytes:
    write(path / "in.jsonl", LINE)
    with tarfile.open(path / "made", mode) as made:  # type: ignore[call-overload]
        made.add(path / "in.jsonl")
    data: bytes = (path / "made").read_bytes()
    for name in ("made", "in.jsonl"):
        (path / name).unlink()
    return data


@pytest.mark.parametrize(
    ("name", "make", "why"),
    [
        ("a.zip", zipped, "a zip archive: unpack it"),
        ("a.jsonl", zipped, "a zip archive: unpack it"),
        ("a.tar", lambda p: tarred(p, "w"), "a tar archive: unpack it"),
        ("a.tar.gz", lambda p: tarred(p, "w:gz"), "a packed tar archive: unpack it"),
        ("a.gz", lambda _: gzip.compress(gzip.compress(LINE, mtime=0)), "packed twice"),
        ("a.parquet.gz", lambda _: gzip.compress(b"PAR1....", mtime=0), "a compressed Parquet file"),
        ("a.jsonl.gz", lambda _: b"\x1f\x8b\x08\0garbled", "archive is damaged"),
        ("a.jsonl.gz", lambda _: bytes(range(128, 200)) + b"\0\1\2\3\4\5\6\7", "named .gz but does not start"),
        ("a.jsonl.bz2", lambda _: b"BZh91AY", "archive is damaged"),
        ("a.jsonl", lambda _: b"\0\1\2\3" * 100, "named as json, but it holds binary data"),
        ("a.jsonl", lambda _: b"words\nand words\n", "named as json, but it holds neither"),
        ("a.parquet", lambda _: b"words\n", "named as parquet, but"),
        ("a.avro", lambda _: b"Obj\x01\x04\x14avro", "Avro, which is not read"),
        ("a.orc", lambda _: b"ORC\x08\x03\0\0\0\0\0", "ORC, which is not read"),
        ("a.jsonl.br", lambda _: b"\x8b\x02\x80abc\0\0\0\0", "packed as .br"),
        ("a.pb", lambda _: b"\0\0\0\x20\x0a\x1e\x0a\x00" + b"\1" * 28, "OTLP as protobuf"),
        ("a.zst", lambda _: framed(b"\x0a\x1e\x0a\x00\1\2\3"), "OTLP as protobuf"),
        ("words.txt", lambda _: "just words\n".encode("utf-16"), "UTF-16 text without JSON"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_unreadable_with_what_to_do(
    tmp_path: Path, name: str, make: object, why: str
) -> None:
    write(tmp_path / name, make(tmp_path))  # type: ignore[operator]
    write(tmp_path / "zz.jsonl", LINE)
    found = find([tmp_path / name, tmp_path])
    assert [s.path.name for s in found.sources] == ["zz.jsonl"]
    assert found.skips[0].status == "unreadable"
    assert found.skips[0].reason.startswith(why)


def test_permissions_and_links_to_nothing_are_unreadable_and_stop_nothing(tmp_path: Path) -> None:
    write(tmp_path / "good.jsonl", LINE)
    shut, folder = write(tmp_path / "shut.jsonl.gz", gzip.compress(LINE, mtime=0)), tmp_path / "inner"
    write(folder / "a.jsonl", LINE)
    os.symlink(tmp_path / "gone", tmp_path / "dangling.jsonl")
    os.symlink(tmp_path / "loop.jsonl", tmp_path / "loop.jsonl")
    shut.chmod(0)
    folder.chmod(0)
    try:
        found = find([tmp_path, tmp_path / "no-such.jsonl"])
    finally:
        folder.chmod(0o700)
    states = {s.path.name: (s.status, s.reason) for s in found.skips}
    assert states["dangling.jsonl"] == ("unreadable", "cannot be read: a link to nothing")
    assert states["loop.jsonl"][0] == states["no-such.jsonl"][0] == "unreadable"
    assert "good.jsonl" in [s.path.name for s in found.sources]
    if os.geteuid():
        assert states["shut.jsonl.gz"] == ("unreadable", "cannot be read: Permission denied")
        assert states["inner"] == ("unreadable", "folder cannot be read: Permission denied")


def test_a_slip_in_the_only_path_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="no such file or folder"):
        find([tmp_path / "typo"])


def test_special_files_never_hang(tmp_path: Path) -> None:
    write(tmp_path / "good.jsonl", LINE)
    os.mkfifo(tmp_path / "pipe.jsonl")
    os.symlink("/dev/zero", tmp_path / "zero.jsonl")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "s.sock"))
        found = find([tmp_path])
    assert {k: v[0] for k, v in told(found, tmp_path).items()} == {
        "pipe.jsonl": "passed", "zero.jsonl": "passed", "s.sock": "passed",
    }  # fmt: skip
    assert "a device" in told(found, tmp_path)["zero.jsonl"][1]
    [skip] = find([tmp_path / "pipe.jsonl"]).skips
    assert skip.status == "unreadable"
    assert "a pipe" in skip.reason


def test_folders_and_files_come_once_and_say_so(tmp_path: Path) -> None:
    write(tmp_path / "real" / "a.jsonl", LINE)
    os.symlink(tmp_path / "real", tmp_path / "link")
    os.symlink(tmp_path, tmp_path / "real" / "loop")
    os.link(tmp_path / "real" / "a.jsonl", tmp_path / "hard.jsonl")
    found = find([tmp_path, tmp_path / "real" / "a.jsonl"])
    assert len(found.sources) == 1
    assert {s.reason.split(" as ")[0] for s in found.skips} == {"the same file", "the same folder"}
    assert {s.status for s in found.skips} == {"passed"}


def test_a_deep_folder_is_no_problem(tmp_path: Path) -> None:
    here = os.getcwd()
    os.chdir(tmp_path)
    try:
        for _ in range(1100):  # deeper than Python calls functions
            os.mkdir("d")
            os.chdir("d")
        Path("a.jsonl").write_bytes(LINE)
        os.chdir(tmp_path)
        found = find([Path("d")])
    finally:
        os.chdir(here)
        subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)
    assert len(found.sources) + len(found.skips) == 1


def test_ignored_paths_are_passed_over(tmp_path: Path) -> None:
    for name in ("keep.jsonl", "debug.jsonl", "old/a.jsonl", "deep/er/b.jsonl", "deep/er/c.jsonl"):
        write(tmp_path / name, LINE)
    found = find([tmp_path], ignore=["debug*", "old", "deep/*/c.jsonl", str(tmp_path / "no" / "*")])
    assert sorted(str(s.path.relative_to(tmp_path)) for s in found.sources) == [
        "deep/er/b.jsonl",
        "keep.jsonl",
    ]
    assert told(found, tmp_path) == {
        "debug.jsonl": ("passed", "ignored (debug*)"),
        "old": ("passed", "ignored (old)"),
        "deep/er/c.jsonl": ("passed", "ignored (deep/*/c.jsonl)"),
    }
    [skip] = find([tmp_path / "debug.jsonl"], ignore=["*.jsonl"]).skips
    assert skip.reason == "ignored (*.jsonl)"


def test_no_lake_is_ever_read(tmp_path: Path) -> None:
    own, other = tmp_path / "lake", tmp_path / "archive" / "lake-2025"
    pq.write_table(pa.table({"request_id": ["r-1"]}), write(own / "data" / "requests" / "x.parquet", b""))
    for name in ("data", "journal", "staging"):
        (other / name).mkdir(parents=True)
    write(other / "data" / "a.jsonl", LINE)
    write(tmp_path / "good.jsonl", LINE)
    os.symlink(own / "data", tmp_path / "shortcut")
    os.symlink(other / "data" / "a.jsonl", tmp_path / "linked.jsonl")
    found = find([tmp_path], lake=own)
    assert [s.path.name for s in found.sources] == ["good.jsonl"]
    assert {s.path.name: s.status for s in found.skips} == {
        "lake": "passed", "lake-2025": "passed", "shortcut": "passed", "linked.jsonl": "passed",
    }  # fmt: skip
    inside = find([own / "data", other / "data" / "a.jsonl", own], lake=own)
    assert not inside.sources
    assert all(s.status == "unreadable" and "part of a lake" in s.reason for s in inside.skips)


def test_any_file_name_is_survived(tmp_path: Path) -> None:
    names = [
        b"bad-\xff.jsonl",
        b"new\nline.jsonl",
        b"esc-\x1b[31m.jsonl",
        b"quote'.jsonl",
        "é.jsonl".encode(),
    ]
    for at, name in enumerate(names):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(LINE.replace(b"r-1", b"r-%d" % at))
    found = find([tmp_path])
    assert len(found.sources) == len(names)
    assert all(source.name.encode() and records(source) for source in found.sources)
    assert sum("\ufffd" in source.name for source in found.sources) == 1
    for source in found.sources:
        source.path.unlink()
        with pytest.raises(LogError) as caught:
            list(Reader(source))
        assert str(caught.value).isprintable()


def test_bodies_that_bedrock_keeps_beside_its_log_are_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / "AWSLogs/111122223333/BedrockModelInvocationLogs/eu-west-1/2026/11/02/09"
    write(folder / "data" / "0f_input.json.gz", gzip.compress(b'{"messages": []}', mtime=0))
    write(folder / "20261102T0900_0f.json.gz", gzip.compress(LINE, mtime=0))
    write(tmp_path / "amazon-bedrock-logs-permission-check", b"")
    found = find([tmp_path])
    assert [s.path.name for s in found.sources] == ["20261102T0900_0f.json.gz"]
    assert {s.status for s in found.skips} == {"passed"}

"""Any bytes in any packing: entries and rejects account for every line, and the memory stays flat."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
import zstandard

from detector.errors import ConfigError, LogError, NotALog
from detector.ingest.detect import detect, named
from detector.ingest.ledger import identify
from detector.ingest.reader import Reader, as_log_error
from detector.ingest.sources import Source, find
from detector.ingest.splitting import BLOCK_LINES, REASONS, Reject
from detector.ingest.unpack import ByteStream, Packing

ROW = {"request_id": "r-1", "ts": "2026-11-02T09:00:00Z", "account_id": "acct-1", "model": "m-1"}
LINE = json.dumps(ROW).encode() + b"\n"


def lz4(data: bytes) -> bytes:
    made = pa.BufferOutputStream()
    with pa.CompressedOutputStream(made, "lz4") as stream:
        stream.write(data)
    return bytes(made.getvalue().to_pybytes())


PACKINGS: dict[Packing, Callable[[bytes], bytes]] = {
    "gz": gzip.compress, "zst": zstandard.compress, "bz2": bz2.compress, "xz": lzma.compress, "lz4": lz4,
}  # fmt: skip


def source(path: Path, data: bytes, packing: Packing = "", layout: str = "lines") -> Source:
    path.write_bytes(data)
    return Source(path, layout, packing, len(data))  # type: ignore[arg-type]


def accounted(found: Source, **sizes: int) -> tuple[list[int], list[Reject]]:
    numbers: list[int] = []
    rejects: list[Reject] = []
    for block in Reader(found, **sizes):
        assert block.lines.num_rows <= BLOCK_LINES
        numbers += block.lines.column("line").to_pylist()
        rejects += block.rejects
    return numbers, rejects


def any_lines(rng: random.Random) -> bytes:
    """Lines of every kind, some of them hostile."""
    kinds: list[Callable[[], bytes]] = [
        lambda: b"",
        lambda: b" \t\r",
        lambda: b"{}",
        lambda: LINE[:-1],
        lambda: b"\xef\xbb\xbf" + LINE[:-1],
        lambda: bytes(rng.randrange(256) for _ in range(rng.randrange(40))).replace(b"\n", b""),
        lambda: b"x" * rng.randrange(400),
        lambda: b"[" * rng.randrange(30),
    ]
    runs = [rng.choice(kinds)() for _ in range(rng.randrange(1, 120))]
    return b"\n".join(line for line in runs for _ in range(rng.choice([1, 1, 1, 7])))


@pytest.mark.parametrize("packing", ["", *PACKINGS])
@pytest.mark.parametrize("seed", range(12))
def test_lines_in_are_entries_and_rejects_out(tmp_path: Path, packing: Packing, seed: int) -> None:
    rng = random.Random(f"{packing}{seed}")
    data = b"words\n" + any_lines(rng)  # starts as no array, so each physical line is an entry
    packed = PACKINGS[packing](data) if packing else data
    n_lines = data.count(b"\n") + (not data.endswith(b"\n"))
    numbers, rejects = accounted(
        source(tmp_path / "a", packed, packing), block_bytes=rng.choice([1, 100, 1 << 20]), max_line=300
    )
    told = [r.line + at for r in rejects for at in range(r.n)]
    assert sorted(numbers + told) == list(range(1, n_lines + 1))
    assert all(r.reason and r.code in REASONS for r in rejects)


@pytest.mark.parametrize("seed", range(40))
def test_any_bytes_are_read_without_an_error(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    start = rng.choice(
        [
            b"[",
            b"[{",
            b"{",
            b'{"Records": [',
            b'{"a":\n',
            b"\0",
            b"\r",
            b"",
            b"2026-01-01T00:00:00Z stdout P ",
        ]
    )
    data = start + rng.choice([any_lines(rng), bytes(rng.choice(b'{}[]",:\\\n a') for _ in range(900))])
    numbers, rejects = accounted(
        source(tmp_path / "a", data), block_bytes=rng.choice([1, 50, 1 << 20]), max_line=200
    )
    assert all(n >= 1 for n in numbers)
    assert len(numbers) + sum(r.n for r in rejects) <= data.count(b"\n") + data.count(b"\r") + len(data) + 1


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("seed", range(12))
def test_damage_keeps_what_came_before_it(tmp_path: Path, packing: Packing, seed: int) -> None:
    rng = random.Random(f"{packing}{seed}")
    data = b"".join(b'{"n": %d, "x": %d}\n' % (n, rng.getrandbits(64)) for n in range(20_000))
    packed = PACKINGS[packing](data)
    cut = packed[: rng.randrange(len(packed) // 2, len(packed) - 20)]
    stream = ByteStream(source(tmp_path / "a", cut, packing).path, packing)
    out = b"".join(stream)
    assert stream.damage
    assert data.startswith(out)
    # bzip2 and lz4 give out whole blocks alone, and this file is hardly more than one.
    assert packing in ("bz2", "lz4") or len(out) > len(data) // 4
    garbled = bytearray(packed)
    for at in range(len(packed) // 2, len(packed) // 2 + 40):
        garbled[at] ^= rng.randrange(1, 256)
    found = Reader(source(tmp_path / "b", bytes(garbled), packing))
    rejects = [r for block in found for r in block.rejects]
    assert packing == "lz4" or found.damage  # lz4 has no checksum of its blocks by default
    assert [r.code for r in rejects if r.code == "damaged"] == (["damaged"] if found.damage else [])


def test_a_member_that_fails_its_checksum_gives_up_nothing_before_it(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(LINE * 9, mtime=0))
    packed[-7] ^= 1
    stream = ByteStream(source(tmp_path / "a.gz", bytes(packed), "gz").path, "gz")
    assert b"".join(stream) == LINE * 9
    assert stream.damage


def test_a_wrapped_list_larger_than_any_line_is_read_as_a_stream(tmp_path: Path) -> None:
    rows = [ROW | {"request_id": f"r-{n}", "prompt": "x" * 500} for n in range(5000)]
    for name, indent in (("a.json", None), ("b.json", 1)):
        text = json.dumps(
            {"nextToken": 'x,"y', "total": 5000, "events": rows, "searched": [{"a": 1}], "meta": {}},
            indent=indent,
        )
        [found] = find([source(tmp_path / name, text.encode()).path]).sources
        texts = [t for b in Reader(found, max_line=4000) for t in b.lines.column("text").to_pylist()]
        assert [json.loads(text) for text in texts] == rows


def test_the_head_is_a_look_that_takes_nothing_away(tmp_path: Path) -> None:
    found = source(tmp_path / "a", b"\n" * 200_000 + LINE * 3)
    reader = Reader(found)
    head = reader.head()
    assert head[-1].lines.num_rows
    assert sum(len(b.rejects) for b in head) <= len(head)
    blocks = list(reader)
    assert blocks[: len(head)] == head
    assert sum(b.lines.num_rows for b in blocks) == 3
    assert sum(r.n for b in blocks for r in b.rejects) == 200_000
    assert list(reader) == []


def form_of(path: Path, data: bytes, forced: str = "auto") -> str:
    return detect(path, Reader(source(path, data)).head(), named(forced))[0].name


def test_the_format_is_a_vote_of_what_can_be_read(tmp_path: Path) -> None:
    bedrock = b'{"schemaType": "ModelInvocationLog", "requestId": "b", "modelId": "m", "timestamp": "t"}\n'
    wrapped = json.dumps({"Records": [{"message": bedrock.decode(), "timestamp": 1}] * 9}).encode() + b"\n"
    junk = b"[2026-11-02 09:00:00.000][1][info][main] starting\n"
    assert form_of(tmp_path / "a", junk * 2000 + LINE + junk) == "native"
    assert form_of(tmp_path / "b", LINE + wrapped) == "bedrock"
    assert form_of(tmp_path / "c", b"2026-11-02T09:00:00Z stdout F " + bedrock) == "bedrock"
    assert form_of(tmp_path / "d", b'{"Records": []}\n') == "native"
    callers = json.dumps(ROW | {"message": bedrock.decode(), "time": "t"}).encode() + b"\n"
    assert form_of(tmp_path / "e", callers * 5) == "native"
    with pytest.raises(ConfigError):
        named("elf")


def test_data_without_a_time_is_no_log_and_a_log_of_no_known_format_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(NotALog, match="none has a time"):
        form_of(tmp_path / "a", b'{"hello": "world"}\n')
    for unknown in (
        b'{"time": "2026-11-02T09:00:00Z", "x": 1}',
        b'{"log": {"ts": 1793610000}}',
        b'{"a_at": "1793610000000"}',
    ):
        with pytest.raises(LogError, match="cannot tell") as caught:
            form_of(tmp_path / "b", unknown + b"\n")
        assert not isinstance(caught.value, NotALog)


def test_a_panic_or_lack_of_memory_in_a_library_is_an_error_of_its_file(tmp_path: Path) -> None:
    class PanicException(BaseException):
        pass

    found = source(tmp_path / "a", LINE)
    for error in (PanicException("not implemented"), MemoryError(), RecursionError(), OSError("bad block")):
        with pytest.raises(LogError, match="cannot be read"), as_log_error(found):
            raise error
    with pytest.raises(KeyboardInterrupt), as_log_error(found):
        raise KeyboardInterrupt


def test_a_file_that_changes_its_kind_between_the_look_and_the_reading_is_told(tmp_path: Path) -> None:
    found = source(tmp_path / "a", LINE)
    found.path.unlink()
    with pytest.raises(LogError, match="No such file"):
        identify(found.path)
    os.mkfifo(found.path)
    with pytest.raises(LogError, match="not a regular file"):
        identify(found.path)
    with pytest.raises(LogError, match="not a regular file"):
        list(Reader(found))


HOSTILE: dict[str, bytes] = {
    "newlines.jsonl.gz": gzip.compress(b"\n" * (24 << 20), 1),
    "words.jsonl": LINE + b"x\n" * (1 << 20),
    "objects.jsonl": LINE + b"{}\n" * (1 << 20),
    "blanks.jsonl": LINE + b" \n" * (2 << 20),
    "foreign.jsonl": LINE + b"\xff\n" * (1 << 18),
    "elements.json": b"[" + LINE + b",{}" * (1 << 18) + b"]",
    "open.json": b'{"a": ' + b"[" * (2 << 20),
    "long.jsonl": LINE + b'{"a": "' + b"y" * (40 << 20) + b'"}\n',
    "zeros.jsonl.xz": lzma.compress(LINE + b"\0" * (32 << 20), preset=0),
}  # fmt: skip
PEAK = """
import resource, sys
from detector.ingest.reader import Reader
from detector.ingest.sources import find
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for source in find(sys.argv[1:]).sources:
    for block in Reader(source):
        block.lines, block.rejects
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.parametrize("name", HOSTILE)
def test_the_memory_stays_flat_whatever_a_file_holds(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(HOSTILE[name])
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(tmp_path / name)], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 300  # MB; the longest line of these is 40 MB

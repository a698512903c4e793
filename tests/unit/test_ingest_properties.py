"""Properties that hold of any input: packing, cutting into pieces and spelling change nothing."""

from __future__ import annotations

import bz2
import gzip
import ipaddress
import lzma
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import polars as pl
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.ingest.address import addresses, forwarded
from detector.ingest.splitting import lines
from detector.ingest.unpack import ByteStream

PACK: dict[str, Callable[[bytes], bytes]] = {
    "": lambda data: data,
    "gz": gzip.compress,
    "zst": lambda data: zstandard.ZstdCompressor(level=1).compress(data),
    "bz2": bz2.compress,
    "xz": lzma.compress,
}
LINE = st.one_of(
    st.binary(max_size=40).map(lambda b: b.replace(b"\n", b"")),
    st.sampled_from([b"", b"{}", b'{"a": "[{"}', b"\xff", b"  ", b"\r", b'{"b": 1}\r', b"x" * 200]),
)
#: No example may depend on the machine's pace, and a failing one must fail for everybody.
FIXED = settings(max_examples=150, deadline=None, derandomize=True)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    at = [0, *sorted(min(place, len(data)) for place in places), len(data)]
    return [data[low:high] for low, high in pairwise(at) if low < high]


def read(pieces: list[bytes], block_bytes: int) -> tuple[list[tuple[int, str]], set[tuple[int, str, int]]]:
    """Lines without white space around them, and rejects a line each, since a block may cut a run of blank lines."""
    kept: list[tuple[int, str]] = []
    rejects: set[tuple[int, str, int]] = set()
    for block in lines(pieces, block_bytes=block_bytes, max_line=100):
        numbers, texts = (block.lines.column(name).to_pylist() for name in ("line", "text"))
        kept += ((n, text.strip()) for n, text in zip(numbers, texts, strict=True))
        rejects |= {
            (r.line + n, r.code, r.n_bytes if r.n == 1 else 0) for r in block.rejects for n in range(r.n)
        }
    return kept, {(line, code, 0 if code == "blank" else size) for line, code, size in rejects}


@FIXED
@given(
    st.lists(LINE, max_size=30),
    st.booleans(),
    st.lists(st.integers(0, 3000), max_size=8),
    st.integers(1, 400),
)
def test_lines_are_the_same_however_a_file_comes_in_pieces(
    each: list[bytes], ends: bool, places: list[int], block_bytes: int
) -> None:
    data = b"\n".join(each) + (b"\n" if ends else b"")
    whole = read([data] if data else [], 1 << 20)
    # The first piece of a file is a megabyte, and holds a byte order mark whole.
    assert read(cut(data, [max(place, 4) for place in places]), block_bytes) == whole
    text = data.removeprefix(b"\xef\xbb\xbf").lstrip(b"\0")
    n_lines = text.count(b"\n") + (not text.endswith(b"\n")) if text else 0
    assert sorted([n for n, _ in whole[0]] + [n for n, _, _ in whole[1]]) == list(range(1, n_lines + 1))


@FIXED
@given(st.binary(max_size=4000), st.sampled_from(sorted(PACK)), st.lists(st.integers(0, 4000), max_size=3))
def test_what_is_packed_comes_out_whatever_packed_it(data: bytes, packing: str, places: list[int]) -> None:
    """Also in several members, one after the other, as rotated and appended logs are."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        path.write_bytes(b"".join(map(PACK[packing], cut(data, places))))
        stream = ByteStream(path, packing)  # type: ignore[arg-type]
        assert b"".join(stream) == data
        assert stream.damage is None


@FIXED
@given(
    st.binary(min_size=1, max_size=2000), st.sampled_from(["gz", "zst", "bz2", "xz"]), st.integers(1, 1 << 16)
)
def test_what_is_cut_off_is_said(data: bytes, packing: str, place: int) -> None:
    packed = PACK[packing](data)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        path.write_bytes(packed[: 1 + place % (len(packed) - 1)])
        stream = ByteStream(path, packing)  # type: ignore[arg-type]
        assert data.startswith(b"".join(stream))
        assert stream.damage


def spellings(ip: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> list[str]:
    if isinstance(ip, ipaddress.IPv4Address):
        return [str(ip), f"{ip}:{port}", f"::ffff:{ip}", f"[::ffff:{ip}]:{port}", f" {ip} "]
    return [str(ip), ip.exploded, str(ip).upper(), f"[{ip}]", f"[{ip}]:{port}", f"{ip}%eth0"]


@FIXED
@given(st.ip_addresses(), st.integers(1, 65_535))
def test_an_address_is_one_however_it_is_spelt(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int
) -> None:
    found = addresses(pl.Series(spellings(ip, port)))
    assert found["ip"].n_unique() == found["prefix"].n_unique() == 1
    if found["ip"][0] is not None:
        same = ipaddress.ip_address(found["ip"][0])
        assert same in (ip, getattr(ip, "ipv4_mapped", None))
        assert same in ipaddress.ip_network(found["prefix"][0])


@FIXED
@given(st.lists(st.text(max_size=30), max_size=20))
def test_no_text_is_too_odd_for_an_address(each: list[str]) -> None:
    found = addresses(pl.Series(each, dtype=pl.String))
    assert found.height == len(each)
    assert (found["ip"].is_null() == found["prefix"].is_null()).all()


@FIXED
@given(
    st.lists(st.ip_addresses(v=4).map(str), min_size=1, max_size=6), st.text(max_size=20), st.integers(0, 8)
)
def test_a_client_chooses_no_address_behind_trusted_proxies(
    hops: list[str], forged: str, trusted: int
) -> None:
    """What a client writes at the list's start changes nothing while the proxies' own entries are there."""
    trusted = min(trusted, len(hops) - 1)
    plain, longer = ", ".join(hops), ", ".join([forged, *hops])
    assert forwarded(longer, trusted) == forwarded(plain, trusted) == hops[len(hops) - 1 - trusted]

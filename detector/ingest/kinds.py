"""Tells from its content what a file is: a log and how to read it, no log, or a log that cannot be read.

Names only break ties. A rotated, renamed or oddly named log is a log; a README with a JSON example is none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

from detector.ingest import containers, tabular
from detector.ingest.envelopes import loads
from detector.ingest.formats import formats
from detector.ingest.magic import BINARY, FOREIGN, PACKINGS, Refusal
from detector.ingest.unpack import MAX_FRAME, ByteStream, Packing, opened

Layout = Literal["lines", "csv", "parquet"]
Status = Literal["passed", "unreadable"]

#: Bytes looked at, and how many when the first do not decide.
_HEAD, _MORE = 1 << 16, 1 << 20
#: Most lines looked at: one half is the first, the other the last.
_SAMPLE = 400
_DOCS = "see docs/formats.md"
_PARTS = re.compile(r"[.\-_]")
_ROTATED = re.compile(
    r"\d+|\d+[tT]\d+.*|bak|backup|old|orig|save|saved|prev|copy|done|tmp|part|gz|gzip|zst|zstd|bz2|xz|lz4",
    re.I,
)
_NAMES = {
    "json": "json", "jsonl": "json", "ndjson": "json", "jsonlines": "json", "jl": "json", "csv": "csv",
    "tsv": "csv", "psv": "csv", "tab": "csv", "parquet": "parquet", "parq": "parquet", "pq": "parquet",
    "log": "log", "logs": "log", "out": "log", "err": "log", "stdout": "log", "stderr": "log",
}  # fmt: skip
#: Names of files that people write: a line of JSON in such a file is an example.
_WRITTEN = re.compile(
    r"(readme|license|licence|changelog|notice|authors|makefile|dockerfile|contributing|security)(\.txt)?|.*\.("
    r"md|rst|adoc|html?|xml|ya?ml|toml|ini|cfg|conf|py|ipynb|js|mjs|ts|tsx|jsx|go|rs|java|kt|c|h|cc|cpp|hpp|cs|rb"
    r"|php|pl|sh|bash|zsh|ps1|sql|css|scss|svg|tf|lua|r|jl\.md|tex|bib|diff|patch|service|timer)",
    re.I,
)
_JSON_START = re.compile(rb"\{\s*(\"|$)|\[\s*(\{|\"\{|\"\\|$)")
_NOTHING = (b"", b"{}", b"[]", b"null")
_REQUEST = re.compile(
    rb'"(GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS|CONNECT|TRACE|PRI|-)? ?[^" ]* ?(HTTP/[\d.]+)?" \d{3} '
)
_TEXT_CONTROL = frozenset(b"\t\n\r\x0b\x0c\x08\x1b\x1e")


@dataclass(frozen=True)
class Kind:
    """How to read a log."""

    layout: Layout
    packing: Packing = ""
    encoding: str = ""


def kind_of(path: Path, n_bytes: int) -> Kind | Refusal:
    """How to read ``path``, or why it is not read.

    Raises
    ------
    OSError : the file cannot be opened or read.
    """
    if not n_bytes:
        return Refusal("passed", "empty")
    with opened(path) as handle:
        first = handle.read(1 << 10)
    if refusal := _foreign(first, path):
        return refusal
    if first.startswith(b"PAR1"):
        return Kind("parquet")
    if first[:1] == b"\0" and first[4:5] == b"\x0a" and 0 < int.from_bytes(first[:4], "big") <= n_bytes - 4:
        return Refusal("unreadable", _PROTOBUF)
    packing = _packing(first, n_bytes)
    head, damage = _read(path, packing, _HEAD)
    if packing and not head.strip(b"\0"):
        return (
            Refusal("unreadable", f"archive is damaged ({damage})") if damage else Refusal("passed", "empty")
        )
    if packing and (refusal := _inside(head, packing)):
        return refusal
    encoding = _encoding(head)
    kind = _judge(path, n_bytes, packing, encoding, head, whole=len(head) < _HEAD)
    if isinstance(kind, Refusal) and len(head) >= _HEAD:
        head, _ = _read(path, packing, _MORE)
        kind = _judge(path, n_bytes, packing, encoding, head, whole=len(head) < _MORE)
    return kind


def named(name: str) -> str:
    """What a name promises without its packing and rotation: ``json``, ``csv``, ``parquet``, ``log`` or nothing."""
    for part in reversed(_PARTS.split(name.lower())[1:]):
        if part in _NAMES:
            return _NAMES[part]
        if part and not _ROTATED.fullmatch(part):
            return ""
    return ""


def _foreign(first: bytes, path: Path) -> Refusal | None:
    """Why a file can be no log by its first bytes, or for some packings by its name; None if it may be one."""
    for magic, refusal in FOREIGN:
        if first.startswith(magic):
            return refusal if refusal.status == "passed" else _office(path) or refusal
    if first[257:262] == b"ustar":
        return Refusal("unreadable", "a tar archive: unpack it (tar xf FILE -C FOLDER) and give the folder")
    suffix = path.suffix.lower()
    if suffix in (".br", ".sz", ".snappy", ".lzo") and not _JSON_START.match(first.lstrip()):
        return Refusal("unreadable", f"packed as {suffix}, which is not read: unpack it first")
    return None


def _office(path: Path) -> Refusal | None:
    if path.suffix.lower() in (".zip", ""):
        return None
    suffixes = (
        ".docx",
        ".xlsx",
        ".pptx",
        ".odt",
        ".ods",
        ".jar",
        ".war",
        ".whl",
        ".apk",
        ".epub",
        ".npz",
        ".egg",
    )
    return Refusal("passed", f"no log ({path.suffix.lower()})") if path.suffix.lower() in suffixes else None


def _packing(first: bytes, n_bytes: int) -> Packing:
    for magic, packing in PACKINGS:
        if first.startswith(magic):
            return packing
    size = int.from_bytes(first[:4], "big")
    if first[4:8] == b"\x28\xb5\x2f\xfd" and 0 < size <= min(MAX_FRAME, n_bytes):
        return "frames"
    return ""


def _read(path: Path, packing: Packing, size: int) -> tuple[bytes, str | None]:
    stream = ByteStream(path, packing)
    head = b""
    for chunk in stream:
        head += chunk
        if len(head) >= size:
            break
    return head[:size], stream.damage


def _inside(head: bytes, packing: Packing) -> Refusal | None:
    """Why the content of a packed file is not read; None if it may be a log."""
    if head.startswith(b"PAR1"):
        return Refusal(
            "unreadable", "a compressed Parquet file (Parquet compresses by itself): unpack it first"
        )
    if head[257:262] == b"ustar":
        return Refusal(
            "unreadable", "a packed tar archive: unpack it (tar xf FILE -C FOLDER) and give the folder"
        )
    for magic, inner in PACKINGS:
        if head.startswith(magic):
            return Refusal("unreadable", f"packed twice ({packing}, then {inner}): unpack it once")
    if packing == "frames" and not head.lstrip().startswith((b"{", b"[")):
        return Refusal("unreadable", _PROTOBUF)
    return None


_PROTOBUF = "OTLP as protobuf, which is not read: set format: json in the Collector's file exporter"


def _encoding(head: bytes) -> str:
    """UTF-16 or UTF-32, by the byte order mark or by the zero bytes of the first ASCII characters; else empty."""
    for mark, name in (
        (b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"),
    ):  # fmt: skip
        if head.startswith(mark):
            return name
    zeros = bytes(byte != 0 for byte in head[:8])
    shapes = {
        b"\1\0\1\0\1\0\1\0": "utf-16-le", b"\0\1\0\1\0\1\0\1": "utf-16-be",
        b"\1\0\0\0\1\0\0\0": "utf-32-le", b"\0\0\0\1\0\0\0\1": "utf-32-be",
    }  # fmt: skip
    return shapes.get(zeros, "")


def _judge(
    path: Path, n_bytes: int, packing: Packing, encoding: str, head: bytes, *, whole: bool
) -> Kind | Refusal:
    text = head.decode(encoding, "replace").encode("utf-8", "replace") if encoding else head
    text = (
        text.removeprefix(b"\xef\xbb\xbf").strip(b"\0")
        if not encoding
        else text.removeprefix(b"\xef\xbb\xbf")
    )
    start, promise = text.lstrip(), named(path.name)
    if whole and start.rstrip() in _NOTHING and (text or encoding):
        return Refusal("passed", "empty: it holds no entry")
    lines = _lines(text, whole=whole)
    if not packing and not encoding and not whole:
        lines += _tail(path, n_bytes)
    n_json = sum(_is_json(line) for line in lines)
    if _WRITTEN.fullmatch(path.name) or start.startswith((b"#!", b"<!", b"<?", b"<html")):
        is_log = n_json * 2 > len(lines)
    elif promise:
        is_log = n_json > 0 or bool(_JSON_START.match(start))
    else:
        is_log = n_json * 5 >= len(lines) > 0 or bool(_JSON_START.match(start))
    if is_log or (not start and not whole and promise):
        return Kind("lines", packing, encoding)
    if _is_binary(text):
        return _binary(path, packing, text, promise)
    if promise == "csv" or (not _WRITTEN.fullmatch(path.name) and _is_csv(text, whole=whole)):
        return Kind("csv", packing, encoding)
    if _is_access_log(lines):
        return Refusal("passed", f"text access log, not JSON; {_DOCS}")
    if promise in ("json", "parquet"):
        return Refusal("unreadable", f"named as {promise}, but it holds neither JSON lines nor a JSON array")
    if encoding:
        return Refusal("unreadable", f"{encoding.upper()[:6]} text without JSON or a CSV header in it")
    return Refusal("passed", f"text, no log in JSON or CSV; {_DOCS}")


def _binary(path: Path, packing: Packing, text: bytes, promise: str) -> Refusal:
    suffix = path.suffix.lower().lstrip(".")
    if (
        not packing
        and _ROTATED.fullmatch(suffix)
        and suffix in ("gz", "gzip", "zst", "zstd", "bz2", "xz", "lz4")
    ):
        return Refusal("unreadable", f"named .{suffix} but does not start as such a file")
    for magic, refusal in BINARY:
        if text.startswith(magic):
            return refusal
    if promise:
        return Refusal("unreadable", f"named as {promise}, but it holds binary data of an unknown kind")
    return Refusal("passed", "binary data, no log")


def _lines(text: bytes, *, whole: bool) -> list[bytes]:
    """The first and the last lines that are not blank, without one that is cut off."""
    cut = text.replace(b"\r", b"\n") if b"\n" not in text else text
    lines = [line for line in cut.split(b"\n") if line.strip()]
    if not whole and len(lines) > 1:
        lines.pop()
    half = _SAMPLE // 2
    return lines if len(lines) <= _SAMPLE else lines[:half] + lines[-half:]


def _tail(path: Path, n_bytes: int) -> list[bytes]:
    with opened(path) as handle:
        handle.seek(max(n_bytes - _HEAD, 0))
        lines = handle.read(_HEAD).split(b"\n")[1:]
    return [line for line in lines[-_SAMPLE // 4 :] if line.strip()]


def _is_json(line: bytes) -> bool:
    try:
        value = loads(line)
    except ValueError:
        return containers.opens_object(line)
    return isinstance(value, dict | list) and bool(value)


def _is_binary(text: bytes) -> bool:
    sample = text[:4096]
    n_odd = sum(byte < 32 and byte not in _TEXT_CONTROL for byte in sample)
    return not sample or n_odd * 20 > len(sample)


def _is_csv(text: bytes, *, whole: bool) -> bool:
    """Whether ``text`` is a table with a header, and one of the formats knows its rows."""
    rows = tabular.sample(text if whole else text[: text.rfind(b"\n") + 1])
    return any(f.sniff(row) for row in islice(rows, 5) for f in formats().values())


def _is_access_log(lines: list[bytes]) -> bool:
    return bool(lines) and 3 * sum(bool(_REQUEST.search(line[:4096])) for line in lines) >= len(lines)

"""Takes off the wrapper that a container runtime puts around lines, and joins the pieces it cut them into.

    2026-03-01T00:00:00.0Z stdout P {"request_id": ...            CRI (containerd, CRI-O): P goes on, F ends
    {"log": "{\"request_id\": ...\n", "stream": "stdout", ...}      docker: what ends in no newline goes on

Both runtimes cut a line every 16 KiB, and one long prompt is longer. A record of several physical lines is one
entry with the number of the first line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import orjson

from detector.ingest.splitting import Block, Reject, block_of_list

Style = Literal["cri", "docker"]

_CRI = re.compile(rb"\d{4}-\d\d-\d\dT[\d:.,]+(?:Z|[+-]\d\d:\d\d) (stdout|stderr) ([FP])(?::\S*)?(?: |$)")
_DOCKER = {"log", "stream", "time", "attrs"}


def style_of(lines: Sequence[bytes]) -> Style | None:
    """The runtime that wrote most of ``lines``; None when none did."""
    filled = [line for line in lines if line.strip()]
    if not filled:
        return None
    if 2 * sum(bool(_CRI.match(line)) for line in filled) > len(filled):
        return "cri"
    if 2 * sum(_docker(line) is not None for line in filled) > len(filled):
        return "docker"
    return None


def opens_object(line: bytes) -> bool:
    """Whether a CRI line begins with an object, complete or cut off: every record of a log may be that long."""
    match = _CRI.match(line)
    return match is not None and line[match.end() :].startswith(b"{")


@dataclass
class _Open:
    """A record not yet ended. Beyond the limit only its length is kept."""

    line: int
    parts: list[bytes] = field(default_factory=list)
    size: int = 0


def joined(blocks: Iterable[Block], style: Style, max_line: int) -> Iterator[Block]:
    """Blocks without the runtime's wrapper. Lines that have none pass unchanged."""
    waiting: dict[bytes, _Open] = {}

    def end(stream: bytes) -> None:
        record = waiting.pop(stream)
        text = b"".join(record.parts).strip()
        if record.size > max_line:
            rejects.append(Reject(record.line, "too_long", str(max_line), n_bytes=record.size))
        elif not text:
            rejects.append(Reject(record.line, "blank", n_bytes=record.size))
        else:
            entries.append((record.line, text))

    entries: list[tuple[int, bytes]] = []
    rejects: list[Reject] = []
    unwrap = _cri if style == "cri" else _docker
    for block in blocks:
        entries, rejects = [], list(block.rejects)
        lines = block.lines
        for number, text in zip(
            lines.column("line").to_pylist(), lines.column("text").to_pylist(), strict=True
        ):
            raw = text.encode().rstrip(b"\r\n")
            piece = unwrap(raw)
            if piece is None:
                entries.append((number, raw))
                continue
            stream, payload, goes_on = piece
            record = waiting.setdefault(stream, _Open(number))
            record.size += len(payload)
            if record.size <= max_line:
                record.parts.append(payload)
            else:
                record.parts.clear()
            if not goes_on:
                end(stream)
        yield block_of_list(entries, rejects)
    if waiting:
        entries, rejects = [], []
        for stream in list(waiting):
            end(stream)
        yield block_of_list(entries, rejects)


def _cri(line: bytes) -> tuple[bytes, bytes, bool] | None:
    """Stream, content, and whether the record goes on in the stream's next line."""
    match = _CRI.match(line)
    return (match[1], line[match.end() :], match[2] == b"P") if match else None


def _docker(line: bytes) -> tuple[bytes, bytes, bool] | None:
    if not line.lstrip().startswith(b"{") or b'"log"' not in line:
        return None
    try:
        wrapper = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(wrapper, dict) or not _DOCKER.issuperset(wrapper) or "stream" not in wrapper:
        return None
    log = wrapper.get("log")
    if not isinstance(log, str) or wrapper["stream"] not in ("stdout", "stderr"):
        return None
    return wrapper["stream"].encode(), log.encode(), not log.endswith("\n")

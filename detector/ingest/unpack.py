"""Bytes of a file, unpacked as a stream: many members or frames, damage at the end kept apart.

What could be unpacked before the damage is used; the damage is told, never raised.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import zstandard

from detector.ingest.sources import Packing

_PLAIN_CHUNK = 1 << 20
#: Packed bytes fed at a time. A packed byte can hold 1,032 bytes (gzip) or some 32 KiB (zstd), so small
#: bites keep a decompression bomb from filling the memory.
_PACKED_CHUNK = {"gz": 1 << 15, "zst": 1 << 12}


class _Inflater(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


def _gzip() -> _Inflater:
    return zlib.decompressobj(wbits=31)


def _zstd() -> _Inflater:
    made: _Inflater = zstandard.ZstdDecompressor().decompressobj()
    return made


class ByteStream:
    """Chunks of a file's content. ``damage`` says what was wrong with the packing, once read."""

    def __init__(self, path: Path, packing: Packing) -> None:
        self.path = path
        self.packing = packing
        self.n_read = 0
        self.damage: str | None = None

    def __iter__(self) -> Iterator[bytes]:
        with self.path.open("rb") as handle:
            if not self.packing:
                while chunk := handle.read(_PLAIN_CHUNK):
                    self.n_read += len(chunk)
                    yield chunk
                return
            size = _PACKED_CHUNK[self.packing]

            def take() -> bytes:
                packed = handle.read(size)
                self.n_read += len(packed)
                return packed

            held: list[bytes] = []
            n_held = 0
            for out in self._unpack(take):
                held.append(out)
                n_held += len(out)
                if n_held >= _PLAIN_CHUNK:
                    yield b"".join(held)
                    held, n_held = [], 0
            if held:
                yield b"".join(held)

    def _unpack(self, take: Callable[[], bytes]) -> Iterator[bytes]:
        make = _gzip if self.packing == "gz" else _zstd
        inflater, started, n_members, data = make(), False, 0, b""
        while data or (data := take()):
            if not started and n_members:
                data = data.lstrip(b"\0")  # padding between or after members (tape blocks)
                if not data:
                    continue
            started = True
            try:
                out = inflater.decompress(data)
            except (zlib.error, zstandard.ZstdError) as error:
                self.damage = _plain(str(error))
                return
            data = b""
            if inflater.eof:
                data, started, n_members, inflater = inflater.unused_data, False, n_members + 1, make()
            if out:
                yield out
        if started:
            self.damage = "it ends in the middle"


def _plain(text: str) -> str:
    return " ".join(text.split())[:100]

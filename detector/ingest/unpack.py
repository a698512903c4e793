"""Bytes of a file, unpacked and decoded to UTF-8 as a stream. Damage is recorded and never raised.

Several members or frames are read one after the other. Bytes before the damage are used.
"""

from __future__ import annotations

import bz2
import codecs
import lzma
import os
import re
import stat
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Literal

import pyarrow as pa
import zstandard

#: ``frames``: zstd frames, each behind its length in four bytes, as the OpenTelemetry Collector writes.
Packing = Literal["", "gz", "zst", "bz2", "xz", "lz4", "frames"]

_CHUNK = 1 << 20
#: Packed bytes that are fed at a time. One packed byte can become 1,032 bytes (gzip) or 32 KiB (zstd), so small
#: bites keep a decompression bomb from filling the memory. bzip2 and xz bound their output themselves.
_BITE: dict[str, int] = {"gz": 1 << 15, "zst": 1 << 10, "bz2": 1 << 15, "xz": 1 << 15}
#: Most memory for the dictionary of an xz stream (bytes); ``xz -9`` needs 65 MiB.
_XZ_MEMORY = 256 << 20
#: Most packed bytes of one frame of the Collector.
MAX_FRAME = 64 << 20
_SURROGATES = re.compile("[\ud800-\udfff]")  # as Python spells bytes of a name that are no UTF-8
_ERRORS = (zlib.error, zstandard.ZstdError, lzma.LZMAError, OSError, EOFError, ValueError, MemoryError)


def text_of(path: Path | str) -> str:
    """A path as text that can be stored and sent: bytes that are not UTF-8 become U+FFFD."""
    return _SURROGATES.sub("\ufffd", str(path))


def shown(text: Path | str) -> str:
    """A path or a library's words for a message: one line without characters that steer a terminal."""
    plain = text_of(text)
    return "".join(c if c.isprintable() else "\ufffd" for c in plain)


def opened(path: Path) -> IO[bytes]:
    """``path`` for reading.

    Raises
    ------
    OSError : not readable, or no regular file. A pipe in the file's place does not block.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(None, "not a regular file", str(path))
    return os.fdopen(handle, "rb")


class _Inflater:
    """One member of a packed file."""

    def __init__(self, inflater: Any) -> None:
        self._inflater = inflater

    @property
    def eof(self) -> bool:
        return bool(self._inflater.eof)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._inflater.unused_data)

    def feed(self, data: bytes) -> Iterator[bytes]:
        yield self._inflater.decompress(data)


class _Gzip(_Inflater):
    """gzip: on damage, the bytes before it are given out first."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        before = self._inflater.copy()
        try:
            out = self._inflater.decompress(data, _CHUNK)
        except zlib.error:
            self._inflater = before
            for at in range(len(data)):
                yield self._inflater.decompress(data[at : at + 1])
            return
        yield out
        while rest := self._inflater.unconsumed_tail:
            yield self._inflater.decompress(rest, _CHUNK)


class _Bounded(_Inflater):
    """bzip2 and xz: output comes in pieces of bounded size."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        yield self._inflater.decompress(data, _CHUNK)
        while not self._inflater.eof and not self._inflater.needs_input:
            yield self._inflater.decompress(b"", _CHUNK)


def _zstd() -> _Inflater:
    return _Inflater(zstandard.ZstdDecompressor().decompressobj())


_INFLATERS: dict[str, Callable[[], _Inflater]] = {
    "gz": lambda: _Gzip(zlib.decompressobj(wbits=31)),
    "zst": _zstd,
    "bz2": lambda: _Bounded(bz2.BZ2Decompressor()),
    "xz": lambda: _Bounded(lzma.LZMADecompressor(memlimit=_XZ_MEMORY)),
}


class ByteStream:
    """Chunks of a file's content as UTF-8. ``damage`` says what is wrong with the packing, once the file was read."""

    def __init__(self, path: Path, packing: Packing = "", encoding: str = "") -> None:
        self.path = path
        self.packing = packing
        self.encoding = encoding
        self.n_read = 0
        self.damage: str | None = None

    def __iter__(self) -> Iterator[bytes]:
        pieces = self._gathered()
        return self._decoded(pieces) if self.encoding else pieces

    def _decoded(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """UTF-16 or UTF-32 as UTF-8. Invalid bytes, such as half a surrogate pair, become U+FFFD."""
        decoder = codecs.getincrementaldecoder(self.encoding)(errors="replace")
        for piece in pieces:
            if text := decoder.decode(piece):
                yield text.encode("utf-8", "replace")
        if text := decoder.decode(b"", final=True):
            yield text.encode("utf-8", "replace")

    def _gathered(self) -> Iterator[bytes]:
        """Pieces of about a megabyte."""
        pieces: list[bytes] = []
        n_bytes = 0
        with opened(self.path) as handle:
            for out in self._pieces(handle):
                pieces.append(out)
                n_bytes += len(out)
                if n_bytes >= _CHUNK:
                    yield b"".join(pieces)
                    pieces, n_bytes = [], 0
        if pieces:
            yield b"".join(pieces)

    def _pieces(self, handle: IO[bytes]) -> Iterator[bytes]:
        def take(size: int) -> bytes:
            packed = handle.read(size)
            self.n_read += len(packed)
            return packed

        if not self.packing:
            while chunk := take(_CHUNK):
                yield chunk
            return
        unpacked = (
            self._lz4(handle)
            if self.packing == "lz4"
            else self._frames(take)
            if self.packing == "frames"
            else self._members(take)
        )
        try:
            yield from unpacked
        except _ERRORS as error:
            self.damage = _plain(str(error)) or type(error).__name__

    def _members(self, take: Callable[[int], bytes]) -> Iterator[bytes]:
        make, bite = _INFLATERS[self.packing], _BITE[self.packing]
        inflater, started, n_members, data = make(), False, 0, b""
        while data or (data := take(bite)):
            if not started and n_members:
                data = data.lstrip(b"\0")  # padding between or after members (tape blocks)
                if not data:
                    continue
            started = True
            yield from inflater.feed(data)
            data = b""
            if inflater.eof:
                data, started, n_members, inflater = inflater.unused_data, False, n_members + 1, make()
        if started:
            raise EOFError("it ends in the middle")

    def _lz4(self, handle: IO[bytes]) -> Iterator[bytes]:
        with pa.CompressedInputStream(pa.PythonFile(handle, mode="r"), "lz4") as stream:
            while out := stream.read(_CHUNK):
                self.n_read = handle.tell()
                yield out

    def _frames(self, take: Callable[[int], bytes]) -> Iterator[bytes]:
        """Each frame as a line of its own."""
        while prefix := take(4):
            size = int.from_bytes(prefix, "big")
            if len(prefix) < 4:
                raise EOFError("it ends in the middle")
            if size > MAX_FRAME:
                raise ValueError(f"a frame of {size:,} bytes")
            inflater = _zstd()
            last = b""
            while size:
                data = take(min(size, _BITE["zst"]))
                if not data:
                    raise EOFError("it ends in the middle")
                size -= len(data)
                if inflater.eof:
                    raise ValueError("bytes after the end of a frame")
                for out in inflater.feed(data):
                    last = out or last
                    yield out
            if not last.endswith(b"\n"):
                yield b"\n"


def _plain(text: str) -> str:
    return " ".join(text.split())[:100]

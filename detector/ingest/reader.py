"""Opens any log file and yields its entries block by block; memory stays flat in the file's size."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from itertools import chain

import orjson

from detector.errors import Location, LogError
from detector.ingest import splitting, tabular, values
from detector.ingest.sources import Source
from detector.ingest.splitting import BLOCK_BYTES, MAX_LINE, Block, Reject
from detector.ingest.unpack import ByteStream

_HEAD = 1 << 20
_ARRAY = re.compile(rb"\[\s*(\{\s*[\"}]|\]\s*$|$)")


class Reader:
    """Entries of one file. Iterate once; ``n_read`` counts the bytes of the file read so far."""

    def __init__(self, source: Source, *, block_bytes: int = BLOCK_BYTES, max_line: int = MAX_LINE) -> None:
        self.source = source
        self._block_bytes = block_bytes
        self._max_line = max_line
        self._stream = ByteStream(source.path, source.packing)

    @property
    def n_read(self) -> int:
        return self.source.n_bytes if self.source.layout == "parquet" else self._stream.n_read

    def __iter__(self) -> Iterator[Block]:
        """Blocks in the file's order.

        Raises
        ------
        LogError : the file cannot be read at all.
        """
        last = 0
        try:
            for block in self._blocks():
                last = max(last, block.last_line)
                yield block
        except OSError as error:
            raise LogError(f"cannot be read: {error.strerror}", at=Location(str(self.source.path))) from error
        if self._stream.damage:
            yield splitting.block_of_list([], [Reject(last + 1, "damaged", self._stream.damage)])

    def _blocks(self) -> Iterator[Block]:
        if self.source.layout == "parquet":
            return tabular.parquet_blocks(self.source.path)
        if self.source.layout == "csv":
            return tabular.csv_blocks(self._stream, self.source.path, max_line=self._max_line)
        chunks = iter(self._stream)
        head = next(chunks, b"")
        return self._json(head, chain([head], chunks))

    def _json(self, head: bytes, chunks: Iterable[bytes]) -> Iterator[Block]:
        start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
        block_bytes, max_line = self._block_bytes, self._max_line
        if _ARRAY.match(start):
            if _is_object(start[1:].lstrip().split(b"\n", 1)[0].strip().removesuffix(b",")):
                return splitting.lines(chunks, array=True, block_bytes=block_bytes, max_line=max_line)
            if not _has_whole_lines(start):
                return values.elements(chunks, in_array=True, block_bytes=block_bytes, max_line=max_line)
        one_object = start[:1] == b"{" and not _is_object(start.split(b"\n", 1)[0])
        if self.source.layout == "json" and one_object and not _has_whole_lines(start):
            return values.elements(chunks, in_array=False, block_bytes=block_bytes, max_line=max_line)
        return splitting.lines(chunks, block_bytes=block_bytes, max_line=max_line)


def _has_whole_lines(start: bytes) -> bool:
    """Whether lines after the first are objects of their own: then the first is merely broken."""
    return any(_is_object(line) for line in start.split(b"\n")[1:50] if line.startswith(b"{"))


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False


def file_id(source: Source) -> str:
    """SHA-256 of the file's bytes as stored, 32 hex digits.

    Raises
    ------
    LogError : the file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with source.path.open("rb") as handle:
            while chunk := handle.read(_HEAD):
                digest.update(chunk)
    except OSError as error:
        raise LogError(f"cannot be read: {error.strerror}", at=Location(str(source.path))) from error
    return digest.hexdigest()[:32]

"""Opens any log file and yields its entries block by block. Memory does not grow with the size of the file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain

import orjson

from detector.errors import Location, LogError
from detector.ingest import containers, parquet, splitting, tabular, values
from detector.ingest.sources import Source
from detector.ingest.splitting import BLOCK_BYTES, MAX_LINE, Block, Reject
from detector.ingest.unpack import ByteStream, shown

_HEAD = 1 << 20
#: Most blocks and bytes kept to look at the first entries of a file.
_LOOK_BLOCKS, _LOOK_BYTES = 64, 32 << 20
_ARRAY = re.compile(rb"\[\s*(\{\s*[\"}]|\]\s*$|$)")
_SCALAR = rb'"[^"]{0,200}"\s*:\s*(?:"(?:[^"\\]|\\.){0,2000}"|[\w.+-]{1,40})\s*,\s*'
#: An object whose list of entries is read as a stream, since the object may be longer than the longest line.
_WRAPPED = re.compile(
    rb"\{\s*(?:"
    + _SCALAR
    + rb'){0,20}"(?:Records|records|logEvents|events|data|result|results|value|items)"\s*:\s*'
    rb"(?=\[\s*\{)"
)


#: The start of a log that may have one object a line, perhaps after a line with the bracket of an array.
_OBJECT_ON_ITS_LINE = re.compile(rb"\s*(?:\[\s*\n\s*)?\{")


class Reader:
    """Entries of one file. Iterate once; ``n_read`` counts the bytes of the file read so far."""

    def __init__(self, source: Source, *, block_bytes: int = BLOCK_BYTES, max_line: int = MAX_LINE) -> None:
        self.source = source
        self._block_bytes = block_bytes
        self._max_line = max_line
        self._stream = ByteStream(source.path, source.packing, source.encoding)
        self._head: list[Block] = []
        self._rest: Iterator[Block] | None = None

    @property
    def n_read(self) -> int:
        return self.source.n_bytes if self.source.layout == "parquet" else self._stream.n_read

    @property
    def damage(self) -> str | None:
        """What is wrong with the archive; set once the file was read. Entries before the damage were handed out."""
        return self._stream.damage

    def head(self) -> list[Block]:
        """The first blocks, up to one that has lines. Iterating yields them again.

        Raises
        ------
        LogError : the file cannot be read at all.
        """
        if self._rest is None:
            self._rest = self._checked()
            n_bytes = 0
            for block in self._rest:
                self._head.append(block)
                n_bytes += block.lines.nbytes
                if block.lines.num_rows or len(self._head) >= _LOOK_BLOCKS or n_bytes >= _LOOK_BYTES:
                    break
        return self._head

    def __iter__(self) -> Iterator[Block]:
        """Blocks in the file's order.

        Raises
        ------
        LogError : the file cannot be read at all.
        """
        head, rest = self._head, self._rest if self._rest is not None else self._checked()
        self._head, self._rest = [], iter(())
        while head:
            yield head.pop(0)
        yield from rest

    def _checked(self) -> Iterator[Block]:
        last = 0
        with as_log_error(self.source):
            for block in self._blocks():
                last = max(last, block.last_line)
                yield block
        if self._stream.damage:
            yield splitting.block_of_list([], [Reject(last + 1, "damaged", self._stream.damage)])

    def _blocks(self) -> Iterator[Block]:
        block_bytes, max_line = self._block_bytes, self._max_line
        if self.source.layout == "parquet":
            return parquet.parquet_blocks(self.source.path, max_line=max_line, block_bytes=block_bytes)
        chunks = iter(self._stream)
        head = next(chunks, b"")
        whole: Iterable[bytes] = chain([head], chunks)
        if b"\n" not in head and b"\r" in head:  # lines as old Macs ended them
            head = head.replace(b"\r", b"\n")
            whole = (chunk.replace(b"\r", b"\n") for chunk in chain([head], chunks))
        if self.source.layout == "csv":
            path = self.source.path
            return tabular.csv_blocks(whole, path, max_line=max_line, block_bytes=block_bytes)
        return self._json(head, whole)

    def _json(self, head: bytes, chunks: Iterable[bytes]) -> Iterator[Block]:
        block_bytes, max_line = self._block_bytes, self._max_line
        head, chunks = self._with_first_line(head, iter(chunks))
        bare = head.removeprefix(b"\xef\xbb\xbf").lstrip(b"\0")
        start = bare.lstrip()
        skip = len(head) - len(start)
        first = start.split(b"\n", 1)[0]
        if _ARRAY.match(start):
            if _is_object(start[1:].lstrip().split(b"\n", 1)[0].strip().removesuffix(b",")):
                return splitting.lines(chunks, array=True, block_bytes=block_bytes, max_line=max_line)
            if not _has_whole_lines(start):
                return values.elements(chunks, in_array=True, block_bytes=block_bytes, max_line=max_line)
        elif start.startswith(b"{") and not self._is_of_lines(start, first):
            wrapped = _WRAPPED.match(start) if len(head) >= _HEAD else None
            return values.elements(
                chunks,
                in_array=wrapped is not None,
                in_member=wrapped is not None,
                skip=skip + wrapped.end() if wrapped else 0,
                block_bytes=block_bytes,
                max_line=max_line,
            )
        blocks = splitting.lines(chunks, block_bytes=block_bytes, max_line=max_line)
        style = containers.style_of(start.split(b"\n")[:50])
        return containers.joined(blocks, style, max_line) if style else blocks

    def _with_first_line(self, head: bytes, chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
        """``head``, extended to the end of its first object, and an iterator over all chunks.

        The first prompt of a log may be longer than a chunk. Only the lines after it show that it is one of many.
        """
        kept = [next(chunks, b"")]
        bare = head.removeprefix(b"\xef\xbb\xbf").lstrip(b"\0")
        if _OBJECT_ON_ITS_LINE.match(bare) and b"\n" not in head[head.index(b"{") :]:
            n_kept, ended = len(kept[0]), False
            while n_kept <= self._max_line and (chunk := next(chunks, b"")):
                kept.append(chunk)
                n_kept += len(chunk)
                if ended:  # the chunk after the end shows what follows
                    break
                ended = b"\n" in chunk
            head = b"".join(kept)
        return head, chain(kept, chunks)

    def _is_of_lines(self, start: bytes, first: bytes) -> bool:
        """Whether the file has one object a line. A single long object with a list is better read as a stream."""
        if len(first) >= _HEAD and not start[len(first) :].strip() and _WRAPPED.match(start):
            return False
        return _is_object(first) or _has_whole_lines(start)


def _has_whole_lines(start: bytes) -> bool:
    """Whether some line after the first is a whole object. The first line is merely broken then."""
    lines = start.split(b"\n")[1:50]
    # An empty object may be a part of a larger one that spans many lines.
    return any(_is_object(line) for line in lines if line.startswith(b"{") and line.strip() != b"{}")


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False


@contextmanager
def as_log_error(source: Source) -> Iterator[None]:
    """Turn every error that a library raises over one file's bytes into a ``LogError`` of this file.

    A panic of a Rust library is no ``Exception``. It is recognised by its name, as each library has a class of its own.
    """
    at = Location(shown(source.path))
    try:
        yield
    except OSError as error:
        raise LogError(f"cannot be read: {error.strerror or error}", at=at) from error
    except (MemoryError, RecursionError) as error:
        raise LogError(f"cannot be read: {type(error).__name__}", at=at) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise LogError("cannot be read: a library failed on what it holds", at=at) from None

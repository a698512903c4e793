"""Finds parts of a lake that no longer read: by their footers, which is quick, or by every value in them."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

#: Bytes of parts that are read whole to tell why a command failed; beyond it only footers are.
_LOOK_AT = 1 << 30


@dataclass(frozen=True)
class Found:
    """A part that does not read, and why."""

    path: Path
    why: str
    #: Whether only reading every value finds it.
    deep: bool = False


def first(data: Path) -> Found | None:
    """The first damaged part below ``data``: by the footers of all, then by the values of the smaller ones."""
    parts = sorted(data.glob("*/*/*.parquet"))
    for part in parts:
        if why := of_footer(part):
            return Found(part, why)
    left = _LOOK_AT
    for part in parts:
        left -= part.stat().st_size
        if left < 0:
            return None
        if why := of_values(part):
            return Found(part, why, deep=True)
    return None


def of_footer(part: Path) -> str | None:
    """Why the frame of a part does not read: its size, magic and footer. None: it does.

    Raises
    ------
    OSError : the system refuses to open it.
    """
    size = _size(part)
    if isinstance(size, str):
        return size
    try:
        with pq.ParquetFile(part) as file:
            file.schema_arrow  # noqa: B018 - read for what it raises
            groups = [file.metadata.row_group(n) for n in range(file.metadata.num_row_groups)]
            rows = sum(group.num_rows for group in groups)
            if rows != file.metadata.num_rows:
                return "damaged: its row groups do not add up"
            if any(not 0 <= at < size for group in groups for at in _places(group)):
                return "damaged: its footer points outside of it"
    except Exception as error:  # damage raises whatever the decoder happened to do with it
        return _why(error)
    return None


def _places(group: pq.RowGroupMetaData) -> Iterator[int]:
    """First and last byte of each column."""
    for n in range(group.num_columns):
        column = group.column(n)
        start = column.data_page_offset
        if column.has_dictionary_page and column.dictionary_page_offset is not None:
            start = min(start, column.dictionary_page_offset)
        yield start
        yield start + max(column.total_compressed_size - 1, 0)


def of_values(part: Path) -> str | None:
    """Why some value of a part with a sound footer does not read; checksums of pages are compared where it has them.

    Raises
    ------
    OSError : the system refuses to open it.
    """
    try:
        with pq.ParquetFile(part, page_checksum_verification=True) as file:
            for batch in file.iter_batches(8192, use_threads=False):
                batch.validate(full=True)
    except Exception as error:  # as above
        return _why(error)
    return None


def _size(part: Path) -> int | str:
    status = part.stat()
    if not stat.S_ISREG(status.st_mode):
        return "not a regular file"
    if status.st_size == 0:
        return "damaged: it is empty"
    with part.open("rb") as handle:
        head = handle.read(4)
        handle.seek(max(status.st_size - 4, 0))
        if head != b"PAR1" or handle.read(4) != b"PAR1":
            return "damaged: it does not begin and end as Parquet does"
    return status.st_size


def _why(error: Exception) -> str:
    line = (str(error) or type(error).__name__).splitlines()[0]
    return f"damaged: {line[:160]}"

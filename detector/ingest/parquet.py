"""Rows of a Parquet file as JSON lines, in batches whose size in memory is known before they are made.

Values without a form in JSON become text (times, decimals, dates). Values without a text become null under their
name, so that they are counted like any other unused key.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from detector.errors import Location, LogError
from detector.ingest.splitting import BLOCK_BYTES, BLOCK_LINES, MAX_LINE, Block, Reject, block_of_list
from detector.ingest.unpack import shown

_ROWS = 16_384
#: Size of a column chunk from which on a dictionary or shared prefixes could unpack to too much (bytes). Such a
#: chunk is read as a dictionary and measured before it is spelled out.
_SMALL_CHUNK = 16 << 10
#: Most bytes of one batch of a column in the worst case.
_BATCH_BYTES = 64 << 20
#: A page is unpacked as a whole and may be as large as its column chunk. A chunk that is this large (bytes) and this
#: well packed (ratio) was made to fill the memory.
_MAX_CHUNK, _MAX_RATIO = 1 << 30, 200
#: A file is refused when its spelled-out size exceeds both this many bytes and this multiple of its own size.
_MAX_SPELLED, _MAX_GROWTH = 4 << 30, 1000
#: Most rows for each byte of the file. Every row of a real log has its own id, so it needs more than a byte.
_MAX_ROWS = 8

Array = Any  # pyarrow has no types of its own


def parquet_blocks(
    path: Path, *, max_line: int = MAX_LINE, block_bytes: int = BLOCK_BYTES
) -> Iterator[Block]:
    """Blocks of the rows of a Parquet file; ``line`` counts rows, from 1.

    Raises
    ------
    LogError : the file is no complete Parquet file, or would unpack to far more than its size.
    """
    try:
        yield from _blocks(path, max_line, block_bytes)
    except (pa.ArrowException, OSError, ValueError, TypeError, OverflowError, RecursionError) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        detail = shown(" ".join(str(error).split())[:200])
        raise LogError(f"not a readable Parquet file: {detail}", at=Location(shown(path))) from error


def _blocks(path: Path, max_line: int, block_bytes: int) -> Iterator[Block]:
    n_bytes = path.stat().st_size
    with pq.ParquetFile(path) as file:
        meta = file.metadata
        if meta.num_rows > _MAX_ROWS * n_bytes + BLOCK_LINES:
            raise _refused(path, f"{meta.num_rows:,} rows in {n_bytes:,} bytes")
        for group in range(meta.num_row_groups):
            columns = meta.row_group(group)
            for at in range(meta.num_columns):
                chunk = columns.column(at)
                large, packed = chunk.total_uncompressed_size, max(chunk.total_compressed_size, 1)
                if large > _MAX_CHUNK and large > _MAX_RATIO * packed:
                    raise _refused(path, f"a column of {packed:,} bytes unpacks to {large:,}")
    spelled_out, number = 0, 1
    for group in range(meta.num_row_groups):
        wide, n_rows = _plan(meta.row_group(group))
        with pq.ParquetFile(path, metadata=meta, read_dictionary=wide) as file:
            for batch in file.iter_batches(n_rows, row_groups=[group], use_threads=False):
                sizes = sum(
                    (_sizes(column) for column in batch.columns), np.full(batch.num_rows, 16, np.int64)
                )
                spelled_out += int(sizes.sum())
                if spelled_out > max(_MAX_SPELLED, _MAX_GROWTH * n_bytes):
                    raise _refused(path, f"{n_bytes:,} bytes unpack to more than {spelled_out:,}")
                for start, end in _cuts(sizes, block_bytes):
                    yield _block(batch.slice(start, end - start), number + start, max_line)
                number += batch.num_rows


def _refused(path: Path, what: str) -> LogError:
    hint = "if it is a log, write it anew in smaller row groups"
    return LogError(f"refused, it would fill the memory: {what}", at=Location(shown(path)), hint=hint)


def _plan(group: Any) -> tuple[list[str], int]:
    """Columns of a row group to read as dictionaries, and rows a batch."""
    wide: list[str] = []
    n_rows = max(1, min(_ROWS, BLOCK_BYTES * group.num_rows // max(group.total_byte_size, 1)))
    for at in range(group.num_columns):
        chunk = group.column(at)
        if chunk.physical_type != "BYTE_ARRAY" or chunk.total_uncompressed_size <= _SMALL_CHUNK:
            continue
        if any("DICTIONARY" in encoding for encoding in chunk.encodings):
            wide.append(chunk.path_in_schema)
        if "DELTA_BYTE_ARRAY" in chunk.encodings:
            n_rows = max(16, min(n_rows, _BATCH_BYTES // chunk.total_uncompressed_size))
    return wide, n_rows


def _sizes(array: Array) -> Any:
    """Estimated bytes of each value of ``array`` as JSON."""
    kind = array.type
    if isinstance(array, pa.ExtensionArray):
        return _sizes(array.storage)
    if pa.types.is_dictionary(kind):
        by_code = np.append(_sizes(array.dictionary), 4)
        return by_code[pc.fill_null(array.indices, len(array.dictionary)).to_numpy(zero_copy_only=False)]
    if _is_text(kind) or _is_bytes(kind):
        if pa.types.is_fixed_size_binary(kind):
            return np.full(len(array), 2 * kind.byte_width + 8, np.int64)
        plain = array.cast(pa.large_binary()) if not pa.types.is_binary(kind) else array
        return pc.fill_null(pc.binary_length(plain), 0).to_numpy(zero_copy_only=False).astype(np.int64) + 8
    if pa.types.is_struct(kind):
        total = np.full(len(array), 8, np.int64)
        for at in range(kind.num_fields):
            total += _sizes(array.field(at)) + len(kind.field(at).name)
        return total
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_map(kind):
        inner = np.concatenate(([0], np.cumsum(_sizes(_items(array)))))
        offsets = array.offsets.to_numpy(zero_copy_only=False)
        return inner[offsets[1:] - offsets[0]] - inner[offsets[:-1] - offsets[0]] + 8
    return np.full(len(array), 16 + array.nbytes // max(len(array), 1), np.int64)


def _items(array: Array) -> Array:
    """The elements of the lists or maps of ``array``, without those of the array it is a slice of."""
    low, high = array.offsets[0].as_py(), array.offsets[-1].as_py()
    if pa.types.is_map(array.type):
        return pa.StructArray.from_arrays(
            [array.keys.slice(low, high - low), array.items.slice(low, high - low)], ["k", "v"]
        )
    return array.values.slice(low, high - low)


def _cuts(sizes: np.ndarray, block_bytes: int) -> Iterator[tuple[int, int]]:
    """Spans of rows of about ``block_bytes`` each, but of at least one row."""
    ends = np.cumsum(sizes)
    start = 0
    while start < len(sizes):
        before = ends[start - 1] if start else 0
        end = max(int(np.searchsorted(ends, before + block_bytes, side="right")), start + 1)
        yield start, end
        start = end


def _block(batch: pa.RecordBatch, first: int, max_line: int) -> Block:
    names = batch.schema.names
    columns = [_values(column) for column in batch.columns]
    entries: list[tuple[int, bytes]] = []
    rejects: list[Reject] = []
    for number, row in enumerate(zip(*columns, strict=True), first):
        try:
            text = orjson.dumps(dict(zip(names, row, strict=True)), option=orjson.OPT_NON_STR_KEYS)
        except (TypeError, ValueError):  # too deep, or a number beyond 64 bits
            rejects.append(Reject(number, "unreadable", "a value that JSON cannot hold"))
            continue
        if len(text) > max_line:
            rejects.append(Reject(number, "too_long", str(max_line), n_bytes=len(text)))
        else:
            entries.append((number, text))
    return block_of_list(entries, rejects)


def _values(array: Array) -> list[Any]:
    """Values that JSON can hold; None for any other."""
    kind = array.type
    if isinstance(array, pa.ExtensionArray):
        if "uuid" in str(kind):
            return [None if v is None else _uuid(v) for v in array.storage.to_pylist()]
        return _values(array.storage)
    if pa.types.is_dictionary(kind):
        by_code = _values(array.dictionary)
        return [None if at is None else by_code[at] for at in array.indices.to_pylist()]
    if pa.types.is_fixed_size_binary(kind) and kind.byte_width == 16:
        return [None if v is None else _text(v, printable=True) or _uuid(v) for v in array.to_pylist()]
    if _is_bytes(kind):
        return [None if v is None else _text(v) for v in array.to_pylist()]
    if pa.types.is_map(kind):
        pairs = iter(zip(_names(array.keys), _values(array.items), strict=True))
        return _gathered(array, list(pairs), dict)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _gathered(array, _values(array.values), list)
    if pa.types.is_fixed_size_list(kind):
        n, inner = kind.list_size, _values(array.flatten())
        whole = iter(range(0, len(inner), n)) if n else iter([0] * len(array))
        return [
            inner[(at := next(whole)) : at + n] if valid else None for valid in array.is_valid().to_pylist()
        ]
    if pa.types.is_struct(kind):
        fields = [_values(array.field(at)) for at in range(kind.num_fields)]
        names = [kind.field(at).name for at in range(kind.num_fields)]
        rows = zip(*fields, strict=True) if fields else iter([()] * len(array))
        return [
            dict(zip(names, row, strict=True)) if valid else None
            for valid, row in zip(array.is_valid().to_pylist(), rows, strict=True)
        ]
    return _scalars(array)


def _gathered(array: Array, inner: list[Any], make: Any) -> list[Any]:
    """Lists or objects of the values between the offsets of ``array``."""
    offsets = array.offsets.to_pylist()
    return [
        make(inner[offsets[at] : offsets[at + 1]]) if valid else None
        for at, valid in enumerate(array.is_valid().to_pylist())
    ]


def _scalars(array: Array) -> list[Any]:
    kind = array.type
    try:
        if pa.types.is_timestamp(kind):
            # This needs no zone database: the values are UTC already, and only the label of the zone is dropped.
            array = array.view(pa.int64()).view(pa.timestamp(kind.unit))
            if kind.unit == "ns":
                array = array.cast(pa.timestamp("us"), safe=False)
            array = array.cast(pa.string())
        elif pa.types.is_duration(kind):
            scale = {"s": 1000.0, "ms": 1.0, "us": 1e-3, "ns": 1e-6}[kind.unit]
            array = pc.multiply(array.view(pa.int64()).cast(pa.float64()), scale)
        elif pa.types.is_float16(kind):
            array = array.cast(pa.float32())
        elif pa.types.is_temporal(kind) or pa.types.is_decimal(kind):
            array = array.cast(pa.string())
        elif not (_is_text(kind) or pa.types.is_primitive(kind) or pa.types.is_null(kind)):
            return [None] * len(array)
        values: list[Any] = array.to_pylist()
    except (pa.ArrowException, ValueError, OverflowError):
        return [None] * len(array)
    return values


def _names(keys: Array) -> list[str]:
    return ["null" if v is None else str(v) for v in _values(keys)]


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_binary_view(kind)
        or pa.types.is_fixed_size_binary(kind)
    )


def _text(value: bytes, *, printable: bool = False) -> str | None:
    """``value`` as text; None when it is no UTF-8."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return None
    return text if not printable or text.isprintable() else None


def _uuid(value: bytes) -> str:
    return str(uuid.UUID(bytes=value))

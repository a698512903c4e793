"""Rows in the declared columns of a table, and the Parquet part they become."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from detector.errors import TableMismatch
from detector.lake.engine import Rows
from detector.lake.tables import Table, tables
from features.schema import ELICITATION_KINDS
from features.spec import Column
from features.types import TYPES

#: Columns whose values hardly repeat: a Parquet dictionary would only cost time.
_PLAIN = {
    "request_id", "ts", "content_keys", "prompt_sketch", "latency_ms", "ttft_ms", "prompt_hash", "line",
    "elicitation_score", *(f"elicit_{kind}" for kind in ELICITATION_KINDS),
}  # fmt: skip
#: Columns of bytes that hardly shrink: to compress them would only cost time, here and whenever they are read.
_DENSE = {"prompt_sketch"}
#: Columns nobody looks a range up in: their least and greatest value would be kept for nothing.
_UNRANGED = {"content_keys", "prompt_sketch", "system_sketch"}


def arrow_schema(columns: Iterable[Column]) -> pa.Schema:
    """The Arrow schema of declared columns."""
    return pa.schema([pa.field(c.name, TYPES[c.type].arrow) for c in columns])


def _leaves(kind: pa.DataType, path: str) -> list[str]:
    """Parquet's names of the plain columns that a column of this type is stored as."""
    if pa.types.is_map(kind):
        entry = f"{path}.key_value"
        return [*_leaves(kind.key_type, f"{entry}.key"), *_leaves(kind.item_type, f"{entry}.value")]
    if pa.types.is_list(kind):
        return _leaves(kind.value_type, f"{path}.list.element")
    return [path]


def conform(table: Table, rows: Rows) -> pa.Table:
    """``rows`` in the declared columns and types of ``table``.

    Raises
    ------
    TableMismatch : a column is missing, one too many, or a value does not fit its type.
    """
    arrow = rows if isinstance(rows, pa.Table) else rows.to_arrow()
    missing = [n for n in table.names if n not in arrow.column_names]
    extra = [n for n in arrow.column_names if n not in table.names]
    if missing or extra:
        raise TableMismatch(
            f"table {table.name}: missing columns {missing}, unexpected columns {extra}",
            hint=f"see: hydrawatch tables {table.name}",
        )
    arrow = arrow.select(list(table.names))
    for position, column in enumerate(table.columns):
        if column.type.startswith("MAP") and not pa.types.is_map(arrow.schema.field(position).type):
            arrow = arrow.set_column(position, column.name, _as_map(arrow.column(position)))
    try:
        return arrow.cast(arrow_schema(table.columns))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise TableMismatch(
            f"table {table.name}: {error}", hint=f"see: hydrawatch tables {table.name}"
        ) from error


def _as_map(entries: pa.ChunkedArray) -> pa.Array:
    """A map column from lists of (key, value) structs, as polars holds maps."""
    kind = TYPES["MAP(VARCHAR, VARCHAR[])"].arrow
    if pa.types.is_null(entries.type):
        return pa.nulls(len(entries), kind)
    lists = entries.combine_chunks().cast(
        pa.list_(pa.struct([("key", kind.key_type), ("value", kind.item_type)]))
    )
    flat = lists.flatten()
    offsets = pa.array([0, *np.cumsum(pc.fill_null(pc.list_value_length(lists), 0).to_numpy())], pa.int32())
    return pa.MapArray.from_arrays(offsets, flat.field("key"), flat.field("value"), mask=lists.is_null())


def write_part(table: str, rows: Rows, path: Path) -> None:
    """Write ``rows`` of ``table`` as one Parquet file."""
    spec = tables()[table]
    dictionary = [n for n in spec.names if n not in _PLAIN]
    paths = [path for field in arrow_schema(spec.columns) for path in _leaves(field.type, field.name)]
    pq.write_table(
        conform(spec, rows),
        path,
        compression={path: "none" if path in _DENSE else "zstd" for path in paths},
        compression_level={path: 1 for path in paths if path not in _DENSE},
        use_dictionary=dictionary,
        write_statistics=[n for n in spec.names if n not in _UNRANGED],
        row_group_size=122_880,
        write_page_checksum=True,  # so that doctor can tell damage from odd values
    )


def schema_of(path: Path) -> pa.Schema | None:
    """Columns of a part; None where there is none, or one that does not read."""
    try:
        return pq.read_schema(path)
    except Exception:  # damage raises whatever the decoder happened to do with it
        return None


def empty(table: str) -> pl.DataFrame:
    """No rows, in the columns of ``table``."""
    frame = pl.from_arrow(arrow_schema(tables()[table].columns).empty_table())
    assert isinstance(frame, pl.DataFrame)
    return frame

"""The column types of every table, with their names in DuckDB, Arrow and polars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import polars as pl
import pyarrow as pa


@dataclass(frozen=True)
class ColumnType:
    """One type under its three names; ``duckdb`` is that of ``Column.type``."""

    duckdb: str
    arrow: pa.DataType
    polars: pl.DataType


_KEYS = pl.List(pl.Struct({"key": pl.String(), "value": pl.List(pl.String())}))
_ALL = (
    ColumnType("VARCHAR", pa.string(), pl.String()),
    ColumnType("TIMESTAMP", pa.timestamp("us"), pl.Datetime("us")),
    ColumnType("DATE", pa.date32(), pl.Date()),
    ColumnType("BIGINT", pa.int64(), pl.Int64()),
    ColumnType("INTEGER", pa.int32(), pl.Int32()),
    ColumnType("UBIGINT", pa.uint64(), pl.UInt64()),
    ColumnType("DOUBLE", pa.float64(), pl.Float64()),
    ColumnType("BOOLEAN", pa.bool_(), pl.Boolean()),
    ColumnType("BLOB", pa.binary(), pl.Binary()),
    ColumnType("UBIGINT[]", pa.list_(pa.uint64()), pl.List(pl.UInt64())),
    ColumnType("VARCHAR[]", pa.list_(pa.string()), pl.List(pl.String())),
    # polars has no maps, so a map is a list of pairs there.
    ColumnType("MAP(VARCHAR, VARCHAR[])", pa.map_(pa.string(), pa.list_(pa.string())), _KEYS),
)
#: Every type by its DuckDB name.
TYPES: Mapping[str, ColumnType] = MappingProxyType({t.duckdb: t for t in _ALL})

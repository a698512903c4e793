"""Turns canonical requests into the lake's rows: text is measured and dropped, identifiers become keyed hashes."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

import polars as pl

from detector.ingest.address import addresses
from features import schema
from features.request.keyed import keyed_hash
from features.types import TYPES

_CONTROL = r"[\x00-\x1f\x7f-\x9f]"


class Meter(Protocol):
    """What ingest needs of ``features.request.measure.TextMeter``."""

    def measure(self, prompt: pl.Series, system_prompt: pl.Series) -> pl.DataFrame: ...


class LogitProbe(Protocol):
    """``features.request.measure.logit_probe``: parameters of requests to one boolean each."""

    def __call__(self, frame: pl.DataFrame) -> pl.Series: ...


def pseudonymised(rows: pl.DataFrame, key: bytes) -> pl.DataFrame:
    """``rows`` with keyed hashes in place of their ``account_id``."""
    return rows.with_columns(keyed_hash(rows["account_id"], key, "account").alias("account_id"))


def to_rows(
    canonical: pl.DataFrame,
    *,
    meter: Meter,
    logit_probe: LogitProbe,
    key: bytes,
    file_id: str,
    notes: Counter[str],
) -> pl.DataFrame:
    """Rows in the columns of ``schema.REQUESTS``, in the given order. ``notes`` counts values that were dropped."""
    ip = addresses(canonical["source_ip"])
    if n_bad := ip["ip"].null_count() - canonical["source_ip"].null_count():
        notes["address not usable"] += n_bad
    tools = canonical["tool_names"]
    ids = {
        "api_key_hash": keyed_hash(canonical["api_key_id"], key, "api_key"),
        "end_user_hash": keyed_hash(canonical["end_user_id"], key, "end_user"),
        "session_hash": keyed_hash(canonical["session_id"], key, "session"),
        "ip_hash": keyed_hash(ip["ip"], key, "ip"),
        "tools_hash": keyed_hash(tools.list.sort().list.join("\0", ignore_nulls=True), key, "tools"),
        "ip_prefix": ip["prefix"],
        "minted": _state(canonical["minted"], key),
        "carried": _state(canonical["carried"], key),
        "logit_probe": logit_probe(canonical),
    }
    text = meter.measure(canonical["prompt"], canonical["system_prompt"])
    agent = pl.col("user_agent").str.replace_all(_CONTROL, "").str.slice(0, 256)
    rows = canonical.with_columns(
        pl.col("ts").dt.date().alias("day"),
        pl.when(agent != "").then(agent).alias("user_agent"),
        pl.coalesce("tool_count", pl.col("tool_names").list.len().cast(pl.Int32)).alias("tool_count"),
        pl.lit(file_id).alias("file_id"),
        *(series.alias(name) for name, series in ids.items()),
        *text.get_columns(),
    )
    return rows.select(pl.col(c.name).cast(TYPES[c.type].polars) for c in schema.REQUESTS)


def _state(values: pl.Series, key: bytes) -> pl.Series:
    """Lists of provider-minted state as lists of 64-bit keyed hashes. Minted and carried state share one domain."""
    empty = pl.Series([None], dtype=pl.List(pl.UInt64)).new_from_index(0, len(values))
    if values.null_count() == len(values):
        return empty
    flat = pl.DataFrame({"row": pl.int_range(len(values), eager=True), "value": values}).explode("value")
    flat = flat.drop_nulls("value")
    hashed = keyed_hash(flat["value"], key, "state").str.slice(0, 16).str.to_integer(base=16, dtype=pl.UInt64)
    lists = flat.select("row", hashed.alias("hashes")).group_by("row").agg("hashes")
    rows = pl.DataFrame({"row": pl.int_range(len(values), eager=True)})
    return rows.join(lists, on="row", how="left", maintain_order="left")["hashes"]

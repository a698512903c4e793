"""Parts of every log format: rows with their conversation, messages, timestamps."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import polars as pl

Row = dict[str, Any]
_PER_BATCH = 8
ERRORS = {
    429: "RateLimitError",
    500: "InternalServerError",
    503: "ServiceUnavailable",
    400: "BadRequestError",
}


def batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Rows in the batches an exporter would send."""
    it = iter(rows)
    while part := list(islice(it, _PER_BATCH)):
        yield part


def rows_of(requests: pl.DataFrame) -> list[Row]:
    """Rows in order of time, each with the earlier prompts of its conversation as ``history``."""
    said: dict[str, list[str]] = {}
    rows = []
    for row in requests.sort("ts", "request_id").iter_rows(named=True):
        earlier = said.setdefault(row["session_id"] or row["request_id"], [])
        row["history"] = list(earlier)
        earlier.append(row["prompt"])
        rows.append(row)
    return rows


def line(record: Any) -> str:
    """One record as a line of JSON."""
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n"


def present(record: Row) -> Row:
    """The record without its NULL fields."""
    return {k: v for k, v in record.items() if v is not None}


def iso(ts: datetime, digits: int = 3) -> str:
    """ISO 8601 with ``digits`` digits after the second."""
    return ts.strftime("%Y-%m-%dT%H:%M:%S.%f")[: 20 + digits] + "Z"


def epoch_ns(ts: datetime) -> int:
    """Nanoseconds since 1970 of a naive UTC timestamp."""
    return round(ts.replace(tzinfo=UTC).timestamp() * 1e6) * 1000


def end_ns(row: Row) -> int:
    """End of the answer in nanoseconds since 1970."""
    return epoch_ns(row["ts"]) + int(row["latency_ms"] * 1e6)


def hashed(text: str, length: int) -> str:
    """``length`` hex digits that stand for a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def messages(row: Row, *, system: bool = True) -> list[Row]:
    """OpenAI-style messages: system, the conversation so far, the last user turn."""
    before = [{"role": "system", "content": row["system_prompt"]}] if system and row["system_prompt"] else []
    for prompt in row["history"]:
        before += [{"role": "user", "content": prompt}, {"role": "assistant", "content": "..."}]
    return [*before, {"role": "user", "content": row["prompt"]}]


def tools(row: Row) -> list[Row] | None:
    """OpenAI-style definitions of the request's tools."""
    names = row["tool_names"] or []
    return [{"type": "function", "function": {"name": name, "parameters": {}}} for name in names] or None

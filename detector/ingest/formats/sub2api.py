"""sub2api: rows of ``usage_logs``, from the database or its API, as JSON or CSV.

Its ``account_id`` is the upstream account that the relay spends; the customer is ``user_id``. Cached tokens are counted
beside ``input_tokens``.

Source: Wei-Shaw/sub2api ``backend/ent/schema/usage_log.go``.
"""

from __future__ import annotations

from detector.ingest.casting import total
from detector.ingest.formats import Columns, Format, Options, Record
from detector.ingest.records import Path, Records

_FIELDS: dict[str, tuple[Path, ...]] = {
    "request_id": ("request_id",),
    "ts": ("created_at",),
    "model": ("model",),
    "api_key_id": ("api_key_id",),
    "source_ip": ("ip_address",),
    "user_agent": ("user_agent",),
    "input_tokens": ("input_tokens",),
    "output_tokens": ("output_tokens",),
    "cached_tokens": ("cache_read_tokens",),
    "latency_ms": ("duration_ms",),
    "ttft_ms": ("first_token_ms",),
    "stream": ("stream",),
}
_PASSED = frozenset(
    ("id", "user_id", "account_id", "group_id", "subscription_id", "cache_creation_tokens", "cache_creation_5m_tokens",
     "cache_creation_1h_tokens", "input_cost", "output_cost", "cache_creation_cost", "cache_read_cost", "total_cost",
     "actual_cost", "rate_multiplier", "account_rate_multiplier", "billing_type", "image_count", "image_size", "media_type")
)  # fmt: skip


def _sniff(record: Record) -> bool:
    keys = set(record)
    return {"user_id", "api_key_id", "account_id", "created_at"} <= keys and bool(
        keys & {"actual_cost", "total_cost", "rate_multiplier", "billing_type", "cache_read_tokens"}
    )


def _derive(records: Records, options: Options, columns: Columns) -> Columns:
    cache_writes = records.first("cache_creation_tokens")
    by_age = zip(
        records.first("cache_creation_5m_tokens"), records.first("cache_creation_1h_tokens"), strict=True
    )
    return {
        "input_tokens": [
            total(n, read, whole) if whole not in (None, 0, "0") else total(n, read, *parts)
            for n, read, whole, parts in zip(
                columns["input_tokens"], columns["cached_tokens"], cache_writes, by_age, strict=True
            )
        ],
    }


FORMAT = Format(
    name="sub2api",
    meaning="sub2api: rows of usage_logs",
    capabilities=frozenset(("ip", "account", "tokens", "latency")),
    sniff=_sniff,
    fields=_FIELDS,
    account=("user_id", "api_key_id"),
    derive=_derive,
    passed=_PASSED,
)

"""one-api, new-api and one-hub: rows of the ``logs`` table, from the database or its API, as JSON or CSV.

A row of another kind (top-up, management, login, refund, a channel's test) is no model call. A failed attempt (new-api's
type 5) has the request id of its call, so its own id is made of both ids. Owners choose the names of their tokens, and
thousands are called ``default``: without an id of the token, its name counts together with its owner.

Sources: QuantumNous/new-api ``model/log.go``, ``service/log_info_generate.go``, ``service/text_quota.go`` and
``controller/relay.go``; songquanpeng/one-api and Laisky/one-api ``model/log.go``; MartialBE/one-hub ``model/log.go`` and
``relay/relay_util/quota.go`` (milliseconds in ``request_time``, the rest in ``metadata``; forks add ``source_ip``).
"""

from __future__ import annotations

from typing import Any

from detector.ingest.casting import scaled, total
from detector.ingest.formats import Columns, Format, Options, Record
from detector.ingest.records import Path, Records, first_of, something

_FIELDS: dict[str, tuple[Path, ...]] = {
    "request_id": ("request_id", "id"),
    "ts": ("created_at",),
    "model": ("model_name",),
    "source_ip": ("ip", "source_ip"),
    "operation": ("other/request_path",),
    "input_tokens": ("prompt_tokens",),
    "output_tokens": ("completion_tokens",),
    "cached_tokens": ("other/cache_tokens", "metadata/cached_tokens"),
    "stream": ("is_stream",),
    "error_class": ("other/error_code", "other/error_type"),
}
_ACCOUNT: tuple[Path, ...] = ("user_id", "username")
_PASSED = frozenset(
    ("id", "type", "content", "quota", "use_time", "elapsed_time", "token_id", "token_name", "channel", "channel_id",
     "channel_name", "group", "other", "system_prompt_reset", "upstream_request_id", "username", "user_id", "updated_at",
     "trace_id", "metadata", "request_time", "cost_quota", "is_error")
)  # fmt: skip
_CONSUME, _ERROR = "2", "5"


def _sniff(record: Record) -> bool:
    keys = set(record)
    return {"type", "quota", "created_at", "prompt_tokens"} <= keys and bool(
        keys & {"user_id", "username", "token_name", "model_name"}
    )


def _derive(records: Records, options: Options, columns: Columns) -> Columns:
    kinds = [str(v).strip().removesuffix(".0") for v in records.at("type")]
    details = records.objects("other")
    # In one-api type 5 is a channel's test; only new-api has times in seconds and details.
    newer = ["use_time" in entry or "other" in entry for entry in records.entries]
    calls = [k == _CONSUME or (k == _ERROR and new) for k, new in zip(kinds, newer, strict=True)]
    failed = [k == _ERROR for k in kinds]
    rows = records.first("id")
    seconds = [scaled(v, 1000) for v in records.first("use_time")]
    users = [None if str(v) == "0" else v for v in columns["account_id"]]
    accounts = first_of(users, records.first("username"))
    return {
        "request_id": [
            f"{request}#{row}" if bad and row is not None and request != row else request
            for request, row, bad in zip(columns["request_id"], rows, failed, strict=True)
        ],
        "account_id": accounts,
        "api_key_id": [
            token if token is not None and str(token) != "0" else f"{user}/{name}" if name is not None else None
            for token, name, user in zip(
                records.first("token_id"), records.first("token_name"), accounts, strict=True
            )
        ],
        "latency_ms": first_of(seconds, records.first("elapsed_time", "request_time")),
        "ttft_ms": [
            wait if stream in (True, 1, "1", "t", "true", "True") else None
            for wait, stream in zip(records.first("other/frt", "metadata/first_response"), columns["stream"], strict=True)
        ],
        "input_tokens": [
            None if bad and str(n) == "0" else _input(n, detail)
            for n, detail, bad in zip(columns["input_tokens"], details, failed, strict=True)
        ],
        # A failed attempt has zeros for tokens that were never counted.
        "output_tokens": [
            None if bad and str(n) == "0" else n for n, bad in zip(columns["output_tokens"], failed, strict=True)
        ],
        "status": [
            _status(detail) if bad else 200 for detail, bad in zip(details, failed, strict=True)
        ],
        "other": [
            not call or "quota_delta" in detail for call, detail in zip(calls, details, strict=True)
        ],
    }  # fmt: skip


def _input(count: Any, detail: Record) -> Any:
    """Input tokens. With Anthropic's way of counting, cached tokens are not part of the prompt's and are added."""
    whole = something(detail.get("input_tokens_total"))
    if whole is not None and str(whole) != "0":
        return whole
    if detail.get("usage_semantic") != "anthropic" and detail.get("claude") is not True:
        return count
    cache_writes = something(detail.get("cache_write_tokens"))
    if cache_writes is not None:
        return total(count, detail.get("cache_tokens"), cache_writes)
    parts = [detail.get("cache_creation_tokens_5m"), detail.get("cache_creation_tokens_1h")]
    if not any(parts):
        parts = [detail.get("cache_creation_tokens")]
    return total(count, detail.get("cache_tokens"), *parts)


def _status(detail: Record) -> Any:
    code = something(detail.get("status_code"))
    return code if code is not None and str(code) != "0" else "failure"


FORMAT = Format(
    name="newapi",
    meaning="one-api, new-api and one-hub: rows of the logs table",
    capabilities=frozenset(("ip", "account", "tokens", "latency")),
    sniff=_sniff,
    fields=_FIELDS,
    account=_ACCOUNT,
    roots=("", "other"),
    derive=_derive,
    passed=_PASSED,
)

"""The canonical record itself, as a JSON object or a table row; also accounts, account events and model releases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from detector.ingest.formats import CAPABILITIES, CONTENTS, Columns, Format, Options, Record
from detector.ingest.messages import conversation, text_of
from detector.ingest.records import Records
from features import schema
from features.spec import Column

COLUMNS: dict[str, tuple[Column, ...]] = {
    "requests": schema.CANONICAL,
    "accounts": schema.ACCOUNTS,
    "account_events": schema.ACCOUNT_EVENTS,
    "model_releases": schema.MODEL_RELEASES,
}
_ONLY_ACCOUNTS = {
    "created_at", "payment_fingerprint", "payment_bin", "email_domain", "signup_ip", "program", "verified",
}  # fmt: skip


def content_of(name: str, records: list[Record]) -> str:
    """The content of a native file, by its lines, or by its name when they do not decide."""
    for record in records:
        keys = {k for k, v in record.items() if v is not None}
        if "account_id" in keys and "event" in keys and "request_id" not in keys:
            return "account_events"
        if "released_at" in keys and "model" in keys:
            return "model_releases"
        if {"request_id", "model"} <= keys:
            return "requests"
        if "account_id" in keys and keys & _ONLY_ACCOUNTS:
            return "accounts"
    stem = Path(name).name.lower()
    for content in ("account_events", "model_releases", "accounts"):
        if stem.startswith(content):
            return content
    return "requests"


def _sniff(record: Record) -> bool:
    keys = set(record)
    if {"user_id", "api_key_id", "account_id", "created_at"} <= keys and "ts" not in keys:
        return False  # a relay's row: its account_id is an upstream account, not the customer
    return (
        len(keys & {"request_id", "ts", "account_id", "model", "prompt"}) >= 3
        or {"account_id", "event"} <= keys
        or {"model", "released_at"} <= keys
        or ("account_id" in keys and bool(keys & _ONLY_ACCOUNTS))
    )


def _text(value: Any, name: str) -> Any:
    """The last user turn of messages, or the text of a system prompt; ``value`` unchanged when it has none."""
    text = conversation(value).prompt if name == "prompt" else text_of(value)
    return text or value


def _derive(records: Records, options: Options, columns: Columns) -> Columns:
    """Read prompts that are messages or parts as in every other format."""
    derived: Columns = {}
    for name in ("prompt", "system_prompt"):
        if name in columns:
            derived[name] = [_text(v, name) if isinstance(v, dict | list) else v for v in columns[name]]
    for name in ("tool_names", "logit_bias", "minted", "carried"):
        derived[name] = records.at(name)
    return derived


FORMAT = Format(
    name="native",
    meaning="the canonical record as JSON lines, CSV or Parquet; accounts, account events, model releases",
    capabilities=frozenset(CAPABILITIES),
    sniff=_sniff,
    fields={c.name: (c.name,) for columns in COLUMNS.values() for c in columns},
    account=("account_id", "org_id", "api_key_id"),
    derive=_derive,
    contents=CONTENTS,
)

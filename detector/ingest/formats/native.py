"""The canonical record itself, a JSON object or table row each; also accounts, events, model releases."""

from __future__ import annotations

from pathlib import Path

from detector.ingest.formats import Format, Options, Record
from detector.ingest.jsonsql import attribute, not_object
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
    """What a native file holds, by its lines, or by its name where they do not tell."""
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
    return (
        len(keys & {"request_id", "ts", "account_id", "model", "prompt"}) >= 3
        or {"account_id", "event"} <= keys
        or {"model", "released_at"} <= keys
        or ("account_id" in keys and bool(keys & _ONLY_ACCOUNTS))
    )


def _select(options: Options, content: str) -> str:
    columns = COLUMNS[content]
    structure = ", ".join(f'"{c.name}": "VARCHAR"' for c in columns)
    # A text column that holds an object or a list is a wrong type; text that merely looks like one is not.
    nested = " ".join(
        f"""WHEN (starts_with(e.{c.name}, '{{') OR starts_with(e.{c.name}, '['))
            AND json_type(text, '$.{c.name}') IN ('OBJECT', 'ARRAY') THEN '{c.name}'"""
        for c in columns
        if c.type == "VARCHAR"
    )
    replaced = ""
    if content == "requests":
        named = f"{attribute('text', options.account_attribute)}, " if options.account_attribute else ""
        replaced = f"""REPLACE (coalesce({named}nullif(account_id, ''), nullif(org_id, ''),
            nullif(api_key_id, '')) AS account_id)"""
    return f"""
        SELECT * {replaced} FROM (
            SELECT line, text, strlen(text) - ends_with(text, chr(10))::INTEGER AS n_bytes, false AS other, nested AS field,
                CASE WHEN e IS NULL THEN {not_object()}
                    WHEN nested IS NOT NULL THEN nested || ': expected text, found an object or a list'
                    END AS fault, unnest(e)
            FROM (SELECT *, CASE {nested} END AS nested FROM (
                SELECT line, text, CASE WHEN json_valid(text)
                        AND (starts_with(text, '{{') OR json_type(text) = 'OBJECT')
                    THEN json_transform(text, '{{{structure}}}') END AS e FROM lines)))
    """


def _quick(options: Options) -> str:
    structure = ", ".join(f'"{c.name}": "VARCHAR"' for c in schema.CANONICAL)
    named = f"{attribute('text', options.account_attribute)}, " if options.account_attribute else ""
    return f"""
        SELECT * EXCLUDE (text) REPLACE (coalesce({named}account_id, org_id, api_key_id) AS account_id) FROM (
            SELECT line, text,
                unnest(CASE WHEN json_valid(text) THEN json_transform(text, '{{{structure}}}') END)
            FROM lines)"""


def _keys(options: Options, content: str) -> str:
    return "SELECT unnest(json_keys(text)) AS key FROM lines WHERE json_valid(text)"


def _known(options: Options, content: str) -> frozenset[str]:
    names = {c.name for c in COLUMNS[content]}
    return frozenset(names | {options.account_attribute or "account_id"})


FORMAT = Format(
    name="native",
    meaning="the canonical record as JSON lines, CSV or Parquet; accounts, account events, model releases",
    capabilities=frozenset(
        ("prompts", "ip", "account", "ja4", "params", "logprobs", "tokens", "latency", "session")
    ),
    sniff=_sniff,
    select=_select,
    keys=_keys,
    known=_known,
    quick=_quick,
    accounts=("account_id", "org_id", "api_key_id"),
    contents=("requests", "accounts", "account_events", "model_releases"),
)

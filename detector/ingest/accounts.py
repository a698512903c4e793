"""Turns account facts, account events and model releases into the lake's rows.

The first row of an account is valid from its sign-up, so that a log replayed months later still has its accounts.
Without a sign-up date it is always valid. A later row is valid from its own date, or from when it was read.
A row that repeats known facts is a duplicate.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from functools import cache
from pathlib import Path

import orjson
import polars as pl

import rules
from detector.ingest.address import addresses
from detector.ingest.splitting import Reject
from features import schema
from features.request.hashset import U64
from features.request.keyed import keyed_hash

_FACTS = (
    "org_id", "created_at", "payment_hash", "payment_bin_hash", "email_domain_hash", "email_domain_class",
    "signup_ip_hash", "signup_ip_prefix", "country", "pathway", "program", "verified", "status", "keys",
)  # fmt: skip
_KEYS = pl.List(pl.Struct({"key": pl.String, "value": pl.List(pl.String)}))


@cache
def mail_domains() -> dict[str, str]:
    """Mail domain to ``free`` or ``disposable``; every other domain is ``custom``."""
    listed = json.loads(rules.read_text("allowlists/mail_domains.json"))
    return {domain: kind for kind in ("free", "disposable") for domain in listed[kind]}


def to_rows(
    canonical: pl.DataFrame, *, key: bytes, file_id: str, pseudonymise: bool
) -> tuple[pl.DataFrame, list[Reject]]:
    """Accounts in the lake's columns, and a reject for each with wrong keys. ``valid_from`` is the log's own."""
    key_maps = [_keys(text) for text in canonical["keys"]]
    rejects = [
        Reject(line, "wrong_type", "expected an object of kind to list of values", "keys")
        for line, key_map in zip(canonical["line"], key_maps, strict=True)
        if key_map is None
    ]
    good = canonical.filter(pl.Series([key_map is not None for key_map in key_maps], dtype=pl.Boolean))
    keyed = _hash_keys([key_map for key_map in key_maps if key_map is not None], key)
    ip = addresses(good["signup_ip"])
    domain = good["email_domain"].str.to_lowercase().str.strip_chars(" .").str.split("@").list.last()
    kinds = mail_domains()
    rows = good.with_columns(
        account_id=keyed_hash(good["account_id"], key, "account") if pseudonymise else good["account_id"],
        payment_hash=keyed_hash(good["payment_fingerprint"], key, "payment"),
        payment_bin_hash=keyed_hash(good["payment_bin"], key, "payment_bin"),
        email_domain_hash=keyed_hash(domain, key, "email_domain"),
        email_domain_class=pl.Series(
            [None if d is None else kinds.get(d, "custom") for d in domain], dtype=pl.String
        ),
        signup_ip_hash=keyed_hash(ip["ip"], key, "ip"),
        signup_ip_prefix=ip["prefix"],
        keys=keyed,
        file_id=pl.lit(file_id),
    )
    return rows.select("account_id", *_FACTS, "valid_from", "file_id", "line"), rejects


def _keys(text: str | None) -> dict[str, list[str]] | None:
    """Values by kind; None when ``text`` is no such object. A single value counts as a list of one."""
    if not text:
        return {}
    try:
        parsed = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if isinstance(parsed, list) and all(isinstance(p, dict) and set(p) == {"key", "value"} for p in parsed):
        parsed = {p["key"]: p["value"] for p in parsed}
    if not isinstance(parsed, dict):
        return None
    by_kind: dict[str, list[str]] = {}
    for kind, values in parsed.items():
        listed = values if isinstance(values, list) else [values]
        filled = [v for v in listed if v not in (None, "")]
        if not kind or not all(isinstance(v, str | int) and not isinstance(v, bool) for v in filled):
            return None
        if filled:
            by_kind[kind[:64]] = [str(v) for v in filled]
    return by_kind


def _hash_keys(key_maps: list[dict[str, list[str]]], key: bytes) -> pl.Series:
    """The keys of each row as a map of kind to keyed hashes, both sorted; NULL for a row without keys."""
    hashed: dict[str, dict[str, str]] = {}
    for kind in {kind for row in key_maps for kind in row}:
        values = pl.Series(sorted({v for row in key_maps for v in row.get(kind, [])}), dtype=pl.String)
        hashed[kind] = dict(zip(values, keyed_hash(values, key, f"keys:{kind}"), strict=True))
    rows = [
        [
            {"key": kind, "value": sorted(hashed[kind][v] for v in set(values))}
            for kind, values in sorted(row.items())
        ]
        or None
        for row in key_maps
    ]
    return pl.Series("keys", rows, dtype=_KEYS)


class KnownAccounts:
    """The newest facts of every account: they tell a first row from a change and a change from a repetition."""

    def __init__(self, parts: Iterable[Path]) -> None:
        self._newest: dict[str, tuple[datetime | None, int]] = {}
        for part in parts:
            rows = pl.read_parquet(part)
            self._learn(rows, _digests(rows))

    def _learn(self, rows: pl.DataFrame, digests: list[int]) -> None:
        for account, start, digest in zip(rows["account_id"], rows["valid_from"], digests, strict=True):
            newest = self._newest.get(account)
            if newest is None or newest[0] is None or (start is not None and start >= newest[0]):
                self._newest[account] = (start, digest)

    def dated(self, rows: pl.DataFrame, now: datetime) -> tuple[pl.DataFrame, int]:
        """``rows`` without repetitions, each with the time it is valid from, and the number of repetitions."""
        digests = _digests(rows)
        starts: list[datetime | None] = []
        keep: list[bool] = []
        facts = zip(rows["account_id"], rows["created_at"], rows["valid_from"], digests, strict=True)
        for account, created, start, digest in facts:
            newest = self._newest.get(account)
            begins = created if newest is None else (start or now)
            repeats = (
                newest is not None
                and newest[1] == digest
                and (newest[0] is None or begins is None or begins >= newest[0])
            )
            keep.append(not repeats)
            starts.append(begins)
            if not repeats and (
                newest is None or newest[0] is None or (begins is not None and begins >= newest[0])
            ):
                self._newest[account] = (begins, digest)
        dated = rows.with_columns(pl.Series("valid_from", starts, dtype=pl.Datetime("us")))
        return dated.filter(pl.Series(keep, dtype=pl.Boolean)), keep.count(False)


def _digests(rows: pl.DataFrame) -> list[int]:
    """A hash of each row's facts; equal facts have equal hashes."""
    plain = rows.select(
        pl.col("keys").cast(_KEYS).list.eval(
            pl.concat_str(
                pl.element().struct.field("key"),
                pl.element().struct.field("value").list.join(","),
                separator="=",
            )
        ).list.join(";"),
        *(name for name in _FACTS if name != "keys"),
    )  # fmt: skip
    return plain.hash_rows().to_list()


def keys(table: str, rows: pl.DataFrame) -> U64:
    """A hash of each row of accounts, events or releases; rows that say the same have equal hashes."""
    if table == "accounts":
        plain = pl.DataFrame({"account": rows["account_id"], "facts": _digests(rows)})
    else:
        plain = rows.select(FACTS[table])
    return plain.hash_rows().to_numpy()


class KnownFacts:
    """Events or releases that were read before; the same one twice counts once."""

    def __init__(self, columns: tuple[str, ...], parts: Iterable[Path]) -> None:
        self._columns = list(columns)
        self._seen: set[tuple[object, ...]] = set()
        for part in parts:
            self._seen.update(pl.read_parquet(part, columns=self._columns).select(self._columns).iter_rows())

    def new(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows that were not seen before. They count as seen from now on."""
        keep = []
        for row in rows.select(self._columns).iter_rows():
            keep.append(row not in self._seen)
            self._seen.add(row)
        return rows.filter(pl.Series(keep, dtype=pl.Boolean))


FACTS: dict[str, tuple[str, ...]] = {
    "account_events": tuple(c.name for c in schema.ACCOUNT_EVENTS),
    "model_releases": tuple(c.name for c in schema.MODEL_RELEASES),
}

"""Account facts, account events and model releases to the lake's rows.

The first row ever seen of an account holds from its sign-up (always, where that is not known), so that a log
replayed months later still has its accounts; a later row holds from its own date, else from when it was read.
A row that repeats what is known already is a duplicate.
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
    """Accounts in the lake's columns, ``valid_from`` as the log gave it, and those with wrong keys."""
    read = [_keys(text) for text in canonical["keys"]]
    rejects = [
        Reject(line, "wrong_type", "expected an object of kind to list of values", "keys")
        for line, found in zip(canonical["line"], read, strict=True)
        if found is None
    ]
    good = canonical.filter(pl.Series([found is not None for found in read], dtype=pl.Boolean))
    keyed = _hash_keys([found for found in read if found is not None], key)
    ip = addresses(good["signup_ip"])
    domain = good["email_domain"].str.to_lowercase().str.strip_chars(" .").str.split("@").list.last()
    kinds = mail_domains()
    made = good.with_columns(
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
    return made.select("account_id", *_FACTS, "valid_from", "file_id", "line"), rejects


def _keys(text: str | None) -> dict[str, list[str]] | None:
    """Kind to values; None when it is not that. A single value stands for a list of one."""
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
    found: dict[str, list[str]] = {}
    for kind, values in parsed.items():
        listed = values if isinstance(values, list) else [values]
        kept = [v for v in listed if v not in (None, "")]
        if not kind or not all(isinstance(v, str | int) and not isinstance(v, bool) for v in kept):
            return None
        if kept:
            found[kind[:64]] = [str(v) for v in kept]
    return found


def _hash_keys(found: list[dict[str, list[str]]], key: bytes) -> pl.Series:
    """Each row's keys as a map of kind to keyed hashes, kinds and hashes sorted; NULL where it has none."""
    hashed: dict[str, dict[str, str]] = {}
    for kind in {kind for row in found for kind in row}:
        values = pl.Series(sorted({v for row in found for v in row.get(kind, [])}), dtype=pl.String)
        hashed[kind] = dict(zip(values, keyed_hash(values, key, f"keys:{kind}"), strict=True))
    rows = [
        [
            {"key": kind, "value": sorted(hashed[kind][v] for v in set(values))}
            for kind, values in sorted(row.items())
        ]
        or None
        for row in found
    ]
    return pl.Series("keys", rows, dtype=_KEYS)


class KnownAccounts:
    """The newest known facts of every account, to tell first rows, changes and repetitions apart."""

    def __init__(self, parts: Iterable[Path]) -> None:
        self._newest: dict[str, tuple[datetime | None, int]] = {}
        for part in parts:
            rows = pl.read_parquet(part)
            self._learn(rows, _digests(rows))

    def _learn(self, rows: pl.DataFrame, digests: list[int]) -> None:
        for account, start, digest in zip(rows["account_id"], rows["valid_from"], digests, strict=True):
            held = self._newest.get(account)
            if held is None or held[0] is None or (start is not None and start >= held[0]):
                self._newest[account] = (start, digest)

    def dated(self, rows: pl.DataFrame, now: datetime) -> tuple[pl.DataFrame, int]:
        """``rows`` with the time from which each holds, without repetitions, and how many those were."""
        digests = _digests(rows)
        starts: list[datetime | None] = []
        keep: list[bool] = []
        given = zip(rows["account_id"], rows["created_at"], rows["valid_from"], digests, strict=True)
        for account, created, start, digest in given:
            held = self._newest.get(account)
            begins = created if held is None else (start or now)
            repeats = (
                held is not None
                and held[1] == digest
                and (held[0] is None or begins is None or begins >= held[0])
            )
            keep.append(not repeats)
            starts.append(begins)
            if not repeats and (
                held is None or held[0] is None or (begins is not None and begins >= held[0])
            ):
                self._newest[account] = (begins, digest)
        dated = rows.with_columns(pl.Series("valid_from", starts, dtype=pl.Datetime("us")))
        return dated.filter(pl.Series(keep, dtype=pl.Boolean)), keep.count(False)


def _digests(rows: pl.DataFrame) -> list[int]:
    """A hash of each row's facts, alike for alike facts."""
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
    """A hash of each row of accounts, events or releases, alike for rows that say the same."""
    if table == "accounts":
        plain = pl.DataFrame({"account": rows["account_id"], "facts": _digests(rows)})
    else:
        plain = rows.select(FACTS[table])
    return plain.hash_rows().to_numpy()


class KnownFacts:
    """Events or releases seen already; the same one twice counts once."""

    def __init__(self, columns: tuple[str, ...], parts: Iterable[Path]) -> None:
        self._columns = list(columns)
        self._seen: set[tuple[object, ...]] = set()
        for part in parts:
            self._seen.update(pl.read_parquet(part, columns=self._columns).select(self._columns).iter_rows())

    def new(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows not seen before; they are seen from now on."""
        keep = []
        for row in rows.select(self._columns).iter_rows():
            keep.append(row not in self._seen)
            self._seen.add(row)
        return rows.filter(pl.Series(keep, dtype=pl.Boolean))


FACTS: dict[str, tuple[str, ...]] = {
    "account_events": tuple(c.name for c in schema.ACCOUNT_EVENTS),
    "model_releases": tuple(c.name for c in schema.MODEL_RELEASES),
}

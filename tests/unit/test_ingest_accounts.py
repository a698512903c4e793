"""Account facts, events and releases: validity, keys, repetitions; addresses; ids seen."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from made_lake import KEY, rows

from detector.ingest.accounts import mail_domains
from detector.ingest.address import addresses
from detector.ingest.ingestion import ingest
from detector.ingest.report import FileReport
from detector.lake.store import Store

NOW = datetime(2026, 11, 20, 12)
LATER = datetime(2026, 11, 21, 12)
CREATED = "2026-10-01T00:00:00Z"


def take(store: Store, path: Path, *rows: dict[str, Any], now: datetime = NOW) -> FileReport:
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    [report] = ingest([path], store, key=KEY, now=now, max_rejects=1.0)
    assert report.n_lines == report.n_requests + report.n_rejects + report.n_duplicates
    return report


def held(store: Store) -> list[tuple[str, datetime | None, str | None]]:
    return [(r["account_id"], r["valid_from"], r["status"]) for r in rows(store, "accounts")]


def test_the_first_row_holds_from_sign_up_and_later_ones_from_their_own_date(
    store: Store, tmp_path: Path
) -> None:
    report = take(
        store,
        tmp_path / "accounts.jsonl",
        {"account_id": "a", "created_at": CREATED, "valid_from": "2026-11-05T00:00:00Z", "status": "active"},
        {"account_id": "b", "status": "active", "email_domain": "example.com"},
        {"account_id": "a", "created_at": CREATED, "valid_from": "2026-11-07T00:00:00Z", "status": "banned"},
        {"account_id": "a", "created_at": CREATED, "valid_from": "2026-11-08T00:00:00Z", "status": "banned"},
    )
    assert (report.content, report.n_requests, report.n_duplicates) == ("accounts", 3, 1)
    assert held(store) == [
        ("a", datetime(2026, 10, 1), "active"),
        ("a", datetime(2026, 11, 7), "banned"),
        ("b", None, "active"),
    ]


def test_a_later_file_adds_only_what_changed_dated_to_its_reading(store: Store, tmp_path: Path) -> None:
    facts = {"created_at": CREATED, "keys": {"phone": ["1", "2"]}, "email_domain": "example.com"}
    take(store, tmp_path / "accounts_1.jsonl", {"account_id": "a", **facts}, {"account_id": "b", **facts})
    report = take(
        store,
        tmp_path / "accounts_2.jsonl",
        {"account_id": "a", **facts, "keys": {"phone": ["2", "1"]}},
        {"account_id": "b", **facts, "keys": {"phone": ["3"]}},
        {"account_id": "c", **facts},
        now=LATER,
    )
    assert (report.n_requests, report.n_duplicates) == (2, 1)
    assert [(a, t) for a, t, _ in held(store)] == [
        ("a", datetime(2026, 10, 1)),
        ("b", datetime(2026, 10, 1)),
        ("b", LATER),
        ("c", datetime(2026, 10, 1)),
    ]


def test_identity_is_keyed_and_comparable(store: Store, tmp_path: Path) -> None:
    one = {
        "account_id": "a",
        "payment_fingerprint": "fp",
        "payment_bin": "400000",
        "email_domain": "Example.COM",
    }
    two = {"account_id": "b", "payment_fingerprint": "fp", "email_domain": "Gmail.com."}
    take(
        store,
        tmp_path / "accounts.jsonl",
        {**one, "signup_ip": "192.0.2.9", "keys": {"phone": ["+1", "+2"], "inviter": "x", "none": []}},
        {**two, "signup_ip": "::ffff:192.0.2.9", "keys": {"phone": ["+2"], "device": [7]}},
        {"account_id": "c", "email_domain": "mailinator.com", "signup_ip": "nowhere"},
    )
    a, b, c = rows(store, "accounts")
    assert a["payment_hash"] == b["payment_hash"] != a["payment_bin_hash"]
    assert a["signup_ip_hash"] == b["signup_ip_hash"]
    assert a["signup_ip_prefix"] == b["signup_ip_prefix"] == "192.0.2.0/24"
    assert (c["signup_ip_hash"], c["signup_ip_prefix"]) == (None, None)
    assert [r["email_domain_class"] for r in (a, b, c)] == ["custom", "free", "disposable"]
    first, second = dict(a["keys"]), dict(b["keys"])
    assert set(first) == {"phone", "inviter"}
    assert len(first["phone"]) == 2
    assert second["phone"][0] in first["phone"]
    assert c["keys"] is None
    assert not {"fp", "400000", "example.com", "192.0.2.9", "+1"} & set(
        json.dumps([a, b], default=str).split('"')
    )


@pytest.mark.parametrize(
    "keys", [["x"], "text", 5, {"phone": {"a": 1}}, {"": ["x"]}, {"phone": [True]}, {"p": [[1]]}]
)
def test_wrong_keys_are_rejected(store: Store, tmp_path: Path, keys: object) -> None:
    path = tmp_path / "accounts.jsonl"
    report = take(store, path, {"account_id": "a", "keys": keys}, {"account_id": "b", "created_at": CREATED})
    assert report.reasons == {"keys: expected an object of kind to list of values": 1}
    assert [r["account_id"] for r in rows(store, "accounts")] == ["b"]
    assert [(r["line"], r["field"]) for r in rows(store, "rejects")] == [(1, "keys")]


def test_events_and_releases_count_once(store: Store, tmp_path: Path) -> None:
    event = {"ts": "2026-11-02T00:00:00Z", "account_id": "a", "event": "banned"}
    one = take(store, tmp_path / "account_events.jsonl", event, event, {**event, "event": "reinstated"})
    two = take(store, tmp_path / "more.jsonl", event, {**event, "account_id": "b"})
    assert [(r.content, r.n_requests, r.n_duplicates) for r in (one, two)] == [
        ("account_events", 2, 1), ("account_events", 1, 1),
    ]  # fmt: skip
    assert (one.first_ts, one.last_ts) == (datetime(2026, 11, 2), datetime(2026, 11, 2))
    release = {"model": "m", "released_at": "2026-11-03T00:00:00Z"}
    assert take(store, tmp_path / "model_releases.jsonl", release, release).n_requests == 1
    assert [r["model"] for r in rows(store, "model_releases")] == ["m"]


def test_contents_are_told_by_their_lines_before_their_names(store: Store, tmp_path: Path) -> None:
    sound = {"request_id": "r", "ts": "2026-11-01T10:00:00Z", "account_id": "a", "model": "m"}
    assert take(store, tmp_path / "accounts_payable.jsonl", sound).content == "requests"
    assert (
        take(store, tmp_path / "dump.jsonl", {"account_id": "a", "created_at": CREATED}).content == "accounts"
    )
    assert take(store, tmp_path / "accounts.jsonl", {"account_id": "only"}).content == "accounts"


def test_mail_domains_are_lower_case_and_in_one_class() -> None:
    assert set(mail_domains().values()) == {"free", "disposable"}
    assert all(d == d.lower().strip() and "." in d for d in mail_domains())
    assert not {"example.com", "example.org"} & set(mail_domains())


@pytest.mark.parametrize(
    ("raw", "ip", "prefix"),
    [
        ("192.0.2.7", "192.0.2.7", "192.0.2.0/24"),
        ("192.0.2.7:443", "192.0.2.7", "192.0.2.0/24"),
        (" 192.0.2.7 ", "192.0.2.7", "192.0.2.0/24"),
        ("::ffff:192.0.2.7", "192.0.2.7", "192.0.2.0/24"),
        ("2001:DB8:1:2:0:0:0:7", "2001:db8:1:2::7", "2001:db8:1::/48"),
        ("[2001:db8:1::7]:443", "2001:db8:1::7", "2001:db8:1::/48"),
        ("2001:db8::7%eth0", "2001:db8::7", "2001:db8::/48"),
        ("127.0.0.1", None, None),
        ("::1", None, None),
        ("0.0.0.0", None, None),
        ("::ffff:127.0.0.1", None, None),
        ("192.0.2.256", None, None),
        ("192.0.2", None, None),
        ("192.00.2.1", None, None),
        ("unknown", None, None),
        ("", None, None),
        (None, None, None),
    ],
)
def test_addresses(raw: str | None, ip: str | None, prefix: str | None) -> None:
    beside = ["198.51.100.1", raw, "2001:db8:9::1", raw]
    found = addresses(pl.Series(beside, dtype=pl.String))
    assert found["ip"].to_list() == ["198.51.100.1", ip, "2001:db8:9::1", ip]
    assert found["prefix"].to_list() == ["198.51.100.0/24", prefix, "2001:db8:9::/48", prefix]


def test_addresses_of_nothing() -> None:
    assert addresses(pl.Series([], dtype=pl.String)).height == 0
    assert addresses(pl.Series([None, None], dtype=pl.String)).rows() == [(None, None)] * 2

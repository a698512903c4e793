"""Reading a file again: its rows are replaced, and what another file gave too is never lost or doubled."""

from __future__ import annotations

import gzip
import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from test_ingest_ledger import check, ids, log, request, rows, take

from detector.errors import LogError
from detector.ingest import intake
from detector.lake.store import Store

NOW = datetime(2026, 11, 20, 12)


def requests(store: Store) -> list[tuple[str, str]]:
    return [(r["request_id"], r["account_id"]) for r in rows(store, "requests", "request_id, account_id")]


def broken(path: Path) -> dict[str, Any]:
    """Settings under which the native lines of ``path`` all turn out to be rejects."""
    return {"format": "envoy", "again": True}


def test_rows_that_another_file_gave_too_stay_as_that_files(store: Store, tmp_path: Path) -> None:
    a = log(tmp_path / "a.jsonl", request(1), request(2))
    b = log(tmp_path / "b.jsonl", request(9), request(2), request(3))
    take(store, a, b)
    report = take(store, a, **broken(a))["a.jsonl"]
    assert (report.n_requests, report.n_rejects, report.n_replaced) == (0, 2, 2)
    assert any("stay" in remark and "b.jsonl" in remark for remark in report.remarks)
    assert ids(store) == ["r-2", "r-3", "r-9"]
    [theirs] = [r for r in rows(store, "requests") if r["request_id"] == "r-2"]
    files = {Path(r["path"]).name: r for r in rows(store, "files")}
    assert (theirs["file_id"], theirs["line"]) == (files["b.jsonl"]["file_id"], 2)
    assert (files["b.jsonl"]["n_requests"], files["b.jsonl"]["n_duplicates"]) == (3, 0)
    # And back again: now the other file has it.
    back = take(store, a)["a.jsonl"]
    assert (back.n_requests, back.n_duplicates) == (1, 1)
    assert ids(store) == ["r-1", "r-2", "r-3", "r-9"]


def test_rows_stay_when_the_other_file_is_gone(store: Store, tmp_path: Path) -> None:
    a = log(tmp_path / "a.jsonl", request(1), request(2), request(5, "2026-11-03T00:00:00Z"))
    b = log(tmp_path / "b.jsonl", request(1), request(2), request(2))
    take(store, a, b)
    b.unlink()
    report = take(store, a, **broken(a))["a.jsonl"]
    assert any("b.jsonl gave them too" in remark for remark in report.remarks)
    # Of the time that b speaks of all stays, of other times nothing.
    assert ids(store) == ["r-1", "r-2"]


def test_a_file_that_gives_the_same_again_changes_no_other(store: Store, tmp_path: Path) -> None:
    a = log(tmp_path / "a.jsonl", request(1), request(2))
    b = log(tmp_path / "b.jsonl", request(2), request(3))
    take(store, a, b)
    before = {p.name for p in store.parts("requests") if not p.name.startswith(files(store)["a.jsonl"][:16])}
    assert take(store, a, again=True)["a.jsonl"].remarks == []
    assert before <= {p.name for p in store.parts("requests")}
    assert ids(store) == ["r-1", "r-2", "r-3"]


def files(store: Store) -> dict[str, str]:
    return {Path(r["path"]).name: r["file_id"] for r in rows(store, "files")}


def test_a_log_that_has_grown_since_replaces_its_shorter_state(store: Store, tmp_path: Path) -> None:
    lines = [request(n, tenant="t") for n in range(6)]
    path = log(tmp_path / "api.jsonl", *lines[:2])
    take(store, path)
    log(path, *lines[:4])
    take(store, path)
    log(path, *lines)
    report = take(store, path, account_attribute="tenant", again=True)["api.jsonl"]
    assert (report.n_requests, report.n_replaced) == (6, 4)
    assert requests(store) == [(f"r-{n}", "t") for n in range(6)]
    assert len(rows(store, "files")) == 1


def test_a_rotated_and_packed_log_replaces_what_its_lines_gave_under_other_settings(
    store: Store, tmp_path: Path
) -> None:
    lines = [request(n, tenant="t") for n in range(4)]
    path = log(tmp_path / "api.jsonl", *lines, request(77, tenant="t"))
    take(store, path)
    packed = tmp_path / "api.jsonl.1.gz"
    packed.write_bytes(gzip.compress("".join(json.dumps(line) + "\n" for line in lines).encode()))
    take(store, packed)
    path.unlink()
    report = take(store, packed, account_attribute="tenant", again=True)["api.jsonl.1.gz"]
    assert report.n_requests == 4
    assert any("4 rows" in remark and "api.jsonl went" in remark for remark in report.remarks)
    # The line that only the lost file had is kept as it was read.
    assert requests(store) == [(f"r-{n}", "t") for n in range(4)] + [("r-77", "a-2")]


def test_other_content_at_the_same_path_is_not_taken_for_the_same_file(store: Store, tmp_path: Path) -> None:
    path = log(tmp_path / "api.jsonl", request(1))
    take(store, path)
    log(path, request(2))
    report = take(store, path, again=True)["api.jsonl"]
    assert ids(store) == ["r-1", "r-2"]
    assert report.remarks == ["1 rows that other files gave, read at this path before, stay"]


def test_what_goes_is_told_before_anything_is_done(store: Store, tmp_path: Path) -> None:
    a = log(tmp_path / "a.jsonl", request(1), request(2, "2026-11-05T00:00:00Z"))
    b = log(tmp_path / "b.jsonl", request(3))
    take(store, a)
    told: list[object] = []
    take(
        store, a, b, again=True, announce=lambda *what: told.append(what), each=lambda r: told.append(r.path)
    )
    assert told == [(a, 2, [date(2026, 11, 1), date(2026, 11, 5)]), (b, 0, []), a, b]


def test_a_file_that_fails_while_it_is_read_again_keeps_what_it_gave(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = log(tmp_path / "a.jsonl", request(1), request(2))
    take(store, path)

    def fail(self: intake.Intake) -> None:
        raise LogError("the disk went away")

    with monkeypatch.context() as patch:
        patch.setattr(intake.Intake, "finish", fail)
        assert take(store, path, again=True)["a.jsonl"].status == "unreadable"
    assert ids(store) == ["r-1", "r-2"]
    assert take(store, path)["a.jsonl"].in_lake


def test_accounts_read_again_hold_from_when_they_did(store: Store, tmp_path: Path) -> None:
    first = log(tmp_path / "accounts_1.jsonl", {"account_id": "a", "status": "active"}, {"account_id": "b"})
    second = log(tmp_path / "accounts_2.jsonl", {"account_id": "a", "status": "banned"}, {"account_id": "b"})
    take(store, first)
    take(store, second, now=datetime(2026, 11, 21))
    before = [(r["account_id"], r["valid_from"], r["status"]) for r in rows(store, "accounts")]
    take(store, first, again=True, now=datetime(2026, 11, 25))
    assert [(r["account_id"], r["valid_from"], r["status"]) for r in rows(store, "accounts")] == before
    take(store, second, again=True, now=datetime(2026, 11, 26))
    assert [(r["account_id"], r["valid_from"], r["status"]) for r in rows(store, "accounts")] == before


def test_events_that_another_file_gave_too_stay(store: Store, tmp_path: Path) -> None:
    event = {"ts": "2026-11-02T00:00:00Z", "account_id": "a", "event": "banned"}
    a = log(tmp_path / "a.jsonl", event, {**event, "account_id": "b"})
    b = log(tmp_path / "b.jsonl", {**event, "account_id": "c"}, event)
    take(store, a, b)
    # A clock that ran ahead when they were read: today the lines are in the future.
    report = take(store, a, again=True, now=datetime(2026, 10, 1))["a.jsonl"]
    assert (report.n_requests, report.n_rejects) == (0, 2)
    assert [r["account_id"] for r in rows(store, "account_events", "account_id")] == ["a", "c"]


def test_a_folder_is_read_again_whole(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for name, low in (("a", 0), ("b", 3), ("c", 6)):
        log(folder / f"{name}.jsonl", *(request(n, tenant=f"t-{n}") for n in range(low, low + 5)))
    take(store, folder)
    take(store, folder, account_attribute="tenant", again=True)
    assert requests(store) == sorted((f"r-{n}", f"t-{n}") for n in range(11))
    check(store)
    assert not any(r.outdated for r in take(store, folder, account_attribute="tenant").values())

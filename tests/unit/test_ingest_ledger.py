"""The ledger of files: every path ends in it; other settings are noticed; what is set aside is named."""

from __future__ import annotations

import json
import os
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from made_lake import KEY, log, rows

from detector.ingest.bounds import Bounds
from detector.ingest.ingestion import ingest
from detector.ingest.ledger import identify
from detector.ingest.report import FileReport
from detector.lake.rows import empty
from detector.lake.store import Store

NOW = datetime(2026, 11, 20, 12)


def request(n: int, ts: str = "2026-11-01T10:00:00Z", **more: Any) -> dict[str, Any]:
    return {"request_id": f"r-{n}", "ts": ts, "account_id": f"a-{n % 3}", "model": "m", **more}


def take(store: Store, *paths: Path, now: datetime = NOW, **settings: Any) -> dict[str, FileReport]:
    reports = ingest(paths, store, key=KEY, now=now, max_rejects=1.0, **settings)
    for r in reports:
        assert r.n_lines == r.n_requests + r.n_rejects + r.n_duplicates
    check(store)
    return {r.path.name: r for r in reports}


def check(store: Store) -> None:
    """The ledger accounts for every line and row, whatever was read again."""
    for row in rows(store, "files"):
        if row["n_lines"] is None:
            continue
        assert row["n_lines"] == row["n_requests"] + row["n_rejects"] + row["n_duplicates"], row
        held = store.engine.query(
            f"SELECT count(*) AS n FROM {store.relation(row['content'])} WHERE file_id = '{row['file_id']}'"
        ).to_pylist()[0]["n"]
        assert held == row["n_requests"], row
        [aside] = store.engine.query(
            f"SELECT coalesce(sum(n), 0) AS n FROM {store.relation('rejects')}"
            f" WHERE file_id = '{row['file_id']}'"
        ).to_pylist()
        assert aside["n"] == row["n_rejects"], row


def ran(store: Store, *days: date) -> None:
    for day in days:
        with store.transaction("run") as txn:
            txn.swap("runs", empty("runs"), day=day)


def ids(store: Store) -> list[str]:
    return [r["request_id"] for r in rows(store, "requests", "request_id, account_id")]


# -- every path ends in the ledger -------------------------------------------------------------------------


def test_every_path_ends_as_read_passed_or_unreadable_and_nights_do_not_grow_the_table(
    store: Store, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    log(folder / "a.jsonl", request(1))
    (folder / "empty.jsonl").write_bytes(b"")
    (folder / "cut.parquet").write_bytes(b"PAR1 and no more")
    (folder / os.fsdecode(b"bad\xff.parquet")).write_bytes(b"PAR1 and no more")
    for night in range(3):
        reports = take(store, folder, now=datetime(2026, 11, 20 + night))
        found = {Path(r["path"]).name: r["status"] for r in rows(store, "files")}
        assert found == {
            "a.jsonl": "read", "empty.jsonl": "passed", "cut.parquet": "unreadable",
            "bad\\xff.parquet": "unreadable",
        }  # fmt: skip
        assert all(r["reason"] for r in rows(store, "files") if r["status"] != "read")
        assert reports["a.jsonl"].in_lake == (night > 0)
    assert len(store.parts("files")) == 2
    (folder / "cut.parquet").unlink()
    take(store, folder)
    assert "cut.parquet" not in {Path(r["path"]).name for r in rows(store, "files")}


@pytest.mark.parametrize("together", [True, False])
def test_a_copy_of_a_file_that_was_read_ends_as_a_row_that_names_the_first(
    store: Store, tmp_path: Path, together: bool
) -> None:
    first, copy = log(tmp_path / "in" / "a.jsonl", request(1)), log(tmp_path / "in" / "b.jsonl", request(1))
    if not together:
        take(store, first)
    for night in range(2):
        reports = take(store, tmp_path / "in", now=datetime(2026, 11, 20 + night))
        assert (reports["b.jsonl"].in_lake, reports["b.jsonl"].copy_of) == (True, str(first))
        assert reports["a.jsonl"].copy_of == ""
        found = {Path(r["path"]).name: r for r in rows(store, "files")}
        assert {name: r["status"] for name, r in found.items()} == {"a.jsonl": "read", "b.jsonl": "passed"}
        assert found["b.jsonl"]["reason"] == f"the same bytes as {first}, which was read"
        assert found["b.jsonl"]["file_id"] is None
    take(store, copy, again=True)  # the file is the copy's from now on, and the other path waits to be given
    assert [(r["path"], r["status"]) for r in rows(store, "files")] == [(str(copy), "read")]
    take(store, tmp_path / "in")
    assert {(Path(r["path"]).name, r["status"]) for r in rows(store, "files")} == {
        ("a.jsonl", "passed"), ("b.jsonl", "read"),
    }  # fmt: skip
    assert ids(store) == ["r-1"]


def test_lines_that_nginx_escaped_for_no_json_say_what_to_set(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "requests.jsonl"
    path.write_text(
        json.dumps(request(1)) + '\n{"request_id": "r", "ua": "a \\x22quoted\\x22 agent"}\n{"cut\n'
    )
    take(store, path)
    one, two = rows(store, "rejects", "line")
    assert "escape=json" in one["reason"]
    assert two["reason"] == "not valid JSON"


def test_what_one_call_is_not_given_stays_as_another_left_it(store: Store, tmp_path: Path) -> None:
    for name in ("one", "one-more"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cut.parquet").write_bytes(b"PAR1 and no more")
    take(store, tmp_path / "one")
    take(store, tmp_path / "one-more")
    assert len(rows(store, "files")) == 2
    (tmp_path / "one" / "cut.parquet").unlink()
    take(store, tmp_path / "one")
    assert [Path(r["path"]).parent.name for r in rows(store, "files")] == ["one-more"]


def test_an_archive_cut_short_is_read_so_far_and_stays_unreadable_until_it_is_whole(
    store: Store, tmp_path: Path
) -> None:
    import gzip
    import random

    text = "".join(
        json.dumps(request(n, user_agent=random.Random(n).randbytes(40).hex())) + "\n" for n in range(500)
    )
    whole = gzip.compress(text.encode())
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(whole[: len(whole) // 2])
    first = take(store, path)["a.jsonl.gz"]
    assert first.status == "unreadable"
    assert 0 < first.n_requests < 500
    again = take(store, path)["a.jsonl.gz"]
    assert (again.status, again.in_lake) == ("unreadable", True)
    path.write_bytes(whole)
    cured = take(store, path)["a.jsonl.gz"]
    assert (cured.status, cured.n_requests + first.n_requests) == ("read", 500)


def test_a_file_of_rejects_alone_is_told_each_time(store: Store, tmp_path: Path) -> None:
    path = log(tmp_path / "requests.jsonl", request(1, ts="never"), request(2, ts="never"))
    assert take(store, path)["requests.jsonl"].codes.total() == 2
    again = take(store, path)["requests.jsonl"]
    assert (again.in_lake, again.reject_share) == (True, 1.0)


def test_ids_of_shorter_states_are_those_the_file_had(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"")
    nothing = identify(path)[0]
    path.write_bytes(b"abc")
    short = identify(path)[0]
    path.write_bytes(b"abc" + b"d" * (3 << 20))
    whole, states = identify(path, [0, 3, 1 << 20, 10 << 20])
    assert states[3] == short
    assert set(states) == {3, 1 << 20}
    assert whole not in (short, nothing)


# -- time --------------------------------------------------------------------------------------------------


def test_lines_ahead_of_the_clock_are_set_aside_and_taken_once_their_time_has_come(
    store: Store, tmp_path: Path
) -> None:
    path = log(
        tmp_path / "requests.jsonl",
        request(1),
        request(2, "2026-11-21T11:59:59Z"),
        request(3, "2026-11-21T12:00:01Z"),
        request(4, "2099-01-01T00:00:00Z"),
        request(5, "2099-12-31T23:59:59Z"),
    )
    report = take(store, path)["requests.jsonl"]
    assert (report.n_requests, report.n_rejects) == (2, 3)
    assert ids(store) == ["r-1", "r-2"]
    found = rows(store, "rejects", "line")
    assert found[0]["line"] == 3
    assert found[0]["code"] == "future"
    assert not take(store, path, now=datetime(2026, 11, 20, 12, 0, 0))["requests.jsonl"].outdated
    named = take(store, path, now=datetime(2026, 11, 20, 12, 0, 1))["requests.jsonl"]
    assert "would be taken by now" in named.outdated
    assert not named.needs_backfill
    take(store, path, now=datetime(2026, 11, 20, 12, 0, 1), again=True)
    assert ids(store) == ["r-1", "r-2", "r-3"]
    [row] = rows(store, "files")
    assert (row["ingested_at"], row["reread_at"]) == (NOW, datetime(2026, 11, 20, 12, 0, 1))


def test_the_clock_skew_is_a_setting(store: Store, tmp_path: Path) -> None:
    path = log(tmp_path / "requests.jsonl", request(1, "2026-11-20T13:00:00Z"))
    assert take(store, path, max_clock_skew=0.0)["requests.jsonl"].n_rejects == 1
    # It gave nothing, so it is read anew by itself once it may.
    assert take(store, path, max_clock_skew=0.1)["requests.jsonl"].n_requests == 1


def test_a_fresh_lake_takes_any_past_and_a_lake_that_ran_sets_late_lines_aside(
    store: Store, tmp_path: Path
) -> None:
    old = log(tmp_path / "a" / "requests.jsonl", request(1, "2001-01-01T00:00:00Z"))
    assert take(store, old)["requests.jsonl"].n_requests == 1
    ran(store, date(2026, 11, 10))
    late = log(
        tmp_path / "b" / "requests.jsonl",
        request(2, "2026-10-06T00:00:00Z"),
        request(3, "2026-10-05T23:59:59Z"),
        request(4, "2001-01-01T00:00:00Z"),
    )
    report = take(store, late)["requests.jsonl"]
    assert (report.n_requests, dict(report.codes)) == (1, {"late": 2})
    assert not take(store, late)["requests.jsonl"].outdated
    named = take(store, late, backfill=True)["requests.jsonl"]
    assert named.outdated
    assert named.needs_backfill
    taken = take(store, late, backfill=True, again=True)["requests.jsonl"]
    assert (taken.n_requests, taken.n_rejects, taken.n_replaced) == (3, 0, 1)
    assert not take(store, late)["requests.jsonl"].outdated


def test_a_file_of_late_lines_alone_is_read_by_a_backfill_without_more_words(
    store: Store, tmp_path: Path
) -> None:
    ran(store, date(2026, 11, 10))
    late = log(tmp_path / "requests.jsonl", request(1, "2001-01-01T00:00:00Z"))
    assert take(store, late)["requests.jsonl"].n_rejects == 1
    assert take(store, late)["requests.jsonl"].in_lake
    assert take(store, late, backfill=True)["requests.jsonl"].n_requests == 1


def test_a_day_run_in_the_future_does_not_make_the_present_late(store: Store, tmp_path: Path) -> None:
    ran(store, date(2026, 11, 10), date(2099, 1, 1))
    path = log(tmp_path / "requests.jsonl", request(1, "2026-11-11T00:00:00Z"))
    assert take(store, path)["requests.jsonl"].n_requests == 1


def test_bounds_hold_at_the_ends_of_time() -> None:
    bounds = Bounds.of(NOW, [date.min], max_clock_skew=1e9, max_lateness=1e9, backfill=False)
    assert (bounds.latest, bounds.earliest) == (datetime.max, datetime.min)


def test_facts_ahead_of_the_clock_events_and_releases_wait_accounts_are_kept_and_counted(
    store: Store, tmp_path: Path
) -> None:
    ahead, past = "2027-01-01T00:00:00Z", "2001-01-01T00:00:00Z"
    ran(store, date(2026, 11, 10))
    event = {"account_id": "a", "event": "banned"}
    folder = tmp_path / "in"
    log(folder / "account_events.jsonl", {**event, "ts": ahead}, {**event, "ts": past})
    log(folder / "model_releases.jsonl", {"model": "m", "released_at": ahead})
    log(folder / "accounts.jsonl", {"account_id": "a", "created_at": ahead})
    reports = take(store, folder)
    assert (reports["account_events.jsonl"].n_requests, reports["account_events.jsonl"].n_rejects) == (1, 1)
    assert reports["model_releases.jsonl"].codes == {"future": 1}
    assert reports["accounts.jsonl"].n_requests == 1
    assert reports["accounts.jsonl"].notes["dated in the future, not used before then"] == 1


# -- other settings ----------------------------------------------------------------------------------------


def test_a_file_that_gave_nothing_is_read_anew_under_other_settings(store: Store, tmp_path: Path) -> None:
    path = log(tmp_path / "requests.jsonl", request(1), request(2))
    assert take(store, path, format="envoy")["requests.jsonl"].n_rejects == 2
    assert take(store, path, format="envoy")["requests.jsonl"].in_lake
    report = take(store, path)["requests.jsonl"]
    assert (report.n_requests, report.n_replaced) == (2, 0)
    assert rows(store, "rejects") == []
    assert len(rows(store, "files")) == 1
    assert take(store, path)["requests.jsonl"].in_lake


def test_a_file_that_gave_something_under_other_settings_is_named_and_read_only_when_asked(
    store: Store, tmp_path: Path
) -> None:
    path = log(tmp_path / "requests.jsonl", *(request(n, tenant=f"t-{n % 2}") for n in range(6)))
    take(store, path)
    named = take(store, path, account_attribute="tenant")["requests.jsonl"]
    assert 'account_attribute was not set, is "tenant"' in named.outdated
    assert {r["account_id"] for r in rows(store, "requests")} == {"a-0", "a-1", "a-2"}
    before = {p.name for p in store.parts("requests")}
    report = take(store, path, account_attribute="tenant", again=True)["requests.jsonl"]
    assert (report.n_requests, report.n_replaced, report.days_replaced) == (6, 6, [date(2026, 11, 1)])
    assert {r["account_id"] for r in rows(store, "requests")} == {"t-0", "t-1"}
    assert len(rows(store, "requests")) == 6
    # Days are told to be stale by the names of their parts.
    assert before.isdisjoint(p.name for p in store.parts("requests"))
    assert not take(store, path, account_attribute="tenant")["requests.jsonl"].outdated


def test_settings_that_do_not_bear_on_a_file_do_not_make_it_another(store: Store, tmp_path: Path) -> None:
    path = log(tmp_path / "in" / "requests.jsonl", request(1))
    log(tmp_path / "in" / "accounts.jsonl", {"account_id": "a"})
    take(store, tmp_path / "in")
    found = take(store, tmp_path / "in", envoy_keys={"account_id": "x"}, format="native")
    assert not any(r.outdated for r in found.values())
    assert take(store, path, trusted_hops=1)["requests.jsonl"].outdated


def test_a_setting_that_came_later_or_holds_a_list_does_not_make_every_file_another(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from detector.ingest.formats import Options
    from detector.ingest.ledger import Settings, options_of

    inner = Settings.of

    def more(value: object) -> Any:
        return lambda self, form, content: inner(self, form, content) | {"later": value}

    path = log(tmp_path / "requests.jsonl", request(1))
    take(store, path)
    for empty_value in ((), {}, 0, None, False):
        monkeypatch.setattr(Settings, "of", more(empty_value))
        assert not take(store, path)["requests.jsonl"].outdated
    monkeypatch.setattr(Settings, "of", more(("a", "b")))
    assert 'later was not set, is ["a", "b"]' in take(store, path)["requests.jsonl"].outdated
    take(store, path, again=True)
    assert not take(store, path)["requests.jsonl"].outdated
    [row] = rows(store, "files")
    assert options_of(row, Options("today")).account_attribute is None


def test_a_forced_format_that_keeps_giving_is_not_named_night_after_night(
    store: Store, tmp_path: Path
) -> None:
    path = log(tmp_path / "requests.jsonl", request(1))
    take(store, path, format="native")
    assert not take(store, path)["requests.jsonl"].outdated


def test_a_wrong_format_that_gave_something_is_named(store: Store, tmp_path: Path) -> None:
    envoy = {"start_time": "2026-11-01T10:00:00Z", "x-request-id": "q", "account_id": "a", "model": "m"}
    path = log(tmp_path / "requests.jsonl", *(request(n) for n in range(3)), envoy)
    report = take(store, path, format="envoy", envoy_keys={"ts": "ts", "request_id": "request_id",
                  "account_id": "account_id", "model": "model"})["requests.jsonl"]  # fmt: skip
    assert report.n_requests
    assert "format was envoy, is native" in take(store, path)["requests.jsonl"].outdated


def test_files_of_an_older_lake_count_as_read_with_todays_settings(store: Store, tmp_path: Path) -> None:
    import polars as pl

    path = log(tmp_path / "requests.jsonl", request(1))
    take(store, path)
    new = [
        "status",
        "reason",
        "reject_codes",
        "future_from",
        "late_to",
        "settings",
        "settings_digest",
        "reread_at",
    ]
    [part] = store.parts("files")
    pl.read_parquet(part).drop(new).write_parquet(part)
    report = take(store, path, account_attribute="tenant")["requests.jsonl"]
    assert report.in_lake
    assert not report.outdated
    assert take(store, path, again=True)["requests.jsonl"].n_replaced == 1


# -- rejects -----------------------------------------------------------------------------------------------


def test_rejects_beyond_those_kept_are_counted_by_code_in_one_row(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from detector.ingest import rejected

    monkeypatch.setattr(rejected, "KEPT", 5)
    lines = [request(n, ts="never") if n % 2 else "{" for n in range(40)]
    ahead = [request(100 + n, "2099-01-01T00:00:00Z") for n in range(10)]
    report = take(store, log(tmp_path / "requests.jsonl", *lines, *ahead))["requests.jsonl"]
    assert (report.n_rejects, report.codes["future"], report.codes["not_json"]) == (50, 10, 20)
    found = rows(store, "rejects", "n, line")
    assert sum(r["n"] for r in found) == 50
    assert [r["n"] for r in found[:5]] == [1] * 5
    assert len(found) == 8
    assert json.loads(rows(store, "files")[0]["reject_codes"]) == dict(report.codes)


def test_an_account_attribute_found_nowhere_is_said(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from detector.ingest import mapping

    inner = mapping.RecordMapper.map

    def named(self: mapping.RecordMapper, block: Any) -> Any:
        mapped = inner(self, block)
        mapped.n_named = 0  # type: ignore[attr-defined]
        return mapped

    monkeypatch.setattr(mapping.RecordMapper, "map", named)
    path = log(tmp_path / "requests.jsonl", request(1))
    report = take(store, path, account_attribute="tenant_x")["requests.jsonl"]
    assert report.remarks == [
        "account_attribute 'tenant_x' was found on 0 of 1 lines; the format's own order was used"
    ]

"""Ingest end to end: rows, rejects, duplicates, ledgers; what comes in is what is accounted for."""

from __future__ import annotations

import csv
import gzip
import json
import random
import re
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_lake import KEY, log, rows

from detector.errors import ConfigError, DataQualityError, LogError
from detector.ingest import ingestion, intake, processing
from detector.ingest.ingestion import ingest
from detector.ingest.reader import Reader
from detector.ingest.report import FileReport
from detector.lake.store import Store

NOW = datetime(2026, 11, 20, 12)
SOUND = {"request_id": "r-0", "ts": "2026-11-01T10:00:00Z", "account_id": "a-0", "model": "m-large"}


def request(n: int, **more: Any) -> dict[str, Any]:
    return {**SOUND, "request_id": f"r-{n}", "account_id": f"a-{n % 3}", **more}


def take(store: Store, *paths: Path, **settings: Any) -> list[FileReport]:
    reports = ingest(paths, store, key=KEY, now=NOW, **settings)
    for r in reports:
        assert r.n_lines == r.n_requests + r.n_rejects + r.n_duplicates
        assert r.reasons.total() == r.n_rejects
    return reports


def test_requests_lie_by_day_with_text_measured_and_identity_keyed(store: Store, tmp_path: Path) -> None:
    path = log(
        tmp_path / "requests.jsonl",
        request(1, prompt="Solve step 17 of the proof.", system_prompt="You grade.", source_ip="192.0.2.77",
                api_key_id="k-1", end_user_id="someone", session_id="s-1", tool_names=["b", "a"],
                user_agent="sdk\u0007/1.0 " + "x" * 400, finish_reason="end_turn"),
        request(2, ts="2026-11-02T23:59:59.999999Z", source_ip="2001:db8:1:2::7"),
        request(3, ts="2026-11-03T01:00:00+02:00"),
    )  # fmt: skip
    [report] = take(store, path)
    assert (report.format, report.content, report.n_lines, report.n_requests) == ("native", "requests", 3, 3)
    assert store.days("requests") == [date(2026, 11, 1), date(2026, 11, 2)]
    one, two, three = rows(store, "requests", "request_id")
    assert [r["day"] for r in (one, two, three)] == [date(2026, 11, 1), date(2026, 11, 2), date(2026, 11, 2)]
    assert one["prompt_chars"] == 27
    assert one["system_chars"] == 10
    assert one["template_id"] is not None
    assert one["ip_prefix"] == "192.0.2.0/24"
    assert two["ip_prefix"] == "2001:db8:1::/48"
    assert one["user_agent"] == ("sdk/1.0 " + "x" * 400)[:255]  # the bell counted among the 256 that were cut
    assert (one["finish_reason"], one["tool_count"], one["line"]) == ("stop", 2, 1)
    for column in ("ip_hash", "api_key_hash", "end_user_hash", "session_hash", "tools_hash"):
        assert len(one[column]) == 32
        assert two[column] is None or column == "ip_hash"
    kept = json.dumps(one, default=str)
    for secret in ("Solve", "proof", "192.0.2.77", "someone", "k-1", "s-1"):
        assert secret not in kept
    [file] = rows(store, "files")
    assert (file["n_lines"], file["n_requests"], file["first_ts"]) == (3, 3, datetime(2026, 11, 1, 10))
    assert file["last_ts"] == datetime(2026, 11, 2, 23, 59, 59, 999999)
    assert file["ingested_at"] == NOW


def test_the_same_bytes_are_read_once_and_the_same_request_counts_once(store: Store, tmp_path: Path) -> None:
    first = log(tmp_path / "a" / "x.jsonl", request(1), request(2), request(1))
    assert [(r.n_requests, r.n_duplicates) for r in take(store, first)] == [(2, 1)]
    before = store.parts("requests")
    [again] = take(store, first)
    assert (again.skipped, again.in_lake, again.reason, again.n_lines) == (
        True,
        True,
        "already in the lake",
        0,
    )
    copy = log(tmp_path / "b" / "y.jsonl", request(1), request(2), request(1))
    assert take(store, copy)[0].skipped
    assert store.parts("requests") == before
    other = log(tmp_path / "z.jsonl", request(2), request(3), request(3))
    assert [(r.n_requests, r.n_duplicates) for r in take(store, other)] == [(1, 2)]
    assert [r["request_id"] for r in rows(store, "requests", "request_id")] == ["r-1", "r-2", "r-3"]
    assert len(rows(store, "files")) == 3


def test_the_same_id_in_two_files_of_one_call_counts_once(store: Store, tmp_path: Path) -> None:
    log(tmp_path / "in" / "a.jsonl", request(1), request(2))
    log(tmp_path / "in" / "b.jsonl", request(2), request(3))
    assert [(r.n_requests, r.n_duplicates) for r in take(store, tmp_path / "in")] == [(2, 0), (1, 1)]


TIME = "expected a time (ISO 8601, or epoch s, ms, us or ns) between 2000 and 2100"


def test_rejects_say_where_and_why_and_the_rest_is_kept(store: Store, tmp_path: Path) -> None:
    path = log(
        tmp_path / "requests.jsonl",
        request(1),
        '{"cut',
        "",
        request(2, ts="never"),
        request(3, ts=None),
        request(4, account_id=None),
        request(5, input_tokens="many"),
    )
    [report] = take(store, path, max_rejects=0.9)
    assert (report.n_lines, report.n_requests, report.n_rejects) == (7, 2, 5)
    found = rows(store, "rejects", "line")
    assert [(r["line"], r["reason"], r["field"]) for r in found] == [
        (2, "not valid JSON", None),
        (3, "blank line", None),
        (4, f"ts: {TIME}, found text of 5 characters", "ts"),
        (5, "ts is missing", "ts"),
        (6, "account_id is missing", "account_id"),
    ]
    assert {r["path"] for r in found} == {str(path)}
    assert report.notes["input_tokens: expected a whole number; taken as not known"] == 1
    assert rows(store, "requests", "line")[-1]["input_tokens"] is None


def test_too_many_rejects_end_in_the_data_quality_gate_after_all_is_stored(
    store: Store, tmp_path: Path
) -> None:
    path = log(tmp_path / "requests.jsonl", request(1), "{", "{", request(2, ts="never"))
    with pytest.raises(DataQualityError, match=r"3 of 4 lines.*not valid JSON \(2 times\)") as caught:
        ingest([path], store, key=KEY, now=NOW)
    assert "SELECT * FROM rejects" in str(caught.value)
    assert caught.value.exit_code == 3
    assert len(rows(store, "requests")) == 1
    assert len(rows(store, "rejects")) == 3
    assert take(store, path)[0].skipped


def refused(n: int, status: Any = 401, **more: Any) -> dict[str, Any]:
    return request(n, account_id=None, status=status, **more)


def test_calls_that_failed_to_authenticate_are_rejects_that_no_gate_counts(
    store: Store, tmp_path: Path
) -> None:
    path = log(
        tmp_path / "a.jsonl", request(1), *(refused(n, 401 + n % 2 * 2, model=None) for n in range(2, 40))
    )
    [report] = take(store, path)
    assert (report.n_lines, report.n_requests, report.n_rejects, report.n_unauthenticated) == (39, 1, 38, 38)
    assert {r["code"] for r in rows(store, "rejects")} == {"unauthenticated"}
    [again] = take(store, path)
    assert (again.in_lake, again.reject_share) == (True, 0.0)


@pytest.mark.parametrize(
    "line",
    [
        refused(1, 200),
        refused(1, 400),
        refused(1, 429),
        refused(1, None),
        refused(1, "401 words"),
        refused(1, ts="never"),
        refused(1, request_id=None),
        {**refused(1), "model": {}, "ts": None},
    ],
)
def test_only_a_stated_401_or_403_without_an_account_is_set_apart(
    line: dict[str, Any], store: Store, tmp_path: Path
) -> None:
    [report] = take(store, log(tmp_path / "a.jsonl", line, request(2)), max_rejects=1.0)
    assert (report.n_rejects, report.n_unauthenticated) == (1, 0)


def test_an_account_that_failed_to_authenticate_is_kept(store: Store, tmp_path: Path) -> None:
    [report] = take(store, log(tmp_path / "a.jsonl", request(1, status=401), request(2, status="403")))
    assert (report.n_requests, report.n_rejects) == (2, 0)


def test_a_status_in_an_errors_words_sets_nothing_apart(store: Store, tmp_path: Path) -> None:
    words = {"error.type": "AuthenticationError", "exception.message": "Error code: 401"}
    spans = [
        {"traceId": "t", "spanId": f"s{n}", "startTimeUnixNano": 1793527200000000000 + n, "status": {"code": 2},
         "attributes": {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", **more}}
        for n, more in enumerate((words, {"error.type": "401"}))
    ]  # fmt: skip
    lines = [
        {"resourceSpans": [{"scopeSpans": [{"spans": [
            {**span, "attributes": [{"key": k, "value": {"stringValue": v}} for k, v in span["attributes"].items()]}
        ]}]}]}
        for span in spans
    ]  # fmt: skip
    [report] = take(store, log(tmp_path / "otel.jsonl", *lines), max_rejects=1.0)
    assert (report.format, report.n_rejects, report.n_unauthenticated) == ("otel", 2, 1)


def test_a_flood_of_failed_logins_hides_no_broken_source(store: Store, tmp_path: Path) -> None:
    flood = [refused(n) for n in range(1000)]
    broken = [request(n, account_id=None, status=200) for n in range(1000, 1004)]
    path = log(tmp_path / "a.jsonl", *flood, *broken, request(2000))
    with pytest.raises(
        DataQualityError, match=r"4 of 5 lines were rejected.*account_id is missing \(4 times\)"
    ):
        ingest([path], store, key=KEY, now=NOW)
    [again] = take(store, path)
    assert (again.in_lake, again.reject_share) == (True, 0.8)


@pytest.mark.parametrize("day_rows", [1, 7, 1000])
def test_parts_are_written_as_they_fill(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, day_rows: int
) -> None:
    monkeypatch.setattr(processing, "DAY_ROWS", day_rows)
    monkeypatch.setattr(ingestion, "ALL_ROWS", 3 * day_rows)
    monkeypatch.setattr(ingestion, "Reader", partial(Reader, block_bytes=500))
    lines = [request(n, ts=f"2026-11-{1 + n % 5:02d}T10:00:00Z") if n % 10 else "{" for n in range(100)]
    [report] = take(store, log(tmp_path / "requests.jsonl", *lines))
    assert (report.n_requests, report.n_rejects) == (90, 10)
    assert len(rows(store, "requests")) == 90
    assert len(rows(store, "rejects")) == 10
    assert len(store.days("requests")) == 5


def test_every_layout_gives_the_same_rows(store: Store, tmp_path: Path) -> None:
    whole = [request(n, prompt=f'say "{n}"\nthen, stop', input_tokens=n, temperature=0.5, stream=n % 2 == 0)
             for n in range(20)]  # fmt: skip
    text = "".join(json.dumps(r) + "\n" for r in whole)
    (tmp_path / "a.jsonl").write_text(text)
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(text.encode() + b"\n"))
    (tmp_path / "c.json").write_text(json.dumps(whole))
    with (tmp_path / "d.csv").open("w", newline="") as handle:
        writer = csv.DictWriter(handle, list(whole[0]))
        writer.writeheader()
        writer.writerows(whole)
    pq.write_table(pa.Table.from_pylist(whole), tmp_path / "e.parquet")
    seen = []
    for name in ("a.jsonl", "b.jsonl.gz", "c.json", "d.csv", "e.parquet"):
        with Store(tmp_path / f"lake-{name}", threads=1) as lake:
            take(lake, tmp_path / name)
            seen.append([{k: v for k, v in r.items() if k not in ("file_id", "line")}
                         for r in rows(lake, "requests", "request_id")])  # fmt: skip
    assert len(seen[0]) == 20
    assert all(one == seen[0] for one in seen[1:])


def test_a_folder_with_junk_is_survived(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    log(folder / "requests.jsonl", request(1))
    log(folder / "notes.jsonl", "just words", "and more")
    log(folder / "other.json", '{"hello": "world"}')
    (folder / "cut.parquet").write_bytes(b"PAR1 and no more")
    (folder / "README").write_text("hello")
    reports = {r.path.name: r for r in take(store, folder)}
    assert reports["requests.jsonl"].n_requests == 1
    assert all(r.skipped and r.reason for name, r in reports.items() if name != "requests.jsonl")
    assert "neither JSON lines nor" in reports["notes.jsonl"].reason
    assert "cannot tell the log format" in reports["other.json"].reason
    assert reports["cut.parquet"].status == "unreadable"
    assert reports["README"].status == reports["other.json"].status == "passed"
    assert len(reports) == 5


def test_an_unknown_format_named_or_found_lists_the_formats(store: Store, tmp_path: Path) -> None:
    path = log(tmp_path / "other.jsonl", '{"hello": "world", "time": "2026-11-01T10:00:00Z"}')
    [report] = ingest([path], store, key=KEY)
    assert report.status == "unreadable"
    assert re.search(r"cannot tell.*--format NAME.*bedrock.*envoy.*litellm.*native.*otel", report.reason)
    with pytest.raises(ConfigError, match=r"unknown format 'elf'\n.*auto, azure, bedrock, .*native, .*otel"):
        ingest([path], store, format="elf", key=KEY)
    with pytest.raises(ConfigError, match="no such column 'sourceip'"):
        ingest([path], store, key=KEY, envoy_keys={"sourceip": "x"})
    with pytest.raises(DataQualityError):
        ingest([path], store, format="native", key=KEY)


def test_an_empty_log_is_passed_over_and_said_so(store: Store, tmp_path: Path) -> None:
    (tmp_path / "requests.jsonl").write_bytes(b"")
    [report] = take(store, tmp_path / "requests.jsonl")
    assert (report.n_lines, report.skipped, report.reason) == (0, True, "empty")
    assert store.days("requests") == []


def test_a_file_given_up_leaves_nothing_and_forgets_its_ids(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log(tmp_path / "in" / "a.jsonl", request(1))
    (tmp_path / "in" / "b.parquet").write_bytes(b"PAR1 broken")
    log(tmp_path / "in" / "c.jsonl", request(1), request(2))
    finish, calls = intake.Intake.finish, []

    def fail_once(self: intake.Intake) -> None:
        calls.append(self.identity)
        if len(calls) == 1:
            raise LogError("the disk went away")
        finish(self)

    monkeypatch.setattr(intake.Intake, "finish", fail_once)
    reports = {r.path.name: r for r in take(store, tmp_path / "in")}
    assert reports["a.jsonl"].reason == "the disk went away"
    assert (reports["c.jsonl"].n_requests, reports["c.jsonl"].n_duplicates) == (2, 0)
    assert {r["line"] for r in rows(store, "requests")} == {1, 2}


def test_pseudonyms_join_accounts_events_and_requests(store: Store, tmp_path: Path) -> None:
    log(tmp_path / "in" / "requests.jsonl", request(0))
    log(tmp_path / "in" / "accounts.jsonl", {"account_id": "a-0", "email_domain": "example.com"})
    log(tmp_path / "in" / "account_events.jsonl",
        {"account_id": "a-0", "event": "banned", "ts": "2026-11-02T00:00:00Z"})  # fmt: skip
    take(store, tmp_path / "in", pseudonymise=True)
    found = {rows(store, table)[0]["account_id"] for table in ("requests", "accounts", "account_events")}
    assert len(found) == 1
    assert "a-0" not in found


def test_progress_reaches_the_end(store: Store, tmp_path: Path) -> None:
    log(tmp_path / "in" / "a.jsonl", *(request(n) for n in range(50)))
    log(tmp_path / "in" / "b.jsonl", *(request(n) for n in range(50, 99)))
    told: list[tuple[int, int]] = []
    take(store, tmp_path / "in", progress=lambda done, total, path: told.append((done, total)))
    size = sum(p.stat().st_size for p in (tmp_path / "in").iterdir())
    assert told == sorted(told)
    assert told[-1] == (size, size)


def test_hostile_identifiers_come_out_as_they_went_in(store: Store, tmp_path: Path) -> None:
    hostile = [
        "'; DROP TABLE requests; --",
        'a"b',
        '=cmd("x")',
        "a\u0000b",
        "a\nb",
        "../../x",
        "{x}",
        "[1]",
        "\u202ex",
    ]
    path = log(tmp_path / "requests.jsonl",
               *(request(n, account_id=h, org_id=h, model=h) for n, h in enumerate(hostile)))  # fmt: skip
    [report] = take(store, path)
    assert report.n_requests == len(hostile)
    assert {r["account_id"] for r in rows(store, "requests")} == set(hostile)
    long = log(
        tmp_path / "long.jsonl", request(77, end_user_id="e" * 5000, account_id="a" * 5000, model="m" * 900)
    )
    take(store, long)
    [row] = [r for r in rows(store, "requests") if r["request_id"] == "r-77"]
    assert len(row["account_id"]) == 64 + 1 + 32
    assert len(row["model"]) == 256


def test_templates_seen_again_are_written_once(store: Store, tmp_path: Path) -> None:
    def asks(start: int) -> list[dict[str, Any]]:
        return [
            request(n, prompt=f"Explain why {n} is the answer to the question.")
            for n in range(start, start + 9)
        ]

    take(store, log(tmp_path / "a.jsonl", *asks(0)))
    take(store, log(tmp_path / "b.jsonl", *asks(50)))
    ids = [r["template_id"] for r in rows(store, "templates")]
    assert len(ids) == len(set(ids))
    assert set(ids) == {r["template_id"] for r in rows(store, "requests")}


@pytest.mark.parametrize("seed", range(3))
def test_lines_in_are_lines_out_in_the_lake_too(store: Store, tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    lines: list[bytes] = []
    for _ in range(300):
        line = json.dumps(request(rng.randrange(200), prompt="x" * rng.randrange(40))).encode()
        kind = rng.random()
        if kind < 0.1:
            line = line[: rng.randrange(len(line))]
        elif kind < 0.2:
            at = rng.randrange(len(line))
            line = line[:at] + bytes([rng.choice([0, 9, 34, 92, 123, 125, 255])]) + line[at + 1 :]
        elif kind < 0.25:
            line = b" " * rng.randrange(4)
        lines.append(line)
    path = tmp_path / f"requests{rng.choice(['.jsonl', '.jsonl.gz'])}"
    data = b"\n".join(lines) + b"\n"
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    [report] = take(store, path, max_rejects=1.0)
    assert report.n_lines == len(lines)
    assert len(rows(store, "requests")) == report.n_requests
    assert len(rows(store, "rejects")) == report.n_rejects
    assert report.n_duplicates
    taken = {r["line"] for r in rows(store, "requests")} | {r["line"] for r in rows(store, "rejects")}
    assert len(taken) == report.n_requests + report.n_rejects


#: Whole numbers that 64 bits, or the fraction of a float, do not hold, and their neighbours.
LARGE = [
    2**53 + 1,
    2**63,
    2**64 - 1,
    2**64,
    2**64 + 1,
    10**30,
    10**30 + 1,
    10**350,
    10**350 + 1,
    -(2**63) - 1,
    -(2**63) - 2,
]


def test_numbers_for_ids_stay_exact_however_large(store: Store, tmp_path: Path) -> None:
    given = [request(at, account_id=n, request_id=n, session_id=n) for at, n in enumerate(LARGE)]
    inner = [{"log": json.dumps(row), "stream": "stdout", "time": "2026-11-01T10:00:00Z"} for row in given]
    csv_text = "request_id,ts,account_id,model\n" + "".join(
        f"{n},{SOUND['ts']},{n},{SOUND['model']}\n" for n in LARGE
    )
    (tmp_path / "c.csv").write_text(csv_text)
    exact = pa.array([n for n in LARGE if 0 <= n < 10**38], pa.decimal256(40, 0))
    unsigned = pa.array([2**64 - 1, 2**64 - 2, 2**63], pa.uint64())
    files = [
        log(tmp_path / "plain.jsonl", *given),
        log(tmp_path / "docker.jsonl", *inner),
        tmp_path / "c.csv",
    ]
    for name, column in (("decimal", exact), ("unsigned", unsigned)):
        table = pa.table(
            {"request_id": column, "account_id": column, "ts": [SOUND["ts"]] * len(column),
             "model": ["m"] * len(column)}
        )  # fmt: skip
        pq.write_table(table, tmp_path / f"{name}.parquet")
    wanted = [sorted(str(n) for n in LARGE)] * 3
    wanted += [sorted(map(str, exact.to_pylist())), sorted(map(str, unsigned.to_pylist()))]
    files += [tmp_path / "decimal.parquet", tmp_path / "unsigned.parquet"]
    for at, (path, ids) in enumerate(zip(files, wanted, strict=True)):
        with Store(tmp_path / f"lake-{at}") as lake:
            take(lake, path)
            found = rows(lake, "requests")
            assert sorted(r["account_id"] for r in found) == sorted(r["request_id"] for r in found) == ids, (
                path
            )


def test_a_whole_number_with_a_point_is_the_same_id(store: Store, tmp_path: Path) -> None:
    text = "".join(json.dumps(request(n)).replace(f'"a-{n % 3}"', number) + "\n"
                   for n, number in enumerate(("7", "7.0", "70e-1", '"7"', "7.5", "1e21")))  # fmt: skip
    path = tmp_path / "requests.jsonl"
    path.write_text(text)
    take(store, path)
    assert [r["account_id"] for r in rows(store, "requests", "line")] == ["7"] * 4 + ["7.5", "1" + "0" * 21]

"""A site's own map: when it is used, what it must name, how one is proposed, what is said where the account is missing."""

from __future__ import annotations

import json
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
from made_lake import KEY, log
from typer.testing import CliRunner

from detector.cli import app
from detector.config import load_config
from detector.errors import ConfigError, DataQualityError, LogError
from detector.ingest.formats import mapped
from detector.ingest.ingestion import ingest
from detector.ingest.report import FileReport
from detector.ingest.suggest import suggest
from detector.lake.store import Store

KEYS = {"request_id": "rid", "ts": "when", "account_id": ["auth.sub", "who"], "model": "=only-model"}
SECRET = "the blue heron sings of seven wells and nobody may read it"


def own(n: int = 10) -> list[dict[str, Any]]:
    return [
        {
            "rid": f"r-{i}",
            "when": f"2026-11-01T10:00:{i:02}Z",
            "auth": {"sub": f"user-{i % 3}", "ip": f"192.0.2.{i}"},
            "http": {"User-Agent": "sdk/1", "statusCode": 200},
            "llm": json.dumps({"model": "m-1", "usage": {"promptTokens": i, "completionTokens": 3}}),
            "body": {"model": "m-1", "messages": [{"role": "user", "content": SECRET}]},
            "seconds": 0.25,
            "note": SECRET,
        }
        for i in range(n)
    ]


def test_a_map_that_leads_somewhere_is_used_without_being_forced(tmp_path: Path, store: Store) -> None:
    log(tmp_path / "own.jsonl", *own())
    log(tmp_path / "native.jsonl", {"request_id": "n", "ts": 1793527200, "account_id": "a", "model": "m"})
    reports = ingest([tmp_path / "own.jsonl", tmp_path / "native.jsonl"], store, key=KEY, mapped_keys=KEYS)
    assert {r.path.name: r.format for r in reports} == {"own.jsonl": "mapped", "native.jsonl": "native"}
    rows = store.engine.query(f"SELECT account_id, model FROM {store.relation('requests')}").to_pylist()
    assert {r["account_id"] for r in rows} == {"user-0", "user-1", "user-2", "a"}
    assert {r["model"] for r in rows} == {"only-model", "m"}


def test_a_map_in_csv(tmp_path: Path, store: Store) -> None:
    (tmp_path / "own.csv").write_text("rid,when,who,ip\nr-1,01/Nov/2026:10:00:00 +0000,u-1,192.0.2.9\n")
    (report,) = ingest([tmp_path / "own.csv"], store, key=KEY, mapped_keys=KEYS | {"source_ip": "ip"})
    assert (report.format, report.n_requests, report.unknown_keys) == ("mapped", 1, set())


def test_a_map_that_cannot_work_is_refused_with_every_fault(tmp_path: Path, store: Store) -> None:
    with pytest.raises(ConfigError) as caught:
        ingest([tmp_path], store, key=KEY, mapped_keys={"requestid": "x", "ts": "t"})
    for words in ("'requestid'", "request_id is not mapped", "account_id", "model", "--suggest"):
        assert words in str(caught.value) + str(caught.value.hint)
    with pytest.raises(ConfigError, match="not set"):
        ingest([tmp_path], store, key=KEY, format="mapped")
    assert mapped.faults(KEYS) == []


def test_the_configuration_takes_a_path_or_several(tmp_path: Path) -> None:
    (tmp_path / "hydrawatch.toml").write_text('[mapped_keys]\naccount_id = ["a.b", "c"]\nts = "t"\n')
    assert load_config(tmp_path).mapped_keys == {"account_id": ("a.b", "c"), "ts": "t"}
    (tmp_path / "hydrawatch.toml").write_text('[mapped_keys]\nts = 5\nmodel = []\n[envoy_keys]\nts = ["a"]\n')
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path)
    for words in ("mapped_keys.ts", "mapped_keys.model", "envoy_keys.ts"):
        assert words in str(caught.value)


def test_a_proposed_map_is_toml_that_reads_its_own_file_and_shows_no_value(
    tmp_path: Path, store: Store
) -> None:
    path = log(tmp_path / "own.jsonl", *own())
    text = suggest(path)
    keys = tomllib.loads(text)["mapped_keys"]
    assert keys == {  # the id and the time by their values alone
        "request_id": "rid", "ts": "when", "account_id": "auth.sub", "model": "llm.model", "source_ip": "auth.ip",
        "user_agent": "http.User-Agent", "status": "http.statusCode", "request_body": "body",
    } | {k: v for k, v in keys.items() if k.endswith("_tokens")}  # fmt: skip
    (report,) = ingest([path], store, key=KEY, format="mapped", mapped_keys=keys)
    assert report.n_requests == 10
    for value in (SECRET, "heron", "user-1", "192.0.2", "r-1", "sdk/1"):
        assert value not in text


@pytest.mark.parametrize("body", ["object", "text", "plain words"])
@pytest.mark.parametrize("name", ["body", "message", "data", "payload", "event"])
def test_a_proposal_looks_beside_the_body_and_into_it(
    tmp_path: Path, store: Store, name: str, body: str
) -> None:
    sent = {"model": "m-1", "messages": [{"role": "user", "content": SECRET}]}
    if body == "plain words":
        sent = {"model": "m-1", "prompt": SECRET}
    given = [
        {"id": f"r-{n}", "time": f"2026-11-01T10:00:{n:02}Z", "account": f"user-{n % 3}",
         name: sent if body == "object" else json.dumps(sent)}
        for n in range(10)
    ]  # fmt: skip
    path = log(tmp_path / "own.jsonl", *given)
    keys = tomllib.loads(suggest(path))["mapped_keys"]
    assert (keys["request_id"], keys["ts"], keys["account_id"]) == ("id", "time", "account")
    if name in ("body", "payload") and body != "plain words":
        assert keys["request_body"] == name
    elif body == "plain words":
        assert (keys["model"], keys["prompt"]) == (f"{name}.model", f"{name}.prompt")
    if name in ("body", "payload") or body == "plain words":
        (report,) = ingest([path], store, key=KEY, mapped_keys=keys)
        assert (report.format, report.n_requests) == ("mapped", 10)


def test_a_proposal_takes_shippers_wrappers_off(tmp_path: Path) -> None:
    rows = [
        {"log": json.dumps(row) + "\n", "stream": "stdout", "time": "2026-11-01T10:00:00Z"} for row in own()
    ]
    keys = tomllib.loads(suggest(log(tmp_path / "own.jsonl", *rows)))["mapped_keys"]
    assert (keys["request_id"], keys["ts"], keys["account_id"]) == ("rid", "when", "auth.sub")


def test_a_proposal_needs_no_lake_and_writes_nothing(tmp_path: Path) -> None:
    path = log(tmp_path / "own.jsonl", *own())
    result = CliRunner().invoke(app, ["ingest", "--suggest", str(path)])
    assert result.exit_code == 0
    assert "[mapped_keys]" in result.stdout
    assert [p.name for p in tmp_path.iterdir()] == ["own.jsonl"]


def test_keys_that_would_break_out_of_the_proposal_are_escaped(tmp_path: Path) -> None:
    hostile = 'id"\n[allow]\n# '
    row = {"request_id": "r", "ts": "2026-11-01T10:00:00Z", hostile: {"user_id": "u"}, "model": "m"}
    keys = tomllib.loads(
        suggest(log(tmp_path / "a.jsonl", *[row | {"request_id": f"r{i}"} for i in range(9)]))
    )
    assert list(keys) == ["mapped_keys"]
    assert keys["mapped_keys"]["account_id"] == f"{hostile}.user_id"


def test_a_file_without_entries_has_no_proposal(tmp_path: Path) -> None:
    path = tmp_path / "words.log"
    path.write_text("nothing here\nis JSON\n")
    with pytest.raises(LogError):
        suggest(path)


@pytest.mark.parametrize("name", ["access.jsonl", "it's.jsonl"])
def test_a_log_that_names_no_account_is_told_the_setting_and_its_keys(
    tmp_path: Path, store: Store, name: str
) -> None:
    row = {
        "start_time": "2026-11-02T09:00:31.634Z", "duration": 1, "response_code": 503, "bytes_sent": 19,
        "x-envoy-origin-path": "/v1/chat/completions", "x-request-id": "r-0", "genai_model_name": "q", "x-tenant": "t",
    }  # fmt: skip
    path = log(tmp_path / name, *[row | {"x-request-id": f"r-{i}"} for i in range(5)])
    reports: list[FileReport] = []
    with pytest.raises(DataQualityError):
        ingest([path], store, key=KEY, each=reports.append)
    (advice,) = reports[0].remarks
    assert advice.endswith(f"hydrawatch ingest {shlex.quote(str(path))} --lake {store.root}")
    for words in (
        "[envoy_keys]",
        'account_id = "KEY"',
        "keys of the entries: x-tenant",
        "genai_model_name",
        "--lake",
    ):
        assert words in advice
    (report,) = ingest(
        [log(path, row | {"x-request-id": "s"})], store, key=KEY, envoy_keys={"account_id": "x-tenant"}
    )
    assert (report.n_requests, report.remarks) == (1, [])


def test_a_log_in_which_some_lines_name_no_account_needs_no_advice(tmp_path: Path, store: Store) -> None:
    rows = own(4) + [row | {"rid": f"x{i}", "auth": {}} for i, row in enumerate(own(2))]
    (report,) = ingest([log(tmp_path / "own.jsonl", *rows)], store, key=KEY, mapped_keys=KEYS)
    assert (report.n_requests, report.n_rejects, report.remarks) == (4, 2, [])

"""What people were told stays true: after late logs, days removed, exemptions, outages, kills, two at once."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections import defaultdict
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from conftest import hydrawatch, ok
from receivers import good, receiving, status

from detector import open_lake
from detector.errors import DeliveryError, LakeBusy
from detector.lake.store import Store
from detector.pipeline import delivery

SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", SECRET)
    monkeypatch.setenv("NO_PROXY", "*")


def configure(lake: Path, *sinks: str, allow: str = "") -> None:
    tables = [f'[[sinks]]\ntype = "jsonl"\nname = "{name}"\npath = "{lake}/{name}.jsonl"\n' for name in sinks]
    (lake / "hydrawatch.toml").write_text("".join(tables) + allow)


def entry(account: str, expires: str = "2099-01-01") -> str:
    return f'[[allow]]\naccount_id = "{account}"\nreason = "appeal 17"\nexpires = {expires}\n'


def told(lake: Path, sink: str) -> list[dict[str, Any]]:
    path = lake / f"{sink}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def histories(lake: Path, sink: str) -> dict[str, list[dict[str, Any]]]:
    """Alert -> its events at a sink, in the order told; checks what must hold of any of them."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in told(lake, sink):
        found[event["finding_info"]["uid"]].append(event)
    for events in found.values():
        assert events[0]["activity_name"] == "Create", "the first word"
        versions = [e["unmapped"]["version"] for e in events]
        assert versions == sorted(set(versions)), "each version once, in order"
        assert [e["metadata"]["uid"] for e in events] == [
            f"{e['finding_info']['uid']}:{e['unmapped']['version']}" for e in events
        ]
    return found


def alerts(lake: Path) -> list[dict[str, Any]]:
    return open_lake(lake).frame("alerts", as_="polars").to_dicts()


def group_alert(lake: Path) -> dict[str, Any]:
    return next(a for a in alerts(lake) if a["subject_type"] == "group" and a["state"] == "open")


def accused(lake: Path, group: str) -> list[str]:
    found = open_lake(lake).query(
        f"SELECT account_id FROM group_members JOIN account_scores USING (account_id) "
        f"WHERE group_members.group_id = '{group}' AND peak_verdict = 'alert' ORDER BY 1"
    )
    return list(found["account_id"])


def agrees(lake: Path, sink: str) -> None:
    """The last word a sink heard of each alert is what the lake says."""
    heard = {alert: events[-1]["unmapped"] for alert, events in histories(lake, sink).items()}
    for row in alerts(lake):
        if row["state"] == "open" or row["alert_id"] in heard:
            last = heard.pop(row["alert_id"])
            assert (last["state"], last["n_requests"], last["n_accounts"], last["reasons"]) == (
                row["state"],
                row["n_requests"],
                row["n_accounts"],
                row["reasons"],
            )
    assert {last["state"] for last in heard.values()} <= {"closed"}, "what the lake no longer holds is closed"


def test_late_logs_make_a_new_version_of_what_was_told(world: Path, tmp_path: Path) -> None:
    logs = sorted((world / "logs").glob("requests-*"))
    facts = [p for p in (world / "logs").iterdir() if not p.name.startswith("requests")]
    lines = pl.read_ndjson(logs[0], infer_schema_length=None)
    early, late = tmp_path / "requests-early.jsonl", tmp_path / "requests-late.jsonl"
    lines[::2].write_ndjson(early)
    lines[1::2].write_ndjson(late)
    lake = tmp_path / "lake"
    ok("ingest", *facts, early, "--lake", lake)
    configure(lake, "siem")
    ok("run", "--lake", lake)
    ok("deliver", "--lake", lake)
    ok("ingest", late, "--lake", lake)
    ok("run", "--lake", lake)
    ok("deliver", "--lake", lake)
    changed = [events for events in histories(lake, "siem").values() if len(events) > 1]
    assert changed, "half a day more is worth a word"
    agrees(lake, "siem")
    before = len(told(lake, "siem"))
    ok("run", "--lake", lake, "--since", "2000-01-01")
    ok("deliver", "--lake", lake)
    assert len(told(lake, "siem")) == before, "a day run again with the same logs says nothing new"


def test_a_day_removed_and_restored_is_told_as_it_goes(lake: Path) -> None:
    configure(lake, "siem")
    ok("deliver", "--lake", lake)
    first = min((lake / "data/requests").glob("day=*"))
    kept = lake.parent / "kept"
    shutil.copytree(lake / "data", kept)
    for day in (lake / "data").glob(f"*/{first.name}"):
        shutil.rmtree(day)
    ok("run", "--lake", lake)
    ok("deliver", "--lake", lake)
    agrees(lake, "siem")
    for table in ("requests",):
        shutil.copytree(kept / table / first.name, lake / "data" / table / first.name)
    ok("run", "--lake", lake)
    ok("deliver", "--lake", lake)
    agrees(lake, "siem")


def test_an_entry_acts_from_the_next_run_on_and_closes_what_it_clears(lake: Path) -> None:
    configure(lake, "siem")
    ok("deliver", "--lake", lake)
    alert = group_alert(lake)
    members = accused(lake, alert["subject_id"])
    scores = open_lake(lake).frame("account_scores", as_="polars")
    configure(lake, "siem", allow="".join(entry(a) for a in members))
    assert "(from the next run on)" in ok("explain", members[0], "--lake", lake).stdout
    assert "the allow-list or another setting has changed" in ok("run", "--lake", lake).output
    now = open_lake(lake).frame("account_scores", as_="polars")
    cleared = now.filter(pl.col("account_id").is_in(members))
    assert set(cleared["verdict"]) == {"watch"}
    assert set(cleared["peak_verdict"]) == {"alert"}
    assert now.select("account_id", "score", "score_day").equals(
        scores.select("account_id", "score", "score_day")
    )
    assert "nothing to do" in ok("run", "--lake", lake).output
    (closed,) = [a for a in alerts(lake) if a["alert_id"] == alert["alert_id"]]
    assert closed["state"] == "closed"
    assert "allow-list entry of account" in closed["reasons"][0]
    assert "2099-01-01" in closed["reasons"][0]
    ok("deliver", "--lake", lake)
    assert histories(lake, "siem")[alert["alert_id"]][-1]["activity_name"] == "Close"
    agrees(lake, "siem")
    case = json.loads(ok("explain", alert["subject_id"], "--lake", lake, "--json").stdout)
    assert [a["account_id"] for a in case["allowed"]] == members
    assert {(a["until"], a["reason"], a["state"]) for a in case["allowed"]} == {
        ("2099-01-01", "appeal 17", "acting")
    }
    assert "watch at most until 2099-01-01" in ok("explain", members[0], "--lake", lake).stdout
    # Taken back, everything stands as before.
    configure(lake, "siem")
    ok("run", "--lake", lake)
    assert open_lake(lake).frame("account_scores", as_="polars").equals(scores)
    ok("deliver", "--lake", lake)
    assert histories(lake, "siem")[alert["alert_id"]][-1]["activity_name"] == "Update"
    agrees(lake, "siem")


def test_an_alert_exempted_on_the_day_it_opened_stays_as_closed(lake: Path) -> None:
    configure(lake, "siem")
    ok("deliver", "--lake", lake)
    alert = group_alert(lake)
    # All that were ever accused: who was on the opening day may be no member any more.
    ever = open_lake(lake).query("SELECT account_id FROM account_scores WHERE verdict = 'alert'")[
        "account_id"
    ]
    assert set(accused(lake, alert["subject_id"])) <= set(ever)
    configure(lake, "siem", allow="".join(entry(a) for a in ever))
    ok("run", "--lake", lake, "--since", "2000-01-01")
    (closed,) = [a for a in alerts(lake) if a["alert_id"] == alert["alert_id"]]
    assert (closed["state"], closed["closed_day"]) == ("closed", alert["opened_day"])
    assert closed["opened_day"] == alert["opened_day"]
    assert closed["reasons"][0].startswith("Closed: ")
    assert "allow-list entry" in closed["reasons"][0]
    assert len(closed["reasons"]) > 1, "what it had told of stays"
    ok("run", "--lake", lake, "--since", "2000-01-01")
    (again,) = [a for a in alerts(lake) if a["alert_id"] == alert["alert_id"]]
    assert again == closed, "run again, the same"
    ok("deliver", "--lake", lake)
    last = histories(lake, "siem")[alert["alert_id"]][-1]
    assert last["activity_name"] == "Close"
    assert last["unmapped"]["reasons"] == closed["reasons"]
    ok("deliver", "--lake", lake)
    assert histories(lake, "siem")[alert["alert_id"]][-1] == last, "told once"
    agrees(lake, "siem")


def test_to_exempt_one_of_a_group_is_told_and_to_take_it_back_is_too(lake: Path) -> None:
    configure(lake, "siem")
    ok("deliver", "--lake", lake)
    alert = group_alert(lake)
    one = accused(lake, alert["subject_id"])[0]
    for since in ((), ("--since", "2000-01-01")):  # on a later day than the alert's first, and on that day
        configure(lake, "siem", allow=entry(one))
        ok("run", "--lake", lake, *since)
        (row,) = [a for a in alerts(lake) if a["alert_id"] == alert["alert_id"]]
        assert (row["state"], row["exempted"]) == ("open", [one])
        ok("deliver", "--lake", lake)
        last = histories(lake, "siem")[alert["alert_id"]][-1]
        assert last["activity_name"] == "Update"
        assert last["unmapped"]["reasons"][0].startswith(
            f"1 of its accounts is exempted, and not accused: {one} ("
        )
        assert "appeal 17" in last["unmapped"]["reasons"][0]
        agrees(lake, "siem")
        n = len(told(lake, "siem"))
        ok("run", "--lake", lake, "--since", str(row["day"]))
        ok("deliver", "--lake", lake)
        assert len(told(lake, "siem")) == n, "told once"
        configure(lake, "siem")
        ok("run", "--lake", lake, *since)
        ok("deliver", "--lake", lake)
        last = histories(lake, "siem")[alert["alert_id"]][-1]
        assert last["activity_name"] == "Update"
        assert "exempted" not in " ".join(last["unmapped"]["reasons"])
        agrees(lake, "siem")


def test_an_entry_that_is_over_or_fits_nobody_is_told_and_does_nothing(lake: Path) -> None:
    alert = group_alert(lake)
    one = accused(lake, alert["subject_id"])[0]
    configure(lake, allow=entry(one, "2020-01-01") + entry("nobody-here"))
    for command in ("run", "doctor"):
        output = ok(command, "--lake", lake).output
        assert f"{one} expired on 2020-01-01" in output
        assert "nobody-here fits no account" in output
    verdict = open_lake(lake).query(f"SELECT verdict FROM account_scores WHERE account_id = '{one}'")
    assert list(verdict["verdict"]) == ["alert"]
    assert "no longer acts" in ok("explain", one, "--lake", lake).stdout


def test_an_organisation_of_the_logs_can_be_exempted_without_an_accounts_file(lake: Path) -> None:
    shutil.rmtree(lake / "data/accounts/all")
    requests = sorted((lake / "data/requests").glob("day=*/*.parquet"))
    alert = group_alert(lake)
    members = accused(lake, alert["subject_id"])
    for part in requests:
        frame = pl.read_parquet(part)
        inside = pl.col("account_id").is_in(members)
        frame.with_columns(
            pl.when(inside).then(pl.lit("org-x")).otherwise("org_id").alias("org_id")
        ).write_parquet(part)
    configure(lake, allow='[[allow]]\norg_id = "org-x"\nreason = "contract"\nexpires = 2099-01-01\n')
    ok("run", "--lake", lake)
    seen = open_lake(lake).frame("account_scores", as_="polars").filter(pl.col("account_id").is_in(members))
    assert "alert" not in set(seen["verdict"])


def test_a_sink_added_later_hears_create_first_and_nothing_of_what_is_over(lake: Path) -> None:
    configure(lake, "siem")
    ok("deliver", "--lake", lake)
    alert = group_alert(lake)
    members = accused(lake, alert["subject_id"])
    configure(lake, "siem", allow=entry(members[0]))
    ok("run", "--lake", lake)
    allow = "".join(entry(a) for a in members)
    others = [a for a in alerts(lake) if a["state"] == "open" and a["alert_id"] != alert["alert_id"]]
    configure(lake, "siem", "late", allow=allow)
    ok("run", "--lake", lake)
    ok("deliver", "--lake", lake)
    assert alert["alert_id"] in histories(lake, "siem")
    assert set(histories(lake, "late")) == {a["alert_id"] for a in others if a["state"] == "open"} - {
        alert["alert_id"]
    }


def test_what_a_sink_refused_for_good_is_shown_and_not_tried_again(lake: Path) -> None:
    ids = sorted(a["alert_id"] for a in alerts(lake) if a["state"] == "open")
    with receiving(
        lambda r, q, c: (status(403) if q.event["finding_info"]["uid"] == ids[0] else good)(r, q, c)
    ) as siem:
        (lake / "hydrawatch.toml").write_text(
            f'[[sinks]]\ntype = "webhook"\nurl = "{siem.url}"\nsecret_env = "HOOK"\n'
        )
        first = hydrawatch("deliver", "--lake", lake)
        assert isinstance(first.exception, DeliveryError)
        assert len(siem.took) == len(ids)
        again = ok("deliver", "--lake", lake)
        assert len(siem.took) == len(ids)
        assert ids[0] in again.output
        assert "--retry-refused" in again.output
        ledger = open_lake(lake).query("SELECT alert_id, outcome, reason FROM deliveries ORDER BY ALL")
        assert dict(zip(ledger["alert_id"], ledger["outcome"], strict=True)) == {
            a: "refused" if a == ids[0] else "sent" for a in ids
        }
        hydrawatch("deliver", "--lake", lake, "--retry-refused")
        assert [q.event["finding_info"]["uid"] for q in siem.took[len(ids) :]] == [ids[0]]
        assert siem.took[-1].key == next(q for q in siem.took if q.event["finding_info"]["uid"] == ids[0]).key


@pytest.mark.parametrize(
    "bad",
    [
        'type = "webhook"\nname = "bad"\nurl = "https://siem.example.com"\nsecret_env = "NOT_SET"',
        'type = "slack"\nname = "bad"',
        'type = "webhook"\nname = "bad"\nsecret_env = "HOOK"\nurl_env = "NOT_SET"',
        'type = "jsonl"\nname = "bad"\npath = "LAKE/no/such/folder/x.jsonl"',
        'type = "jsonl"\nname = "bad"\npath = "LAKE"',
        'type = "jsonl"\nname = "bad"\ndeadline_s = 0',
        'type = "jsonl"\nname = "siem"\npath = "-"',
    ],
)
def test_a_sink_set_up_wrongly_fails_alone(lake: Path, bad: str) -> None:
    configure(lake, "siem")
    config = lake / "hydrawatch.toml"
    config.write_text(config.read_text() + "[[sinks]]\n" + bad.replace("LAKE", str(lake)) + "\n")
    result = hydrawatch("deliver", "--lake", lake)
    assert isinstance(result.exception, DeliveryError)
    assert result.exception.exit_code == 4
    assert len(told(lake, "siem")) >= 1
    assert not (lake / "no").exists()
    checked = hydrawatch("doctor", "--lake", lake)
    assert checked.exit_code == 2
    assert "sink" in checked.output


def test_the_test_event_reaches_every_sink_and_no_ledger(lake: Path) -> None:
    configure(lake, "one", "two")
    ok("deliver", "--lake", lake, "--test")
    for sink in ("one", "two"):
        (event,) = told(lake, sink)
        assert event["is_alert"] is False
        assert event["unmapped"] == {"test": True}
    assert len(open_lake(lake).frame("deliveries")) == 0
    (lake / "hydrawatch.toml").write_text(
        '[[sinks]]\ntype = "webhook"\nurl = "https://a.example.com"\nsecret_env = "NOT_SET"\n'
    )
    assert isinstance(hydrawatch("deliver", "--lake", lake, "--test").exception, DeliveryError)


def test_two_at_once_send_once_and_ingest_and_run_go_on_meanwhile(world: Path, lake: Path) -> None:
    arrived, released = threading.Event(), threading.Event()

    def slowly(receiver: Any, request: Any, connection: Any) -> None:
        arrived.set()
        released.wait(60)
        good(receiver, request, connection)

    with receiving(slowly) as siem:
        (lake / "hydrawatch.toml").write_text(
            f'[[sinks]]\ntype = "webhook"\nurl = "{siem.url}"\nsecret_env = "HOOK"\ntimeout_s = 90\n'
        )
        running = command("deliver", "--lake", lake)
        try:
            assert arrived.wait(60)
            second = hydrawatch("deliver", "--lake", lake)
            assert isinstance(second.exception, LakeBusy)
            assert "another hydrawatch deliver" in str(second.exception)
            ok("ingest", world / "logs", "--lake", lake)
            ok("run", "--lake", lake, "--since", max(p.name[4:] for p in (lake / "data/runs").glob("day=*")))
        finally:
            released.set()
            assert running.wait(120) == 0
        assert sorted(siem.keys) == sorted(set(siem.keys))
        ok("deliver", "--lake", lake)
        assert sorted(siem.keys) == sorted(set(siem.keys))
        ledger = open_lake(lake).frame("deliveries", as_="polars")
        assert sorted(siem.keys) == sorted(f"{r['alert_id']}:{r['version']}" for r in ledger.to_dicts())


def test_a_delivery_under_way_is_recorded_while_a_run_holds_the_lake(lake: Path) -> None:
    configure(lake, "siem")
    with Store(lake) as store, store.exclusive():
        done = command("deliver", "--lake", lake)
        assert done.wait(120) == 0
    assert len(open_lake(lake).frame("deliveries")) == len(told(lake, "siem")) > 0


def command(*words: object, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", "from detector.cli import main; main()", *map(str, words)],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.parametrize(
    "point", ["deliver.staged", "deliver.issued", "deliver.sending", "deliver.sent", "deliver.applied"]
)
def test_a_kill_repeats_at_most_what_was_on_its_way_with_the_same_bytes(lake: Path, point: str) -> None:
    with receiving(good) as siem:
        (lake / "hydrawatch.toml").write_text(
            f'[[sinks]]\ntype = "webhook"\nurl = "{siem.url}"\nsecret_env = "HOOK"\n'
        )
        assert command("deliver", "--lake", lake, HYDRAWATCH_FAULT=point).wait(120) == 137
        ok("deliver", "--lake", lake)
        bodies: dict[str, set[bytes]] = defaultdict(set)
        for request in siem.took:
            bodies[request.key].add(request.body)
        open_now = [a for a in alerts(lake) if a["state"] == "open"]
        assert set(bodies) == {f"{a['alert_id']}:{a['version']}" for a in open_now}
        assert all(len(each) == 1 for each in bodies.values())
        assert len(siem.took) <= len(open_now) + 1
        ok("deliver", "--lake", lake)
        assert len(siem.took) <= len(open_now) + 1
    assert not list((lake / "data").glob("*/all/*.new"))


def test_what_may_have_arrived_before_a_kill_is_closed_when_it_is_over(lake: Path) -> None:
    alert = group_alert(lake)
    members = accused(lake, alert["subject_id"])
    with receiving(good) as siem:
        sinks = f'[[sinks]]\ntype = "webhook"\nurl = "{siem.url}"\nsecret_env = "HOOK"\n'
        (lake / "hydrawatch.toml").write_text(sinks)
        assert command("deliver", "--lake", lake, HYDRAWATCH_FAULT="deliver.sent").wait(120) == 137
        (arrived,) = siem.took
        (lake / "hydrawatch.toml").write_text(sinks + "".join(entry(a) for a in members))
        ok("run", "--lake", lake)
        ok("deliver", "--lake", lake)
    events = [q.event for q in siem.took if q.event["finding_info"]["uid"] == alert["alert_id"]]
    if arrived.event["finding_info"]["uid"] == alert["alert_id"]:
        assert [e["activity_name"] for e in events] == ["Create", "Close"]
    else:
        assert events == []


def test_what_never_reached_a_sink_is_not_closed_there(lake: Path) -> None:
    alert = group_alert(lake)
    members = accused(lake, alert["subject_id"])
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = taken.getsockname()[1]
    sink = '[[sinks]]\ntype = "webhook"\nurl = "{url}"\nsecret_env = "HOOK"\nmax_tries = 1\n'
    (lake / "hydrawatch.toml").write_text(sink.format(url=f"http://127.0.0.1:{free}/x"))
    result = hydrawatch("deliver", "--lake", lake)
    assert isinstance(result.exception, DeliveryError)
    assert "connection refused" in str(result.exception)
    with receiving(good) as siem:
        allow = "".join(entry(a) for a in members)
        (lake / "hydrawatch.toml").write_text(sink.format(url=siem.url) + allow)
        ok("run", "--lake", lake)
        ok("deliver", "--lake", lake)
        assert alert["alert_id"] not in {q.event["finding_info"]["uid"] for q in siem.took}


def test_a_lake_of_an_older_release_is_told_no_second_time(lake: Path) -> None:
    configure(lake, "siem")
    ok("deliver", "--lake", lake)
    before = len(told(lake, "siem"))
    shutil.rmtree(lake / "data/alert_versions/all")
    for part in (lake / "data/deliveries/all").glob("*.parquet"):
        frame = pl.read_parquet(part)
        frame.drop("outcome", "reason").write_parquet(part)
    ok("deliver", "--lake", lake)
    assert len(told(lake, "siem")) == before
    # ... and what goes now is closed, though its words were never written down.
    shutil.rmtree(lake / "data/alert_versions/all")
    alert = group_alert(lake)
    newest = max((lake / "data/alerts").glob("day=*"))
    part = next(newest.glob("*.parquet"))
    frame = pl.read_parquet(part)
    frame.filter(pl.col("alert_id") != alert["alert_id"]).write_parquet(part)
    ok("deliver", "--lake", lake)
    last = told(lake, "siem")[-1]
    assert (last["finding_info"]["uid"], last["activity_name"]) == (alert["alert_id"], "Close")


def test_a_lake_never_run_withdraws_nothing(world: Path, tmp_path: Path, lake: Path) -> None:
    configure(lake, "siem")
    ok("deliver", "--lake", lake)
    before = len(told(lake, "siem"))
    for table in ("alerts", "runs"):
        for day in (lake / "data" / table).glob("day=*"):
            shutil.rmtree(day)
    ok("deliver", "--lake", lake)
    assert len(told(lake, "siem")) == before


def test_the_report_says_it_for_each_sink(lake: Path) -> None:
    configure(lake, "one")
    ok("deliver", "--lake", lake)
    configure(lake, "one", "two")
    output = ok("deliver", "--lake", lake)
    n = len(told(lake, "one"))
    assert f"one: 0 events sent, {n} sent before" in output.output
    assert f"two: {n} event" in output.output


def test_a_dry_run_and_a_test_say_what_is_sent_and_what_is_recorded(lake: Path) -> None:
    configure(lake, "siem")
    dry = ok("deliver", "--lake", lake, "--dry-run").output
    assert "would be sent, nothing sent, nothing recorded" in dry
    assert told(lake, "siem") == []
    tried = ok("deliver", "--lake", lake, "--test").output
    assert "siem: 1 test event sent, nothing recorded" in tried
    assert [event["unmapped"] for event in told(lake, "siem")] == [{"test": True}]
    for table in ("deliveries", "alert_versions", "delivery_failures"):
        assert open_lake(lake).frame(table, as_="polars").is_empty()


def test_members_of_a_new_version_are_read_once(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(lake, "siem")
    read: list[str] = []
    real = delivery._members

    def counted(store: Store, alert: Any) -> list[str] | None:
        read.append(alert["alert_id"])
        return real(store, alert)

    monkeypatch.setattr(delivery, "_members", counted)
    ok("deliver", "--lake", lake)
    groups = {a["alert_id"] for a in alerts(lake) if a["subject_type"] == "group"}
    assert groups <= set(read)
    assert len(read) == len(set(read))

"""Each version once to each sink, failures told, successes recorded at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pytest

from detector.alert.deliver import GIVE_UP_AFTER, Delivery, DeliveryReport, deliver
from detector.errors import DeliveryError

D = date(2026, 3, 1)


def alert(i: int, **changes: Any) -> dict[str, Any]:
    row = {"day": D, "alert_id": f"a-{i}", "source": "score", "rule_id": None, "subject_type": "account"}
    row |= {"subject_id": f"u{i}", "kind": "resale", "severity": "medium", "score": 0.6, "state": "open"}
    row |= {"change": "created", "version": 1, "opened_day": D, "updated_day": D, "closed_day": None}
    row |= {"last_day": D, "title": "t", "reasons": ["r"], "spoofable": [], "innocent": []}
    return row | {"n_accounts": 1, "n_requests": 5} | changes


@dataclass
class Fake:
    """A sink that remembers, and fails for the keys it is told to."""

    name: str
    fails: dict[str, Exception] = field(default_factory=dict)
    broken: bool = False
    took: list[str] = field(default_factory=list)
    tried: int = 0

    def send(self, event: Mapping[str, Any], *, key: str) -> int:
        self.tried += 1
        assert event["metadata"]["uid"] == key
        if self.broken:
            raise DeliveryError("down")
        if key in self.fails:
            raise self.fails[key]
        self.took.append(key)
        return 2


def round_of(
    alerts: list[dict[str, Any]], sinks: list[Fake], ledger: list[Delivery], **settings: Any
) -> DeliveryReport:
    already = {(d.alert_id, d.version, d.sink) for d in ledger}
    defaults: dict[str, Any] = {
        "evidence_for": lambda a: [],
        "members_for": lambda a: [],
        "on_delivered": ledger.append,
        "product_version": "0",
    }
    return deliver(alerts, sinks, already, **(defaults | settings))


def test_each_version_goes_to_each_sink_once() -> None:
    a, b = Fake("a"), Fake("b")
    ledger: list[Delivery] = []
    alerts = [alert(1), alert(2)]
    first = round_of(alerts, [a, b], ledger)
    assert a.took == b.took == ["a-1:1", "a-2:1"]
    assert (len(first.delivered), first.failed, first.n_already) == (4, (), 0)
    assert {d.attempts for d in ledger} == {2}
    again = round_of(alerts, [a, b], ledger)
    assert (again.delivered, again.n_already) == ((), 4)
    round_of([alert(1, version=2, change="updated"), alert(2)], [a, b], ledger)
    assert a.took[2:] == ["a-1:2"]
    late = Fake("late")
    round_of(alerts, [a, late], ledger)
    assert late.took == ["a-1:1", "a-2:1"]


def test_a_failing_sink_stops_nobody_and_is_tried_again_next_time() -> None:
    good, bad = Fake("good"), Fake("bad", fails={"a-1:1": DeliveryError("refused", hint="mend it")})
    ledger: list[Delivery] = []
    report = round_of([alert(1), alert(2)], [bad, good], ledger)
    assert good.took == ["a-1:1", "a-2:1"]
    assert bad.took == ["a-2:1"]
    (failure,) = report.failed
    assert (failure.alert_id, failure.version, failure.sink, failure.reason) == ("a-1", 1, "bad", "refused")
    with pytest.raises(DeliveryError, match="1 of 4 deliveries failed: refused") as raised:
        report.raise_if_failed()
    assert raised.value.exit_code == 4
    bad.fails.clear()
    second = round_of([alert(1), alert(2)], [bad, good], ledger)
    assert [(d.alert_id, d.sink) for d in second.delivered] == [("a-1", "bad")]
    second.raise_if_failed()


def test_a_sink_that_raises_anything_at_all_is_a_failure_not_a_crash() -> None:
    odd = Fake("odd", fails={"a-1:1": KeyError("\x1b[31mx")})
    report = round_of([alert(1)], [odd, Fake("good")], [])
    assert report.failed[0].reason == "sink 'odd': KeyError: '\\x1b[31mx'"
    assert [d.sink for d in report.delivered] == ["good"]


def test_a_sink_that_is_down_is_left_alone_after_some_failures() -> None:
    down, good = Fake("down", broken=True), Fake("good")
    alerts = [alert(i) for i in range(10)]
    report = round_of(alerts, [down, good], [])
    assert down.tried == GIVE_UP_AFTER
    assert len(good.took) == 10
    assert len(report.failed) == 10
    assert "not tried" in report.failed[-1].reason
    flaky = Fake("flaky", fails={f"a-{i}:1": DeliveryError("x") for i in (0, 1, 3, 4, 6, 7)})
    round_of(alerts, [flaky], [])
    assert flaky.tried == 10


def test_what_cannot_be_recorded_ends_the_round() -> None:
    sink = Fake("s")

    def full_disk(done: Delivery) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        round_of([alert(1), alert(2)], [sink], [], on_delivered=full_disk)
    assert len(sink.took) == 1


def test_successes_are_recorded_before_the_next_try() -> None:
    ledger: list[Delivery] = []

    @dataclass
    class Watching(Fake):
        def send(self, event: Mapping[str, Any], *, key: str) -> int:
            assert len(ledger) == self.tried
            return super().send(event, key=key)

    round_of([alert(i) for i in range(4)], [Watching("w")], ledger)
    assert len(ledger) == 4


def test_a_dry_run_sends_and_records_nothing() -> None:
    sink = Fake("s")
    ledger: list[Delivery] = []
    report = round_of([alert(1), alert(2)], [sink], ledger, dry_run=True)
    assert (sink.tried, ledger) == (0, [])
    assert report.dry_run
    assert [d.event["finding_info"]["uid"] for d in report.delivered] == ["a-1", "a-2"]
    assert {d.attempts for d in report.delivered} == {0}


def test_the_worst_goes_first_in_any_order_of_rows() -> None:
    alerts = [
        alert(1, severity="low", score=0.99),
        alert(2, severity="critical", score=0.7),
        alert(3, severity="critical", score=0.9),
        alert(4, severity="critical", score=None),
    ]
    for rows in (alerts, alerts[::-1]):
        sink = Fake("s")
        round_of(rows, [sink], [])
        assert sink.took == ["a-3:1", "a-2:1", "a-4:1", "a-1:1"]


def test_evidence_and_members_are_asked_for_only_when_needed() -> None:
    asked: list[str] = []

    def members(row: Mapping[str, Any]) -> list[str]:
        asked.append(row["alert_id"])
        return [row["subject_id"]]

    ledger: list[Delivery] = []
    round_of([alert(1)], [Fake("s")], ledger, members_for=members)
    round_of([alert(1), alert(2)], [Fake("s")], ledger, members_for=members)
    assert asked == ["a-1", "a-2"]


def test_the_installed_version_is_told_when_none_is_given() -> None:
    report = round_of([alert(1)], [Fake("s")], [], product_version=None)
    assert report.delivered[0].event["metadata"]["product"]["version"]

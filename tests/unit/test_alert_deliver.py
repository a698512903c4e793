"""Every sink apart: successes and refusals recorded at once, failures told, one round that ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from detector.alert.deliver import (
    GIVE_UP_AFTER,
    Offer,
    Outcome,
    Recorder,
    SinkReport,
    raise_if_missing,
    serve,
)
from detector.alert.sink import Opened
from detector.errors import DeliveryError, EventRefused


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


@dataclass
class Book(Recorder):
    """Remembers what it is told, in order."""

    lines: list[tuple[str, str, str]] = field(default_factory=list)

    def starting(self, sink: str, offer: Offer) -> None:
        self.lines.append(("starting", sink, offer.alert_id))

    def sent(self, sink: str, done: Outcome) -> None:
        self.lines.append(("sent", sink, done.offer.alert_id))

    def refused(self, sink: str, done: Outcome) -> None:
        self.lines.append(("refused", sink, done.offer.alert_id))

    def failed(self, sink: str, done: Outcome) -> None:
        self.lines.append(("failed", sink, done.offer.alert_id))


def offers(*numbers: int) -> list[Offer]:
    return [Offer(f"a-{i}", 1, f"a-{i}:1", {"metadata": {"uid": f"a-{i}:1"}}) for i in numbers]


def round_of(sinks: list[Fake], todo: list[Offer], book: Recorder | None = None) -> list[SinkReport]:
    return serve([(Opened(sink), todo) for sink in sinks], book or Book())


def test_every_sink_gets_everything_in_order() -> None:
    a, b = Fake("a"), Fake("b")
    reports = round_of([a, b], offers(1, 2, 3))
    assert a.took == b.took == ["a-1:1", "a-2:1", "a-3:1"]
    assert [(r.name, len(r.sent), r.n_missing, r.fault) for r in reports] == [
        ("a", 3, 0, None),
        ("b", 3, 0, None),
    ]
    assert {o.attempts for r in reports for o in r.sent} == {2}
    raise_if_missing(reports, command="again")


def test_a_failing_event_stops_nobody() -> None:
    bad = Fake("bad", fails={"a-1:1": DeliveryError("no room", hint="make some")})
    good = Fake("good")
    reports = round_of([bad, good], offers(1, 2))
    assert (bad.took, good.took) == (["a-2:1"], ["a-1:1", "a-2:1"])
    assert [o.reason for o in reports[0].failed] == ["no room; make some"]
    with pytest.raises(DeliveryError, match="bad: 1 of 2 events not taken") as raised:
        raise_if_missing(reports, command="hydrawatch deliver --lake there")
    assert raised.value.exit_code == 4
    assert "hydrawatch deliver --lake there" in str(raised.value)
    assert "good" not in str(raised.value)


def test_a_sink_that_raises_anything_at_all_is_a_failure_not_a_crash() -> None:
    odd = Fake("odd", fails={"a-1:1": KeyError("\x1b[31mx")})
    one, two = round_of([odd, Fake("good")], offers(1))
    assert one.failed[0].reason == "sink 'odd': KeyError: '\\x1b[31mx'"
    assert len(two.sent) == 1


def test_a_sink_that_is_down_is_left_alone_after_some_failures() -> None:
    down, good = Fake("down", broken=True), Fake("good")
    one, two = round_of([down, good], offers(*range(10)))
    assert down.tried == GIVE_UP_AFTER
    assert (len(one.failed), len(one.waiting), one.n_missing) == (GIVE_UP_AFTER, 10 - GIVE_UP_AFTER, 10)
    assert "failures in a row" in str(one.fault)
    assert len(two.sent) == 10
    flaky = Fake("flaky", fails={f"a-{i}:1": DeliveryError("x") for i in (0, 1, 3, 4, 6, 7)})
    round_of([flaky], offers(*range(10)))
    assert flaky.tried == 10


def test_refusals_never_count_as_an_outage_wherever_they_stand() -> None:
    for refused in ((0, 1, 2, 3, 4), (5, 6, 7, 8, 9), (0, 2, 4, 6, 8)):
        sink = Fake("waf", fails={f"a-{i}:1": EventRefused("no") for i in refused})
        book = Book()
        (report,) = round_of([sink], offers(*range(10)), book)
        assert len(report.sent) == 5
        assert [o.offer.alert_id for o in report.refused] == [f"a-{i}" for i in refused]
        assert [line for line in book.lines if line[0] == "refused"] == [
            ("refused", "waf", f"a-{i}") for i in refused
        ]


def test_refusals_between_failures_do_not_hide_an_outage() -> None:
    fails: dict[str, Exception] = {f"a-{i}:1": DeliveryError("down") for i in range(0, 10, 2)}
    fails |= {f"a-{i}:1": EventRefused("no") for i in range(1, 10, 2)}
    sink = Fake("s", fails=fails)
    (report,) = round_of([sink], offers(*range(10)))
    assert sink.tried < 10
    assert "failures in a row" in str(report.fault)


@pytest.mark.parametrize("n", [1, 4])
def test_refusals_beside_a_success_are_the_events_own_and_without_one_the_sinks(n: int) -> None:
    sink = Fake("s", fails={f"a-{i}:1": EventRefused("no") for i in range(n)})
    (report,) = round_of([sink], offers(*range(n + 1)))
    assert (len(report.refused), len(report.failed), report.fault) == (n, 0, None)
    (report,) = round_of([sink], offers(*range(n)))
    assert (len(report.refused), len(report.failed)) == (0, n)
    assert "refuses every event" in str(report.fault)


def test_what_cannot_be_recorded_ends_the_round() -> None:
    sink = Fake("s")

    class FullDisk(Recorder):
        def sent(self, sink: str, done: Outcome) -> None:
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        round_of([sink], offers(1, 2), FullDisk())
    assert len(sink.took) == 1


def test_each_event_is_settled_before_the_next_is_tried() -> None:
    book = Book()
    fails: dict[str, Exception] = {"a-2:1": DeliveryError("x")}
    round_of([Fake("s", fails=fails)], offers(1, 2, 3), book)
    assert [(what, alert) for what, _, alert in book.lines] == [
        ("starting", "a-1"),
        ("sent", "a-1"),
        ("starting", "a-2"),
        ("failed", "a-2"),
        ("starting", "a-3"),
        ("sent", "a-3"),
    ]


def test_nothing_to_do_ends_at_once() -> None:
    (report,) = round_of([Fake("s")], [])
    assert (report.sent, report.n_missing, report.fault) == ([], 0, None)
    assert serve([], Book()) == []

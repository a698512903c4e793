"""Serves every sink on its own: a sink that hangs, fails or refuses holds up no other.

Each sink has a thread and a deadline. Every success and every final refusal is recorded at once. So a crash repeats
at most the event in flight of each sink, under the same idempotency key.
"""

from __future__ import annotations

import inspect
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from detector.alert.clean import clean
from detector.alert.sink import Opened
from detector.errors import DeliveryError, EventRefused

#: After this many failures in a row, a sink is left alone for the round: each failure may cost minutes of waiting.
GIVE_UP_AFTER = 3
#: Time after its deadline that a sink gets to finish cleanly (s).
_GRACE_S = 2.0


@dataclass(frozen=True)
class Offer:
    """One event for one sink. Every sending of this version has the same ``key``."""

    alert_id: str
    version: int
    key: str
    event: Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What became of an offer. ``arrived``: no answer came, but the sink may have it."""

    offer: Offer
    attempts: int = 0
    reason: str | None = None
    arrived: bool = False


@dataclass
class SinkReport:
    """What became of a round at one sink. ``fault``: why the sink was not served, or not to the end.

    ``n_already`` counts alerts whose current version the sink has. ``held`` are events that it refused in an earlier
    round.
    """

    name: str
    sent: list[Outcome] = field(default_factory=list)
    refused: list[Outcome] = field(default_factory=list)
    failed: list[Outcome] = field(default_factory=list)
    waiting: list[Offer] = field(default_factory=list)
    n_already: int = 0
    held: list[Offer] = field(default_factory=list)
    fault: str | None = None

    @property
    def n_missing(self) -> int:
        """Number of events of this round that the sink did not get."""
        return len(self.failed) + len(self.refused) + len(self.waiting)

    def first_reason(self) -> str | None:
        """What went wrong first, in words; None when nothing did."""
        first = next((o.reason for o in (*self.failed, *self.refused)), None)
        return "; ".join(part for part in (first, self.fault) if part) or None


class Recorder:
    """Records what happens in a round. Its methods are called one at a time, in the thread of a sink.

    An exception of ``sent`` or ``refused`` ends the round: an unrecorded delivery would be repeated for ever.
    """

    def starting(self, sink: str, offer: Offer) -> None:
        """A sink is about to get an event."""

    def sent(self, sink: str, done: Outcome) -> None:
        """A sink took an event."""

    def refused(self, sink: str, done: Outcome) -> None:
        """A sink refused an event for good."""

    def failed(self, sink: str, done: Outcome) -> None:
        """A sink did not take an event this time."""


def serve(
    queues: Sequence[tuple[Opened, Sequence[Offer]]],
    recorder: Recorder,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> list[SinkReport]:
    """Offer each sink its events in their order, all sinks at the same time, and wait for the last sink.

    A sink that is not done at its deadline is abandoned. The events it has not taken are ``waiting``.
    """
    servers = [_Server(sink, offers, recorder, clock) for sink, offers in queues]
    shared = threading.Lock()
    finished: queue.Queue[_Server] = queue.Queue()
    running: dict[_Server, float] = {}
    for server in servers:
        until = clock() + server.sink.deadline_s
        thread = threading.Thread(
            target=server.run, args=(until, shared, finished), name=f"sink {server.sink.name}", daemon=True
        )
        running[server] = until + _GRACE_S
        thread.start()
    try:
        while running:
            left = min(running.values()) - clock()
            try:
                ended = finished.get(timeout=max(left, 0.01))
            except queue.Empty:
                now = clock()
                for late in [s for s, end in running.items() if end <= now]:
                    del running[late]
                    with shared:
                        late.abandon()
                continue
            if running.pop(ended, None) is not None and ended.broke is not None:
                raise ended.broke
    except BaseException:
        for server in running:
            server.stop.set()
        raise
    return [server.report for server in servers]


class _Server:
    """A sink being served: the state that its thread and the main thread share."""

    def __init__(
        self, sink: Opened, offers: Sequence[Offer], recorder: Recorder, clock: Callable[[], float]
    ) -> None:
        self.sink = sink
        self.report = SinkReport(sink.name)
        self.stop = threading.Event()
        self.broke: BaseException | None = None
        self._left = list(offers)
        self._in_flight: Offer | None = None
        self._pending: list[Outcome] = []
        self._recorder = recorder
        self._clock = clock
        self._knows_until = "until" in inspect.signature(sink.sink.send).parameters

    def run(self, until: float, shared: threading.Lock, finished: queue.Queue[_Server]) -> None:
        self._shared = shared
        try:
            self._serve(until)
        except BaseException as error:  # the main thread raises it
            self.broke = error
        finally:
            finished.put(self)

    def abandon(self) -> None:
        """Abandon a sink that is past its deadline. It may still take the event in flight."""
        self.stop.set()
        self.report.fault = f"not done within {self.sink.deadline_s:g} s (deadline_s), left alone"
        if self._in_flight is not None:
            outcome = Outcome(self._in_flight, reason="no answer before the sink's deadline", arrived=True)
            self._recorder.failed(self.sink.name, outcome)
            self.report.failed.append(outcome)
        self.report.waiting = list(self._left)
        self._settle()

    def _serve(self, until: float) -> None:
        failures = 0
        while self._left and not self.stop.is_set():
            if failures >= GIVE_UP_AFTER:
                self._end(f"left alone after {failures} failures in a row")
                return
            if self._clock() >= until:
                self._end(f"not done within {self.sink.deadline_s:g} s (deadline_s)")
                return
            offer = self._left.pop(0)
            with self._shared:
                self._in_flight = offer
                self._recorder.starting(self.sink.name, offer)
            done, refused = self._try(offer, until)
            with self._shared:
                if self.stop.is_set():
                    if done.reason is None:
                        self._recorder.sent(self.sink.name, done)
                    return
                self._in_flight = None
                if refused:
                    self._pending.append(done)
                    continue
                failures = 0 if done.reason is None else failures + 1
                if done.reason is None:
                    self._recorder.sent(self.sink.name, done)
                    self.report.sent.append(done)
                else:
                    self._recorder.failed(self.sink.name, done)
                    self.report.failed.append(done)
        with self._shared:
            if not self.stop.is_set():
                self._settle()

    def _end(self, why: str) -> None:
        with self._shared:
            if not self.stop.is_set():
                self.report.fault = why
                self.report.waiting, self._left = self._left, []
                self._settle()

    def _try(self, offer: Offer, until: float) -> tuple[Outcome, bool]:
        """The outcome of one try, and whether the sink refuses the event for good."""
        more = {"until": until} if self._knows_until else {}
        try:
            attempts = self.sink.sink.send(offer.event, key=offer.key, **more)
        except EventRefused as error:
            return Outcome(offer, reason=_words(error)), True
        except DeliveryError as error:
            return Outcome(offer, reason=_words(error), arrived=error.arrived), False
        except Exception as error:
            # A sink may be third-party code: no exception of one may keep alerts from the others.
            reason = f"sink {self.sink.name!r}: {type(error).__name__}: {clean(error, 200)}"
            return Outcome(offer, reason=reason, arrived=True), False
        return Outcome(offer, attempts=attempts), False

    def _settle(self) -> None:
        """Decide whether the sink refused these events, or refuses everything.

        A sink that took no event and refused one counts as refusing everything. Many nights have a single alert, and it
        must not be lost because the receiver was set up wrongly that night.
        """
        takes_nothing = bool(self._pending) and not self.report.sent
        for done in self._pending:
            if takes_nothing:
                self.report.failed.append(done)
                self._recorder.failed(self.sink.name, done)
            else:
                self.report.refused.append(done)
                self._recorder.refused(self.sink.name, done)
        if takes_nothing and self.report.fault is None:
            self.report.fault = "it refuses every event: look at its address and its secret"
        self._pending = []


def _words(error: DeliveryError) -> str:
    where = f"{error.at}: " if error.at else ""
    return f"{where}{error.message}" + (f"; {error.hint}" if error.hint else "")


def raise_if_missing(reports: Sequence[SinkReport], *, command: str) -> None:
    """End a command with exit code 4 when a sink lacks an event. ``command``: what to run again.

    Raises
    ------
    DeliveryError : names each such sink, the number of events it lacks, and the first reason.
    """
    faults = []
    for report in reports:
        reason = report.first_reason()
        if report.n_missing or report.fault:
            many = f"{report.n_missing:,} of {report.n_missing + len(report.sent):,} events not taken: "
            faults.append(f"{clean(report.name, 80)}: {many if report.n_missing else ''}{clean(reason, 300)}")
    if faults:
        raise DeliveryError("; ".join(faults), hint=f"what was delivered is recorded; run again: {command}")

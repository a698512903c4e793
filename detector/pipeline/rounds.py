"""A round of deliveries: every sink gets what is due to it, or it is only said what would be sent."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from detector.alert.deliver import Offer, Outcome, Recorder, SinkReport, serve
from detector.alert.ocsf import trial_event
from detector.alert.sink import NotOpened, Opened
from detector.pipeline import delivery
from detector.pipeline.delivery import Queue
from detector.pipeline.ledger import Ledger

if TYPE_CHECKING:
    from detector.config import Config
    from detector.lake.store import Store

Sent = Callable[[str, Outcome], None]


def send(
    store: Store,
    settings: Config,
    sinks: Sequence[Opened | NotOpened],
    *,
    retry_refused: bool = False,
    on_sent: Sent = lambda sink, done: None,
) -> list[SinkReport]:
    """Send every sink what is new, has changed or is gone since it last heard, and record it; a report a sink.

    Sinks are served at the same time and apart. ``on_sent`` is told of each event that was taken.

    Raises
    ------
    LakeBusy : another process is delivering.
    """
    ready, lost = _apart(sinks)
    with store.delivering() as handle:
        ledger = Ledger(store, handle, on_sent)
        plan = delivery.plan(store, _names(sinks), settings, retry_refused=retry_refused)
        ledger.issue(plan.to_issue)
        reports = serve([(sink, plan.queues[sink.name].offers) for sink in ready], ledger)
        ledger.close()
    return _in_order(sinks, _with_queues(reports, plan.queues, lost))


def preview(
    store: Store, settings: Config, sinks: Sequence[Opened | NotOpened], *, retry_refused: bool = False
) -> list[SinkReport]:
    """What :func:`send` would send, as ``sent`` of each report. Nothing is sent, nothing recorded."""
    ready, lost = _apart(sinks)
    plan = delivery.plan(store, _names(sinks), settings, retry_refused=retry_refused)
    reports = [
        SinkReport(sink.name, sent=[Outcome(offer) for offer in plan.queues[sink.name].offers])
        for sink in ready
    ]
    return _in_order(sinks, _with_queues(reports, plan.queues, lost))


def trial(
    sinks: Sequence[Opened | NotOpened], *, on_sent: Sent = lambda sink, done: None
) -> list[SinkReport]:
    """Send every sink one event that is no alert. Nothing is recorded."""

    class Told(Recorder):
        def sent(self, sink: str, done: Outcome) -> None:
            on_sent(sink, done)

    ready, lost = _apart(sinks)
    key = f"test:{uuid.uuid4().hex[:16]}"
    reports = serve([(sink, [Offer("test", 1, key, trial_event(key))]) for sink in ready], Told())
    served = {report.name for report in reports}
    reports += [SinkReport(each.name, fault=_words(each)) for each in lost if each.name not in served]
    return _in_order(sinks, reports)


def _apart(sinks: Sequence[Opened | NotOpened]) -> tuple[list[Opened], list[NotOpened]]:
    ready = [each for each in sinks if isinstance(each, Opened)]
    return ready, [each for each in sinks if not isinstance(each, Opened)]


def _names(sinks: Sequence[Opened | NotOpened]) -> list[str]:
    return list(dict.fromkeys(each.name for each in sinks))


def _in_order(sinks: Sequence[Opened | NotOpened], reports: list[SinkReport]) -> list[SinkReport]:
    order = [each.name for each in sinks]
    return sorted(reports, key=lambda report: order.index(report.name))


def _with_queues(
    reports: Iterable[SinkReport], queues: Mapping[str, Queue], lost: Sequence[NotOpened]
) -> list[SinkReport]:
    served = list(reports)
    for each in lost:
        if each.name not in {report.name for report in served}:
            served.append(SinkReport(each.name, waiting=list(queues[each.name].offers), fault=_words(each)))
    for report in served:
        report.n_already = queues[report.name].n_already
        report.held = queues[report.name].held
    return served


def _words(each: NotOpened) -> str:
    return f"not served: {each.error}".replace("\n  ", "; ")

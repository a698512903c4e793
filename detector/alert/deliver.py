"""Hands every version of every alert to every sink exactly once, and says what could not be handed over.

A sink that is down stops neither the others nor the record of what was sent: each success is recorded at
once, so that a crash repeats at most the event in flight, which carries the same idempotency key.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from detector.alert.clean import clean
from detector.alert.lifecycle import SEVERITIES
from detector.alert.ocsf import detection_finding, event_key
from detector.alert.sink import Sink
from detector.errors import DeliveryError

#: Failures in a row after which a sink is left alone for this run: each may have cost minutes of waiting.
GIVE_UP_AFTER = 3

Alert = Mapping[str, Any]
#: What was sent already: (alert_id, version, sink).
Sent = tuple[str, int, str]


@dataclass(frozen=True)
class Delivery:
    """One event one sink took; in a dry run, one it would be given (``attempts`` 0)."""

    alert_id: str
    version: int
    sink: str
    attempts: int
    event: Mapping[str, Any]


@dataclass(frozen=True)
class Failure:
    """One event one sink did not take, with the reason."""

    alert_id: str
    version: int
    sink: str
    reason: str


@dataclass(frozen=True)
class DeliveryReport:
    """What became of a round. ``n_already`` counts pairs of alert version and sink done in earlier ones."""

    delivered: tuple[Delivery, ...]
    failed: tuple[Failure, ...]
    n_already: int
    dry_run: bool

    def raise_if_failed(self) -> None:
        """Ends a command with exit code 4 when anything was not delivered.

        Raises
        ------
        DeliveryError : tells the number of failures and the first reason of each sink.
        """
        if not self.failed:
            return
        first: dict[str, str] = {}
        for failure in self.failed:
            first.setdefault(failure.sink, failure.reason)
        raise DeliveryError(
            f"{len(self.failed)} of {len(self.failed) + len(self.delivered)} deliveries failed: "
            + "; ".join(first.values()),
            hint="what was delivered is recorded; run again: hydrawatch deliver",
        )


def deliver(
    alerts: Iterable[Alert],
    sinks: Sequence[Sink],
    already: AbstractSet[Sent],
    *,
    evidence_for: Callable[[Alert], Sequence[Mapping[str, Any]]],
    members_for: Callable[[Alert], Sequence[str]],
    on_delivered: Callable[[Delivery], None],
    dry_run: bool = False,
    product_version: str | None = None,
) -> DeliveryReport:
    """Send what has not been sent, the most severe alert first.

    Parameters
    ----------
    alerts : newest rows of ``alerts``, open and closed.
    already : (alert_id, version, sink) of the ledger of deliveries.
    evidence_for, members_for : rows of ``why`` and account ids of an alert; asked only for alerts to send.
    on_delivered : called after every success, before the next try; what it raises ends the round, since
        an unrecorded delivery would be repeated.
    dry_run : build the events and send nothing, record nothing.
    product_version : version of hydrawatch; None: the installed one.
    """
    version = product_version or _installed()
    delivered: list[Delivery] = []
    failed: list[Failure] = []
    n_already = 0
    in_a_row = {sink.name: 0 for sink in sinks}
    for alert in sorted(alerts, key=_urgency):
        waiting = [s for s in sinks if (alert["alert_id"], alert["version"], s.name) not in already]
        n_already += len(sinks) - len(waiting)
        if not waiting:
            continue
        event = detection_finding(
            alert, product_version=version, evidence=evidence_for(alert), members=members_for(alert)
        )
        for sink in waiting:
            place: Sent = (alert["alert_id"], alert["version"], sink.name)
            if dry_run:
                delivered.append(Delivery(*place, attempts=0, event=event))
                continue
            if in_a_row[sink.name] >= GIVE_UP_AFTER:
                failed.append(
                    Failure(*place, f"sink {sink.name!r}: not tried after {GIVE_UP_AFTER} failures")
                )
                continue
            try:
                attempts = sink.send(event, key=event_key(alert))
            except Exception as error:
                # Sinks may be third parties' code: whatever one raises, the others still get their alerts.
                in_a_row[sink.name] += 1
                failed.append(Failure(*place, _reason(sink.name, error)))
                continue
            in_a_row[sink.name] = 0
            done = Delivery(*place, attempts=attempts, event=event)
            on_delivered(done)
            delivered.append(done)
    return DeliveryReport(tuple(delivered), tuple(failed), n_already, dry_run)


def _urgency(alert: Alert) -> tuple[Any, ...]:
    return (-SEVERITIES.index(alert["severity"]), -(alert["score"] or 0.0), alert["alert_id"])


def _reason(sink: str, error: Exception) -> str:
    if isinstance(error, DeliveryError):
        return error.message
    return f"sink {sink!r}: {type(error).__name__}: {clean(error, 200)}"


def _installed() -> str:
    try:
        return importlib.metadata.version("hydrawatch")
    except importlib.metadata.PackageNotFoundError:  # run from a checkout
        return "0"

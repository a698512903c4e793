"""The ledgers of ``deliver``: versions made, events taken or refused, tries that failed.

Nothing here waits for the network, and nothing takes the writers' lock: these tables have one writer, who holds
the lock of ``deliver``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import polars as pl

from detector.alert.deliver import Offer, Outcome, Recorder
from detector.alert.versions import Version
from detector.lake.faults import fault
from detector.lake.store import Store

Row = dict[str, Any]


class Ledger(Recorder):
    """Writes down what becomes of events. ``handle``: the lock's file, in which stands what is on its way.

    ``on_sent`` is told of every event taken, once it is written down.
    """

    def __init__(self, store: Store, handle: int, on_sent: Callable[[str, Outcome], None]) -> None:
        self._store = store
        self._handle = handle
        self._on_sent = on_sent
        self._flying: dict[str, list[Any]] = {}
        for left in store.data.glob("*/all/*.new"):
            left.unlink(missing_ok=True)
        for sink, (alert_id, version) in self._read().items():
            # Stopped between a try and its answer: the sink may have it, and is offered it again.
            lost = Outcome(Offer(alert_id, version, "", {}), reason="stopped on its way", arrived=True)
            self._write_failure(sink, lost)
        self._note()

    def issue(self, versions: Sequence[Version]) -> None:
        """Write new versions down, before anybody is told of them."""
        if not versions:
            return
        now = _now()
        self._append(
            "alert_versions",
            [
                {
                    "alert_id": v.alert_id,
                    "version": v.version,
                    "state": v.content["state"],
                    "issued_at": now,
                    "content": json.dumps(v.content),
                    "event": json.dumps(v.event),
                }
                for v in versions
            ],
        )
        fault("deliver.issued")

    def starting(self, sink: str, offer: Offer) -> None:
        self._flying[sink] = [offer.alert_id, offer.version]
        self._note()
        fault("deliver.sending")

    def sent(self, sink: str, done: Outcome) -> None:
        fault("deliver.sent")
        self._settled(sink, done, "sent")
        self._on_sent(sink, done)

    def refused(self, sink: str, done: Outcome) -> None:
        self._settled(sink, done, "refused")

    def failed(self, sink: str, done: Outcome) -> None:
        self._write_failure(sink, done)
        self._landed(sink)

    def close(self) -> None:
        """Forget what was on its way: all of it is written down."""
        self._flying.clear()
        self._note()

    def _settled(self, sink: str, done: Outcome, outcome: str) -> None:
        row = {
            "alert_id": done.offer.alert_id,
            "version": done.offer.version,
            "sink": sink,
            "delivered_at": _now(),
            "attempts": done.attempts or 1,
            "outcome": outcome,
            "reason": done.reason,
        }
        self._append("deliveries", [row])
        self._landed(sink)

    def _write_failure(self, sink: str, done: Outcome) -> None:
        row = {
            "alert_id": done.offer.alert_id,
            "version": done.offer.version,
            "sink": sink,
            "failed_at": _now(),
            "reason": done.reason,
            "arrived": done.arrived,
        }
        self._append("delivery_failures", [row])

    def _append(self, table: str, rows: list[Row]) -> None:
        schema = {name: pl.String for name, value in rows[0].items() if value is None}
        self._store.append(table, pl.DataFrame(rows, schema_overrides=schema))

    def _landed(self, sink: str) -> None:
        self._flying.pop(sink, None)
        self._note()

    def _note(self) -> None:
        # One write of the whole file, padded: a kill leaves the old note or the new one.
        size = os.fstat(self._handle).st_size
        os.pwrite(self._handle, json.dumps(self._flying).encode().ljust(size), 0)

    def _read(self) -> dict[str, tuple[str, int]]:
        try:
            note = json.loads(os.pread(self._handle, 1 << 20, 0) or b"{}")
            return {str(sink): (str(alert), int(version)) for sink, (alert, version) in note.items()}
        except (ValueError, TypeError, AttributeError):
            return {}


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)

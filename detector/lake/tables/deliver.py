"""What ``deliver`` writes: versions of alerts, and what became of each at every sink."""

from __future__ import annotations

from detector.lake.tables.declared import Table
from features.spec import Column

_C = Column

DELIVERED: tuple[Table, ...] = (
    Table(
        "alert_versions",
        "every version of an alert that was made for a sink: a version means one content, for ever",
        (
            _C("alert_id", "VARCHAR", "the alert"),
            _C(
                "version",
                "INTEGER",
                "its version as told, from 1; ahead of `alerts` once a run changed what was told",
            ),
            _C("state", "VARCHAR", "open or closed"),
            _C("issued_at", "TIMESTAMP", "when it was made, before the first try", "UTC"),
            _C("content", "VARCHAR", "row of `alerts` that it tells, as JSON"),
            _C("event", "VARCHAR", "the event as sent, as JSON; the activity is set for each sink"),
        ),
        "ledger",
        "deliver",
    ),
    Table(
        "deliveries",
        "what each sink took, or refused for good",
        (
            _C("alert_id", "VARCHAR", "the alert"),
            _C("version", "INTEGER", "its version"),
            _C("sink", "VARCHAR", "where to"),
            _C("delivered_at", "TIMESTAMP", "when the sink took or refused it", "UTC"),
            _C("attempts", "INTEGER", "tries it took"),
            _C("outcome", "VARCHAR", "sent, or refused: not tried again before a new version; NULL: sent"),
            _C("reason", "VARCHAR", "why it was refused"),
        ),
        "ledger",
        "deliver",
    ),
    Table(
        "delivery_failures",
        "tries that ended without an answer, or with one that may pass; they are tried again",
        (
            _C("alert_id", "VARCHAR", "the alert"),
            _C("version", "INTEGER", "its version"),
            _C("sink", "VARCHAR", "where to"),
            _C("failed_at", "TIMESTAMP", "when it was given up", "UTC"),
            _C("reason", "VARCHAR", "what happened"),
            _C("arrived", "BOOLEAN", "whether the sink may have it all the same"),
        ),
        "ledger",
        "deliver",
    ),
)

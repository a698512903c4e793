"""Numbers the versions of alerts that sinks get, so that a version has one content for ever.

``alerts`` counts versions too, but its contents may change when a day is run again. So every version for a sink is
written down before it is first sent. While the content is the same, the sink gets the same words and the same number.
A new content gets the next number. An alert that is gone from the lake is sent as closed.

Pure: rows in, versions out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from detector.alert.lifecycle import SCORE_STEP

Row = Mapping[str, Any]
Event = Mapping[str, Any]
#: Builds the event of a row of ``alerts``: (row, version) -> event.
Build = Callable[[Row, int], Event]

#: Columns of ``alerts`` that an event holds. ``day``, ``change`` and ``version`` change without news; ``last_day`` is
#: news for closed alerts only.
EVENT_COLUMNS = (
    "alert_id", "source", "rule_id", "subject_type", "subject_id", "kind", "severity", "score", "state",
    "opened_day", "updated_day", "closed_day", "last_day", "title", "reasons", "spoofable", "innocent",
    "n_accounts", "n_requests",
)  # fmt: skip
_DAYS = ("opened_day", "updated_day", "closed_day", "last_day")
#: Probabilities closer than this count as equal (0..1): a tenth of the step that makes a new version.
_SAME_SCORE = SCORE_STEP / 10


@dataclass(frozen=True)
class Version:
    """One version of an alert, written down or about to be (``issued`` false).

    ``content`` is its row of ``alerts`` in JSON values, ``event`` the event without the activity.
    """

    alert_id: str
    version: int
    content: Row
    event: Event
    issued: bool

    @property
    def closed(self) -> bool:
        return bool(self.content["state"] == "closed")


def content_of(alert: Row, members: Sequence[str] | None = None) -> dict[str, Any]:
    """The content of an alert in JSON values. ``members``: accounts that its event names; None: no longer known."""
    content = {name: alert.get(name) for name in EVENT_COLUMNS}
    if content["state"] == "open":
        content["last_day"] = None
    for name in _DAYS:
        if isinstance(day := content[name], date):
            content[name] = day.isoformat()
    content["members"] = None if members is None else sorted(members)
    plain: dict[str, Any] = json.loads(json.dumps(content))
    return plain


def row_of(content: Row) -> dict[str, Any]:
    """A row of ``alerts`` from its content."""
    row = {name: content.get(name) for name in EVENT_COLUMNS}
    for name in _DAYS:
        if isinstance(day := row[name], str):
            row[name] = date.fromisoformat(day)
    return row


def same(one: Row, other: Row) -> bool:
    """Whether two contents are equal in the columns that both have: an older release wrote fewer."""
    for name in one.keys() & other.keys():
        left, right = one[name], other[name]
        if name == "members" and (left is None or right is None):
            continue
        if name == "score" and left is not None and right is not None:
            if abs(left - right) >= _SAME_SCORE:
                return False
        elif left != right:
            return False
    return True


def present(
    alerts: Iterable[Row],
    newest: Mapping[str, Version],
    taken: Mapping[str, int],
    *,
    members_for: Callable[[Row], Sequence[str] | None],
    build: Build,
) -> list[Version]:
    """The current version of each alert of the lake.

    Parameters
    ----------
    alerts : newest rows of ``alerts``, open and closed.
    newest : alert -> newest version written down.
    taken : alert -> highest version that some sink took. Older lakes did not write versions down; there the sink is
        taken to have the content of the lake, unless the lake's number is lower.
    members_for : accounts that an event of this alert names; None: no longer known.
    build : called only for new versions.
    """
    versions: list[Version] = []
    for alert in alerts:
        name = alert["alert_id"]
        content = content_of(alert, members_for(alert))
        last = newest.get(name)
        if last is not None and same(last.content, content):
            versions.append(last)
            continue
        number, n_taken = int(alert["version"]), taken.get(name, 0)
        if last is not None:
            number = max(number, last.version + 1, n_taken + 1)
        elif number < n_taken:
            number = n_taken + 1
        versions.append(Version(name, number, content, build(alert, number), issued=False))
    return versions


def withdrawn(
    newest: Mapping[str, Version],
    alerts: Iterable[Row],
    *,
    day: date,
    reason_for: Callable[[Row], str],
    build: Build,
) -> list[Version]:
    """The version of each alert that the lake no longer holds: closed, with the reason first.

    ``day`` is the newest day run. ``reason_for`` gets the row of the last version.
    """
    present_ids = {alert["alert_id"] for alert in alerts}
    versions: list[Version] = []
    for name, last in sorted(newest.items()):
        if name in present_ids:
            continue
        if last.closed:
            versions.append(last)  # for a sink that missed it
            continue
        row = row_of(last.content)
        row |= {
            "state": "closed",
            "updated_day": day,
            "closed_day": day,
            "last_day": row["updated_day"],
            "reasons": [reason_for(row), *(row["reasons"] or [])],
        }
        event = dict(build(row, last.version + 1))
        # The evidence is gone from the lake, so the event keeps that of the last version.
        event |= {k: last.event[k] for k in ("evidences", "observables") if k in last.event}
        content = content_of(row, last.content.get("members"))
        versions.append(Version(name, last.version + 1, content, event, issued=False))
    return versions

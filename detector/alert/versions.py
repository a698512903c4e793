"""Numbers what is told of alerts, so that a version means one content for ever, whatever is run again.

``alerts`` counts the versions of a lake as it stands; when days run again say something else, the same number
would mean something else. So every version made for a sink is written down before its first try: as long as
the present content is what was written, it is told with those very words and that number, otherwise under the
next one. An alert that is gone from the lake is told as closed.

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
#: Builds the event of a row of ``alerts`` as it stands: (row, version) -> event.
Build = Callable[[Row, int], Event]

#: Columns of ``alerts`` that an event tells. ``day``, ``change`` and ``version`` move without anything to tell;
#: ``last_day`` is told of closed alerts alone.
TOLD = (
    "alert_id", "source", "rule_id", "subject_type", "subject_id", "kind", "severity", "score", "state",
    "opened_day", "updated_day", "closed_day", "last_day", "title", "reasons", "spoofable", "innocent",
    "n_accounts", "n_requests",
)  # fmt: skip
_DAYS = ("opened_day", "updated_day", "closed_day", "last_day")
#: Probabilities closer than this read alike (0..1): a tenth of what makes a version of its own.
_SAME_SCORE = SCORE_STEP / 10


@dataclass(frozen=True)
class Version:
    """One version of an alert, written down or about to be (``issued`` false).

    ``content`` is the row of ``alerts`` it tells in JSON values, ``event`` the event without the activity.
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
    """What is told of an alert, in JSON values. ``members``: accounts an event names; None: not known any more."""
    told = {name: alert.get(name) for name in TOLD}
    if told["state"] == "open":
        told["last_day"] = None
    for name in _DAYS:
        if isinstance(day := told[name], date):
            told[name] = day.isoformat()
    told["members"] = None if members is None else sorted(members)
    plain: dict[str, Any] = json.loads(json.dumps(told))
    return plain


def row_of(content: Row) -> dict[str, Any]:
    """A row of ``alerts`` from what was told of it."""
    row = {name: content.get(name) for name in TOLD}
    for name in _DAYS:
        if isinstance(day := row[name], str):
            row[name] = date.fromisoformat(day)
    return row


def same(one: Row, other: Row) -> bool:
    """Whether two contents read alike. What one of them does not hold, an older release, says nothing."""
    for name in one.keys() & other.keys():
        mine, theirs = one[name], other[name]
        if name == "members" and (mine is None or theirs is None):
            continue
        if name == "score" and mine is not None and theirs is not None:
            if abs(mine - theirs) >= _SAME_SCORE:
                return False
        elif mine != theirs:
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
    """The version that each alert of the lake stands at now.

    Parameters
    ----------
    alerts : newest rows of ``alerts``, open and closed.
    newest : alert -> newest version written down.
    taken : alert -> highest version some sink took; of lakes that did not write versions down, it is taken to
        have told what the lake holds, unless the lake counts less.
    members_for : accounts an event of this alert names; None: not known any more.
    build : asked only for versions to be made.
    """
    found: list[Version] = []
    for alert in alerts:
        name = alert["alert_id"]
        content = content_of(alert, members_for(alert))
        last = newest.get(name)
        if last is not None and same(last.content, content):
            found.append(last)
            continue
        number, told = int(alert["version"]), taken.get(name, 0)
        if last is not None:
            number = max(number, last.version + 1, told + 1)
        elif number < told:
            number = told + 1
        found.append(Version(name, number, content, build(alert, number), issued=False))
    return found


def withdrawn(
    newest: Mapping[str, Version],
    alerts: Iterable[Row],
    *,
    day: date,
    reason_for: Callable[[Row], str],
    build: Build,
) -> list[Version]:
    """The version that tells of each alert that the lake no longer holds: closed, with the reason first.

    ``day`` is the newest day run, ``reason_for`` asked with the row last told.
    """
    there = {alert["alert_id"] for alert in alerts}
    found: list[Version] = []
    for name, last in sorted(newest.items()):
        if name in there:
            continue
        if last.closed:
            found.append(last)  # a sink that missed it is still told
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
        # What tied the accounts is gone from the lake; the sink keeps what it was told.
        event |= {k: last.event[k] for k in ("evidences", "observables") if k in last.event}
        content = content_of(row, last.content.get("members"))
        found.append(Version(name, last.version + 1, content, event, issued=False))
    return found

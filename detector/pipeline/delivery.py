"""What a lake has to tell and to whom: versions of its alerts against what each sink heard. It only reads."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from detector import __version__
from detector.alert import versions
from detector.alert.deliver import Offer
from detector.alert.lifecycle import SEVERITIES
from detector.alert.ocsf import MAX_MEMBERS, as_activity, detection_finding, event_key
from detector.alert.versions import Version
from detector.config import Config
from detector.lake.engine import literal
from detector.lake.store import Store
from detector.pipeline import withdrawal

Row = dict[str, Any]

_CREATE, _UPDATE, _CLOSE = 1, 2, 3


@dataclass
class Queue:
    """What one sink is to get, most urgent first; ``held``: what it refused before and is not offered again."""

    offers: list[Offer] = field(default_factory=list)
    held: list[Offer] = field(default_factory=list)
    n_already: int = 0


@dataclass(frozen=True)
class Round:
    """One round: a queue for each sink, and the versions to write down before the first try."""

    queues: Mapping[str, Queue]
    to_issue: tuple[Version, ...]


@dataclass
class _Heard:
    """What the sinks of a lake heard, by (alert, sink): versions taken, refused, and perhaps arrived."""

    sent: dict[tuple[str, str], set[int]] = field(default_factory=lambda: defaultdict(set))
    refused: dict[tuple[str, str], set[int]] = field(default_factory=lambda: defaultdict(set))
    perhaps: set[tuple[str, str]] = field(default_factory=set)

    def highest(self) -> dict[str, int]:
        """Alert -> highest version some sink took."""
        by_alert: dict[str, int] = {}
        for (alert, _), taken in self.sent.items():
            by_alert[alert] = max(by_alert.get(alert, 0), *taken)
        return by_alert


def plan(store: Store, sinks: Sequence[str], config: Config, *, retry_refused: bool = False) -> Round:
    """What each of ``sinks`` has still to be told, from one state of the lake.

    The first word a sink hears of an alert is Create; what closed before it heard of it is not told.
    """
    while True:
        before = _state(store)
        next_round = _plan(store, sinks, config, retry_refused=retry_refused)
        if _state(store) == before:  # no run swapped its days in between
            return next_round


def _state(store: Store) -> Any:
    return store.engine.query(f"SELECT count(*), max(ran_at) FROM {store.relation('runs')}").to_pylist()


def _plan(store: Store, sinks: Sequence[str], config: Config, *, retry_refused: bool) -> Round:
    heard = _read_heard(store)
    product = __version__
    members = _Members(store)
    alerts = store.rows_of("alerts")

    def build(row: versions.Row, version: int) -> versions.Event:
        named = members.of(row) or []
        alert = {**row, "version": version}
        return detection_finding(
            alert, product_version=product, evidence=_evidence(store, row), members=named[:MAX_MEMBERS]
        )

    newest, taken = _issued(store), heard.highest()
    newest |= _of_older_release(store, {a: v for a, v in taken.items() if a not in newest}, alerts, build)
    now = versions.present(alerts, newest, taken, members_for=members.compared, build=build)
    day = _newest_day(store, alerts)
    if day is not None:
        why = withdrawal.Reasons(store, config, alerts, day)
        now += versions.withdrawn(newest, alerts, day=day, reason_for=why.of, build=_bare(product))
    now.sort(key=_urgency)
    queues: dict[str, Queue] = {}
    wanted: set[str] = set()
    for sink in sinks:
        queue = queues[sink] = Queue()
        for version in now:
            taken_here = heard.sent.get((version.alert_id, sink), set())
            if taken_here and max(taken_here) >= version.version:
                queue.n_already += 1
                continue
            if version.closed and not taken_here and (version.alert_id, sink) not in heard.perhaps:
                continue
            done = _CLOSE if version.closed else _UPDATE if taken_here else _CREATE
            key = event_key({"alert_id": version.alert_id, "version": version.version})
            offer = Offer(version.alert_id, version.version, key, as_activity(version.event, done))
            if version.version in heard.refused.get((version.alert_id, sink), set()) and not retry_refused:
                queue.held.append(offer)
                continue
            queue.offers.append(offer)
            wanted.add(version.alert_id)
    to_issue = tuple(v for v in now if not v.issued and (v.alert_id in wanted or v.alert_id in taken))
    return Round(queues, to_issue)


def _urgency(version: Version) -> tuple[Any, ...]:
    content = version.content
    return (-SEVERITIES.index(content["severity"]), -(content["score"] or 0.0), version.alert_id)


def _newest_day(store: Store, alerts: Sequence[Row]) -> date | None:
    """The day the alerts stand at; None: no day was ever run, and nothing can be said to be gone."""
    days: list[date] = [row["day"] for row in alerts or store.rows_of("runs")]
    return max(days, default=None)


def _read_heard(store: Store) -> _Heard:
    heard = _Heard()
    for row in store.rows_of("deliveries"):
        where = heard.refused if row["outcome"] == "refused" else heard.sent
        where[row["alert_id"], row["sink"]].add(row["version"])
    heard.perhaps = {(r["alert_id"], r["sink"]) for r in store.rows_of("delivery_failures", "arrived")}
    return heard


def _issued(store: Store) -> dict[str, Version]:
    """Alert -> newest version written down."""
    newest = "true QUALIFY row_number() OVER (PARTITION BY alert_id ORDER BY version DESC, issued_at) = 1"
    return {
        r["alert_id"]: Version(
            r["alert_id"], r["version"], json.loads(r["content"]), json.loads(r["event"]), issued=True
        )
        for r in store.rows_of("alert_versions", newest)
    }


def _of_older_release(
    store: Store, taken: Mapping[str, int], alerts: Sequence[Row], build: versions.Build
) -> dict[str, Version]:
    """Alerts that sinks took before versions were written down and that the lake no longer holds, as last known."""
    lost = sorted(set(taken) - {a["alert_id"] for a in alerts})
    if not lost:
        return {}
    names = ", ".join(literal(name) for name in lost)
    rows = store.engine.query(
        f"""SELECT * FROM {store.relation("alerts")} WHERE alert_id IN ({names})
        QUALIFY row_number() OVER (PARTITION BY alert_id ORDER BY day DESC) = 1""",
        of="alerts",
    ).to_pylist()
    return {
        row["alert_id"]: Version(
            row["alert_id"],
            taken[row["alert_id"]],
            versions.content_of(row),
            build(row, taken[row["alert_id"]]),
            issued=True,
        )
        for row in rows
    }


def _bare(product: str) -> versions.Build:
    def build(row: versions.Row, version: int) -> versions.Event:
        return detection_finding(
            {**row, "version": version}, product_version=product, evidence=[], members=[]
        )

    return build


class _Members:
    """Accounts of alerts, each read once: to tell whether a version reads alike, and to name them in its event."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._read: dict[tuple[str, date], list[str] | None] = {}

    def of(self, alert: versions.Row) -> list[str] | None:
        """As ``_members``."""
        key = (alert["alert_id"], alert["updated_day"])
        if key not in self._read:
            self._read[key] = _members(self._store, alert)
        return self._read[key]

    def compared(self, alert: versions.Row) -> list[str] | None:
        """Members that have to stay the same for an alert to read alike: all, where an event names them all."""
        if alert["subject_type"] == "account" or alert["state"] == "closed":
            return None
        members = self.of(alert)
        return None if members is None or len(members) > MAX_MEMBERS else members


def _members(store: Store, alert: versions.Row) -> list[str] | None:
    """Accounts of an alert as they were when it was last told, most strongly tied first; None: not kept any more."""
    if alert["subject_type"] == "account":
        return [alert["subject_id"]]
    day = alert["updated_day"]
    if not store.parts("group_members", day):
        return None
    group = literal(alert["subject_id"])
    # Of a group that is only watched, an alert accuses those who are accused by themselves, and names no other.
    rows = store.engine.query(
        f"""SELECT account_id FROM {store.relation("group_members", [day])}
        WHERE group_id = {group} AND (
            account_id IN (SELECT account_id FROM {store.relation("account_scores", [day])} WHERE verdict = 'alert')
            OR EXISTS (SELECT 1 FROM {store.relation("groups", [day])} WHERE group_id = {group} AND verdict = 'alert'))
        ORDER BY coalesce(strength_bits, 0) DESC, account_id""",
        of="group_members",
    ).to_pylist()
    return [r["account_id"] for r in rows]


def _evidence(store: Store, alert: versions.Row) -> list[Row]:
    column = "account_id" if alert["subject_type"] == "account" else "group_id"
    day = alert["updated_day"]
    return store.rows_of("why", f"{column} = {literal(alert['subject_id'])} AND day = DATE '{day}'")

"""Turns each day's findings into alerts that open, change and close, so that nobody hears of one twice.

Pure: yesterday's alerts and today's findings in, today's alerts out. The same input gives the same rows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from detector.alert.clean import show_id

Row = dict[str, Any]

#: Severities, mildest first.
SEVERITIES = ("low", "medium", "high", "critical")
#: Least change of the calibrated probability that makes a new version (0..1): readers act on a tenth.
SCORE_STEP = 0.1
#: Least growth in members that makes a new version (share of the last number): a daily trickle makes none.
GROWTH = 0.2
#: From this many accounts on, a nearly certain group is critical: it is too large for one person's review.
MANY_ACCOUNTS = 100


@dataclass(frozen=True)
class Finding:
    """What a scorer or a rule says of one subject on one day.

    ``score`` is a calibrated probability (0..1), or for a rule the confidence that its author states.
    ``rule_id`` names the rule and keeps the alerts of two rules apart; it is empty for the scorer. ``exempted`` are
    accounts of the subject that an entry or programme exempts; ``reasons`` name them.
    """

    source: Literal["score", "rule"]
    subject_type: Literal["account", "group"]
    subject_id: str
    kind: str
    severity: str
    score: float
    title: str
    reasons: tuple[str, ...]
    spoofable: tuple[str, ...]
    innocent: tuple[str, ...]
    n_accounts: int
    n_requests: int
    rule_id: str = ""
    exempted: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.severity not in SEVERITIES:
            raise ValueError(f"severity {self.severity!r}, expected one of {', '.join(SEVERITIES)}")
        if not 0 <= self.score <= 1:
            raise ValueError(f"score {self.score!r} is not a probability (0..1)")
        if (self.source == "rule") != bool(self.rule_id):
            raise ValueError("a rule's finding names its rule, a scorer's names none")

    @property
    def alert_id(self) -> str:
        return alert_id(self.source, self.subject_type, self.subject_id, self.rule_id)


def alert_id(source: str, subject_type: str, subject_id: str, rule_id: str = "") -> str:
    """Id of the alert of a subject and source. It is the same on every day and every machine."""
    # A JSON list and not a joined string: a separator inside an id must not make it equal to another.
    text = json.dumps([source, subject_type, subject_id, rule_id]).encode()
    return "a-" + hashlib.blake2b(text, digest_size=8).hexdigest()


def severity_of(score: float, n_accounts: int) -> str:
    """Severity of a scored subject, from its probability (0..1) and its number of accounts."""
    if score >= 0.9:
        return "critical" if n_accounts >= MANY_ACCOUNTS else "high"
    if score >= 0.5:
        return "high" if n_accounts >= MANY_ACCOUNTS else "medium"
    return "low"


def reconcile(
    previous: Sequence[Mapping[str, Any]],
    findings: Iterable[Finding],
    *,
    day: date,
    close_after_days: int = 14,
    moved: Mapping[str, str] | None = None,
    taken_in: Mapping[str, str] | None = None,
    spared: Mapping[tuple[str, str], str] | None = None,
    opened: Sequence[Mapping[str, Any]] = (),
    withheld: Mapping[tuple[str, str], str] | None = None,
) -> list[Row]:
    """Today's alerts from yesterday's and today's findings.

    A row keeps the content of its version (score, members, words) until a change is worth a new version. So a version
    always has one content. Only ``day``, ``change`` and ``last_day`` move in between.

    Parameters
    ----------
    previous : rows of ``alerts`` from before ``day``; closed ones too.
    findings : today's. Of several for one alert, the most severe counts, then the most probable.
    day : the day of the run.
    close_after_days : days without a finding after which an alert closes.
    moved : group -> group it was merged into. Its alert closes, with a pointer, as soon as the successor has an open
        alert of the same source. Until then it stays, so that no alarm is lost.
    taken_in : account -> group that it is a member of now. An alert of the account alone closes in the same way.
    spared : (subject_type, subject_id) -> why it may not be alerted (allow-list). The scorer's alert closes at once.
    opened : rows of ``alerts`` from an earlier run of the same day. If an exemption now keeps one of these alerts from
        opening, it is closed and not forgotten: a sink may have been told of it.
    withheld : as ``spared``, and also subjects with some exempted accounts: why an alert of ``opened`` closes.

    Returns
    -------
    Rows of ``alerts``, oldest first; ``change`` is created, updated, closed or none.

    Raises
    ------
    ValueError : ``previous`` holds this day or a later one.
    """
    before: dict[str, Row] = {}
    for old in previous:
        if old["day"] >= day:
            raise ValueError(f"alerts of {old['day']} handed in as the state before {day}")
        before[old["alert_id"]] = dict(old)
    today: dict[str, Finding] = {}
    for finding in findings:
        rival = today.get(finding.alert_id)
        if rival is None or _rank(finding) > _rank(rival):
            today[finding.alert_id] = finding

    after: dict[str, Row] = {}
    for key, finding in today.items():
        after[key] = _current(before.get(key), finding, day)
    for key, old in before.items():
        if key not in today:
            after[key] = {**old, "day": day, "change": "none"}
    for old in opened:
        key, why = old["alert_id"], (withheld or {}).get((old["subject_type"], old["subject_id"]))
        if key not in after and old["opened_day"] == day and old["source"] == "score" and why is not None:
            after[key] = _closed(_as_opened(old), day, f"Closed: {why}.")
    open_before_closing = {key for key, row in after.items() if row["state"] == "open"}
    for key, row in after.items():
        if key in today or row["state"] == "closed":
            continue
        heir = _heir(row, moved or {}, taken_in or {})
        why = (spared or {}).get((row["subject_type"], row["subject_id"]))
        if why is not None and row["source"] == "score":
            after[key] = _closed(row, day, f"Closed: {why}.")
        elif heir is not None and heir[0] in open_before_closing:
            verb = "Merged" if row["subject_type"] == "group" else "Taken"
            after[key] = _closed(row, day, f"{verb} into group {show_id(heir[1])}: see alert {heir[0]}.")
        elif (silent := (day - row["last_day"]).days) >= close_after_days:
            after[key] = _closed(row, day, f"Closed: nothing found since {row['last_day']} ({silent} days).")
    return sorted(after.values(), key=lambda r: (r["opened_day"], r["alert_id"]))


def _rank(finding: Finding) -> tuple[Any, ...]:
    # The words come last, so that the choice never depends on the order of the findings.
    words = (finding.kind, finding.title, finding.reasons, finding.n_accounts, finding.n_requests)
    return (SEVERITIES.index(finding.severity), finding.score, *words)


def _content(finding: Finding) -> Row:
    return {
        "kind": finding.kind,
        "severity": finding.severity,
        "score": finding.score,
        "title": finding.title,
        "reasons": list(finding.reasons),
        "spoofable": list(finding.spoofable),
        "innocent": list(finding.innocent),
        "n_accounts": finding.n_accounts,
        "n_requests": finding.n_requests,
        "exempted": sorted(finding.exempted),
    }


def _current(old: Row | None, finding: Finding, day: date) -> Row:
    """Today's alert of a subject with a finding."""
    if old is None:
        return {
            "day": day,
            "alert_id": finding.alert_id,
            "source": finding.source,
            "rule_id": finding.rule_id or None,
            "subject_type": finding.subject_type,
            "subject_id": finding.subject_id,
            "state": "open",
            "change": "created",
            "version": 1,
            "opened_day": day,
            "updated_day": day,
            "closed_day": None,
            "last_day": day,
            **_content(finding),
        }
    row_today = {**old, "day": day, "last_day": day, "change": "none"}
    reopened = old["state"] == "closed"
    if not reopened and not _worth_telling(old, finding):
        return row_today
    row = {
        **row_today,
        **_content(finding),
        "change": "updated",
        "version": old["version"] + 1,
        "updated_day": day,
    }
    if reopened:
        note = f"Reopened: it had been closed on {old['closed_day']}."
        row |= {"state": "open", "closed_day": None, "reasons": [note, *finding.reasons]}
    return row


def _worth_telling(old: Row, finding: Finding) -> bool:
    if (old["severity"], old["kind"]) != (finding.severity, finding.kind):
        return True
    # With the epsilon, 0.6 -> 0.7 counts as a tenth although the difference of the floats is a little less.
    if old["score"] is None or abs(finding.score - old["score"]) >= SCORE_STEP - 1e-9:
        return True
    if (old["exempted"] or []) != sorted(finding.exempted):
        return True
    n_before = old["n_accounts"] or 0
    return finding.n_accounts > n_before and finding.n_accounts >= (1 + GROWTH) * n_before - 1e-9


def _heir(row: Row, moved: Mapping[str, str], taken_in: Mapping[str, str]) -> tuple[str, str] | None:
    """Alert and group that took over a merged group or a single account, at the end of the chain of merges."""
    is_group = row["subject_type"] == "group"
    group = (moved if is_group else taken_in).get(row["subject_id"])
    if group is None:
        return None
    visited: set[str] = set()
    while group in moved and group not in visited:
        visited.add(group)
        group = moved[group]
    if is_group and group == row["subject_id"]:
        return None
    return alert_id(row["source"], "group", group, row.get("rule_id") or ""), group


def _as_opened(old: Mapping[str, Any]) -> Row:
    """A row as it was when it opened, without the closing that a later run of the same day added."""
    if old["state"] == "open":
        return dict(old)
    return {**old, "version": old["version"] - 1, "reasons": list(old["reasons"] or [])[1:]}


def _closed(row: Row, day: date, note: str) -> Row:
    return {
        **row,
        "state": "closed",
        "change": "closed",
        "version": row["version"] + 1,
        "updated_day": day,
        "closed_day": day,
        "reasons": [note, *(row["reasons"] or [])],
    }

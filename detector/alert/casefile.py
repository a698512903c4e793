"""The case against one group or account, for a review or an appeal: every claim with its record.

It is built from rows, and shown as text (``casetext``), as JSON (``to_json``) or as one HTML page
(``detector.report``).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from detector.alert.chains import Ties, ties
from detector.alert.clean import clean, show_id
from detector.alert.connections import Connections, connections
from detector.alert.evidence import Evidence, weigh
from detector.alert.phrases import amount, count, measured
from detector.alert.words import NO_VALUE, Description, describe
from detector.bits import from_bits

Row = Mapping[str, Any]

#: Most lines of a timeline; those in the middle are left out and counted.
_MOST_EVENTS = 40

NOT_PROOF = (
    "This file states what the request log shows and how unusual that is. It does not prove who runs the "
    "accounts, what they intend, or that outputs were used for training. The probability is calibrated on "
    "earlier traffic: of subjects scored alike, some are honest. Nationality and country are not scored. "
    "Evidence marked as spoofable may have been arranged by somebody else to incriminate these accounts."
)
HOW_TO_CHECK = (
    "Before anybody acts: run the check beside each honest explanation, look at the accounts that only "
    "spoofable evidence ties to the group, and read what would have cleared it. Nothing is suspended by "
    "this tool."
)
HOW_TO_APPEAL = (
    "An account that is acted upon should be told these reasons and may ask for a review by a person who "
    "did not take the first decision. A reviewer who finds an honest explanation records it as an entry of "
    "the allow-list, with a reason and an expiry date: the subject is then watched at most."
)


@dataclass(frozen=True)
class Part:
    """One contribution to the score: its measurement, meaning, value (None: not measured), bits and observations."""

    name: str
    meaning: str
    value: float | None
    bits: float
    n: int | None

    @property
    def shown(self) -> str:
        """Its value in words; empty for a contribution without a value, such as the base rate."""
        return "" if self.value is None and self.name in NO_VALUE else amount(self.name, self.value)


@dataclass(frozen=True)
class Member:
    """One account of a group: its first and last day, its state, and the bits that tie it to the group."""

    account_id: str
    first_day: date | None
    last_day: date | None
    state: str
    strength_bits: float | None
    families: tuple[str, ...]


@dataclass(frozen=True)
class Allowed:
    """One exemption of an account of the case: its entry or programme, its end (None: no end) and its reason.

    ``state`` is acting, waiting (for the next run) or expired.
    """

    account_id: str
    by: str
    name: str
    until: date | None
    reason: str
    state: str

    def sentence(self) -> str:
        """The exemption in one line."""
        waits = " (from the next run on)" if self.state == "waiting" else ""
        if self.by == "programme":
            return (
                f"{self.account_id}: watch at most{waits}, as its programme {self.name} resells by contract"
            )
        entry = f"allow-list entry of {self.by} {self.name}"
        if self.state == "expired":
            return f"{self.account_id}: the {entry} expired on {self.until} and no longer acts; it said: {self.reason}"
        return f"{self.account_id}: watch at most until {self.until}{waits}, by the {entry}: {self.reason}"


@dataclass(frozen=True)
class Moment:
    """One line of the timeline."""

    when: date
    what: str


@dataclass(frozen=True)
class DayScore:
    """The score of one day: its contributions together, as log-odds in bits and as a probability (0..1)."""

    day: date
    score_bits: float
    score: float


@dataclass(frozen=True)
class CaseFile:
    """The whole case of one subject. All strings are safe to show; ids come from ``show_id``."""

    subject_type: str
    subject_id: str
    kind: str
    verdict: str
    state: str
    score: float | None
    threshold: float
    n_accounts: int
    n_requests: int | None
    description: Description
    parts: tuple[Part, ...]
    evidence: tuple[Evidence, ...]
    members: tuple[Member, ...]
    timeline: tuple[Moment, ...]
    alerts: tuple[str, ...]
    allowed: tuple[Allowed, ...] = ()
    #: Day of the score and its contributions: the day of the subject's peak score.
    score_day: date | None = None
    #: Its score on every day on which it was worked out, oldest first.
    daily: tuple[DayScore, ...] = ()
    #: What connects the accounts of a group; None where fewer than two have evidence.
    connections: Connections | None = None
    #: What ties an account to its group; None where it has none.
    ties: Ties | None = None
    not_proof: str = NOT_PROOF
    how_to_check: str = HOW_TO_CHECK
    how_to_appeal: str = HOW_TO_APPEAL

    @property
    def summed_bits(self) -> float:
        """The sum of all contributions: log-odds in bits."""
        return math.fsum(part.bits for part in self.parts)

    @property
    def summed(self) -> float:
        """The sum of all contributions as a probability (0..1)."""
        return from_bits(self.summed_bits)

    def contributions_title(self) -> str:
        """Heading of the contributions, with their day."""
        day = f" of {self.score_day}" if self.score_day else ""
        return f"Contributions to the score{day} (bits of log-odds; they add up to it)"

    def by_family(self) -> dict[str, tuple[Evidence, ...]]:
        """Evidence by family, the heaviest family first."""
        families = dict.fromkeys(e.family for e in self.evidence)
        return {family: tuple(e for e in self.evidence if e.family == family) for family in families}

    def to_json(self) -> dict[str, Any]:
        """The whole case as JSON values: dates are ISO 8601 days, NaN and infinity are null."""
        plain = _plain(asdict(self))
        assert isinstance(plain, dict)
        return plain


def explain(
    subject: Row,
    *,
    parts: Sequence[Row],
    why: Sequence[Row],
    members: Sequence[Row] = (),
    alerts: Sequence[Row] = (),
    events: Sequence[Row] = (),
    allowed: Sequence[Row] = (),
    history: Sequence[Row] = (),
    group_why: Sequence[Row] = (),
    threshold: float,
) -> CaseFile:
    """Build the case file of a group or account.

    Parameters
    ----------
    subject : its row of ``groups`` (recognised by ``n_accounts``) or ``account_scores``.
    parts : its rows of ``contributions`` on the day of the score.
    why : rows of ``why``: of the group, or those of the account itself.
    members : rows of ``group_members`` of the group; none for an account.
    alerts : its rows of ``alerts``.
    events : rows of ``account_events`` of its accounts.
    allowed : exemptions of its accounts: account_id, by, name, until, reason, state.
    history : its rows of ``contributions`` on every day: the scores of its days.
    group_why : for an account, rows of ``why`` of the group that its own are of.
    threshold : probability an alert needed that day (0..1).
    """
    is_group = "n_accounts" in subject
    scored = [w for w in parts if w.get("bits") is not None]
    n_accounts = int(subject["n_accounts"] or len(members)) if is_group else 1
    families: dict[str, set[str]] = {}
    for row in why:
        families.setdefault(row["account_id"], set()).add(clean(row["family"], 40))
    return CaseFile(
        subject_type="group" if is_group else "account",
        subject_id=show_id(subject["group_id" if is_group else "account_id"]),
        kind=clean(subject.get("kind") or "other", 60),
        verdict=clean(subject.get("verdict") or "unknown", 20),
        state=clean(subject.get("state") or "", 20),
        score=subject.get("score"),
        threshold=threshold,
        n_accounts=n_accounts,
        n_requests=subject.get("n_requests"),
        description=describe(subject, parts, why, threshold=threshold),
        parts=tuple(_part(p) for p in sorted(scored, key=lambda p: (-p["bits"], str(p["feature"])))),
        evidence=weigh(why, n_accounts),
        members=tuple(_member(m, families) for m in sorted(members, key=_by_strength)),
        timeline=_timeline(subject, members, alerts, events),
        alerts=tuple(sorted({show_id(a["alert_id"], 40) for a in alerts})),
        allowed=tuple(_allowed(row) for row in sorted(allowed, key=lambda r: str(r["account_id"]))),
        score_day=subject.get("score_day"),
        daily=_daily(history),
        connections=connections(why) if is_group else None,
        ties=ties(subject["account_id"], group_why[0]["group_id"], group_why) if group_why else None,
    )


def _daily(history: Sequence[Row]) -> tuple[DayScore, ...]:
    days: dict[date, list[float]] = {}
    for row in history:
        if row.get("bits") is not None:
            days.setdefault(row["day"], []).append(float(row["bits"]))
    summed = [(day, math.fsum(bits)) for day, bits in sorted(days.items())]
    return tuple(DayScore(day, bits, from_bits(bits)) for day, bits in summed)


def _allowed(row: Row) -> Allowed:
    by, reason = clean(row["by"], 20), clean(row["reason"], 300)
    return Allowed(
        show_id(row["account_id"]), by, show_id(row["name"]), row["until"], reason, clean(row["state"], 20)
    )


def _part(row: Row) -> Part:
    name = clean(row["feature"], 60)
    return Part(name, measured(str(row["feature"])) or "", row.get("value"), float(row["bits"]), row.get("n"))


def _by_strength(row: Row) -> tuple[float, str]:
    return (-(row.get("strength_bits") or 0.0), str(row["account_id"]))


def _member(row: Row, families: Mapping[str, set[str]]) -> Member:
    account = row["account_id"]
    return Member(
        show_id(account),
        row.get("first_day"),
        row.get("last_day"),
        clean(row.get("state") or "", 20),
        row.get("strength_bits"),
        tuple(sorted(families.get(account, ()))),
    )


def _timeline(
    subject: Row, members: Sequence[Row], alerts: Sequence[Row], events: Sequence[Row]
) -> tuple[Moment, ...]:
    moments: list[Moment] = []

    def tell(when: date | None, what: str) -> None:
        if when is not None:
            moments.append(Moment(when.date() if isinstance(when, datetime) else when, what))

    joined = Counter(m["first_day"] for m in members if m.get("first_day"))
    for day, n in joined.items():
        tell(day, f"{count(n, 'account', 'accounts')} joined")
    if not members:
        tell(subject.get("first_day"), "first seen")
    happened = Counter((e["ts"].date(), clean(e["event"], 40)) for e in events if e.get("ts"))
    for (day, event), n in happened.items():
        tell(day, f"{count(n, 'account', 'accounts')}: {event}")
    tell(subject.get("score_day"), "worst score")
    for alert in alerts:
        name = f"alert {show_id(alert['alert_id'], 40)}"
        tell(alert.get("opened_day"), f"{name} opened")
        if alert.get("updated_day") not in (alert.get("opened_day"), alert.get("closed_day")):
            tell(alert.get("updated_day"), f"{name} changed (version {alert['version']})")
        tell(alert.get("closed_day"), f"{name} closed")
    tell(subject.get("last_day"), "last active")
    moments.sort(key=lambda m: (m.when, m.what))
    if len(moments) > _MOST_EVENTS:
        half = _MOST_EVENTS // 2
        cut = moments[half:-half]
        moments = [
            *moments[:half],
            Moment(cut[0].when, f"{len(cut)} further entries left out"),
            *moments[-half:],
        ]
    return tuple(moments)


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value

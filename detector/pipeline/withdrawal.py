"""Why an alert that was told is no longer in the lake, as far as the lake can say."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from detector.alert.clean import clean, show_id
from detector.alert.versions import Row
from detector.config import Config
from detector.decide.exemptions import Exemption
from detector.lake.engine import literal
from detector.lake.store import Store
from detector.pipeline import exempt


class Reasons:
    """Words for alerts withdrawn as of ``day``; the allow-list is read when the first is asked for."""

    def __init__(self, store: Store, config: Config, alerts: Sequence[Row], day: date) -> None:
        self._store = store
        self._config = config
        self._day = day
        self._open = {
            (a["subject_type"], a["subject_id"]): a["alert_id"] for a in alerts if a["state"] == "open"
        }
        self._exempt: dict[str, Exemption] | None = None

    def of(self, alert: Row) -> str:
        """One sentence that begins with "Withdrawn"."""
        subject = alert["subject_id"]
        members = [subject] if alert["subject_type"] == "account" else self._members(subject)
        exemptions = self._exempted()
        if alert["source"] == "score" and any(a in exemptions for a in members):
            if alert["subject_type"] == "account":
                return f"Withdrawn: {clean(exemptions[subject].words(), 300)}."
            return f"Withdrawn: accused accounts of it are exempted: {exempt.listed(members, exemptions)}."
        group = self._group(alert["subject_type"], subject)
        heir = self._open.get(("group", group or ""))
        if heir is not None:
            return f"Withdrawn: it is told of with group {show_id(group)} now: see alert {heir}."
        return "Withdrawn: days were run again, and what the lake holds now does not bear it out."

    def _exempted(self) -> dict[str, Exemption]:
        if self._exempt is None:
            self._exempt = exempt.exempted(self._store, self._config, self._day)
        return self._exempt

    def _members(self, group: str) -> list[str]:
        """Accused members of a group; after a merge those of nobody, since its name is gone."""
        accused = (
            "SELECT account_id FROM ("
            + self._store.view_sql()["account_scores"]
            + ") WHERE peak_verdict = 'alert'"
        )
        where = f"group_id = {literal(group)} AND account_id IN ({accused})"
        return [r["account_id"] for r in self._store.rows_of("group_members", where)]

    def _group(self, kind: str, subject: str) -> str | None:
        """Group that holds the account now, or that the group went into."""
        if kind == "account":
            rows = self._store.rows_of("group_members", f"account_id = {literal(subject)}")
            return rows[0]["group_id"] if rows else None
        group, seen = subject, {subject}
        while rows := self._store.rows_of("groups", f"group_id = {literal(group)}"):
            group = rows[0]["successor_id"]
            if group is None or group in seen:
                break
            seen.add(group)
        return group

"""What a lake knows of one subject, as a case file."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from detector.alert.casefile import CaseFile
from detector.alert.casefile import explain as build
from detector.clean import visible
from detector.config import Config, alert_needs
from detector.errors import ConfigError
from detector.lake.engine import literal
from detector.pipeline.exempt import of_accounts

if TYPE_CHECKING:
    from detector.lake.store import Store


def case_file(store: Store, subject: str, settings: Config) -> CaseFile:
    """The case file of a group, account or alert, from the day of its peak score.

    Raises
    ------
    ConfigError : the lake knows no such subject.
    """
    for alert in store.rows_of("alerts", f"alert_id = {literal(subject)}"):
        subject = alert["subject_id"]
        break
    name = literal(subject)
    rows = store.rows_of("groups", f"group_id = {name}")
    is_group = bool(rows)
    rows = rows or store.rows_of("account_scores", f"account_id = {name}")
    if not rows:
        raise ConfigError(
            f"no group, account or alert {visible(subject, 200)!r}",
            hint=f"list them: hydrawatch query --lake {shlex.quote(str(store.root))} "
            "'SELECT alert_id, subject_id, title FROM alerts'",
        )
    row = rows[0]
    when = f"day = DATE '{row['score_day']}'" if row["score_day"] else "false"
    members = store.rows_of("group_members", f"group_id = {name}") if is_group else []
    accounts = ", ".join(literal(m["account_id"]) for m in members) or name
    runs = store.rows_of("runs", when)
    limit = runs[0]["threshold"] if runs and runs[0]["threshold"] is not None else 1.0
    history = store.rows_of("contributions", f"subject_id = {name}")
    why = store.rows_of("why", f"{'group_id' if is_group else 'account_id'} = {name} AND {when}")
    # The group that its evidence is of, whichever it is in today.
    its_group = f"group_id = {literal(why[0]['group_id'])} AND {when}" if why and not is_group else ""
    return build(
        row,
        parts=[part for part in history if part["day"] == row["score_day"]],
        why=why,
        group_why=store.rows_of("why", its_group) if its_group else (),
        members=members,
        alerts=store.rows_of("alerts", f"subject_id = {name}"),
        events=store.rows_of("account_events", f"account_id IN ({accounts})"),
        allowed=of_accounts(store, settings, [m["account_id"] for m in members] or [subject]),
        history=history,
        threshold=alert_needs(limit, row["score"] or 0.0, is_group=is_group),
    )

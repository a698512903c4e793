"""Commands on what was found: explain, deliver."""

from __future__ import annotations

import shlex
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from detector.cli.lake import ConfigOption, LakeOption, open_for_work
from detector.cli.show import bar, clean, json_line, plural, say
from detector.config import alert_needs
from detector.errors import ConfigError

if TYPE_CHECKING:
    from detector.alert.casefile import CaseFile
    from detector.lake.store import Store

#: Member accounts named in one event; the count tells of the rest.
NAMED_MEMBERS = 20
Subject = Annotated[str, typer.Argument(help="a group, account or alert id", show_default=False)]


def _rows(store: Store, view: str, where: str) -> list[dict[str, Any]]:
    found = store.engine.query(f"SELECT * FROM ({store.view_sql()[view]}) WHERE {where}", of=view)
    return list(found.to_pylist())


def _case(store: Store, subject: str) -> CaseFile:
    """The case file of a subject, from the day of its worst score.

    Raises
    ------
    ConfigError : the lake knows no such subject.
    """
    from detector.alert.casefile import explain as build
    from detector.lake.engine import literal

    for alert in _rows(store, "alerts", f"alert_id = {literal(subject)}"):
        subject = alert["subject_id"]
        break
    name = literal(subject)
    found = _rows(store, "groups", f"group_id = {name}")
    is_group = bool(found)
    found = found or _rows(store, "account_scores", f"account_id = {name}")
    if not found:
        raise ConfigError(
            f"no group, account or alert {clean(subject)!r}",
            hint=f"list them: hydrawatch query --lake {shlex.quote(str(store.root))} "
            "'SELECT alert_id, subject_id, title FROM alerts'",
        )
    row = found[0]
    when = f"day = DATE '{row['score_day']}'" if row["score_day"] else "false"
    members = _rows(store, "group_members", f"group_id = {name}") if is_group else []
    accounts = ", ".join(literal(m["account_id"]) for m in members) or name
    runs = _rows(store, "runs", when)
    allowed = runs[0]["threshold"] if runs and runs[0]["threshold"] is not None else 1.0
    return build(
        row,
        parts=_rows(store, "score_parts", f"subject_id = {name} AND {when}"),
        why=_rows(store, "why", f"{'group_id' if is_group else 'account_id'} = {name} AND {when}"),
        members=members,
        alerts=_rows(store, "alerts", f"subject_id = {name}"),
        events=_rows(store, "account_events", f"account_id IN ({accounts})"),
        threshold=alert_needs(allowed, row["score"] or 0.0, is_group=is_group),
    )


def explain(
    subject: Subject,
    lake: LakeOption,
    json: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,
    page: Annotated[
        Path | None,
        typer.Option("--html", help="write one HTML file to mail or archive instead", show_default=False),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Print the case: members, evidence with bits, parts of the score, what would have cleared it.

    Example: hydrawatch explain g-1f0c9a7be2d4 --lake lake
    """
    store, _ = open_for_work(lake, config)
    with store:
        case = _case(store, subject)
    if page is not None:
        from detector.alert.casepage import render_page

        try:
            page.write_text(render_page(case), encoding="utf-8")
        except OSError as error:
            raise ConfigError(
                f"cannot write {page}: {error.strerror}", hint="give --html a file in a folder that exists"
            ) from error
        say(f"case file: {clean(page)}")
        return
    if json:
        typer.echo(json_line(case.to_json()))
        return
    from rich.console import Console

    from detector.alert.casetext import print_case

    print_case(case, Console(width=None if Console().is_terminal else 120))


def deliver(
    lake: LakeOption,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="show what would be sent, send and record nothing")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help='one {"sink": ..., "event": ...} a line')] = False,
    config: ConfigOption = None,
) -> None:
    """Send every alert that is new or has changed, once to each sink of the configuration.

    Without a configured sink: OCSF Detection Findings as JSON lines on stdout.

    Example: hydrawatch deliver --lake lake --dry-run
    """
    from detector.alert.deliver import Delivery
    from detector.alert.deliver import deliver as send
    from detector.alert.sink import open_sinks
    from detector.alert.sinks.jsonl import Jsonl
    from detector.lake.engine import literal
    from detector.lake.store import fault

    store, settings = open_for_work(lake, config)
    with store, store.exclusive():
        sinks = open_sinks(settings.sinks)
        if json:  # the line printed below is the delivery to stdout
            sinks = [Printed(s.name) if isinstance(s, Jsonl) and s.path is None else s for s in sinks]
        ledger = _rows(store, "deliveries", "true")
        already = {(r["alert_id"], r["version"], r["sink"]) for r in ledger}

        def members_of(alert: Any) -> list[str]:
            if alert["subject_type"] == "account":
                return [alert["subject_id"]]
            rows = _rows(store, "group_members", f"group_id = {literal(alert['subject_id'])}")
            rows.sort(key=lambda r: (-(r["strength_bits"] or 0.0), r["account_id"]))
            return [r["account_id"] for r in rows[:NAMED_MEMBERS]]

        def evidence_of(alert: Any) -> list[dict[str, Any]]:
            column = "account_id" if alert["subject_type"] == "account" else "group_id"
            return _rows(
                store,
                "why",
                f"{column} = {literal(alert['subject_id'])} AND day = DATE '{alert['updated_day']}'",
            )

        def record(done: Delivery) -> None:
            fault("deliver.sent")
            import polars as pl

            row = {
                "alert_id": done.alert_id,
                "version": done.version,
                "sink": done.sink,
                "delivered_at": datetime.now(UTC).replace(tzinfo=None),
                "attempts": done.attempts,
            }
            with store.transaction("deliver") as txn:
                part = f"{uuid.uuid4().hex}.parquet"
                txn.add("deliveries", pl.DataFrame([row]), part=part)
            if json:
                typer.echo(json_line({"sink": done.sink, "event": done.event}))
            update(0.0, done.alert_id)

        with bar("delivering") as update:
            report = send(
                _rows(store, "alerts", "true"),
                sinks,
                already,
                evidence_for=evidence_of,
                members_for=members_of,
                on_delivered=record,
                dry_run=dry_run,
            )
    if dry_run:
        for done in report.delivered:
            if json:
                typer.echo(json_line({"sink": done.sink, "event": done.event}))
            else:
                title = done.event["finding_info"]["title"]
                typer.echo(f"{done.sink}\t{done.alert_id} v{done.version}\t{clean(title)}")
    verb = "would be sent" if dry_run else "sent"
    say(
        f"{plural(len(report.delivered), 'event')} {verb}, {report.n_already:,} sent before, {len(report.failed):,} failed"
    )
    for failure in report.failed:
        say(f"    {clean(failure.sink)} {failure.alert_id}: {clean(failure.reason)}")
    report.raise_if_failed()


class Printed:
    """Stands for stdout where the command itself prints each delivery."""

    def __init__(self, name: str) -> None:
        self.name = name

    def send(self, event: Any, *, key: str) -> int:
        return 1


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    for command in (explain, deliver):
        app.command()(command)

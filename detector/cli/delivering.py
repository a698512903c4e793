"""The command that tells people: deliver."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from detector.cli import ending
from detector.cli.lake import ConfigOption, LakeOption, open_for_work
from detector.cli.show import bar, clean, json_line, plural, say

if TYPE_CHECKING:
    from detector.alert.deliver import Offer, SinkReport
    from detector.alert.sink import Opened

#: Alerts named under one reason; the number tells of the rest.
_NAMED = 5


def deliver(
    lake: LakeOption,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="print the events that are due; nothing is sent, nothing recorded"),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help='one {"sink": ..., "event": ...} a line')] = False,
    test: Annotated[
        bool, typer.Option("--test", help="send every sink one test event and no alert; nothing is recorded")
    ] = False,
    retry_refused: Annotated[
        bool, typer.Option("--retry-refused", help="send again what a sink refused finally")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Send every alert that is new, has changed or is gone, once to each sink of the configuration.

    Sinks are served in parallel: one that is down, slow or misconfigured does not delay the others. Without a
    configured sink, OCSF Detection Findings are written as JSON lines to stdout.

    Example: hydrawatch deliver --lake lake --dry-run
    """
    from detector.alert.deliver import Outcome, raise_if_missing
    from detector.alert.sink import Opened, open_each
    from detector.pipeline import rounds

    if dry_run and test:
        raise typer.BadParameter("choose --dry-run or --test")
    store, settings = open_for_work(lake, config, reading=dry_run)
    command = f"hydrawatch deliver{ending.arguments()}"
    with store:
        sinks = [
            printed(each, json=json) if isinstance(each, Opened) else each
            for each in open_each(settings.sinks)
        ]
        printing = {
            each.name for each in sinks if isinstance(each, Opened) and isinstance(each.sink, Printed)
        }

        def on_sent(sink: str, done: Outcome) -> None:
            if json and sink not in printing:
                _line(sink, done.offer)
            update(0.0, done.offer.alert_id)

        with bar("delivering") as update:
            if test:
                reports = rounds.trial(sinks, on_sent=on_sent)
            elif dry_run:
                reports = rounds.preview(store, settings, sinks, retry_refused=retry_refused)
            else:
                reports = rounds.send(store, settings, sinks, retry_refused=retry_refused, on_sent=on_sent)
    if dry_run:
        _show(reports, json=json)
    for report in reports:
        _tell(report, dry_run=dry_run, test=test, command=command)
    raise_if_missing(reports, command=command + (" --test" if test else ""))


def _show(reports: Sequence[SinkReport], *, json: bool) -> None:
    """The events that are due, one a line."""
    for report in reports:
        for offer in (outcome.offer for outcome in report.sent):
            if json:
                _line(report.name, offer)
            else:
                title = offer.event["finding_info"]["title"]
                what = f"{offer.alert_id} v{offer.version} {offer.event['activity_name']}"
                typer.echo(f"{clean(report.name)}\t{what}\t{clean(title)}")


def _tell(report: SinkReport, *, dry_run: bool, test: bool, command: str) -> None:
    """One line a sink, and under it what went wrong, each reason once."""
    noun = "test event" if test else "event"
    done = "would be sent" if dry_run else "sent"
    counts = [f"{plural(len(report.sent), noun)} {done}"]
    counts += [f"{report.n_already:,} sent before"] if report.n_already else []
    counts += [f"{len(report.refused):,} refused for good"] if report.refused else []
    counts += [f"{len(report.failed):,} failed"] if report.failed else []
    counts += [f"{len(report.waiting):,} not tried"] if report.waiting else []
    counts += ["nothing sent, nothing recorded"] if dry_run else ["nothing recorded"] if test else []
    say(f"{clean(report.name)}: {', '.join(counts)}")
    if report.fault:
        say(f"    {clean(report.fault, width=400)}")
    for outcomes in (report.refused, report.failed):
        by_reason: dict[str, list[str]] = {}
        for outcome in outcomes:
            # The key ends the reason: without it, one reason is one line.
            reason = str(outcome.reason).replace(f" ({outcome.offer.key})", "")
            by_reason.setdefault(reason, []).append(f"{outcome.offer.alert_id} v{outcome.offer.version}")
        for reason, alerts in by_reason.items():
            say(f"    {_some(alerts)}: {clean(reason, width=400)}")
    if report.refused:
        say(f"    not tried again before they change; once mended: {command} --retry-refused")
    elif report.held:
        names = _some([f"{o.alert_id} v{o.version}" for o in report.held])
        say(
            f"    {len(report.held):,} refused before and not tried: {names}; again: {command} --retry-refused"
        )


def _some(names: Sequence[str]) -> str:
    """The first of ``names``, and how many more there are."""
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _line(sink: str, offer: Offer) -> None:
    typer.echo(json_line({"sink": sink, "event": offer.event}))


class Printed:
    """Stands for stdout under ``--json``: the line names the sink beside the event."""

    def __init__(self, name: str) -> None:
        self.name = name

    def send(self, event: Any, *, key: str) -> int:
        typer.echo(json_line({"sink": self.name, "event": event}))
        return 1


def printed(opened: Opened, *, json: bool) -> Opened:
    """The sink, or what stands for it where events are printed anyway."""
    from detector.alert.sink import Opened
    from detector.alert.sinks.jsonl import Jsonl

    if json and isinstance(opened.sink, Jsonl) and opened.sink.path is None:
        return Opened(Printed(opened.name), opened.deadline_s)
    return opened


def register(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command()(deliver)

"""Commands on what was found: explain."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from detector.cli.lake import ConfigOption, LakeOption, open_for_work
from detector.cli.show import clean, json_line, say
from detector.config import alert_needs
from detector.errors import ConfigError

if TYPE_CHECKING:
    from detector.alert.casefile import CaseFile
    from detector.config import Config
    from detector.lake.store import Store

Subject = Annotated[str, typer.Argument(help="a group, account or alert id", show_default=False)]


def _case(store: Store, subject: str, settings: Config) -> CaseFile:
    """The case file of a subject, from the day of its worst score.

    Raises
    ------
    ConfigError : the lake knows no such subject.
    """
    from detector.alert.casefile import explain as build
    from detector.lake.engine import literal
    from detector.pipeline.exempt import of_accounts

    for alert in store.rows_of("alerts", f"alert_id = {literal(subject)}"):
        subject = alert["subject_id"]
        break
    name = literal(subject)
    found = store.rows_of("groups", f"group_id = {name}")
    is_group = bool(found)
    found = found or store.rows_of("account_scores", f"account_id = {name}")
    if not found:
        raise ConfigError(
            f"no group, account or alert {clean(subject)!r}",
            hint=f"list them: hydrawatch query --lake {shlex.quote(str(store.root))} "
            "'SELECT alert_id, subject_id, title FROM alerts'",
        )
    row = found[0]
    when = f"day = DATE '{row['score_day']}'" if row["score_day"] else "false"
    members = store.rows_of("group_members", f"group_id = {name}") if is_group else []
    accounts = ", ".join(literal(m["account_id"]) for m in members) or name
    runs = store.rows_of("runs", when)
    limit = runs[0]["threshold"] if runs and runs[0]["threshold"] is not None else 1.0
    return build(
        row,
        parts=store.rows_of("score_parts", f"subject_id = {name} AND {when}"),
        why=store.rows_of("why", f"{'group_id' if is_group else 'account_id'} = {name} AND {when}"),
        members=members,
        alerts=store.rows_of("alerts", f"subject_id = {name}"),
        events=store.rows_of("account_events", f"account_id IN ({accounts})"),
        allowed=of_accounts(store, settings, [m["account_id"] for m in members] or [subject]),
        threshold=alert_needs(limit, row["score"] or 0.0, is_group=is_group),
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
    """Print the case: members, evidence with bits, contributions to the score, what would have cleared it.

    Example: hydrawatch explain g-1f0c9a7be2d4 --lake lake
    """
    store, settings = open_for_work(lake, config, reading=True)
    with store:
        case = _case(store, subject, settings)
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


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    for command in (explain,):
        app.command()(command)

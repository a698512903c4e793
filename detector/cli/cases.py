"""Commands on what was found: explain."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from detector.cli.lake import ConfigOption, LakeOption, open_for_work
from detector.cli.show import clean, json_line, say
from detector.errors import ConfigError

Subject = Annotated[str, typer.Argument(help="id of a group, account or alert", show_default=False)]


def explain(
    subject: Subject,
    lake: LakeOption,
    json: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,
    page: Annotated[
        Path | None,
        typer.Option("--html", help="write one HTML file instead, to mail or archive", show_default=False),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Print the case: members, evidence with bits, contributions to the score, what would have cleared it.

    Example: hydrawatch explain g-1f0c9a7be2d4 --lake lake
    """
    from detector.pipeline.case import case_file

    store, settings = open_for_work(lake, config, reading=True)
    with store:
        case = case_file(store, subject, settings)
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

"""Commands on what was found: explain, report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from detector.cli.lake import ConfigOption, LakeOption, open_for_work
from detector.cli.show import clean, json_line, say
from detector.errors import ConfigError

if TYPE_CHECKING:
    from detector.alert.casefile import CaseFile

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
    case = _case(subject, lake, config)
    if page is not None:
        _write_page(case, page, option="--html")
        return
    if json:
        typer.echo(json_line(case.to_json()))
        return
    from rich.console import Console

    from detector.alert.casetext import print_case

    print_case(case, Console(width=None if Console().is_terminal else 120))


def report(
    subject: Subject,
    lake: LakeOption,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="file to write [default: stdout]", show_default=False),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Write the case as one HTML page to mail and keep, with charts; it has no script and loads nothing.

    Example: hydrawatch report g-1f0c9a7be2d4 --lake lake --out case.html
    """
    case = _case(subject, lake, config)
    if out is not None:
        _write_page(case, out, option="--out")
        return
    from detector.report.case_page import render_page

    # Bytes: the page says that it is UTF-8, whatever the locale.
    typer.echo(render_page(case).encode(), nl=False)


def _case(subject: str, lake: Path, config: Path | None) -> CaseFile:
    from detector.pipeline.case import case_file

    store, settings = open_for_work(lake, config, reading=True)
    with store:
        return case_file(store, subject, settings)


def _write_page(case: CaseFile, path: Path, *, option: str) -> None:
    """The page of a case into a file.

    Raises
    ------
    ConfigError : it cannot be written.
    """
    from detector.report.case_page import render_page

    try:
        path.write_text(render_page(case), encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"cannot write {path}: {error.strerror}", hint=f"give {option} a file in a folder that exists"
        ) from error
    say(f"case file: {clean(path)}")


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    for command in (explain, report):
        app.command()(command)

"""The command that looks after an installation and a lake."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from detector.cli.lake import ConfigOption, LakeOption
from detector.cli.show import bar, clean, json_line, plural, say

if TYPE_CHECKING:
    from detector.health import Report

#: Enough for any path and the command around it; what is longer was made to be.
_WIDTH = 2000


def doctor(
    lake: LakeOption,
    deep: Annotated[
        bool, typer.Option("--deep", help="read every value of every part, not only the footers")
    ] = False,
    adopt_key: Annotated[
        Path | None,
        typer.Option(
            "--adopt-key",
            metavar="LOG",
            help="adopt the current key if hashes made of this log with it are in the lake",
            show_default=False,
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
    config: ConfigOption = None,
) -> None:
    """Check an installation and a lake, repair what can be repaired, and name the cure for the rest.

    It finishes what a crash left, clears staging and rewrites the views (which a moved lake needs). Exit code 2
    if faults are left.

    Example: hydrawatch doctor --lake lake
    """
    from detector import health
    from detector.config import Config, load_config
    from detector.errors import ConfigError
    from detector.lake.store import Store

    wrong: ConfigError | None = None
    try:
        settings = load_config(lake, config)
    except ConfigError as error:
        settings, wrong = Config(), error
    store = Store(lake, threads=settings.threads, memory_gb=settings.memory_gb, reading=True, as_found=True)
    with store:
        if adopt_key is not None:
            say(clean(health.adopt_key(store, adopt_key, settings), width=_WIDTH))
        with bar("looking") as update:
            report = health.check(store, settings, deep=deep, progress=lambda stage: update(0.0, stage))
    if wrong:
        where = f"{wrong.at}: " if wrong.at else ""
        report.faults.insert(0, health.Finding(f"{where}{wrong.message}", wrong.hint))
    if json:
        typer.echo(json_line(report.to_json()))
    else:
        _print(report)
    if report.faults:
        raise typer.Exit(2)


def _print(report: Report) -> None:
    days = plural(report.n_days, "day")
    if report.n_days:
        days += f" ({report.first_day} to {report.last_day})"
    say(f"hydrawatch {report.version}, Python {report.python}")
    say(f"{clean(report.lake, width=_WIDTH)}: {days}, {report.n_bytes / 1e6:,.1f} MB")
    for line in report.mended:
        say(f"mended: {clean(line, width=_WIDTH)}")
    for kind, findings in (("note", report.notes), ("fault", report.faults)):
        for finding in findings:
            say(f"{kind}: {clean(finding.what, width=_WIDTH)}")
            if finding.cure:
                say(f"    {clean(finding.cure, width=_WIDTH)}")
    say(plural(len(report.faults), "fault") if report.faults else "no faults found")


def register(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command()(doctor)

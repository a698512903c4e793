"""The ``hydrawatch`` command. Data goes to stdout, words and progress to stderr; heavy imports wait until used."""

from __future__ import annotations

import sys
from typing import Annotated

try:
    import typer

    from detector.cli import (
        attribute,
        backtest,
        cases,
        delivering,
        doctor,
        ending,
        ingest,
        lab,
        lake,
        nightly,
        run,
    )
except KeyboardInterrupt:  # Ctrl-C before there was anything to stop
    sys.exit(130)

app = typer.Typer(
    name="hydrawatch",
    help="Finds networks of accounts that harvest an LLM API, from the provider's own request logs.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        from detector import __version__

        typer.echo(f"hydrawatch {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", help="print the version", callback=_version, is_eager=True),
    ] = False,
) -> None:
    pass


ingest.register(app)
lake.register(app)
run.register(app)
nightly.register(app)
cases.register(app)
doctor.register(app)
delivering.register(app)
lab.register(app)
attribute.register(app)
backtest.register(app)


def main() -> None:
    """Entry point: whatever a command raises becomes one message and an exit code."""
    ending.begin()
    try:
        app()
    except BaseException as error:  # panics of compiled libraries are no Exception
        sys.exit(ending.close(error))

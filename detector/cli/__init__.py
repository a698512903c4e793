"""The ``hydrawatch`` command. Data goes to stdout, words and progress to stderr; heavy imports wait until used."""

from __future__ import annotations

import re
import sys

import typer

from detector.clean import visible_lines
from detector.cli import attribute, backtest, cases, lab, lake
from detector.errors import HydrawatchError

app = typer.Typer(
    name="hydrawatch",
    help="Finds networks of accounts that harvest an LLM API, from the provider's own request logs.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
lake.register(app)
cases.register(app)
lab.register(app)
attribute.register(app)
backtest.register(app)


def main() -> None:
    """Entry point: errors a user can act on become one message and an exit code."""
    try:
        app()
    except HydrawatchError as error:
        # A value in the message may hold line breaks: what follows one stays part of this message.
        typer.echo(re.sub(r"\n(?! )", "\n  ", visible_lines(f"hydrawatch: {error}")), err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        typer.echo("hydrawatch: stopped; what was finished is kept, run the same command again", err=True)
        sys.exit(130)
    except BrokenPipeError:  # `hydrawatch query ... | head`
        sys.stderr.close()
        sys.exit(0)

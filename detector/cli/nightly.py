"""The three commands of a night in one: ``hydrawatch nightly``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from detector.cli import delivering, ending
from detector.cli.ingest import ingest
from detector.cli.lake import ConfigOption, LakeOption
from detector.cli.run import FailOnOption, NowOption, run
from detector.cli.show import say

#: Codes after which what builds on a step is left out: its result is not there.
STOPS = (2, ending.CRASHED)


def nightly(
    paths: Annotated[list[Path], typer.Argument(help="log files or folders", show_default=False)],
    lake_folder: LakeOption,
    fail_on: FailOnOption = None,
    now: NowOption = None,
    config: ConfigOption = None,
) -> None:
    """Ingest, run and deliver, and end with the worst of their exit codes: 70, 2, 4, 3, 1, 0.

    Rejected lines (3) stop nothing. After a failed ingest (2, 70) run is skipped. Deliver always runs.

    Example: hydrawatch nightly /var/log/llm --lake lake
    """
    codes = {"ingest": _step("ingesting", lambda: ingest(paths, lake_folder, now=now, config=config))}
    if codes["ingest"] not in STOPS:
        codes["run"] = _step("running", lambda: run(lake_folder, fail_on=fail_on, now=now, config=config))
    codes["deliver"] = _step("delivering", lambda: delivering.deliver(lake_folder, config=config))
    left_out = "" if "run" in codes else "; run was left out: it needs what ingest reads"
    say("nightly: " + ", ".join(f"{step} {code}" for step, code in codes.items()) + left_out)
    worst = min(codes.values(), key=_place)
    if worst:
        raise typer.Exit(worst)


def _place(code: int) -> int:
    """Place of an exit code from the worst on; one that no command is known to end with is the worst."""
    return ending.WORST_FIRST.index(code) if code in ending.WORST_FIRST else -1


def _step(doing: str, command: Callable[[], None]) -> int:
    """Run one command; whatever it raises is said here, so that the next one is reached."""
    ending.doing(doing)
    try:
        command()
    except BaseException as error:
        if ending.is_stop(error):
            raise
        return ending.code_of(error)
    return 0


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(nightly)

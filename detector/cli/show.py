"""How things are shown: words on stderr, bars on a terminal, nothing an attacker wrote taken as markup."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer

from detector.clean import visible, visible_lines
from detector.cli.rows import json_text
from detector.cli.rows import print_table as print_table


def clean(value: object, *, width: int = 200) -> str:
    """``value`` on one line, with every character that steers a terminal written out, cut at ``width``."""
    return visible(value, width)


def say(message: str) -> None:
    """Words for people: stderr. A value among them steers no terminal."""
    typer.echo(visible_lines(message), err=True)


@contextmanager
def bar(what: str, *, total: float | None = None) -> Iterator[Callable[[float, str], None]]:
    """A progress bar on a terminal's stderr, silent elsewhere. Yields ``update(done, note)``."""
    if not sys.stderr.isatty():
        yield lambda done, note: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
    with Progress(
        *columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console, transient=True
    ) as progress:
        task = progress.add_task(clean(what), total=total)

        def update(done: float, note: str) -> None:
            progress.update(task, completed=done, description=clean(note, width=48))

        yield update


def one_of(flags: Sequence[tuple[str, bool]]) -> str:
    """The single output style asked for; the first named is the default.

    Raises
    ------
    typer.BadParameter : two were asked for.
    """
    asked = [name for name, on in flags if on]
    if len(asked) > 1:
        raise typer.BadParameter(f"choose one of --{', --'.join(asked)}")
    return asked[0] if asked else flags[0][0]


def plural(n: int, noun: str) -> str:
    """``3 alerts``, ``1 alert``."""
    return f"{n:,} {noun}" + ("" if n == 1 else "s")


def json_line(row: Any) -> str:
    """One JSON object as text, with what would steer a terminal as escapes."""
    return json_text(row)

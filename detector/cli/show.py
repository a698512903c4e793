"""How things are shown: words on stderr, bars on a terminal, nothing an attacker wrote taken as markup."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from detector.clean import visible, visible_lines
from detector.cli.rows import json_text
from detector.cli.rows import print_table as print_table

if TYPE_CHECKING:
    from rich.progress import Progress


def clean(value: object, *, width: int = 200) -> str:
    """``value`` on one line, with every character that steers a terminal written out, cut at ``width``."""
    return visible(value, width)


#: The bar on the terminal, if one is; what is said meanwhile goes above it.
_bars: list[Progress] = []


def say(message: str) -> None:
    """Words for people: stderr, above the progress bar where there is one. A value among them steers no terminal."""
    words = visible_lines(message)
    if not _bars:
        typer.echo(words, err=True)
        return
    from rich.text import Text

    _bars[-1].console.print(Text(words), soft_wrap=True)


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
        *columns,
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        # Rich would send data meant for stdout to where the bar is.
        redirect_stdout=False,
        redirect_stderr=False,
    ) as progress:
        task = progress.add_task(clean(what), total=total)

        def update(done: float, note: str) -> None:
            progress.update(task, completed=done, description=clean(note, width=48))

        _bars.append(progress)
        try:
            yield update
        finally:
            _bars.pop()


def one_of(flags: Sequence[tuple[str, bool]]) -> str:
    """The single output style asked for; the first named is the default.

    Raises
    ------
    typer.BadParameter : two were asked for.
    """
    chosen = [name for name, on in flags if on]
    if len(chosen) > 1:
        raise typer.BadParameter(f"choose one of --{', --'.join(chosen)}")
    return chosen[0] if chosen else flags[0][0]


def word(value: object) -> str:
    """``value`` as one word of a shell command that can be pasted, whatever an attacker called the file."""
    text = str(value)
    if text.isprintable():
        return shlex.quote(text)
    escaped = "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in "\\'" else f"\\x{byte:02x}"
        for byte in os.fsencode(text)
    )
    return f"$'{escaped}'"


def plural(n: int, noun: str) -> str:
    """``3 alerts``, ``1 alert``."""
    return f"{n:,} {noun}" + ("" if n == 1 else "s")


def json_line(row: Any) -> str:
    """One JSON object as text, with what would steer a terminal as escapes."""
    return json_text(row)

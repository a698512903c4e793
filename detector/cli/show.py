"""How things are shown: tables on stdout, bars on a terminal, nothing an attacker wrote taken as markup."""

from __future__ import annotations

import csv
import io
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import orjson
import typer

if TYPE_CHECKING:
    import pyarrow as pa
    from rich.progress import Progress

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def clean(value: object, *, width: int = 200) -> str:
    """``value`` as one line without control and direction characters, cut at ``width``."""
    text = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", str(value).replace("\n", " ").replace("\t", " "))
    return text if len(text) <= width else text[: width - 1] + "…"


#: The bar on the terminal, if one is; what is said meanwhile goes above it.
_bars: list[Progress] = []


def say(message: str) -> None:
    """Words for people: stderr, above the progress bar where there is one."""
    if not _bars:
        typer.echo(message, err=True)
        return
    from rich.text import Text

    _bars[-1].console.print(Text(message), soft_wrap=True)


def print_table(rows: pa.Table, *, style: str) -> None:
    """Rows to stdout as ``table`` (for people), ``json`` (one object a line) or ``csv``."""
    if style == "json":
        for row in _records(rows):
            sys.stdout.buffer.write(orjson.dumps(row, default=_plain, option=orjson.OPT_NON_STR_KEYS) + b"\n")
        sys.stdout.buffer.flush()
    elif style == "csv":
        _csv(rows)
    else:
        _grid(rows)


def _records(rows: pa.Table) -> list[dict[str, object]]:
    """Rows as they are shown; an SQL interval in words."""
    import pyarrow as pa

    return [
        {k: _interval(v) if isinstance(v, pa.MonthDayNano) else v for k, v in row.items()}
        for row in rows.to_pylist()
    ]


def _interval(value: pa.MonthDayNano) -> str:
    told = [f"{n} {word}" for n, word in ((value.months, "months"), (value.days, "days")) if n]
    if value.nanoseconds or not told:
        told.append(str(timedelta(microseconds=value.nanoseconds // 1000)))
    return " ".join(told)


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.hex()
    return str(value)


def _csv(rows: pa.Table) -> None:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(rows.column_names)
    for row in _records(rows):
        writer.writerow([_cell(value) for value in row.values()])
    sys.stdout.write(out.getvalue())


def _cell(value: object) -> object:
    """A CSV cell a spreadsheet will not take for a formula."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + value
    return value


def _grid(rows: pa.Table) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, pad_edge=False, header_style="bold")
    numeric = [str(t).startswith(("int", "uint", "double", "float")) for t in rows.schema.types]
    for name, right in zip(rows.column_names, numeric, strict=True):
        grid.add_column(Text(clean(name)), justify="right" if right else "left", overflow="fold")
    for row in _records(rows):
        grid.add_row(*[Text(_figure(v)) for v in row.values()])
    width = None if sys.stdout.isatty() else 200
    Console(width=width).print(grid)
    say(plural(rows.num_rows, "row"))


def _figure(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, bytes):
        return value.hex()[:16] + "…"
    return clean(value)


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
    asked = [name for name, on in flags if on]
    if len(asked) > 1:
        raise typer.BadParameter(f"choose one of --{', --'.join(asked)}")
    return asked[0] if asked else flags[0][0]


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
    """One JSON object as text."""
    return orjson.dumps(row, default=_plain).decode()

"""Commands on a lake: query, tables."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from detector.cli import ending
from detector.cli.rows import write_parquet
from detector.cli.show import clean, one_of, plural, print_table, say
from detector.errors import ConfigError, Location

if TYPE_CHECKING:
    from detector.config import Config
    from detector.lake.store import Store

LakeOption = Annotated[Path, typer.Option("--lake", help="folder of the lake", show_default=False)]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="settings file [default: LAKE/hydrawatch.toml]", show_default=False),
]


def open_for_work(
    lake: Path, config: Path | None, *, must_exist: bool = True, spill: bool = False, reading: bool = False
) -> tuple[Store, Config]:
    """A lake and its settings.

    ``spill`` lets the engine use the disk, which only ``run`` may. ``reading`` makes and locks nothing.
    """
    from detector.lake.places import is_lake
    from detector.library import store_of

    ending.works_on(lake, config)
    if must_exist and not is_lake(lake):
        raise ConfigError(f"{lake} is not a lake", hint=f"make one: hydrawatch ingest PATH --lake {lake}")
    return store_of(lake, config, spill=spill, reading=reading)


def query(
    lake: LakeOption,
    sql: Annotated[
        str | None,
        typer.Argument(help="one SELECT over the views; - reads it from stdin", show_default=False),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="file that holds the statement", show_default=False)
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="one object a line")] = False,
    csv: Annotated[
        bool, typer.Option("--csv", help="comma-separated, with spreadsheet formulas disarmed")
    ] = False,
    parquet: Annotated[
        Path | None, typer.Option("--parquet", help="Parquet file to write instead", show_default=False)
    ] = None,
    timeout: Annotated[float, typer.Option("--timeout", min=0.001, help="seconds it may run")] = 600.0,
    memory_gb: Annotated[
        float | None,
        typer.Option(
            "--memory-gb",
            min=0.05,
            help="gigabytes of memory it may use [default: half of the machine's]",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Answer an analyst's SELECT; the statement can read the lake's views and nothing else.

    FROM, VALUES, DESCRIBE, SUMMARIZE, SHOW and EXPLAIN of one SELECT are taken as well. No statement writes.

    Example: hydrawatch query --lake lake "SELECT * FROM account_scores ORDER BY score DESC LIMIT 20"
    """
    from detector.lake.opened import open_lake

    ending.works_on(lake)
    style = one_of([("table", False), ("json", json), ("csv", csv), ("parquet", parquet is not None)])
    opened = open_lake(lake)
    if parquet is not None and opened.root.resolve() in parquet.resolve().parents:
        raise ConfigError(f"{parquet} lies in the lake; expected a file elsewhere")
    rows = opened.arrow(_statement(sql, file, lake), limit_s=timeout, limit_gb=memory_gb)
    if parquet is None:
        print_table(rows, style=style)
    else:
        write_parquet(rows, parquet)
        say(f"{plural(rows.num_rows, 'row')}: {clean(parquet)}")


def _statement(sql: str | None, file: Path | None, lake: Path) -> str:
    """The statement as it was given: in words, from a file, or from stdin."""
    if (sql is None) == (file is None):
        raise ConfigError(
            "expected one statement: in quotes, as - for stdin, or by --file",
            hint=f'for instance: hydrawatch query --lake {shlex.quote(str(lake))} "SELECT * FROM alerts"',
        )
    if file is None:
        return sys.stdin.buffer.read().decode("utf-8", "replace") if sql == "-" else str(sql)
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the statement cannot be read: {error}", at=Location(str(file))) from error


def tables(
    name: Annotated[str | None, typer.Argument(help="one table [default: all]", show_default=False)] = None,
    json: Annotated[bool, typer.Option("--json", help="one object a line")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="comma-separated")] = False,
) -> None:
    """Print every table with its columns, units and meaning, and who reads a measurement.

    Example: hydrawatch tables account_scores
    """
    import pyarrow as pa

    from detector.lake.views import described as declared

    if name is not None and name not in declared():
        raise typer.BadParameter(f"unknown table {name!r}; there are {', '.join(sorted(declared()))}")
    rows = [
        {
            "table": t.name,
            "column": c.name,
            "type": c.type,
            "unit": c.unit,
            "meaning": c.meaning,
            "use": c.use,
        }
        for t in declared().values()
        if name in (None, t.name)
        for c in t.columns
    ]
    print_table(pa.Table.from_pylist(rows), style=one_of([("table", False), ("json", json), ("csv", csv)]))


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    for command in (query, tables):
        app.command()(command)

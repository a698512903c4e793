"""Commands on a lake: query, tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from detector.cli import ending
from detector.cli.show import one_of, print_table
from detector.errors import ConfigError

if TYPE_CHECKING:
    from detector.config import Config
    from detector.lake.store import Store

LakeOption = Annotated[Path, typer.Option("--lake", help="folder of the lake", show_default=False)]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="settings; else LAKE/hydrawatch.toml", show_default=False)
]


def open_for_work(
    lake: Path, config: Path | None, *, must_exist: bool = True, spill: bool = False, reading: bool = False
) -> tuple[Store, Config]:
    """A lake and its settings.

    ``spill`` lets the engine use the disk, which only ``run`` may. ``reading`` makes and locks nothing.
    """
    from detector.config import load_config
    from detector.lake.store import Store, is_lake

    ending.works_on(lake, config)
    if must_exist and not is_lake(lake):
        raise ConfigError(f"{lake} is not a lake", hint=f"make one: hydrawatch ingest PATH --lake {lake}")
    settings = load_config(lake, config)
    store = Store(
        lake,
        threads=settings.threads,
        memory_gb=settings.memory_gb,
        spill=spill,
        reading=reading,
        group=settings.lake_group,
    )
    return store, settings


def query(
    sql: Annotated[str, typer.Argument(help="one SELECT over the views", show_default=False)],
    lake: LakeOption,
    json: Annotated[bool, typer.Option("--json", help="one object a line")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="comma-separated, formulas disarmed")] = False,
) -> None:
    """Answer an analyst's SELECT; the statement can read the lake's views and nothing else.

    Example: hydrawatch query --lake lake "SELECT * FROM account_scores ORDER BY score DESC LIMIT 20"
    """
    from detector.lake.engine import analyst_query
    from detector.lake.store import is_lake
    from detector.lake.trouble import in_words

    ending.works_on(lake)
    root = lake.absolute()
    if not is_lake(root):
        raise ConfigError(f"{lake} is not a lake", hint=f"make one: hydrawatch ingest PATH --lake {lake}")
    if not (root / "hydrawatch.duckdb").exists():
        raise ConfigError(f"{lake} has no views", hint=f"rewrite them: hydrawatch doctor --lake {lake}")
    with in_words(root):
        rows = analyst_query(root / "hydrawatch.duckdb", sql, readable=[root / "data"])
    print_table(rows, style=one_of([("table", False), ("json", json), ("csv", csv)]))


def tables(
    name: Annotated[str | None, typer.Argument(help="one table; else all", show_default=False)] = None,
    json: Annotated[bool, typer.Option("--json", help="one object a line")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="comma-separated")] = False,
) -> None:
    """Print every table with its columns, units and meaning.

    Example: hydrawatch tables account_scores
    """
    import pyarrow as pa

    from detector.lake.tables import tables as known

    if name is not None and name not in known():
        raise typer.BadParameter(f"unknown table {name!r}; there are {', '.join(sorted(known()))}")
    rows = [
        {"table": t.name, "column": c.name, "type": c.type, "unit": c.unit, "meaning": c.meaning}
        for t in known().values()
        if name in (None, t.name)
        for c in t.columns
    ]
    print_table(pa.Table.from_pylist(rows), style=one_of([("table", False), ("json", json), ("csv", csv)]))


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    for command in (query, tables):
        app.command()(command)

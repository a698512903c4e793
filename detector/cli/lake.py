"""Commands on a lake: query, tables, doctor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from detector.cli import ending
from detector.cli.show import one_of, print_table, say
from detector.errors import ConfigError

if TYPE_CHECKING:
    from detector.config import Config
    from detector.lake.store import Store

LakeOption = Annotated[Path, typer.Option("--lake", help="folder of the lake", show_default=False)]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="settings; else LAKE/hydrawatch.toml", show_default=False)
]


def open_for_work(lake: Path, config: Path | None, *, must_exist: bool = True) -> tuple[Store, Config]:
    """A lake and its settings."""
    from detector.config import load_config
    from detector.lake.store import Store

    ending.works_on(lake, config)
    if must_exist and not (lake / "data").is_dir():
        raise ConfigError(f"{lake} is not a lake", hint=f"make one: hydrawatch ingest PATH --lake {lake}")
    settings = load_config(lake, config)
    return Store(lake, threads=settings.threads, memory_gb=settings.memory_gb), settings


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

    ending.works_on(lake)
    root = lake.absolute()
    if not (root / "hydrawatch.duckdb").exists():
        raise ConfigError(f"{lake} has no views", hint=f"rewrite them: hydrawatch doctor --lake {lake}")
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


def doctor(lake: LakeOption, config: ConfigOption = None) -> None:
    """Check an installation and a lake, finish what a crash left, rewrite the views (after a lake has moved).

    Example: hydrawatch doctor --lake lake
    """
    from detector.config import lake_key
    from detector.health import check

    store, _ = open_for_work(lake, config)
    with store:
        with store.exclusive():
            store.write_views()
        lake_key(store.root, may_make=not store.parts("files"))
        faults = check(store)
    for fault in faults:
        say(f"fault: {fault}")
    if faults:
        raise typer.Exit(2)
    say("no faults found; views rewritten")


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    for command in (query, tables, doctor):
        app.command()(command)

"""Commands on a lake: ingest, run, deliver, query, tables, doctor."""

from __future__ import annotations

import pkgutil
import shlex
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from detector.cli.rows import write_parquet
from detector.cli.show import bar, clean, one_of, plural, print_table, say
from detector.errors import ConfigError, DataQualityError, Location

if TYPE_CHECKING:
    from detector.config import Config
    from detector.lake.store import Store

LakeOption = Annotated[Path, typer.Option("--lake", help="folder of the lake", show_default=False)]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="settings; else LAKE/hydrawatch.toml", show_default=False)
]
#: Told from the files, so that a new format is one file; importing them would slow ``--help`` down.
FORMATS = (
    "auto",
    *sorted(m.name for m in pkgutil.iter_modules([str(Path(__file__).parents[1] / "ingest/formats")])),
)


def open_for_work(lake: Path, config: Path | None, *, must_exist: bool = True) -> tuple[Store, Config]:
    """A lake and its settings."""
    from detector.config import load_config
    from detector.lake.store import Store

    if must_exist and not (lake / "data").is_dir():
        raise ConfigError(f"{lake} is not a lake", hint=f"make one: hydrawatch ingest PATH --lake {lake}")
    settings = load_config(lake, config)
    return Store(lake, threads=settings.threads, memory_gb=settings.memory_gb), settings


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a day; expected YYYY-MM-DD") from None


def ingest(
    paths: Annotated[list[Path], typer.Argument(help="log files or folders", show_default=False)],
    lake: LakeOption,
    format: Annotated[str, typer.Option("--format", help=f"one of {', '.join(FORMATS)}")] = "auto",
    max_rejects: Annotated[
        float | None,
        typer.Option(help="share of lines that may be rejected before exit code 3", show_default=False),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Read logs into the lake: metadata and measurements are kept, text is dropped.

    The same file twice is a no-op and the same request id counts once. Lines that cannot be read are kept
    aside with the reason.

    Example: hydrawatch ingest /var/log/llm --lake lake
    """
    if format not in FORMATS:
        raise typer.BadParameter(f"unknown format {format!r}; there are {', '.join(FORMATS)}")
    from detector.config import lake_key
    from detector.ingest.door import ingest as read_in

    store, settings = open_for_work(lake, config, must_exist=False)
    limit = settings.max_rejects if max_rejects is None else max_rejects
    with store, store.exclusive():
        key = lake_key(store.root, may_make=not store.parts("files"))
        store.write_views()
        with bar("reading logs", total=1.0) as update:
            try:
                reports = read_in(
                    paths,
                    store,
                    format=format,
                    key=key,
                    account_attribute=settings.account_attribute,
                    envoy_keys=settings.envoy_keys or None,
                    trusted_hops=settings.trusted_hops,
                    pseudonymise=settings.pseudonymise_accounts,
                    max_rejects=limit,
                    progress=lambda done, total, path: update(done / max(total, 1), str(path)),
                )
            except DataQualityError:
                store.write_views()
                raise
        store.write_views()
    for report in reports:
        if report.skipped:
            say(f"{clean(report.path)}: already ingested, nothing done")
            continue
        line = (
            f"{clean(report.path)} ({report.format} {report.content}): {plural(report.n_lines, 'line')} = "
            f"{report.n_requests:,} kept + {report.n_rejects:,} rejected + {report.n_duplicates:,} duplicates"
        )
        say(line + (f"; {report.n_other:,} other entries" if report.n_other else ""))
        for reason, n in report.reasons.most_common(5):
            say(f"    {n:,} rejected: {clean(reason)}")
    if any(r.n_rejects for r in reports):
        say(
            f'see them: hydrawatch query --lake {shlex.quote(str(lake))} "SELECT path, line, reason FROM rejects"'
        )
    say(f"next: hydrawatch run --lake {lake}")


def run(
    lake: LakeOption,
    day: Annotated[str | None, typer.Option("--day", help="one day, due or not", show_default=False)] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="first day, due or not", show_default=False)
    ] = None,
    until: Annotated[str | None, typer.Option("--until", help="last day", show_default=False)] = None,
    fail_on: Annotated[
        str | None,
        typer.Option(help="exit with 1 when an open alert is low, medium, high or critical, or above"),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Measure, link, score and alert, day by day.

    Without a day: every day not yet run, or whose logs have changed since, oldest first.

    Example: hydrawatch run --lake lake --since 2026-03-01
    """
    from detector import pipeline

    levels = ("low", "medium", "high", "critical")
    if fail_on is not None and fail_on not in levels:
        raise typer.BadParameter(f"unknown severity {fail_on!r}; there are {', '.join(levels)}")
    one, first, last = _day(day), _day(since), _day(until)
    if one and (first or last):
        raise typer.BadParameter("choose --day or --since/--until")
    store, settings = open_for_work(lake, config)
    with store, store.exclusive():
        detector = pipeline.load_detector()
        known = store.days("requests")
        if one:
            days = [one]
        elif first or last:
            days = [d for d in known if (not first or d >= first) and (not last or d <= last)]
        else:
            days = pipeline.due_days(store)
        if not days:
            say(f"nothing to do: {plural(len(known), 'day')} in the lake, all run and none stale")
        with bar("run", total=float(len(days))) as update:
            for number, each in enumerate(days):

                def tell(stage: str, number: int = number, each: date = each) -> None:
                    update(number, f"{each} {stage}")

                report = pipeline.run_day(store, each, config=settings, detector=detector, progress=tell)
                say(
                    f"{each}: {plural(report.n_requests, 'request')}, {plural(report.n_accounts, 'account')}, "
                    f"{plural(report.n_groups, 'group')}; alerts: {report.opened} opened, {report.updated} updated, "
                    f"{report.closed} closed ({report.seconds:.1f} s)"
                )
                for plugin, reason in report.skipped:
                    say(f"    skipped {plugin}: {reason}")
        alerts = store.engine.query(
            f"SELECT severity FROM {store.relation('alerts', [d for d in [store.newest('alerts')] if d])}"
            " WHERE state = 'open'"
        ).to_pylist()
    say(f"{plural(len(alerts), 'open alert')}; next: hydrawatch deliver --lake {lake} --dry-run")
    if fail_on and any(levels.index(a["severity"]) >= levels.index(fail_on) for a in alerts):
        raise typer.Exit(1)


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
    csv: Annotated[bool, typer.Option("--csv", help="comma-separated, formulas disarmed")] = False,
    parquet: Annotated[
        Path | None, typer.Option("--parquet", help="Parquet file to write instead", show_default=False)
    ] = None,
    timeout: Annotated[float, typer.Option("--timeout", min=0.001, help="seconds it may run")] = 600.0,
    memory_gb: Annotated[
        float | None,
        typer.Option(
            "--memory-gb", min=0.05, help="memory it may use; else half of the machine's", show_default=False
        ),
    ] = None,
) -> None:
    """Answer an analyst's SELECT; the statement can read the lake's views and nothing else.

    FROM, VALUES, DESCRIBE, SUMMARIZE, SHOW and EXPLAIN of one SELECT are taken as well. No statement writes.

    Example: hydrawatch query --lake lake "SELECT * FROM account_scores ORDER BY score DESC LIMIT 20"
    """
    from detector.lake.opened import open_lake

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
    for command in (ingest, run, query, tables, doctor):
        app.command()(command)

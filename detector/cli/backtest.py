"""``hydrawatch backtest``: the benchmark on synthetic worlds, as a report people can read and as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from detector.cli.show import bar, clean, plural, say
from detector.errors import ConfigError


def backtest(
    report: Annotated[
        Path | None, typer.Option("--report", help="HTML file to write", show_default=False)
    ] = None,
    json_out: Annotated[
        Path | None, typer.Option("--json", help="JSON file to write", show_default=False)
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option("--markdown", help="file for the main tables", show_default=False)
    ] = None,
    work: Annotated[
        Path, typer.Option("--work", help="folder for the worlds; kept, so that a stopped run continues")
    ] = Path("out/backtest"),
    seeds: Annotated[
        int | None, typer.Option(min=1, help="worlds for each evasion level [default: 5]", show_default=False)
    ] = None,
    evasion_levels: Annotated[
        list[int] | None,
        typer.Option(
            "--evasion-level",
            "--rungs",
            min=0,
            max=3,
            help="evasion levels; repeat for several [default: all] (--rungs: until 0.3)",
        ),
    ] = None,
    accounts: Annotated[
        int | None, typer.Option(min=100, help="honest accounts in a world [default: 1200]")
    ] = None,
    days: Annotated[int | None, typer.Option(min=2, help="days in a world [default: 7]")] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="small worlds; shows that everything runs, proves nothing")
    ] = False,
    held_out: Annotated[bool, typer.Option(help="measure detectors that never saw what they judge")] = True,
    rivals: Annotated[bool, typer.Option(help="also run published methods on the same worlds")] = True,
    full: Annotated[bool, typer.Option("--full", help="add published sizes and 0.1 % worlds: hours")] = False,
    jobs: Annotated[int, typer.Option(min=1, help="worlds processed in parallel")] = 2,
) -> None:
    """Replay synthetic worlds day by day; report recall, alerts, groups, calibration, time to the first alert.

    Every figure has two columns: the shipped detector on seeds it never saw, and detectors trained without the
    campaign kind, the scaffold families and the honest archetypes they judge.

    Example: hydrawatch backtest --quick --report out/report.html --json out/report.json
    """
    from dataclasses import replace

    import orjson

    from detector.lab.benchmark import backtest, design
    from detector.lab.benchmark.cells import cell
    from detector.lab.benchmark.markdown import tables
    from detector.lab.benchmark.report import render

    if report is None and json_out is None and markdown is None:
        raise ConfigError(
            "nowhere to write", hint="give --report out.html, --json out.json or --markdown out.md"
        )
    for path in (report, json_out, markdown):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
    plan: dict[str, Any] = {
        "seeds": seeds,
        "accounts": accounts,
        "days": days,
        "evasion_levels": tuple(sorted(set(evasion_levels or ()))) or None,
    }
    size = replace(
        design.QUICK if quick else design.Size(), **{k: v for k, v in plan.items() if v is not None}
    )
    choice = backtest.Choice(size=size, held_out=held_out, rivals=rivals, full=full, processes=jobs)
    work.mkdir(parents=True, exist_ok=True)
    with bar("backtest", total=1.0) as update:
        result = backtest.run(choice, work, progress=update)
    if json_out is not None:
        json_out.write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2))
        say(f"figures: {clean(json_out)}")
    if markdown is not None:
        markdown.write_text(tables(result), encoding="utf-8")
        say(f"tables: {clean(markdown)}")
    if report is not None:
        report.write_text(render(result), encoding="utf-8")
        say(f"report: {clean(report)}")
    for row in result["columns"]["same"]["evasion_levels"]:
        say(f"evasion level {row['evasion_level']}: recall at 0.1 % / 1 % false positives "
            f"{cell(row['recall_at_0.001']).main} / {cell(row['recall_at_0.01']).main}, "
            f"group F1 {cell(row['pair_f1']).main}")  # fmt: skip
    say(f"{plural(len(result['worlds']), 'world')}, {len(result['rejected'])} rejected by the leak check, "
        f"{result['seconds'] / 60:.1f} minutes")  # fmt: skip


def register(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command()(backtest)

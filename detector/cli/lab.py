"""Commands around synthetic worlds: demo, simulate, train, backtest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from detector.cli.ingest import ingest
from detector.cli.lake import LakeOption
from detector.cli.run import run
from detector.cli.show import bar, clean, print_table, say
from detector.errors import ConfigError


def demo(
    lake: LakeOption = Path("out/demo"),
    logs: Annotated[Path, typer.Option("--logs", help="a labelled world, as simulate writes it")] = Path(
        "sample_logs/world"
    ),
) -> None:
    """Run all steps on the sample logs and compare the alerts with the truth.

    Example: hydrawatch demo
    """
    import shutil

    from detector.lab.benchmark.outcome import outcome

    if not (logs / "truth.csv").exists():
        raise ConfigError(
            f"{logs} holds no labelled world",
            hint="run it in a checkout, or make one: hydrawatch simulate --out world",
        )
    if (lake / "data").is_dir():
        shutil.rmtree(lake)
    say(f"1. ingest {logs / 'logs'} into {lake}")
    ingest([logs / "logs"], lake)
    say("2. run every day")
    run(lake)
    say("3. what it found")
    result = outcome(lake, logs / "truth.csv")
    print_table(result.alerts, style="table")
    say("")
    say(result.words())
    alert = result.alerts["alert_id"][0].as_py() if result.alerts.num_rows else "ALERT_ID"
    say(
        f"""Where to look next:
  hydrawatch explain {alert} --lake {lake}
  hydrawatch query --lake {lake} "SELECT * FROM account_scores ORDER BY score DESC LIMIT 20"
  hydrawatch deliver --lake {lake} --dry-run
  hydrawatch tables"""
    )


def simulate(
    out: Annotated[
        Path, typer.Option("--out", help="folder to write; must not contain a world", show_default=False)
    ],
    seed: Annotated[int, typer.Option(help="seed; the same seed gives the same bytes")] = 1,
    days: Annotated[int, typer.Option(min=1, help="days of traffic")] = 7,
    accounts: Annotated[int, typer.Option(min=10, help="honest accounts")] = 2000,
    attackers: Annotated[
        float, typer.Option(min=0.0, max=0.9, help="share of attackers among the accounts (0..1)")
    ] = 0.05,
    evasion_level: Annotated[
        int,
        typer.Option(
            "--evasion-level",
            "--rung",
            min=0,
            max=3,
            help="0 naive, 1 spread, 2 camouflaged, 3 ghost (--rung: until 0.3)",
        ),
    ] = 1,
    campaign: Annotated[list[str] | None, typer.Option(help="campaign kind; repeat for several")] = None,
    families: Annotated[str, typer.Option(help="set of scaffold and phrase families")] = "a",
    missing: Annotated[
        list[str] | None,
        typer.Option(
            help="an input the operator does not log: prompts, payment, ja4, accounts; repeat for several"
        ),
    ] = None,
    poison: Annotated[bool, typer.Option("--poison", help="attackers frame honest accounts")] = False,
    scale: Annotated[
        float,
        typer.Option(
            min=0.0, max=1.0, help="campaigns at this share of their published size; 0: sized by --attackers"
        ),
    ] = 0.0,
    list_kinds: Annotated[
        bool, typer.Option("--list", help="print campaign kinds and archetypes, generate nothing")
    ] = False,
) -> None:
    """Generate a labelled synthetic world: days of request logs with honest accounts, look-alikes and campaigns.

    Example: hydrawatch simulate --out world --seed 7 --evasion-level 2
    """
    from detector.lab.worlds import world as worlds

    if list_kinds:
        for title, catalogue in (("campaigns", worlds.CAMPAIGNS), ("archetypes", worlds.ARCHETYPES)):
            for name in sorted(catalogue):
                typer.echo(f"{title}\t{name}")
        return
    unknown = sorted(set(campaign or ()) - set(worlds.CAMPAIGNS))
    if unknown:
        raise typer.BadParameter(
            f"unknown campaign {unknown[0]!r}; there are {', '.join(sorted(worlds.CAMPAIGNS))}"
        )
    if (out / "truth.csv").exists():
        raise ConfigError(f"{out} already holds a world", hint="choose another folder or remove it")
    spec = worlds.WorldSpec(
        seed=seed,
        days=days,
        honest_accounts=accounts,
        attacker_share=attackers,
        evasion_level=evasion_level,
        campaigns=tuple(campaign or ()),
        families=families,
        missing=frozenset(missing or ()),
        poison=poison,
        scale=scale,
    )
    with bar("making a world", total=1.0) as update:
        summary = worlds.simulate(spec, out, progress=lambda note, share: update(share, note))
    counts = ", ".join(
        f"{name.replace('_', ' ')} {value}" for name, value in summary.items() if isinstance(value, int)
    )
    say(f"{clean(out)}: {counts}; next: hydrawatch ingest {out / 'logs'} --lake lake")


def train(
    out: Annotated[Path, typer.Option("--out", help="model file to write")] = Path(
        "rules/models/detector.json"
    ),
    worlds: Annotated[int, typer.Option(min=4, help="number of worlds to generate and learn from")] = 56,
    seed: Annotated[int, typer.Option(help="seed of the first world; the others count up")] = 3000,
    accounts: Annotated[
        int, typer.Option(min=200, help="honest accounts in a world; varied by half in both directions")
    ] = 800,
    days: Annotated[int, typer.Option(min=2, help="days in a world")] = 4,
    work: Annotated[
        Path, typer.Option("--work", help="folder for the worlds; kept, so that a stopped run continues")
    ] = Path("out/train"),
    processes: Annotated[int, typer.Option(min=1, help="worlds measured in parallel")] = 2,
    text: Annotated[
        bool, typer.Option("--text", help="rebuild the text model of ingest instead; needs HYDRAWATCH_DATA")
    ] = False,
) -> None:
    """Train the shipped classifier on synthetic worlds: measure, fit, cross-fit, calibrate, write model and card.

    Example: hydrawatch train --worlds 56 --seed 3000 --out rules/models/detector.json
    """
    if text:
        from detector.lab.training.text_model import train as train_text

        train_text(Path("rules/models"))
        say(
            "rules/models/text_elicitation.safetensors and its card are written; lakes keep the scores they have"
        )
        return
    from detector.lab.training.classifier import train_detector

    with bar("training", total=1.0) as update:
        card = train_detector(
            out,
            n_worlds=worlds,
            seed=seed,
            accounts=accounts,
            days=days,
            work=work,
            processes=processes,
            progress=update,
        )
    say(card)


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    for command in (demo, simulate, train):
        app.command()(command)

"""Commands of text attribution: train, predict, compare, evaluate."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from detector.cli.show import bar, clean, json_line, plural, print_table, say
from detector.errors import ConfigError

attribute = typer.Typer(
    name="attribute",
    help="Which model wrote this, and which teacher a student learned from.",
    no_args_is_help=True,
)

TextOption = Annotated[str, typer.Option("--text", help="column of the texts", show_default=False)]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N")]
JsonOption = Annotated[bool, typer.Option("--json", help="one object a line, nothing else on stdout")]


@attribute.command()
def train(
    file: Annotated[
        Path, typer.Argument(help="Parquet, JSON lines or CSV; or a folder of them", show_default=False)
    ],
    text: TextOption,
    label: Annotated[str, typer.Option("--label", help="column of the model names", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="folder to write the model to", show_default=False)],
    group: Annotated[
        str | None, typer.Option("--group", help="column of the prompt; never split", show_default=False)
    ] = None,
    family: Annotated[
        str | None, typer.Option("--family", help="column of the maker, reported as well", show_default=False)
    ] = None,
    background: Annotated[
        Path | None,
        typer.Option("--background", help="texts of other models (column --text)", show_default=False),
    ] = None,
    members: Annotated[
        str,
        typer.Option("--members", help="of linear, style, trees, encoder; auto: encoder on CUDA only"),
    ] = "auto",
    folds: Annotated[int, typer.Option(min=2, max=10, help="number of folds that measure and calibrate")] = 3,
    seed: Annotated[int, typer.Option(help="seed; the same seed and data give the same model")] = 0,
    threads: Annotated[
        int, typer.Option(min=1, help="threads of torch; more than one helps only the encoder")
    ] = 1,
    device: DeviceOption = "auto",
) -> None:
    """Learn fingerprints from labelled texts and write them with a model card.

    Example: hydrawatch attribute train outputs.parquet --text output --label model --group prompt --out fingerprint
    """
    from detector.attribution.corpus.reading import LEAST_A_CLASS, as_text, batches, labelled, thin_classes
    from detector.attribution.extra import chosen_device, use_threads
    from detector.attribution.fingerprint.card import card_of
    from detector.attribution.fingerprint.training import DEFAULT
    from detector.attribution.fingerprint.training import train as learn

    where = chosen_device(device)
    use_threads(threads)
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / "model.json").exists())):
        raise ConfigError(
            f"{out} exists and is not an attribution model", hint="choose another folder for --out"
        )
    data = labelled(file, text=text, label=label, group=group, family=family)
    others: list[str] = []
    if background is not None:
        others = [
            t
            for batch in batches(background, [text])
            for (cell,) in batch
            if (t := as_text(cell)) and t.strip()
        ]
    chosen = tuple(dict.fromkeys(m.strip() for m in members.split(",")))
    if members == "auto":
        chosen = (*DEFAULT, "encoder") if where.type == "cuda" else DEFAULT
    say(
        f"{plural(len(data.texts), 'text')} of {len(set(data.labels))} classes in {plural(len(set(data.groups)), 'group')}"
        f" ({data.n_skipped:,} rows left out); {' + '.join(chosen)} on {where}"
    )
    if group is None:
        say(
            "no --group: only equal texts are kept together; name the prompt's column if models share prompts"
        )
    if thin := thin_classes(data):
        say(
            f"{len(thin)} of {len(set(data.labels))} classes have fewer than {LEAST_A_CLASS} groups "
            f"({', '.join(clean(name) for name in thin[:5])}{', ...' if len(thin) > 5 else ''}): "
            "what is said of them means little"
        )
    with bar("training", total=1.0) as update:
        model = learn(
            data, background=others, members=chosen, folds=folds, seed=seed, device=where,
            progress=update, early=say,
        )  # fmt: skip
    model.save(out, card_of(model, source=file.name))
    facts = model.facts
    low, high = facts["accuracy_interval"]
    say(
        f"{out}: one held-out text named right in {facts['accuracy']:.3f} ({low:.3f} to {high:.3f}), "
        f"calibration error {facts['calibration_error']:.3f}; read {out / 'card.md'}"
    )
    say(f"next: hydrawatch attribute predict {out} FILE --text {clean(text)}")


@attribute.command()
def predict(
    model: Annotated[Path, typer.Argument(help="folder that train wrote", show_default=False)],
    file: Annotated[
        Path, typer.Argument(help="Parquet, JSON lines or CSV; or a folder of them", show_default=False)
    ],
    text: TextOption,
    by: Annotated[
        str | None, typer.Option("--by", help="column of the author: one answer for each", show_default=False)
    ] = None,
    json: JsonOption = False,
    device: DeviceOption = "auto",
) -> None:
    """Name the author of each text, or with --by of each corpus: a table, or one JSON object a line.

    ``prediction`` is always the most likely known class. ``verdict`` says whether to trust it: known, none of
    these, or too few texts. Decide on corpora: one text proves nothing.

    Example: hydrawatch attribute predict fingerprint outputs.jsonl --text output --by account --json
    """
    import pyarrow as pa

    from detector.attribution.corpus.reading import as_text, batches
    from detector.attribution.extra import chosen_device, use_threads
    from detector.attribution.fingerprint.model import load, predict_corpora, predict_texts

    use_threads(1)
    models = load(model, chosen_device(device))

    def texts() -> Iterator[list[tuple[int, str | None]]]:
        row = 0
        for batch in batches(file, [text]):
            yield [(row + i, as_text(cell)) for i, (cell,) in enumerate(batch)]
            row += len(batch)

    def corpora() -> Iterator[list[tuple[str, str | None]]]:
        for batch in batches(file, [text, by or ""]):
            yield [(as_text(key) or "", as_text(cell)) for cell, key in batch]

    shown: list[dict[str, Any]] = []
    with bar("predicting") as update:
        answers = predict_corpora(models, corpora(), lambda n: update(n, f"{n:,} texts")) if by else None
        for answer in answers or predict_texts(models, texts()):
            if json:
                typer.echo(json_line(answer))
            else:
                shown.append({k: v for k, v in answer.items() if k != "probabilities"})
    if json:
        return
    if not shown:
        say("no rows")
        return
    print_table(pa.Table.from_pylist(shown), style="table")


@attribute.command()
def compare(
    files: Annotated[
        list[Path],
        typer.Argument(help="tables with the answers of suspect, candidates, decoys", show_default=False),
    ],
    text: TextOption,
    label: Annotated[str, typer.Option("--label", help="column of the model names", show_default=False)],
    group: Annotated[str, typer.Option("--group", help="column of the prompt", show_default=False)],
    suspect: Annotated[str, typer.Option("--suspect", help="name of the suspect", show_default=False)],
    candidate: Annotated[
        list[str] | None,
        typer.Option("--candidate", help="possible teacher; repeat [default: all]", show_default=False),
    ] = None,
    family: Annotated[
        str | None,
        typer.Option("--family", help="column of the maker; its models are no decoys", show_default=False),
    ] = None,
    decoys: Annotated[
        list[Path] | None,
        typer.Option("--decoys", help="more tables of decoys' answers; repeat", show_default=False),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option("--model", help="fingerprint of the candidates: second witness", show_default=False),
    ] = None,
    prompts: Annotated[int, typer.Option(min=1, help="most prompts to compare; 30 suffice mostly")] = 200,
    seed: Annotated[int, typer.Option(help="seed of the prompts drawn and resampled")] = 0,
    json: Annotated[bool, typer.Option("--json", help="the report as one object")] = False,
    device: DeviceOption = "auto",
) -> None:
    """Name the teacher a suspect learned from, against a null of decoys that answered the same prompts.

    Verdict: derived, consistent with, none of these; or too few decoys or prompts. The verdict is about similar
    habits. People decide what it means.

    Example: hydrawatch attribute compare outputs.parquet --text output --label model --group prompt --suspect student-7b
    """
    from detector.attribution.lineage.comparing import run_comparison

    fingerprint = None
    if model is not None:
        from detector.attribution.extra import chosen_device
        from detector.attribution.fingerprint.model import load

        fingerprint = load(model, chosen_device(device))
    with bar("comparing", total=1.0) as update:
        _, report = run_comparison(
            [*files, *(decoys or [])], text=text, label=label, group=group, suspect=suspect,
            candidates=candidate or [], family=family, model=fingerprint, limit=prompts, seed=seed, progress=update,
        )  # fmt: skip
    if json:
        typer.echo(json_line(report))
        return
    _show_comparison(report)


def _show_comparison(report: dict[str, Any]) -> None:
    import pyarrow as pa

    teacher = f" {clean(report['teacher'])}" if report["teacher"] else ""
    typer.echo(
        f"{clean(report['suspect'])}: {report['verdict']}{teacher} "
        f"({plural(report['n_prompts'], 'prompt')}, {plural(report['n_decoys'], 'decoy')})"
    )
    print_table(pa.Table.from_pylist(report["candidates"][:15]), style="table")
    typer.echo("prompts that speak loudest:")
    for row in report["prompts"]:
        typer.echo(f"  {row['contrast']:+.3f}  {clean(row['prompt'], width=90)}")
    typer.echo("words both use and decoys seldom do:")
    for row in report["grams"]:
        typer.echo(
            f"  {row['n_prompts']:>3} prompts, decoys {row['decoy_share']:.0%}  {clean(row['gram'], width=60)}"
        )
    slips = report["identity"]
    typer.echo(
        f"identity: the suspect names the candidate's maker as its own in {slips['suspect_claims']} of "
        f"{slips['suspect_texts']} texts ({', '.join(slips['suspect_languages']) or 'no language'}), the candidate "
        f"the suspect's in {slips['candidate_claims']} of {slips['candidate_texts']}: {slips['hint']}"
    )


@attribute.command()
def evaluate(
    file: Annotated[
        Path, typer.Argument(help="outputs of many models to the same prompts", show_default=False)
    ],
    text: TextOption = "output",
    label: Annotated[str, typer.Option("--label", help="column of the model names")] = "model",
    group: Annotated[str, typer.Option("--group", help="column of the prompt")] = "prompt_index",
    family: Annotated[
        str | None, typer.Option("--family", help="column of the maker", show_default=False)
    ] = None,
    domain: Annotated[
        str | None,
        typer.Option("--domain", help="column of the prompts' source: out of domain", show_default=False),
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option("--pairs", help="CSV of known students and teachers: lineage", show_default=False),
    ] = None,
    classes: Annotated[
        Path | None,
        typer.Option("--classes", help="JSON of class lists [default: the shipped ones]", show_default=False),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="folder for JSON and plots")] = Path("out/attribution"),
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help="a table; repeat [default: all]", show_default=False),
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option("--task", help="a class list; repeat [default: all]", show_default=False),
    ] = None,
    folds: Annotated[
        int, typer.Option(min=1, max=5, help="number of held-out fifths for the closed table")
    ] = 1,
    first_fold: Annotated[
        int, typer.Option("--first-fold", min=0, max=4, help="first of those fifths, for a long run in parts")
    ] = 0,
    members: Annotated[
        str, typer.Option("--members", help="members, from linear, style, trees, encoder")
    ] = "linear,style,trees",
    quick: Annotated[
        bool, typer.Option("--quick", help="only the first task, one fold, and lineage on 60 prompts")
    ] = False,
    seed: Annotated[int, typer.Option(help="seed of draws and training")] = 0,
    threads: Annotated[
        int, typer.Option(min=1, help="threads of torch; more than one helps only the encoder")
    ] = 1,
    device: DeviceOption = "auto",
) -> None:
    """Measure everything on held-out prompts: tables on stdout, JSON and plots in a folder.

    Tables: closed (by number of texts, each member, robustness), open, curve, domains, lineage.

    Example: hydrawatch attribute evaluate outputs.parquet --family vendor --domain dataset --pairs teacher_pairs.csv
    """
    import pyarrow as pa

    from detector.attribution.evaluate.evaluating import TABLES, Plan, rows_of
    from detector.attribution.evaluate.evaluating import evaluate as measure
    from detector.attribution.evaluate.evaluation import class_lists, read_outputs
    from detector.attribution.evaluate.lineage_table import read_pairs
    from detector.attribution.evaluate.plots import plot_all
    from detector.attribution.extra import chosen_device, use_threads

    where = chosen_device(device)
    use_threads(threads)
    data = read_outputs(file, text=text, label=label, group=group, family=family, domain=domain)
    lists = class_lists(classes, set(data.labels))
    plan = Plan(
        tables=tuple(only or (("closed", "lineage") if quick else TABLES)),
        folds=1 if quick else folds,
        members=tuple(m.strip() for m in members.split(",")),
        tasks=tuple(task or ([next(iter(lists["tasks"]))] if quick else [])),
        lineage_prompts=60 if quick else 1000,
        seed=seed,
        first_fold=first_fold,
    )
    results: dict[str, dict[str, Any]] = {}
    with bar("evaluating", total=1.0) as update:
        lineage_pairs = read_pairs(pairs) if pairs else []
        for name, result in measure(data, lists, lineage_pairs, plan, out, device=where, progress=update):
            results[name] = result
            typer.echo(f"\n{clean(name)}")
            for key, value in result.items():
                if isinstance(value, int | float | str):
                    typer.echo(
                        f"  {clean(key)}: {f'{value:.4g}' if isinstance(value, float) else clean(value)}"
                    )
            rows = rows_of(name, result)
            if rows:
                print_table(pa.Table.from_pylist(rows), style="table")
    drawn = plot_all(results, out)
    say(f"{plural(len(results), 'table')} and {plural(len(drawn), 'plot')} in {out}")


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.add_typer(attribute)

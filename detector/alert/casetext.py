"""Shows a case file on a terminal. Text of the log never reaches the terminal as markup or as an escape."""

from __future__ import annotations

import io
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from detector.alert.casefile import CaseFile
from detector.alert.connections import Connections
from detector.alert.phrases import probability

#: Most members shown; ``--json`` and the HTML file have all.
MAX_MEMBERS = 25


def print_case(case: CaseFile, console: Console) -> None:
    """Print the case file on ``console``."""
    # Every string is wrapped in Text: rich reads a plain str as markup, and would obey "[link=...]" in an id.
    console.print(Text(case.description.title, style="bold"))
    facts = f"{case.subject_type} {case.subject_id} · {case.kind} · verdict {case.verdict}"
    facts += f" · an alert needs {probability(case.threshold)}"
    if case.state:
        facts += f" · {case.state}"
    if case.alerts:
        facts += f" · {', '.join(case.alerts)}"
    console.print(Text(facts))
    words = case.description
    _listed(console, "On the allow-list", [a.sentence() for a in case.allowed])
    _listed(console, "Why, strongest first", words.reasons)
    _listed(console, "What spoke against it", words.against)
    _listed(console, "What would have cleared it", words.cleared_by)
    _listed(console, "What could have been spoofed", words.spoofable)
    _listed(console, "Honest explanations to rule out", words.innocent)
    if case.evidence:
        _evidence(console, case)
    if case.connections:
        _connections(console, case.connections)
    if case.ties:
        _listed(console, "What ties it to its group", case.ties.sentences())
    if case.parts:
        _parts(console, case)
    if case.members:
        _members(console, case)
    _listed(console, "Timeline", [f"{m.when}  {m.what}" for m in case.timeline])
    _listed(console, "What this is not proof of", [case.not_proof])
    _listed(console, "How to check, how to appeal", [case.how_to_check, case.how_to_appeal])


def render_text(case: CaseFile, *, width: int = 100) -> str:
    """The case file as plain text, without colours or escapes."""
    out = io.StringIO()
    print_case(
        case, Console(file=out, width=width, color_system=None, force_terminal=False, legacy_windows=False)
    )
    return out.getvalue()


def _heading(console: Console, title: str) -> None:
    console.print()
    console.print(Text(title, style="bold"))


def _listed(console: Console, title: str, lines: Sequence[str]) -> None:
    if not lines:
        return
    _heading(console, title)
    for line in lines:
        console.print(Text(f"- {line}"))


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for i, name in enumerate(columns):
        table.add_column(
            Text(name), justify="left" if i in (0, len(columns) - 1) else "right", overflow="fold"
        )
    return table


def _evidence(console: Console, case: CaseFile) -> None:
    _heading(console, "Evidence by family (bits: mean over the accounts)")
    table = _table("family / kind", "accounts", "keys", "bits", "spoofable", "labels")
    for family, kinds in case.by_family().items():
        for e in kinds:
            share = f"{e.n_members:,} of {max(case.n_accounts, e.n_members):,}"
            row = (
                f"{family} / {e.kind}",
                share,
                f"{e.n_keys:,}",
                f"{e.bits:.1f}",
                "yes" if e.spoofable else "no",
            )
            table.add_row(*(Text(cell) for cell in row), Text("; ".join(e.labels)))
    console.print(table)


def _connections(console: Console, seen: Connections) -> None:
    _listed(console, "What connects the accounts", seen.sentences())
    if seen.keys:
        _heading(console, "Keys that are enough to connect them, those that are not spoofable first")
        for key in seen.keys:
            console.print(Text(f"- {key.sentence(seen.n_accounts)}"))
        _left(console, seen.n_more_keys)
    if seen.splits:
        _heading(console, "Keys that much rests on: without one of them alone")
        for split in seen.splits:
            console.print(Text(f"- without the {split.key.named()} the accounts {split.without.sentence()}"))
        _left(console, seen.n_more_splits)


def _left(console: Console, n: int) -> None:
    if n:
        console.print(Text(f"and {n:,} more"))


def _parts(console: Console, case: CaseFile) -> None:
    _heading(console, case.contributions_title())
    table = _table("contribution", "value", "bits", "n", "what it measures")
    for p in case.parts:
        n = "" if p.n is None else f"{p.n:,}"
        row = (p.name, p.shown, f"{p.bits:+.1f}", n, p.meaning)
        table.add_row(*(Text(cell) for cell in row))
    total = (
        "score",
        probability(case.summed),
        f"{case.summed_bits:+.1f}",
        "",
        "all contributions together, and as a probability",
    )
    table.add_row(*(Text(cell, style="bold") for cell in total))
    console.print(table)


def _members(console: Console, case: CaseFile) -> None:
    _heading(console, f"Members ({len(case.members):,}, most strongly tied first)")
    table = _table("account", "first day", "last day", "bits", "state", "evidence")
    for m in case.members[:MAX_MEMBERS]:
        bits = "" if m.strength_bits is None else f"{m.strength_bits:.1f}"
        row = (
            m.account_id,
            str(m.first_day or ""),
            str(m.last_day or ""),
            bits,
            m.state,
            ", ".join(m.families),
        )
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)
    _left(console, max(0, len(case.members) - MAX_MEMBERS))

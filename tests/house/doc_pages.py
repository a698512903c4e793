"""The documents as tests read them, and the pages of ``docs/`` that are generated from the code.

Rewrite them with ``python -m pytest tests/house/test_docs.py --update-golden``.
"""

from __future__ import annotations

import importlib
import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from detector.cli import app
from detector.config import Allow, Config
from detector.lake.views import described
from features import plugins
from features.spec import Measure, Tie

ROOT = Path(__file__).parents[2]
#: Every document's text by its path in the repository.
TEXT = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted([*ROOT.glob("*.md"), *(ROOT / ".github").glob("*.md"), *(ROOT / "docs").rglob("*.md")])
}

NOTE = (
    "<!-- Written by tests/house/doc_pages.py; do not edit."
    " Rewrite: python -m pytest tests/house/test_docs.py --update-golden -->"
)
#: What typer adds of itself.
_OWN = ("help", "install_completion", "show_completion")

_LAYOUTS = {
    "day": "by day",
    "state": "by day, each with all that is known by its end; the view shows the newest",
    "ledger": "only added to",
}


def blocks(language: str, *, page: str | None = None) -> Iterator[tuple[str, str]]:
    """(page, code) of every fenced block of ``language``."""
    for name, text in TEXT.items():
        if page in (None, name):
            for code in re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.M | re.S):
                yield name, code


def commands() -> dict[str, Any]:
    """Every command by its words, ``{"ingest": ..., "rules lint": ...}``."""
    return dict(_commands(get_command(app), ()))


def _commands(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    if hasattr(command, "commands"):
        for name, inner in command.commands.items():
            if not inner.hidden:
                yield from _commands(inner, (*words, name))
    else:
        yield " ".join(words), command


def cli() -> str:
    """docs/cli.md: what ``--help`` says of every command, whatever the width of the terminal."""
    out = [
        NOTE,
        "# Commands",
        "",
        "Data goes to stdout; messages and progress bars go to stderr. Exit codes are listed in",
        "[operations](operations.md#exit-codes). `-h` or `--help` after any command prints the same.",
        "",
    ]
    for name, command in commands().items():
        out += [f"## hydrawatch {name}", ""]
        for paragraph in (command.help or "").split("\n\n"):
            text = " ".join(paragraph.split())
            if text.startswith("Example:"):
                out += ["```sh", text.removeprefix("Example:").strip(), "```", ""]
            else:
                out += [_wrapped(text), ""]
        params = [p for p in command.params if p.name not in _OWN]
        if params:
            out += ["| argument or option | default | meaning |", "|---|---|---|"]
            out += [f"| {_spelling(p)} | {_default(p)} | {_cell(p.help or '')} |" for p in params]
            out.append("")
    return "\n".join(out)


def _wrapped(text: str, hanging: str = "") -> str:
    return textwrap.fill(text, 120, subsequent_indent=hanging, break_long_words=False, break_on_hyphens=False)


def _is_flag(param: Any) -> bool:
    return isinstance(param.default, bool) or bool(getattr(param, "is_flag", False))


def _spelling(param: Any) -> str:
    if param.param_type_name == "argument":
        name = param.name.upper() + ("..." if param.nargs == -1 else "")
        return f"`{name}`" if param.required else f"`[{name}]`"
    spelt = ", ".join([*param.opts, *param.secondary_opts])
    if not _is_flag(param):
        spelt += f" {param.name.upper()}"
    return f"`{spelt}`" + (" (repeatable)" if getattr(param, "multiple", False) else "")


def _default(param: Any) -> str:
    if param.required:
        return "required"
    if param.default in (None, False, (), []):
        return "-"
    return f"`{param.default}`"


def data_dictionary() -> str:
    """docs/data-dictionary.md: every table and column as ``hydrawatch tables`` prints them."""
    known = sorted(described().values(), key=lambda t: t.name)
    out = [
        NOTE,
        "# Data dictionary",
        "",
        "Every table of the lake is a view of the same name in `LAKE/hydrawatch.duckdb`.",
        "`hydrawatch tables [TABLE]` prints the same. What is called an alias is an old name: the views show it for one",
        "version, and it is not stored. DuckDB clients see it as the comment on the column.",
        "",
        "NULL means unknown or too few observations; 0 means measured, and zero. Times are UTC without a",
        "zone, to the microsecond. The ending of a name is its unit: `_ms`, `_s`, `_bits` (log2 odds),",
        "`_share` (0..1 of a whole), `_score` (0..1, higher is more suspicious), `n_` (a count), `_hash`",
        "(keyed hash), `_ts` (time), `_day` (date).",
        "",
        "| table | rows | written by | layout |",
        "|---|---|---|---|",
    ]
    out += [
        f"| [{t.name}](#{t.name}) | {_cell(t.meaning)} | `hydrawatch {t.writer}` | {_LAYOUTS[t.layout]} |"
        for t in known
    ]
    for table in known:
        out += ["", f"## {table.name}", "", f"{table.meaning[0].upper()}{table.meaning[1:]}.", ""]
        out += ["| column | type | unit | meaning |", "|---|---|---|---|"]
        out += [f"| `{c.name}` | `{c.type}` | {_cell(c.unit)} | {_cell(c.meaning)} |" for c in table.columns]
    return "\n".join(out) + "\n"


def measurements() -> str:
    """docs/measurements.md: every plug-in, what it needs, what looks the same and is honest."""
    out = [
        NOTE,
        "# Measurements and ties",
        "",
        "Everything that is measured of accounts and groups, and every kind of key that can tie accounts.",
        "Columns with units are in the [data dictionary](data-dictionary.md). A measurement whose needs are",
        "not met that day is NULL and named in the table `skipped` with the reason.",
        "",
        "Beside each column stands which model of the classifier reads it and which way, or why none does:",
        "descriptive columns are for people, rules and exports.",
    ]
    for title, grain in (("Accounts", "account"), ("Groups", "group")):
        out += ["", f"## {title}"]
        for measure in plugins.measures(grain):
            out += ["", f"### {grain}: {measure.name}", "", _about(grain, measure), ""]
            out += ["| column | use |", "|---|---|"]
            out += [f"| `{c.name}` | {_cell(c.use)} |" for c in measure.columns]
            out += ["", *_common(measure)]
    out += ["", "## Ties"]
    for tie in plugins.ties():
        fades = "does not fade" if tie.half_life_days is None else f"halves every {tie.half_life_days:g} days"
        out += ["", f"### tie: {tie.name}", "", _about("tie", tie), ""]
        out += [
            "| kind | bits at two holders | spoofable | is told as |",
            "|---|---|---|---|",
            *(
                f"| `{name}` | {kind.bits:g} | {'yes' if kind.spoofable else 'no'} "
                f"| {kind.verb} one {kind.one}, 9 {kind.many} |"
                for name, kind in tie.kinds.items()
            ),
            "",
            f"* family: {tie.family}; {fades} when not seen again",
        ]
        out += _common(tie)
    return "\n".join(out) + "\n"


def _about(grain: str, plugin: Measure | Tie) -> str:
    module = importlib.import_module(f"features.{grain}.{plugin.name}")
    return (module.__doc__ or "").strip()


def _common(plugin: Measure | Tie) -> list[str]:
    needs = ", ".join(f"`{n}`" for n in plugin.needs) or "nothing beyond an account's requests"
    honest = "; ".join(_cell(f) for f in plugin.false_positives)
    return [_wrapped(f"* needs: {needs}", "  "), _wrapped(f"* looks the same and is honest: {honest}", "  ")]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def configuration() -> str:
    """The page as it stands, its tables of settings written from the models that read them."""
    page = TEXT["docs/configuration.md"]
    page = _filled(page, "keys", [("key", "default", "meaning, unit, reason"), *_settings()])
    entry = [
        (f"`{name}`", _type(name, info.is_required()), info.description or "")
        for name, info in Allow.model_fields.items()
    ]
    return _filled(page, "allow", [("key", "type", "meaning"), *entry])


def _settings() -> Iterator[tuple[str, str, str]]:
    for name, info in Config.model_fields.items():
        default = info.get_default(call_default_factory=True)
        shown = "none" if default in (None, ()) or default == {} else f"`{_toml(default)}`"
        yield f"`{name}`", shown, info.description or ""


def _toml(value: Any) -> str:
    return json.dumps(list(value) if isinstance(value, tuple) else value)


def _type(name: str, required: bool) -> str:
    kind = "date" if name == "expires" else "string"
    return f"{kind}, required" if required else kind


def _filled(page: str, name: str, rows: list[tuple[str, ...]]) -> str:
    """``page`` with the table between its two marks written anew."""
    begin, end = f"<!-- {name}: written from detector/config.py -->\n", f"<!-- /{name} -->"
    head, _, rest = page.partition(begin)
    _, _, tail = rest.partition(end)
    assert tail, f"docs/configuration.md has no marks for {name}"
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + "---|" * len(rows[0]))
    return head + begin + "\n".join(lines) + "\n" + end + tail


PAGES = {
    "docs/configuration.md": configuration,
    "docs/cli.md": cli,
    "docs/data-dictionary.md": data_dictionary,
    "docs/measurements.md": measurements,
}

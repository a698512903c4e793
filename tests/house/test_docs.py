"""The documents tell the truth: what exists is documented, what is documented exists, examples run."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import doc_pages
import pytest
from doc_pages import ROOT, TEXT, blocks
from typer.testing import CliRunner

from detector import errors
from detector.alert.sink import SINKS
from detector.cli import app, ending
from detector.config import Allow, Config, load_config
from detector.ingest.formats import CAPABILITIES, formats
from detector.lake.engine.sandbox import analyst_query
from detector.lake.store import Store
from detector.lake.tables import tables
from features import schema

every_page = pytest.mark.parametrize("page", TEXT)


@pytest.fixture(scope="module")
def empty_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("docs") / "lake"
    with Store(root) as store:
        store.write_views()
    return root


# -- pages written from the code ---------------------------------------------------------------------------


@pytest.mark.parametrize("page", doc_pages.PAGES)
def test_written_pages_are_up_to_date(page: str, golden: Callable[[Path, str], None]) -> None:
    golden(ROOT / page, doc_pages.PAGES[page]())


def test_every_command_has_help_with_an_example() -> None:
    for name, command in doc_pages.commands().items():
        assert CliRunner().invoke(app, [*name.split(), "--help"]).exit_code == 0, name
        # Not from the output: a narrow terminal breaks it anywhere.
        help = " ".join((command.help or "").split())
        assert f"Example: hydrawatch {name} " in f"{help} ", f"hydrawatch {name} --help shows no example"


def test_every_table_and_column_is_in_the_dictionary() -> None:
    text = TEXT["docs/data-dictionary.md"]
    for table in tables().values():
        section = text.partition(f"\n## {table.name}\n")[2].partition("\n## ")[0]
        missing = [c.name for c in table.columns if f"| `{c.name}` | `{c.type}` |" not in section]
        assert not missing, f"{table.name}: {missing}"


# -- what exists is documented -------------------------------------------------------------------------------


def rows_of(page: str, heading: str) -> dict[str, list[str]]:
    """Rows of the first table under a heading, by their first cell without backticks."""
    section = re.split(r"^#+ ", TEXT[page].partition(f"# {heading}\n")[2], flags=re.M)[0]
    found = {}
    for line in section.splitlines():
        if line.startswith("| `"):
            cells = [c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]]
            found[cells[0].strip("`")] = cells
    return found


def test_every_setting_says_what_it_is_for() -> None:
    for model in (Config, Allow):
        for name, info in model.model_fields.items():
            assert len(info.description or "") > 15, name
    assert rows_of("docs/configuration.md", "Keys")["alert_budget"][1] == "`1.0`"


@pytest.mark.parametrize("kind", SINKS)
def test_every_setting_of_a_sink_is_documented(kind: str) -> None:
    asked = set()
    for node in ast.walk(ast.parse(inspect.getsource(importlib.import_module(SINKS[kind])))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "setting":
            assert isinstance(node.args[1], ast.Constant)
            asked.add(str(node.args[1].value))
    assert asked
    assert set(rows_of("docs/configuration.md", f"Sink: {kind}")) == asked


def test_every_exit_code_is_documented() -> None:
    told = set(rows_of("docs/operations.md", "Exit codes"))
    codes = {
        str(e.exit_code) for e in vars(errors).values() if isinstance(e, type) and hasattr(e, "exit_code")
    }
    assert told == {"0", "1", *codes, str(ending.CRASHED), str(ending.STOPPED)}


def test_every_format_and_canonical_column_is_documented() -> None:
    text = TEXT["docs/formats.md"]
    readme = rows_of("README.md", "What goes in")
    assert set(readme) == set(formats())
    for name, form in formats().items():
        assert f"\n## {name}\n" in text, name
        for capability, cell in zip(CAPABILITIES, readme[name][1:], strict=True):
            assert (cell == "yes") == (capability in form.capabilities), f"{name}: {capability}"
    assert set(rows_of("docs/formats.md", "The canonical record")) == {c.name for c in schema.CANONICAL}


def test_every_view_promised_to_scripts_exists() -> None:
    for view in rows_of("README.md", "What comes out"):
        assert view in tables(), view


# -- what is documented works --------------------------------------------------------------------------------


@pytest.mark.parametrize(("page", "sql"), list(blocks("sql")))
def test_sql_runs(page: str, sql: str, empty_lake: Path) -> None:
    rows = analyst_query(empty_lake / "hydrawatch.duckdb", sql, readable=[empty_lake / "data"])
    assert rows.num_columns > 0


def test_the_readme_starts_analysts_with_five_queries() -> None:
    assert len(list(blocks("sql", page="README.md"))) == 5


def command_lines() -> Iterator[tuple[str, str]]:
    for page, code in [*blocks("sh"), *blocks("console")]:
        for line in code.replace("\\\n", " ").splitlines():
            line = line.removeprefix("$ ").strip()
            if line.startswith("hydrawatch "):
                yield page, line


@pytest.mark.parametrize(("page", "line"), list(command_lines()))
def test_commands_parse(page: str, line: str) -> None:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|<>;&")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in lexer:
        if set(word) <= set("|<>;&"):
            break
        words.append(word)
    known = doc_pages.commands()
    name = next((" ".join(words[1:n]) for n in (3, 2) if " ".join(words[1:n]) in known), None)
    assert name, f"{page}: no command {line!r}"
    arguments = words[1 + len(name.split()) :]
    if arguments != ["--help"]:
        known[name].make_context(name, arguments)  # raises where an option does not exist or one is missing


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.M))
    for page, code in [*blocks("sh"), *blocks("console")]:
        for target in re.findall(r"^(?:\$ )?make ([a-z-]+)", code, flags=re.M):
            assert target in targets, f"{page}: make {target}"


def test_the_readme_snippet_runs(empty_lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(empty_lake.parent)
    snippets = list(blocks("python", page="README.md"))
    assert snippets
    for _, code in snippets:
        exec(compile(code, "README.md", "exec"), {})  # noqa: S102 - our own document


def test_the_example_configuration_loads(tmp_path: Path) -> None:
    examples = [code for page, code in blocks("toml") if page in ("docs/configuration.md", "README.md")]
    assert examples
    for code in examples:
        (tmp_path / "hydrawatch.toml").write_text(code)
        load_config(tmp_path)


@every_page
def test_links_resolve(page: str) -> None:
    prose = re.sub(r"^```.*?^```$", "", TEXT[page], flags=re.M | re.S)
    for target in re.findall(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)", prose):
        if target.startswith(("https://", "http://", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), f"{page}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), flags=re.M)
            slugs = {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}
            assert anchor in slugs, f"{page}: {target}"


@every_page
def test_no_page_tells_of_the_machine_it_was_written_on(page: str) -> None:
    assert not re.search(r"/(?:work|root|tmp|home)/|shared/reference|localhost:\d", TEXT[page])


@every_page
def test_addresses_are_those_kept_for_documents(page: str) -> None:
    for address in re.findall(r"\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b", TEXT[page]):
        assert address.startswith(("192.0.2.", "198.51.100.", "203.0.113.", "127.0.0.")), address
    for host in re.findall(r"https?://([\w.-]+)", "".join(c for _, c in blocks("toml", page=page))):
        assert host.endswith(("example.com", "example.org", "example.net")), host

"""Names say what a value is: `found`, `made`, `told`, `held` and `known` fit every value and name none."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EMPTY = frozenset(("found", "made", "told", "held", "known"))


def modules() -> list[Path]:
    return sorted(p for top in ("detector", "features") for p in (ROOT / top).rglob("*.py"))


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def empty_names(tree: ast.AST, *, in_function: bool = False) -> Iterator[tuple[int, str]]:
    """Line and name of every parameter and local variable that is called by an empty name."""
    for node in ast.iter_child_nodes(tree):
        inside = in_function or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if isinstance(node, ast.ClassDef):
            inside = False  # the fields of a class are no locals
        if isinstance(node, ast.arg):
            name = node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and inside:
            name = node.id
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and inside:
            name = node.name or ""
        elif isinstance(node, ast.alias) and inside:
            name = node.asname or ""
        else:
            name = ""
        if name in EMPTY:
            yield getattr(node, "lineno", 0), name
        yield from empty_names(node, in_function=inside)


def faults(path: Path) -> list[str]:
    return [f"{dotted(path)}:{line} {name}" for line, name in empty_names(ast.parse(path.read_text()))]


@pytest.mark.parametrize("path", modules(), ids=dotted)
def test_no_variable_has_an_empty_name(path: Path) -> None:
    assert faults(path) == []


def test_a_name_is_seen_wherever_it_is_bound() -> None:
    code = """
class Report:
    known: int = 0

def read(held):
    from json import loads as made
    told: list[int] = [known for known in held]
    try:
        if found := made(held):
            return found
    except ValueError as found:
        return lambda told: told
"""
    names = sorted(name for _, name in empty_names(ast.parse(code)))
    assert names == ["found", "found", "held", "known", "made", "told", "told"]

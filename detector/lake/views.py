"""The views file as analysts' statements use it: its views, bound to a fixed list of the lake's own parts."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import duckdb

from detector.errors import LakeError
from detector.lake.parts import SCHEME, Parts
from detector.lake.statement import Statement, nodes, query_tree

_HEAD = re.compile(r'CREATE VIEW ((?:"(?:[^"]|"")*"|\w+)(?: ?\(.*?\))?) AS ', re.S)


def quote(name: str) -> str:
    """A SQL identifier, quoted."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str) -> str:
    """A SQL string literal."""
    return "'" + value.replace("'", "''") + "'"


def read_views(
    con: duckdb.DuckDBPyConnection, path: Path, statement: Statement, readable: Sequence[Path]
) -> tuple[dict[str, str], Parts]:
    """The views that ``statement`` needs (name to CREATE VIEW over ``lake://`` parts), and those parts.

    Raises
    ------
    LakeError : the file is no views file, or its views read another place than ``readable``.
    """
    stored = _stored(con, path)
    files: dict[str, Path] = {}
    made: dict[str, str] = {}
    waiting = list(stored) if statement.catalog else [n for n in stored if n.lower() in statement.relations]
    while waiting:
        name = waiting.pop()
        if name in made:
            continue
        text, below = _bind(con, stored[name], path, readable, files)
        made[name] = text
        waiting += [n for n in stored if n.lower() in below]
    # The file lists views in the order they were made, so one over another comes after it.
    return {name: made[name] for name in stored if name in made}, Parts(files)


def views_elsewhere(path: Path, readable: Sequence[Path]) -> str | None:
    """The folder that the views file reads instead of ``readable``; None when all is well.

    Raises
    ------
    LakeError : the file is no views file.
    """
    with duckdb.connect(":memory:") as con:
        for text in _stored(con, path).values():
            for node in _constants(query_tree(con, _select(text)[1])):
                place = _place(node["literal"]["text"])
                if not any(_same(place, folder) for folder in readable):
                    return place
    return None


def _stored(con: duckdb.DuckDBPyConnection, path: Path) -> dict[str, str]:
    try:
        con.execute(f"ATTACH {literal(str(path))} AS stored (READ_ONLY)").fetchall()
        found = con.execute(
            "SELECT view_name, sql FROM duckdb_views() WHERE database_name = 'stored' AND NOT internal"
        ).fetchall()
        con.execute("DETACH stored").fetchall()
    except duckdb.Error as error:
        raise LakeError(
            f"{path}: not readable as a file of views ({str(error).splitlines()[0]})",
            hint=f"rewrite it: hydrawatch doctor --lake {shlex.quote(str(path.parent))}",
        ) from error
    return {str(name): str(text) for name, text in found}


def _select(text: str) -> tuple[str, str]:
    """Head and SELECT of a stored view."""
    head = _HEAD.match(text)
    if head is None:
        raise LakeError(f"not a view: {text[:60]}")
    return text[: head.end()], text[head.end() :].rstrip().rstrip(";")


def _constants(tree: Any) -> Iterator[dict[str, Any]]:
    for node in nodes(tree):
        if node.get("function_name") == "read_parquet" and node.get("arguments"):
            for inner in nodes(node["arguments"][0]):
                if inner.get("class") == "CONSTANT" and inner["literal"].get("kind") == "STRING":
                    yield inner


def _bind(
    con: duckdb.DuckDBPyConnection, text: str, path: Path, readable: Sequence[Path], files: dict[str, Path]
) -> tuple[str, set[str]]:
    """A stored view with every path of a part replaced by ``lake://`` names, and the relations it names."""
    head, select = _select(text)
    tree = query_tree(con, select) or {}
    source = tree.get("node", {}).get("from_table", {})
    if source.get("type") == "SUBQUERY" and "duckdb_databases" in json.dumps(
        tree["node"].get("where_clause")
    ):
        # Where the file lies is looked at here; DuckDB reads a table behind the condition without its best shortcuts.
        start = source["query_location"] + 1
        select = select.encode()[start : start + source["query_location_length"] - 2].decode()
        tree = query_tree(con, select) or {}
    raw = select.encode()
    for node in sorted(_constants(tree), key=lambda n: -n["query_location"]):
        start, end = node["query_location"], node["query_location"] + node["query_location_length"]
        pattern = node["literal"]["text"]
        if raw[start:end].decode() != literal(pattern):
            raise LakeError(f"{path}: the views are not as they were written", hint=_cure(path))
        place = _place(pattern)
        folder = next((f for f in readable if _same(place, f)), None)
        if folder is None:
            raise LakeError(
                f"this lake has moved, or is a copy: its views read {place}, not {readable[0]}",
                hint=_cure(path),
            )
        names = []
        for part in _parts(Path(folder), pattern[len(place) :].lstrip("/")):
            name = f"{SCHEME}://{part.relative_to(folder).as_posix()}"
            files[name] = part
            names.append(literal(name))
        listed = ", ".join(names)
        inside = raw[:start].rstrip().endswith((b"[", b","))
        raw = raw[:start] + (listed if inside else f"[{listed}]").encode() + raw[end:]
    below = {str(n["table_name"]).lower() for n in nodes(tree) if "table_name" in n}
    return head + raw.decode(), below


def _place(pattern: str) -> str:
    """The data folder of a path: what stands before ``/TABLE/PARTITION/PART``."""
    return pattern.rsplit("/", 3)[0]


def _same(place: str, folder: Path) -> bool:
    try:
        return place == str(folder) or os.path.samefile(place, folder)
    except OSError:
        return False


def _parts(folder: Path, pattern: str) -> list[Path]:
    """The parts of ``folder`` that a pattern names; what leaves the folder or may not be looked into is refused."""
    home = os.path.realpath(folder)
    found = [folder]
    for step in pattern.split("/"):
        found = [p for parent in found for p in _matching(parent, step, home)]
    for part in found:
        if part.is_symlink() or not part.is_file():
            raise LakeError(
                f"{part} is not a plain file", hint="move the file itself into the lake, or remove it"
            )
    return found


def _matching(parent: Path, step: str, home: str) -> list[Path]:
    if not parent.is_dir():
        return []
    if not (os.path.realpath(parent) + "/").startswith(home + "/"):
        raise LakeError(
            f"{parent} is a link that leaves the lake", hint="move the folder itself into the lake"
        )
    try:
        names = sorted(os.listdir(parent))
    except OSError as error:  # a glob would pass it over, and its rows would be missing unnoticed
        raise LakeError(
            f"{parent} cannot be read: {error.strerror}", hint="ask the owner of the lake"
        ) from error
    return [parent / name for name in names if fnmatchcase(name, step) and not name.startswith(".")]


def _cure(path: Path) -> str:
    return f"rewrite the views: hydrawatch doctor --lake {shlex.quote(str(path.parent))}"

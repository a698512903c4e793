"""``hydrawatch.duckdb``: written for any client, and read as analysts' statements use it.

Its views are bound to a fixed list of the lake's own parts before a statement sees them.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from typing import Any

import duckdb

from detector.errors import LakeError
from detector.lake.engine import literal, quote
from detector.lake.engine.duckdb import failed
from detector.lake.engine.parts import SCHEME, Parts
from detector.lake.engine.statement import Statement, nodes, query_tree

_HEAD = re.compile(r'CREATE VIEW ((?:"(?:[^"]|"")*"|\w+)(?: ?\(.*?\))?) AS ', re.S)


@dataclass(frozen=True)
class View:
    """What a view selects, and comments on it and on some of its columns, as DuckDB keeps them."""

    select: str
    comment: str | None = None
    columns: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def write_views(
    path: Path, views: Mapping[str, View], *, settle: Callable[[Path], None] = lambda path: None
) -> None:
    """Write a DuckDB file that holds ``views`` by name, aside and then renamed into place.

    The file keeps DuckDB's 1.2 storage format so that older clients read it. Every view refuses to answer from a file
    that lies elsewhere: a copy of a lake would else answer from its original, as the paths inside are absolute.
    ``settle`` gives the file its mode.

    Raises
    ------
    QueryError : a view does not bind, as when a part beneath it is damaged; the old file stays.
    """
    here = _here(path)
    aside = path.with_name(path.name + ".new")
    aside.unlink(missing_ok=True)
    name = "views"
    try:
        with duckdb.connect(":memory:", config={"temp_directory": ""}) as con:
            con.execute(f"ATTACH {literal(str(aside))} AS made (STORAGE_VERSION 'v1.2.0')").fetchall()
            for name, view in views.items():
                for statement in _created(quote(name), view, here):
                    con.execute(statement).fetchall()
            con.execute("DETACH made").fetchall()
        settle(aside)
        os.replace(aside, path)
    except duckdb.Error as error:
        raise failed(f"view {name}", error) from error
    finally:
        for left in (aside, aside.with_name(aside.name + ".wal")):
            left.unlink(missing_ok=True)


def _created(name: str, view: View, here: str) -> Iterator[str]:
    yield f"CREATE VIEW made.{name} AS SELECT * FROM ({view.select}) WHERE {here}"
    if view.comment:
        yield f"COMMENT ON VIEW made.{name} IS {literal(view.comment)}"
    for column, comment in view.columns.items():
        yield f"COMMENT ON COLUMN made.{name}.{quote(column)} IS {literal(comment)}"


def _here(path: Path) -> str:
    """SQL of a condition: an error where the views file is attached from another place than ``path``, else true.

    DuckDB 2 tells the real path of a file, older ones the path as it was given; one that is relative or holds ``..``
    proves nothing and passes, and so does a file under another name.
    """
    own = ", ".join(literal(p) for p in sorted({str(path), os.path.realpath(path)}))
    message = literal(
        f"this lake has moved, or is a copy: its views read {path.parent}. Rewrite them: hydrawatch doctor --lake "
        "DIR, with the folder that it is in now"
    )
    return (
        f"(SELECT CASE WHEN count(*) > 0 AND count(*) FILTER (opened IN ({own})) = 0 THEN error({message}) ELSE true END "
        "FROM (SELECT regexp_replace(path, '(/[.])+/', '/', 'g') AS opened FROM duckdb_databases()) "
        f"WHERE opened LIKE {literal('/%/' + path.name)} AND NOT contains(opened, '/../'))"
    )


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
    views: dict[str, str] = {}
    waiting = list(stored) if statement.catalog else [n for n in stored if n.lower() in statement.relations]
    while waiting:
        name = waiting.pop()
        if name in views:
            continue
        text, below = _bind(con, stored[name], path, readable, files)
        views[name] = text
        waiting += [n for n in stored if n.lower() in below]
    # The file lists views in the order they were made, so one over another comes after it.
    return {name: views[name] for name in stored if name in views}, Parts(files)


def views_elsewhere(path: Path, readable: Sequence[Path]) -> str | None:
    """The folder that the views file reads instead of ``readable``; None when all is well.

    Raises
    ------
    LakeError : the file is no views file.
    """
    with duckdb.connect(":memory:") as con:
        for text in _stored(con, path).values():
            for node, _ in _constants(query_tree(con, _select(text)[1])):
                place = _place(node["literal"]["text"])
                if not any(_same(place, folder) for folder in readable):
                    return place
    return None


def _stored(con: duckdb.DuckDBPyConnection, path: Path) -> dict[str, str]:
    try:
        con.execute(f"ATTACH {literal(str(path))} AS stored (READ_ONLY)").fetchall()
        rows = con.execute(
            "SELECT view_name, sql FROM duckdb_views() WHERE database_name = 'stored' AND NOT internal"
        ).fetchall()
        con.execute("DETACH stored").fetchall()
    except duckdb.Error as error:
        raise LakeError(
            f"{path}: not readable as a file of views ({str(error).splitlines()[0]})",
            hint=f"rewrite it: hydrawatch doctor --lake {shlex.quote(str(path.parent))}",
        ) from error
    return {str(name): str(text) for name, text in rows}


def _select(text: str) -> tuple[str, str]:
    """Head and SELECT of a stored view."""
    head = _HEAD.match(text)
    if head is None:
        raise LakeError(f"not a view: {text[:60]}")
    return text[: head.end()], text[head.end() :].rstrip().rstrip(";")


def _constants(tree: Any) -> Iterator[tuple[dict[str, Any], bool]]:
    """Paths that are read, and whether each is one of a list."""
    for node in nodes(tree):
        if node.get("function_name") == "read_parquet" and node.get("arguments"):
            below = list(nodes(node["arguments"][0]))
            listed = any(inner.get("function_name") == "list_value" for inner in below)
            for inner in below:
                if inner.get("class") == "CONSTANT" and inner["literal"].get("kind") == "STRING":
                    yield inner, listed


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
    for node, inside in sorted(_constants(tree), key=lambda constant: -constant[0]["query_location"]):
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
    paths = [folder]
    for step in pattern.split("/"):
        paths = [p for parent in paths for p in _matching(parent, step, home)]
    for part in paths:
        if part.is_symlink() or not part.is_file():
            raise LakeError(
                f"{part} is not a plain file", hint="move the file itself into the lake, or remove it"
            )
    return paths


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

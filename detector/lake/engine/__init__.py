"""The one place that runs SQL: bind a relation, query it to Arrow, query in a sandbox.

Statements come from pure functions; nothing else in the project opens a connection for set work. ``duckdb`` is the
embedded engine; another has to do no more than ``Engine`` says.
"""

from __future__ import annotations

from typing import Protocol, TypeAlias

import polars as pl
import pyarrow as pa

Rows: TypeAlias = pa.Table | pl.DataFrame


class Engine(Protocol):
    """What the pipeline needs of an engine."""

    def bind(self, name: str, rows: Rows | str) -> None:
        """Make ``rows`` (a table, or SQL of a relation) readable as ``name``, replacing what was there."""

    def materialise(self, name: str, rows: str) -> None:
        """Bind ``name`` to the *result* of the relation ``rows``, held by the engine."""

    def unbind(self, name: str) -> None:
        """Forget ``name``; unknown names are ignored."""

    def query(self, sql: str, *, of: str = "statement") -> pa.Table:
        """Run one statement; ``of`` names it in the error."""

    def close(self) -> None:
        """Release what it holds."""


def quote(name: str) -> str:
    """A SQL identifier, quoted."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str) -> str:
    """A SQL string literal."""
    return "'" + value.replace("'", "''") + "'"

"""A lake as analysts hold it: views as pandas or polars frames, read-only."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

from detector.errors import ConfigError, QueryError

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa


@dataclass(frozen=True)
class OpenedLake:
    """The views of one lake. Opened by :func:`open_lake`; ``detector.Lake`` does more."""

    root: Path

    @overload
    def frame(self, view: str, *, as_: Literal["pandas"] = "pandas") -> pd.DataFrame: ...
    @overload
    def frame(self, view: str, *, as_: Literal["polars"]) -> pl.DataFrame: ...
    def frame(self, view: str, *, as_: Literal["pandas", "polars"] = "pandas") -> pd.DataFrame | pl.DataFrame:
        """All rows of a view (account_scores, groups, alerts, ...; ``hydrawatch tables`` lists them) as pandas or polars.

        Raises
        ------
        QueryError : no such view; the message lists them.
        ValueError : ``as_`` is neither.
        """
        from detector.lake.views import described

        if view not in described():
            raise QueryError(f"no view {view!r}; there are {', '.join(sorted(described()))}")
        return self.query(f'SELECT * FROM "{view}"', as_=as_)

    @overload
    def query(
        self,
        sql: str,
        *,
        as_: Literal["pandas"] = "pandas",
        limit_s: float = 600.0,
        limit_gb: float | None = None,
    ) -> pd.DataFrame: ...
    @overload
    def query(
        self, sql: str, *, as_: Literal["polars"], limit_s: float = 600.0, limit_gb: float | None = None
    ) -> pl.DataFrame: ...
    def query(
        self,
        sql: str,
        *,
        as_: Literal["pandas", "polars"] = "pandas",
        limit_s: float = 600.0,
        limit_gb: float | None = None,
    ) -> pd.DataFrame | pl.DataFrame:
        """Answer of one SELECT over the views, within ``limit_s`` seconds and ``limit_gb`` of memory.

        Raises
        ------
        ConfigError : it is not one statement that reads.
        LakeError : the lake has moved since its views were written.
        QueryError : DuckDB refused it, or a limit was met.
        ValueError : ``as_`` is neither pandas nor polars.
        """
        if as_ not in ("pandas", "polars"):
            raise ValueError(f"as_={as_!r}: expected 'pandas' or 'polars'")
        rows = self.arrow(sql, limit_s=limit_s, limit_gb=limit_gb)
        try:
            if as_ == "pandas":
                return rows.to_pandas()
            import polars as pl

            frame = pl.from_arrow(rows)
        except Exception as error:  # each library has its own for what it cannot hold
            raise QueryError(
                f"query: {as_} cannot hold a column of the answer ({str(error).splitlines()[0]})",
                hint="cast it in the statement, for instance CAST(column AS VARCHAR)",
            ) from error
        assert isinstance(frame, pl.DataFrame)
        return frame

    def arrow(self, sql: str, *, limit_s: float = 600.0, limit_gb: float | None = None) -> pa.Table:
        """The same answer as an Arrow table, which holds every type."""
        import duckdb

        from detector.lake.engine.sandbox import analyst_query
        from detector.lake.trouble import told_of

        try:
            with self._views() as (path, readable):
                return analyst_query(path, sql, readable=readable, limit_s=limit_s, limit_gb=limit_gb)
        except QueryError as error:
            # Only what a reader of Parquet says is worth a look at the parts: a slip in the statement is not.
            reading = (duckdb.InvalidInputException, duckdb.IOException, OSError)
            if isinstance(error.__cause__, reading) and (failure := told_of(error, self.root)):
                raise failure from error
            raise

    @contextmanager
    def _views(self) -> Iterator[tuple[Path, list[Path]]]:
        """The file of views, and the folders its parts lie in.

        Of a lake of an earlier version, a file of this version's views, which goes again.
        """
        from detector.lake.empties import part_apart, write_apart
        from detector.lake.engine.viewfile import write_views
        from detector.lake.migration.shape import shape_of
        from detector.lake.views import views

        shape, data = shape_of(self.root), self.root / "data"
        if shape.is_current:
            yield self.root / "hydrawatch.duckdb", [data]
            return
        with tempfile.TemporaryDirectory(prefix="hydrawatch-") as folder:
            home = Path(folder)
            write_apart(home, shape.stored)
            write_views(home / "hydrawatch.duckdb", views(data, shape, partial(part_apart, home)))
            yield home / "hydrawatch.duckdb", [data, home]


def open_lake(path: str | Path) -> OpenedLake:
    """The lake in folder ``path``, for reading.

    Raises
    ------
    ConfigError : there is no lake, or it has no views.
    LakeError : a later version wrote it.
    """
    from detector.lake.migration.shape import shape_of

    root = Path(path).absolute()
    given = shlex.quote(str(path))
    if not (root / "data").is_dir():
        raise ConfigError(f"{path} is not a lake", hint=f"make one: hydrawatch ingest PATH --lake {given}")
    if shape_of(root).is_current and not (root / "hydrawatch.duckdb").exists():
        raise ConfigError(f"{path} has no views", hint=f"rewrite them: hydrawatch doctor --lake {given}")
    return OpenedLake(root)

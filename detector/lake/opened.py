"""A lake as analysts hold it: views as pandas or polars frames, read-only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

from detector.errors import ConfigError, QueryError

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


@dataclass(frozen=True)
class OpenedLake:
    """The views of one lake. Opened by :func:`open_lake`."""

    root: Path

    @overload
    def frame(self, view: str, *, as_: Literal["pandas"] = "pandas") -> pd.DataFrame: ...
    @overload
    def frame(self, view: str, *, as_: Literal["polars"]) -> pl.DataFrame: ...
    def frame(self, view: str, *, as_: Literal["pandas", "polars"] = "pandas") -> pd.DataFrame | pl.DataFrame:
        """All rows of a view (DESIGN: account_scores, groups, alerts, ...) as pandas or polars.

        Raises
        ------
        QueryError : no such view; the message lists them.
        ValueError : ``as_`` is neither.
        """
        from detector.lake.tables import tables

        if view not in tables():
            raise QueryError(f"no view {view!r}; there are {', '.join(sorted(tables()))}")
        return self.query(f'SELECT * FROM "{view}"', as_=as_)

    @overload
    def query(self, sql: str, *, as_: Literal["pandas"] = "pandas") -> pd.DataFrame: ...
    @overload
    def query(self, sql: str, *, as_: Literal["polars"]) -> pl.DataFrame: ...
    def query(self, sql: str, *, as_: Literal["pandas", "polars"] = "pandas") -> pd.DataFrame | pl.DataFrame:
        """Answer of one SELECT over the views.

        Raises
        ------
        QueryError : DuckDB refused it.
        ValueError : ``as_`` is neither pandas nor polars.
        """
        from detector.lake.engine import analyst_query

        if as_ not in ("pandas", "polars"):
            raise ValueError(f"as_={as_!r}: expected 'pandas' or 'polars'")
        rows = analyst_query(self.root / "hydrawatch.duckdb", sql, readable=[self.root / "data"])
        try:
            if as_ == "pandas":
                return rows.to_pandas()
            import polars as pl

            made = pl.from_arrow(rows)
        except Exception as error:  # each library has its own for what it cannot hold
            raise QueryError(
                f"query: {as_} cannot hold a column of the answer ({str(error).splitlines()[0]})",
                hint="cast it in the statement, for instance CAST(column AS VARCHAR)",
            ) from error
        assert isinstance(made, pl.DataFrame)
        return made


def open_lake(path: str | Path) -> OpenedLake:
    """The lake in folder ``path``, for reading.

    Raises
    ------
    ConfigError : there is no lake.
    """
    root = Path(path).absolute()
    if not (root / "hydrawatch.duckdb").exists():
        raise ConfigError(f"{root} is not a lake", hint=f"make one: hydrawatch ingest PATH --lake {root}")
    return OpenedLake(root)

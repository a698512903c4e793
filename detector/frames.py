"""Declared frames: the columns that one stage hands to the next, checked where they are handed over.

A typo in a column's name, or a type that changed, then fails at the boundary it crossed and names it, not three
stages later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True)
class Frame:
    """Columns that a frame must have. It may have more.

    ``name``: what the frame is called in errors. ``columns``: data type by column.
    """

    name: str
    columns: Mapping[str, type[pl.DataType] | pl.DataType]

    def check(self, frame: pl.DataFrame) -> pl.DataFrame:
        """``frame``, unchanged.

        Raises
        ------
        TypeError : a column is missing or of another type.
        """
        schema = frame.schema
        wrong = [
            f"{column} is {schema[column]}, expected {dtype}" if column in schema else f"{column} is missing"
            for column, dtype in self.columns.items()
            if column not in schema or schema[column] != dtype
        ]
        if wrong:
            raise TypeError(f"frame {self.name!r}: {'; '.join(wrong)}")
        return frame

    def empty(self) -> pl.DataFrame:
        """A frame of these columns without rows."""
        return pl.DataFrame(schema=dict(self.columns))

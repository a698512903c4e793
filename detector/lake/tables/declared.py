"""What a table of the lake is, and the columns that several share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from features.spec import Column

GROUP = Column("group_id", "VARCHAR", "the group; kept while most of its members stay")
ACCOUNT = Column("account_id", "VARCHAR", "the account")
DAY = Column("day", "DATE", "partition: UTC day")


@dataclass(frozen=True)
class Table:
    """A table: its columns, how it is laid out and which stage writes it.

    ``layout``: ``day`` - one partition a day; ``state`` - one partition a day that holds everything known
    by then; ``ledger`` - parts that are only ever added.
    """

    name: str
    meaning: str
    columns: tuple[Column, ...]
    layout: Literal["day", "state", "ledger"]
    writer: str

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.columns)

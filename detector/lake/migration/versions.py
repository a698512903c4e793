"""Every schema a lake has had, newest last: what changed with it, and for how long the old names stay.

A release that renames, drops or rewrites what is stored adds one entry here. Columns that are merely new need none.
Nothing may change the parts of ``requests``: what a day's run read is told by their names and sizes, and every day
would be due again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from detector.lake.migration.steps import Step


@dataclass(frozen=True)
class Version:
    """A schema of the lake: its number, the release that brought it, and the steps from the one before.

    ``aliases_until``: release that takes the old names out of the views; None: they are gone.
    """

    number: int
    release: str
    steps: Sequence[Step] = ()
    aliases_until: str | None = None


VERSIONS: tuple[Version, ...] = (Version(1, "0.1.0"),)

#: Number of the schema that this version writes.
SCHEMA = VERSIONS[-1].number

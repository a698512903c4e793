"""What a measurement is: columns with units, one SELECT, a worked example, known false positives.

A plug-in is one module in a grain's folder that exposes ``MEASURE`` (grains account and group) or
``TIE`` (grain tie). Both are frozen values; nothing registers itself and nothing runs at import.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Scalar = None | bool | int | float | str | list[int] | list[str]
Row = Mapping[str, Scalar]

Family = Literal["billing", "network", "client", "content", "rhythm", "succession"]


@dataclass(frozen=True)
class Column:
    """One column of a table: DuckDB type, unit and meaning, as printed by ``hydrawatch tables``."""

    name: str
    type: str
    meaning: str
    unit: str = ""

    def __post_init__(self) -> None:
        if not self.name.isidentifier() or self.name != self.name.lower():
            raise ValueError(f"column name {self.name!r} must be a lower-case identifier")
        if not self.meaning:
            raise ValueError(f"column {self.name!r} has no meaning")


@dataclass(frozen=True)
class Example:
    """Literal input rows per relation and the rows the measurement must answer for them.

    ``tables`` maps a relation name to rows that name only the columns that matter; every other column
    of that relation is NULL. ``expect`` lists the rows that must come out (only the named columns are
    compared, floats to 1e-6).
    """

    tables: Mapping[str, Sequence[Row]]
    expect: Sequence[Row]


@dataclass(frozen=True)
class Measure:
    """A measurement of accounts or groups: ``sql`` is one SELECT keyed by ``key``.

    Parameters
    ----------
    name : file stem of the plug-in.
    columns : what it adds to the grain's table (without the key column).
    sql : one SELECT (may start with WITH) that returns the key column and exactly ``columns``.
        It reads only the relations in ``reads``; functions are those of ``features.compose.PORTABLE``
        or macros of ``features.compose.MACROS``.
    reads : relations it may read.
    tally : aggregates over an account's requests, by name: all plug-ins' are computed in one pass and stand,
        under these names, in the relation ``tally``. A name begins with the plug-in's, so that two never meet.
    needs : canonical request columns it cannot do without. When a day has none of one of them the
        measurement is skipped with that reason and its columns are NULL, never 0.
    example : worked example, run by the contract tests.
    false_positives : honest behaviour that looks the same.
    """

    name: str
    columns: tuple[Column, ...]
    sql: str
    example: Example
    false_positives: tuple[str, ...]
    reads: tuple[str, ...] = ("requests",)
    needs: tuple[str, ...] = ()
    key: str = "account_id"
    tally: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.columns:
            raise ValueError(f"measurement {self.name!r} has no columns")
        strangers = sorted(name for name in self.tally if not name.startswith(f"{self.name}_"))
        if strangers:
            raise ValueError(f"measurement {self.name!r}: tally names {strangers} must begin with its own")
        if self.tally and self.key != "account_id":
            raise ValueError(f"measurement {self.name!r}: only accounts are tallied")
        if not self.false_positives:
            raise ValueError(f"measurement {self.name!r} names no false positive")


@dataclass(frozen=True)
class Tie:
    """A kind of key that accounts can share: ``sql`` yields one row per account and key.

    The SELECT returns ``account_id VARCHAR, kind VARCHAR, key UBIGINT, n BIGINT, n_prompts BIGINT,
    n_prompts_all BIGINT, asked_sum DOUBLE, first_ts TIMESTAMP, last_ts TIMESTAMP, detail VARCHAR`` - how often the account
    used the key that day and a human-readable, non-identifying label of the key (never raw text). ``kind``
    must be one of ``kinds``. ``n_prompts`` (the account's) and ``n_prompts_all`` (everybody's that day) are
    distinct prompts under a content key and NULL for others. Only keys that two accounts hold need come
    out; a holder who is not active that day may come along: with ``n`` and times of its last uses for a key
    of requests, ``n`` 0 and NULL times for a lasting fact.

    Parameters
    ----------
    name : file stem of the plug-in.
    family : correlated kinds count once; the best of a family is taken.
    kinds : kind -> bits of log-odds (log2) that two holders of a key nobody else holds are one operator.
    half_life_days : how fast the evidence fades when not seen again; None for lasting facts (a card).
    spoofable : kinds an attacker can put on a victim's account; a group is never alerted on them alone.
    """

    name: str
    family: Family
    kinds: Mapping[str, float]
    sql: str
    example: Example
    false_positives: tuple[str, ...]
    reads: tuple[str, ...] = ("requests",)
    needs: tuple[str, ...] = ()
    half_life_days: float | None = 7.0
    spoofable: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not self.false_positives:
            raise ValueError(f"tie {self.name!r} names no false positive")
        unknown = self.spoofable - set(self.kinds)
        if unknown:
            raise ValueError(f"tie {self.name!r}: spoofable kinds {sorted(unknown)} are not among its kinds")

"""What a measurement is: columns with units, one SELECT, a worked example, known false positives.

A plug-in is one module in a grain's folder with ``MEASURE`` (grains account and group) or ``TIE`` (grain tie). Both are
frozen values. Nothing registers itself, and nothing runs at import.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, get_args

Scalar = None | bool | int | float | str | list[int] | list[str]
Row = Mapping[str, Scalar]

Family = Literal["billing", "network", "client", "content", "rhythm", "succession"]
#: Models of the classifier that read measurements. ``conduct`` has a head a kind of abuse: those of kinds that one account
#: commits by itself are offered the columns of ``single_account``, the others those of ``conduct``.
Model = Literal["template_reuse", "conduct", "single_account", "group", "membership", "relational"]
Direction = Literal["up", "down", ""]


@dataclass(frozen=True)
class Column:
    """One column of a table: DuckDB type, unit and meaning, as printed by ``hydrawatch tables``.

    Parameters
    ----------
    meaning : what it is, and when it is NULL after a semicolon. Explanations of scores quote it up to there, so it
        says what was measured and never what that is taken to mean.
    direction : which way the classifier may lean on it. ``up``: more is more suspicious, or says nothing; ``down``:
        the reverse; empty: free. None: no model reads it. Directions are held in the fit.
    models : the models that may read it.
    descriptive : why no model reads a measurement that is kept for people, rules and exports.

    A measurement has either models or a reason in ``descriptive``; columns of other tables have neither.
    """

    name: str
    type: str
    meaning: str
    unit: str = ""
    direction: Direction | None = None
    models: tuple[Model, ...] = ()
    descriptive: str = ""

    def __post_init__(self) -> None:
        if not self.name.isidentifier() or self.name != self.name.lower():
            raise ValueError(f"column name {self.name!r} must be a lower-case identifier")
        if not self.meaning:
            raise ValueError(f"column {self.name!r} has no meaning")
        if (self.direction is None) != (not self.models):
            raise ValueError(f"column {self.name!r}: a direction and the models that read it go together")
        unknown = sorted(set(self.models) - set(get_args(Model)))
        if unknown or self.direction not in (None, *get_args(Direction)):
            raise ValueError(
                f"column {self.name!r}: unknown models {unknown} or direction {self.direction!r}"
            )
        if self.models and self.descriptive:
            raise ValueError(f"column {self.name!r} is read by {self.models}, so it is not descriptive")

    @property
    def use(self) -> str:
        """Who reads it, for people: the models and which way, or why none does; empty for plain columns."""
        if self.descriptive:
            return f"descriptive: {self.descriptive}"
        leaning = {"up": "more is more suspicious", "down": "less is more suspicious", "": "either way"}
        return (
            f"read by {', '.join(self.models)}: {leaning[self.direction]}"
            if self.direction is not None
            else ""
        )


def read_by(model: Model, columns: Iterable[Column]) -> Mapping[str, Direction]:
    """Those of ``columns`` that ``model`` may read, in order, and which way each may point."""
    return MappingProxyType(
        {c.name: c.direction for c in columns if model in c.models and c.direction is not None}
    )


@dataclass(frozen=True)
class Example:
    """Literal input rows for each relation, and the rows that the measurement must return for them.

    ``tables`` maps a relation to rows with only the columns that matter; every other column is NULL. ``expect`` lists
    the rows that must come out. Only its columns are compared, and floats to 1e-6.
    """

    tables: Mapping[str, Sequence[Row]]
    expect: Sequence[Row]


@dataclass(frozen=True)
class Measure:
    """A measurement of accounts or groups: ``sql`` is one SELECT keyed by ``key``.

    Parameters
    ----------
    name : file stem of the plug-in.
    columns : its columns in the grain's table (without the key column).
    sql : one SELECT (may start with WITH) that returns the key column and exactly ``columns``.
        It reads only the relations in ``reads``; functions are those of ``features.compose.PORTABLE``
        or macros of ``features.compose.MACROS``.
    reads : relations it may read.
    tally : aggregates over an account's requests, by name. Those of all plug-ins are computed in one pass and are
        columns of the relation ``tally``. A name begins with that of the plug-in, so that two never collide.
    needs : request columns that it needs. When a day has no value of one of them, the measurement is skipped with that
        reason, and its columns are NULL, never 0.
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
class Kind:
    """One kind of key of a tie: what it weighs, whether it is spoofable, and the words people are told of it with.

    The words make one sentence: "412 of 430 accounts ``verb`` 9 ``many``", "It ``verb`` one ``one``".

    Parameters
    ----------
    bits : log-odds (log2) that two holders of a key nobody else holds are one operator.
    verb : how accounts come to hold the key, in the past tense, for one and for many.
    one, many : noun of the key, and its plural.
    spoofable : whether an attacker can give it to a victim at will; such kinds never carry a group by themselves.
    """

    bits: float
    verb: str
    one: str
    many: str
    spoofable: bool = False

    def __post_init__(self) -> None:
        if not self.bits > 0:
            raise ValueError(f"a kind of key weighs {self.bits} bits; it must be more than 0")
        if not (self.verb and self.one and self.many):
            raise ValueError("a kind of key needs a verb, a noun and its plural")


@dataclass(frozen=True)
class Tie:
    """Kinds of key that accounts can share: ``sql`` returns one row for each account and key.

    The SELECT returns ``account_id VARCHAR, kind VARCHAR, key UBIGINT, n BIGINT, n_prompts BIGINT,
    n_prompts_all BIGINT, asked_sum DOUBLE, first_ts TIMESTAMP, last_ts TIMESTAMP, detail VARCHAR``. ``n`` counts the uses
    of the key by the account that day. ``detail`` is a readable label of the key that identifies nobody and is never raw
    text. ``kind`` is one of ``kinds``. ``n_prompts`` (of the account) and ``n_prompts_all`` (of all accounts that day)
    count distinct prompts under a content key, and are NULL for other keys. Only keys of two accounts or more need come
    out. A holder that is not active that day may come along: with ``n`` and the times of its last uses for a key of
    requests, with ``n`` 0 and NULL times for a standing fact.

    Parameters
    ----------
    name : file stem of the plug-in.
    family : correlated kinds have one family; only the best kind of a family counts.
    kinds : the kinds of key it yields.
    half_life_days : how fast the evidence fades when it is not seen again; None for standing facts (a card).
    """

    name: str
    family: Family
    kinds: Mapping[str, Kind]
    sql: str
    example: Example
    false_positives: tuple[str, ...]
    reads: tuple[str, ...] = ("requests",)
    needs: tuple[str, ...] = ()
    half_life_days: float | None = 7.0

    def __post_init__(self) -> None:
        if not self.false_positives:
            raise ValueError(f"tie {self.name!r} names no false positive")
        if not self.kinds:
            raise ValueError(f"tie {self.name!r} has no kind of key")

"""Finds measurements: every module in a grain's folder with ``MEASURE`` or ``TIE`` is one.

Third parties add theirs through the entry-point groups ``hydrawatch.account``, ``hydrawatch.tie`` and
``hydrawatch.group``; each entry names a module.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import pkgutil
from collections import Counter
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType, ModuleType
from typing import Literal

from features.spec import Column, Family, Kind, Measure, Tie

Grain = Literal["account", "group", "tie"]


def _modules(grain: Grain) -> list[ModuleType]:
    package = importlib.import_module(f"features.{grain}")
    names = sorted(m.name for m in pkgutil.iter_modules(package.__path__))
    modules = [importlib.import_module(f"features.{grain}.{name}") for name in names]
    entries = sorted(importlib.metadata.entry_points(group=f"hydrawatch.{grain}"), key=lambda e: e.name)
    return [*modules, *(importlib.import_module(e.value) for e in entries)]


@cache
def measures(grain: Literal["account", "group"]) -> tuple[Measure, ...]:
    """Every measurement of accounts or groups, by name.

    Raises
    ------
    ValueError : two plug-ins share a name or a column, or a name is not its file's stem.
    """
    by_name: dict[str, Measure] = {}
    owner: dict[str, str] = {}
    for module in _modules(grain):
        measure = getattr(module, "MEASURE", None)
        if not isinstance(measure, Measure):
            continue
        _check_name(module, measure.name, by_name)
        by_name[measure.name] = measure
        for column in measure.columns:
            if column.name in owner:
                raise ValueError(
                    f"column {column.name!r} is in both {owner[column.name]!r} and {measure.name!r}"
                )
            owner[column.name] = measure.name
    return tuple(by_name[name] for name in sorted(by_name))


@cache
def ties() -> tuple[Tie, ...]:
    """Every tie plug-in, by name.

    Raises
    ------
    ValueError : two plug-ins share a name or a kind, or a name is not its file's stem.
    """
    by_name: dict[str, Tie] = {}
    owner: dict[str, str] = {}
    for module in _modules("tie"):
        tie = getattr(module, "TIE", None)
        if not isinstance(tie, Tie):
            continue
        _check_name(module, tie.name, by_name)
        by_name[tie.name] = tie
        for kind in tie.kinds:
            if kind in owner:
                raise ValueError(f"kind {kind!r} is in both {owner[kind]!r} and {tie.name!r}")
            owner[kind] = tie.name
    return tuple(by_name[name] for name in sorted(by_name))


def _check_name(module: ModuleType, name: str, by_name: dict[str, Measure] | dict[str, Tie]) -> None:
    stem = module.__name__.rpartition(".")[2]
    if name != stem:
        raise ValueError(f"{module.__name__}: named {name!r}, expected the file's stem {stem!r}")
    if name in by_name:
        raise ValueError(f"{module.__name__}: {name!r} is taken by another plug-in")


def columns(grain: Literal["account", "group"]) -> tuple[Column, ...]:
    """Columns that the plug-ins of a grain add to its table, in order."""
    return tuple(column for measure in measures(grain) for column in measure.columns)


@cache
def kinds() -> Mapping[str, Kind]:
    """Every kind of key that some tie yields, by name."""
    return MappingProxyType({name: kind for tie in ties() for name, kind in tie.kinds.items()})


@cache
def spoofable_families() -> frozenset[Family]:
    """Families of evidence with more spoofable kinds than others: an outsider could have arranged such evidence.

    What is measured of a family together (who else is on its keys) does not tell its kinds apart.
    """
    every = Counter(tie.family for tie in ties() for _ in tie.kinds)
    spoofable = Counter(tie.family for tie in ties() for kind in tie.kinds.values() if kind.spoofable)
    return frozenset(family for family, n in spoofable.items() if 2 * n > every[family])


@cache
def needed(relation: str) -> frozenset[str]:
    """Columns of a relation that some plug-in of any grain needs."""
    every: tuple[Measure | Tie, ...] = (*measures("account"), *measures("group"), *ties())
    named = [need.rpartition(".") for plugin in every for need in plugin.needs]
    return frozenset(column for of, _, column in named if (of or "requests") == relation)

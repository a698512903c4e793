"""Log formats: one file each, holding ``FORMAT`` - what its lines look like and where each field lies.

A format is set work: one SELECT over ``lines(line BIGINT, text VARCHAR)`` that pulls every canonical field
out as text. Types, rejects and duplicates are the same for all and are decided elsewhere.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache

#: What a format may carry; measurements that need more are skipped with the reason.
CAPABILITIES = (
    "prompts", "ip", "account", "ja4", "params", "logprobs", "tokens", "latency", "session",
)  # fmt: skip
CONTENTS = ("requests", "accounts", "account_events", "model_releases")

Record = Mapping[str, object]


@dataclass(frozen=True)
class Options:
    """What a site sets: which attribute names the account, Envoy's keys, how many proxies are its own."""

    account_attribute: str | None = None
    envoy_keys: Mapping[str, str] = field(default_factory=dict)
    trusted_hops: int = 0


@dataclass(frozen=True)
class Format:
    """One log format.

    Parameters
    ----------
    name : file stem.
    meaning : one line for people.
    capabilities : what its lines can carry, of ``CAPABILITIES``.
    sniff : whether a parsed line is of this format.
    select : options and content to one SELECT over ``lines`` that returns ``line``, ``n_bytes``, ``fault``
        (why the entry is no record, else NULL), ``other`` (true: not a model call, only counted) and any
        canonical columns, each as VARCHAR. One line may give many entries.
    keys : options and content to one SELECT over ``lines`` that returns ``key``, the names found in its
        entries; read on a sample, to count what no column takes.
    known : options and content to the names that are taken or meant to be passed over.
    contents : what else than requests it can hold.
    quick : options to a cheaper SELECT of requests: ``line`` and every canonical column as VARCHAR, one row a
        line, all NULL for what is no object; a text may be an object's or a list's JSON. Lines that
        ``quick.typed`` does not find plain are read again by ``select``.
    accounts : where lines are canonical records by themselves: the keys that may name the account, in order.
    """

    name: str
    meaning: str
    capabilities: frozenset[str]
    sniff: Callable[[Record], bool]
    select: Callable[[Options, str], str]
    keys: Callable[[Options, str], str]
    known: Callable[[Options, str], frozenset[str]]
    contents: tuple[str, ...] = ("requests",)
    quick: Callable[[Options], str] | None = None
    accounts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if unknown := self.capabilities - set(CAPABILITIES):
            raise ValueError(f"format {self.name!r}: unknown capabilities {sorted(unknown)}")


@cache
def formats() -> dict[str, Format]:
    """Every format by name.

    Raises
    ------
    ValueError : a format's name is not its file's stem.
    """
    found: dict[str, Format] = {}
    for name in sorted(m.name for m in pkgutil.iter_modules(__path__)):
        made = getattr(importlib.import_module(f"{__name__}.{name}"), "FORMAT", None)
        if isinstance(made, Format):
            if made.name != name:
                raise ValueError(f"{__name__}.{name}: named {made.name!r}, expected the file's stem {name!r}")
            found[name] = made
    return found

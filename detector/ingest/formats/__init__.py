"""Log formats: one file each, holding ``FORMAT`` - what its entries look like and where each field lies.

A format is a table of paths (canonical column <- candidate paths, the first that says something wins) and, where a
table cannot say it, one function that derives the rest from the parsed entries. Types, words for nothing, rejects,
duplicates, hashing and the measuring of text are the same for all formats and are decided elsewhere.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from detector.ingest.records import Path, Records

#: What a format may carry; measurements that need more are skipped with the reason.
CAPABILITIES = (
    "prompts", "ip", "account", "ja4", "params", "logprobs", "tokens", "latency", "session",
)  # fmt: skip
CONTENTS = ("requests", "accounts", "account_events", "model_releases")

Record = Mapping[str, Any]
#: Canonical columns of a block: a value an entry, as the log gives it.
Columns = dict[str, list[Any]]


@dataclass(frozen=True)
class Options:
    """What a site sets.

    Parameters
    ----------
    account_attribute : log attribute that names the account, before the format's own order.
    envoy_keys : canonical name -> JSON key, for Envoy.
    mapped_keys : canonical name -> path, or several paths, for ``mapped``.
    trusted_hops : proxies of one's own that append to x-forwarded-for.
    placeholders : texts that stand for content which was not logged, beside those shipped.
    """

    account_attribute: str | None = None
    envoy_keys: Mapping[str, str] = field(default_factory=dict)
    mapped_keys: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    trusted_hops: int = 0
    placeholders: tuple[str, ...] = ()


@dataclass(frozen=True)
class Beside:
    """A log that completes a format's requests and makes none itself.

    Parameters
    ----------
    sniff : whether a parsed entry is of that log.
    read : an entry to the request's id and what it says of it, or None.
    """

    sniff: Callable[[Record], bool]
    read: Callable[[Record], tuple[str, Mapping[str, str]] | None]


@dataclass(frozen=True)
class Format:
    """One log format.

    Parameters
    ----------
    name : file stem.
    meaning : one line for people.
    capabilities : what its entries can carry, of ``CAPABILITIES``.
    sniff : whether a parsed entry is of this format.
    fields : canonical column -> candidate paths (see ``Records``); the first that says something wins.
    account : candidate paths of the account, in order; ``account_attribute`` is looked at before them.
    roots : paths of objects in which ``account_attribute`` may lie, the entry itself first ("").
    derive : entries, options and the columns read so far to further columns (they replace those of ``fields``).
        The column ``other`` (true: no model call, only counted) is no canonical one and is taken too.
    spread : one parsed line to the entries it holds; an empty result is no entry at all (counted as other).
        None: a line is one entry. A ValueError from it rejects the line with its text.
    join : all entries of a block, which may see one another here (the spans of one trace), to whether each is read
        on; the others are counted as other.
    table : options to fields, for formats whose keys a site sets; it replaces ``fields``.
    names : an entry's key names, for counting those no column takes; None: its top-level keys.
    passed : names that are meant to be passed over.
    contents : what else than requests it can hold.
    chosen : whether a site's options say that an entry is of this format; then no other is asked.
    setting : the table of the configuration that names its keys, where there is one.
    beside : a log that knows more of its requests. ``sniff`` must know its entries too, and ``derive`` say ``other``.
    """

    name: str
    meaning: str
    capabilities: frozenset[str]
    sniff: Callable[[Record], bool]
    fields: Mapping[str, tuple[Path, ...]]
    account: tuple[Path, ...] = ()
    roots: tuple[Path, ...] = ("",)
    derive: Callable[[Records, Options, Columns], Columns] | None = None
    spread: Callable[[Record], Iterator[Record]] | None = None
    join: Callable[[list[Record]], list[bool]] | None = None
    table: Callable[[Options], Mapping[str, tuple[Path, ...]]] | None = None
    names: Callable[[Record], Iterator[str]] | None = None
    passed: frozenset[str] = frozenset()
    contents: tuple[str, ...] = ("requests",)
    chosen: Callable[[Record, Options], bool] | None = None
    setting: str | None = None
    beside: Beside | None = None

    def __post_init__(self) -> None:
        if unknown := self.capabilities - set(CAPABILITIES):
            raise ValueError(f"format {self.name!r}: unknown capabilities {sorted(unknown)}")

    def knows(self, record: Record, options: Options) -> bool:
        """Whether ``record`` is of this format, by its looks or by what a site has set."""
        return self.sniff(record) or (self.chosen is not None and self.chosen(record, options))

    def paths(self, options: Options) -> Mapping[str, tuple[Path, ...]]:
        """Canonical column -> candidate paths under a site's options."""
        return self.table(options) if self.table else self.fields


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

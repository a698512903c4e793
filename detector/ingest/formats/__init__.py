"""Log formats: one file each, with ``FORMAT``: what its entries look like and where each field is.

A format is a table of paths: canonical column <- candidate paths, and the first with a value wins. One function may
derive further columns from the parsed entries. Types, words for nothing, rejects, duplicates, hashing and the measuring
of text are the same for all formats and are decided elsewhere.
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
    trusted_hops : the site's own proxies that append to x-forwarded-for.
    placeholders : texts that stand for content which was not logged, in addition to the shipped ones.
    """

    account_attribute: str | None = None
    envoy_keys: Mapping[str, str] = field(default_factory=dict)
    mapped_keys: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    trusted_hops: int = 0
    placeholders: tuple[str, ...] = ()


@dataclass(frozen=True)
class Beside:
    """A log that completes a format's requests and has none itself.

    Parameters
    ----------
    sniff : whether a parsed entry is of that log.
    read : an entry to the id of its request and values for it; None for an entry without them.
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
    account : candidate paths of the account, in order; ``account_attribute`` comes before them.
    roots : paths of objects that may hold ``account_attribute``, the entry itself first ("").
    derive : entries, options and the columns read so far to further columns, which replace those of ``fields``.
        It may also give the column ``other``: true for an entry that is no model call and is only counted.
    spread : one parsed line to its entries; a line without any is counted as other. None: a line is one entry.
        A ValueError rejects the line with its text.
    join : all entries of a block to whether each is a request; the others are counted as other. Here entries may
        see one another (the spans of one trace).
    table : options to fields, for formats whose keys a site sets; it replaces ``fields``.
    names : an entry's key names, for counting those that no column uses; None: its top-level keys.
    passed : names that are passed over on purpose.
    contents : the contents its files can have.
    chosen : whether a site's options say that an entry is of this format. It comes before all other formats then.
    setting : the table of the configuration that names its keys; None: there is none.
    beside : a log that completes its requests. ``sniff`` must know its entries, and ``derive`` must give ``other``.
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
        """Whether ``record`` is of this format, by its looks or by the site's options."""
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
    by_name: dict[str, Format] = {}
    for name in sorted(m.name for m in pkgutil.iter_modules(__path__)):
        form = getattr(importlib.import_module(f"{__name__}.{name}"), "FORMAT", None)
        if isinstance(form, Format):
            if form.name != name:
                raise ValueError(f"{__name__}.{name}: named {form.name!r}, expected the file's stem {name!r}")
            by_name[name] = form
    return by_name

"""Proposes a map for a log that no format knows, from the names of its keys and the shapes of their values.

It shows shapes of values (``9999-99-99T99:99:99Z``) and never the values, since a log holds prompts.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from detector.errors import LogError
from detector.ingest.casting import time_of
from detector.ingest.detect import detect, records_in
from detector.ingest.key_names import NAMES
from detector.ingest.reader import Reader
from detector.ingest.records import as_list, as_object, something
from detector.ingest.sources import find

#: Deepest nesting that is searched, and most paths kept.
_DEPTH, _PATHS = 5, 2000
#: A path in a smaller share of the entries is not proposed (0..1).
_RARE = 0.02

_REQUIRED = ("request_id", "ts", "account_id", "model")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@dataclass
class _Column:
    """The values at one path, over the entries that have it."""

    n: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    low: float | None = None
    high: float | None = None
    shape: str = ""
    values: set[int] = field(default_factory=set)

    def add(self, value: Any) -> None:
        self.n += 1
        kind = _kind(value)
        self.kinds[kind] += 1
        if len(self.values) < 4096:
            self.values.add(hash(str(value)))
        if isinstance(value, int | float) and not isinstance(value, bool):
            self.low = value if self.low is None else min(self.low, value)
            self.high = value if self.high is None else max(self.high, value)
        if not self.shape:
            self.shape = _shape(value, kind)

    @property
    def kind(self) -> str:
        return self.kinds.most_common(1)[0][0]


def suggest(path: Path) -> str:
    """A ``[mapped_keys]`` table in TOML with, per column, its path, the share of entries that have it and a shape.

    Raises
    ------
    LogError : the file cannot be read, or holds no entries.
    """
    levels, format_name = _entries(path)
    entries, proposed = max((_proposed(level) for level in levels), key=_n_required)
    if not entries:
        raise LogError(
            f"{path.name} holds no entries that could be mapped: expected JSON objects, or CSV with a header"
        )
    columns = _columns(entries)
    lines = [
        f"# Proposed from {len(entries):,} entries of {_shown(path.name)}: names and shapes only, so read it before use.",
        "# Put it into LAKE/hydrawatch.toml, correct it, then: hydrawatch ingest FILE --lake LAKE --format mapped",
    ]
    if format_name:
        lines.append(f"# This file is read as {format_name!r} without a map.")
    lines.append("[mapped_keys]")
    taken = set(proposed.values())
    for name in NAMES:
        best = proposed.get(name)
        if best is not None:
            column = columns[best]
            lines.append(
                f"{name} = {_quoted(_path(best))}  # {column.n / len(entries):.0%} of entries, {column.shape}"
            )
        elif name in _REQUIRED and not (name == "model" and "request_body" in proposed):
            lines.append(f'# {name} = "..."  # required: no key looks like it; "=text" stands for itself')
    rest = [p for p in columns if p not in taken and columns[p].n >= _RARE * len(entries)]
    if rest:
        lines += ["", "# Not mapped:"]
        lines += [
            f"#   {_shown(_path(p))}  {columns[p].n / len(entries):.0%}, {columns[p].shape}"
            for p in rest[:100]
        ]
    return "\n".join(lines) + "\n"


_Entries = list[Mapping[str, Any]]
_Proposed = tuple[_Entries, dict[str, tuple[str, ...]]]


def _proposed(entries: _Entries) -> _Proposed:
    """Entries, and the path proposed for each column that has one."""
    columns, paths = _columns(entries), dict[str, tuple[str, ...]]()
    for name in NAMES:
        best = _best(name, columns, len(entries), set(paths.values()))
        if best is not None:
            paths[name] = best
    return entries, paths


def _n_required(one: _Proposed) -> int:
    """Number of required columns that are proposed. A request's body counts for the model."""
    entries, paths = one
    return (
        sum(name in paths for name in _REQUIRED) + ("model" not in paths and "request_body" in paths)
        if entries
        else -1
    )


def _entries(path: Path) -> tuple[tuple[_Entries, _Entries], str]:
    """The first entries of a file, without and with their wrappers, and the format it has without a map.

    A site's own log may keep the request in ``body`` and the sender beside it. That looks like a shipper's wrapper.
    """
    sources = find([path]).sources
    if not sources:
        return ([], []), ""
    head = Reader(sources[0]).head()
    unwrapped, _ = records_in(head)
    whole, _ = records_in(head, whole=True)
    try:
        format_name = detect(path, head, None)[0].name if unwrapped else ""
    except LogError:
        format_name = ""
    return (unwrapped, whole), format_name


def _columns(entries: Iterable[Mapping[str, Any]]) -> dict[tuple[str, ...], _Column]:
    columns: dict[tuple[str, ...], _Column] = {}
    for entry in entries:
        for path, value in _leaves(entry, (), _DEPTH):
            column = columns.get(path)
            if column is None:
                if len(columns) >= _PATHS:
                    continue
                column = columns[path] = _Column()
            column.add(value)
    return columns


def _leaves(
    entry: Mapping[str, Any], above: tuple[str, ...], depth: int
) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in entry.items():
        path = (*above, key)
        inner = as_object(value)
        if inner and ("messages" in inner or "contents" in inner):
            yield path, value  # a request's body, mapped whole
        elif inner and depth > 1:
            yield from _leaves(inner, path, depth - 1)
        elif value.__class__ is list or something(value) is not None:
            yield path, value


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "flag"
    if isinstance(value, dict | list) or (isinstance(value, str) and value[:1] in "[{" and _messages(value)):
        return "messages" if _messages(value) else "object" if isinstance(value, dict) else "list"
    if isinstance(value, str) and _address(value):
        return "address"
    if isinstance(value, str) and time_of(value) is not None:
        return "time"
    if isinstance(value, int | float) or _numeric(value):
        return "time" if time_of(value) is not None else "number"
    return "prose" if len(value) > 60 and value.count(" ") > 5 else "text"


def _messages(value: Any) -> bool:
    inner = as_object(value)
    if inner:
        return "messages" in inner or "contents" in inner
    listed = as_list(value)
    return bool(listed and isinstance(listed[0], dict) and "role" in listed[0])


def _numeric(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _address(value: str) -> bool:
    first = value.split(",")[0].strip()
    if first.count(":") == 1:
        first = first.partition(":")[0]
    try:
        ip_address(first.strip("[]"))
    except ValueError:
        return False
    return True


#: Kinds of values a column can be proposed for.
_FITS: dict[str, frozenset[str]] = {
    "ts": frozenset(("time",)),
    "source_ip": frozenset(("address",)),
    "stream": frozenset(("flag", "number", "text")),
    "prompt": frozenset(("messages", "prose", "text")),
    "system_prompt": frozenset(("messages", "prose", "text")),
    "request_body": frozenset(("messages",)),
    "response_body": frozenset(("object", "text")),
} | {
    name: frozenset(("number",))
    for name in NAMES
    if name.endswith(("_tokens", "_ms", "_s")) or name in ("temperature", "asn")
}
_SHORT = frozenset(("text", "number", "time", "address"))


def _best(
    name: str, columns: Mapping[tuple[str, ...], _Column], n: int, taken: set[tuple[str, ...]]
) -> tuple[str, ...] | None:
    """The path that fits a column best: by its name, then by the share of entries that have it."""
    fits = _FITS.get(name, _SHORT)
    ranked: list[tuple[int, float, int, tuple[str, ...]]] = []
    for path, column in columns.items():
        if path in taken or column.kind not in fits or column.n < _RARE * n:
            continue
        if len(path) > 1 and "/" in "".join(path):
            continue  # cannot be written as a path
        words = [_words(key) for key in path]
        ends = {words[-1], *("_".join(words[-k:]) for k in (2, 3) if len(words) >= k)}
        rank = next((at for at, wanted in enumerate(NAMES[name]) if wanted in ends), None)
        if rank is None:
            continue
        if name == "request_id" and (len(column.values) < min(column.n, 4096) * 0.9):
            continue  # it repeats, so it is the id of something else
        if name == "latency_s" and not _in_seconds(column):
            continue
        if name == "latency_ms" and words[-1] in ("duration", "latency") and _in_seconds(column):
            continue
        ranked.append((rank, -column.n / n, len(path), path))
    if ranked:
        return min(ranked)[3]
    alike = [p for p, c in columns.items() if p not in taken and _by_shape(name, c, n)]
    return min(alike, key=len) if alike else None


def _by_shape(name: str, column: _Column, n: int) -> bool:
    """Whether the values of a path alone show that it is the column."""
    if column.n < 0.9 * n:
        return False
    if name == "request_id":
        return column.kind == "text" and n > 1 and len(column.values) >= 0.99 * min(column.n, 4096)
    return (name, column.kind) in (("ts", "time"), ("source_ip", "address"))


def _in_seconds(column: _Column) -> bool:
    """Whether durations look like seconds: they have a fraction, or none is above ten minutes."""
    return "." in column.shape or (column.high is not None and column.high <= 600)


def _words(key: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", _CAMEL.sub("_", key).lower()).strip("_")


def _shape(value: Any, kind: str) -> str:
    if kind in ("messages", "object", "list", "flag", "prose"):
        return kind
    text = str(value)
    if kind == "number":
        return "whole number" if text.lstrip("-").isdigit() else "number with a fraction (0.0)"
    if kind == "text":
        return f"text of {len(text)} characters"
    if kind == "address":
        return "addresses in a list" if "," in text else "address"
    return f"time such as {re.sub(r'[0-9]', '9', text)[:40]}"


def _path(path: tuple[str, ...]) -> str:
    """A path as the configuration reads it: with dots, or with slashes if a key has a dot."""
    return ("/" if any("." in key for key in path) else ".").join(path)


def _quoted(text: str) -> str:
    return '"' + "".join(c if c.isprintable() and c not in '"\\' else f"\\u{ord(c):04X}" for c in text) + '"'


def _shown(text: str) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)[:100]

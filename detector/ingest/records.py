"""Parsed entries of one block, read column by column: the values at a path, or at the first of several paths.

A path is keys with ``/`` between them (``metadata/usage_object/cached_tokens``), since keys of real logs have dots in
them. An object that a log stores as JSON text is opened when a path leads through it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence, Set
from typing import Any, TypeAlias

import orjson

Entry = Mapping[str, Any]
Path: TypeAlias = str | tuple[str, ...]

#: Words that proxies, databases and CSV exporters write for "nothing there".
NOTHING = frozenset(
    ("", "-", "--", "none", "None", "NONE", "null", "NULL", "Null", "nil", "<nil>", "(null)", "<null>", "nan", "NaN", "NAN",
     "undefined", "N/A", "n/a", "\\N")
)  # fmt: skip
#: Deepest nesting of objects and lists that is read; messages, tools and parameters are never deeper.
MAX_DEPTH = 200
#: A whole number of more digits fits no column of numbers and stays text.
_DIGITS = 300
#: Maps every digit to zero; and the shortest runs of digits that 64 bits may not hold.
_SHAPE = bytes.maketrans(b"0123456789", b"0000000000")
_LONG, _LONG_NEGATIVE = b"0" * 20, b"-" + b"0" * 19
#: Such a number at a place where JSON allows one, also inside JSON text.
_WHOLE = re.compile(rb"(?:^|[:,\[])\s*+(?:-0{19}|0{20})0*+(?![.eE0])")
_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\]]', re.DOTALL)
_SPACE = "\ufeff \t\r\n"
_NO_ENTRY: dict[str, Any] = {}


def something(value: Any) -> Any:
    """``value`` if it is a scalar; None for a word for nothing, an object or a list."""
    kind = value.__class__
    if kind is str:
        return None if value in NOTHING or not value.strip() else value
    return None if kind is dict or kind is list else value


def parse(text: str | bytes) -> Any:
    """JSON as Python objects.

    Clients send JSON that the fast parser refuses: NaN, numbers that no double holds, half surrogate pairs, deep nesting.
    A second parser reads it. It replaces half pairs by U+FFFD and cuts at ``MAX_DEPTH``. If such lines were rejected, half
    a character would hide a campaign.

    Raises
    ------
    ValueError : not JSON.
    """
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        whole = text if isinstance(text, str) else text.decode()
    else:
        if not _beyond_64_bits(text):
            return value
        whole = text if isinstance(text, str) else text.decode()
    try:
        return mended(_lenient(whole))
    except RecursionError:
        return mended(_lenient(shallow(whole)))


def _beyond_64_bits(text: str | bytes) -> bool:
    """Whether a text holds a whole number beyond 64 bits. Rounded to a float it could become the id of another account.

    Most texts have no twenty digits in a row, and a cheap look for those comes first.
    """
    raw = text.encode() if isinstance(text, str) else text
    shape = raw.translate(_SHAPE)
    return (_LONG in shape or _LONG_NEGATIVE in shape) and _WHOLE.search(shape) is not None


def _lenient(text: str) -> Any:
    try:
        return json.loads(text, parse_int=_whole, parse_constant=lambda _: None)
    except ValueError:
        raise ValueError("not valid JSON") from None


def _whole(digits: str) -> int | str:
    return int(digits) if len(digits) < _DIGITS else digits


def shallow(text: str) -> str:
    """JSON text with null for everything deeper than ``MAX_DEPTH`` objects and lists."""
    kept: list[str] = []
    depth = at = 0
    for token in _TOKEN.finditer(text):
        mark = token.group()
        if mark in ("{", "["):
            depth += 1
            if depth == MAX_DEPTH + 1:
                kept.append(text[at : token.start()])
        elif mark in ("}", "]"):
            if depth == MAX_DEPTH + 1:
                kept.append("null")
                at = token.end()
            depth -= 1
    kept.append(text[at:] if depth <= MAX_DEPTH else "")
    return "".join(kept)


def pruned(value: Any, depth: int = 64) -> Any:
    """``value`` with None for everything deeper than ``depth`` objects and lists."""
    if isinstance(value, list):
        return [pruned(v, depth - 1) for v in value] if depth else None
    if isinstance(value, dict):
        return {k: pruned(v, depth - 1) for k, v in value.items()} if depth else None
    return value


def mended(value: Any) -> Any:
    """``value`` with half surrogate pairs in its texts replaced by U+FFFD."""
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, list):
        return [mended(v) for v in value]
    if isinstance(value, dict):
        return {mended(k): mended(v) for k, v in value.items()}
    return value


def as_object(value: Any) -> dict[str, Any]:
    """``value`` as an object: itself or its parsed JSON text; an empty object for any other value."""
    if value.__class__ is dict:
        return value
    if value.__class__ is str and value[:64].lstrip(_SPACE)[:1] == "{":
        opened = opened_json(value)
        if isinstance(opened, dict):
            return opened
    return _NO_ENTRY


def as_list(value: Any) -> list[Any] | None:
    """``value`` as a list: itself or its parsed JSON text; None for any other value."""
    if value.__class__ is list:
        return value
    if value.__class__ is str and value[:64].lstrip(_SPACE)[:1] == "[":
        opened = opened_json(value)
        if isinstance(opened, list):
            return opened
    return None


def opened_json(value: str) -> Any:
    """The value of a JSON text; None when it is not JSON."""
    try:
        return parse(value.lstrip(_SPACE))
    except ValueError:
        return None


class Records:
    """Entries of one block with their line numbers. Each column is read once and cached.

    ``lines[i]`` is the line that ``entries[i]`` came from; one line may give many entries. A path is a text with
    ``/`` between its keys, or a tuple of keys. A number picks an element of a list (``choices/0/finish_reason``).
    """

    def __init__(self, lines: Sequence[int], entries: Sequence[Entry]) -> None:
        self.lines = lines
        self.entries = entries
        self._objects: dict[tuple[str, ...], Sequence[Entry]] = {(): entries}
        self._columns: dict[tuple[str, ...], list[Any]] = {}
        self._names: dict[tuple[str, ...], set[str]] = {}
        self._nothing: list[Any] = [None] * len(entries)

    def __len__(self) -> int:
        return len(self.entries)

    def at(self, path: Path) -> list[Any]:
        """The unchanged values at ``path``; None for an entry without it."""
        keys = steps(path)
        column = self._columns.get(keys)
        if column is None:
            name = keys[-1]
            if name.lstrip("-").isdigit():
                column = [_element(value, int(name)) for value in self.at(keys[:-1])]
            elif name not in self.names(keys[:-1]):  # most candidate names occur nowhere in a block
                column = self._nothing
            else:
                column = [holder.get(name) for holder in self.objects(keys[:-1])]
            self._columns[keys] = column
        return column

    def objects(self, path: Path) -> Sequence[Entry]:
        """The objects at ``path``, parsed from JSON text if needed; an empty object for an entry without one."""
        keys = steps(path)
        opened = self._objects.get(keys)
        if opened is None:
            values = self.at(keys)
            if values is self._nothing:
                opened = [_NO_ENTRY] * len(values)
            else:
                opened = [value if value.__class__ is dict else as_object(value) for value in values]
            self._objects[keys] = opened
        return opened

    def names(self, path: Path) -> set[str]:
        """The names that occur in the objects at ``path``."""
        keys = steps(path)
        names = self._names.get(keys)
        if names is None:
            names = self._names[keys] = set().union(*self.objects(keys))
        return names

    def first(self, *paths: Path) -> list[Any]:
        """For each entry the first scalar along ``paths``; words for nothing do not count."""
        merged: list[Any] | None = None
        for path in paths:
            values = self.at(path)
            if values is self._nothing:
                continue
            if merged is None:
                merged = _cleaned(values)
            elif any_value(values):
                merged = [something(v) if f is None else f for f, v in zip(merged, values, strict=True)]
            if None not in merged:
                break
        return self._nothing if merged is None else merged

    def first_any(self, *paths: Path) -> list[Any]:
        """For each entry the first value along ``paths``, also an object or a list; words for nothing do not count."""
        merged: list[Any] | None = None
        for path in paths:
            values = self.at(path)
            if values is self._nothing:
                continue
            if merged is None:
                merged = values
            else:
                merged = [
                    v if f is None or (f.__class__ is str and f in NOTHING) else f
                    for f, v in zip(merged, values, strict=True)
                ]
        return self._nothing if merged is None else merged

    def somebody(self, column: list[Any], paths: Sequence[Path], nobody: Set[str]) -> list[Any]:
        """``column``, with the first other value along ``paths`` where its value is a word for ``nobody``."""
        if not any(v in nobody for v in column):
            return column
        candidates = [self.first(path) for path in paths]
        return [
            next((c[row] for c in candidates if c[row] is not None and c[row] not in nobody), None)
            if v in nobody
            else v
            for row, v in enumerate(column)
        ]


_PLAIN = {str, int, float, bool, type(None)}
_TEXT = {str, type(None)}


def first_of(*columns: list[Any]) -> list[Any]:
    """For each row the first value that is not None. The result may be the first column itself."""
    merged, *others = columns
    for other in others:
        if None in merged:
            merged = [o if m is None else m for m, o in zip(merged, other, strict=True)]
    return merged


def any_value(values: list[Any]) -> bool:
    """Whether any value is not None."""
    return values.count(None) < len(values)


def _cleaned(values: list[Any]) -> list[Any]:
    """``values`` with None for words for nothing, objects and lists; the same list when it holds none of them."""
    types = set(map(type, values))
    if str not in types:
        return values if types <= _PLAIN else [something(v) for v in values]
    if types <= _TEXT and NOTHING.isdisjoint(values) and not any(map(str.isspace, filter(None, values))):
        return values
    return [something(v) for v in values]


def steps(path: Path) -> tuple[str, ...]:
    """The keys of a path."""
    return path if isinstance(path, tuple) else tuple(path.split("/")) if path else ()


def named_paths(text: str) -> tuple[Path, ...]:
    """The paths that a site may mean by ``text``.

    That is the whole text as one key, keys with ``/`` or dots between them, and a dotted key inside or before an object.
    """
    paths: list[Path] = [(text,)]
    if "/" in text:
        paths.append(tuple(text.split("/")))
    elif "." in text:
        paths.append(tuple(text.split(".")))
        head, _, tail = text.partition(".")
        paths.append((head, tail))
        head, _, tail = text.rpartition(".")
        paths.append((head, tail))
    return tuple(dict.fromkeys(paths))


def _element(value: Any, at: int) -> Any:
    listed = value if value.__class__ is list else as_list(value)
    return listed[at] if listed and -len(listed) <= at < len(listed) else None

"""Parsed entries of one block, read column by column: the values at a path, or at the first of several paths.

A path names keys with ``/`` between them (``metadata/usage_object/cached_tokens``), since the keys of real logs
hold dots. An object that a log stores as JSON text is opened where a path leads through it.
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
#: Objects and lists within one another that are followed; what lies deeper is no message, tool or parameter.
MAX_DEPTH = 200
#: Digits from which on a whole number is beyond any column of numbers, and is text.
_DIGITS = 300
#: Digits as zeros, and the least of them that 64 bits may not hold.
_SHAPE = bytes.maketrans(b"0123456789", b"0000000000")
_LONG, _LONG_NEGATIVE = b"0" * 20, b"-" + b"0" * 19
#: Such a number where one may stand, also in JSON that a text holds.
_WHOLE = re.compile(rb"(?:^|[:,\[])\s*+(?:-0{19}|0{20})0*+(?![.eE0])")
_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\]]', re.DOTALL)
_SPACE = "\ufeff \t\r\n"
_NO_ENTRY: dict[str, Any] = {}


def something(value: Any) -> Any:
    """``value`` where it is a scalar that says something; None for a word for nothing, an object or a list."""
    kind = value.__class__
    if kind is str:
        return None if value in NOTHING or not value.strip() else value
    return None if kind is dict or kind is list else value


def parse(text: str | bytes) -> Any:
    """JSON as Python objects. A second, slower parser takes what the first refuses and clients do send: NaN, numbers that
    no double holds, half surrogate pairs (replaced by U+FFFD), objects within objects without end (cut at ``MAX_DEPTH``).
    Were such lines rejected, half a character would hide a campaign.

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
    """Whether a whole number that 64 bits may not hold stands in a text; as a float it would be another account's, too.

    Most texts are cleared by a look for twenty digits in a row, with which nothing that is parsed costs much.
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
    """JSON text with what lies deeper than ``MAX_DEPTH`` objects and lists as null."""
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
    """``value`` with what lies deeper than ``depth`` objects and lists as None."""
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
    """``value`` as an object: itself, or its JSON text opened; an empty one when it is neither."""
    if value.__class__ is dict:
        return value
    if value.__class__ is str and value[:64].lstrip(_SPACE)[:1] == "{":
        opened = opened_json(value)
        if isinstance(opened, dict):
            return opened
    return _NO_ENTRY


def as_list(value: Any) -> list[Any] | None:
    """``value`` as a list: itself, or its JSON text opened; None when it is neither."""
    if value.__class__ is list:
        return value
    if value.__class__ is str and value[:64].lstrip(_SPACE)[:1] == "[":
        opened = opened_json(value)
        if isinstance(opened, list):
            return opened
    return None


def opened_json(value: str) -> Any:
    """What a JSON text holds; None when it is none."""
    try:
        return parse(value.lstrip(_SPACE))
    except ValueError:
        return None


class Records:
    """Entries of one block with their line numbers; columns are read once and kept.

    ``lines[i]`` is the line that ``entries[i]`` came from; one line may give many entries. A path is a text with
    ``/`` between its keys, or a tuple of keys; a number picks an element of a list (``choices/0/finish_reason``).
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
        """The values at ``path``, as they stand; None where it leads nowhere."""
        keys = steps(path)
        found = self._columns.get(keys)
        if found is None:
            name = keys[-1]
            if name.lstrip("-").isdigit():
                found = [_element(value, int(name)) for value in self.at(keys[:-1])]
            elif name not in self.names(keys[:-1]):  # most candidate names occur nowhere in a block
                found = self._nothing
            else:
                found = [holder.get(name) for holder in self.objects(keys[:-1])]
            self._columns[keys] = found
        return found

    def objects(self, path: Path) -> Sequence[Entry]:
        """The objects at ``path``, opened from JSON text where needed; an empty one where there is none."""
        keys = steps(path)
        found = self._objects.get(keys)
        if found is None:
            values = self.at(keys)
            if values is self._nothing:
                found = [_NO_ENTRY] * len(values)
            else:
                found = [value if value.__class__ is dict else as_object(value) for value in values]
            self._objects[keys] = found
        return found

    def names(self, path: Path) -> set[str]:
        """The names that occur in the objects at ``path``."""
        keys = steps(path)
        found = self._names.get(keys)
        if found is None:
            found = self._names[keys] = set().union(*self.objects(keys))
        return found

    def first(self, *paths: Path) -> list[Any]:
        """The first scalar along ``paths`` that says something, entry by entry."""
        found: list[Any] | None = None
        for path in paths:
            values = self.at(path)
            if values is self._nothing:
                continue
            if found is None:
                found = _said(values)
            elif any_said(values):
                found = [something(v) if f is None else f for f, v in zip(found, values, strict=True)]
            if None not in found:
                break
        return self._nothing if found is None else found

    def first_held(self, *paths: Path) -> list[Any]:
        """The first value along ``paths`` that says something, objects and lists too."""
        found: list[Any] | None = None
        for path in paths:
            values = self.at(path)
            if values is self._nothing:
                continue
            if found is None:
                found = values
            else:
                found = [
                    v if f is None or (f.__class__ is str and f in NOTHING) else f
                    for f, v in zip(found, values, strict=True)
                ]
        return self._nothing if found is None else found

    def somebody(self, found: list[Any], paths: Sequence[Path], nobody: Set[str]) -> list[Any]:
        """``found``, the first along ``paths``, or where that is a word for ``nobody`` the first that is somebody."""
        if not any(v in nobody for v in found):
            return found
        candidates = [self.first(path) for path in paths]
        return [
            next((c[row] for c in candidates if c[row] is not None and c[row] not in nobody), None)
            if v in nobody
            else v
            for row, v in enumerate(found)
        ]


_PLAIN = {str, int, float, bool, type(None)}
_TEXT = {str, type(None)}


def first_of(*columns: list[Any]) -> list[Any]:
    """The first value there is of each row, an object or a list among them; it may be the first column itself."""
    made, *others = columns
    for other in others:
        if None in made:
            made = [o if m is None else m for m, o in zip(made, other, strict=True)]
    return made


def any_said(values: list[Any]) -> bool:
    """Whether any value is not None."""
    return values.count(None) < len(values)


def _said(values: list[Any]) -> list[Any]:
    """``values`` with what says nothing as None; the list itself where all is well, which most columns are."""
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
    """The paths that a site may mean by ``text``: a key as it stands, keys with ``/`` or dots between them, and a key that
    holds dots inside an object, or before one.
    """
    found: list[Path] = [(text,)]
    if "/" in text:
        found.append(tuple(text.split("/")))
    elif "." in text:
        found.append(tuple(text.split(".")))
        head, _, tail = text.partition(".")
        found.append((head, tail))
        head, _, tail = text.rpartition(".")
        found.append((head, tail))
    return tuple(dict.fromkeys(found))


def _element(value: Any, at: int) -> Any:
    listed = value if value.__class__ is list else as_list(value)
    return listed[at] if listed and -len(listed) <= at < len(listed) else None

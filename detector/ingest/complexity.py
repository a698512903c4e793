"""A look at a long line before it is parsed: how much memory its objects would take."""

from __future__ import annotations

import re

#: Estimated bytes of the objects of one parsed line, beyond which it is refused unparsed.
MAX_PARSED = 512 << 20
_SMALL = 1 << 20
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)


def is_too_complex(text: bytes | str) -> bool:
    """Whether parsing ``text`` might take more memory than a log line is worth.

    A cheap upper estimate of the objects that a parser would make: a line of 60 MB of ``{},`` would take
    gigabytes, one of 60 MB of text takes what it is long.
    """
    if len(text) < _SMALL:
        return False
    data = text.encode("utf-8", "replace") if isinstance(text, str) else text
    if _cost(data, data.count(b'"') // 2) <= MAX_PARSED:
        return False
    # Brackets inside of strings cost nothing: a caller must not lose a request by what a prompt holds.
    bare, n_strings = _STRING.subn(b"", data)
    return _cost(bare, n_strings) > MAX_PARSED


def _cost(data: bytes, n_strings: int) -> int:
    """Bytes that CPython takes for as many dicts, lists, list slots and strings."""
    return 232 * data.count(b"{") + 88 * data.count(b"[") + 40 * data.count(b",") + 64 * n_strings

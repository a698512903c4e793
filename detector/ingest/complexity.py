"""Estimates the memory that the objects of a long line would take, before the line is parsed."""

from __future__ import annotations

import re

#: Estimated bytes of the objects of one parsed line, beyond which it is refused unparsed.
MAX_PARSED = 512 << 20
_SMALL = 1 << 20
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)


def is_too_complex(text: bytes | str) -> bool:
    """Whether parsing ``text`` might take more memory than a log line is worth.

    The estimate is cheap and from above. A line of 60 MB of ``{},`` would take gigabytes, 60 MB of text take 60 MB.
    """
    if len(text) < _SMALL:
        return False
    data = text.encode("utf-8", "replace") if isinstance(text, str) else text
    if _cost(data, data.count(b'"') // 2) <= MAX_PARSED:
        return False
    # Brackets inside strings cost nothing: the text of a prompt must not keep its request out of the lake.
    bare, n_strings = _STRING.subn(b"", data)
    return _cost(bare, n_strings) > MAX_PARSED


def _cost(data: bytes, n_strings: int) -> int:
    """Bytes that CPython needs for that many dicts, lists, list slots and strings."""
    return 232 * data.count(b"{") + 88 * data.count(b"[") + 40 * data.count(b",") + 64 * n_strings

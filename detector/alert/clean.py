"""Makes strings that attackers choose safe to show: ids, key labels, titles.

A name can carry terminal escapes, right-to-left overrides that make a word read as another, invisible
characters and towers of combining marks. ``clean`` drops them from words; ``show_id`` spells them out,
so that two ids which differ only in such characters still look different.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

#: Longest id shown whole (characters); ids of real systems are under 100.
ID_CHARS = 128
#: Combining marks kept in a row: Vietnamese needs 2, Hebrew with cantillation 3; towers use dozens.
_MARKS = 3

# Whole escape sequences, so that "ESC[31m" leaves no "[31m" behind: CSI, then string controls (OSC, DCS,
# APC, PM, SOS; a sequence without an end runs to the end of the text), then single-character escapes.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f]).*?(?:\x07|\x1b\\|\x9c|$)"
    r"|\x1b[ -/]*[0-~]?",
    re.DOTALL,
)


def clean(text: object, n: int = 200) -> str:
    """``text`` as one line of at most ``n`` characters without anything that steers a terminal or reader.

    Control, format (bidirectional, zero-width, tag), surrogate, private and unassigned characters go,
    line breaks become spaces. None is the empty string.
    """
    raw = "" if text is None else str(text)
    # Cut early: nobody pays for a megabyte of label. Dropped characters may make the result shorter than n.
    raw = _ESCAPES.sub("", raw[: 8 * n + 64])
    kept: list[str] = []
    marks = 0
    for char in raw:
        kind = unicodedata.category(char)
        if char in "\t\n\r\v\f\x85" or kind[0] == "Z":
            kept.append(" ")
        elif kind[0] == "C":
            continue
        elif kind[0] == "M":
            marks += 1
            if marks <= _MARKS:
                kept.append(char)
            continue
        else:
            kept.append(char)
        marks = 0
    line = " ".join("".join(kept).split())
    return line if len(line) <= n else line[: n - 1].rstrip() + "…"


def show_id(text: object, n: int = ID_CHARS) -> str:
    r"""An identifier, safe to show and still telling: unsafe characters are written as ``\u202e``.

    Plain ids come back unchanged. One longer than ``n`` is cut and ends in a short hash of the whole, so
    that long ids with one beginning stay apart.
    """
    raw = "" if text is None else str(text)
    parts: list[str] = []
    size = 0
    for char in raw[: n + 1]:
        shown = char
        if char == "\\" or (char != " " and unicodedata.category(char)[0] in "CZM"):
            shown = char.encode("unicode_escape", "surrogatepass").decode("ascii")
        parts.append(shown)
        size += len(shown)
        if size > n:
            break
    else:
        return "".join(parts)
    tail = hashlib.blake2b(raw.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    short = ""
    for shown in parts:
        if len(short) + len(shown) > n - 10:
            break
        short += shown
    return f"{short}…#{tail}"

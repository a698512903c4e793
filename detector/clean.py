r"""Makes strings that attackers choose safe to show: ids, names of files, key labels, titles, rows of a query.

A value can have terminal escapes, right-to-left overrides that make a word read as another, invisible characters with a
message of their own, and towers of combining marks. Only this module says which characters those are. ``clean`` drops
them from words. ``show_id`` and ``visible`` spell them out as ``\u202e``, so that two values that differ only in such
characters still look different. ``json_safe`` writes them as escapes in JSON, where nothing is lost.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from functools import cache

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

#: Characters that steer a terminal or a reader, or cannot be seen. Some have the category of a letter or a mark
#: (Hangul fillers, variation selectors), so the list is by number: C0, DEL, C1; soft hyphen; grapheme joiner; Arabic
#: letter mark; fillers; Mongolian selectors; zero-width and bidirectional; separators of lines and paragraphs; blank
#: braille; lone surrogates; private use; variation selectors; byte order mark; interlinear annotation; shorthand and
#: musical format controls; tags.
STEERING = (
    "\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u2800\u3164\ud800-\udfff\ue000-\uf8ff\ufdd0-\ufdef\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d159\U0001d173-\U0001d17a\U000e0000-\U000e0fff\U000f0000-\U0010ffff"
)
_STEERING = re.compile(f"[{STEERING}]")
#: Characters that may need an escape: all but printable ASCII. JSON has C0 only between its values.
_LOOKED_AT, _LOOKED_AT_IN_JSON = re.compile(r"[^ -~]"), re.compile(r"[^\x00-~]")


@cache
def steers(char: str) -> bool:
    """Whether ``char`` must not reach a terminal: it steers it, cannot be seen, or is not assigned."""
    return bool(_STEERING.match(char)) or unicodedata.category(char)[0] == "C"


def clean(text: object, n: int = 200) -> str:
    """``text`` as one line of at most ``n`` characters, without any that steer a terminal or a reader.

    Control, format (bidirectional, zero-width, tag), surrogate, private, unassigned and invisible characters are
    dropped. Line breaks become spaces. None becomes the empty string.
    """
    raw = "" if text is None else str(text)
    # The cut comes first, so that a label of a megabyte costs little. The result may be shorter than n.
    raw = _ESCAPES.sub("", raw[: 8 * n + 64])
    kept: list[str] = []
    marks = 0
    for char in raw:
        kind = unicodedata.category(char)
        if char in "\t\n\r\v\f\x85" or kind[0] == "Z":
            kept.append(" ")
        elif steers(char):
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


def visible(text: object, n: int | None = None) -> str:
    r"""``text`` as one line in which every character that steers is escaped (``\n``, ``\x1b``, ``\u202e``).

    Letters, spaces and ordinary marks stay. The result has at most ``n`` characters. ``show_id`` does this for ids.
    """
    raw = str(text) if n is None else str(text)[: n + 1]
    if not _LOOKED_AT.search(raw):
        shown = raw
    else:
        parts: list[str] = []
        marks = 0
        for char in raw:
            marks = marks + 1 if unicodedata.category(char)[0] == "M" else 0
            parts.append(_spelled(char) if steers(char) or marks > _MARKS else char)
        shown = "".join(parts)
    return shown if n is None or len(shown) <= n else shown[: n - 1] + "…"


def visible_lines(text: object) -> str:
    """``text`` with its line breaks, and every line made ``visible``: for messages of several lines."""
    return "\n".join(visible(line) for line in str(text).split("\n"))


def json_safe(text: str) -> str:
    r"""JSON ``text`` with ``\u`` escapes for characters that steer a terminal; it parses to the same values."""
    return _LOOKED_AT_IN_JSON.sub(_json_escape, text)


def _json_escape(match: re.Match[str]) -> str:
    if not steers(match[0]):
        return match[0]
    code = ord(match[0])
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"


def _spelled(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")


def show_id(text: object, n: int = ID_CHARS) -> str:
    r"""An identifier that is safe to show and still unique: unsafe characters are written as ``\u202e``.

    Plain ids are returned unchanged. An id longer than ``n`` is cut and ends in a short hash of the whole, so that
    long ids with the same beginning stay different.
    """
    raw = "" if text is None else str(text)
    parts: list[str] = []
    size = 0
    for char in raw[: n + 1]:
        shown = char
        if char == "\\" or (char != " " and (steers(char) or unicodedata.category(char)[0] in "ZM")):
            shown = _spelled(char)
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

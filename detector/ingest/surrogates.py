"""Half surrogate pairs (``\\ud83d`` alone), put right before a line is parsed.

Loggers write them for text that a client cut in the middle of a character, and no JSON parser of ours takes
them. Were such lines rejected, half a character in each prompt would keep a campaign out of the lake.
"""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

#: A whole pair (kept), or a half (its four digits replaced); also within JSON inside of a JSON text, where
#: the backslash itself is escaped. A text that only spells such an escape changes in those digits: harmless.
_HALVES = re.compile(
    r"(\\u[dD][89abAB][0-9a-fA-F]{2}\\{1,8}u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)


def mend(lines: pa.Table) -> tuple[pa.Table, int]:
    """``lines`` with every half pair replaced by U+FFFD, and how many lines had one."""
    text = lines.column("text")
    raw = [chunk.buffers()[2] for chunk in text.chunks]
    if not any(spelt in bytes(part) for part in raw if part for spelt in (b"\\ud", b"\\uD")):
        return lines, 0  # one look over all the bytes: by far the most frequent case
    hit = pc.or_(pc.match_substring(text, "\\ud"), pc.match_substring(text, "\\uD"))
    if not pc.any(hit).as_py():
        return lines, 0
    found = text.filter(hit).to_pylist()
    mended = [_HALVES.sub(lambda m: m.group(1) or "\\ufffd", line) for line in found]
    n_mended = sum(a != b for a, b in zip(found, mended, strict=True))
    if not n_mended:
        return lines, 0
    fixed = pc.replace_with_mask(
        text.combine_chunks(), hit.combine_chunks(), pa.array(mended, pa.large_string())
    )
    return lines.set_column(lines.column_names.index("text"), "text", fixed), n_mended

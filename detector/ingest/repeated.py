"""Which lines have a key of their object twice. JSON does not say which of the two values counts.

In ingest the last one counts. Not every parser does that, so a line that repeats a key goes to the one that does. This
runs as machine code, because it looks at every byte of a log.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from features.request.compiled import Kernel

_QUOTE, _BACKSLASH, _COLON, _NEWLINE = 34, 92, 58, 10
_OPEN_OBJECT, _OPEN_LIST, _CLOSE_OBJECT, _CLOSE_LIST = 123, 91, 125, 93
_SPACE, _TAB, _RETURN = 32, 9, 13
#: Most keys of a line that are compared. A line with more counts as one that repeats a key.
_MAX_KEYS = 256
_OFFSET, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)


@Kernel
def repeats(data: NDArray[np.uint8], n_lines: int) -> NDArray[np.bool_]:
    """For each line of ``data`` whether its object may have a key twice.

    A key with an escape in it counts as repeated: it may spell another one.
    """
    twice = np.zeros(n_lines, np.bool_)
    hashes = np.empty(_MAX_KEYS, np.uint64)
    line = n_keys = depth = at = 0
    size = len(data)
    while at < size and line < n_lines:
        byte = data[at]
        if byte == _NEWLINE:
            line += 1
            n_keys = depth = 0
        elif byte in (_OPEN_OBJECT, _OPEN_LIST):
            depth += 1
        elif byte in (_CLOSE_OBJECT, _CLOSE_LIST):
            depth -= 1
        elif byte == _QUOTE:
            start = at + 1
            at = start
            escaped = False
            while at < size and data[at] != _QUOTE and data[at] != _NEWLINE:
                if data[at] == _BACKSLASH:
                    escaped = True
                    at += 1
                at += 1
            if at >= size or data[at] == _NEWLINE:
                continue
            after = at + 1
            while after < size and (data[after] == _SPACE or data[after] == _TAB or data[after] == _RETURN):
                after += 1
            if depth == 1 and after < size and data[after] == _COLON:
                if escaped or n_keys == _MAX_KEYS:
                    twice[line] = True
                else:
                    key = _OFFSET
                    for inner in range(start, at):
                        key = (key ^ np.uint64(data[inner])) * _PRIME
                    for other in range(n_keys):
                        if hashes[other] == key:
                            twice[line] = True
                    hashes[n_keys] = key
                    n_keys += 1
        at += 1
    return twice

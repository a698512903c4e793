"""Keyed BLAKE2b (RFC 7693) of many short values at once, as kernels; the same digests as ``hashlib``.

``hashlib`` needs several calls for each value. It still does the empty value and values of more than one block: see
``keyed``.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from features.request.compiled import Kernel, inner

__all__ = ["BLOCK", "DIGEST", "IV", "digests"]

I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]
U64 = npt.NDArray[np.uint64]
Four: TypeAlias = tuple[np.uint64, np.uint64, np.uint64, np.uint64]

#: Bytes of a block, and of the digests made here (two words).
BLOCK, DIGEST = 128, 16
_WORDS = 16

IV: U64 = np.array(
    [
        0x6A09E667F3BCC908, 0xBB67AE8584CAA73B, 0x3C6EF372FE94F82B, 0xA54FF53A5F1D36F1,
        0x510E527FADE682D1, 0x9B05688C2B3E6C1F, 0x1F83D9ABFB41BD6B, 0x5BE0CD19137E2179,
    ],
    dtype=np.uint64,
)  # fmt: skip
#: Order of the message words in each of twelve rounds.
_ORDER = np.array(
    [
        (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
        (14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3),
        (11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4),
        (7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8),
        (9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13),
        (2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9),
        (12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11),
        (13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10),
        (6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5),
        (10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0),
        (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
        (14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3),
    ],
    dtype=np.uint64,
)
_DIGITS = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
_ALL, _NONE, _LOW = np.uint64(0xFFFFFFFFFFFFFFFF), np.uint64(0), np.uint64(15)


@inner
def _turned(value: np.uint64, right: int) -> np.uint64:
    return (value >> np.uint64(right)) | (value << np.uint64(64 - right))


@inner
def _quarter(a: np.uint64, b: np.uint64, c: np.uint64, d: np.uint64, x: np.uint64, y: np.uint64) -> Four:
    """The mixing step."""
    a = a + b + x
    d = _turned(d ^ a, 32)
    c = c + d
    b = _turned(b ^ c, 24)
    a = a + b + y
    d = _turned(d ^ a, 16)
    c = c + d
    return a, _turned(b ^ c, 63), c, d


@inner
def _compress(state: U64, m: U64, count: np.uint64, last: np.uint64, out: U64) -> None:
    """``state`` after the sixteen words ``m`` and ``count`` bytes in all. ``last``: all ones for the last block."""
    v0, v1, v2, v3, v4, v5, v6, v7 = (
        state[0], state[1], state[2], state[3], state[4], state[5], state[6], state[7]
    )  # fmt: skip
    v8, v9, v10, v11, v12, v13, v14, v15 = (
        IV[0], IV[1], IV[2], IV[3], IV[4] ^ count, IV[5], IV[6] ^ last, IV[7]
    )  # fmt: skip
    for at in range(len(_ORDER)):
        s = _ORDER[at]
        v0, v4, v8, v12 = _quarter(v0, v4, v8, v12, m[s[0]], m[s[1]])
        v1, v5, v9, v13 = _quarter(v1, v5, v9, v13, m[s[2]], m[s[3]])
        v2, v6, v10, v14 = _quarter(v2, v6, v10, v14, m[s[4]], m[s[5]])
        v3, v7, v11, v15 = _quarter(v3, v7, v11, v15, m[s[6]], m[s[7]])
        v0, v5, v10, v15 = _quarter(v0, v5, v10, v15, m[s[8]], m[s[9]])
        v1, v6, v11, v12 = _quarter(v1, v6, v11, v12, m[s[10]], m[s[11]])
        v2, v7, v8, v13 = _quarter(v2, v7, v8, v13, m[s[12]], m[s[13]])
        v3, v4, v9, v14 = _quarter(v3, v4, v9, v14, m[s[14]], m[s[15]])
    out[0] = state[0] ^ v0 ^ v8
    out[1] = state[1] ^ v1 ^ v9
    out[2] = state[2] ^ v2 ^ v10
    out[3] = state[3] ^ v3 ^ v11
    out[4] = state[4] ^ v4 ^ v12
    out[5] = state[5] ^ v5 ^ v13
    out[6] = state[6] ^ v6 ^ v14
    out[7] = state[7] ^ v7 ^ v15


@Kernel
def digests(words: U64, start: I64, end: I64, initial: U64, key: U64, out: U8) -> None:
    """Digest of each value as 32 hex digits.

    ``initial`` is the state of eight words before any block, ``key`` the key's own block of sixteen.
    ``words`` are the eight bytes from every position; a value has 1 to 128 bytes.
    """
    keyed, done = np.empty(8, dtype=np.uint64), np.empty(8, dtype=np.uint64)
    message = np.zeros(_WORDS, dtype=np.uint64)
    _compress(initial, key, np.uint64(BLOCK), _NONE, keyed)
    filled = 0
    for value in range(len(start)):
        at, length = start[value], end[value] - start[value]
        used = (length + 7) // 8
        for word in range(used):
            message[word] = words[at + 8 * word]
        if length % 8:
            message[used - 1] &= _ALL >> np.uint64(64 - 8 * (length % 8))
        for word in range(used, filled):
            message[word] = 0
        filled = used
        _compress(keyed, message, np.uint64(BLOCK + length), _ALL, done)
        for digit in range(2 * DIGEST):
            # Bytes in order, the high half of each first.
            place = np.uint64(4 * (digit ^ 1) % 64)
            out[value, digit] = _DIGITS[(done[digit // 16] >> place) & _LOW]

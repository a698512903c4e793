"""Keyed hashes of content keys: SipHash-1-3 (Aumasson, Bernstein 2012) of values of eight bytes, as kernels."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from features.request.compiled import Kernel, inner

__all__ = ["join_keys", "seal", "siphash"]

I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]
Words: TypeAlias = tuple[np.uint64, np.uint64, np.uint64, np.uint64]

_KIND_BITS, _NONE = np.uint64(15), np.uint64(0)


@inner
def _rotated(value: np.uint64, left: int) -> np.uint64:
    return (value << np.uint64(left)) | (value >> np.uint64(64 - left))


@inner
def _round(v0: np.uint64, v1: np.uint64, v2: np.uint64, v3: np.uint64) -> Words:
    v0 += v1
    v1 = _rotated(v1, 13) ^ v0
    v0 = _rotated(v0, 32)
    v2 += v3
    v3 = _rotated(v3, 16) ^ v2
    v0 += v3
    v3 = _rotated(v3, 21) ^ v0
    v2 += v1
    v1 = _rotated(v1, 17) ^ v2
    return v0, v1, _rotated(v2, 32), v3


@inner
def _siphash(message: np.uint64, v0: np.uint64, v1: np.uint64, v2: np.uint64, v3: np.uint64) -> np.uint64:
    v0, v1, v2, v3 = _round(v0, v1, v2, v3 ^ message)
    v0, v1, v2, v3 = _round(v0 ^ message, v1, v2 ^ np.uint64(0xFF), v3)
    v0, v1, v2, v3 = _round(v0, v1, v2, v3)
    v0, v1, v2, v3 = _round(v0, v1, v2, v3)
    return v0 ^ v1 ^ v2 ^ v3


@Kernel
def seal(raw: U64, salts: U64, kinds: U64, start: U64, out: U64) -> None:
    """Keyed hashes of raw keys, with their kind in the low four bits; 0 stays 0. ``start``: see ``siphash``."""
    for row in range(len(raw)):
        for column in range(raw.shape[1]):
            value = _siphash(raw[row, column] ^ salts[column], start[0], start[1], start[2], start[3])
            value = (value & ~_KIND_BITS) | kinds[column]
            out[row, column] = value if raw[row, column] != 0 else _NONE


@Kernel
def join_keys(left: U64, right: U64, place: I64, bounds: I64, out: U64) -> None:
    """The keys (not 0) of each row of ``left``, and of the row of ``right`` at its ``place`` (-1: none).

    ``out`` is filled from the front; ``bounds`` cuts it into rows.
    """
    n = 0
    for row in range(len(left)):
        bounds[row] = n
        for column in range(left.shape[1]):
            if left[row, column] != 0:
                out[n] = left[row, column]
                n += 1
        if place[row] >= 0:
            for column in range(right.shape[1]):
                if right[place[row], column] != 0:
                    out[n] = right[place[row], column]
                    n += 1
    bounds[len(left)] = n


@Kernel
def siphash(values: U64, start: U64, out: U64) -> None:
    """SipHash-1-3 of 8-byte inputs; ``start`` is the state of four words from the key."""
    for at in range(len(values)):
        out[at] = _siphash(values[at], start[0], start[1], start[2], start[3])

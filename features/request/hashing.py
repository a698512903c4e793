"""Hashes of tokens, runs and parts, and the least and sampled hashes of each text, as kernels.

The hashes are fixed, and ``sealing`` puts them under the key; only the constants of a sketch are keyed. The modules
``tokens``, ``spans``, ``sketch`` and ``content`` say what is computed.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from features.request.compiled import Kernel, inner

__all__ = [
    "BINS", "LONG", "NUMBER", "SLOTS", "hash_parts", "hash_places", "hash_runs", "hash_tokens", "sample_grams",
    "sample_lines", "sketch_texts",
]  # fmt: skip

I64 = npt.NDArray[np.int64]
U32 = npt.NDArray[np.uint32]
Bools = npt.NDArray[np.bool_]
U64 = npt.NDArray[np.uint64]

#: Base of the polynomial over token hashes (odd, fixed: the models rely on it).
BASE = 0x9E3779B97F4A7C15
NUMBER = np.uint64(0x5851F42D4C957F2D)
_BASE1, _BASE2, _BASE4 = (np.uint64(pow(BASE, power, 1 << 64)) for power in (1, 2, 4))
_SALT0, _SALT1, _SALT2, _SALT3 = (
    np.uint64(c) for c in (0x2545F4914F6CDD1D, 0xDA3E39CB94B95BDB, 0x8CB92BA72F3D8DD7, 0xA0761D6478BD642F)
)
_FACTOR0, _FACTOR1, _FACTOR2, _FACTOR3 = (
    np.uint64(c) for c in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53, 0xE7037ED1A0B428DB, 0x589965CC75374CC3)
)
_LENGTH = np.uint64(0x1D8E4E27C47D124F)
_ZEROS = np.uint64(0x3030303030303030)
_FIRST, _LAST, _COUNT = (np.uint64(c) for c in (0x9FB21C651E98DF25, 0xD1342543DE82EF95, 0xAF251AF3B0F025B5))
_EIGHT, _SIXTY_FOUR, _ALL = np.uint64(8), np.uint64(64), np.uint64(0xFFFFFFFFFFFFFFFF)
_TURN1, _TURN2, _SPREAD = np.uint64(32), np.uint64(29), np.uint64(0xD6E8FEB86659FD93)
#: Bins a 5-gram falls into by the top three bits of its hash.
BINS, _BIN_SHIFT = 8, np.uint64(61)
#: Fewest tokens of a line that is sampled: shorter lines are common to many authors.
LONG = 4
#: Slots of a sketch, and the greatest value of one.
SLOTS, _MOST = 32, np.uint32(0xFFFFFFFF)


@inner
def _mixed(value: np.uint64) -> np.uint64:
    """``value`` with every bit spread over the word; the same as ``keyed.mix``."""
    value ^= value >> _TURN1
    value *= _SPREAD
    return value ^ (value >> _TURN2)


@inner
def _more(word: np.uint64, length: np.uint64, salt: np.uint64, factor: np.uint64) -> np.uint64:
    """What eight more bytes add to a token's hash."""
    return _mixed((word ^ salt) * factor + length * _LENGTH)


@inner
def _first_bytes(length: np.uint64) -> np.uint64:
    """Mask of the first bytes of a little-endian word, at least one."""
    return _ALL if length >= _EIGHT else _ALL >> (_SIXTY_FOUR - _EIGHT * length)


@Kernel
def hash_tokens(words: U64, starts: I64, ends: I64, hashes: U64, row_bytes: I64, row_tokens: I64) -> None:
    """Hash of each token: its first 24 bytes, its last 8 and its length. All numbers have the same hash.

    ``words`` are the eight bytes from every position. The parts of one figure (3.14, 12:30, 2026-01-02) are one token:
    ``starts``, ``ends`` and ``hashes`` are compacted, and the last of ``row_tokens`` is their number.
    """
    n_kept, at = 0, 0
    for row in range(len(row_bytes) - 1):
        row_tokens[row], number_ends = n_kept, -2
        while at < len(starts) and starts[at] < row_bytes[row + 1]:
            start, end = starts[at], ends[at]
            at += 1
            length = np.uint64(end - start)
            mask = _first_bytes(length)
            word = words[start] & mask
            if word == mask & _ZEROS:
                if number_ends + 1 == start:
                    number_ends = end
                    continue
                number_ends = end
                value = NUMBER
            else:
                value = (word ^ _SALT0) * _FACTOR0
                if end - start > 8:
                    word = words[start + 8] & _first_bytes(length - _EIGHT)
                    value += _more(word, length, _SALT1, _FACTOR1)
                if end - start > 16:
                    word = words[start + 16] & _first_bytes(length - _EIGHT - _EIGHT)
                    value += _more(word, length, _SALT2, _FACTOR2)
                if end - start > 24:
                    # Only the last eight bytes, so that very long tokens cost no more.
                    value += _more(words[end - 8], length, _SALT3, _FACTOR3)
                value = _mixed(value)
                number_ends = -2
            starts[n_kept], ends[n_kept], hashes[n_kept] = start, end, value
            n_kept += 1
    row_tokens[len(row_bytes) - 1] = n_kept


@Kernel
def hash_runs(token: U64, pair: U64, triple: U64, running: U64) -> None:
    """Hashes of the two and the three tokens from each position on (0 at the end), and running sums of the pairs."""
    count = len(token)
    running[0] = 0
    total = np.uint64(0)
    for at in range(count):
        two, three = np.uint64(0), np.uint64(0)
        if at + 1 < count:
            two = token[at] * _BASE1 + token[at + 1]
        if at + 2 < count:
            three = two * _BASE1 + token[at + 2]
        pair[at], triple[at] = two, three
        total += _mixed(two)
        running[at + 1] = total


@inner
def _span(token: U64, running: U64, start: int, end: int) -> np.uint64:
    """Hash of the tokens [start, end), at least one, by two look-ups in the running sums."""
    value = (running[end - 1] - running[start]) ^ (token[start] * _FIRST)
    return _mixed(value + token[end - 1] * _LAST + np.uint64(end - start) * _COUNT)


@Kernel
def hash_parts(token: U64, running: U64, starts: I64, ends: I64, row_parts: I64, out: U64) -> None:
    """One hash of each text's set of parts; 0 for a text without parts. A repeated part counts once."""
    values = np.empty(len(starts), dtype=np.uint64)
    for row in range(len(row_parts) - 1):
        first, last = row_parts[row], row_parts[row + 1]
        total = np.uint64(0)
        for part in range(first, last):
            values[part] = _span(token, running, starts[part], ends[part])
        if last - first == 1:
            total = values[first]
        elif last > first:
            values[first:last].sort()
            for part in range(first, last):
                if part == first or values[part] != values[part - 1]:
                    total += _mixed(values[part])
        out[row] = _mixed(total)


@inner
def _four(pair: U64, at: int) -> np.uint64:
    value: np.uint64 = pair[at] * _BASE2 + pair[at + 2]
    return value


@Kernel
def hash_places(token: U64, pair: U64, running: U64, row_tokens: I64, out: U64) -> None:
    """The first five columns of the raw keys: the whole text, its opening and ending by four and eight."""
    for row in range(len(row_tokens) - 1):
        start, end = row_tokens[row], row_tokens[row + 1]
        if end > start:
            out[row, 0] = _span(token, running, start, end)
        if end - start >= 4:
            out[row, 1] = _four(pair, start)
            out[row, 3] = _four(pair, end - 4)
        if end - start >= 8:
            out[row, 2] = _four(pair, start) * _BASE4 + _four(pair, start + 4)
            out[row, 4] = _four(pair, end - 8) * _BASE4 + _four(pair, end - 4)


@Kernel
def sample_grams(
    pair: U64, triple: U64, row_tokens: I64, salt: np.uint64, first: np.uint64, out: U64
) -> None:  # fmt: skip
    """One 5-gram for each of eight bins of its salted hash, the least of its bin, from column ``first`` on.

    0 where a bin is empty.
    """
    for row in range(len(row_tokens) - 1):
        for place in range(BINS):
            out[row, first + np.uint64(place)] = _ALL
        for at in range(row_tokens[row], row_tokens[row + 1] - 4):
            value = _mixed((triple[at] * _BASE2 + pair[at + 3]) ^ salt)
            column = first + (value >> _BIN_SHIFT)
            out[row, column] = min(out[row, column], value)
        for place in range(BINS):
            if out[row, first + np.uint64(place)] == _ALL:
                out[row, first + np.uint64(place)] = 0


@Kernel
def sample_lines(
    token: U64, running: U64, ends: I64, line_end: Bools, rows: I64, row_tokens: I64, salt: np.uint64,
    first: int, most: int, out: U64,
) -> None:  # fmt: skip
    """Up to ``most`` different lines of four tokens or more of each text, by least salted hash.

    They go into columns from ``first`` on. ``ends`` and ``line_end`` have one value for each piece, ``rows`` bounds the
    pieces of each text.
    """
    ranks = np.empty(most, dtype=np.uint64)
    for row in range(len(row_tokens) - 1):
        start, n_kept = row_tokens[row], 0
        for piece in range(rows[row], rows[row + 1]):
            if not line_end[piece]:
                continue
            end = ends[piece]
            if end - start >= LONG:
                value = _span(token, running, start, end)
                rank = (value ^ salt) * _FACTOR1
                place = n_kept
                while place > 0 and ranks[place - 1] > rank:
                    place -= 1
                # Equal ranks mean equal values, so an equal rank is the same line again.
                if place < most and (place == 0 or ranks[place - 1] != rank):
                    n_kept = min(n_kept + 1, most)
                    for later in range(n_kept - 1, place, -1):
                        ranks[later], out[row, first + later] = ranks[later - 1], out[row, first + later - 1]
                    ranks[place], out[row, first + place] = rank, value
            start = end


@Kernel
def sketch_texts(
    token: U64, pair: U64, triple: U64, row_tokens: I64,
    salt: np.uint64, factor: np.uint64, turn: U32, spread: U32, out: U32,
) -> None:  # fmt: skip
    """Least value of ``(h ^ turn) * spread`` over a text's shingles, one a slot; 0 for a text without tokens."""
    for row in range(len(row_tokens) - 1):
        start, end = row_tokens[row], row_tokens[row + 1]
        shingles = triple
        if end - start == 1:
            shingles = token
        elif end - start == 2:
            shingles = pair
        for slot in range(SLOTS):
            out[row, slot] = _MOST if end > start else 0
        for at in range(start, max(end - 2, min(start + 1, end))):
            short = np.uint32(((shingles[at] ^ salt) * factor) >> _TURN1)
            for slot in range(SLOTS):
                out[row, slot] = min(out[row, slot], np.uint32((short ^ turn[slot]) * spread[slot]))

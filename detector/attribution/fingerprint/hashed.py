"""Text to hashed n-gram counts, fast enough to measure a corpus while somebody waits.

There are two blocks of 2^18 columns. One has byte 1..5-grams, which cover every script and the layout. The other has
token 1..3-grams that keep case, punctuation and newlines: a model's habits show there as much as in the words. All
work is numpy over one buffer of many texts, and no Python runs per token.

Four zero bytes precede each text in the buffer, so no gram reaches from one text into the next. Grams with zeros mean
"opens with" and "ends with".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint32]
Floats = npt.NDArray[np.float32]

#: Bits of one block's column number.
BITS = 18
#: Columns of one block.
SIZE = 1 << BITS
#: Byte grams 1..5 and token grams 1..3.
BYTE_ORDERS, TOKEN_ORDERS = 5, 3
#: Bytes read of a text: more bytes add time and hardly any certainty.
MAX_BYTES = 8000
#: Bytes of text worked on at once: the buffers of one pass then stay in the processor's cache.
PASS_BYTES = 96_000
#: Texts worked on at once: a text's number and a column share 32 bits.
PASS_TEXTS = 1 << (31 - BITS)
_PAD = 4
_STEP = np.uint32(0x01000193)
_TOKEN_STEP = np.uint32(0x2C1B3C6D)
_EDGE = np.uint32(0x9E3779B9)

_SPACE, _WORD, _LINE, _MARK = 0, 1, 2, 3


def _kinds() -> npt.NDArray[np.uint8]:
    """Byte -> space, word, newline or mark. Bytes of other scripts count as word bytes here."""
    kinds = np.full(256, _MARK, np.uint8)
    kinds[[0, 9, 11, 12, 13, 32]] = _SPACE
    kinds[10] = _LINE
    kinds[0x80:] = _WORD
    for low, high in (("0", "9"), ("A", "Z"), ("a", "z"), ("_", "_")):
        kinds[ord(low) : ord(high) + 1] = _WORD
    return kinds


_KINDS = _kinds()


def _inverse(step: int) -> int:
    return pow(step, -1, 1 << 32)


def _powers(step: int, n: int) -> Words:
    out = np.full(n, step, np.uint64)
    out[0] = 1
    # Doubling: a running product would overflow 64 bits between the reductions.
    filled = 1
    while filled < n:
        take = min(filled, n - filled)
        factor = pow(step, filled, 1 << 32)
        out[filled : filled + take] = (out[:take] * np.uint64(factor)) & np.uint64(0xFFFFFFFF)
        filled += take
    return out.astype(np.uint32)


#: 1 + ln(count): the tenth repetition says less than the second.
_DAMPED = np.append(np.float32(0), 1 + np.log(np.arange(1, 4 * MAX_BYTES, dtype=np.float64))).astype(
    np.float32
)
_CAPACITY = PASS_BYTES + 2 * (MAX_BYTES + _PAD)
_UP = _powers(int(_STEP), _CAPACITY)
_DOWN = _powers(_inverse(int(_STEP)), _CAPACITY)


def damped(counts: npt.NDArray[Any]) -> Floats:
    """1 + ln(count) of counts from 1 on."""
    return np.asarray(_DAMPED[counts], np.float32)


def mixed(hashes: Words, salt: int) -> Words:
    """Top ``BITS`` bits of the murmur3 finaliser of ``hashes`` under ``salt``."""
    h = hashes ^ np.uint32(salt)
    h ^= h >> np.uint32(16)
    h *= np.uint32(0x85EBCA6B)
    h ^= h >> np.uint32(13)
    h *= np.uint32(0xC2B2AE35)
    h >>= np.uint32(32 - BITS)
    return h


def _salt(block: int, order: int) -> int:
    return (block * 0x632BE5AB + order * 0x9E3779B1) & 0xFFFFFFFF


@dataclass(frozen=True)
class Grams:
    """Grams of one pass: their columns and the texts they start in. All orders of a block are in one array."""

    n_texts: int
    #: Column numbers 0..SIZE-1, uint32, and the text of each, int64: (byte block, token block).
    columns: tuple[Words, Words]
    texts: tuple[Ints, Ints]


def encoded(text: str | None) -> bytes:
    """A text's bytes as measured: at most ``MAX_BYTES``, none for NULL, no zero byte, lone surrogates replaced."""
    if not text:
        return b""
    return text[:MAX_BYTES].encode("utf-8", "replace")[:MAX_BYTES].replace(b"\0", b" ")


def passes(texts: Sequence[str | None]) -> Iterator[tuple[int, Grams]]:
    """(number of the first text, grams) for each run of consecutive texts that fits one pass."""
    run: list[bytes] = []
    start, size = 0, 0
    for number, text in enumerate(texts):
        data = encoded(text)
        if run and (size + len(data) > PASS_BYTES or len(run) == PASS_TEXTS):
            yield start, grams(run)
            start, size, run = number, 0, []
        run.append(data)
        size += len(data) + _PAD + 2
    if run:
        yield start, grams(run)


def grams(run: Sequence[bytes]) -> Grams:
    """All grams of the encoded texts ``run``, which together fit one pass."""
    pad = b"\0" * _PAD
    data = np.frombuffer(b"".join(pad + b" " + each + b" " for each in run) + pad, np.uint8)
    lengths = np.fromiter((len(each) + _PAD + 2 for each in run), np.int64, len(run))
    owner = np.repeat(np.arange(len(run)), lengths)
    n = len(owner)
    wide = data.astype(np.uint32)
    columns = np.empty((BYTE_ORDERS, n), np.uint32)
    h = wide[:n].copy()
    columns[0] = mixed(h, _salt(1, 1))
    for order in range(2, BYTE_ORDERS + 1):
        h *= _STEP
        h += (
            wide[order - 1 : order - 1 + n] if order - 1 + n <= len(wide) else np.append(wide[order - 1 :], 0)
        )
        columns[order - 1] = mixed(h, _salt(1, order))
    byte_texts = np.broadcast_to(owner, (BYTE_ORDERS, n)).reshape(-1)
    tokens, token_owner = _tokens(data[:n], wide[:n], owner, len(run))
    token_columns, token_texts = _token_grams(tokens, token_owner)
    return Grams(len(run), (columns.reshape(-1), token_columns), (byte_texts, token_texts))


def _tokens(data: npt.NDArray[np.uint8], wide: Words, owner: Ints, n_texts: int) -> tuple[Words, Ints]:
    """Token hashes in order with the text of each. Two edge tokens precede every text.

    A token is a run of word bytes (with inner apostrophes), a run of newlines, one mark, or one character of a
    script that writes no spaces.
    """
    kind = _KINDS[data]
    n = len(kind)
    following = np.append(data[1:], np.uint8(0))
    lead = data == 0xE2
    if lead.any():  # general punctuation: dashes, quotes, bullets
        at = np.flatnonzero(lead & (following == 0x80))
        at = at[at + 2 < n]
        kind[at] = kind[at + 1] = kind[at + 2] = _MARK
    alone = (data >= 0xE3) & (data <= 0xED)  # kana, ideographs, syllables: a token each
    quote = np.flatnonzero(data == 0x27)
    quote = quote[(quote > 0) & (quote + 1 < n)]
    inner = quote[(kind[quote - 1] == _WORD) & (kind[quote + 1] == _WORD)]
    kind[inner] = _WORD
    before = np.empty_like(kind)
    before[0] = _SPACE
    before[1:] = kind[:-1]
    starts = (kind != _SPACE) & ((kind != before) | (kind == _MARK) | alone)
    if lead.any() or alone.any():
        tail = (data & 0xC0) == 0x80
        starts &= ~(tail & (kind == _MARK))  # a mark of three bytes is one token
        after = np.zeros(n, bool)
        after[3:] = alone[:-3]
        starts |= after & (kind == _WORD) & ~tail
    first = np.flatnonzero(starts)
    ends = np.empty(n, bool)
    ends[:-1] = starts[1:] | (kind[1:] == _SPACE)
    ends[-1] = True
    ends &= kind != _SPACE
    last = np.flatnonzero(ends)
    running = np.zeros(n + 1, np.uint32)
    np.cumsum((wide + np.uint32(1)) * _DOWN[:n], dtype=np.uint32, out=running[1:])
    hashes = (running[last + 1] - running[first]) * _UP[last]
    counts = np.bincount(owner[first], minlength=n_texts)
    slots = np.arange(len(first)) + 2 * (owner[first] + 1)
    out = np.full(len(first) + 2 * n_texts + 2, _EDGE, np.uint32)
    out[slots] = hashes
    return out, np.repeat(np.arange(n_texts), counts + 2)


def _token_grams(tokens: Words, owner: Ints) -> tuple[Words, Ints]:
    n = len(owner)
    columns = np.empty((TOKEN_ORDERS, n), np.uint32)
    h = tokens[:n].copy()
    columns[0] = mixed(h, _salt(2, 1))
    for order in range(2, TOKEN_ORDERS + 1):
        h *= _TOKEN_STEP
        h += tokens[order - 1 : order - 1 + n]
        columns[order - 1] = mixed(h, _salt(2, order))
    return columns.reshape(-1), np.broadcast_to(owner, (TOKEN_ORDERS, n)).reshape(-1)


@dataclass(frozen=True)
class Counts:
    """Sparse counts of texts: row pointers (n+1), columns, counts. Columns of the token block start at ``SIZE``."""

    indptr: Ints
    columns: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int32]

    def matrix(self, n_columns: int = 2 * SIZE) -> Any:
        """The counts as a scipy CSR matrix."""
        from scipy.sparse import csr_array

        return csr_array(
            (self.counts.astype(np.float32), self.columns, self.indptr),
            shape=(len(self.indptr) - 1, n_columns),
        )


def _keys(one_pass: Grams) -> Words:
    """Text and column of every gram in one 32-bit number."""
    return np.concatenate(
        [
            (one_pass.texts[block].astype(np.uint32) << np.uint32(BITS + 1))
            + (one_pass.columns[block] + np.uint32(block * SIZE))
            for block in (0, 1)
        ]
    )


def firsts(keys: Words) -> Ints:
    """Where a new value starts in sorted, non-empty ``keys``."""
    new = np.empty(len(keys), bool)
    new[:1] = True
    np.not_equal(keys[1:], keys[:-1], out=new[1:])
    return np.flatnonzero(new)


def count_all(texts: Sequence[str | None]) -> Counts:
    """Counts over every column: for training and for comparing texts."""
    pointers, columns, counts = [np.zeros(1, np.int64)], [], []
    total = 0
    for _, one_pass in passes(texts):
        keys = _keys(one_pass)
        keys.sort()
        at = firsts(keys)
        unique = keys[at]
        counts.append(np.diff(np.append(at, len(keys))).astype(np.int32))
        columns.append((unique & np.uint32(2 * SIZE - 1)).astype(np.int32))
        per_text = np.bincount(unique >> np.uint32(BITS + 1), minlength=one_pass.n_texts)
        pointers.append(total + np.cumsum(per_text))
        total += len(unique)
    empty = np.zeros(0, np.int32)
    return Counts(
        np.concatenate(pointers),
        np.concatenate(columns) if columns else empty,
        np.concatenate(counts) if counts else empty,
    )

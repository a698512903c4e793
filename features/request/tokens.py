"""Splits text into tokens once, as numpy arrays over the joined UTF-8 bytes. All other modules read these.

A token is a run of letters, digits and underscores in lower case. In scripts without spaces (Han, kana, symbols beyond
the basic plane) each character is a token. Punctuation separates tokens. All numbers, dates and times are the same
token, so changed figures change nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from features.request.hashing import NUMBER, hash_tokens
from features.request.keyed import U64
from features.request.lexing import (
    COLON,
    HARD_COLON,
    HARD_STOP,
    NEWLINE,
    OTHER,
    QUOTE,
    SINGLE,
    SPACE,
    STOP,
    WORD,
)

__all__ = ["NUMBER", "PAD", "Tokens", "token_hash", "tokenise"]

I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]

_REST = 10  # later bytes of a character that is a token of its own

#: Separators before and after the joined text, so that reads of eight bytes never leave it.
PAD = 32

_INVISIBLE = "[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]"


def _tables() -> tuple[bytes, bytes]:
    kind, fold = bytearray(256), bytearray(range(256))
    for b in range(256):
        char = chr(b)
        if b <= 32 or b == 127:
            kind[b] = NEWLINE if b == 10 else SPACE
        elif b < 128:
            word = char.isalnum() or char == "_"
            kind[b] = WORD if word else STOP if char in ".?!" else COLON if char == ":" else OTHER
            if char in '"`':
                kind[b] = QUOTE
        else:
            kind[b] = OTHER
    for b in range(ord("A"), ord("Z") + 1):
        fold[b] = b + 32
    for b in range(ord("0"), ord("9") + 1):
        fold[b] = ord("0")
    return bytes(kind), bytes(fold)


_KIND, _FOLD = _tables()


@dataclass(frozen=True)
class Tokens:
    """A batch of texts as tokens; positions count from the start of ``fold``.

    ``kinds`` are the byte classes, ``fold`` the masked lower-case bytes. ``row_bytes`` (n + 1) bounds each text with the
    line feed after it. ``starts``, ``ends`` and ``hashes`` have one value for each token; the hashes are fixed and not
    keyed. ``row_tokens`` (n + 1) bounds the tokens of each text.
    """

    kinds: U8
    fold: bytes
    row_bytes: I64
    starts: I64
    ends: I64
    hashes: U64
    row_tokens: I64

    @property
    def counts(self) -> I64:
        """Number of tokens of each text."""
        return np.diff(self.row_tokens)

    def text(self, token: int) -> str:
        """The masked lower-case form of one token."""
        return self.fold[self.starts[token] : self.ends[token]].decode("utf-8", "replace")


def tokenise(texts: pl.Series) -> Tokens:
    """Tokens of every text (String without NULL)."""
    data, offsets = _join(texts)
    if not data.isascii():
        # Case folding beyond ASCII and invisible characters are rare, so the slow way does them.
        folded = texts.str.to_lowercase().str.replace_all(_INVISIBLE, "")
        data, offsets = _join(folded)
    fold = data.translate(_FOLD)
    kinds = np.frombuffer(data.translate(_KIND), dtype=np.uint8)
    singles = None
    if not data.isascii():
        kinds = kinds.copy()
        singles = _beyond_ascii(kinds, data)
        kinds.flags.writeable = False
    word = kinds == WORD
    flips = np.flatnonzero(word[1:] != word[:-1])
    # The sums copy the strided views: a search in a view would copy it each time.
    starts, ends = flips[0::2] + 1, flips[1::2] + 1
    if singles is not None and len(singles[0]):
        at = np.concatenate((starts, singles[0]))
        order = np.argsort(at, kind="stable")
        starts, ends = at[order], np.concatenate((ends, singles[1]))[order]
    hashes = np.empty(len(starts), dtype=np.uint64)
    row_tokens = np.empty_like(offsets)
    # Overlapping little-endian words: the eight bytes from every position.
    words = np.ndarray(shape=(len(fold) - 7,), dtype="<u8", buffer=fold, strides=(1,))
    hash_tokens(words, starts, ends, hashes, offsets, row_tokens)
    n = int(row_tokens[-1])
    return Tokens(kinds, fold, offsets, starts[:n], ends[:n], hashes[:n], row_tokens)


def token_hash(word: str) -> int:
    """The hash of a single token; ValueError when the text is not exactly one token."""
    tokens = tokenise(pl.Series([word]))
    if len(tokens.hashes) != 1:
        raise ValueError(f"{word!r} is {len(tokens.hashes)} tokens, expected one")
    return int(tokens.hashes[0])


def _join(texts: pl.Series) -> tuple[bytes, I64]:
    """All texts in one buffer, each with a line feed after it, and their bounds."""
    array = (texts + "\n").rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    if len(array) == 0:
        return b"\n" * (2 * PAD), np.array([PAD], dtype=np.int64)
    _, bounds, body = array.buffers()
    offsets = np.frombuffer(bounds, dtype=np.int64)[array.offset : array.offset + len(array) + 1]
    first, last = int(offsets[0]), int(offsets[-1])
    margin = b"\n" * PAD
    return b"".join((margin, memoryview(body)[first:last], margin)), offsets + (PAD - first)


def _beyond_ascii(kinds: U8, data: bytes) -> tuple[I64, I64]:
    """Set the classes of characters of two bytes and more, in place. Returns the bounds of one-character tokens."""
    raw = np.frombuffer(data, dtype=np.uint8)
    lead = np.flatnonzero(raw >= 0xC0)
    first = raw[lead]
    second = raw[lead + 1]
    third = raw[lead + 2]
    size = np.where(first >= 0xF0, 4, np.where(first >= 0xE0, 3, 2))
    # Letters of words: Latin, Greek, Cyrillic, Semitic, Indic, Thai ... and Hangul, which is written with spaces.
    word = ((first >= 0xC3) & (first <= 0xE1)) | ((first >= 0xEA) & (first <= 0xED))
    punctuation = (first == 0xE3) & (second == 0x80)
    single = ((first >= 0xE3) & (first <= 0xE9) & ~punctuation) | (first >= 0xF0)
    wide = (first == 0xEF) & (second == 0xBC)
    kinds[lead[word]] = WORD
    kinds[lead[single]] = SINGLE
    kinds[lead[(punctuation & (third == 0x82)) | (wide & ((third == 0x81) | (third == 0x9F)))]] = HARD_STOP
    kinds[lead[wide & (third == 0x9A)]] = HARD_COLON
    curly = (first == 0xE2) & (second == 0x80) & (third >= 0x9C) & (third <= 0x9E)
    kinds[lead[curly | (punctuation & (third >= 0x8C) & (third <= 0x8F))]] = QUOTE
    for more in (1, 2, 3):
        kinds[lead[word & (size > more)] + more] = WORD
        kinds[lead[single & (size > more)] + more] = _REST
    return lead[single], (lead + size)[single]

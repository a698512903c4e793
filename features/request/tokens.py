"""Text into tokens, once, as numpy arrays over the joined UTF-8 bytes: everything else reads these.

A token is a run of letters, digits and underscores in lower case; scripts written without spaces (Han,
kana, symbols beyond the basic plane) give one token a character. Punctuation separates. Numbers,
dates and times are all one and the same token, so changed figures change nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from features.request.keyed import U64, mix

__all__ = ["NUMBER", "PAD", "Tokens", "poly", "token_hash", "tokenise"]

I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]

# Byte classes; all below WORD separate tokens.
SPACE, NEWLINE, OTHER, STOP, COLON, QUOTE, HARD_STOP, HARD_COLON, WORD, SINGLE = range(10)
_REST = 10  # later bytes of a character that is a token of its own

#: Separators before and after the joined text, so that reads of eight bytes never leave it.
PAD = 32

#: Base of the polynomial over token hashes (odd, fixed: the models rely on it).
BASE = 0x9E3779B97F4A7C15
NUMBER = np.uint64(0x5851F42D4C957F2D)
_SALT = (0x2545F4914F6CDD1D, 0xDA3E39CB94B95BDB, 0x8CB92BA72F3D8DD7, 0xA0761D6478BD642F)
_FACTOR = (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53, 0xE7037ED1A0B428DB, 0x589965CC75374CC3)
_LENGTH = np.uint64(0x1D8E4E27C47D124F)
_MASKS = np.array([(1 << (8 * n)) - 1 for n in range(9)], dtype=np.uint64)
_ZEROS = np.uint64(0x3030303030303030)
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

    ``kinds`` and ``fold`` are the byte classes and the masked lower-case bytes; ``row_bytes`` (n + 1)
    bounds each text with the line feed put behind it; ``starts``, ``ends`` and ``hashes`` are one a
    token, the hashes fixed (not keyed); ``row_tokens`` (n + 1) bounds each text's tokens.
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
        """Tokens a text."""
        return np.diff(self.row_tokens)

    def text(self, token: int) -> str:
        """The masked lower-case form of one token."""
        return self.fold[self.starts[token] : self.ends[token]].decode("utf-8", "replace")


def tokenise(texts: pl.Series) -> Tokens:
    """Tokens of every text (String without NULL)."""
    data, offsets = _join(texts)
    if not data.isascii():
        # Case folding beyond ASCII and invisible characters are rare enough to be done the slow way.
        folded = texts.str.to_lowercase().str.replace_all(_INVISIBLE, "")
        data, offsets = _join(folded)
    fold = data.translate(_FOLD)
    kinds = np.frombuffer(data.translate(_KIND), dtype=np.uint8)
    singles = None
    if not data.isascii():
        kinds = kinds.copy()
        singles = _beyond_ascii(kinds, data)
    word = kinds == WORD
    flips = np.flatnonzero(word[1:] != word[:-1])
    # Arrays of their own: a search in a strided view would copy it each time.
    starts, ends = flips[0::2] + 1, flips[1::2] + 1
    if singles is not None and len(singles[0]):
        at = np.concatenate((starts, singles[0]))
        order = np.argsort(at, kind="stable")
        starts, ends = at[order], np.concatenate((ends, singles[1]))[order]
    hashes, number = _hash(fold, starts, ends)
    keep = _figures(starts, ends, number)
    if keep is not None:
        starts, ends, hashes = starts[keep], ends[keep], hashes[keep]
    row_tokens = np.searchsorted(starts, offsets)
    return Tokens(kinds, fold, offsets, starts, ends, hashes, row_tokens)


def token_hash(word: str) -> int:
    """The hash the tokeniser gives a single token; ValueError when the text is not exactly one."""
    tokens = tokenise(pl.Series([word]))
    if len(tokens.hashes) != 1:
        raise ValueError(f"{word!r} is {len(tokens.hashes)} tokens, expected one")
    return int(tokens.hashes[0])


def poly(power: int) -> np.uint64:
    """``BASE ** power`` modulo 2^64."""
    return np.uint64(pow(BASE, power, 1 << 64))


def _join(texts: pl.Series) -> tuple[bytes, I64]:
    """All texts in one buffer, a line feed behind each, with their bounds."""
    array = (texts + "\n").rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    if len(array) == 0:
        return b"\n" * (2 * PAD), np.array([PAD], dtype=np.int64)
    _, bounds, body = array.buffers()
    offsets = np.frombuffer(bounds, dtype=np.int64)[array.offset : array.offset + len(array) + 1]
    first, last = int(offsets[0]), int(offsets[-1])
    margin = b"\n" * PAD
    return b"".join((margin, memoryview(body)[first:last], margin)), offsets + (PAD - first)


def _beyond_ascii(kinds: U8, data: bytes) -> tuple[I64, I64]:
    """Class the characters of two bytes and more, in place; answer the bounds of one-character tokens."""
    raw = np.frombuffer(data, dtype=np.uint8)
    lead = np.flatnonzero(raw >= 0xC0)
    first = raw[lead]
    second = raw[lead + 1]
    third = raw[lead + 2]
    size = np.where(first >= 0xF0, 4, np.where(first >= 0xE0, 3, 2))
    # Word letters: Latin, Greek, Cyrillic, Semitic, Indic, Thai ... and Hangul, which is written with spaces.
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


def _hash(fold: bytes, starts: I64, ends: I64) -> tuple[U64, npt.NDArray[np.bool_]]:
    """Hash of each token: its first 24 bytes, its last 8 and its length; and which tokens are numbers."""
    # Eight bytes from every position, as little-endian words that overlap.
    words = np.ndarray(shape=(len(fold) - 7,), dtype="<u8", buffer=fold, strides=(1,))
    length = ends - starts
    mask = _MASKS[np.minimum(length, 8)]
    word: U64 = words[starts]
    word &= mask
    mask &= _ZEROS
    number = word == mask
    word ^= np.uint64(_SALT[0])
    word *= np.uint64(_FACTOR[0])
    long = np.flatnonzero(length > 8)
    for part in (1, 2, 3):
        if not len(long):
            break
        # The last part reads the token's last eight bytes, so that very long tokens cost no more.
        at = starts[long] + 8 * part if part < 3 else ends[long] - 8
        more = words[at]
        if part < 3:
            more &= _MASKS[np.minimum(length[long] - 8 * part, 8)]
        more ^= np.uint64(_SALT[part])
        more *= np.uint64(_FACTOR[part])
        more += length[long].astype(np.uint64) * _LENGTH
        mix(more)
        word[long] += more
        long = long[length[long] > 8 * (part + 1)]
    mix(word)
    np.copyto(word, NUMBER, where=number)
    return word, number


def _figures(starts: I64, ends: I64, number: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_] | None:
    """Which tokens stay when the parts of one figure (3.14, 12:30, 2026-01-02) count once; None for all."""
    at = np.flatnonzero(number)
    if len(at) < 2:
        return None
    follows = (at[1:] == at[:-1] + 1) & (starts[at[1:]] == ends[at[:-1]] + 1)
    if not follows.any():
        return None
    keep = np.ones(len(starts), dtype=np.bool_)
    keep[at[1:][follows]] = False
    return keep

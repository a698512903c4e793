"""The main language of a text, by a cheap vote of common words and scripts.

It is good enough to show that an account suddenly writes in another language. Languages are
``en zh ja ko ru es de fr pt other``.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
import polars as pl

import rules
from features.request.elicitation import HEAD_TOKENS
from features.request.lexing import count_votes
from features.request.tokens import I64, Tokens, tokenise

__all__ = ["LANGUAGES", "languages", "named"]

#: Codes as stored; the first stands for "no vote".
LANGUAGES = ("", "en", "es", "de", "fr", "pt", "ru", "ko", "zh", "ja", "other")
_CODE = {name: code for code, name in enumerate(LANGUAGES)}
_BITS = 18
_SHIFT = np.uint64(64 - _BITS)
#: Kana make up at least a tenth of Japanese text; Chinese has none.
_KANA_SHARE = 0.1


@cache
def _words() -> npt.NDArray[np.uint8]:
    """Vote of each hashed common word."""
    table = np.zeros(1 << _BITS, dtype=np.uint8)
    for line in rules.read_text("lexicons/common_words.txt").splitlines():
        if line and not line.startswith("#"):
            name, _, words = line.partition(" ")
            table[tokenise(pl.Series(words.split())).hashes >> _SHIFT] = _CODE[name]
    return table


@cache
def _scripts() -> npt.NDArray[np.uint8]:
    """Vote of a token's first byte, if its script shows the language."""
    table = np.zeros(256, dtype=np.uint8)
    table[0xD0:0xD4] = _CODE["ru"]
    table[0xCD:0xD0] = _CODE["other"]  # Greek
    table[0xD4:0xE2] = _CODE["other"]  # Armenian, Hebrew, Arabic, Indic, Thai ...
    table[0xE3] = _CODE["ja"]
    table[0xE4:0xEA] = _CODE["zh"]
    table[0xEA:0xEE] = _CODE["ko"]
    return table


def languages(tokens: Tokens) -> I64:
    """Number of each text's language among ``LANGUAGES``, from its first tokens; 0 for a text without tokens.

    Latin text without any common word counts as English if it is ASCII (code, key words), and else as ``other``.
    """
    counts = tokens.counts
    votes = np.empty((len(counts), 16), dtype=np.int64)
    odd = np.empty(len(counts), dtype=np.bool_)
    fold = np.frombuffer(tokens.fold, dtype=np.uint8)
    count_votes(
        fold, tokens.starts, tokens.hashes, tokens.row_tokens, _words(), _SHIFT, _scripts(), HEAD_TOKENS,
        votes, odd,
    )  # fmt: skip
    kana, han = votes[:, _CODE["ja"]], votes[:, _CODE["zh"]]
    japanese = kana >= np.maximum(_KANA_SHARE * (kana + han), 1)
    votes[:, _CODE["ja"]] = np.where(japanese, kana + han, 0)
    votes[:, _CODE["zh"]] = np.where(japanese, 0, han)
    best: I64 = votes.argmax(axis=1)
    silent = votes.max(axis=1) == 0
    best[silent] = _CODE["en"]
    best[silent & odd] = _CODE["other"]
    best[counts == 0] = 0
    return best


def named(codes: I64) -> pl.Series:
    """Names of languages by their codes; NULL for the code of no vote."""
    place = pl.Series(codes - 1)
    return pl.Series(LANGUAGES[1:], dtype=pl.String).gather(place.set(place < 0, None))

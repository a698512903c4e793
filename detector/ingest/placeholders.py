"""Texts that stand for content which was not logged. Such a prompt is NULL, and no accounts share it.

A gateway with message logging off writes one word in place of every prompt. Taken as content, it would be a prompt that
all accounts share.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

import polars as pl

import rules

#: A whole text in brackets that says what was done to it: ``[REDACTED]``, ``<content removed>``, ``***``.
_BRACKETED = (
    r"(?i)^\s*(?:\*{3,}|x{4,}|[\[<({*_]+\s*(?:(?:content|text|message|messages|prompt|input|output|data|pii|value)\s+)*"
    r"(?:redacted|removed|masked|hidden|omitted|filtered|scrubbed|suppressed|truncated|elided|not logged|not captured)"
    r"(?:\s+(?:by|due to|for)\s+[\w .-]{1,40})?\s*[\]>)}*_]+)\s*$"
)
_LONGEST = 200


@cache
def shipped() -> frozenset[str]:
    """Placeholders of known tools, in lower case."""
    lines = rules.read_text("lexicons/placeholders.txt").splitlines()
    return frozenset(line.strip().lower() for line in lines if line.strip() and not line.startswith("#"))


def all_words(own: Iterable[str] = ()) -> frozenset[str]:
    """The shipped placeholders and those of a site."""
    return shipped() | {word.strip().lower() for word in own}


def removed(rows: pl.DataFrame, words: frozenset[str]) -> tuple[pl.DataFrame, int]:
    """``rows`` with NULL for placeholders in ``prompt`` and ``system_prompt``, and the number of placeholders."""
    n = 0
    for name in ("prompt", "system_prompt"):
        texts = rows[name]
        if texts.null_count() == len(texts):
            continue
        short = texts.filter(texts.str.len_bytes() <= _LONGEST)
        if not len(short):
            continue
        matches = [t for t in short.unique() if is_placeholder(t, words)]
        if matches:
            hit = texts.is_in(matches) & texts.is_not_null()
            n += int(hit.sum())
            rows = rows.with_columns(pl.when(~hit).then(pl.col(name)).alias(name))
            if name == "prompt":
                rows = rows.with_columns(
                    pl.when(~hit).then(pl.col(other)).alias(other) for other in ("turn", "n_images")
                )
    return rows, n


_PATTERN = re.compile(_BRACKETED)


def is_placeholder(text: str, words: frozenset[str]) -> bool:
    """Whether a text says nothing but that there was content."""
    return text.strip().lower() in words or bool(_PATTERN.match(text))

"""Texts that stand for content which was not logged: such a prompt is not known, and nobody shares it.

Gateways with message logging off write one word in place of every prompt; taken for content it would be the prompt
that everybody sends.
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
    """Words that known tools write, lower case."""
    lines = rules.read_text("lexicons/placeholders.txt").splitlines()
    return frozenset(line.strip().lower() for line in lines if line.strip() and not line.startswith("#"))


def known(own: Iterable[str] = ()) -> frozenset[str]:
    """The shipped words and a site's own."""
    return shipped() | {word.strip().lower() for word in own}


def removed(rows: pl.DataFrame, words: frozenset[str]) -> tuple[pl.DataFrame, int]:
    """``rows`` with placeholders in ``prompt`` and ``system_prompt`` as NULL, and how many those were."""
    n = 0
    for name in ("prompt", "system_prompt"):
        texts = rows[name]
        if texts.null_count() == len(texts):
            continue
        short = texts.filter(texts.str.len_bytes() <= _LONGEST)
        if not len(short):
            continue
        found = [t for t in short.unique() if is_placeholder(t, words)]
        if found:
            hit = texts.is_in(found) & texts.is_not_null()
            n += int(hit.sum())
            rows = rows.with_columns(pl.when(~hit).then(pl.col(name)).alias(name))
            if name == "prompt":
                rows = rows.with_columns(
                    pl.when(~hit).then(pl.col(other)).alias(other) for other in ("turn", "n_images")
                )
    return rows, n


_PATTERN = re.compile(_BRACKETED)


def is_placeholder(text: str, words: frozenset[str]) -> bool:
    """Whether a whole text only says that there was content."""
    return text.strip().lower() in words or bool(_PATTERN.match(text))

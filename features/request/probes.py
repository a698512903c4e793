"""Requests that read out a model's probabilities rather than its text.

Where an API answers with log-probabilities, a teacher's whole distribution leaks through one-token answers
with biased or listed alternatives (Carlini and others 2024): far fewer calls than by text.
"""

from __future__ import annotations

import polars as pl

__all__ = ["logit_probe"]

#: An answer of so few tokens is read for its probabilities (or is a classifier's label: see below).
SHORT_TOKENS = 5
#: Alternatives per token from which listing them is more than a confidence check.
MANY_LOGPROBS = 5
#: Samples of one question from which they describe a distribution.
MANY_SAMPLES = 8

_INTEGERS = ("max_tokens", "output_tokens", "top_logprobs", "n")


def logit_probe(frame: pl.DataFrame) -> pl.Series:
    """Whether each request looks like one: Boolean, NULL when none of the telling parameters is known.

    ``frame`` holds canonical columns; a missing one counts as unknown. True when the answer is at most
    five tokens long (asked for, or as given) and log-probabilities of five alternatives or more are listed,
    or token probabilities are biased, or eight samples or more are drawn.
    Known false positives: classifiers that force one-token labels by a bias or read their confidence,
    self-consistency over one-token answers; their number an account and the share of its traffic tell.
    """
    types = {name: pl.Int64() for name in _INTEGERS} | {"logit_bias": pl.Boolean()}
    none = pl.Series([None] * frame.height)
    given = {name: frame[name] if name in frame.columns else none for name in types}
    known = pl.DataFrame([column.cast(types[name]).alias(name) for name, column in given.items()])
    least = pl.min_horizontal("max_tokens", "output_tokens")
    short = least.is_between(0, SHORT_TOKENS).fill_null(value=False)
    probing = (
        (pl.col("top_logprobs").fill_null(0) >= MANY_LOGPROBS)
        | pl.col("logit_bias").fill_null(value=False)
        | (pl.col("n").fill_null(1) >= MANY_SAMPLES)
    )
    telling = pl.any_horizontal(pl.col("top_logprobs", "logit_bias", "n").is_not_null())
    return known.select(pl.when(telling).then(short & probing).alias("logit_probe")).to_series()

"""Requests that read out a model's probabilities rather than its text.

If an API returns log-probabilities, the teacher's whole distribution leaks through one-token answers with biased or
listed alternatives (Carlini and others 2024). This takes far fewer calls than text.
"""

from __future__ import annotations

import polars as pl

__all__ = ["logit_probe"]

#: Most tokens of an answer that is read for its probabilities (or is a classifier's label: see below).
SHORT_TOKENS = 5
#: Fewest alternatives per token that are more than a check of confidence.
MANY_LOGPROBS = 5
#: Fewest samples of one question that describe a distribution.
MANY_SAMPLES = 8

_INTEGERS = ("max_tokens", "output_tokens", "top_logprobs", "n")


def logit_probe(frame: pl.DataFrame) -> pl.Series:
    """Whether each request is a probe: Boolean, NULL when none of the relevant parameters is known.

    ``frame`` holds canonical columns; a missing one counts as unknown. True when the answer is limited to five tokens or
    has at most five, and log-probabilities of five alternatives or more are listed, or token probabilities are biased, or
    eight samples or more are drawn.
    Known false positives: classifiers that force one-token labels by a bias or read their confidence, and self-consistency
    over one-token answers. The number of probes of an account, and their share of its traffic, separate these.
    """
    types = {name: pl.Int64() for name in _INTEGERS} | {"logit_bias": pl.Boolean()}
    none = pl.Series([None] * frame.height)
    parameters = {name: frame[name] if name in frame.columns else none for name in types}
    typed = pl.DataFrame([column.cast(types[name]).alias(name) for name, column in parameters.items()])
    least = pl.min_horizontal("max_tokens", "output_tokens")
    short = least.is_between(0, SHORT_TOKENS).fill_null(value=False)
    probing = (
        (pl.col("top_logprobs").fill_null(0) >= MANY_LOGPROBS)
        | pl.col("logit_bias").fill_null(value=False)
        | (pl.col("n").fill_null(1) >= MANY_SAMPLES)
    )
    telling = pl.any_horizontal(pl.col("top_logprobs", "logit_bias", "n").is_not_null())
    return typed.select(pl.when(telling).then(short & probing).alias("logit_probe")).to_series()

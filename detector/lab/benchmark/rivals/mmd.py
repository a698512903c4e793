"""Maximum mean discrepancy of a window of queries against a reference (arXiv 2606.05725: on embeddings).

No text is kept, so two other kernels replace embeddings. One is the agreement of MinHash words, a positive definite
estimate of Jaccard similarity. The other is a Gaussian kernel on what ingest measured of each request. Both use explicit
feature maps, so the cost is linear in the length of a window.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from detector.lab.benchmark.rivals.sketches import words
from features.schema import CAPABILITIES

Floats = npt.NDArray[np.float64]

#: Values a MinHash word is folded to: one in so many agreements is false.
FOLD = 256
#: Random Fourier features of the Gaussian kernel.
FEATURES = 256
#: Most requests of one account in the reference.
PER_ACCOUNT = 3
MEASURED = (
    "prompt_chars", "prompt_words", "prompt_lines", "system_chars", "elicitation_score", "elicit_cot",
    "elicit_pairs", "elicit_grading", "elicit_rewrite", "elicit_trace", "input_tokens", "output_tokens",
    "turn", "tool_count", "n_images",
)  # fmt: skip
_COUNTED = {n for n in MEASURED if not n.startswith("elicit")}


def sketch_map(requests: pl.DataFrame) -> Floats:
    """Folded words of each sketch as column numbers: shape (n, 32), integers as floats."""
    sketch = words(requests["prompt_sketch"])
    return (sketch % FOLD + FOLD * np.arange(sketch.shape[1], dtype=np.uint32)).astype(np.float64)


def sketch_mean(mapped: Floats) -> Floats:
    """Mean embedding of rows of ``sketch_map``. An inner product of two of them is a mean similarity."""
    n, width = mapped.shape
    counts = np.bincount(mapped.astype(np.int64).ravel(), minlength=FOLD * width)
    mean: Floats = counts / (max(n, 1) * np.sqrt(width))
    return mean


def measured_map(requests: pl.DataFrame, reference: pl.DataFrame) -> Floats:
    """Random Fourier features of each request's measurements, standardised on ``reference``."""
    values, ruler = _vectors(requests), _vectors(reference)
    mean, deviation = ruler.mean(axis=0), ruler.std(axis=0)
    spread = np.where(deviation > 1e-9, deviation, 1.0)
    values, ruler = (values - mean) / spread, (ruler - mean) / spread
    rng = np.random.default_rng(0)
    some = ruler[rng.integers(len(ruler), size=(2, 500))]
    # The usual median heuristic for the width of the kernel.
    width = max(float(np.median(np.linalg.norm(some[0] - some[1], axis=1))), 1e-3)
    frequency = rng.normal(size=(values.shape[1], FEATURES)) / width
    phase = rng.uniform(0, 2 * np.pi, FEATURES)
    mapped: Floats = np.sqrt(2 / FEATURES) * np.cos(values @ frequency + phase)
    return mapped


def _vectors(requests: pl.DataFrame) -> Floats:
    numbers = [
        (pl.col(n).cast(pl.Float64).log1p() if n in _COUNTED else pl.col(n).cast(pl.Float64)).fill_null(0.0)
        for n in MEASURED
    ]
    kinds = [
        (pl.col("capability") == c).fill_null(False).cast(pl.Float64).alias(f"is_{c}") for c in CAPABILITIES
    ]
    return requests.select(*numbers, *kinds).to_numpy()


@dataclass(frozen=True)
class Embedded:
    """A set of requests in feature space: mean vector, number, and mean kernel value of a request with itself."""

    mean: Floats
    n: int
    own: float

    def within(self) -> float:
        """Mean kernel value of two different requests of the set. Pairs of a request with itself would bias it."""
        return (float(self.mean @ self.mean) * self.n - self.own) / (self.n - 1) if self.n > 1 else 0.0


def of_sketches(mapped: Floats) -> Embedded:
    """Rows of ``sketch_map`` as one set."""
    return Embedded(sketch_mean(mapped), len(mapped), 1.0)


def of_measured(mapped: Floats) -> Embedded:
    """Rows of ``measured_map`` as one set."""
    return Embedded(mapped.mean(axis=0), len(mapped), float((mapped**2).sum(axis=1).mean()))


def discrepancy(window: Embedded, reference: Embedded) -> float:
    """The unbiased squared distance of two sets, times the window's length. NaN below two requests.

    The factor makes windows of different length comparable: chance alone moves the distance by about 1/n.
    """
    if window.n < 2:
        return float("nan")
    return window.n * (window.within() - 2 * float(window.mean @ reference.mean) + reference.within())


def reference_of(requests: pl.DataFrame) -> pl.DataFrame:
    """A few requests of every account: a picture of the site that heavy accounts do not dominate."""
    return requests.filter(pl.int_range(pl.len()).shuffle(seed=0).over("account_id") < PER_ACCOUNT)


def score_sketches(
    requests: pl.DataFrame, accounts: pl.DataFrame, account_days: pl.DataFrame
) -> pl.DataFrame:
    """Discrepancy of each account's sketches from the site's."""
    rows = requests.select("account_id", "prompt_sketch").drop_nulls().sort("account_id", maintain_order=True)
    if rows.is_empty():
        return pl.DataFrame(schema={"account_id": pl.String, "score": pl.Float64})
    reference = of_sketches(sketch_map(reference_of(rows)))
    return _by_account(rows, sketch_map(rows), of_sketches, reference)


def score_measured(
    requests: pl.DataFrame, accounts: pl.DataFrame, account_days: pl.DataFrame
) -> pl.DataFrame:
    """Discrepancy of each account's measured requests from the site's."""
    rows = requests.select("account_id", "capability", *MEASURED).sort("account_id", maintain_order=True)
    few = reference_of(rows)
    return _by_account(rows, measured_map(rows, few), of_measured, of_measured(measured_map(few, few)))


def by_key(
    names: pl.Series, mapped: Floats, embed: Callable[[Floats], Embedded], reference: Embedded
) -> list[tuple[str, float]]:
    """Discrepancy of every run of equal ``names``, which are sorted and name the rows of ``mapped``."""
    ends = names.rle().struct.field("len").cum_sum().to_list()
    parts = zip(names.unique(maintain_order=True), [0, *ends[:-1]], ends, strict=True)
    return [(str(name), discrepancy(embed(mapped[low:high]), reference)) for name, low, high in parts]


def _by_account(
    rows: pl.DataFrame, mapped: Floats, embed: Callable[[Floats], Embedded], reference: Embedded
) -> pl.DataFrame:
    distances = by_key(rows["account_id"], mapped, embed, reference)
    return pl.DataFrame(distances, schema={"account_id": pl.String, "score": pl.Float64}, orient="row")

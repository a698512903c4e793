"""Cost of measuring text, part by part: microseconds of processor time for a request on one thread.

Run ``python benchmarks/ingest_text.py [requests]``. Prompts have about 300 characters and are made here. The table also
has DuckDB's bare copy of the same prompts from JSON lines to Parquet.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("POLARS_MAX_THREADS", "1")

import duckdb
import numpy as np
import polars as pl

from features.request import content, elicitation
from features.request.keyed import Prf
from features.request.language import languages
from features.request.measure import TextMeter
from features.request.sketch import Sketcher, bands
from features.request.spans import grams, pieces
from features.request.template import Skeletons
from features.request.tokens import tokenise

KEY = b"a benchmark's key"
PART = 2_500


def prompts(count: int) -> tuple[pl.Series, pl.Series]:
    """Synthetic prompts, and a system prompt (one of twenty, or none) for each."""
    rng = random.Random(4)
    lengths = [1, 2, 3, 3, 4, 4, 5, 5, 6, 7, 8, 9, 11]
    words = ["".join(rng.choices("etaoinshrdlucmfwypvbgk", k=rng.choice(lengths))) for _ in range(20_000)]
    systems = [" ".join(rng.choices(words, k=60)) for _ in range(20)]
    texts = []
    for number in range(count):
        body = " ".join(rng.choices(words, k=42))
        texts.append(f"{body[:120]}. {body[120:]}\nQuestion {number}: what follows?\nAnswer in a line.")
    return pl.Series(texts), pl.Series(
        [rng.choice(systems) if rng.random() < 0.6 else None for _ in range(count)]
    )


def cost(count: int, work: Callable[[], object]) -> float:
    """Median microseconds for a request over three runs, after a first run to warm up."""
    work()
    times = []
    for _ in range(3):
        start = time.process_time()
        work()
        times.append((time.process_time() - start) / count * 1e6)
    return sorted(times)[1]


def parts(texts: pl.Series) -> dict[str, float]:
    """Cost of each part on one batch of texts of the meter's size."""
    tokens = tokenise(texts)
    runs, cut, sketcher, prf = grams(tokens), pieces(tokens), Sketcher(KEY), Prf(KEY, "content")
    sketches = sketcher.sketch(tokens, runs)
    skeleton = Skeletons(tokens, runs, cut)
    band, salt, model = bands(sketches), np.uint64(99), elicitation.shipped()
    raw = content.raw_keys(tokens, runs, cut, band, skeleton.raw_id, salt)
    work: dict[str, Callable[[], object]] = {
        "tokenise": lambda: tokenise(texts),
        "runs of tokens": lambda: grams(tokens),
        "lines and sentences": lambda: pieces(tokens),
        "sketch": lambda: sketcher.sketch(tokens, runs),
        "bands": lambda: bands(sketches),
        "template": lambda: Skeletons(tokens, runs, cut),
        "raw keys": lambda: content.raw_keys(tokens, runs, cut, band, skeleton.raw_id, salt),
        "keyed function": lambda: prf(raw[raw != 0]),
        "elicitation and capability": lambda: model.logits(tokens, runs),
        "language": lambda: languages(tokens),
    }
    return {name: cost(len(texts), f) for name, f in work.items()}


def bare_copy(texts: pl.Series, systems: pl.Series) -> float:
    """DuckDB's copy of the same rows from JSON lines to Parquet, in microseconds for a request."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.jsonl", Path(folder) / "out.parquet"
        with source.open("w") as lines:
            for number, (prompt, system) in enumerate(zip(texts, systems, strict=True)):
                row = {"request_id": f"r{number}", "account_id": f"a{number % 999}", "model": "m"}
                lines.write(json.dumps({**row, "prompt": prompt, "system_prompt": system}) + "\n")
        with duckdb.connect(config={"threads": 1}) as connection:
            copy = "COPY (SELECT * FROM read_json($source, format='newline_delimited')) TO "
            statement = copy + f"'{target}' (FORMAT parquet, COMPRESSION zstd)"
            return cost(len(texts), lambda: connection.execute(statement, {"source": str(source)}).fetchall())


def main() -> None:
    """Print the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    texts, systems = prompts(count)
    print(
        f"{count} requests, {texts.str.len_chars().mean():.0f} characters each; microseconds of CPU a request"
    )
    for name, spent in parts(texts[:PART]).items():
        print(f"  {name:<28}{spent:8.2f}")
    meter = TextMeter(KEY)
    step = 40_000

    def whole() -> None:
        for low in range(0, count, step):
            meter.measure(texts[low : low + step], systems[low : low + step])

    spent, bare = cost(count, whole), bare_copy(texts, systems)
    print(f"  {'TextMeter.measure, whole':<28}{spent:8.2f}   {1e6 / spent:,.0f} requests/s")
    print(f"  {'bare DuckDB copy':<28}{bare:8.2f}   text costs {spent / bare:.2f} of it")


if __name__ == "__main__":
    main()

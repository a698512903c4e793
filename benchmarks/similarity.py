"""The similarity graph at a million accounts: time, memory, and recall and purity of a hydra.

    python -m benchmarks.similarity [--accounts 1000000] [--seeds 1]

Ordinary accounts have forty keys of text: common phrases with a heavy tail, and phrases of one of many interests. A
hydra has one account in 2,000 and rewords every prompt. Its accounts draw ten of their forty keys from sixty of its own.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np
import polars as pl

from detector.link import similarity
from detector.link.tabular import graph_of_rows

KEYS, OWN, STOCK, ONE_IN = 40, 10, 60, 2_000


def drawn_incidence(n: int, seed: int) -> tuple[pl.DataFrame, np.ndarray]:
    """Account-key incidence of ``n`` accounts, and which of them are the hydra's."""
    rng = np.random.default_rng(seed)
    hydra = np.zeros(n, bool)
    hydra[rng.choice(n, max(n // ONE_IN, 20), replace=False)] = True
    common = rng.zipf(1.4, (n, KEYS // 2)) % (4 * n)
    interest = rng.integers(0, max(n // 500, 2), n)
    topical = 4 * n + interest[:, None] * 2_000 + rng.integers(0, 2_000, (n, KEYS // 2))
    keys = np.concatenate([common, topical], axis=1)
    members = np.flatnonzero(hydra)
    top = 4 * n + (int(interest.max()) + 1) * 2_000
    keys[members, :OWN] = top + rng.integers(0, STOCK, (len(members), OWN))
    account = np.repeat(np.arange(n), KEYS)
    rows = pl.DataFrame({"account": account, "code": keys.ravel()}).unique(maintain_order=False)
    rows = rows.with_columns(pl.len().over("code").cast(pl.Int64).alias("n_sharing"))
    rows = rows.filter(pl.col("n_sharing") >= 2).sort("account", "code")
    return rows.with_columns(
        pl.lit("content").alias("family"),
        pl.lit("gram5").alias("kind"),
        pl.lit(2, pl.Int64).alias("n"),
        pl.lit(2, pl.Int64).alias("n_prompts"),
        pl.lit(0.2).alias("asked_sum"),
    ), hydra


def main() -> None:
    """Print one line for each seed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--accounts", type=int, default=1_000_000)
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    for seed in range(options.seeds):
        rows, hydra = drawn_incidence(options.accounts, seed)
        organisation = pl.Series(np.arange(options.accounts)).cast(pl.String)
        began = time.process_time()
        graph = graph_of_rows(
            rows, organisation, organisation, np.full(options.accounts, 50.0), options.accounts
        )
        similar = similarity.alike(graph)
        seconds = time.process_time() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        labels = similar.label[hydra & (similar.label >= 0)]
        main_label = np.bincount(labels).argmax() if len(labels) else -2
        caught = (similar.label[hydra] == main_label).mean()
        pure = hydra[similar.label == main_label].mean() if len(labels) else 0.0
        several = [k for k in np.unique(labels) if hydra[similar.label == k].mean() > 0.5]
        whole = np.isin(similar.label[hydra], several).mean()
        print(
            f"seed {seed}: {len(rows):,} incidence, {seconds:.1f} s CPU, peak {peak:.1f} GB, {similar.label.max() + 1:,} "
            f"communities; hydra of {hydra.sum():,}: {caught:.3f} in one of purity {pure:.3f}, {whole:.3f} in {len(several)}"
        )


if __name__ == "__main__":
    main()

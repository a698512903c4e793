"""Groups at a million accounts: time, memory, recall and purity of three hydras among ordinary accounts.

    python -m benchmarks.groups [--accounts 1000000] [--seeds 5]

Ordinary accounts share what strangers share: heavy-tailed carrier addresses, popular clients, public prompts. The
hydras have one account in 50, in 333 and in 3,333. Each has a card for 30 accounts, one of three scaffolds for each
account, and three exits for each account out of a pool in which ten accounts share one.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np
import polars as pl

from detector.link.cooccurrence import form_groups
from detector.link.graph import EvidenceGraph
from detector.link.tabular import graph_of_rows
from detector.link.uses import FAMILIES

HYDRAS = (50, 333, 3333)
BILLING, NETWORK, CLIENT, CONTENT = (FAMILIES.index(f) for f in ("billing", "network", "client", "content"))


def drawn_ties(n: int, seed: int) -> tuple[EvidenceGraph, np.ndarray]:
    """Ties of ``n`` accounts and each account's hydra (-1: none)."""
    rng = np.random.default_rng(seed)
    truth = np.full(n, -1)
    order, at = rng.permutation(n), 0
    for number, one_in in enumerate(HYDRAS):
        size = max(n // one_in, 20)
        truth[order[at : at + size]] = number
        at += size
    accounts: list[np.ndarray] = []
    keys: list[np.ndarray] = []
    families: list[np.ndarray] = []
    offset = 0

    def tie(who: np.ndarray, key: np.ndarray, family: int, room: int) -> None:
        nonlocal offset
        accounts.append(who)
        keys.append(offset + key)
        families.append(np.full(len(who), family, np.int8))
        offset += room

    everyone = np.arange(n)
    for _ in range(3):
        weight = np.cumsum(rng.pareto(1.2, n // 3) + 1)
        tie(everyone, np.searchsorted(weight / weight[-1], rng.random(n)), NETWORK, n)
    popular = 1 / np.arange(1, 2001) ** 1.1
    tie(everyone, rng.choice(2000, n, p=popular / popular.sum()), CLIENT, 2000)
    tie(everyone, everyone - (rng.random(n) < 0.1) * (everyone > 0), BILLING, n)
    for _ in range(3):
        tie(everyone, rng.zipf(1.3, n) % n, CONTENT, n)
    for number in range(len(HYDRAS)):
        members = np.flatnonzero(truth == number)
        size = len(members)
        tie(members, rng.integers(0, max(size // 30, 1), size), BILLING, size)
        for _ in range(3):
            tie(members, rng.integers(0, max(size // 10, 2), size), NETWORK, size)
        tie(members, rng.integers(0, 3, size), CONTENT, 3)
    account, key, family = (np.concatenate(part) for part in (accounts, keys, families))
    code = account * offset + key
    _, first = np.unique(code, return_index=True)
    account, key, family = account[first], key[first], family[first]
    _, key = np.unique(key, return_inverse=True)
    spoofable = (family == CLIENT) | (family == CONTENT)
    rows = pl.DataFrame(
        {
            "account": account,
            "code": key,
            "family": pl.Series(FAMILIES).gather(family.astype(np.int64)),
            "spoofable": spoofable,
            "weight": np.full(len(key), 5.0),
        }
    )
    names = pl.Series(np.arange(n)).cast(pl.String)
    return graph_of_rows(rows, names, names, np.ones(n), n), truth


def main() -> None:
    """Print one line for each seed and hydra."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--accounts", type=int, default=1_000_000)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    for seed in range(options.seeds):
        ties, truth = drawn_ties(options.accounts, seed)
        began = time.process_time()
        groups = form_groups(ties)
        seconds = time.process_time() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(
            f"seed {seed}: {len(ties):,} ties, {seconds:.1f} s CPU, peak {peak:.1f} GB, {groups.label.max() + 1} groups"
        )
        for number in range(len(HYDRAS)):
            labels = groups.label[truth == number]
            if not (labels >= 0).any():
                print(f"  hydra of {len(labels):,}: not found")
                continue
            label = np.bincount(labels[labels >= 0]).argmax()
            recall = (labels == label).mean()
            purity = (truth[groups.label == label] == number).mean()
            print(f"  hydra of {len(labels):,}: recall {recall:.3f}, purity {purity:.3f}")


if __name__ == "__main__":
    main()

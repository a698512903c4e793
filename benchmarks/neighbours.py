"""Cost of neighbours and rings, against DuckDB computing the key degrees of the same keys in the same run.

    python -m benchmarks.neighbours [--accounts 200000]

Accounts and text are those of ``benchmarks.similarity``. In addition every account has a card, an exit and a client that
two or three accounts share. The hydra's accounts have the suspicion that the shipped models would give them.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable

import duckdb
import numpy as np
import polars as pl

from benchmarks.similarity import drawn_incidence
from detector.link import communities
from detector.link.graph import EvidenceGraph
from detector.link.tabular import graph_of_tables
from detector.link.uses import NEIGHBOUR_LINKS
from detector.score import relational


def shared(n: int, seed: int) -> tuple[dict[str, pl.DataFrame], np.ndarray]:
    """What ``n`` accounts share, as in a nightly run, and each account's probability of harvest."""
    rows, hydra = drawn_incidence(n, seed)
    rng = np.random.default_rng(seed)
    links = pl.concat(
        pl.DataFrame(
            {
                "account": np.arange(n),
                "code": (number + 1) * 10 * n + rng.integers(0, n // 2, n),
                "family": [family] * n,
                "spoofable": [family == "client"] * n,
            }
        )
        for number, family in enumerate(NEIGHBOUR_LINKS.families)
    )
    accounts = pl.DataFrame(
        {"account_id": [f"a{i}" for i in range(n)], "organisation": [f"o{i}" for i in range(n)]}
    )
    tables = {"incidence": rows, "links": links, "accounts": accounts}
    return tables, np.where(hydra, 0.7, rng.uniform(0, 0.02, n))


def timed(work: Callable[[], object]) -> float:
    """Processor seconds of ``work``."""
    began = time.process_time()
    work()
    return time.process_time() - began


def main() -> None:
    """Print the time of each step, and its ratio to the floor."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--accounts", type=int, default=200_000)
    n = parser.parse_args().accounts
    tables, suspicion = shared(n, 0)
    with duckdb.connect() as base:
        base.register(
            "rows",
            pl.concat([tables[t].select("account", "code") for t in ("incidence", "links")]).to_arrow(),
        )
        floor = timed(
            lambda: base.execute("SELECT code, count(DISTINCT account) FROM rows GROUP BY code").fetchall()
        )
    kept: list[EvidenceGraph] = []
    bits = np.log2(suspicion / (1 - suspicion))
    steps: dict[str, Callable[[], object]] = {
        "prepare": lambda: kept.append(graph_of_tables(tables).neighbours),
        "measure, both hops and without spoofable keys": lambda: [
            relational.measure(kept[0], suspicion, without_spoofable=without)
            for without in (False, False, True)
        ],
        "rings": lambda: communities.find(kept[0], bits),
    }
    print(
        f"{n:,} accounts, {len(tables['incidence']) + len(tables['links']):,} incidence; floor {floor:.2f} s"
    )
    for name, work in steps.items():
        seconds = timed(work)
        print(f"{name}: {seconds:.2f} s CPU, {seconds / floor:.1f} times the floor")
    print(f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.1f} GB")


if __name__ == "__main__":
    main()

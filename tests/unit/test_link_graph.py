"""The evidence graph: restricted, dealt, kept and read again, it says the same of whoever it holds."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from made_shares import graph_of

from detector.link.graph import EvidenceGraph, buckets
from detector.link.tabular import graph_of_tables, tables_of
from detector.link.uses import (
    FAMILIES,
    NEIGHBOUR_FAMILIES,
    NEIGHBOUR_LINKS,
    NEIGHBOUR_TEXT,
    SIMILAR_LINKS,
    SIMILAR_TEXT,
    TEMPLATE_LINKS,
    TEMPLATE_TEXT,
    Use,
)
from detector.score import relational, template_reuse

KINDS = {
    "card": "billing", "address": "network", "ja4": "client", "hours": "rhythm", "after": "succession",
    "line": "content", "exact": "content", "system": "content", "settings": "content",
}  # fmt: skip
USES = [SIMILAR_TEXT, SIMILAR_LINKS, TEMPLATE_TEXT, TEMPLATE_LINKS, NEIGHBOUR_LINKS, NEIGHBOUR_TEXT]


def site(seed: int, n: int = 60) -> tuple[pl.DataFrame, EvidenceGraph]:
    """Keys of every kind among ``n`` accounts of a larger population, some of them hubs."""
    rng = np.random.default_rng(seed)
    held = [
        (int(account), code, kind, family)
        for code, (kind, family) in enumerate(list(KINDS.items()) * 4)
        for account in rng.choice(n, rng.integers(2, 50), replace=False)
    ]
    rows = pl.DataFrame(held, schema=["account", "code", "kind", "family"], orient="row").with_columns(
        pl.len().over("code").alias("n_sharing"),
        pl.Series("n", rng.integers(0, 9, len(held))),
        pl.Series("n_prompts", rng.integers(0, 3, len(held))),
        pl.Series("asked_sum", rng.random(len(held))),
        pl.Series("weight", rng.choice([0.5, 1.0, 4.0], len(held))),
        n_days=pl.lit(2),
        spoofable=pl.col("family").is_in(["client", "content"]),
    )
    organisation = pl.Series([f"o{i}" for i in rng.integers(0, n, n)])
    return rows, graph_of(rows, 900, organisation)


@pytest.mark.parametrize("use", USES)
def test_a_use_reads_what_filters_of_named_columns_read(use: Use) -> None:
    rows, graph = site(1)
    most = max(use.number, use.share * (900 if use.of == "population" else 60))
    wanted = rows.filter(
        pl.col("family").is_in(use.families)
        & (pl.lit(not use.kinds) | pl.col("kind").is_in(use.kinds))
        & pl.col("n_sharing").is_between(use.least, most)
        & (pl.lit(not use.is_text) | (pl.col("n") > 0))
    ).sort("account", "code")
    found = graph.rows(graph.entries(use), *rows.columns)
    assert len(found) > 0
    assert found.cast(dict(rows.schema)).equals(wanted)


def test_neighbours_are_of_links_and_text_and_degrees_stay() -> None:
    _, graph = site(2)
    near = graph.neighbours
    both = {*graph.entries(NEIGHBOUR_LINKS).tolist(), *graph.entries(NEIGHBOUR_TEXT).tolist()}
    assert len(near) == len(both)
    assert {FAMILIES[code] for code in near.keys.family} <= set(NEIGHBOUR_FAMILIES)
    assert near.key.max() + 1 == len(near.keys)
    old = graph.key[sorted(both)]
    np.testing.assert_array_equal(graph.keys.degree[old], near.keys.degree[near.key])
    np.testing.assert_array_equal(graph.weight(np.array(sorted(both))), near.weight())


@pytest.mark.parametrize("seed", range(4))
def test_what_was_kept_of_a_day_is_read_as_the_day_itself(seed: int) -> None:
    _, graph = site(seed)
    kept = graph_of_tables(tables_of(graph))
    suspicion = np.random.default_rng(seed).random(60)
    found, again = (relational.measure(g.neighbours, suspicion) for g in (graph, kept))
    assert found.equals(again)
    held, text = (template_reuse.content_incidence(g) for g in (graph, kept))
    assert held["account", "code", "n"].equals(text["account", "code", "n"])


def test_hubs_are_dealt_evenly_and_other_strangers_meet_at_every_key() -> None:
    n, size = 1_000, 100
    account = np.tile(np.arange(n), 2)
    key = np.repeat([3, 4], n)
    column = buckets(account, key, np.full(2 * n, n), size)
    one, other = column[:n], column[n:]
    assert set(one.tolist()).isdisjoint(other.tolist())
    assert np.bincount(one).max() < 1.5 * size
    met = {tuple(np.flatnonzero(one == c)) for c in set(one.tolist())}
    assert not met & {tuple(np.flatnonzero(other == c)) for c in set(other.tolist())}
    small = buckets(np.arange(8), np.repeat([0, 1], 4), np.full(8, 4), size)
    assert small.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]


def test_a_graph_of_nothing() -> None:
    graph = graph_of(site(1)[0].clear(), 5, n_holders=0)
    assert (len(graph), len(graph.keys), len(graph.neighbours)) == (0, 0, 0)
    assert tables_of(graph)["incidence"].is_empty()

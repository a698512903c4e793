"""Groups: what joins accounts, and what must not."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import networkx as nx
import numpy as np
import polars as pl
import pytest
from made_shares import graph_of

from detector.link import cooccurrence
from detector.link.cooccurrence import associate, form_groups, rarity_bits
from detector.link.graph import EvidenceGraph
from detector.link.uses import FAMILIES

BILLING, NETWORK, CLIENT, CONTENT = range(4)


class World:
    """Ties of a made population, gathered in lists."""

    def __init__(self, n: int, seed: int = 0) -> None:
        self.n = n
        self.rng = np.random.default_rng(seed)
        self.rows: list[tuple[int, tuple[str, int], int, float, bool]] = []

    def tie(
        self, account: int, kind: str, key: int, family: int, bits: float = 5.0, spoofable: bool = False
    ) -> None:
        self.rows.append((account, (kind, key), family, bits, spoofable))

    def ordinary(self) -> None:
        """A carrier address shared by a few strangers, a client shared by many, a card of one's own."""
        for account in range(self.n):
            self.tie(account, "card", account, BILLING)
            self.tie(account, "address", int(self.rng.integers(self.n // 5)), NETWORK)
            self.tie(account, "client", int(self.rng.zipf(1.6) % 50), CLIENT, 2.0, True)

    def ties(self, order: np.ndarray | None = None) -> EvidenceGraph:
        rows = sorted(set(self.rows), key=repr)
        if order is not None:
            rows = [rows[i] for i in order[: len(rows)]]
        number = {key: i for i, key in enumerate(sorted({r[1] for r in rows}))}
        return graph_of_ties(
            np.array([r[0] for r in rows]),
            np.array([number[r[1]] for r in rows]),
            np.array([r[2] for r in rows]),
            np.array([r[3] for r in rows]),
            np.array([r[4] for r in rows]),
            self.n,
        )


def graph_of_ties(
    account: np.ndarray,
    key: np.ndarray,
    family: np.ndarray,
    bits: np.ndarray,
    spoofable: np.ndarray,
    n: int,
    n_holders: int | None = None,
) -> EvidenceGraph:
    """A graph from arrays; ``family`` is a code."""
    rows = pl.DataFrame(
        {
            "account": account.astype(np.int64),
            "code": key.astype(np.int64),
            "family": pl.Series(FAMILIES).gather(family.astype(np.int64)),
            "weight": bits,
            "spoofable": spoofable,
        }
    )
    return graph_of(rows, n, n_holders=n_holders)


def hydra(world: World, members: np.ndarray, *, per_card: int, exits: int, scaffolds: int = 2) -> None:
    """Members share cards, exits and scaffolds."""
    base = 1_000_000 + len(world.rows)
    for place, account in enumerate(members.tolist()):
        world.tie(account, "card", base + place // per_card, BILLING)
        world.tie(account, "address", base + int(world.rng.integers(exits)), NETWORK)
        world.tie(account, "line", base + int(world.rng.integers(scaffolds)), CONTENT)


def test_a_hydra_among_strangers_comes_out_whole_and_pure() -> None:
    world = World(3000)
    world.ordinary()
    members = world.rng.permutation(3000)[:120]
    hydra(world, members, per_card=6, exits=12)
    found = form_groups(world.ties())
    label = np.bincount(found.label[members][found.label[members] >= 0]).argmax()
    inside = np.flatnonzero(found.label == label)
    assert len(set(inside) & set(members.tolist())) >= 114
    assert len(set(inside) - set(members.tolist())) <= 2


def test_two_hydras_stay_apart() -> None:
    world = World(3000, seed=1)
    world.ordinary()
    chosen = world.rng.permutation(3000)
    first, second = chosen[:80], chosen[80:130]
    hydra(world, first, per_card=5, exits=8)
    hydra(world, second, per_card=5, exits=8)
    label = form_groups(world.ties()).label
    assert not set(label[first][label[first] >= 0]) & set(label[second][label[second] >= 0])
    assert (label[first] >= 0).mean() > 0.95


@pytest.mark.parametrize("seed", range(5))
def test_strangers_behind_one_carrier_are_no_group(seed: int) -> None:
    world = World(2000, seed=seed)
    world.ordinary()
    for account in range(400):  # one carrier address, clients as everywhere
        world.tie(account, "address", 9_999_999, NETWORK)
    assert (form_groups(world.ties()).label >= 0).sum() == 0


def test_one_shared_family_never_joins() -> None:
    world = World(500)
    world.ordinary()
    for account in range(30):
        world.tie(account, "card", 77, BILLING)
    assert (form_groups(world.ties()).label[:30] == -1).all()


def test_the_order_of_ties_does_not_matter() -> None:
    world = World(1500, seed=3)
    world.ordinary()
    hydra(world, np.arange(60), per_card=4, exits=6)
    plain = form_groups(world.ties())
    n = len(set(world.rows))
    shuffled = form_groups(world.ties(np.random.default_rng(9).permutation(n)))
    np.testing.assert_array_equal(plain.label, shuffled.label)
    np.testing.assert_allclose(plain.strength_bits, shuffled.strength_bits)


def test_an_unrelated_account_changes_no_bond() -> None:
    world = World(1500, seed=4)
    world.ordinary()
    hydra(world, np.arange(60), per_card=4, exits=6)
    before = form_groups(world.ties()).label
    world.n += 1
    world.tie(1500, "card", 5_555_555, BILLING)
    np.testing.assert_array_equal(before, form_groups(world.ties()).label[:1500])


def test_evidence_anybody_can_copy_carries_no_group_alone() -> None:
    world = World(2000, seed=5)
    world.ordinary()
    for account in range(40):
        world.tie(account, "fingerprint", 8_000_000, CLIENT, 5.0, True)
        world.tie(account, "line", 8_000_001, CONTENT, 5.0, True)
    assert (form_groups(world.ties()).label[:40] == -1).all()
    for account in range(40):  # until something that cannot be copied joins in
        world.tie(account, "card", 8_100_000 + account // 8, BILLING)
    found = form_groups(world.ties())
    assert (found.label[:40] >= 0).all()
    assert found.unspoofable[:40].all()


def test_pairs_are_counted_as_a_plain_loop_counts_them() -> None:
    world = World(300, seed=6)
    world.ordinary()
    hydra(world, np.arange(40), per_card=4, exits=5)
    ties = world.ties()
    held = ties.keys.degree
    pairs = associate(ties)
    keys = {a: set(ties.key[ties.account == a].tolist()) for a in range(300)}
    for first, second, n, bits in zip(pairs.first, pairs.second, pairs.n_accounts, pairs.bits, strict=True):
        both = sum(first in k and second in k for k in keys.values())
        assert both == n
        assert bits == pytest.approx(np.log2(both * 300 / (held[first] * held[second])))


def test_components_are_those_of_networkx() -> None:
    """Small components are not cut: they equal the components of the account-pair graph."""
    world = World(4000, seed=7)
    for start in range(0, 400, 8):
        hydra(world, np.arange(start, start + 8), per_card=8, exits=1, scaffolds=1)
    ties = world.ties()
    found = form_groups(ties)
    pairs = associate(ties)
    graph = nx.Graph((("a", int(a)), ("p", int(p))) for a, p in zip(pairs.holder, pairs.pair, strict=True))
    wanted = sorted(sorted(n for t, n in part if t == "a") for part in nx.connected_components(graph))
    got = sorted(np.flatnonzero(found.label == g).tolist() for g in range(found.label.max() + 1))
    assert got == [w for w in wanted if len(w) >= 3]


def test_a_key_everybody_holds_weighs_nothing() -> None:
    world = World(100)
    for account in range(100):
        world.tie(account, "client", 1, CLIENT)
    ties = world.ties()
    assert rarity_bits(ties).max() == 0.0


def test_no_ties_no_groups() -> None:
    empty = np.empty(0, np.int64)
    found = form_groups(graph_of_ties(empty, empty, empty, empty.astype(float), empty.astype(bool), 5))
    assert found.label.tolist() == [-1] * 5


def test_who_shares_no_key_counts_as_population_and_has_no_place_in_the_arrays() -> None:
    world = World(3000)
    world.ordinary()
    hydra(world, np.arange(0, 40), per_card=4, exits=8)
    everybody = world.ties()
    found = form_groups(everybody)
    holders_only = form_groups(inside(everybody, 2500))
    assert (
        len(holders_only.label)
        == len(holders_only.membership_probability)
        == len(holders_only.unspoofable)
        == 2500
    )
    assert (found.label[:40] >= 0).sum() >= 38
    assert (holders_only.label[:40] >= 0).sum() >= 38
    # The population, not the number of codes, says how rare a key is.
    more = form_groups(replace(everybody, n_accounts=30_000))
    assert more.strength_bits[:40].mean() > found.strength_bits[:40].mean() + 2


def inside(graph: EvidenceGraph, n: int) -> EvidenceGraph:
    """The same site, in which the first ``n`` accounts alone have a number."""
    kept = np.flatnonzero(graph.account < n)
    key = graph.key[kept]
    bits, spoofable = graph.weight(kept), graph.keys.spoofable[key]
    return graph_of_ties(
        graph.account[kept], key, graph.keys.family[key], bits, spoofable, graph.n_accounts, n
    )


def test_hubs_open_into_no_pairs() -> None:
    """Three keys of 50,000 holders each, of three families: chance gives all their pairs, so that none is made."""
    n = 50_000
    account = np.tile(np.arange(n), 3)
    key, family = np.repeat(np.arange(3), n), np.repeat(np.arange(3), n).astype(np.int8)
    ties = graph_of_ties(account, key, family, np.full(3 * n, 5.0), np.zeros(3 * n, bool), 2 * n)
    tracemalloc.start()
    pairs = associate(ties)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(pairs.holder) == 0
    assert peak < 150 * len(account)


def test_pairs_are_the_same_however_few_are_opened_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(600, seed=8)
    world.ordinary()
    hydra(world, np.arange(40), per_card=4, exits=5)
    ties = world.ties()
    whole = associate(ties)
    monkeypatch.setattr(cooccurrence, "PAIRS", 1)
    parts = associate(ties)
    assert len(whole.first) > 0
    assert np.array_equal(whole.first, parts.first)
    assert np.array_equal(whole.n_accounts, parts.n_accounts)
    assert set(zip(whole.holder, whole.pair, strict=True)) == set(zip(parts.holder, parts.pair, strict=True))

"""Communities of suspects: networkx and scikit-network agree, and accounts with the same evidence are one node."""

from __future__ import annotations

import networkx as nx
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from detector.link.partition import communities, evidence_codes, graph_of


def blocks(
    sizes: list[int], *, inside: float = 8.0, across: float = 0.05, seed: int = 0
) -> sparse.csr_matrix:
    """A graph of known communities, every pair joined, strongly within one and weakly across."""
    rng = np.random.default_rng(seed)
    of = np.repeat(np.arange(len(sizes)), sizes)
    same = of[:, None] == of[None, :]
    weight = np.where(same, inside, across) * rng.uniform(0.5, 1.5, same.shape)
    weight = np.triu(weight, 1)
    return sparse.csr_matrix(weight + weight.T)


def partition(label: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(label == value).tolist()) for value in np.unique(label)}


@given(st.lists(st.integers(4, 12), min_size=1, max_size=6), st.integers(0, 5))
def test_both_libraries_find_the_known_communities(sizes: list[int], seed: int) -> None:
    joint = blocks(sizes, seed=seed)
    alone = np.arange(sum(sizes))
    want = partition(np.repeat(np.arange(len(sizes)), sizes))
    if len(sizes) > 1:  # what is one community throughout may be cut at will: modularity has no say
        assert partition(communities(joint, alone)) == want
        assert partition(communities(joint, alone, networkx_nodes=0)) == want


@given(st.lists(st.integers(2, 6), min_size=2, max_size=5), st.integers(0, 5))
def test_accounts_with_the_same_evidence_are_one_node_and_weigh_as_before(
    sizes: list[int], seed: int
) -> None:
    joint = blocks(sizes, seed=seed)
    label = communities(joint, np.repeat(np.arange(len(sizes)), sizes))
    for members in np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1]):
        assert len(set(label[members])) == 1
    # Modularity of any partition that keeps the nodes whole is the same on both graphs.
    belongs = np.repeat(np.arange(len(sizes)), sizes)
    matrix = np.zeros((len(belongs), len(sizes)))
    matrix[np.arange(len(belongs)), belongs] = 1
    coarse = graph_of(sparse.csr_matrix(matrix.T @ joint.toarray() @ matrix))
    halves = [set(range(len(sizes) // 2)), set(range(len(sizes) // 2, len(sizes)))]
    fine = [{a for a, node in enumerate(belongs) if node in half} for half in halves]
    of_accounts = nx.community.modularity(graph_of(joint), fine, weight="weight")
    np.testing.assert_allclose(nx.community.modularity(coarse, halves, weight="weight"), of_accounts)


def test_evidence_is_the_set_of_keys_whatever_their_order() -> None:
    account = np.array([0, 0, 1, 1, 2, 3])
    key = np.array([5, 9, 9, 5, 5, 9])
    codes = evidence_codes(account, key, 5)
    assert codes[0] == codes[1]
    assert len(set(codes.tolist())) == 4


def test_the_same_graph_gives_the_same_communities_every_time() -> None:
    joint = blocks([20, 20, 20], across=4.0)
    first, again = (communities(joint, np.arange(60)) for _ in range(2))
    np.testing.assert_array_equal(first, again)

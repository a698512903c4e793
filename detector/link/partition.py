"""Communities of a weighted graph of suspects: Louvain on a graph in which accounts with the same evidence are one node.

A graph of up to ``NETWORKX_NODES`` nodes is a networkx graph, and networkx finds its communities; it is the form that a
reader can look at and try other methods on. A larger one stays a sparse matrix for scikit-network. Both maximise
Newman's modularity (Blondel et al., 2008), and find the same rings on the sample world (a test).
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sknetwork.clustering import Louvain

Ints = npt.NDArray[np.int64]

#: Nodes up to which networkx is asked. At this size it takes some seconds, at ten times the size minutes.
NETWORKX_NODES = 2_000


def communities(joint: sparse.csr_matrix, evidence: Ints, *, networkx_nodes: int = NETWORKX_NODES) -> Ints:
    """Community of each row of ``joint``, counted from 0.

    ``joint``: (n, n) symmetric weights without a diagonal. ``evidence``: of each row, a number that rows with the same
    evidence share; they are one node, and stay together.
    """
    node = np.unique(evidence, return_inverse=True)[1]
    n_nodes = int(node.max(initial=-1)) + 1
    belongs = sparse.csr_matrix(
        (np.ones(len(node)), (np.arange(len(node)), node)), shape=(len(node), n_nodes)
    )
    coarse = sparse.csr_matrix(belongs.T @ joint @ belongs)
    ask = _by_networkx if n_nodes <= networkx_nodes else _by_scikit_network
    label: Ints = ask(coarse)[node]
    return label


def graph_of(coarse: sparse.csr_matrix) -> Any:
    """A networkx graph of the nodes, with ``weight`` on its edges."""
    import networkx as nx

    upper = sparse.triu(coarse, format="csr")
    # The diagonal holds each edge within a node twice, a loop counts once.
    upper.setdiag(upper.diagonal() / 2)
    upper.eliminate_zeros()
    return nx.from_scipy_sparse_array(upper)


def _by_networkx(coarse: sparse.csr_matrix) -> Ints:
    from networkx.algorithms.community import louvain_communities

    parts = louvain_communities(graph_of(coarse), weight="weight", seed=random.Random(0))
    label = np.zeros(coarse.shape[0], np.int64)
    for number, members in enumerate(parts):
        label[list(members)] = number
    return label


def _by_scikit_network(coarse: sparse.csr_matrix) -> Ints:
    return np.asarray(Louvain(modularity="newman", random_state=0).fit_predict(coarse), np.int64)


def evidence_codes(account: Ints, key: Ints, n: int) -> Ints:
    """Of each of ``n`` accounts a number that accounts with the same set of keys share; an entry an account and key.

    Sets are told apart by a sum of 64-bit hashes of their keys (a collision of two among a million sets: 1 in 10^7).
    """
    with np.errstate(over="ignore"):
        mixed = (key.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(31)
        mixed *= np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(29)
        total = np.zeros(n, np.uint64)
        np.add.at(total, account, mixed)
    return total.view(np.int64)

"""Accounts whose prompts are alike: communities of the text that strangers share.

A careful operation shares no card and no exit, and words each prompt anew; what is left is that its accounts
ask alike. Every account is compared, through the content keys it holds, with the few accounts most like it:
rare keys count more, keys under which prompts repeat not at all, keys that ask for what trains a model more.
Agreement in links (cards, exits, clients, hours) raises a similarity, it never makes one. Communities of the
graph of nearest neighbours are candidates: a class, a benchmark or the users of one tool form them too, and
the group's score has to tell them apart.

Accounts meet at keys; a key of very many holders is dealt into buckets, so that work stays linear.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from sknetwork.clustering import Louvain

from detector.link.graph import Codes, EvidenceGraph, buckets
from detector.link.uses import FAMILIES, SIMILAR_LINKS, SIMILAR_TEXT
from detector.tuning import (
    ALIKE_ACROSS,
    ASKED,
    LEAST_DISTINCT,
    LINK_GAIN,
    MARKS,
    MOST_COPIED,
    NEAREST,
    NEAREST_CANDIDATES,
    SIMILAR_BUCKET,
    SIMILAR_KEYS,
    SIMILAR_MEMBERS,
    SIMILAR_MEMBERSHIP,
    SIMILAR_ORGANISATIONS,
    SPAN,
)

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

#: Accounts compared in one go (at most 2^11), how many they meet in sum at most, and the levels similarity is rounded to.
CHUNK, MEETINGS = 500, 8_000_000
_LEVELS = (1 << 24) - 1


@dataclass(frozen=True)
class Alike:
    """``label`` per account (-1: none), counted from 0; ``membership_probability``: share of its neighbours in it (0..1).

    ``graph`` is the similarity of each account (row) to its nearest strangers.
    """

    label: Ints
    membership_probability: Floats
    graph: sparse.csr_matrix


def alike(graph: EvidenceGraph) -> Alike:
    """Communities of accounts that ask alike; members of one organisation are no strangers."""
    n = graph.n_holders
    none = Alike(np.full(n, -1, np.int64), np.zeros(n), sparse.csr_matrix((n, n)))
    entries = _informative(graph)
    if not len(entries):
        return none
    vectors = _vectors(entries, n)
    near = _neighbours(vectors, graph.organisation, _link_matrices(graph))
    if not near.nnz:
        return none
    both = near.maximum(near.T).tocsr()
    label = np.asarray(Louvain(resolution=max(1.0, n / SPAN), random_state=0).fit_predict(both), np.int64)
    label = _together(vectors, label)
    return _members(near, label, graph.organisation)


@dataclass(frozen=True)
class _Informative:
    """Entries that may tell similarity, by account: what they are of, holders of the key, and weight."""

    account: Codes
    key: Codes
    degree: Codes
    weight: Floats

    def __len__(self) -> int:
        return len(self.key)


def _informative(graph: EvidenceGraph) -> _Informative:
    """Text that ever new prompts come under, weighed; of each account the weightiest ``SIMILAR_KEYS``."""
    entries = _original(graph)
    n_keys, key = len(graph.keys), graph.key[entries]
    uses = np.bincount(key, graph.n[entries], minlength=n_keys)
    prompts = np.bincount(key, graph.n_prompts[entries], minlength=n_keys)
    asked = np.bincount(key, np.nan_to_num(graph.asked_sum[entries]), minlength=n_keys) / np.maximum(uses, 1)
    telling = (uses > 0) & (prompts / np.maximum(uses, 1) >= LEAST_DISTINCT)
    entries = entries[telling[key]]
    key = graph.key[entries]
    rarity = (np.log(graph.n_accounts / np.maximum(graph.keys.degree, 1)) / np.log(2.0)) ** 2
    of_key = rarity * (1 + ASKED * asked)
    weight = of_key[key] * (np.log(1.0 + graph.n_prompts[entries]) / np.log(2.0))
    kept = _weightiest(graph.account[entries], key, weight)
    key = key[kept]
    return _Informative(graph.account[entries[kept]], key, graph.keys.degree[key], weight[kept])


def _weightiest(account: Codes, key: Codes, weight: Floats) -> Ints:
    """Places of the ``SIMILAR_KEYS`` weightiest entries of each account, in order; of equal weight those of lower keys."""
    many = np.bincount(account)
    if not len(many) or many.max() <= SIMILAR_KEYS:
        return np.arange(len(account))
    crowded = np.flatnonzero((many > SIMILAR_KEYS)[account])
    order = crowded[np.lexsort((key[crowded], -weight[crowded], account[crowded]))]
    kept = np.ones(len(account), bool)
    kept[order[_rank_in_run(account[order]) >= SIMILAR_KEYS]] = False
    return np.flatnonzero(kept)


def _original(graph: EvidenceGraph) -> Ints:
    """Entries of comparable text of accounts that write their own prompts."""
    entries = graph.entries(SIMILAR_TEXT)
    exact = graph.kinds.index("exact") if "exact" in graph.kinds else -2
    same = np.flatnonzero((graph.keys.kind == exact)[graph.key])
    copied = np.bincount(graph.account[same], graph.n[same], minlength=graph.n_holders)
    parrot = copied / np.maximum(graph.volume, 1.0) > MOST_COPIED
    return entries[~parrot[graph.account[entries]]]


def _vectors(entries: _Informative, n: int) -> sparse.csr_matrix:
    """(account, bucket of a key) matrix of unit rows."""
    column = buckets(entries.account, entries.key, entries.degree, SIMILAR_BUCKET)
    matrix = sparse.csr_matrix((entries.weight, (entries.account, column)), shape=(n, int(column.max()) + 1))
    length = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    return (sparse.diags(1 / np.maximum(length, 1e-12)) @ matrix).tocsr()


def _link_entries(graph: EvidenceGraph) -> Iterator[tuple[Ints, Ints, Ints]]:
    """Account, key and degree of the entries of each link family that are not too common to say anything."""
    entries = graph.entries(SIMILAR_LINKS)
    family = graph.keys.family[graph.key[entries]]
    for name in SIMILAR_LINKS.families:
        part = entries[family == FAMILIES.index(name)]
        if len(part):
            key = graph.key[part].astype(np.int64)
            yield graph.account[part].astype(np.int64), key, graph.keys.degree[key].astype(np.int64)


def _link_matrices(graph: EvidenceGraph) -> list[sparse.csr_matrix]:
    """One (account, key) matrix a link family; squared, it gives the bits two accounts share."""
    matrices = []
    for account, key, degree in _link_entries(graph):
        _, column = np.unique(key, return_inverse=True)
        bits = np.sqrt(np.log2(max(graph.n_accounts, 4) / degree))
        matrices.append(
            sparse.csr_matrix((bits, (account, column)), shape=(graph.n_holders, column.max() + 1))
        )
    return matrices


def _neighbours(vectors: sparse.csr_matrix, org: Codes, links: list[sparse.csr_matrix]) -> sparse.csr_matrix:
    """(account, account) similarity of each account to its nearest strangers, one row an account."""
    n = vectors.shape[0]
    turned = vectors.T.tocsr()
    most = np.log2(max(n, 4))
    starts, targets, values = [], [], []
    for low, high in _chunks(vectors, turned):
        near = (vectors[low:high] @ turned).tocoo()
        row, column, value = near.row.astype(np.int64) + low, near.col.astype(np.int64), near.data
        strangers = org[row] != org[column]
        row, column, value = _best(row[strangers], column[strangers], value[strangers], NEAREST_CANDIDATES)
        bits = np.zeros(len(row))
        for link in links:
            shared = np.asarray(link[row].multiply(link[column]).sum(axis=1)).ravel()
            bits += np.minimum(shared, most)
        row, column, value = _best(row, column, value * (1 + LINK_GAIN * bits), NEAREST)
        starts.append(row)
        targets.append(column)
        values.append(value)
    return sparse.csr_matrix(
        (np.concatenate(values), (np.concatenate(starts), np.concatenate(targets))), shape=(n, n)
    )


def _chunks(vectors: sparse.csr_matrix, turned: sparse.csr_matrix) -> Iterator[tuple[int, int]]:
    """Runs of accounts that are compared in one go: ``CHUNK`` of them, or fewer that meet ``MEETINGS`` about."""
    n = vectors.shape[0]
    met = np.r_[0, np.cumsum(np.diff(turned.indptr)[vectors.indices])][vectors.indptr]
    low = 0
    while low < n:
        high = int(np.searchsorted(met, met[low] + MEETINGS, side="right")) - 1
        high = min(max(high, low + 1), low + CHUNK, n)
        yield low, high
        low = high


def _best(row: Ints, column: Ints, value: Floats, k: int) -> tuple[Ints, Ints, Floats]:
    """The ``k`` largest values of each row; ties go to the lower column.

    Row, value and column are packed into one integer each (11, 24 and 28 bits), which sorts ten times faster
    than three arrays; values come back rounded to the 24 bits.
    """
    if not len(row):
        return row, column, value
    low, top = int(row.min()), float(value.max())
    level = (value * (_LEVELS / top)).astype(np.int64)
    packed = np.sort(((row - low) << 52) | ((_LEVELS - level) << 28) | column)
    packed = packed[_rank_in_run(packed >> 52) < k]
    value = (_LEVELS - (packed >> 28 & 0xFFFFFF)) * np.float64(top / _LEVELS)
    return (packed >> 52) + low, packed & 0xFFFFFFF, value


def _together(vectors: sparse.csr_matrix, label: Ints) -> Ints:
    """Communities joined whose members are alike across as they are within, by the keys that mark each most."""
    n = len(label)
    squares = vectors.multiply(vectors).tocsr()
    for _ in range(10):
        size = np.bincount(label)
        member = sparse.csr_matrix((np.ones(n), (label, np.arange(n))), shape=(len(size), n))
        centre = _marks((member @ vectors).tocsr(), size)
        alone = np.asarray((member @ squares).multiply(centre > 0).sum(axis=1)).ravel()
        own = np.asarray(centre.multiply(centre).sum(axis=1)).ravel()
        within = (own - alone) / np.maximum(size * (size - 1.0), 1.0)
        product = sparse.triu(centre @ centre.T, k=1).tocoo()
        row, column = product.row, product.col
        across = product.data / (size[row] * size[column])
        close = (
            (size[row] >= SIMILAR_MEMBERS)
            & (size[column] >= SIMILAR_MEMBERS)
            & (across >= ALIKE_ACROSS * np.maximum(within[row], within[column]))
        )
        if not close.any():
            break
        joins = sparse.csr_matrix(
            (np.ones(int(close.sum())), (row[close], column[close])), shape=(len(size), len(size))
        )
        _, joined = connected_components(joins, directed=False)
        label = joined[label].astype(np.int64)
    return label


def _marks(centre: sparse.csr_matrix, size: Ints) -> sparse.csr_matrix:
    """The ``MARKS`` largest entries of each row of a community (``size`` members), so that comparing stays linear.

    Rows too small to be a community are left empty: there are as many of them as accounts.
    """
    kept = [np.empty(0, np.int64)]
    for row in np.flatnonzero(size >= SIMILAR_MEMBERS):
        entry = np.arange(centre.indptr[row], centre.indptr[row + 1])
        if len(entry) > MARKS:
            data = centre.data[entry]
            least = np.partition(data, len(data) - MARKS)[len(data) - MARKS]
            entry = entry[data >= least]
            entry = entry[np.lexsort((centre.indices[entry], -centre.data[entry]))[:MARKS]]
        kept.append(entry)
    chosen = np.concatenate(kept)
    rows = np.searchsorted(centre.indptr, chosen, side="right") - 1
    return sparse.csr_matrix((centre.data[chosen], (rows, centre.indices[chosen])), shape=centre.shape)


def _members(graph: sparse.csr_matrix, label: Ints, org: Codes) -> Alike:
    n = len(label)
    edges = graph.tocoo()
    total = np.bincount(edges.row, edges.data, minlength=n)
    same = label[edges.row] == label[edges.col]
    inside = np.bincount(edges.row[same], edges.data[same], minlength=n)
    membership_probability = inside / np.maximum(total, 1e-12)
    label = np.where(total > 0, label, -1)
    grouped = np.flatnonzero(label >= 0)
    size = np.bincount(label[grouped], minlength=n)
    pair = np.unique(np.stack([label[grouped], org[grouped]], axis=1), axis=0)
    organisations = np.bincount(pair[:, 0], minlength=n)
    good = (size >= SIMILAR_MEMBERS) & (organisations >= SIMILAR_ORGANISATIONS)
    label = np.where((label >= 0) & good[np.maximum(label, 0)], label, -1)
    _, renumbered = np.unique(label[label >= 0], return_inverse=True)
    label[label >= 0] = renumbered
    return Alike(label, np.where(label >= 0, membership_probability, 0.0), graph)


def linked_bits(graph: EvidenceGraph, label: Ints) -> Floats:
    """How much each member's links to others of its group exceed chance, in bits summed over link families.

    A member with D other holders on its keys of one family finds one of them among s - 1 fellow members with
    probability 1 - exp(-(s - 1) D / N): where it does, the family speaks with the surprise of that, where it
    does not, with the (negative) surprise of missing. Fellows of the same organisation do not count.
    """
    n = len(label)
    bits = np.zeros(n)
    inside = label >= 0
    if not inside.any():
        return bits
    org = graph.organisation.astype(np.int64)
    size = np.bincount(label[inside], minlength=int(label.max()) + 1).astype(float)
    fellows = np.where(inside, size[np.maximum(label, 0)] - 1, 0.0)
    for account, key, degree in _link_entries(graph):
        others = np.bincount(account, degree - 1.0, minlength=n)
        chance = np.clip(1 - np.exp(-fellows * others / max(graph.n_accounts, 1)), 1e-6, 1 - 1e-3)
        entry = np.flatnonzero(inside[account])
        # Organisations of each group on each key: a member is linked where there is one beside its own.
        place = key[entry] * (int(label.max()) + 1) + label[account[entry]]
        both = np.unique(place * (int(org.max()) + 1) + org[account[entry]]) // (int(org.max()) + 1)
        distinct, count = np.unique(both, return_counts=True)
        shared = count[np.searchsorted(distinct, place)] >= 2
        linked = np.zeros(n, bool)
        linked[account[entry[shared]]] = True
        measured = inside & (np.bincount(account, minlength=n) > 0)
        bits += np.where(measured, np.where(linked, -np.log2(chance), np.log2(1 - chance)), 0.0)
    return bits


def joined(bound: Ints, similar: Alike) -> Ints:
    """One label an account: that of the keys that bind it, else of the community it is alike with.

    A community most of whose members are bound into one group is that group seen from its text: the others
    of it join the group. The rest of a community that falls below ``SIMILAR_MEMBERS`` dissolves.
    """
    label = bound.copy()
    if not (similar.label >= 0).any():
        return label
    count = int(similar.label.max()) + 1
    size = np.bincount(similar.label[similar.label >= 0], minlength=count)
    both = np.flatnonzero((bound >= 0) & (similar.label >= 0))
    owner = np.full(count, -1, np.int64)
    if len(both):
        width = int(bound.max()) + 1
        pair, n = np.unique(similar.label[both] * width + bound[both], return_counts=True)
        order = np.lexsort((-(pair % width), n, pair // width))
        last = order[np.flatnonzero(np.r_[(pair[order] // width)[1:] != (pair[order] // width)[:-1], True])]
        main = last[2 * n[last] >= size[pair[last] // width]]
        owner[pair[main] // width] = pair[main] % width
    free = np.flatnonzero(
        (bound < 0) & (similar.label >= 0) & (similar.membership_probability >= SIMILAR_MEMBERSHIP)
    )
    takes = owner[similar.label[free]]
    label[free[takes >= 0]] = takes[takes >= 0]
    alone = free[takes < 0]
    left = np.bincount(similar.label[alone], minlength=count)
    alone = alone[left[similar.label[alone]] >= SIMILAR_MEMBERS]
    label[alone] = similar.label[alone] + int(bound.max(initial=-1)) + 1
    _, label[label >= 0] = np.unique(label[label >= 0], return_inverse=True)
    return label


def within(graph: sparse.csr_matrix, label: Ints) -> Floats:
    """Mean similarity of each account to those of its nearest strangers that are in its group (0: none is)."""
    edges = graph.tocoo()
    same = (label[edges.row] == label[edges.col]) & (label[edges.row] >= 0)
    total = np.bincount(edges.row[same], edges.data[same], minlength=len(label))
    return total / np.maximum(np.bincount(edges.row, minlength=len(label)), 1)


def _rank_in_run(ordered: Ints | Codes) -> Ints:
    """Place of each entry within its run of equal values, from 0."""
    if not len(ordered):
        return np.empty(0, np.int64)
    start = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    return np.arange(len(ordered)) - np.repeat(start, np.diff(np.r_[start, len(ordered)]))

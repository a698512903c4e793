"""Accounts whose prompts are alike: communities of the text that strangers share.

A careful operation shares no card and no exit, and words each prompt anew; what is left is that its accounts
ask alike. Every account is compared, through the content keys it holds, with the few accounts most like it:
rare keys count more, keys under which prompts repeat not at all, keys that ask for what trains a model more.
Agreement in links (cards, exits, clients, hours) raises a similarity, it never makes one. Communities of the
graph of nearest neighbours are candidates: a class, a benchmark or the users of one tool form them too, and
the group's score has to tell them apart.

Accounts meet at keys; a key of very many holders is dealt into buckets of ``BUCKET``, so that work stays linear.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from sknetwork.clustering import Louvain

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

#: Structural kinds that the user's own prompts leave; system prompts, tools and settings come with software,
#: a whole prompt in common is a public question.
KINDS = ("opening4", "opening8", "ending4", "ending8", "line", "gram5", "band", "template")
LINKS = ("billing", "network", "client", "rhythm")
#: Holders a key must have, and the share of all accounts at which it stops to say anything.
MIN_HOLDERS, MOST_SHARE = 2, 0.1
#: Holders of a link key at most (share of all accounts, or number).
LINK_SHARE, LINK_HOLDERS = 0.05, 40
#: Distinct prompts among all under a key, at least (0..1): text that comes with every repeat is a form.
LEAST_DISTINCT = 0.8
#: An account whose prompts others sent word by word in more than this share is left out: copies prove
#: nothing, and copying somebody's prompts is how he is framed.
MOST_COPIED = 0.5
#: How much more a key counts under which all prompts ask for training data.
ASKED = 4.0
#: How much each bit of agreeing links raises a similarity.
LINK_GAIN = 0.2
#: Keys of an account looked at, the weightiest first.
MOST_KEYS = 400
#: Holders of a key that are compared with one another.
BUCKET = 256
#: Nearest neighbours kept, and candidates for them.
NEIGHBOURS, CANDIDATES = 15, 40
#: Accounts a community of the neighbour graph spans at most, about; larger ones are put together again.
SPAN = 150
#: Two communities are one when their members are alike across nearly as much as within (0..1).
ALIKE_ACROSS = 0.7
#: Keys that stand for a community when communities are compared.
MARKS = 64
#: Fewest accounts, and organisations, of a community.
MIN_MEMBERS, MIN_ORGANISATIONS = 4, 3
#: Share of an account's neighbours in its community below which it is let go (0..1).
LEAST_MEMBERSHIP = 0.3
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


def alike(rows: pl.DataFrame, organisation: pl.Series, volume: Floats, n_accounts: int) -> Alike:
    """Communities of accounts that ask alike.

    Parameters
    ----------
    rows : incidence of the window - account, code, family, kind, n_sharing, n, n_prompts, asked_sum.
    organisation : of each account by array code; members of one organisation are no strangers.
    volume : requests of each account in the window.
    n_accounts : population.
    """
    n = len(organisation)
    none = Alike(np.full(n, -1, np.int64), np.zeros(n), sparse.csr_matrix((n, n)))
    org = organisation.rank("dense").cast(pl.Int64).to_numpy()
    held = _informative(rows, volume, n_accounts)
    if not len(held):
        return none
    vectors = _vectors(held, n)
    graph = _neighbours(vectors, org, _link_matrices(rows, n, n_accounts))
    if not graph.nnz:
        return none
    both = graph.maximum(graph.T).tocsr()
    label = np.asarray(Louvain(resolution=max(1.0, n / SPAN), random_state=0).fit_predict(both), np.int64)
    label = _together(vectors, label)
    return _members(graph, label, org)


def _informative(rows: pl.DataFrame, volume: Floats, n_accounts: int) -> pl.DataFrame:
    """Holdings that may tell similarity: account, code, n_sharing, weight."""
    copied = rows.filter(pl.col("kind") == "exact").group_by("account").agg(pl.col("n").sum().alias("copied"))
    share = copied["copied"].to_numpy() / np.maximum(volume[copied["account"].to_numpy()], 1.0)
    parrots = copied["account"].filter(pl.Series(share > MOST_COPIED))
    most = max(MIN_HOLDERS, MOST_SHARE * n_accounts)
    found = rows.filter(
        pl.col("kind").is_in(KINDS)
        & (pl.col("n_sharing") >= MIN_HOLDERS)
        & (pl.col("n_sharing") <= most)
        & (pl.col("n") > 0)
        & ~pl.col("account").is_in(parrots.implode())
    )
    keys = (
        found.group_by("code")
        .agg(
            (pl.col("n_prompts").sum() / pl.col("n").sum()).alias("distinct"),
            (pl.col("asked_sum").sum() / pl.col("n").sum()).fill_null(0.0).alias("asked"),
        )
        .filter(pl.col("distinct") >= LEAST_DISTINCT)
    )
    rarity = (n_accounts / pl.col("n_sharing")).log(2.0) ** 2
    weight = rarity * (1 + pl.col("n_prompts")).log(2.0) * (1 + ASKED * pl.col("asked"))
    return (
        found.join(keys, on="code")
        .select("account", "code", "n_sharing", weight.alias("weight"))
        .sort(["account", "weight", "code"], descending=[False, True, False])
        .filter(pl.int_range(pl.len()).over("account") < MOST_KEYS)
    )


def _vectors(held: pl.DataFrame, n: int) -> sparse.csr_matrix:
    """(account, bucket of a key) matrix of unit rows."""
    account, code, sharing = (
        held[name].cast(pl.Int64).to_numpy() for name in ("account", "code", "n_sharing")
    )
    buckets = -(-sharing // BUCKET)
    # Dealt by a mix of key and account: which strangers meet differs from key to key.
    mixed = (account.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) ^ (
        code.astype(np.uint64) * np.uint64(0xC2B2AE3D27D4EB4F)
    )
    bucket = ((mixed >> np.uint64(33)) % buckets.astype(np.uint64)).astype(np.int64)
    _, column = np.unique(code * (int(buckets.max()) + 1) + bucket, return_inverse=True)
    matrix = sparse.csr_matrix(
        (held["weight"].to_numpy(), (account, column)), shape=(n, int(column.max()) + 1)
    )
    length = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    return (sparse.diags(1 / np.maximum(length, 1e-12)) @ matrix).tocsr()


def _link_holdings(rows: pl.DataFrame, n_accounts: int) -> Iterator[tuple[Ints, Ints, Ints]]:
    """Account, key and holders of the shared keys of each link family that are not too common to say anything."""
    most = max(LINK_HOLDERS, LINK_SHARE * n_accounts)
    for family in LINKS:
        part = rows.filter(
            (pl.col("family") == family) & (pl.col("n_sharing") >= 2) & (pl.col("n_sharing") <= most)
        )
        if len(part):
            part = part.select(pl.col("account", "code", "n_sharing").cast(pl.Int64))
            yield part["account"].to_numpy(), part["code"].to_numpy(), part["n_sharing"].to_numpy()


def _link_matrices(rows: pl.DataFrame, n: int, n_accounts: int) -> list[sparse.csr_matrix]:
    """One (account, key) matrix a link family; squared, it gives the bits two accounts share."""
    found = []
    for account, key, held in _link_holdings(rows, n_accounts):
        _, column = np.unique(key, return_inverse=True)
        bits = np.sqrt(np.log2(max(n_accounts, 4) / held))
        found.append(sparse.csr_matrix((bits, (account, column)), shape=(n, column.max() + 1)))
    return found


def _neighbours(vectors: sparse.csr_matrix, org: Ints, links: list[sparse.csr_matrix]) -> sparse.csr_matrix:
    """(account, account) similarity of each account to its nearest strangers, one row an account."""
    n = vectors.shape[0]
    turned = vectors.T.tocsr()
    most = np.log2(max(n, 4))
    starts, targets, values = [], [], []
    for low, high in _chunks(vectors, turned):
        near = (vectors[low:high] @ turned).tocoo()
        row, column, value = near.row.astype(np.int64) + low, near.col.astype(np.int64), near.data
        strangers = org[row] != org[column]
        row, column, value = _best(row[strangers], column[strangers], value[strangers], CANDIDATES)
        bits = np.zeros(len(row))
        for link in links:
            shared = np.asarray(link[row].multiply(link[column]).sum(axis=1)).ravel()
            bits += np.minimum(shared, most)
        row, column, value = _best(row, column, value * (1 + LINK_GAIN * bits), NEIGHBOURS)
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
            (size[row] >= MIN_MEMBERS)
            & (size[column] >= MIN_MEMBERS)
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
    for row in np.flatnonzero(size >= MIN_MEMBERS):
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


def _members(graph: sparse.csr_matrix, label: Ints, org: Ints) -> Alike:
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
    good = (size >= MIN_MEMBERS) & (organisations >= MIN_ORGANISATIONS)
    label = np.where((label >= 0) & good[np.maximum(label, 0)], label, -1)
    _, renumbered = np.unique(label[label >= 0], return_inverse=True)
    label[label >= 0] = renumbered
    return Alike(label, np.where(label >= 0, membership_probability, 0.0), graph)


def linked_bits(rows: pl.DataFrame, label: Ints, organisation: pl.Series, n_accounts: int) -> Floats:
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
    org = organisation.rank("dense").cast(pl.Int64).to_numpy() - 1
    size = np.bincount(label[inside], minlength=int(label.max()) + 1).astype(float)
    fellows = np.where(inside, size[np.maximum(label, 0)] - 1, 0.0)
    for account, key, held in _link_holdings(rows, n_accounts):
        others = np.bincount(account, held - 1.0, minlength=n)
        chance = np.clip(1 - np.exp(-fellows * others / max(n_accounts, 1)), 1e-6, 1 - 1e-3)
        entry = np.flatnonzero(inside[account])
        # Organisations of each group on each key: a member is linked where there is one beside its own.
        place = key[entry] * (int(label.max()) + 1) + label[account[entry]]
        both = np.unique(place * (int(org.max()) + 1) + org[account[entry]]) // (int(org.max()) + 1)
        found, count = np.unique(both, return_counts=True)
        shared = count[np.searchsorted(found, place)] >= 2
        linked = np.zeros(n, bool)
        linked[account[entry[shared]]] = True
        known = inside & (np.bincount(account, minlength=n) > 0)
        bits += np.where(known, np.where(linked, -np.log2(chance), np.log2(1 - chance)), 0.0)
    return bits


def joined(bound: Ints, found: Alike) -> Ints:
    """One label an account: that of the keys that bind it, else of the community it is alike with.

    A community most of whose members are bound into one group is that group seen from its text: the others
    of it join the group. The rest of a community that falls below ``MIN_MEMBERS`` dissolves.
    """
    label = bound.copy()
    if not (found.label >= 0).any():
        return label
    count = int(found.label.max()) + 1
    size = np.bincount(found.label[found.label >= 0], minlength=count)
    both = np.flatnonzero((bound >= 0) & (found.label >= 0))
    owner = np.full(count, -1, np.int64)
    if len(both):
        width = int(bound.max()) + 1
        pair, n = np.unique(found.label[both] * width + bound[both], return_counts=True)
        order = np.lexsort((-(pair % width), n, pair // width))
        last = order[np.flatnonzero(np.r_[(pair[order] // width)[1:] != (pair[order] // width)[:-1], True])]
        main = last[2 * n[last] >= size[pair[last] // width]]
        owner[pair[main] // width] = pair[main] % width
    free = np.flatnonzero(
        (bound < 0) & (found.label >= 0) & (found.membership_probability >= LEAST_MEMBERSHIP)
    )
    takes = owner[found.label[free]]
    label[free[takes >= 0]] = takes[takes >= 0]
    alone = free[takes < 0]
    left = np.bincount(found.label[alone], minlength=count)
    alone = alone[left[found.label[alone]] >= MIN_MEMBERS]
    label[alone] = found.label[alone] + int(bound.max(initial=-1)) + 1
    _, label[label >= 0] = np.unique(label[label >= 0], return_inverse=True)
    return label


def within(graph: sparse.csr_matrix, label: Ints) -> Floats:
    """Mean similarity of each account to those of its nearest strangers that are in its group (0: none is)."""
    edges = graph.tocoo()
    same = (label[edges.row] == label[edges.col]) & (label[edges.row] >= 0)
    total = np.bincount(edges.row[same], edges.data[same], minlength=len(label))
    return total / np.maximum(np.bincount(edges.row, minlength=len(label)), 1)


def _rank_in_run(ordered: Ints) -> Ints:
    """Place of each entry within its run of equal values, from 0."""
    if not len(ordered):
        return np.empty(0, np.int64)
    start = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    return np.arange(len(ordered)) - np.repeat(start, np.diff(np.r_[start, len(ordered)]))

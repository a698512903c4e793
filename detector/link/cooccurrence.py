"""Which accounts are one operation: keys shared in two families at once, far more often than chance allows.

One shared key says little: strangers share carriers, clients and public prompts. Two *independent* keys
shared by the same accounts say much. For keys i and j of different families with h_i and h_j holders among
N accounts, chance lets about h_i*h_j/N accounts hold both; where c of them do, the pair is evidence of
log2(c*N/(h_i*h_j)) bits (pointwise mutual information), and it counts only where a Poisson test over all
pairs that could have been tried says that it is no accident. Such pairs join accounts as stars, so that
20,000 accounts on one pair cost 20,000 edges; communities then cut what chance chains glued together.

All work is on arrays: linear in the entries of the graph, no account is ever compared with another.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from sknetwork.clustering import Louvain

from detector.link.graph import Codes, EvidenceGraph
from detector.tuning import (
    COMMUNITY_FROM,
    CONFIRMED,
    COPIED_UNSURE,
    FALSE_PAIRS,
    GROUP_MEMBERS,
    KEYED_MEMBERSHIP,
    MAX_LEAK,
    MAY_STAY_OUT,
    MIN_LIFT,
    OWNED_FROM,
    PER_OCTAVE,
    STRANGERS,
)

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

MERGE_ROUNDS = 20
#: Pairs of keys that are opened in one go.
PAIRS = 2_000_000


@dataclass(frozen=True)
class Pairs:
    """Pairs of keys that hold together: ``bits`` of lift, number of accounts holding both, chance count."""

    first: Ints
    second: Ints
    n_accounts: Ints
    bits: Floats
    spoofable: Bools
    #: (account, pair) incidence, one entry for each account and pair.
    holder: Ints
    pair: Ints


@dataclass(frozen=True)
class Grouping:
    """``label`` per account (-1: none), counted from 0, and how strongly each account is tied to its group."""

    label: Ints
    strength_bits: Floats
    #: whether the account's bond holds without spoofable evidence
    unspoofable: Bools
    #: how sure it is that the account belongs to its group at all (0..1)
    membership_probability: Floats
    pairs: Pairs


def rarity_bits(graph: EvidenceGraph) -> Floats:
    """Weight of each entry: its key's bits, scaled down to nothing as the key nears everybody.

    Follows the term-frequency adjustment of record linkage: log2(N/h), relative to two holders.
    """
    n = max(graph.n_accounts, 4)
    share = np.log2(n / np.maximum(graph.keys.degree, 1)) / np.log2(n / 2)
    scaled: Floats = graph.weight() * np.clip(share, 0.0, 1.0)[graph.key]
    return scaled


def form_groups(graph: EvidenceGraph) -> Grouping:
    """Groups of accounts joined by improbable pairs of keys, one entry an account.

    Accounts without such a pair get label -1. The result does not depend on the names of accounts and keys.
    """
    pairs = associate(graph)
    n = graph.n_holders
    label = np.full(n, -1, np.int64)
    strength = np.zeros(n)
    unspoofable = np.zeros(n, bool)
    if len(pairs.holder):
        weight = pairs.bits[pairs.pair]
        held_in = sparse.csr_matrix((weight, (pairs.holder, pairs.pair)), shape=(n, len(pairs.first)))
        star = sparse.hstack([held_in, _confirmed(graph, pairs)], format="csr")
        label = _communities(star, _supported(graph, pairs))
        strength, unspoofable = _bonds(held_in, label, pairs)
        label[strength <= 0] = -1
        _attach(graph, label, strength, unspoofable)
        label = _renumber(label)
    label = _renumber(np.where(_membership(graph, label) >= KEYED_MEMBERSHIP, label, -1))
    membership_probability = _membership(graph, label)
    return Grouping(
        label=label,
        strength_bits=strength,
        unspoofable=unspoofable & (label >= 0),
        membership_probability=membership_probability,
        pairs=pairs,
    )


def _select(graph: EvidenceGraph) -> Ints:
    """Entries of shared keys only, at most ``PER_OCTAVE`` an account, source and octave of holders, the weightiest
    first; in order."""
    degree = graph.keys.degree
    weight = rarity_bits(graph)
    index = np.flatnonzero((degree >= 2)[graph.key] & (weight > 0))
    weight = weight[index]
    key = graph.key[index]
    octave = np.log2(np.maximum(degree, 1)).astype(np.int16)
    stratum = graph.source.astype(np.int16) * 64 + octave
    chosen = _weightiest(graph.account[index].astype(np.int64) * 1024 + stratum[key], weight, key)
    return np.sort(index[chosen])


def _weightiest(stratum: Ints, weight: Floats, key: Codes) -> Ints:
    """Places of the ``PER_OCTAVE`` weightiest of each stratum; of equal weight those of the lower key."""
    left = np.argsort(stratum)
    chosen = [np.empty(0, np.int64)]
    for _ in range(PER_OCTAVE):
        if not len(left):
            break
        start = np.flatnonzero(np.r_[True, stratum[left][1:] != stratum[left][:-1]])
        length = np.diff(np.r_[start, len(left)])
        top = weight[left] == np.repeat(np.maximum.reduceat(weight[left], start), length)
        first = np.where(top, key[left], np.iinfo(key.dtype).max)
        best = first == np.repeat(np.minimum.reduceat(first, start), length)
        chosen.append(left[best])
        left = left[~best]
    return np.concatenate(chosen)


def associate(graph: EvidenceGraph) -> Pairs:
    """Pairs of keys of different sources held together beyond chance."""
    chosen = _select(graph)
    tried = _Tried(graph, chosen)
    wide = len(graph.keys) + 1
    code, holder = tried.likely_pairs(wide)
    order = np.argsort(code)
    code, holder = code[order], holder[order]
    start = np.flatnonzero(np.r_[True, code[1:] != code[:-1]]) if len(code) else np.empty(0, np.int64)
    count = np.diff(np.r_[start, len(code)])
    first, second = code[start] // wide, code[start] % wide
    good = (count >= 2) & tried.improbable(count, first, second)
    spoofable = graph.spoofable_or_chance
    kept_pairs = np.flatnonzero(good)
    kept = np.repeat(good, count)
    return Pairs(
        first=first[kept_pairs],
        second=second[kept_pairs],
        n_accounts=count[kept_pairs].astype(np.int64),
        bits=np.log2(count[kept_pairs] / tried.chance(first[kept_pairs], second[kept_pairs])),
        spoofable=spoofable[first[kept_pairs]] & spoofable[second[kept_pairs]],
        holder=holder[kept],
        pair=np.repeat(np.cumsum(good) - 1, count)[kept],
    )


class _Tried:
    """Entries that pairs of keys are tried on, by account and key, and what chance gives of a pair."""

    def __init__(self, graph: EvidenceGraph, chosen: Ints) -> None:
        self._account, self._key = graph.account[chosen].astype(np.int64), graph.key[chosen].astype(np.int64)
        self._held, self._n_accounts = graph.keys.degree.astype(np.int64), max(graph.n_accounts, 1)
        self._source = graph.source
        used = np.zeros(len(graph.keys), bool)
        used[self._key] = True
        #: Logarithm of the number of keys of each source: a pair is one of so many that could be tried.
        self._log_keys = np.log(np.maximum(np.bincount(self._source[used], minlength=16), 1.0))

    def chance(self, first: Ints, second: Ints) -> Floats:
        """Accounts that hold both keys by chance."""
        expected: Floats = self._held[first] * self._held[second] / self._n_accounts
        return expected

    def improbable(self, count: Ints, first: Ints, second: Ints) -> Bools:
        """Whether so many holders of both are beyond chance, by lift and by Poisson's tail (Chernoff's bound),
        corrected for every pair that could be tried."""
        chance = self.chance(first, second)
        tried = self._log_keys[self._source[first]] + self._log_keys[self._source[second]]
        with np.errstate(divide="ignore"):
            exponent = count * np.log(count / chance) - (count - chance)
        beyond_chance: Bools = (count >= MIN_LIFT * chance) & (exponent >= tried - np.log(FALSE_PAIRS))
        return beyond_chance

    def likely_pairs(self, wide: int) -> tuple[Ints, Ints]:
        """Every pair of keys of different sources of one account that may be improbable at all, and the account.

        A pair is ``lesser * wide + greater``. No more accounts hold both keys than hold the rarer one: where even
        so many would be chance, as with every key that an eighth of the site holds, the pair is not made. Accounts
        are taken some at a time, so that what is thrown away is never there at once.
        """
        codes, holders = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        # Nobody holds a key together with another far more often than chance that an eighth of all hold.
        rare = np.flatnonzero(MIN_LIFT * self._held[self._key] <= self._n_accounts)
        account, key = self._account[rare], self._key[rare]
        source = self._source[key]
        for low, high in _runs(account):
            left, right = _pair_positions(account[low:high])
            left, right = left + low, right + low
            cross = source[left] != source[right]
            left, right = left[cross], right[cross]
            most = np.minimum(self._held[key[left]], self._held[key[right]])
            likely = self.improbable(most, key[left], key[right])
            left, right = left[likely], right[likely]
            # Keys ascend within an account.
            codes.append(key[left] * wide + key[right])
            holders.append(account[left])
        return np.concatenate(codes), np.concatenate(holders)


def _runs(account: Ints) -> Iterator[tuple[int, int]]:
    """Runs of the sorted ``account`` that open into about ``PAIRS`` pairs each; no account is cut."""
    if not len(account):
        return
    start = np.flatnonzero(np.r_[True, account[1:] != account[:-1]])
    length = np.diff(np.r_[start, len(account)])
    cut = np.cumsum(length * (length - 1) // 2) // PAIRS
    first = start[np.flatnonzero(np.r_[True, cut[1:] != cut[:-1]])]
    yield from zip(first, np.r_[first[1:], len(account)], strict=True)


def _pair_positions(account: Ints) -> tuple[Ints, Ints]:
    """All pairs of positions within equal runs of the sorted ``account``."""
    n = len(account)
    if n == 0:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    start = np.flatnonzero(np.r_[True, account[1:] != account[:-1]])
    length = np.diff(np.r_[start, n])
    end = np.repeat(start + length, length)
    after = end - np.arange(n) - 1
    left = np.repeat(np.arange(n), after)
    step = np.arange(len(left)) - np.repeat(np.cumsum(after) - after, after)
    return left, left + 1 + step


def _confirmed(graph: EvidenceGraph, pairs: Pairs) -> sparse.csr_matrix:
    """(account, key) incidence of keys nearly all of whose holders hold an improbable pair with them.

    Two pairs (card, scaffold A) and (card, scaffold B) share the card but no account. Where the pairs of a
    key cover ``CONFIRMED`` of its holders the key itself belongs to one operation and joins all of them.
    """
    n, m, degree = graph.n_holders, len(graph.keys), graph.keys.degree
    covered = np.zeros(m, np.int64)
    for side in (pairs.first, pairs.second):
        code = np.unique(side[pairs.pair] * n + pairs.holder)
        covered += np.bincount(code // n, minlength=m)
    inside = (degree >= 2) & (covered >= CONFIRMED * degree)
    entry = np.flatnonzero(inside[graph.key])
    key = graph.key[entry]
    weight = np.log2(max(graph.n_accounts, 4) / degree[key])
    column = (np.cumsum(inside) - 1)[key]
    return sparse.csr_matrix((weight, (graph.account[entry], column)), shape=(n, int(inside.sum())))


def _supported(graph: EvidenceGraph, pairs: Pairs) -> sparse.csr_matrix:
    """(account, key) incidence of keys that an account holds in an improbable pair, weighed by rarity."""
    n, m = graph.n_holders, len(graph.keys)
    code = np.unique(
        np.r_[pairs.holder * m + pairs.first[pairs.pair], pairs.holder * m + pairs.second[pairs.pair]]
    )
    account, key = code // m, code % m
    weight = np.log2(max(graph.n_accounts, 4) / graph.keys.degree[key])
    return sparse.csr_matrix((weight, (account, key)), shape=(n, m))


def _communities(graph: sparse.csr_matrix, keys: sparse.csr_matrix) -> Ints:
    """Labels of the accounts: components of the star graph, large ones cut into communities.

    ``graph`` joins accounts by pairs and confirmed keys; ``keys`` is what communities are checked on.
    """
    n, m = graph.shape
    star = sparse.bmat([[None, graph], [graph.T, None]], format="csr")
    _, component = connected_components(star, directed=False)
    component = component[:n]
    active = np.asarray(graph.getnnz(axis=1)).ravel() > 0
    label = np.where(active, component, -1).astype(np.int64)
    size = np.bincount(label[active], minlength=n + m)
    large = np.flatnonzero(size >= COMMUNITY_FROM)
    if not len(large):
        return label
    rows = np.flatnonzero(active & np.isin(component, large))
    part = graph[rows]
    columns = np.flatnonzero(np.asarray(part.getnnz(axis=0)).ravel())
    part = part[:, columns]
    # One modularity run over all large components: communities never cross components.
    community = Louvain(modularity="newman", random_state=0).fit_predict(part)
    merged = _remerge(keys[rows], np.asarray(community, np.int64), component[rows])
    label[rows] = merged + label.max(initial=0) + 1
    return label


def _remerge(keys: sparse.csr_matrix, label: Ints, component: Ints) -> Ints:
    """Join communities that leak into one another.

    Modularity splits large even groups (its resolution limit). A random walk account -> key -> account that
    leaves a community for another of its component more often than ``MAX_LEAK`` shows that the cut went
    through one operation; the community then joins the one it leaks into most, until none leaks.
    """
    n = len(label)
    step = sparse.diags(1 / np.maximum(np.asarray(keys.sum(axis=1)).ravel(), 1e-12)) @ keys
    incidence = (keys > 0).astype(np.float64).T.tocsr()
    back = sparse.diags(1 / np.maximum(np.asarray(incidence.sum(axis=1)).ravel(), 1)) @ incidence
    for _ in range(MERGE_ROUNDS):
        n_labels = int(label.max()) + 1
        member = sparse.csr_matrix((np.ones(n), (np.arange(n), label)), shape=(n, n_labels))
        home = np.zeros(n_labels, np.int64)
        home[label] = component
        walk = ((member.T @ step) @ (back @ member)).tocoo()
        near = home[walk.row] == home[walk.col]
        row, column, mass = walk.row[near], walk.col[near], walk.data[near]
        total = np.bincount(row, mass, minlength=n_labels)
        stay = np.bincount(row[row == column], mass[row == column], minlength=n_labels)
        away = row != column
        order = np.lexsort((-column[away], mass[away], row[away]))
        source, target = row[away][order], column[away][order]
        last = (
            np.flatnonzero(np.r_[source[1:] != source[:-1], True]) if len(source) else np.empty(0, np.int64)
        )
        leaky = total[source[last]] - stay[source[last]] > MAX_LEAK * total[source[last]]
        source, target = source[last][leaky], target[last][leaky]
        if not len(source):
            break
        joins = sparse.csr_matrix((np.ones(len(source)), (source, target)), shape=(n_labels, n_labels))
        _, joined = connected_components(joins, directed=False)
        label = joined[label].astype(np.int64)
    return label


def _bonds(graph: sparse.csr_matrix, label: Ints, pairs: Pairs) -> tuple[Floats, Bools]:
    """Best pair of each account that its group mostly owns, and whether one such pair is unspoofable."""
    rows, columns = graph.nonzero()
    n_labels = int(label.max(initial=-1)) + 2
    code = columns.astype(np.int64) * n_labels + label[rows] + 1
    _, inverse, count = np.unique(code, return_inverse=True, return_counts=True)
    inside = count[inverse]
    total = pairs.n_accounts[columns]
    bits = pairs.bits[columns] * (2 * inside >= total) * (inside >= 2)
    strength = np.zeros(graph.shape[0])
    np.maximum.at(strength, rows, bits)
    unspoofable = np.zeros(graph.shape[0], bool)
    np.logical_or.at(unspoofable, rows, (bits > 0) & ~pairs.spoofable[columns])
    return strength, unspoofable


def _attach(graph: EvidenceGraph, label: Ints, strength: Floats, unspoofable: Bools) -> None:
    """Take in accounts without a pair whose keys are mostly a group's (in place).

    A key whose share s of holders sits in one group says with probability s that this holder belongs there
    too; families are independent, so an account stays out with the product of (1 - s) over its families.
    Only members joined by pairs count: what was taken in takes nobody in, or groups would snowball.
    """
    n_labels = int(label.max(initial=-1)) + 1
    owner, share = _owners(graph, label, n_labels)
    entry = np.flatnonzero((share >= OWNED_FROM)[graph.key])
    entry = entry[label[graph.account[entry]] < 0]
    if not len(entry):
        return
    account, key = graph.account[entry].astype(np.int64), graph.key[entry]
    place = (account * n_labels + owner[key]) * 16 + graph.source[key]
    order = np.lexsort((share[key], place))
    best = order[np.flatnonzero(np.r_[place[order][1:] != place[order][:-1], True])]
    pair, inverse = np.unique(place[best] // 16, return_inverse=True)
    out = np.ones(len(pair))
    np.multiply.at(out, inverse, 1 - share[key[best]])
    taken, joined = pair // n_labels, pair % n_labels
    order = np.lexsort((joined, -out, taken))
    last = order[np.flatnonzero(np.r_[taken[order][1:] != taken[order][:-1], True])]
    last = last[out[last] <= MAY_STAY_OUT]
    if not len(last):
        return
    label[taken[last]] = joined[last]
    inside = label[account] == owner[key]
    np.maximum.at(strength, account, np.log2(graph.n_accounts / graph.keys.degree[key]) * inside)
    np.logical_or.at(unspoofable, account, inside & ~graph.spoofable_or_chance[key])


def _owners(graph: EvidenceGraph, label: Ints, n_labels: int) -> tuple[Ints, Floats]:
    """Of each key the group that most of its holders are of (-1: none), and that group's share of them, counted as if
    ``STRANGERS`` held the key as well."""
    group = label[graph.account]
    grouped = np.flatnonzero(group >= 0)
    owner, share = np.full(len(graph.keys), -1, np.int64), np.zeros(len(graph.keys))
    code, count = np.unique(graph.key[grouped] * np.int64(n_labels) + group[grouped], return_counts=True)
    key, group = code // max(n_labels, 1), code % max(n_labels, 1)
    order = np.lexsort((-group, count, key))
    top = order[np.flatnonzero(np.r_[key[order][1:] != key[order][:-1], True])] if len(key) else order
    owner[key[top]] = group[top]
    share[key[top]] = count[top] / (graph.keys.degree[key[top]] + STRANGERS)
    return owner, share


def _membership(graph: EvidenceGraph, label: Ints) -> Floats:
    """How sure it is that each account belongs to its group.

    A key of which the group holds the share s of the other holders says so with probability s (shrunk as if
    ``STRANGERS`` held it too); families are independent, so what remains is the product of (1 - s) over the best
    key of each. What an outsider can copy leaves at least ``COPIED_UNSURE`` a family.
    """
    sure = np.zeros(len(label))
    entry = np.flatnonzero((label >= 0)[graph.account])
    entry = entry[(graph.keys.degree >= 2)[graph.key[entry]]]
    if not len(entry):
        return sure
    account, key = graph.account[entry].astype(np.int64), graph.key[entry]
    n_labels = int(label.max()) + 1
    _, inverse, count = np.unique(
        key * np.int64(n_labels) + label[account], return_inverse=True, return_counts=True
    )
    share = (count[inverse] - 1) / (graph.keys.degree[key] - 1 + STRANGERS)
    share = np.where(graph.spoofable_or_chance[key], np.minimum(share, 1 - COPIED_UNSURE), share)
    n_sources = int(graph.source.max()) + 1
    best = np.zeros(len(label) * n_sources)
    np.maximum.at(best, account * n_sources + graph.source[key], share)
    sure[:] = 1 - np.prod(1 - best.reshape(len(label), n_sources), axis=1)
    return np.where(label >= 0, sure, 0.0)


def _renumber(label: Ints) -> Ints:
    """Labels from 0 in order of each group's first account; groups below ``GROUP_MEMBERS`` dissolve."""
    result = np.full(len(label), -1, np.int64)
    inside = label >= 0
    unique, first, inverse, count = np.unique(
        label[inside], return_index=True, return_inverse=True, return_counts=True
    )
    large = count >= GROUP_MEMBERS
    order = np.argsort(np.where(large, first, np.iinfo(np.int64).max), kind="stable")
    number = np.empty(len(unique), np.int64)
    number[order] = np.arange(len(unique))
    number[~large] = -1
    result[inside] = number[inverse]
    return result

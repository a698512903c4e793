"""Which accounts are one operation: keys shared in two families at once, far more often than chance allows.

One shared key says little: strangers share carriers, clients and public prompts. Two *independent* keys
shared by the same accounts say much. For keys i and j of different families with h_i and h_j holders among
N accounts, chance lets about h_i*h_j/N accounts hold both; where c of them do, the pair is evidence of
log2(c*N/(h_i*h_j)) bits (pointwise mutual information), and it counts only where a Poisson test over all
pairs that could have been tried says that it is no accident. Such pairs join accounts as stars, so that
20,000 accounts on one pair cost 20,000 edges; communities then cut what chance chains glued together.

All work is on arrays: linear in ties, no account is ever compared with another.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from sknetwork.clustering import Louvain

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

#: Keys of an account kept per family and octave of holders: correlated keys (the lines of one scaffold)
#: have like numbers of holders, so a few of each octave speak for all.
PER_OCTAVE = 2
#: Least ratio of holders of a pair to what chance gives. 8: at most one holder in eight is there by chance.
MIN_LIFT = 8.0
#: Accidental pairs expected among all pairs of two families' keys that could be tried in one run. An accident
#: joins two or three accounts; groups start at ``MIN_MEMBERS`` and still have to be scored.
FALSE_PAIRS = 1.0
#: Share of a key's holders that must hold it in an improbable pair before the key joins all of them (0..1).
CONFIRMED = 0.7
#: An account is taken in when the chance that it does not belong is at most this (0..1) ...
MAY_STAY_OUT = 0.15
#: ... by keys of which the group holds at least this share (0..1).
OWNED_FROM = 0.7
#: ... counted as if so many strangers held each key as well: small keys meet by chance.
STRANGERS = 2.0
#: A member less likely than this to belong is let go (0..1).
LEAST_MEMBERSHIP = 0.9
#: Doubt that evidence anybody can copy, or strangers share, leaves about a member, at least (0..1).
COPIED_DOUBT = 0.4
#: Share of random-walk steps that may leave a community before it is joined to its neighbour (0..1).
MAX_LEAK = 0.2
MERGE_ROUNDS = 20
#: Fewest accounts that are called a group.
MIN_MEMBERS = 3
#: Pairs of keys that are opened in one go.
PAIRS = 2_000_000
#: A component larger than this is searched for communities.
COMMUNITY_FROM = 12


@dataclass(frozen=True)
class Ties:
    """Which account holds which key: one entry a distinct (account, key).

    ``account`` and ``key`` count from 0; ``family`` is a code; ``bits`` is the weight two holders would
    have (faded by age); ``spoofable`` tells keys that an attacker can plant, or strangers come by.
    ``n_accounts`` is the population, of which most may share no key with anybody: it says how rare a key is.
    ``n_holders`` are the accounts that have a code, and the length of what is found (None: all of the population).
    """

    account: Ints
    key: Ints
    family: npt.NDArray[np.int8]
    bits: Floats
    spoofable: Bools
    n_accounts: int
    n_holders: int | None = None

    @property
    def n_keys(self) -> int:
        return int(self.key.max()) + 1 if len(self.key) else 0

    @property
    def n_codes(self) -> int:
        """Length of an array that has an entry for each account with a code."""
        return self.n_accounts if self.n_holders is None else self.n_holders


@dataclass(frozen=True)
class Pairs:
    """Pairs of keys that hold together: ``bits`` of lift, number of accounts holding both, chance count."""

    first: Ints
    second: Ints
    n_accounts: Ints
    bits: Floats
    spoofable: Bools
    #: (account, pair) incidence, one entry a holding.
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


def holders(ties: Ties) -> Ints:
    """Number of accounts that hold each key."""
    return np.bincount(ties.key, minlength=ties.n_keys).astype(np.int64)


def rarity_bits(ties: Ties, held: Ints) -> Floats:
    """Weight of each tie: its kind's bits, scaled down to nothing as the key nears everybody.

    Follows the term-frequency adjustment of record linkage: log2(N/h), relative to two holders.
    """
    n = max(ties.n_accounts, 4)
    share = np.log2(n / np.maximum(held[ties.key], 1)) / np.log2(n / 2)
    scaled: Floats = ties.bits * np.clip(share, 0.0, 1.0)
    return scaled


def form_groups(ties: Ties) -> Grouping:
    """Groups of accounts joined by improbable pairs of keys, one entry an account with a code.

    Accounts without such a pair get label -1. The result does not depend on the order of the ties.
    """
    held = holders(ties)
    pairs = associate(_select(ties, held), held)
    n = ties.n_codes
    label = np.full(n, -1, np.int64)
    strength = np.zeros(n)
    unspoofable = np.zeros(n, bool)
    if len(pairs.holder):
        weight = pairs.bits[pairs.pair]
        graph = sparse.csr_matrix((weight, (pairs.holder, pairs.pair)), shape=(n, len(pairs.first)))
        star = sparse.hstack([graph, _confirmed(ties, held, pairs)], format="csr")
        label = _communities(star, _supported(ties, held, pairs))
        strength, unspoofable = _bonds(graph, label, pairs)
        label[strength <= 0] = -1
        _attach(ties, held, label, strength, unspoofable)
        label = _renumber(label)
    label = _renumber(np.where(_membership(ties, held, label) >= LEAST_MEMBERSHIP, label, -1))
    membership_probability = _membership(ties, held, label)
    return Grouping(
        label=label,
        strength_bits=strength,
        unspoofable=unspoofable & (label >= 0),
        membership_probability=membership_probability,
        pairs=pairs,
    )


def _select(ties: Ties, held: Ints) -> Ties:
    """Shared keys only, at most ``PER_OCTAVE`` an account, family and octave of holders, the weightiest first."""
    weight = rarity_bits(ties, held)
    keep = (held[ties.key] >= 2) & (weight > 0)
    index = np.flatnonzero(keep)
    octave = np.log2(held[ties.key[index]]).astype(np.int64)
    stratum = (ties.account[index] * 16 + ties.family[index]) * 64 + octave
    chosen = np.sort(index[_weightiest(stratum, weight[index], ties.key[index])])
    return Ties(
        account=ties.account[chosen],
        key=ties.key[chosen],
        family=ties.family[chosen],
        bits=ties.bits[chosen],
        spoofable=ties.spoofable[chosen],
        n_accounts=ties.n_accounts,
        n_holders=ties.n_holders,
    )


def _weightiest(stratum: Ints, weight: Floats, key: Ints) -> Ints:
    """Places of the ``PER_OCTAVE`` weightiest of each stratum; of equal weight those of the lower key."""
    left = np.argsort(stratum)
    chosen = [np.empty(0, np.int64)]
    for _ in range(PER_OCTAVE):
        if not len(left):
            break
        start = np.flatnonzero(np.r_[True, stratum[left][1:] != stratum[left][:-1]])
        length = np.diff(np.r_[start, len(left)])
        top = weight[left] == np.repeat(np.maximum.reduceat(weight[left], start), length)
        first = np.where(top, key[left], np.iinfo(np.int64).max)
        best = first == np.repeat(np.minimum.reduceat(first, start), length)
        chosen.append(left[best])
        left = left[~best]
    return np.concatenate(chosen)


def associate(ties: Ties, held: Ints) -> Pairs:
    """Pairs of keys of different families held together beyond chance."""
    order = np.lexsort((ties.key, ties.account))
    sorted_ties = _Sorted(ties.account[order], ties.key[order], ties.family[order], held, ties.n_accounts)
    code, holder = sorted_ties.likely_pairs(ties.n_keys + 1)
    order = np.argsort(code)
    code, holder = code[order], holder[order]
    start = np.flatnonzero(np.r_[True, code[1:] != code[:-1]]) if len(code) else np.empty(0, np.int64)
    count = np.diff(np.r_[start, len(code)])
    first, second = code[start] // (ties.n_keys + 1), code[start] % (ties.n_keys + 1)
    good = (count >= 2) & sorted_ties.improbable(count, first, second)
    spoofable_key = np.zeros(ties.n_keys, bool)
    spoofable_key[ties.key] = ties.spoofable
    chosen = np.flatnonzero(good)
    kept = np.repeat(good, count)
    return Pairs(
        first=first[chosen],
        second=second[chosen],
        n_accounts=count[chosen].astype(np.int64),
        bits=np.log2(count[chosen] / sorted_ties.chance(first[chosen], second[chosen])),
        spoofable=spoofable_key[first[chosen]] & spoofable_key[second[chosen]],
        holder=holder[kept],
        pair=np.repeat(np.cumsum(good) - 1, count)[kept],
    )


class _Sorted:
    """Selected ties by account and key, and what chance gives of pairs of their keys."""

    def __init__(
        self, account: Ints, key: Ints, family: npt.NDArray[np.int8], held: Ints, n_accounts: int
    ) -> None:
        self._account, self._key, self._family = account, key, family
        self._held, self._n_accounts = held, max(n_accounts, 1)
        self._family_of = np.zeros(int(key.max(initial=0)) + 1, np.int64)
        self._family_of[key] = family
        used = np.unique(key)
        #: Logarithm of the number of keys of each family: a pair is one of so many that could be tried.
        self._log_keys = np.log(np.maximum(np.bincount(self._family_of[used], minlength=16), 1.0))

    def chance(self, first: Ints, second: Ints) -> Floats:
        """Accounts that hold both keys by chance."""
        found: Floats = self._held[first] * self._held[second] / self._n_accounts
        return found

    def improbable(self, count: Ints, first: Ints, second: Ints) -> Bools:
        """Whether so many holders of both are beyond chance, by lift and by Poisson's tail (Chernoff's bound),
        corrected for every pair that could be tried."""
        chance = self.chance(first, second)
        tried = self._log_keys[self._family_of[first]] + self._log_keys[self._family_of[second]]
        with np.errstate(divide="ignore"):
            exponent = count * np.log(count / chance) - (count - chance)
        found: Bools = (count >= MIN_LIFT * chance) & (exponent >= tried - np.log(FALSE_PAIRS))
        return found

    def likely_pairs(self, wide: int) -> tuple[Ints, Ints]:
        """Every pair of keys of different families of one account that may be improbable at all, and the account.

        A pair is ``lesser * wide + greater``. No more accounts hold both keys than hold the rarer one: where even
        so many would be chance, as with every key that an eighth of the site holds, the pair is not made. Accounts
        are taken some at a time, so that what is thrown away is never there at once.
        """
        codes, holders = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        # Nobody holds a key together with another far more often than chance that an eighth of all hold.
        rare = np.flatnonzero(MIN_LIFT * self._held[self._key] <= self._n_accounts)
        account, key, family = self._account[rare], self._key[rare], self._family[rare]
        for low, high in _runs(account):
            left, right = _pair_positions(account[low:high])
            left, right = left + low, right + low
            cross = family[left] != family[right]
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


def _confirmed(ties: Ties, held: Ints, pairs: Pairs) -> sparse.csr_matrix:
    """(account, key) incidence of keys nearly all of whose holders hold an improbable pair with them.

    Two pairs (card, scaffold A) and (card, scaffold B) share the card but no account. Where the pairs of a
    key cover ``CONFIRMED`` of its holders the key itself belongs to one operation and joins all of them.
    """
    n, m = ties.n_codes, ties.n_keys
    covered = np.zeros(m, np.int64)
    for side in (pairs.first, pairs.second):
        code = np.unique(side[pairs.pair] * n + pairs.holder)
        covered += np.bincount(code // n, minlength=m)
    inside = (held >= 2) & (covered >= CONFIRMED * held)
    entry = np.flatnonzero(inside[ties.key])
    weight = np.log2(max(ties.n_accounts, 4) / held[ties.key[entry]])
    keys, column = np.unique(ties.key[entry], return_inverse=True)
    return sparse.csr_matrix((weight, (ties.account[entry], column)), shape=(n, len(keys)))


def _supported(ties: Ties, held: Ints, pairs: Pairs) -> sparse.csr_matrix:
    """(account, key) incidence of keys that an account holds in an improbable pair, weighed by rarity."""
    n, m = ties.n_codes, ties.n_keys
    code = np.unique(
        np.r_[pairs.holder * m + pairs.first[pairs.pair], pairs.holder * m + pairs.second[pairs.pair]]
    )
    account, key = code // m, code % m
    return sparse.csr_matrix((np.log2(max(ties.n_accounts, 4) / held[key]), (account, key)), shape=(n, m))


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
    found = Louvain(modularity="newman", random_state=0).fit_predict(part)
    merged = _remerge(keys[rows], np.asarray(found, np.int64), component[rows])
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
    held = (keys > 0).astype(np.float64).T.tocsr()
    back = sparse.diags(1 / np.maximum(np.asarray(held.sum(axis=1)).ravel(), 1)) @ held
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
    """Best pair of each account that its group mostly owns, and whether one such pair could not be planted."""
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


def _attach(ties: Ties, held: Ints, label: Ints, strength: Floats, unspoofable: Bools) -> None:
    """Take in accounts without a pair whose keys are mostly a group's (in place).

    A key whose share s of holders sits in one group says with probability s that this holder belongs there
    too; families are independent, so an account stays out with the product of (1 - s) over its families.
    Only members joined by pairs count: what was taken in takes nobody in, or groups would snowball.
    """
    n_families = int(ties.family.max(initial=0)) + 1
    n_labels = int(label.max(initial=-1)) + 1
    grouped = label[ties.account] >= 0
    if not grouped.any():
        return
    code, count = np.unique(ties.key[grouped] * n_labels + label[ties.account[grouped]], return_counts=True)
    key, group = code // n_labels, code % n_labels
    order = np.lexsort((-group, count, key))
    top = order[np.flatnonzero(np.r_[key[order][1:] != key[order][:-1], True])]
    owner = np.full(ties.n_keys, -1, np.int64)
    owner[key[top]] = group[top]
    share = np.zeros(ties.n_keys)
    share[key[top]] = count[top] / (held[key[top]] + STRANGERS)
    entry = np.flatnonzero(~grouped & (share[ties.key] >= OWNED_FROM))
    if not len(entry):
        return
    place = (ties.account[entry] * n_labels + owner[ties.key[entry]]) * n_families + ties.family[entry]
    order = np.lexsort((share[ties.key[entry]], place))
    best = order[np.flatnonzero(np.r_[place[order][1:] != place[order][:-1], True])]
    pair, inverse = np.unique(place[best] // n_families, return_inverse=True)
    out = np.ones(len(pair))
    np.multiply.at(out, inverse, 1 - share[ties.key[entry[best]]])
    account, joined = pair // n_labels, pair % n_labels
    order = np.lexsort((joined, -out, account))
    last = order[np.flatnonzero(np.r_[account[order][1:] != account[order][:-1], True])]
    last = last[out[last] <= MAY_STAY_OUT]
    if not len(last):
        return
    label[account[last]] = joined[last]
    inside = label[ties.account[entry]] == owner[ties.key[entry]]
    bits = np.log2(ties.n_accounts / held[ties.key[entry]]) * inside
    np.maximum.at(strength, ties.account[entry], bits)
    np.logical_or.at(unspoofable, ties.account[entry], inside & ~ties.spoofable[entry])


def _membership(ties: Ties, held: Ints, label: Ints) -> Floats:
    """How sure it is that each account belongs to its group.

    A key of which the group holds the share s of the other holders says so with probability s (shrunk as if
    ``STRANGERS`` held it too); families are independent, so the doubt is the product of (1 - s) over the best
    key of each. What an outsider can copy leaves at least ``COPIED_DOUBT`` a family.
    """
    sure = np.zeros(len(label))
    entry = np.flatnonzero((label[ties.account] >= 0) & (held[ties.key] >= 2))
    if not len(entry):
        return sure
    n_labels = int(label.max()) + 1
    _, inverse, count = np.unique(
        ties.key[entry] * n_labels + label[ties.account[entry]], return_inverse=True, return_counts=True
    )
    share = (count[inverse] - 1) / (held[ties.key[entry]] - 1 + STRANGERS)
    share = np.where(ties.spoofable[entry], np.minimum(share, 1 - COPIED_DOUBT), share)
    n_families = int(ties.family.max()) + 1
    best = np.zeros(len(label) * n_families)
    np.maximum.at(best, ties.account[entry] * n_families + ties.family[entry], share)
    sure[:] = 1 - np.prod(1 - best.reshape(len(label), n_families), axis=1)
    return np.where(label >= 0, sure, 0.0)


def _renumber(label: Ints) -> Ints:
    """Labels from 0 in order of each group's first account; groups below ``MIN_MEMBERS`` dissolve."""
    result = np.full(len(label), -1, np.int64)
    inside = label >= 0
    unique, first, inverse, count = np.unique(
        label[inside], return_index=True, return_inverse=True, return_counts=True
    )
    large = count >= MIN_MEMBERS
    order = np.argsort(np.where(large, first, np.iinfo(np.int64).max), kind="stable")
    number = np.empty(len(unique), np.int64)
    number[order] = np.arange(len(unique))
    number[~large] = -1
    result[inside] = number[inverse]
    return result

"""Which holders of a content key meet another of its holders on a link key: a card, an exit, a pause.

The obvious ways are products of a matrix with its own transpose, which grow with the square of a hub's holders. Here a
content key is opened into the link keys of its holders, one entry each, and counted or sorted: equal neighbours are two
holders on one link key. Work is the sum of link keys over (account, content key) entries, however many holders a key
has; it is done in slices, so that memory is a slice's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

#: Entries (account, content key, link key) that are sorted in one go, but for a key that has more by itself.
SLICE = 1 << 21
#: Pairs of keys of a slice are counted rather than sorted where there are at most so many for each entry.
_DENSE = 4
#: Bits of a packed entry.
_WIDTH = 63


def slices(size: Ints, most_keys: int) -> Iterator[tuple[int, int]]:
    """Runs of keys whose sizes sum up to ``SLICE`` about, of ``most_keys`` at most: first and last + 1 of each."""
    if not len(size):
        return
    end = np.cumsum(size)
    low = 0
    while low < len(size):
        before = end[low] - size[low]
        high = int(np.searchsorted(end, before + SLICE, side="right"))
        high = min(max(high, low + 1), low + most_keys, len(size))
        yield low, high
        low = high


def met(holder: Ints, key: Ints, link_holder: Ints, link: Ints, n_accounts: int) -> Bools:
    """Whether each holder of a key meets another holder of it on a link key.

    Parameters
    ----------
    holder, key : account and content key of each entry; keys count from 0.
    link_holder, link : account and link key of each entry, each pair once; link keys count from 0.
    n_accounts : accounts, which count from 0.
    """
    meeting = np.zeros(len(key), bool)
    if not len(key) or not len(link):
        return meeting
    links = _Links.of(link_holder, link, n_accounts)
    entries = np.flatnonzero(links.many[holder])
    if not len(entries):
        return meeting
    # The largest keys first: those of a slice are then of one size, and counted in the way that suits it.
    n_keys = int(key.max()) + 1
    opens = np.bincount(key[entries], links.many[holder[entries]], minlength=n_keys).astype(np.int64)
    place = np.empty(len(opens), np.int64)
    place[np.argsort(-opens, kind="stable")] = np.arange(len(opens))
    key = place[key]
    entries = entries[np.argsort(key[entries])]
    first = np.flatnonzero(np.r_[True, key[entries][1:] != key[entries][:-1]])
    bound = np.r_[first, len(entries)]
    size = np.add.reduceat(links.many[holder[entries]], first)
    room = 1 << (_WIDTH - SLICE.bit_length())
    for low, high in slices(size, max(room // links.n, 1)):
        some = entries[bound[low] : bound[high]]
        hub = size[low] > SLICE
        meets = _on_hub(holder[some], links) if hub else _on_keys(key[some], holder[some], links)
        meeting[some[meets]] = True
    return meeting


@dataclass(frozen=True)
class _Links:
    """Link keys of the accounts, those of each in a row: ``many[a]`` of them from ``start[a]`` on; ``n`` in all."""

    keys: npt.NDArray[np.int32]
    start: Ints
    many: Ints
    n: int

    @classmethod
    def of(cls, holder: Ints, link: Ints, n_accounts: int) -> _Links:
        many = np.bincount(holder, minlength=n_accounts)
        keys = link[np.argsort(holder, kind="stable")].astype(np.int32)
        return cls(keys, np.cumsum(many) - many, many, int(keys.max()) + 1)

    def opened(self, holder: Ints) -> tuple[Ints, Ints]:
        """Every link key of every holder, and the place of the holder it is of."""
        count = self.many[holder]
        entry = np.repeat(np.arange(len(holder)), count)
        step = np.arange(len(entry)) - np.repeat(np.cumsum(count) - count, count)
        return self.keys[self.start[holder][entry] + step].astype(np.int64), entry


def _on_keys(key: Ints, holder: Ints, links: _Links) -> Ints:
    """Places of the entries of a slice (sorted by key) that meet another."""
    link, entry = links.opened(holder)
    pair = np.cumsum(np.r_[0, key[1:] != key[:-1]])[entry] * links.n + link
    meets = np.zeros(len(key), bool)
    span = (int(pair[-1]) // links.n + 1) * links.n
    if span <= _DENSE * len(pair):
        meets[entry[np.bincount(pair, minlength=span)[pair] >= 2]] = True
        return np.flatnonzero(meets)
    # The pair of keys above, the entry below: one sort brings those together that meet.
    bits = max(len(key) - 1, 1).bit_length()
    packed = np.sort((pair << bits) | entry)
    same = packed[1:] >> bits == packed[:-1] >> bits
    packed &= (1 << bits) - 1
    meets[packed[1:][same]] = True
    meets[packed[:-1][same]] = True
    return np.flatnonzero(meets)


def _on_hub(holder: Ints, links: _Links) -> Ints:
    """The same of one key of very many holders: they are counted on each link key, then asked, a part at a time."""
    end = np.cumsum(links.many[holder])
    cuts = np.searchsorted(end, np.arange(SLICE, end[-1] + SLICE, SLICE), side="right")
    parts = [p for p in np.split(np.arange(len(holder)), np.unique(cuts)) if len(p)]
    count = np.zeros(links.n, np.int64)
    for part in parts:
        count += np.bincount(links.opened(holder[part])[0], minlength=links.n)
    meets = np.zeros(len(holder), bool)
    for part in parts:
        link, entry = links.opened(holder[part])
        meets[part[entry[count[link] >= 2]]] = True
    return np.flatnonzero(meets)

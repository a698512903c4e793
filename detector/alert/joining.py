"""The fewest keys that join accounts as well as all of their keys do.

A key joins the accounts that hold it. How far a set of keys joins n accounts is n less the number of parts that are
left: a monotone submodular measure (the rank of a graph whose edges come in bundles). The fewest keys that reach the
measure of all keys are a submodular set cover, which is NP-hard. Greedy choice, always the key that joins the most
parts, takes at most 1 + 1/2 + ... + 1/d times the fewest, d + 1 being the accounts of the widest key (Wolsey 1982, "An
analysis of the greedy algorithm for the submodular set covering problem"). What later choices made needless is dropped.

Accounts and keys are numbers here; work is near-linear in the number of (account, key) entries.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

#: Accounts of a key.
Holders = Mapping[int, Sequence[int]]


class Parts:
    """Accounts in parts that keys join; joins can be taken back, the last one first."""

    def __init__(self) -> None:
        self._parent: dict[int, int] = {}
        self._size: dict[int, int] = {}
        self._joined: list[int] = []

    def part(self, account: int) -> int:
        """The account that stands for the whole part."""
        # Paths are not shortened: a join could not be taken back then. Parts are joined by size, so paths are short.
        while (above := self._parent.get(account, account)) != account:
            account = above
        return account

    def join(self, accounts: Iterable[int]) -> None:
        """Put ``accounts`` into one part."""
        whole: int | None = None
        for account in accounts:
            here = self.part(account)
            if whole is None or here == whole:
                whole = here
                continue
            small, large = sorted((here, whole), key=lambda part: (self._size.get(part, 1), part))
            self._parent[small] = large
            self._size[large] = self._size.get(large, 1) + self._size.get(small, 1)
            self._joined.append(small)
            whole = large

    def together(self, accounts: Sequence[int]) -> bool:
        """Whether ``accounts`` are in one part."""
        return len({self.part(account) for account in accounts}) < 2

    def now(self) -> int:
        """A moment to go back to."""
        return len(self._joined)

    def go_back(self, moment: int) -> None:
        """Take back what was joined since ``moment``."""
        while len(self._joined) > moment:
            small = self._joined.pop()
            large = self._parent.pop(small)
            self._size[large] -= self._size.get(small, 1)


class Joining:
    """Chooses keys round by round; what one round joined stays joined in the next."""

    def __init__(self, holders: Holders) -> None:
        self._holders = holders
        self._parts = Parts()
        #: Parts that a key would join, itself no part: 1 where it joins nothing any more.
        self._n_parts = {key: len(accounts) for key, accounts in holders.items()}
        #: Keys held in a part, by the account that stands for it.
        self._keys: dict[int, set[int]] = {}
        for key, accounts in holders.items():
            for account in accounts:
                self._keys.setdefault(account, set()).add(key)

    def fewest(self, keys: Sequence[int]) -> list[int]:
        """Keys of ``keys`` that join what all of them join, each needed; of two that join as much the earlier one."""
        before = Parts()
        for accounts in self._whole_parts():
            before.join(accounts)
        queue = [(-self._n_parts[key], place) for place, key in enumerate(keys)]
        heapq.heapify(queue)
        chosen: list[int] = []
        while queue and queue[0][0] < -1:
            expected, place = heapq.heappop(queue)
            key = keys[place]
            # A key joins fewer parts as time goes by, never more: an outdated entry goes back with what it joins now.
            if -expected != self._n_parts[key]:
                heapq.heappush(queue, (-self._n_parts[key], place))
                continue
            chosen.append(key)
            self._join(self._holders[key])
        return needed(chosen, self._holders, before)

    def _whole_parts(self) -> Iterable[list[int]]:
        """The accounts of each part."""
        members: dict[int, list[int]] = {}
        for account in sorted({a for accounts in self._holders.values() for a in accounts}):
            members.setdefault(self._parts.part(account), []).append(account)
        return members.values()

    def _join(self, accounts: Sequence[int]) -> None:
        """Join accounts and count anew how many parts each key has: the smaller set of keys goes into the larger."""
        first, *others = sorted({self._parts.part(account) for account in accounts})
        keys = self._keys.pop(first)
        for other in others:
            small, keys = sorted((keys, self._keys.pop(other)), key=len)
            for key in small:
                if key in keys:
                    self._n_parts[key] -= 1
                keys.add(key)
        self._parts.join((first, *others))
        self._keys[self._parts.part(first)] = keys


def needed(keys: Sequence[int], holders: Holders, parts: Parts) -> list[int]:
    """``keys`` without those that the others make needless, the last first; ``parts`` are joined already.

    Halves are tried with everything outside them joined, so that no key is looked at more than log2(keys) times.
    """
    accounts_of = {key: sorted({parts.part(account) for account in holders[key]}) for key in keys}
    times = Counter(part for accounts in accounts_of.values() for part in accounts)
    # Who holds no other of the keys needs this one.
    sure = {
        key
        for key, accounts in accounts_of.items()
        if len(accounts) > 1 and any(times[a] == 1 for a in accounts)
    }
    for key in sure:
        parts.join(accounts_of[key])
    stays = set(sure)
    doubtful = [key for key in keys if key not in sure]

    def join(some: Iterable[int]) -> None:
        for key in some:
            parts.join(accounts_of[key])

    def visit(part: Sequence[int]) -> None:
        if len(part) < 2:
            stays.update(key for key in part if not parts.together(accounts_of[key]))
            return
        half = len(part) // 2
        moment = parts.now()
        join(part[:half])
        visit(part[half:])
        parts.go_back(moment)
        join(key for key in part[half:] if key in stays)
        visit(part[:half])
        parts.go_back(moment)

    visit(doubtful)
    return [key for key in keys if key in stays]

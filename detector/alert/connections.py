"""What connects the accounts of a case, and what would be left without it: questions a reviewer of an appeal asks.

Read from rows of ``why`` alone, in near-linear time; equal rows in any order give an equal answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from detector.alert.incidence import Incidence, Row, SharedKey
from detector.alert.joining import Joining
from detector.alert.phrases import count, share

if TYPE_CHECKING:
    import networkx as nx

#: Listed at most; how many more there are is said.
MAX_KEYS, MAX_SPLITS = 20, 5
#: What the rows cannot show, as they are the strongest of each family and account.
NOT_ALL = (
    "Only the strongest few keys of each family are kept for an account, and only those at least half of whose "
    "accounts are in the group: the accounts may be connected by more than is shown, never by less."
)


@dataclass(frozen=True)
class Parts:
    """How many parts the accounts are in, of which no two share a key, and how many accounts the largest has."""

    n_accounts: int
    n_parts: int
    n_largest: int
    largest_share: float

    def sentence(self) -> str:
        """In words, to stand after "the accounts"."""
        if self.n_parts == 1:
            return f"stay in one part ({self.n_accounts:,} of {self.n_accounts:,})"
        largest = f"the largest holds {self.n_largest:,} of {self.n_accounts:,} ({share(self.largest_share)})"
        return f"are in {self.n_parts:,} parts; {largest}"


@dataclass(frozen=True)
class Split:
    """A key without which the accounts are in more parts, and those parts."""

    key: SharedKey
    without: Parts


@dataclass(frozen=True)
class Connections:
    """What connects a group.

    Attributes
    ----------
    n_accounts : accounts with evidence on the day of the score.
    n_keys : keys that two or more of them share.
    whole, unspoofable : the parts they are in by all keys, and by those that nobody can spoof.
    keys : the fewest keys that connect them as all do, those that nobody can spoof first (``joining``).
    n_more_keys, n_more_splits : left out of ``keys`` and ``splits``.
    splits : keys each of which alone holds parts together, the one that leaves the smallest largest part first.
    """

    n_accounts: int
    n_keys: int
    whole: Parts
    unspoofable: Parts
    keys: tuple[SharedKey, ...]
    n_more_keys: int
    splits: tuple[Split, ...]
    n_more_splits: int

    def sentences(self) -> tuple[str, ...]:
        """The answers in words: by how many keys, without spoofable ones, without any single one."""
        shared = count(self.n_keys, "key", "keys")
        lines = [f"By {shared} that they share the accounts {self.whole.sentence()}"]
        if self.keys:
            lines.append(f"{len(self.keys) + self.n_more_keys:,} of those would be enough")
        lines.append(
            f"Without spoofable keys, which an outsider could have arranged, the accounts {self.unspoofable.sentence()}"
        )
        if self.splits:
            worst = self.splits[0]
            lines.append(
                f"The most rests on one {worst.key.named()}: without it the accounts {worst.without.sentence()}"
            )
        elif self.keys:
            lines.append(
                "No single key holds them together: without any one of them the parts stay as they are"
            )
        return (*lines, NOT_ALL)


def connections(rows: Iterable[Row]) -> Connections | None:
    """What connects the accounts of a group, of its rows of ``why``; None where fewer than two have any."""
    seen = Incidence(rows)
    n = len(seen.accounts)
    if n < 2:
        return None
    chosen = _fewest(seen)
    splits = _splits(seen)
    return Connections(
        n_accounts=n,
        n_keys=sum(len(accounts) > 1 for accounts in seen.holders.values()),
        whole=_parts(n, _sizes(seen, seen.graph)),
        unspoofable=_parts(n, _sizes(seen, seen.unspoofable)),
        keys=tuple(seen.shown(key) for key in chosen[:MAX_KEYS]),
        n_more_keys=max(0, len(chosen) - MAX_KEYS),
        splits=tuple(Split(seen.shown(key), parts) for key, parts in splits[:MAX_SPLITS]),
        n_more_splits=max(0, len(splits) - MAX_SPLITS),
    )


def _fewest(seen: Incidence) -> list[int]:
    """The fewest keys nobody can spoof that join what all of those join, then the fewest others that add the rest."""
    joining = Joining(seen.holders)
    rounds = ([k for k in seen.holders if (k in seen.spoofable) == spoofable] for spoofable in (False, True))
    return [key for keys in rounds for key in joining.fewest(keys)]


def _sizes(seen: Incidence, graph: nx.Graph[int]) -> list[int]:
    """Accounts in each part."""
    import networkx as nx

    return [sum(map(seen.is_account, part)) for part in nx.connected_components(graph)]


def _parts(n: int, sizes: Sequence[int]) -> Parts:
    largest = max(sizes)
    return Parts(n, len(sizes), largest, largest / n)


def _splits(seen: Incidence) -> list[tuple[int, Parts]]:
    """Keys without which there are more parts, and those parts; the smallest largest part first, then the most parts.

    Parts that no single account or key holds together (biconnected components) and what they hang by make a tree. What
    a key holds apart are its branches: one walk counts the accounts of all (Hopcroft and Tarjan 1973).
    """
    sizes = sorted(_sizes(seen, seen.graph), reverse=True)
    ranked: list[tuple[int, Parts]] = []
    for key, branches in _branches(seen).items():
        others = sizes[1] if len(sizes) > 1 else 0
        beside = sizes[0] if sum(branches) < sizes[0] else others
        largest = max(*branches, beside)
        n = len(seen.accounts)
        ranked.append((key, Parts(n, len(sizes) - 1 + len(branches), largest, largest / n)))
    return sorted(ranked, key=lambda item: (item[1].n_largest, -item[1].n_parts, item[0]))


def _branches(seen: Incidence) -> dict[int, list[int]]:
    """Of every key that is all that holds some accounts together: how many accounts are on each side of it."""
    import networkx as nx

    blocks = [sorted(block) for block in nx.biconnected_components(seen.graph)]
    times = Counter(node for block in blocks for node in block)
    tree: nx.Graph[int] = nx.Graph()
    # Blocks are numbered below zero. An account where blocks meet is a node of its own, and counts once.
    weight = {node: int(seen.is_account(node)) for node in times if times[node] > 1}
    for number, block in enumerate(blocks, start=1):
        weight[-number] = sum(seen.is_account(node) and times[node] == 1 for node in block)
        tree.add_node(-number)
        tree.add_edges_from((-number, node) for node in block if times[node] > 1)
    branches: dict[int, list[int]] = {}
    for part in nx.connected_components(tree):
        root = min(part)
        walk = list(nx.bfs_edges(tree, root))
        below: dict[int, list[int]] = {}
        for above, node in reversed(walk):
            below.setdefault(above, []).append(weight[node])
            weight[above] += weight[node]
        for _, key in walk:
            if key >= 0 and not seen.is_account(key):
                branches[key] = [*below[key], weight[root] - weight[key]]
    return branches

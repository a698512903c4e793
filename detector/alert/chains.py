"""How one account is tied to the rest of its group: the shortest chains of keys, each without the keys of the others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from detector.alert.clean import show_id
from detector.alert.incidence import Incidence, Row, SharedKey
from detector.alert.phrases import count

if TYPE_CHECKING:
    import networkx as nx

#: Chains shown: three that share no key make a coincidence of any one of them harmless to the case.
MAX_CHAINS = 3
#: Stands for all accounts a chain may end at. Accounts and keys are numbered from 0.
_GOAL = -1


@dataclass(frozen=True)
class Chain:
    """Accounts in a row, each sharing the key of the same place with the next one."""

    accounts: tuple[str, ...]
    keys: tuple[SharedKey, ...]

    def sentence(self) -> str:
        """In words, from the account to the rest."""
        steps = [
            f"{one} and {other} share one {key.named()}, held by {key.n_accounts:,} in the group"
            for one, other, key in zip(self.accounts, self.accounts[1:], self.keys, strict=False)
        ]
        return "; ".join(steps)


@dataclass(frozen=True)
class Ties:
    """How an account is tied to its group.

    Attributes
    ----------
    account_id, group_id : safe to show.
    n_others : other accounts of the group with evidence on that day.
    n_reached, n_reached_unspoofable : those that shared keys lead to, of all kinds, and of kinds nobody can spoof.
    chains : of different families where there are such, the shortest first.
    """

    account_id: str
    group_id: str
    n_others: int
    n_reached: int
    n_reached_unspoofable: int
    chains: tuple[Chain, ...]

    def sentences(self) -> tuple[str, ...]:
        """The answers in words."""
        others = f"of the {count(self.n_others, 'other account', 'other accounts')} of {self.group_id}"
        return (
            f"Keys that it shares, and what those who hold them share, lead to {self.n_reached:,} {others}; without "
            f"spoofable keys, which an outsider could have arranged, to {self.n_reached_unspoofable:,}",
            *(chain.sentence() for chain in self.chains),
        )


def ties(account_id: str, group_id: str, rows: Iterable[Row]) -> Ties | None:
    """How ``account_id`` is tied to its group, of the group's rows of ``why``; None where they do not name it.

    A chain ends at the largest part of the accounts it leads to that keys nobody can spoof hold together without the
    account; where there is none, at whichever account shares a key. No key is in two chains, and none of the account's
    own keys but the first is in any: each chain stands without the others.
    """
    import networkx as nx

    seen = Incidence(rows)
    if account_id not in seen.accounts:
        return None
    account = seen.accounts.index(account_id)
    near = {n for n in nx.node_connected_component(seen.graph, account) if seen.is_account(n)}
    unspoofable = {n for n in nx.node_connected_component(seen.unspoofable, account) if seen.is_account(n)}
    goal = _goal(seen, account, near)
    return Ties(
        account_id=show_id(account_id, 64),
        group_id=show_id(group_id, 64),
        n_others=len(seen.accounts) - 1,
        n_reached=len(near) - 1,
        n_reached_unspoofable=len(unspoofable) - 1,
        chains=tuple(_shown(seen, path) for path in _paths(seen, account, goal)) if goal else (),
    )


def _goal(seen: Incidence, account: int, near: set[int]) -> list[int]:
    """Accounts a chain may end at, in order."""
    import networkx as nx

    graph = nx.restricted_view(seen.unspoofable, [account], [])
    parts = [[n for n in part if seen.is_account(n)] for part in nx.connected_components(graph)]
    parts = [sorted(part) for part in parts if part and part[0] in near]
    largest = min(parts, key=lambda part: (-len(part), part), default=[])
    return largest if len(largest) > 1 else sorted(near - {account})


def _paths(seen: Incidence, account: int, goal: Sequence[int]) -> list[list[int]]:
    """Chains as nodes, account and key in turn."""
    own = list(seen.graph[account])
    graph = seen.graph.copy()
    graph.remove_nodes_from([account, *own])
    graph.add_edges_from((_GOAL, end) for end in goal)
    paths: list[list[int]] = []
    families: set[str] = set()
    while own and len(paths) < MAX_CHAINS:
        tried = [[account, *path] for key in own if (path := _path(seen, graph, key, account))]
        if not tried:
            break
        best = min(tried, key=lambda path: _rank(seen, path, families))
        paths.append(best)
        families.add(seen.family(best[1]))
        graph.remove_nodes_from(best[3::2])
        own.remove(best[1])
    return paths


def _rank(seen: Incidence, path: Sequence[int], families: set[str]) -> tuple[bool, int, int, Sequence[int]]:
    """What comes first: another family, a short chain, few spoofable keys; then the heavier key, the lower number."""
    spoofable = sum(key in seen.spoofable for key in path[1::2])
    return (seen.family(path[1]) in families, len(path), spoofable, path[1:])


def _path(seen: Incidence, graph: nx.Graph[int], key: int, account: int) -> list[int]:
    """The shortest way from a key of the account to an account of the goal; empty where there is none."""
    import networkx as nx

    holders = [a for a in seen.holders[key] if a != account]
    ends = [a for a in holders if graph.has_edge(a, _GOAL)]
    if ends or not holders:
        return [key, ends[0]] if ends else []
    graph.add_edges_from((key, a) for a in holders)
    try:
        path: list[int] = nx.bidirectional_shortest_path(graph, key, _GOAL)
    except nx.NetworkXNoPath:
        return []
    finally:
        graph.remove_node(key)
    return path[:-1]


def _shown(seen: Incidence, path: Sequence[int]) -> Chain:
    return Chain(
        tuple(show_id(seen.accounts[node], 64) for node in path[::2]),
        tuple(seen.shown(k) for k in path[1::2]),
    )

"""Rows of ``why`` as a graph: accounts on one side, the keys they share on the other, a piece of evidence an edge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from detector.alert.clean import clean, show_id
from detector.alert.phrases import held

if TYPE_CHECKING:
    import networkx as nx

Row = Mapping[str, Any]

#: Accounts of a key that are named; the rest is counted.
MAX_ACCOUNTS = 6


@dataclass(frozen=True)
class SharedKey:
    """One key that accounts of the group share.

    Attributes
    ----------
    family, kind, label : cleaned. ``label`` is the commonest of its rows.
    key : the key as ``why`` holds it, hashed.
    spoofable : whether an outsider could have arranged it for a victim.
    bits : its heaviest row (bits).
    n_accounts : accounts of the group that hold it.
    accounts : the first of them by id.
    """

    family: str
    kind: str
    label: str
    key: str
    spoofable: bool
    bits: float
    n_accounts: int
    accounts: tuple[str, ...]

    def named(self) -> str:
        """ "card (billing / card: payment fingerprint; key 17)"."""
        label = f": {self.label}" if self.label else ""
        mark = "; spoofable" if self.spoofable else ""
        return (
            f"{held(self.kind, self.family).one} ({self.family} / {self.kind}{label}; key {self.key}{mark})"
        )

    def holders(self) -> str:
        """Who holds it: "a, b, c and 9 more"."""
        left = self.n_accounts - len(self.accounts)
        return ", ".join(self.accounts) + (f" and {left:,} more" if left else "")

    def sentence(self, n_accounts: int) -> str:
        """What it joins, of the ``n_accounts`` that have evidence."""
        return f"One {self.named()} joins {self.holders()} ({self.n_accounts:,} of {n_accounts:,})"


class Incidence:
    """The graph of one group: accounts are numbered from 0 by id, keys after them, the heaviest first."""

    def __init__(self, rows: Iterable[Row]) -> None:
        entries: dict[tuple[str, str, Any], dict[str, Row]] = {}
        for row in rows:
            # Without weight it is no evidence. Of several days the heaviest row of an account and key counts.
            if (row["bits"] or 0.0) > 0:
                of_key = entries.setdefault((str(row["family"]), str(row["kind"]), row["key"]), {})
                account = str(row["account_id"])
                of_key[account] = max(of_key.get(account, row), row, key=_weight)
        self.accounts = sorted({account for of_key in entries.values() for account in of_key})
        number = {account: n for n, account in enumerate(self.accounts)}
        self._entries = sorted(
            entries.items(), key=lambda item: (-_bits(item[1]), item[0][:2], str(item[0][2]))
        )
        first = len(self.accounts)
        self.holders = {
            k: sorted(map(number.__getitem__, e)) for k, (_, e) in enumerate(self._entries, first)
        }
        self.spoofable = {
            k for k, (_, e) in enumerate(self._entries, first) if any(row["spoofable"] for row in e.values())
        }

    @cached_property
    def graph(self) -> nx.Graph[int]:
        """All accounts and keys."""
        return self._graph(self.holders)

    @cached_property
    def unspoofable(self) -> nx.Graph[int]:
        """All accounts, and the keys that nobody can spoof."""
        return self._graph(key for key in self.holders if key not in self.spoofable)

    def _graph(self, keys: Iterable[int]) -> nx.Graph[int]:
        import networkx as nx

        graph: nx.Graph[int] = nx.Graph()
        graph.add_nodes_from(range(len(self.accounts)))
        for key in keys:
            graph.add_edges_from((key, account) for account in self.holders[key])
        return graph

    def is_account(self, node: int) -> bool:
        """Whether ``node`` is an account, and no key."""
        return node < len(self.accounts)

    def bits(self, key: int) -> float:
        """Weight of a key: its heaviest row."""
        return _bits(self._entries[key - len(self.accounts)][1])

    def family(self, key: int) -> str:
        """Evidence family of a key."""
        return self._entries[key - len(self.accounts)][0][0]

    def shown(self, key: int) -> SharedKey:
        """A key as it is shown."""
        (family, kind, name), rows = self._entries[key - len(self.accounts)]
        labels = Counter(label for row in rows.values() if (label := clean(row["detail"], 60)))
        accounts = self.holders[key]
        return SharedKey(
            family=clean(family, 40),
            kind=clean(kind, 40),
            label=min(labels, key=lambda label: (-labels[label], label), default=""),
            key=show_id(name, 40),
            spoofable=key in self.spoofable,
            bits=self.bits(key),
            n_accounts=len(accounts),
            accounts=tuple(show_id(self.accounts[a], 64) for a in accounts[:MAX_ACCOUNTS]),
        )


def _weight(row: Row) -> tuple[float, str, bool]:
    return (float(row["bits"]), str(row["detail"]), bool(row["spoofable"]))


def _bits(rows: Mapping[str, Row]) -> float:
    return max(float(row["bits"]) for row in rows.values())

"""Sums up what ties accounts together: thousands of ``why`` rows become one line for each kind of evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from detector.alert.clean import clean
from detector.alert.phrases import held

#: Most key labels shown of one kind, the commonest first.
_LABELS = 3


@dataclass(frozen=True)
class Evidence:
    """One kind of shared key in a group.

    Attributes
    ----------
    family, kind : cleaned, as they may come from third-party plug-ins and a site's own keys.
    n_members : accounts of the group that hold a key of this kind.
    n_keys : distinct keys.
    n_open_keys : keys that accounts outside the group hold too.
    bits : weight of the kind: the best key of each account, averaged over all accounts of the group (bits).
    most_bits : the heaviest single key (bits).
    most_sharing : accounts inside and outside the group that hold the most common key.
    spoofable : whether an outsider could have arranged it for a victim.
    labels : labels of the commonest keys, cleaned.
    """

    family: str
    kind: str
    n_members: int
    n_keys: int
    n_open_keys: int
    bits: float
    most_bits: float
    most_sharing: int
    spoofable: bool
    labels: tuple[str, ...]

    def sentence(self, n_accounts: int) -> str:
        """ "412 of 430 accounts paid with 9 cards (2 of them also held by accounts outside the group)"."""
        verb, one, many = held(self.kind, self.family)
        keys = f"one {one}" if self.n_keys == 1 else f"{self.n_keys:,} {many}"
        if n_accounts == 1:
            sharing = f" that {self.most_sharing:,} accounts hold in all" if self.most_sharing > 1 else ""
            return f"It {verb} {keys}{sharing}"
        whole = self.n_members == n_accounts
        who = f"All {n_accounts:,}" if whole else f"{self.n_members:,} of {n_accounts:,}"
        text = f"{who} accounts {verb} {keys}"
        if self.n_open_keys:
            others = f"{self.n_open_keys:,} of them"
            if self.n_open_keys == self.n_keys:
                others = "it is" if self.n_keys == 1 else "all"
            text += f" ({others} also held by accounts outside the group)"
        return text


def weigh(why: Iterable[Mapping[str, Any]], n_accounts: int) -> tuple[Evidence, ...]:
    """``why`` rows of one group, summed up by family and kind, heaviest first.

    Rows of several days count once for an account and key. NULL bits weigh nothing. NULL in ``n_sharing`` counts as
    "nobody else". All rows of the group are needed: without some, the group's own keys would seem to be held by others.
    """
    by_kind: dict[tuple[str, str], _Kind] = {}
    for row in why:
        place = (str(row["family"]), str(row["kind"]))
        by_kind.setdefault(place, _Kind()).add(row)
    summed = [kind.sum_up(family, name, n_accounts) for (family, name), kind in by_kind.items()]
    return tuple(sorted(summed, key=lambda e: (-e.bits, e.family, e.kind)))


class _Kind:
    """Rows of one kind while they are being counted."""

    def __init__(self) -> None:
        self.best: dict[str, float] = {}
        self.holders: dict[Any, set[str]] = {}
        self.sharing: dict[Any, int] = {}
        self.labels: Counter[str] = Counter()
        self.spoofable = False

    def add(self, row: Mapping[str, Any]) -> None:
        account, key, bits = row["account_id"], row["key"], row["bits"] or 0.0
        self.best[account] = max(self.best.get(account, bits), bits)
        self.holders.setdefault(key, set()).add(account)
        self.sharing[key] = max(self.sharing.get(key, 0), row["n_sharing"] or 0)
        self.spoofable = self.spoofable or bool(row["spoofable"])
        if label := clean(row["detail"], 60):
            self.labels[label] += 1

    def sum_up(self, family: str, kind: str, n_accounts: int) -> Evidence:
        ranked = sorted(self.labels.items(), key=lambda item: (-item[1], item[0]))
        return Evidence(
            family=clean(family, 40),
            kind=clean(kind, 40),
            n_members=len(self.best),
            n_keys=len(self.holders),
            n_open_keys=sum(n > len(self.holders[key]) for key, n in self.sharing.items()),
            bits=sum(self.best.values()) / max(n_accounts, len(self.best), 1),
            most_bits=max(self.best.values()),
            most_sharing=max(self.sharing.values()),
            spoofable=self.spoofable,
            labels=tuple(label for label, _ in ranked[:_LABELS]),
        )


def only_spoofable(why: Sequence[Mapping[str, Any]]) -> int:
    """Number of accounts that only spoofable evidence ties to a group: a victim would look like this."""
    solid: dict[str, bool] = {}
    for row in why:
        if (row["bits"] or 0.0) > 0:
            account = row["account_id"]
            solid[account] = solid.get(account, False) or not row["spoofable"]
    return sum(not is_solid for is_solid in solid.values())

"""The evidence graph of a night: which account holds which key, and what is known of either.

Built once from the gathered window, and the only thing that co-occurrence, similarity, template reuse, relational scores
and communities read. Accounts, keys, kinds, families and organisations are numbers from 0; names stand at the edges, in
``accounts``, ``organisations`` and ``kinds``. An account of the population that shares no key has no number: it counts in
``n_accounts``, which says how rare a key is.

Everything here is linear in the entries of the incidence (an account and a key it holds); no pair of holders is ever made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from detector.link.uses import BY_CHANCE, FAMILIES, NEIGHBOUR_LINKS, NEIGHBOUR_TEXT, SAME_SOURCE, Use

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.int8]


@dataclass(frozen=True, eq=False)
class Keys:
    """Facts of the keys, an entry each: codes of ``kind`` and ``family``, whether it is spoofable, and its degree,
    the number of accounts that hold it in the window."""

    kind: Bytes
    family: Bytes
    spoofable: Bools
    degree: Codes

    def __len__(self) -> int:
        return len(self.degree)

    def of(self, codes: Ints) -> Keys:
        """Those of ``codes``, in their order."""
        return Keys(self.kind[codes], self.family[codes], self.spoofable[codes], self.degree[codes])


@dataclass(frozen=True, eq=False)
class EvidenceGraph:
    """Who holds what in the window: one entry an account and key, sorted by account and then by key.

    Attributes
    ----------
    accounts : account_id by number. organisations : names by number; accounts without one are each their own.
    organisation, volume : of each account: number of its organisation, requests in the window.
    n_accounts : population of the window, those that share no key included.
    kinds : names of kinds by number.
    account, key : of each entry.
    level : of each entry its place in ``levels``, the bits that two holders of the key say if nobody else holds it, faded
        by age.
    n, n_prompts, asked_sum, n_days : of each entry: uses in the window, distinct prompts and sum of their elicitation
        scores (0 and NaN where it is not text), days it was used on.
    """

    accounts: pl.Series
    organisations: pl.Series
    organisation: Codes
    volume: Floats
    n_accounts: int
    kinds: tuple[str, ...]
    keys: Keys
    account: Codes
    key: Codes
    level: npt.NDArray[np.uint16]
    levels: Floats
    n: Codes
    n_prompts: Codes
    asked_sum: Floats
    n_days: npt.NDArray[np.uint16]

    def __len__(self) -> int:
        return len(self.key)

    @property
    def n_holders(self) -> int:
        """Accounts that share any key: the length of whatever has an entry for each."""
        return len(self.accounts)

    @cached_property
    def source(self) -> Bytes:
        """Of each key the family that it is evidence of its own in; see ``SAME_SOURCE``."""
        sources = self.keys.family.copy()
        for kind, family in SAME_SOURCE.items():
            if kind in self.kinds:
                sources[self.keys.kind == self.kinds.index(kind)] = FAMILIES.index(family)
        return sources

    @cached_property
    def spoofable_or_chance(self) -> Bools:
        """Whether a key makes no bond unspoofable: it is spoofable, or strangers come by it."""
        weak: Bools = self.keys.spoofable | np.isin(self.source, [FAMILIES.index(f) for f in BY_CHANCE])
        return weak

    def weight(self, entries: Ints | slice = slice(None)) -> Floats:
        """Bits of entries before rarity."""
        return self.levels[self.level[entries]]

    def telling(self, use: Use) -> Bools:
        """Which keys ``use`` reads: of its families and kinds, with enough holders and not too many."""
        chosen = np.isin(self.keys.family, [FAMILIES.index(family) for family in use.families])
        if use.kinds:
            chosen &= np.isin(self.keys.kind, [i for i, kind in enumerate(self.kinds) if kind in use.kinds])
        of = self.n_accounts if use.of == "population" else self.n_holders
        degree = self.keys.degree
        chosen &= (degree >= use.least) & (degree <= max(use.number, use.share * of))
        return chosen

    def entries(self, use: Use) -> Ints:
        """Places of the entries of the keys that ``use`` reads, in order."""
        inside = self.telling(use)[self.key]
        if use.is_text:
            inside &= self.n > 0
        return np.flatnonzero(inside)

    def restricted(self, entries: Ints) -> EvidenceGraph:
        """The graph of these entries (ascending) and their keys, numbered anew in their order; all accounts stay.

        Degrees stay what they are in the whole window.
        """
        remaining = np.zeros(len(self.keys), bool)
        remaining[self.key[entries]] = True
        number = np.cumsum(remaining, dtype=np.int32) - 1
        return replace(
            self,
            keys=self.keys.of(np.flatnonzero(remaining)),
            account=self.account[entries],
            key=number[self.key[entries]],
            **{
                name: getattr(self, name)[entries]
                for name in ("level", "n", "n_prompts", "asked_sum", "n_days")
            },
        )

    @cached_property
    def neighbours(self) -> EvidenceGraph:
        """Where neighbours are met: links and text that few enough share."""
        inside = np.zeros(len(self), bool)
        for use in (NEIGHBOUR_LINKS, NEIGHBOUR_TEXT):
            inside[self.entries(use)] = True
        return self.restricted(np.flatnonzero(inside))

    @cached_property
    def places(self) -> Places:
        """Organisations on each key."""
        wide = int(self.organisation.max(initial=0)) + 1
        code = self.key.astype(np.int64) * wide + self.organisation[self.account]
        places, place = np.unique(code, return_inverse=True)
        key = places // wide
        return Places(place.astype(np.int64), key, np.bincount(key, minlength=len(self.keys)))

    def of(self, accounts: pl.Series, values: Floats, missing: float) -> Floats:
        """``values`` of ``accounts`` by number; ``missing`` for those of none, or NaN."""
        pairs = pl.DataFrame({"account_id": accounts, "value": pl.Series(values, nan_to_null=True)})
        rows = pl.DataFrame({"account_id": self.accounts}).join(
            pairs, on="account_id", how="left", maintain_order="left"
        )
        by_number: Floats = rows["value"].fill_null(missing).to_numpy()
        return by_number

    def rows(self, entries: Ints, *columns: str) -> pl.DataFrame:
        """Entries as a frame: any of account, code, kind, family, spoofable, n_sharing (the key's degree), n, n_prompts,
        asked_sum (NULL: not known), n_days, weight."""
        key = self.key[entries]
        facts: dict[str, Callable[[], npt.NDArray[np.generic] | pl.Series]] = {
            "account": lambda: self.account[entries],
            "code": lambda: key,
            "kind": lambda: _named(self.kinds, self.keys.kind[key]),
            "family": lambda: _named(FAMILIES, self.keys.family[key]),
            "spoofable": lambda: self.keys.spoofable[key],
            "n_sharing": lambda: self.keys.degree[key],
            "n": lambda: self.n[entries],
            "n_prompts": lambda: self.n_prompts[entries],
            "asked_sum": lambda: pl.Series(self.asked_sum[entries], nan_to_null=True),
            "n_days": lambda: self.n_days[entries],
            "weight": lambda: self.weight(entries),
        }
        return pl.DataFrame({name: facts[name]() for name in columns})


@dataclass(frozen=True, eq=False)
class Places:
    """A place is a key and an organisation that holds it. ``place``: of each entry of the graph; ``key``: of each place;
    ``organisations``: of each key, how many hold it."""

    place: Ints
    key: Ints
    organisations: Ints


def _named(names: tuple[str, ...], codes: Bytes) -> pl.Series:
    """Codes (-1: none) as the names they stand for."""
    enum = pl.Series(names, dtype=pl.Enum(names))
    return enum.gather(pl.Series(codes.astype(np.int32)).replace(-1, None))


def buckets(account: Ints | Codes, key: Ints | Codes, degree: Ints | Codes, size: int) -> Ints:
    """Column of each entry when keys of more than ``size`` holders are dealt into buckets: keys in order, then buckets.

    Who meets whom at a hub is drawn by account and key, so that other strangers meet at every key: two accounts that have
    many hubs in common meet at some of them. ``degree``: holders of the key of each entry.
    """
    many = np.zeros(int(key.max(initial=-1)) + 1, np.int64)
    many[key] = -(-degree.astype(np.int64) // size)
    column: Ints = (np.cumsum(many) - many)[key]
    hub = np.flatnonzero(degree > size)
    mixed = (account[hub].astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) ^ (
        key[hub].astype(np.uint64) * np.uint64(0xC2B2AE3D27D4EB4F)
    )
    column[hub] += ((mixed >> np.uint64(33)) % many[key[hub]].astype(np.uint64)).astype(np.int64)
    return column


def organisation_codes(names: pl.Series) -> tuple[pl.Series, Codes]:
    """Names of organisations in order, and the number of each of ``names`` among them."""
    code = names.rank("dense").cast(pl.Int32).to_numpy() - 1
    return names.unique().sort(), code

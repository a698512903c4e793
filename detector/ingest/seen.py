"""Which request ids are in the lake or were read already, in eight bytes each.

Ids are kept as 64-bit hashes under a secret of the run, so nobody can make two ids meet on purpose; by
chance two of 100 million do so once in 3,700 runs.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

_Hashes = npt.NDArray[np.uint64]


class SeenIds:
    """A set of ids that only grows: sorted runs, merged as they reach one another's size."""

    def __init__(self) -> None:
        self._seed = secrets.randbits(64)
        self._runs: list[_Hashes] = []

    def load(self, parts: Iterable[Path]) -> None:
        """Add the ``request_id`` of Parquet parts, one part at a time."""
        for part in parts:
            self._add(np.unique(self._hash(pl.read_parquet(part, columns=["request_id"])["request_id"])))

    def new(self, ids: pl.Series) -> pl.Series:
        """True for each id not seen before, the first of equal ones; those are seen from now on."""
        hashes = self._hash(ids)
        fresh = np.zeros(len(hashes), bool)
        unique, first = np.unique(hashes, return_index=True)
        known = np.zeros(len(unique), bool)
        for run in self._runs:
            at = np.searchsorted(run, unique)
            at[at == len(run)] = 0
            known |= run[at] == unique
        fresh[first[~known]] = True
        self._add(unique[~known])
        return pl.Series(fresh)

    def _hash(self, ids: pl.Series) -> _Hashes:
        hashed: _Hashes = ids.hash(self._seed).to_numpy()
        return hashed

    def _add(self, run: _Hashes) -> None:
        if not len(run):
            return
        self._runs.append(run)
        while len(self._runs) > 1 and len(self._runs[-1]) * 2 >= len(self._runs[-2]):
            merged = np.concatenate([self._runs.pop(), self._runs.pop()])
            merged.sort(kind="stable")
            self._runs.append(merged)

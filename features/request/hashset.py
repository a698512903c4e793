"""A set of 64-bit hashes in eight bytes each, for the requests or templates that were met before."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

U64 = npt.NDArray[np.uint64]


class HashSet:
    """A set that only grows: sorted runs, merged when they reach similar sizes."""

    def __init__(self) -> None:
        self._runs: list[U64] = []

    def __len__(self) -> int:
        return sum(len(run) for run in self._runs)

    def new(self, hashes: U64) -> npt.NDArray[np.bool_]:
        """True for each hash that was not met before, but only for the first of equal ones. All count as met now."""
        fresh = np.zeros(len(hashes), dtype=np.bool_)
        unique, first = np.unique(hashes, return_index=True)
        unknown = ~self._contains(unique)
        fresh[first[unknown]] = True
        self._add(unique[unknown])
        return fresh

    def contains(self, hashes: U64) -> npt.NDArray[np.bool_]:
        """True for each hash that was met before. The set does not change."""
        unique, inverse = np.unique(hashes, return_inverse=True)
        return self._contains(unique)[inverse]

    def _contains(self, unique: U64) -> npt.NDArray[np.bool_]:
        hits = np.zeros(len(unique), dtype=np.bool_)
        for run in self._runs:
            at = np.searchsorted(run, unique)
            at[at == len(run)] = 0
            hits |= run[at] == unique
        return hits

    def _add(self, run: U64) -> None:
        if not len(run):
            return
        self._runs.append(run)
        while len(self._runs) > 1 and len(self._runs[-1]) * 2 >= len(self._runs[-2]):
            merged = np.concatenate([self._runs.pop(), self._runs.pop()])
            merged.sort(kind="stable")
            self._runs.append(merged)

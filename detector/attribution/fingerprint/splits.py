"""Folds over groups: all rows of a prompt are in one fold, whatever the order of the rows."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def folds_of(groups: Sequence[str], n_folds: int, seed: int = 0) -> npt.NDArray[np.int64]:
    """Fold 0..n_folds-1 of each row, the same for all rows of a group. Fold sizes differ by at most one group.

    Groups are ordered by a keyed digest, so the folds do not depend on the order of the rows.

    Raises
    ------
    ValueError : fewer groups than folds.
    """
    distinct = sorted(
        set(groups), key=lambda g: hashlib.blake2b(f"{seed}|{g}".encode("utf-8", "replace")).digest()
    )
    if len(distinct) < n_folds:
        raise ValueError(f"{len(distinct)} groups cannot be split into {n_folds} folds")
    place = {g: number % n_folds for number, g in enumerate(distinct)}
    return np.array([place[g] for g in groups], np.int64)

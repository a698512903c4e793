"""The n-gram columns that a model kept after training, and texts as weighted rows over them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from detector.attribution.fingerprint.hashed import SIZE, Floats, Ints, damped, firsts, passes


class Vocabulary:
    """The columns kept after training: hash -> position, with inverse document frequencies.

    ``columns`` are sorted hash columns of both blocks (token block from ``SIZE`` on), ``idf`` one weight each.
    """

    def __init__(self, columns: npt.NDArray[np.int32], idf: Floats) -> None:
        if len(columns) != len(idf):
            raise ValueError("columns and idf differ in length")
        if len(columns) and (np.any(np.diff(columns) <= 0) or columns[0] < 0 or columns[-1] >= 2 * SIZE):
            raise ValueError("columns are not sorted, unique hash columns")
        self.columns = columns
        self.idf = idf
        self.n_bytes = int(np.searchsorted(columns, SIZE))
        # Slot 0 takes the grams that were not kept, and nothing reads it.
        self._slots = np.zeros(2 * SIZE, np.uint32)
        self._slots[columns] = np.arange(1, len(columns) + 1)

    def __len__(self) -> int:
        return len(self.columns)

    def vectors(self, texts: Sequence[str | None]) -> tuple[Ints, npt.NDArray[np.int32], Floats]:
        """Weighted sparse rows of ``texts``: row pointers, positions 0..len-1, values.

        value = (1 + ln count) * idf, with each block scaled to length 1. A text without kept grams is an empty row.
        """
        pointers, positions, values = [np.zeros(1, np.int64)], [], []
        total, room = 0, len(self) + 1
        for _, one_pass in passes(texts):
            n = one_pass.n_texts
            keys = []
            for block in (0, 1):
                slots = self._slots[block * SIZE : (block + 1) * SIZE].take(one_pass.columns[block])
                kept = np.flatnonzero(slots)
                keys.append(
                    one_pass.texts[block].take(kept).astype(np.uint32) * np.uint32(room) + slots.take(kept)
                )
            ordered = np.concatenate(keys)
            ordered.sort()
            at = firsts(ordered)
            counts = np.diff(np.append(at, len(ordered)))
            row, slot = np.divmod(ordered[at], np.uint32(room))
            slot -= np.uint32(1)
            value = damped(counts) * self.idf[slot]
            half = row * np.uint32(2) + (slot >= self.n_bytes)
            length = np.sqrt(np.bincount(half, weights=value * value, minlength=2 * n))
            value /= length[half].astype(np.float32)
            pointers.append(total + np.cumsum(np.bincount(row, minlength=n)))
            total += len(at)
            positions.append(slot.astype(np.int32))
            values.append(value)
        return (
            np.concatenate(pointers),
            np.concatenate(positions) if positions else np.zeros(0, np.int32),
            np.concatenate(values) if values else np.zeros(0, np.float32),
        )

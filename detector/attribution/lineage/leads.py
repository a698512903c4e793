"""A ranking of makers by closeness to a model's answers, for cases where no verdict can be given.

Students of the commonest assistants sound like every other model, so no candidate stands out among the decoys. Two
facts still help. Some candidates are near every model, so closeness to them says little. And a student of a maker is
near all of that maker's models, while any other model is near one of them by accident. So closeness is measured against
the decoys' closeness to the same candidate, and a maker's lead is the mean over its candidates less the nearest
candidate of any other maker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

#: Fewest decoys of a null.
LEAST_DECOYS = 8


def robust_z(value: Floats | float, null: Floats) -> Any:
    """(value - median) / (1.4826 MAD) over the last axis of ``null``."""
    middle = np.median(null, axis=-1)
    spread = 1.4826 * np.median(np.abs(null - middle[..., None]), axis=-1)
    return (value - middle) / np.maximum(spread, 1e-6)


def closeness(
    mean_similarity: npt.NDArray[Any], models: Sequence[str], suspect: str, candidates: Sequence[str],
    decoys: Sequence[str], families: Mapping[str, str], *, corrected: bool = True,
) -> dict[str, float]:  # fmt: skip
    """Closeness of ``suspect`` to each other candidate.

    The unit is robust deviations of the decoys' closeness; without ``corrected`` it is plain similarity. A decoy of the
    candidate's own family is no decoy for it. The result is empty where decoys are too few for a null.
    """
    place = {m: i for i, m in enumerate(models)}
    out = {}
    for candidate in candidates:
        if candidate == suspect or candidate not in place:
            continue
        maker = families.get(candidate, candidate)
        null = [
            place[d]
            for d in decoys
            if d in place and d not in (suspect, candidate) and families.get(d, d) != maker
        ]
        if len(null) < LEAST_DECOYS:
            return {}
        value = float(mean_similarity[place[suspect], place[candidate]])
        others = mean_similarity[null, place[candidate]].astype(np.float64)
        out[candidate] = float(robust_z(value, others)) if corrected else value
    return out


def leads_of(
    near: Mapping[str, float], families: Mapping[str, str], *, nearest: int | None = None
) -> dict[str, float]:
    """Each maker's lead: the mean over its (``nearest``) candidates less the nearest of any other maker, best first."""
    by_maker: dict[str, list[float]] = {}
    for candidate, value in near.items():
        by_maker.setdefault(families.get(candidate, candidate), []).append(value)
    top = {maker: max(values) for maker, values in by_maker.items()}
    leads = {
        maker: float(np.mean(sorted(values)[-(nearest or len(values)) :]))
        - max((v for other, v in top.items() if other != maker), default=0.0)
        for maker, values in by_maker.items()
    }
    return dict(sorted(leads.items(), key=lambda item: -item[1]))


def family_leads(
    mean_similarity: npt.NDArray[Any], models: Sequence[str], suspect: str, candidates: Sequence[str],
    decoys: Sequence[str], families: Mapping[str, str],
) -> dict[str, float]:  # fmt: skip
    """How far each maker leads all others in closeness to ``suspect``, in deviations of the decoys, best first."""
    return leads_of(closeness(mean_similarity, models, suspect, candidates, decoys, families), families)

"""Whose habits a model's answers are nearest to, as a ranking: what remains where no verdict can be given.

Students of the commonest assistants sound like everybody, so no candidate stands out among the decoys. Two things
still tell them: some candidates are near to every model, and closeness to those says little; and a student of a maker
is near to all of its models, while a stranger is near to one by accident. So closeness is measured against how close
decoys are to that candidate, and a maker leads by the mean over its candidates less the nearest of any other maker's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

#: Fewer decoys make no null.
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
    """Closeness of ``suspect`` to each other candidate, in robust deviations of the decoys' (else plain similarity).

    A decoy of the candidate's own family is no decoy for it. Empty where decoys are too few for a null.
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
    """Each maker's lead: mean over its (``nearest``) candidates less the nearest of any other's; best first."""
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
    """How far each maker leads all others as ``suspect``'s nearest kin, in deviations of the decoys; best first."""
    return leads_of(closeness(mean_similarity, models, suspect, candidates, decoys, families), families)

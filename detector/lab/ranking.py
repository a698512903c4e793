"""How well scores rank: recall where a share of the honest accounts is exceeded."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def recall_at(score: npt.NDArray[np.float64], label: npt.NDArray[np.bool_], share: float) -> float:
    """Recall at the score that at most ``share`` of the honest accounts exceed."""
    honest = np.sort(score[~label])[::-1]
    allowed = int(np.floor(share * len(honest)))
    limit = honest[allowed] if allowed < len(honest) else -np.inf
    return float((score[label] > limit).mean()) if label.any() else float("nan")

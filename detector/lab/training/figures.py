"""How well each stage tells, on worlds that its model never saw."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.metrics import average_precision_score, roc_auc_score

from detector.lab.ranking import recall_at
from detector.score.conduct import SINGLE_ACCOUNT_KINDS

if TYPE_CHECKING:
    from detector.lab.training.fitting import Course

Floats = npt.NDArray[np.float64]


def figures_of(course: Course) -> dict[str, float]:
    """AUC, average precision and recall of each stage's cross-fitted answers, with the sizes they are of."""
    own = pl.concat([scores.own for scores in course.scores])
    conduct, groups = course.rows["conduct"], course.rows["group"]
    attacker = (conduct["label"] == 1).to_numpy()
    single = conduct["kind"].is_in(SINGLE_ACCOUNT_KINDS).fill_null(False).to_numpy() & attacker
    members = course.rows["membership"]
    taught = members["label"].is_not_null().to_numpy()
    return {
        "account_days": float(len(conduct)),
        "group_days": float(len(groups)),
        "bad_group_days": float((groups["label"] == 1).sum()),
        "members_of_bad_groups": float(taught.sum()),
        "false_members": float((members["label"] == 0).sum()),
        **_told("harvest", attacker & ~single, own["harvest_bits"].to_numpy(), ~single),
        **_told("single_account", single, own["single_account_bits"].to_numpy(), single | ~attacker),
        **_told("group", (groups["label"] == 1).to_numpy(), course.answers["group"][""], None),
        **_told(
            "membership",
            (members["label"] == 1).fill_null(False).to_numpy(),
            course.answers["membership"][""],
            taught,
        ),
        **_relational(course),
    }


def _relational(course: Course) -> dict[str, float]:
    figures: dict[str, float] = {}
    for number in (1, 2):
        rows = course.rows[f"relational_round_{number}"]
        figures |= _told(
            f"relational_round_{number}",
            (rows["label"] == 1).fill_null(False).to_numpy(),
            course.answers[f"relational_round_{number}"][""],
            rows["label"].is_not_null().to_numpy(),
        )
    return figures


def _told(
    name: str, label: npt.NDArray[np.bool_], bits: Floats, among: npt.NDArray[np.bool_] | None
) -> dict[str, float]:
    """How well scores tell ``among`` some rows; nothing where these hold one class only."""
    if among is not None:
        label, bits = label[among], bits[among]
    if label.all() or not label.any():
        return {}
    return {
        f"{name}_auc": float(roc_auc_score(label, bits)),
        f"{name}_average_precision": float(average_precision_score(label, bits)),
        f"{name}_recall_at_0.001": recall_at(bits, label, 0.001),
    }

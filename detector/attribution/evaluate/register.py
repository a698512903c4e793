"""Students of the commonest register, whom no z can settle: the AUROC of the maker's lead.

A score that was picked on the same models it is reported on looks too good. So there are two figures: one of the
score that ``compare`` prints, and one of a score picked on other models. For the second, half of the model families
pick the best of a few scores and the other half report it, over many halvings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from detector.attribution.evaluate.figures import auroc
from detector.attribution.lineage.leads import closeness, leads_of

#: Scores that halves of the models pick from: closeness corrected by decoys or not, with all candidates of the maker,
#: its nearest two, or its nearest.
SCORES: tuple[tuple[bool, int | None], ...] = tuple((c, n) for c in (True, False) for n in (None, 2, 1))
#: The score that ``compare`` prints.
SHOWN = (True, None)
HALVINGS = 200


def register_of(
    models: list[str], mean: npt.NDArray[Any], pairs: Sequence[Mapping[str, str]], register: Mapping[str, Any],
    candidates: Sequence[str], families: Mapping[str, str],
) -> dict[str, Any]:  # fmt: skip
    """AUROC of the register's students against models of any other maker, and against the controls.

    ``register`` is its entry in the class lists: ``family``, ``teachers``, ``not_teachers``, ``not_students``, ``kin``.
    """
    family, leave = register["family"], set(register.get("not_teachers", ()))
    rivals = [
        c for c in candidates if c not in leave and (families.get(c) != family or c in register["teachers"])
    ]
    decoys = [m for m in models if m not in candidates]
    taught = [
        r["student"]
        for r in pairs
        if r["teacher_vendor"] == family
        and r["student"] in models
        and r["teacher"] not in leave
        and r["kind"] not in register.get("not_students", ())
    ]
    elsewhere = [m for m in decoys if families.get(m) != family]
    controls = [r["student"] for r in pairs if r["kind"].startswith("control") and r["student"] in models]
    leads: dict[tuple[bool, int | None], dict[str, float]] = {score: {} for score in SCORES}
    for model in dict.fromkeys([*taught, *elsewhere, *controls]):
        for corrected in (True, False):
            near = closeness(mean, models, model, rivals, decoys, families, corrected=corrected)
            for score in SCORES:
                if score[0] == corrected:
                    leads[score][model] = leads_of(near, families, nearest=score[1]).get(family, 0.0)
    unseen = _over_halves(leads, taught, elsewhere, register.get("kin", ()))
    return {
        "auroc_register": _auroc(leads[SHOWN], taught, elsewhere),
        "auroc_register_against_controls": _auroc(leads[SHOWN], taught, controls),
        "auroc_register_picked_on_other_models": float(np.mean(unseen)) if unseen else None,
        "its_spread_over_halves": float(np.std(unseen)) if unseen else None,
        "n_register_students": len(taught),
        "n_elsewhere": len(elsewhere),
    }


def _over_halves(
    leads: Mapping[Any, Mapping[str, float]],
    taught: Sequence[str],
    elsewhere: Sequence[str],
    kin: Sequence[str],
) -> list[float]:
    """AUROC on one half of the model families, of the score that was best on the other half."""

    def kin_of(model: str) -> str:
        return next((part for part in kin if part.lower() in model.lower()), model)

    groups = [
        sorted({kin_of(m) for m in taught}),
        sorted({kin_of(m) for m in elsewhere} - {kin_of(m) for m in taught}),
    ]
    if min(map(len, groups)) < 4:
        return []
    rng = np.random.default_rng(0)
    out = []
    for _ in range(HALVINGS):
        picking = {str(g) for names in groups for g in rng.permutation(names)[: len(names) // 2]}
        high, low = ([m for m in many if kin_of(m) in picking] for many in (taught, elsewhere))
        high_left, low_left = ([m for m in many if kin_of(m) not in picking] for many in (taught, elsewhere))
        best = max(leads, key=lambda score: _auroc(leads[score], high, low) or 0.0)
        if (value := _auroc(leads[best], high_left, low_left)) is not None:
            out.append(value)
    return out


def _auroc(lead: Mapping[str, float], high: Sequence[str], low: Sequence[str]) -> float | None:
    return (
        auroc(np.array([lead[m] for m in high]), np.array([lead[m] for m in low])) if high and low else None
    )

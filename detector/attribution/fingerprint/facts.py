"""What training reports: counts, accuracies and mistakes, all on held-out groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from detector.attribution.corpus.reading import Labelled
from detector.attribution.fingerprint import copies
from detector.attribution.fingerprint.blend import Blend, calibration_error, interval

if TYPE_CHECKING:
    from detector.attribution.fingerprint.training import Corpus, HeldOut


def facts_of(
    data: Labelled, background: Sequence[str], members: Sequence[str], folds: int, seed: int, corpus: Corpus,
    held_out: HeldOut, log_known: npt.NDArray[np.float64], truth: npt.NDArray[np.int64], names: Sequence[str], blend: Blend,
) -> dict[str, Any]:  # fmt: skip
    """The facts of the card, all measured on held-out prompts.

    ``log_known`` and ``truth`` are log-probabilities over the known classes and the classes of the labelled texts.
    """
    best = log_known.argmax(axis=1)
    right = int((best == truth).sum())
    own = corpus.classes < len(names)
    alone = {
        name: float((held_out.scores[0][m][own][:, : len(names)].argmax(axis=1) == truth).mean())
        for m, name in enumerate(members)
    }
    changed = {
        kind: float(
            (
                blend.log_probs(held_out.scores[c], corpus.lengths[c])[own][:, : len(names)].argmax(axis=1)
                == truth
            ).mean()
        )
        for c, kind in enumerate(copies.TRAINING)
    }
    return {
        "n_texts": len(data.texts),
        "n_skipped": data.n_skipped,
        "n_groups": len(set(data.groups)),
        "grouped": data.grouped,
        "n_background": len(background),
        "texts_a_class": {n: int((truth == i).sum()) for i, n in enumerate(names)},
        "folds": folds,
        "seed": seed,
        "accuracy": right / len(truth),
        "accuracy_interval": interval(right, len(truth)),
        "calibration_error": calibration_error(log_known, truth),
        "recall_a_class": {
            n: float((best[truth == i] == i).mean()) if (truth == i).any() else None
            for i, n in enumerate(names)
        },
        "accuracy_a_member": alone,
        "accuracy_a_copy": changed,
        "most_confused": _confused(best, truth, names),
    }


def _confused(best: npt.NDArray[Any], truth: npt.NDArray[Any], names: Sequence[str]) -> list[list[Any]]:
    """The five commonest mistakes: (written by, taken for, share of the author's texts)."""
    table = np.zeros((len(names), len(names)))
    np.add.at(table, (truth, best), 1)
    table /= np.maximum(table.sum(axis=1, keepdims=True), 1)
    np.fill_diagonal(table, 0)
    order = np.argsort(-table, axis=None)[:5]
    at = [divmod(int(o), len(names)) for o in order]
    return [[names[i], names[j], float(table[i, j])] for i, j in at if table[i, j] > 0]

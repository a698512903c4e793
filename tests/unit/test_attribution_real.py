"""A quick look at real outputs, where they are: three makers are told apart, and layout is not all that tells them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the attribution extra is not installed")

from detector.attribution.corpus.reading import Labelled, batches
from detector.attribution.extra import chosen_device
from detector.attribution.fingerprint import copies, training

DATA = Path(os.environ.get("HYDRAWATCH_DATA", "")) / "attribution" / "outputs.parquet"
MODELS = ("gpt-4o-2024-05-13", "claude-2", "llama-2-70b-chat-hf")


@pytest.mark.skipif(
    "HYDRAWATCH_DATA" not in os.environ or not DATA.exists(), reason="HYDRAWATCH_DATA is not set"
)
def test_three_real_models_are_told_apart_on_held_out_prompts() -> None:
    rows = [
        row
        for batch in batches(DATA, ["output", "model", "prompt_index"])
        for row in batch
        if row[1] in MODELS and row[2] < 160 and row[0]
    ]
    seen, held = ([r for r in rows if (r[2] < 110) == first] for first in (True, False))
    data = Labelled([r[0] for r in seen], [r[1] for r in seen], [f"g:{r[2]}" for r in seen], {}, 0, True)
    model = training.train(data, members=("linear",), folds=2, device=chosen_device("cpu"))
    for change, least in (("none", 0.7), ("markdown stripped", 0.6)):
        log_p = model.log_probs([copies.ROBUSTNESS[change](r[0], 1) for r in held])
        named = [model.classes[i] for i in log_p.argmax(axis=1)]
        assert np.mean([n == r[1] for n, r in zip(named, held, strict=True)]) > least

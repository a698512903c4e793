"""Attribution on CUDA: the same answers as on the CPU, and the encoder in mixed precision."""

from __future__ import annotations

import random

import numpy as np
import pytest

from detector.attribution.corpus.reading import Labelled
from detector.attribution.extra import chosen_device
from detector.attribution.fingerprint import encoder, linear, training
from detector.attribution.fingerprint.model import Fingerprint

torch = pytest.importorskip("torch", reason="the attribution extra is not installed")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]

WORDS = {"amber": "sure glad happy great thanks", "birch": "therefore thus hence whereas moreover"}


def made() -> Labelled:
    rng = random.Random(0)
    rows = [
        (" ".join(rng.choices([*w.split(), "and", "the"], k=20)), m, f"g:{p}")
        for p in range(40)
        for m, w in WORDS.items()
    ]
    texts, labels, groups = (list(column) for column in zip(*rows, strict=True))
    return Labelled(texts, labels, groups, {}, 0, True)


def test_cuda_is_chosen_by_itself() -> None:
    assert chosen_device("auto").type == "cuda"


def test_weights_fitted_on_cuda_are_those_of_the_cpu() -> None:
    data = made()
    classes = np.array([label == "birch" for label in data.labels], np.int64)
    vocabulary = linear.choose_columns(data.texts, classes, kept=500)
    rows = vocabulary.vectors(data.texts)
    here = linear.fit_weights(rows, len(vocabulary), classes, 2, device=chosen_device("cpu"))
    there = linear.fit_weights(rows, len(vocabulary), classes, 2, device=chosen_device("cuda"))
    assert np.allclose(here[0], there[0], atol=0.05)


def test_a_model_trained_on_cuda_answers_alike_on_the_cpu() -> None:
    data = made()
    found = training.train(
        data, members=("linear", "style", "encoder"), folds=2, device=chosen_device("cuda")
    )
    assert found.facts["accuracy"] > 0.9
    moved = Fingerprint(
        found.classes, {}, False, found.members, found.blend, found.rule, chosen_device("cpu"), found.facts
    )
    assert np.allclose(np.exp(found.log_probs(data.texts)), np.exp(moved.log_probs(data.texts)), atol=0.05)


def test_the_encoder_trains_in_mixed_precision() -> None:
    data = made()
    classes = np.array([label == "birch" for label in data.labels], np.int64)
    arrays = encoder.fit_encoder(data.texts, classes, 2, device=chosen_device("cuda"))
    assert all(np.isfinite(v).all() for v in arrays.values())

"""Declared frames: a wrong column fails where it is handed over."""

from __future__ import annotations

import polars as pl
import pytest

from detector.frames import Frame

PAIR = Frame("pair", {"name": pl.String, "bits": pl.Float64})


def test_more_columns_are_welcome() -> None:
    frame = pl.DataFrame({"name": ["a"], "bits": [1.0], "extra": [1]})
    assert PAIR.check(frame) is frame
    assert PAIR.check(PAIR.empty()).is_empty()


def test_every_wrong_column_is_named() -> None:
    with pytest.raises(TypeError, match=r"frame 'pair': name is missing; bits is Int64, expected Float64"):
        PAIR.check(pl.DataFrame({"nom": ["a"], "bits": [1]}))

"""The composed statements of the account and the group grain, as text: review reads what changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from features import compose, plugins

HERE = Path(__file__).parent / "sql"


@pytest.mark.parametrize("grain", ["account", "group"])
def test_composed_statement(grain: Literal["account", "group"], golden: Callable[[Path, str], None]) -> None:
    known = {name: frozenset(c.name for c in columns) for name, columns in compose.relations().items()}
    composed = compose.compose(plugins.measures(grain), available=known)
    assert composed.skipped == ()
    golden(HERE / f"{grain}.sql", composed.sql + "\n")

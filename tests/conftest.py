"""What tests of several folders share: rewriting golden files, running worked examples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from detector.lake.store import Store
from features import compose
from features.spec import Measure, Tie

Rows = list[dict[str, Any]]
RunOn = Callable[[Measure | Tie, Mapping[str, Sequence[Mapping[str, Any]]]], Rows]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite tests/golden instead of comparing")


@pytest.fixture
def run_on() -> RunOn:
    """Runs a plug-in on literal rows and returns its rows in a fixed order."""

    def run(plugin: Measure | Tie, tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> Rows:
        return sorted(compose.run_on(plugin, tables), key=repr)

    return run


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty lake, opened for writing."""
    with Store(tmp_path / "lake", threads=1) as made:
        yield made


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """Compares a text with a golden file, or rewrites the file under ``--update-golden``."""
    update = bool(request.config.getoption("--update-golden"))

    def check(path: Path, text: str) -> None:
        if update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.exists(), f"{path.name} is missing; run: pytest --update-golden"
        assert text == path.read_text(encoding="utf-8"), (
            f"{path.name} differs; look at the change, then: pytest --update-golden"
        )

    return check

"""One small labelled world and its lake, shared by the flow tests."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from detector.cli import app
from detector.lab.worlds.world import WorldSpec, make_world, write_world


def hydrawatch(*words: object) -> Result:
    """Run the command line in this process; errors users meet come back as their own exception."""
    return CliRunner().invoke(app, [str(w) for w in words])


def ok(*words: object) -> Result:
    """Run it and insist on success."""
    result = hydrawatch(*words)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("world")
    spec = WorldSpec(seed=900_001, days=3, honest_accounts=260, attacker_share=0.12, evasion_level=0)
    write_world(make_world(spec), out / "w")
    return out / "w"


@pytest.fixture(scope="session")
def finished(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The world ingested and run; not to be changed."""
    lake = tmp_path_factory.mktemp("lake") / "l"
    ok("ingest", world / "logs", "--lake", lake)
    ok("run", "--lake", lake)
    return lake


@pytest.fixture
def lake(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished lake, to be changed at will."""
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    ok("doctor", "--lake", copy)
    return copy

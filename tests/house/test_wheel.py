"""The wheel holds what users need - code, data, types, licence - and nothing else."""

from __future__ import annotations

import email
import importlib.metadata
import importlib.util
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("detector", "features", "rules")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Built from the working tree, without the network."""
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip("hatchling is not installed; it is among the dev extras")
    out = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    pip += ["--wheel-dir", str(out), str(ROOT)]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (made,) = out.glob("*.whl")
    return zipfile.ZipFile(made)


def shipped(wheel: zipfile.ZipFile) -> set[str]:
    return {name for name in wheel.namelist() if not name.endswith("/")}


def test_it_holds_the_packages_whole(wheel: zipfile.ZipFile) -> None:
    """Modules, and every data file beside them: phrases, lexicons, allow-lists, models, rules."""
    tracked = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix not in (".pyc", ".new")
    }
    assert tracked - shipped(wheel) == set()
    assert any(name.startswith("rules/models/") for name in tracked)


def test_it_holds_nothing_else(wheel: zipfile.ZipFile) -> None:
    info = f"hydrawatch-{PROJECT['version']}.dist-info"
    assert {name.split("/")[0] for name in shipped(wheel)} == {*PACKAGES, "hydrawatch.py", info}
    assert [n for n in shipped(wheel) if "__pycache__" in n or n.endswith((".pyc", ".pkl", ".parquet"))] == []


def test_it_is_typed_and_licensed(wheel: zipfile.ZipFile) -> None:
    assert {f"{package}/py.typed" for package in PACKAGES} <= shipped(wheel)
    assert any(name.endswith("licenses/LICENSE") for name in shipped(wheel))


def test_versions_agree(wheel: zipfile.ZipFile) -> None:
    (name,) = [n for n in shipped(wheel) if n.endswith("dist-info/METADATA")]
    metadata = email.message_from_bytes(wheel.read(name))
    assert metadata["Version"] == PROJECT["version"] == importlib.metadata.version("hydrawatch")
    assert metadata["License-Expression"] == "Apache-2.0"
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert "## [Unreleased]" in changelog or f"## [{PROJECT['version']}]" in changelog


def test_the_face_is_there_and_knows_its_version(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    """Taken from the wheel alone, as a user has it."""
    wheel.extractall(tmp_path)
    for arguments in (["-m", "hydrawatch", "--version"], ["-m", "detector", "--version"]):
        done = subprocess.run(
            [sys.executable, *arguments],
            capture_output=True,
            text=True,
            check=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
        )
        assert done.stdout == f"hydrawatch {PROJECT['version']}\n"
    code = "import hydrawatch; print(hydrawatch.__version__, hydrawatch.open_lake.__module__, hydrawatch.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.split() == [
        PROJECT["version"], "detector.library", str(tmp_path / "hydrawatch.py"),
    ]  # fmt: skip


def test_the_command_is_installed(wheel: zipfile.ZipFile) -> None:
    (name,) = [n for n in shipped(wheel) if n.endswith("dist-info/entry_points.txt")]
    assert "hydrawatch = detector.cli:main" in wheel.read(name).decode()

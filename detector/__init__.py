"""hydrawatch: decides and tells. ``open_lake`` is the way in for notebooks."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from detector.lake.opened import OpenedLake, open_lake

__all__ = ["OpenedLake", "__version__", "open_lake"]

try:
    __version__ = version("hydrawatch")
except PackageNotFoundError:  # a checkout that is on the path and not installed
    __version__ = "0+unknown"

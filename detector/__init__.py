"""hydrawatch: decides and tells. ``open_lake`` is the way in for notebooks and scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detector.library import Lake, open_lake

if TYPE_CHECKING:
    __version__: str

__all__ = ["Lake", "__version__", "open_lake"]


def __getattr__(name: str) -> str:
    """The version, looked up when it is asked for: that takes longer than starting a command does."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("hydrawatch")
    except PackageNotFoundError:  # a checkout that is on the path and not installed
        return "0+unknown"

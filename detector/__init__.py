"""hydrawatch finds networks of accounts and alerts on them. Notebooks and scripts start with ``open_lake``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detector.library import Lake, open_lake

if TYPE_CHECKING:
    __version__: str

__all__ = ["Lake", "__version__", "open_lake"]


def __getattr__(name: str) -> str:
    """The version, looked up on access: the look-up takes longer than the start of a command."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("hydrawatch")
    except PackageNotFoundError:  # a checkout on the path that is not installed
        return "0+unknown"

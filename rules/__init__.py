"""Shipped data, and nothing else: opens and hashes the files that lie beside this module.

``rules`` holds data (lexicons, allow-lists, models), never decisions. Names are paths
relative to this folder with forward slashes, ``"lexicons/stock_words.txt"``.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

__all__ = ["digest", "path", "read_bytes", "read_text"]


def path(name: str) -> Traversable:
    """Where a shipped file or folder lies.

    Raises
    ------
    ValueError : the name leaves this folder, or nothing of that name is shipped.
    """
    parts = name.split("/")
    if not name or any(part in ("", ".", "..") for part in parts) or "\\" in name:
        raise ValueError(f"{name!r} is not a name inside rules/")
    found = files(__name__).joinpath(*parts)
    if not (found.is_file() or found.is_dir()):
        raise ValueError(f"rules/{name} is not among the shipped files")
    return found


def read_bytes(name: str) -> bytes:
    """The content of a shipped file; ValueError when it is not shipped."""
    found = path(name)
    if not found.is_file():
        raise ValueError(f"rules/{name} is a folder, not a file")
    return found.read_bytes()


def read_text(name: str) -> str:
    """The content of a shipped UTF-8 file; ValueError when it is not shipped."""
    return read_bytes(name).decode("utf-8")


@cache
def digest(name: str) -> str:
    """SHA-256 of a shipped file, hex: what a lake writes down to say which data it was measured with."""
    return hashlib.sha256(read_bytes(name)).hexdigest()

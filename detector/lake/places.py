"""Folders and files of a lake: whether there is one, what a partition is called, durable writes, removal."""

from __future__ import annotations

import os
import re
import shutil
from datetime import date
from pathlib import Path

from detector.lake.trouble import in_words

#: Name of the one part that a run writes of a table and day.
PART = "part.parquet"
#: Name of the part without rows of a table, in its folder ``_``.
SCHEMA_PART = "empty.parquet"

_DAY = re.compile(r"day=\d{4}-\d\d-\d\d")


def is_lake(root: Path) -> bool:
    """Whether there is a lake at ``root``.

    Raises
    ------
    LakeError : no permission to look.
    """
    with in_words(root.absolute()):
        return (root.absolute() / "data").is_dir()


def sync(path: Path) -> None:
    """Have a file, or the names in a folder, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def day_of(folder: Path) -> date | None:
    """Day of a partition's folder; None: its name is not of one."""
    try:
        return date.fromisoformat(folder.name.removeprefix("day=")) if _DAY.fullmatch(folder.name) else None
    except ValueError:
        return None


def remove(path: Path) -> None:
    """Remove a file, a link or a folder with all that is in it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)

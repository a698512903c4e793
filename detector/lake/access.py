"""Who may read a lake: mode, group and owner of its folders and files, whatever the umask.

A new lake is its owner's alone (0700, files 0600), or also readable by one group (0750, 0640). A lake that is
there keeps what it has: whatever is added gets the mode and group of its ``data`` folder, so that a ``chmod``
of the operator holds, and whoever could read yesterday's parts can read today's.
"""

from __future__ import annotations

import grp
import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from detector.errors import ConfigError, Location

OWNER_ONLY = 0o700
GROUP_TOO = 0o750
#: What may lie in a folder that somebody made for a lake before its first ``ingest``.
_BEFOREHAND = {"hydrawatch.toml", "key", "lock"}


@dataclass(frozen=True)
class Access:
    """Mode of folders; group and owner (numbers) that what is added must get, None: as the process makes it."""

    mode: int
    group: int | None = None
    owner: int | None = None

    @property
    def file_mode(self) -> int:
        return self.mode & 0o666

    def make_folder(self, path: Path) -> None:
        """``path`` and the folders missing above it."""
        missing = []
        while not path.exists():
            missing.append(path)
            path = path.parent
        for folder in reversed(missing):
            with suppress(FileExistsError):  # another process was faster
                folder.mkdir(OWNER_ONLY)
                self.settle(folder)

    def settle(self, path: Path) -> None:
        """Give a file or folder just made its mode, group and owner."""
        status = path.stat()
        if self.group not in (None, status.st_gid) or self.owner not in (None, status.st_uid):
            os.chown(
                path,
                -1 if self.owner is None else self.owner,
                -1 if self.group is None else self.group,
            )
        path.chmod(self.mode if stat.S_ISDIR(status.st_mode) else self.file_mode)


def access_of(folder: Path) -> Access:
    """How a lake that is there wants what is added to it, told from its ``data`` folder."""
    status = folder.stat()
    if os.geteuid() == 0:  # the administrator looked in: what that leaves has to stay the owner's
        return Access(status.st_mode & 0o777, status.st_gid, status.st_uid)
    member = status.st_gid in (os.getegid(), *os.getgroups())
    return Access(status.st_mode & 0o777, status.st_gid if member else None)


def make_lake(root: Path, group: str | None) -> Access:
    """Make the folder of a new lake, for its owner alone or also for a group.

    A folder that is there and holds other things than a lake's keeps its mode.

    Raises
    ------
    ConfigError : no such group, or none of the caller's; a file lies where the folder should.
    """
    if above := next((p for p in (root, *root.parents) if p.exists() and not p.is_dir()), None):
        raise ConfigError(
            "is a file, expected the folder of a lake",
            at=Location(str(above)),
            hint="give --lake another place",
        )
    access = Access(GROUP_TOO, _number(group)) if group else Access(OWNER_ONLY)
    ours = not root.exists() or {p.name for p in root.iterdir()} <= _BEFOREHAND
    root.parent.mkdir(parents=True, exist_ok=True)
    root.mkdir(OWNER_ONLY, exist_ok=True)
    if ours:
        try:
            access.settle(root)
        except PermissionError as error:
            if group:
                raise ConfigError(
                    f"lake_group: {group!r} is not a group of yours",
                    at=Location(str(root)),
                    hint="see: id -Gn",
                ) from error
    return access


def _number(group: str) -> int:
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise ConfigError(
            f"lake_group: no group {group!r} on this machine", hint="yours are listed by: id -Gn"
        ) from None

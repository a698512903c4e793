"""The parts of a lake as a file system that can only read them: no other path exists in it, and none can be written.

DuckDB allows or forbids a path for reading and writing together. Analysts' statements run on a connection that may
open nothing but ``lake://`` paths, and these are served from here: a fixed list of parts, opened for reading.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import fsspec

SCHEME = "lake"


class Part:
    """One open part. DuckDB's threads share it, so each has a position of its own and reads by ``pread``."""

    mode = "rb"
    closed = True

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        self._size = os.fstat(self._handle).st_size
        self._at: dict[int, int] = {}
        self.closed = False

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self.tell(), os.SEEK_END: self._size}[whence]
        self._at[threading.get_ident()] = start + offset
        return start + offset

    def tell(self) -> int:
        return self._at.get(threading.get_ident(), 0)

    def read(self, n: int = -1) -> bytes:
        at = self.tell()
        data = os.pread(self._handle, n if n >= 0 else self._size - at, at)
        self._at[threading.get_ident()] = at + len(data)
        return data

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            os.close(self._handle)

    def __del__(self) -> None:
        self.close()


class Parts(fsspec.AbstractFileSystem):  # type: ignore[misc]
    """``lake://`` names to files. ``trouble`` is why one could not be opened: it had gone when a run replaced it."""

    protocol = SCHEME
    cachable = False

    def __init__(self, files: Mapping[str, Path]) -> None:
        super().__init__()
        self._files = dict(files)
        self.trouble: OSError | None = None

    @property
    def names(self) -> list[str]:
        """Every path there is."""
        return list(self._files)

    def open(self, path: str, mode: str = "rb", **_: object) -> Part:
        if mode != "rb":
            self._refuse(path)
        file = self._file(path)
        try:
            return Part(file)
        except OSError as error:
            self.trouble = error
            raise

    def info(self, path: str, **_: object) -> dict[str, Any]:
        status = os.stat(self._file(path), follow_symlinks=False)
        return {"name": path, "size": status.st_size, "type": "file", "mtime": status.st_mtime}

    def modified(self, path: str) -> datetime:
        return datetime.fromtimestamp(self.info(path)["mtime"], UTC)

    def exists(self, path: str, **_: object) -> bool:
        return path in self._files

    isfile = exists

    def isdir(self, path: str) -> bool:
        return False

    def ls(self, path: str, detail: bool = True, **_: object) -> list[Any]:
        return []

    def glob(self, path: str, **_: object) -> list[str]:
        return [path] if path in self._files else []

    def _file(self, path: str) -> Path:
        try:
            return self._files[path]
        except KeyError:
            raise FileNotFoundError(f"{path} is no part of this lake") from None

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return path

    def _refuse(self, path: object = "", *_: object, **__: object) -> NoReturn:
        raise PermissionError(f"{path}: the lake is read-only here")

    mkdir = makedirs = rmdir = rm = rm_file = _rm = mv = move = copy = cp_file = touch = pipe_file = (
        put_file
    ) = _refuse

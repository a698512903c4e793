"""Writes events as JSON lines to a file that a log shipper follows, or to stdout."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from detector.alert.sink import Event, Sink, refuse_unknown, setting
from detector.errors import ConfigError, DeliveryError, Location


@dataclass(frozen=True)
class Jsonl:
    """One event a line. An event counts as sent when it is on the disk. ``path`` None is stdout."""

    name: str
    path: Path | None = None

    def send(self, event: Event, *, key: str) -> int:
        line = orjson.dumps(event) + b"\n"
        try:
            if self.path is None:
                sys.stdout.write(line.decode())
                sys.stdout.flush()
            else:
                _append(self.path, line)
        except OSError as error:
            where = Location(str(self.path) if self.path else "stdout")
            raise DeliveryError(
                f"sink {self.name!r}: cannot write {key}: {error.strerror or error}", at=where, arrived=False
            ) from error
        return 1


def _append(path: Path, line: bytes) -> None:
    # Log shippers read it through the group. Nobody else may read it: events name accounts.
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        size = os.fstat(handle).st_size
        # A crash may have left half a line: it is ended, so that the reader loses only that one.
        if size and os.pread(handle, 1, size - 1) != b"\n":
            line = b"\n" + line
        while line:
            line = line[os.write(handle, line) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def make(name: str, settings: Mapping[str, Any]) -> Sink:
    """A sink from its settings: ``path``, a file to append to; ``-`` or none is stdout.

    Raises
    ------
    ConfigError : the file's folder does not exist, it is no plain file, or it cannot be written.
    """
    refuse_unknown(settings, ["path"], sink=name)
    text = setting(settings, "path", str, None, sink=name)
    if text in (None, "-"):
        return Jsonl(name)
    path = Path(text).expanduser()
    at = Location(str(path))
    try:
        if not path.parent.is_dir():
            # The folder is not created: a path with a slip would be written for months and read by nobody.
            raise ConfigError(
                f"sink {name!r}: the folder of its file does not exist",
                at=at,
                hint=f"make it: mkdir -p {shlex.quote(str(path.parent))}",
            )
        if path.exists() and not path.is_file():
            raise ConfigError(f"sink {name!r}: expected a plain file", at=at, hint='stdout is path = "-"')
        allowed = os.access(path if path.exists() else path.parent, os.W_OK)
    except (OSError, ValueError) as error:
        raise ConfigError(f"sink {name!r}: not a path: {error}", at=at) from error
    if not allowed:
        raise ConfigError(f"sink {name!r}: no permission to write its file", at=at)
    return Jsonl(name, path)

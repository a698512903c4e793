"""Writes events as JSON lines to a file a log shipper follows, or to stdout."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from detector.alert.sink import Event, Sink, refuse_unknown, setting
from detector.errors import DeliveryError, Location


@dataclass(frozen=True)
class Jsonl:
    """One event a line, appended and flushed to disk before it counts as sent; ``path`` None is stdout."""

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
                f"sink {self.name!r}: cannot write {key}: {error.strerror}", at=where
            ) from error
        return 1


def _append(path: Path, line: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Readable by the group, as log shippers need, and by nobody else: events name accounts.
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        size = os.fstat(handle).st_size
        # A crash may have left half a line: end it, so that only that one is lost to the reader.
        if size and os.pread(handle, 1, size - 1) != b"\n":
            line = b"\n" + line
        while line:
            line = line[os.write(handle, line) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def make(name: str, settings: Mapping[str, Any]) -> Sink:
    """A sink from its settings: ``path``, a file to append to; ``-`` or none is stdout."""
    refuse_unknown(settings, ["path"], sink=name)
    path = setting(settings, "path", str, None, sink=name)
    return Jsonl(name, None if path in (None, "-") else Path(path).expanduser())

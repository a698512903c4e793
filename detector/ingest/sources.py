"""Which files a call of ``ingest`` means, and what becomes of each: read, passed over or unreadable.

Nothing is skipped in silence: every given path, and every file in a given folder, becomes a ``Source`` or a
``Skip`` with its reason. The content of a file decides what it is (``kinds``).
"""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from detector.errors import Location, LogError
from detector.ingest import kinds
from detector.ingest.kinds import Kind, Layout, Status
from detector.ingest.unpack import Packing, shown, text_of

KINDS = "JSON lines or arrays, CSV with a header, Parquet; each but Parquet also as gz, zst, bz2, xz or lz4"
#: Names of files that tools put beside their data. The name alone decides.
_MARKERS = re.compile(
    r"_success|_started.*|_committed.*|_metadata|_common_metadata|.*\.(crc|md5|sha\d*|sha\d*sum|asc|sig|idx|pos|sst)"
    r"|(md5|sha\d+)sums?(\..*)?|checksums?(\..*)?|manifest([.\-_].*)?|.*\.manifest|.*[-_]manifest\.json"
    r"|_delta_log|_spark_metadata|_temporary|.*\.metadata\.json|snap-.*\.avro|.*-m\d+\.avro"
    r"|aws-logs-write-test|.*-permission-check|.*elbaccesslogtestfile|.*_cloudtrail-digest_.*"
    r"|thumbs\.db|desktop\.ini|lost\+found|@eadir",
    re.I,
)
#: Bodies that are too long for a line of Bedrock's log, and lie in files beside it.
_BODY = re.compile(r".*BedrockModelInvocationLogs/.*/data/[^/]*_(input|output)\.json(\.gz)?")
_SPECIAL = {
    stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
}  # fmt: skip


@dataclass(frozen=True)
class Source:
    """A file to read."""

    path: Path
    layout: Layout
    packing: Packing
    n_bytes: int
    encoding: str = ""

    @property
    def name(self) -> str:
        """The path as text for tables and messages."""
        return text_of(self.path)


@dataclass(frozen=True)
class Skip:
    """A file or folder that is not read.

    ``passed``: it is no log, or it is ignored. ``unreadable``: somebody should look at it, or add it to ``ignore``.
    """

    path: Path
    status: Status
    reason: str


@dataclass
class Selection:
    """Files to read, in order of their paths, and those that are not read, with the reason."""

    sources: list[Source] = field(default_factory=list)
    skips: list[Skip] = field(default_factory=list)


def find(paths: Iterable[Path | str], ignore: Sequence[str] = (), lake: Path | None = None) -> Selection:
    """Files meant by ``paths``; folders are read whole, links are followed, no file comes twice.

    Parameters
    ----------
    paths : files, folders, links.
    ignore : shell patterns of names or paths to pass over; ``*`` also crosses folders. A pattern without a slash is
        compared with the name of every file and folder, one with a slash with paths.
    lake : the lake's own folder. It is never read, nor is any other lake.

    Raises
    ------
    LogError : none of ``paths`` exists, which can only be a slip.
    """
    roots = [Path(path) for path in paths]
    if roots and not any(os.path.lexists(path) for path in roots):
        raise LogError("no such file or folder", at=Location(shown(roots[0])), hint=f"what is read: {KINDS}")
    walk = _Walk(tuple(ignore), _identity(lake) if lake else None)
    for path in roots:
        walk.take(path)
    walk.selection.sources.sort(key=lambda s: str(s.path))
    walk.selection.skips.sort(key=lambda s: str(s.path))
    return walk.selection


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


class _Walk:
    def __init__(self, ignore: tuple[str, ...], lake: tuple[int, int] | None) -> None:
        self.selection = Selection()
        self._ignore = ignore
        self._lake = lake
        self._files: dict[tuple[int, int], Path] = {}
        self._folders: dict[tuple[int, int], Path] = {}

    def take(self, root: Path) -> None:
        """Take one path of the command line."""
        if pattern := self._ignored(root, root):
            return self._skip(root, "passed", f"ignored ({pattern})")
        try:
            status = root.stat()
            holder = self._lake_above(root)
        except OSError as error:  # also a link that leads to itself
            return self._skip(root, "unreadable", f"cannot be read: {error.strerror}")
        if holder:
            reason = f"part of a lake ({shown(holder)}), which is never read: keep logs outside of it"
            return self._skip(root, "unreadable", reason)
        if not stat.S_ISDIR(status.st_mode):
            return self._file(root, explicit=True)
        for path in self._below(root):
            self._file(path, explicit=False)
        return None

    def _skip(self, path: Path, status: Status, reason: str) -> None:
        self.selection.skips.append(Skip(path, status, reason))

    def _ignored(self, path: Path, root: Path) -> str | None:
        for pattern in self._ignore:
            if "/" not in pattern.strip("/"):
                if fnmatch.fnmatchcase(path.name, pattern.strip("/")):
                    return pattern
                continue
            below = path.relative_to(root) if path.is_relative_to(root) else path
            shapes = (str(below), str(path), os.path.abspath(path))
            if any(fnmatch.fnmatchcase(shape, pattern.rstrip("/")) for shape in shapes):
                return pattern
        return None

    def _is_lake(self, folder: Path) -> bool:
        if self._lake is not None and _identity(folder) == self._lake:
            return True
        if os.path.isfile(folder / "hydrawatch.duckdb"):
            return True
        return all(os.path.isdir(folder / name) for name in ("data", "journal", "staging"))

    def _lake_above(self, path: Path) -> Path | None:
        real = Path(os.path.realpath(path))
        return next((folder for folder in (real, *real.parents) if self._is_lake(folder)), None)

    def _below(self, root: Path) -> Iterator[Path]:
        """Files in the folder ``root`` and below. A folder that a loop of links leads to is entered once."""
        waiting = [root]
        while waiting:
            folder = waiting.pop()
            try:
                status = folder.stat()
                identity = (status.st_dev, status.st_ino)
                if identity in self._folders:
                    self._skip(folder, "passed", f"the same folder as {shown(self._folders[identity])}")
                    continue
                self._folders[identity] = folder
                with os.scandir(folder) as entries:
                    names = sorted(entry.name for entry in entries)
            except OSError as error:
                self._skip(folder, "unreadable", f"folder cannot be read: {error.strerror}")
                continue
            inner: list[Path] = []
            for name in names:
                path = folder / name
                is_folder = os.path.isdir(path)
                if reason := self._passed_by_name(path, root, is_folder=is_folder):
                    self._skip(path, "passed", reason)
                elif is_folder and self._is_lake(path):
                    self._skip(path, "passed", "a lake, which is never read")
                elif os.path.islink(path) and (holder := self._lake_above(path)):
                    self._skip(path, "passed", f"part of a lake ({shown(holder)}), which is never read")
                elif is_folder:
                    inner.append(path)
                else:
                    yield path
            waiting.extend(reversed(inner))

    def _passed_by_name(self, path: Path, root: Path, *, is_folder: bool) -> str | None:
        if pattern := self._ignored(path, root):
            return f"ignored ({pattern})"
        if path.name.startswith("."):
            return "hidden"
        if _MARKERS.fullmatch(path.name):
            return "a marker or checksum file, no log"
        if not is_folder and _BODY.fullmatch(str(path)):
            return "a body that Bedrock keeps beside its log; bodies are not followed"
        return None

    def _file(self, path: Path, *, explicit: bool) -> None:
        try:
            status = path.stat()
            mode = stat.S_IFMT(status.st_mode)
            if mode != stat.S_IFREG:
                reason = f"{_SPECIAL.get(mode, 'no regular file')}, not a file: write it to a file first"
                return self._skip(path, "unreadable" if explicit else "passed", reason)
            identity = (status.st_dev, status.st_ino)
            if identity in self._files:
                return self._skip(path, "passed", f"the same file as {shown(self._files[identity])}")
            kind = kinds.kind_of(path, status.st_size)
        except OSError as error:
            what = "a link to nothing" if path.is_symlink() and not path.exists() else error.strerror or error
            return self._skip(path, "unreadable", f"cannot be read: {what}")
        self._files[identity] = path
        if isinstance(kind, Kind):
            self.selection.sources.append(
                Source(path, kind.layout, kind.packing, status.st_size, kind.encoding)
            )
            return None
        return self._skip(path, kind.status, kind.reason)

"""Which files a call of ``ingest`` means: paths, folders and links become a sorted list of readable files.

A path that was named must be readable; what merely lies in a named folder is skipped and reported when it
is no log.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from detector.errors import Location, LogError

Layout = Literal["lines", "json", "csv", "parquet"]
Packing = Literal["", "gz", "zst"]

_LAYOUTS: dict[str, Layout] = {
    ".jsonl": "lines",
    ".ndjson": "lines",
    ".json": "json",
    ".csv": "csv",
    ".parquet": "parquet",
}
_PACKINGS: dict[str, Packing] = {".gz": "gz", ".gzip": "gz", ".zst": "zst", ".zstd": "zst"}
KINDS = ".jsonl .ndjson .json .csv .parquet, each but Parquet also as .gz or .zst"


@dataclass(frozen=True)
class Source:
    """A file to read. ``explicit``: it was named itself, so a fault is an error and not a skip."""

    path: Path
    layout: Layout
    packing: Packing
    n_bytes: int
    explicit: bool


@dataclass
class Found:
    """Files to read, in order of their paths, and what was passed over with the reason."""

    sources: list[Source] = field(default_factory=list)
    passed: list[tuple[Path, str]] = field(default_factory=list)


def find(paths: Iterable[Path | str]) -> Found:
    """Files meant by ``paths``; folders are read whole, links are followed, no file comes twice.

    Raises
    ------
    LogError : a named path does not exist, cannot be read, or is no log file.
    """
    found = Found()
    seen: set[tuple[int, int]] = set()
    for given in paths:
        path = Path(given)
        try:
            status = path.stat()
        except FileNotFoundError:
            raise LogError(
                "no such file or folder", at=Location(str(path)), hint=f"readable: {KINDS}"
            ) from None
        except OSError as error:  # a link that leads to itself, a folder that may not be entered
            raise LogError(f"cannot be read: {error.strerror}", at=Location(str(path))) from None
        files = _below(path, found, set()) if stat.S_ISDIR(status.st_mode) else iter([path])
        for file in files:
            _take(file, found, seen, explicit=file is path)
    found.sources.sort(key=lambda s: str(s.path))
    return found


def _below(folder: Path, found: Found, entered: set[tuple[int, int]]) -> Iterator[Path]:
    """Files under ``folder``; a folder that was entered before (a loop of links) is not entered again."""
    try:
        status = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda e: e.name)
    except OSError as error:
        found.passed.append((folder, f"cannot be read: {error.strerror}"))
        return
    if (status.st_dev, status.st_ino) in entered:
        return
    entered.add((status.st_dev, status.st_ino))
    for entry in entries:
        try:
            is_folder = entry.is_dir()
        except OSError:
            is_folder = False
        if is_folder:
            yield from _below(Path(entry.path), found, entered)
        else:
            yield Path(entry.path)


def _take(path: Path, found: Found, seen: set[tuple[int, int]], *, explicit: bool) -> None:
    fault, hint = "", f"readable: {KINDS}"
    layout: Layout | None = None
    packing: Packing = ""
    status: os.stat_result | None = None
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            fault = "not a regular file"
        else:
            layout, packing, fault = _kind(path, explicit=explicit)
    except OSError as error:
        fault, hint = f"cannot be read: {error.strerror}", "check that it exists and its permissions"
    if fault or layout is None or status is None:
        if explicit:
            raise LogError(fault, at=Location(str(path)), hint=hint)
        found.passed.append((path, fault))
        return
    if (status.st_dev, status.st_ino) not in seen:
        seen.add((status.st_dev, status.st_ino))
        found.sources.append(Source(path, layout, packing, status.st_size, explicit))


def _kind(path: Path, *, explicit: bool) -> tuple[Layout | None, Packing, str]:
    """Layout and packing by name, the packing corrected by the first bytes; or what is wrong."""
    suffixes = [s.lower() for s in path.suffixes]
    packing = _PACKINGS.get(suffixes[-1], "") if suffixes else ""
    if packing:
        suffixes.pop()
    layout = _LAYOUTS.get(suffixes[-1]) if suffixes else None
    if layout is None and not explicit:
        return None, "", "no log file by its name"
    with path.open("rb") as handle:
        head = handle.read(64)
    magic: Packing = "gz" if head[:2] == b"\x1f\x8b" else "zst" if head[:4] == b"\x28\xb5\x2f\xfd" else ""
    if magic:
        packing = magic
    elif packing and head:
        # Renamed, or damaged in its first bytes: only text can still be read as it stands.
        if head.lstrip()[:1] not in (b"{", b"["):
            return None, "", f"named .{packing} but does not start as such a file"
        packing = ""
    if head[:4] == b"PAR1" or layout == "parquet":
        if packing:
            return None, "", "a compressed Parquet file (Parquet compresses by itself)"
        if head[:4] != b"PAR1":
            return None, "", "named .parquet but is not a Parquet file"
        return "parquet", "", ""
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return None, "", "UTF-16 text, expected UTF-8"
    if layout is None and not packing and head.lstrip()[:1] not in (b"{", b"["):
        return None, "", "neither its name nor its first byte says what it is"
    return layout or "lines", packing, ""

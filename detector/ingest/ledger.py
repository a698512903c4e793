"""The ledger of files: which were read under which settings, which were passed over, which could not be read."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import polars as pl

from detector.errors import Location, LogError
from detector.ingest.formats import Options
from detector.ingest.report import UNAUTHENTICATED, FileReport
from detector.ingest.unpack import opened

if TYPE_CHECKING:
    from detector.lake.store import Store

#: Raised when the readers learn to read more: files that gave nothing are then read a second time.
READER_VERSION = 3
#: The part of ``files`` that every call replaces: paths that were passed over or unreadable.
SKIPPED_PART = "skipped.parquet"

Row = dict[str, Any]

_CHUNK = 1 << 20
_TIMES = {
    name: pl.Datetime("us")
    for name in ("first_ts", "last_ts", "future_from", "late_to", "ingested_at", "reread_at")
}
_NUMBERS = ("n_bytes", "n_lines", "n_requests", "n_rejects", "n_duplicates", "n_other", "n_unknown_keys")
_COLUMNS: dict[str, pl.DataType | type[pl.DataType]] = {
    "file_id": pl.String, "path": pl.String, "status": pl.String, "reason": pl.String, "format": pl.String,
    "content": pl.String, **dict.fromkeys(_NUMBERS, pl.Int64), "reject_codes": pl.String,
    "settings": pl.String, "settings_digest": pl.String, **_TIMES,
}  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """What decides how a file is read: the format forced (or ``auto``), the site's options, pseudonyms."""

    format: str
    options: Options
    pseudonymise: bool

    def of(self, form: str, content: str) -> dict[str, Any]:
        """The settings that matter for a file of this format and content."""
        settings: dict[str, Any] = {
            "format": self.format, "reader": READER_VERSION, "pseudonymise_accounts": self.pseudonymise,
        }  # fmt: skip
        if content == "requests":
            for name, value in asdict(self.options).items():
                owner = name.partition("_")[0] if name.endswith("_keys") else form
                if owner == form:
                    settings[name] = value
        return settings

    def changed(self, row: Row) -> list[str]:
        """In words, which settings were different when a file of the ledger was read, without reader and format.

        A row without settings comes from an older lake and counts as read under those of today.
        """
        if not row["settings"]:
            return []
        then, now = settings_of(row), json.loads(_text(self.of(row["format"], row["content"])))
        return [
            f"{name} was {_shown(then.get(name))}, is {_shown(now.get(name))}"
            for name in sorted(set(then) | set(now))
            # A setting that did not exist when the file was read counts as not set.
            if name not in ("format", "reader") and (then.get(name) or None) != (now.get(name) or None)
        ]

    def reader_changed(self, row: Row) -> bool:
        """Whether the file was read by another version of the readers."""
        return bool(row["settings"]) and settings_of(row).get("reader") != READER_VERSION


def settings_of(row: Row) -> Mapping[str, Any]:
    """The settings that a file of the ledger was read under; empty in lakes of older releases."""
    return _parsed(row["settings"] or "{}")


@lru_cache(maxsize=256)
def _parsed(text: str) -> Mapping[str, Any]:
    """Parsed JSON, cached: most files of a lake have the same settings and the same few reject codes."""
    return MappingProxyType(json.loads(text))


def options_of(row: Row, today: Options) -> Options:
    """The options that a file of the ledger was read under; those of today for options that it does not hold."""
    then = settings_of(row)
    names = {f.name for f in fields(Options)}
    settings = {k: tuple(v) if isinstance(v, list) else v for k, v in then.items() if k in names}
    return Options(**{**asdict(today), **settings})


def forced_of(row: Row) -> str:
    """The format that was forced when a file of the ledger was read, or ``auto``."""
    return str(settings_of(row).get("format", "auto"))


def _shown(value: object) -> str:
    return json.dumps(value) if value else "not set"


def _text(settings: Mapping[str, Any]) -> str:
    return json.dumps(settings, sort_keys=True)


def full_path(path: Path) -> str:
    """The absolute path of a file, as text that any table can hold."""
    return os.fsencode(os.path.abspath(path)).decode("utf-8", "backslashreplace")


class Ledger:
    """Rows of ``files``: files that were read by the id of their bytes, and paths that were not read."""

    def __init__(self, store: Store) -> None:
        rows = store.engine.query(f"SELECT * FROM {store.relation('files')}").to_pylist()
        self.files: dict[str, Row] = {r["file_id"]: r for r in rows if r["n_lines"] is not None}
        self._skipped: dict[str, Row] = {r["path"]: r for r in rows if r["n_lines"] is None}

    def at(self, path: Path) -> list[Row]:
        """Files that were read from this path, with any content."""
        names = (full_path(path), str(path))
        return [r for r in self.files.values() if r["path"] in names]

    def write_skipped(
        self, store: Store, given: Iterable[Path], reports: Iterable[FileReport], now: datetime
    ) -> None:
        """Store which paths were not read. Earlier rows of the paths ``given`` and below them are replaced.

        A copy of a file that was read counts as not read: its bytes have a row under their first path.
        """
        roots = [full_path(path) for path in given]
        kept = {
            path: row
            for path, row in self._skipped.items()
            if not any(path == root or path.startswith(root.rstrip(os.sep) + os.sep) for root in roots)
        }
        for report in reports:
            if report.copy_of:
                status, reason = "passed", f"the same bytes as {report.copy_of}, which was read"
            elif report.status != "read" and report.skipped and not report.in_lake:
                status, reason = report.status, report.reason
            else:
                continue
            path = full_path(report.path)
            kept[path] = _blank() | {"path": path, "status": status, "reason": reason, "ingested_at": now}
        if _bare(kept) != _bare(self._skipped):
            with store.transaction("ingest") as txn:
                txn.add("files", frame(list(kept.values())), part=SKIPPED_PART)
            self._skipped = kept


def _bare(rows: Mapping[str, Row]) -> dict[str, tuple[str, str]]:
    return {path: (row["status"], row["reason"]) for path, row in rows.items()}


def _blank() -> Row:
    return dict.fromkeys(_COLUMNS)


def frame(rows: list[Row]) -> pl.DataFrame:
    """Rows of ``files`` in the table's types."""
    return pl.DataFrame([_blank() | row for row in rows], schema=_COLUMNS, orient="row")


def row_of(report: FileReport, identity: str, n_bytes: int, settings: Settings, now: datetime) -> Row:
    """A file's row in ``files``."""
    text = _text(settings.of(report.format, report.content))
    return {
        "file_id": identity, "path": full_path(report.path), "status": report.status,
        "reason": report.reason or None, "format": report.format, "content": report.content,
        "n_bytes": n_bytes, "n_lines": report.n_lines, "n_requests": report.n_requests,
        "n_rejects": report.n_rejects, "n_duplicates": report.n_duplicates, "n_other": report.n_other,
        "n_unknown_keys": len(report.unknown_keys), "first_ts": report.first_ts, "last_ts": report.last_ts,
        "reject_codes": json.dumps(dict(sorted(report.codes.items()))), "future_from": report.future_from,
        "late_to": report.late_to, "settings": text,
        "settings_digest": hashlib.sha256(text.encode()).hexdigest()[:16], "ingested_at": now,
        "reread_at": None,
    }  # fmt: skip


def n_unauthenticated(row: Row) -> int:
    """Rejects of the file that count against no limit: calls that failed to authenticate."""
    return int(_parsed(row["reject_codes"] or "{}").get(UNAUTHENTICATED, 0))


def gave_nothing(row: Row) -> bool:
    """Whether no line of the file is in the lake, not even through another file."""
    return not row["n_requests"] and not row["n_duplicates"]


def identify(path: Path, sizes: Iterable[int] = ()) -> tuple[str, dict[int, str]]:
    """The file's id, and the id it would have if it ended after each of ``sizes`` bytes.

    The id is the SHA-256 of the bytes as stored, 32 hex digits.

    Raises
    ------
    LogError : the file cannot be read, or something else was put in its place.
    """
    digest, n_read = hashlib.sha256(), 0
    wanted = sorted({size for size in sizes if size > 0})
    shorter: dict[int, str] = {}
    try:
        with opened(path) as handle:
            while chunk := handle.read(min(_CHUNK, wanted[0] - n_read) if wanted else _CHUNK):
                digest.update(chunk)
                n_read += len(chunk)
                if wanted and n_read == wanted[0]:
                    shorter[wanted.pop(0)] = digest.hexdigest()[:32]
    except OSError as error:
        raise LogError(f"cannot be read: {error.strerror}", at=Location(str(path))) from error
    return digest.hexdigest()[:32], shorter

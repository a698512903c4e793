"""Tables of texts and labels: Parquet, JSON lines, JSON arrays or CSV, one file or a folder of files.

Tables are read in batches and in order. ``predict`` streams, and ``train`` takes only the columns it needs.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from detector.errors import ConfigError, Location, LogError

#: Rows handed on at once.
BATCH = 2000
#: Fewest groups of a label whose figures mean anything.
LEAST_A_CLASS = 10
_ENDINGS = (
    ".parquet",
    ".jsonl",
    ".ndjson",
    ".json",
    ".csv",
    ".jsonl.gz",
    ".ndjson.gz",
    ".json.gz",
    ".csv.gz",
)


def files_of(path: Path) -> list[Path]:
    """The tables at ``path``: the file itself, or the files of a folder in name order.

    Raises
    ------
    ConfigError : the path does not exist, or no file has a supported ending.
    """
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.name.lower().endswith(_ENDINGS))
        if not files:
            raise ConfigError(f"{path} holds no table", hint=f"expected files ending {', '.join(_ENDINGS)}")
        return files
    if not path.exists():
        raise ConfigError(f"{path} does not exist")
    if not path.name.lower().endswith(_ENDINGS):
        raise ConfigError(
            f"{path.name}: not a kind of table that is read", hint=f"expected {', '.join(_ENDINGS)}"
        )
    return [path]


def batches(path: Path, columns: Sequence[str], size: int = BATCH) -> Iterator[list[tuple[Any, ...]]]:
    """Rows of ``columns`` in input order, ``size`` at once; a missing value is None.

    Raises
    ------
    ConfigError : a column is missing; the message lists the columns there are.
    LogError : a file cannot be read.
    """
    rows: list[tuple[Any, ...]] = []
    for file in files_of(path):
        for row in _rows(file, tuple(columns)):
            rows.append(row)
            if len(rows) == size:
                yield rows
                rows = []
    if rows:
        yield rows


def _rows(file: Path, columns: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
    name = file.name.lower()
    if name.endswith(".parquet"):
        yield from _parquet(file, columns)
        return
    try:
        with _opened(file) as lines:
            kind = name.removesuffix(".gz").rsplit(".", 1)[-1]
            read = {"csv": _csv, "json": _array}.get(kind, _json)
            yield from read(file, lines, columns)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise LogError(f"cannot be read: {error}", at=Location(str(file))) from error


def _opened(file: Path) -> IO[str]:
    if file.name.lower().endswith(".gz"):
        return gzip.open(file, "rt", encoding="utf-8-sig", newline="")
    return file.open(encoding="utf-8-sig", newline="")


def _absent(file: Path, column: str, columns: Sequence[str]) -> ConfigError:
    return ConfigError(
        f"{file}: no column {column!r}", hint=f"there are {', '.join(map(str, columns)) or 'none'}"
    )


def _parquet(file: Path, columns: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as table:
            names = table.schema_arrow.names
            for column in columns:
                if column not in names:
                    raise _absent(file, column, names)
            wanted = list(dict.fromkeys(columns))
            for batch in table.iter_batches(batch_size=BATCH, columns=wanted):
                values = {c: batch.column(batch.schema.get_field_index(c)).to_pylist() for c in wanted}
                yield from zip(*(values[c] for c in columns), strict=True)
    except (pa.ArrowException, OSError) as error:
        raise LogError(f"cannot be read: {error}", at=Location(str(file))) from error


def _json(file: Path, lines: IO[str], columns: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
    import orjson

    seen: set[str] = set()
    checked = False
    number = 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise LogError(f"not JSON: {error}", at=Location(str(file), number)) from error
        if not isinstance(row, dict):
            raise LogError("not a JSON object", at=Location(str(file), number))
        if not checked:
            seen |= row.keys()
            checked = all(c in seen for c in columns)
            if number >= 1000 and not checked:
                break
        yield tuple(row.get(c) for c in columns)
    if number and not checked:  # rows may leave out a NULL key, but a key that no row has is a missing column
        raise _absent(file, next(c for c in columns if c not in seen), sorted(seen))


def _array(file: Path, lines: IO[str], columns: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
    """One JSON array of objects, the form of public collections of outputs. Lines of objects are read too."""
    import orjson

    whole = lines.read()
    if not whole.lstrip().startswith("["):
        yield from _json(file, io.StringIO(whole), columns)
        return
    try:
        rows = orjson.loads(whole)
    except orjson.JSONDecodeError as error:
        raise LogError(f"not JSON: {error}", at=Location(str(file))) from error
    if not all(isinstance(row, dict) for row in rows):
        raise LogError("not an array of JSON objects", at=Location(str(file)))
    for column in columns:
        if rows and not any(column in row for row in rows):
            raise _absent(file, column, sorted({key for row in rows for key in row}))
    for row in rows:
        yield tuple(row.get(c) for c in columns)


def _csv(file: Path, lines: IO[str], columns: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    reader = csv.reader(lines)
    names = next(reader, [])
    for column in columns:
        if column not in names:
            raise _absent(file, column, names)
    at = [names.index(c) for c in columns]
    for row in reader:
        if row:
            yield tuple((row[i] or None) if i < len(row) else None for i in at)


def as_text(value: Any) -> str | None:
    """A cell as text. None stays None. An object or list becomes JSON, whatever the kind of table."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, dict | list):
        import orjson

        return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    return str(value)


@dataclass(frozen=True)
class Labelled:
    """Texts with their labels and groups. Each list has one entry for each row that can be learned from."""

    texts: list[str]
    labels: list[str]
    #: The group that must stay on one side of a split: the prompt, or the text itself where no prompt is named.
    groups: list[str]
    #: Label -> its maker, where a column names makers.
    families: dict[str, str]
    #: Rows left out for want of a label or a text.
    n_skipped: int
    #: Whether a column named the groups.
    grouped: bool


def labelled(
    path: Path, *, text: str, label: str, group: str | None = None, family: str | None = None
) -> Labelled:
    """The rows of ``path`` that have a text and a label.

    Without ``group``, rows with the same text (case and blanks aside) are one group. A copy then never stands on both
    sides of a split, but two answers to one prompt may.

    Raises
    ------
    ConfigError : fewer than two labels, or a label with two families.
    """
    columns = [text, label, *([group] if group else []), *([family] if family else [])]
    texts: list[str] = []
    labels: list[str] = []
    groups: list[str] = []
    families: dict[str, str] = {}
    skipped = 0
    for batch in batches(path, columns):
        for row in batch:
            body, name = as_text(row[0]), as_text(row[1])
            if not body or not body.strip() or name is None or not name.strip():
                skipped += 1
                continue
            texts.append(body)
            labels.append(name)
            key = as_text(row[2]) if group else None
            groups.append(f"g:{key}" if key is not None else f"t:{text_key(body)}")
            maker = as_text(row[-1]) if family else None
            if maker is not None and families.setdefault(name, maker) != maker:
                raise ConfigError(f"label {name!r} has two families: {families[name]!r} and {maker!r}")
    if len(set(labels)) < 2:
        raise ConfigError(
            f"{path}: {len(set(labels))} labels among {len(texts)} rows with text; two are the least to tell apart"
        )
    return Labelled(texts, labels, groups, families, skipped, group is not None)


def thin_classes(data: Labelled) -> list[str]:
    """Labels with too few groups for holding some out and learning from the rest."""
    groups: dict[str, set[str]] = {}
    for label, group in zip(data.labels, data.groups, strict=True):
        groups.setdefault(label, set()).add(group)
    return sorted(name for name, own in groups.items() if len(own) < LEAST_A_CLASS)


def text_key(text: str) -> str:
    """Digest of a text that ignores case and blanks, so trivial copies share it."""
    return hashlib.blake2b(
        " ".join(text.lower().split()).encode("utf-8", "replace"), digest_size=12
    ).hexdigest()

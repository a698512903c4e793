"""Detects the format of a file: its first entries vote, and its name decides when they do not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from detector.errors import ConfigError, Location, LogError, NotALog
from detector.ingest import envelopes
from detector.ingest.complexity import is_too_complex
from detector.ingest.formats import Format, Options, Record, formats, native
from detector.ingest.splitting import Block
from detector.ingest.unpack import text_of

NO_OPTIONS = Options()
#: Most entries that vote, and most lines searched for them: a container's log starts with its program's own text.
_LOOK_AT, _LINES = 200, 20_000
_ISO_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")
_TIME_NAME = re.compile(r"(?i)ts|.*(time|date|created|_at)")
#: Numbers that may be a time, in seconds to nanoseconds since 1970.
_EPOCHS = tuple((900_000_000 * scale, 4_200_000_000 * scale) for scale in (1, 10**3, 10**6, 10**9))


def named(name: str) -> Format | None:
    """The format called ``name``; None for ``auto``.

    Raises
    ------
    ConfigError : there is none of that name.
    """
    if name == "auto":
        return None
    if name not in formats():
        raise ConfigError(f"unknown format {name!r}", hint=f"formats: auto, {', '.join(formats())}")
    return formats()[name]


def is_record(record: Record, options: Options = NO_OPTIONS) -> bool:
    """Whether some format knows ``record`` itself; then nothing in it is a wrapper."""
    return any(f.knows(record, options) for f in formats().values())


def detect(
    path: Path, head: Block | Iterable[Block], forced: Format | None, options: Options = NO_OPTIONS
) -> tuple[Format, str]:
    """Format and content of the file whose first blocks are ``head``.

    Every readable entry has a vote, without its wrappers; other lines have none. Account facts come in native files only,
    so such a file is read as native even if another format is forced. A format that the site's ``options`` name for most
    entries (a map of its own) comes before those that recognise entries by their looks.

    Raises
    ------
    NotALog : the format is unknown, and no entry has a time in it.
    LogError : the format is unknown.
    """
    blocks = [head] if isinstance(head, Block) else list(head)
    records, n_other = records_in(blocks, options)
    forced = forced or _named_by_site(records, options)
    votes = Counter(f.name for record in records for f in formats().values() if f.sniff(record))
    form = forced
    if forced is None or (forced.name not in votes and "native" in votes):
        best = max(votes.values(), default=0)
        leading = [formats()[name] for name, n in votes.items() if n == best]
        if len(leading) == 1 and (forced is None or native.content_of("", records) != "requests"):
            form = leading[0]
    bare = not records and (n_other or not any(b.lines.num_rows for b in blocks))
    if form is None and (bare or (_named_native(path) and _may_be_native(records))):
        form = formats()["native"]
    if form is None:
        raise _undetected(path, blocks, records, votes)
    return form, native.content_of(path.name, records) if form.name == "native" else "requests"


def _any_time(blocks: list[Block]) -> bool:
    """Whether some of the first lines holds a time, inside or outside of its records."""
    for text in islice(_texts(blocks), _LOOK_AT):
        try:
            if _has_time(envelopes.loads(text), 1):
                return True
        except (ValueError, RecursionError):
            continue
    return False


def _undetected(path: Path, blocks: list[Block], records: list[Record], votes: Counter[str]) -> LogError:
    meanings = "; ".join(f"{f.name}: {f.meaning}" for f in formats().values())
    tied = f" (could be {' or '.join(sorted(votes))})" if votes else ""
    message = f"cannot tell the log format from its first {len(records)} readable entries{tied}"
    timeless = not _any_time(blocks) and not any(_has_time(r, 1 if len(r) > 3 else 2) for r in records)
    if records and not votes and timeless:
        kind: type[LogError] = NotALog
        message += "; none has a time in it, so it is taken for no log"
    else:
        kind = LogError
    return kind(
        message,
        at=Location(text_of(path)),
        hint=f"force one with --format NAME, or let a map be proposed: hydrawatch ingest --suggest FILE - {meanings}",
    )


def _named_by_site(records: list[Record], options: Options) -> Format | None:
    for form in formats().values():
        if form.chosen and sum(form.chosen(r, options) for r in records) * 2 > len(records):
            return form
    return None


def records_in(
    blocks: list[Block], options: Options = NO_OPTIONS, *, whole: bool = False
) -> tuple[list[Record], int]:
    """The first records, and the number of entries before the last of them that are no calls.

    ``whole``: take every object as a record, even if it may be a wrapper.
    """
    n_other = 0
    records: list[Record] = []
    for text in islice(_texts(blocks), _LINES):
        if is_too_complex(text):
            continue
        try:
            entries = envelopes.unwrap(envelopes.loads(text), lambda r: whole or is_record(r, options))
        except (ValueError, RecursionError):
            continue
        for entry in entries:
            if isinstance(entry, envelopes.Fault):
                n_other += entry.code == "not_a_call"
            elif entry:
                records.append(entry)
        if len(records) >= _LOOK_AT:
            break
    return records, n_other


def _texts(blocks: list[Block]) -> Iterator[str]:
    for block in blocks:
        for chunk in block.lines.column("text").chunks:
            for at in range(0, len(chunk), _LOOK_AT):  # a block may hold more text than the first lines need
                yield from chunk.slice(at, _LOOK_AT).to_pylist()


def _has_time(value: object, depth: int, name: str = "") -> bool:
    """Whether ``value`` holds a time, at most ``depth`` objects deep."""
    if isinstance(value, dict):
        return depth > 0 and any(_has_time(inner, depth - 1, key) for key, inner in value.items())
    if isinstance(value, list):
        return depth > 0 and any(_has_time(inner, depth - 1, name) for inner in value[:10])
    if isinstance(value, str):
        return bool(_ISO_TIME.match(value)) or (value.isdigit() and _has_time(int(value[:20]), depth, name))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return bool(_TIME_NAME.fullmatch(name)) and any(low <= value <= high for low, high in _EPOCHS)


def _may_be_native(records: list[Record]) -> bool:
    """Whether a file named as a native one has no entry, or one with a canonical key."""
    names = {c.name for columns in native.COLUMNS.values() for c in columns}
    return not records or any(not names.isdisjoint(record) for record in records)


def _named_native(path: Path) -> bool:
    return path.name.lower().startswith(native.FORMAT.contents)

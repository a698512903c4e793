"""Which format a file has, by a vote of its first entries and, where they leave it open, by its name."""

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
#: Entries that vote, and lines looked at for them: a container's log starts with its program's own text.
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
    """Whether any format knows ``record`` as it stands: then nothing in it is a wrapper."""
    return any(f.knows(record, options) for f in formats().values())


def detect(
    path: Path, head: Block | Iterable[Block], forced: Format | None, options: Options = NO_OPTIONS
) -> tuple[Format, str]:
    """Format and content of the file whose first blocks are ``head``.

    Every readable entry has a vote, wrappers taken off; lines that are no entries have none. Account facts
    come in native files only, so those are read as native whatever is forced. A format that the site's ``options``
    name for most entries (a map of its own) goes before those that are told by what entries look like.

    Raises
    ------
    NotALog : nothing tells, and no entry has a time in it.
    LogError : nothing tells.
    """
    blocks = [head] if isinstance(head, Block) else list(head)
    records, n_other = records_in(blocks, options)
    forced = forced or _named_by_site(records, options)
    votes = Counter(f.name for record in records for f in formats().values() if f.sniff(record))
    form = forced
    if forced is None or (forced.name not in votes and "native" in votes):
        best = max(votes.values(), default=0)
        found = [formats()[name] for name, n in votes.items() if n == best]
        if len(found) == 1 and (forced is None or native.content_of("", records) != "requests"):
            form = found[0]
    bare = not records and (n_other or not any(b.lines.num_rows for b in blocks))
    if form is None and (bare or (_named_native(path) and _may_be_native(records))):
        form = formats()["native"]
    if form is None:
        raise _untold(path, blocks, records, votes)
    return form, native.content_of(path.name, records) if form.name == "native" else "requests"


def _any_time(blocks: list[Block]) -> bool:
    """Whether a time stands in the first lines themselves, beside what is taken for a record in them."""
    for text in islice(_texts(blocks), _LOOK_AT):
        try:
            if _has_time(envelopes.loads(text), 1):
                return True
        except (ValueError, RecursionError):
            continue
    return False


def _untold(path: Path, blocks: list[Block], records: list[Record], votes: Counter[str]) -> LogError:
    told = "; ".join(f"{f.name}: {f.meaning}" for f in formats().values())
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
        hint=f"force one with --format NAME, or let a map be proposed: hydrawatch ingest --suggest FILE - {told}",
    )


def _named_by_site(records: list[Record], options: Options) -> Format | None:
    for form in formats().values():
        if form.chosen and sum(form.chosen(r, options) for r in records) * 2 > len(records):
            return form
    return None


def records_in(
    blocks: list[Block], options: Options = NO_OPTIONS, *, whole: bool = False
) -> tuple[list[Record], int]:
    """The first records, and how many entries before the last of them are no calls.

    ``whole``: objects as they stand, whatever may be wrapped in them.
    """
    n_other = 0
    found: list[Record] = []
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
                found.append(entry)
        if len(found) >= _LOOK_AT:
            break
    return found, n_other


def _texts(blocks: list[Block]) -> Iterator[str]:
    for block in blocks:
        for chunk in block.lines.column("text").chunks:
            for at in range(0, len(chunk), _LOOK_AT):  # a block may hold more text than the first lines need
                yield from chunk.slice(at, _LOOK_AT).to_pylist()


def _has_time(value: object, depth: int, name: str = "") -> bool:
    """Whether a time stands in ``value``, within ``depth`` objects of one another."""
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
    known = {c.name for columns in native.COLUMNS.values() for c in columns}
    return not records or any(not known.isdisjoint(record) for record in records)


def _named_native(path: Path) -> bool:
    return path.name.lower().startswith(native.FORMAT.contents)

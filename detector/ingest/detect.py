"""Which format a file has, by its first entries and, where they leave it open, by its name."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import orjson

from detector.errors import ConfigError, Location, LogError
from detector.ingest.formats import Format, Options, Record, formats, native
from detector.ingest.splitting import Block

_LOOK_AT = 200


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


def detect(
    path: Path, head: Block, forced: Format | None, options: Options | None = None
) -> tuple[Format, str]:
    """Format and content of the file whose first block is ``head``.

    Account facts come in native files only, so those are read as native whatever is forced. A format that the site's
    ``options`` name for most entries (a map of its own) goes before those that are told by what entries look like.

    Raises
    ------
    LogError : nothing tells.
    """
    records = _records(head)
    if forced is None and options is not None:
        forced = _named_by_site(records, options)
    votes = Counter(f.name for record in records for f in formats().values() if f.sniff(record))
    form = forced
    if forced is None or (forced.name not in votes and "native" in votes):
        best = max(votes.values(), default=0)
        found = [formats()[name] for name, n in votes.items() if n == best]
        if len(found) == 1 and (forced is None or native.content_of("", records) != "requests"):
            form = found[0]
    if form is None and (_named_native(path) or not (records or head.lines.num_rows or head.rejects)):
        form = formats()["native"]
    if form is None:
        told = "; ".join(f"{f.name}: {f.meaning}" for f in formats().values())
        tied = f" (could be {' or '.join(sorted(votes))})" if votes else ""
        raise LogError(
            f"cannot tell the log format from its first {len(records)} readable entries{tied}",
            at=Location(str(path)),
            hint=f"force one with --format NAME - {told}",
        )
    return form, native.content_of(path.name, records) if form.name == "native" else "requests"


def _records(head: Block) -> list[Record]:
    found: list[Record] = []
    for text in head.lines.column("text").slice(0, _LOOK_AT).to_pylist():
        try:
            parsed = orjson.loads(text)
        except orjson.JSONDecodeError:
            continue
        if isinstance(parsed, dict):
            found.append(parsed)
    return found


def _named_by_site(records: list[Record], options: Options) -> Format | None:
    for form in formats().values():
        if form.chosen and sum(form.chosen(r, options) for r in records) * 2 > len(records):
            return form
    return None


def _named_native(path: Path) -> bool:
    return path.name.lower().startswith(native.FORMAT.contents)

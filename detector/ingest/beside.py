"""Logs that complete another log's requests by their ids: CloudTrail has the addresses that Bedrock's own log lacks.

They are read before the files of one call are taken, kept in memory while it lasts, and stored nowhere. What they hold is
filled into requests of the same call; a record alone makes no request, since the call is in the other log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from sys import intern

from detector.errors import LogError
from detector.ingest.formats import Format, formats
from detector.ingest.mapping import entries_of
from detector.ingest.reader import Reader
from detector.ingest.sources import Source

#: Records kept of one call of ``ingest`` (about 300 bytes each); more are counted and not used.
MAX_KEPT = 1_000_000
LEFT_OUT = f"record of a log beside this one, more than {MAX_KEPT:,} in one call: not used, ingest fewer days at once"
#: Bytes of a file that show whether it is such a log.
_HEAD = 1 << 16
#: Files in the lake already are read again for this long: a log may come later than the one that completes it, in seconds.
RECENT = 2 * 86_400


@dataclass
class Completed:
    """Values by format and request id."""

    kept: dict[str, dict[str, Mapping[str, str]]] = field(default_factory=dict)
    n_left_out: int = 0

    def of(self, form: Format) -> Mapping[str, Mapping[str, str]]:
        """What completes requests of ``form``."""
        return self.kept.get(form.name, {})


def gather(sources: Iterable[Source], wanted: Callable[[Source], bool]) -> Completed:
    """What the files among ``sources`` that are ``wanted`` and complete others hold. Unreadable ones are passed over here:
    they are told of when they are taken.
    """
    completing = [form for form in formats().values() if form.beside]
    made = Completed()
    for source in sources if completing else ():
        if source.layout == "parquet" or not wanted(source):
            continue
        try:
            _read(source, completing, made)
        except LogError:
            continue
    return made


def _read(source: Source, completing: list[Format], made: Completed) -> None:
    form: Format | None = None
    for block in Reader(source, block_bytes=_HEAD):
        entries = entries_of(block.lines)
        if form is None:
            form = next(
                (f for f in completing if f.beside and any(f.beside.sniff(e) for e in entries[:50])), None
            )
            if form is None and entries:
                return
        for entry in entries:
            assert form is not None
            assert form.beside is not None
            found = form.beside.read(entry)
            if found is None:
                continue
            kept = made.kept.setdefault(form.name, {})
            if len(kept) >= MAX_KEPT and found[0] not in kept:
                made.n_left_out += 1
            else:
                kept[found[0]] = {name: intern(value) for name, value in found[1].items()}

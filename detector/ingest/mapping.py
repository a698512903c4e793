"""One block of entries through a format: canonical rows, rejects with code and field, what is no call.

    lines -> JSON -> envelopes taken off -> entries -> columns (a table of paths, one function) -> types -> checks

Plain lines of canonical records take a shorter way (``quick``); what is odd in them comes back here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from detector.ingest import casting, envelopes, placeholders, quick
from detector.ingest.formats import Columns, Format, Options, Record
from detector.ingest.formats.native import COLUMNS
from detector.ingest.records import Path, Records, parse, something, steps
from detector.ingest.splitting import Block, Reject
from features import schema
from features.spec import Column
from features.types import TYPES

#: What an entry of each content cannot do without. A failed request may lack its model.
REQUIRED: dict[str, tuple[str, ...]] = {
    "requests": schema.REQUIRED,
    "accounts": ("account_id",),
    "account_events": ("ts", "account_id", "event"),
    "model_releases": ("model", "released_at"),
}
#: Columns of requests that another log knows, by request id.
Beside: TypeAlias = Mapping[str, Mapping[str, str]]
#: Entries of each block whose keys are looked at to count those no column takes.
_SAMPLE = 200
#: Blocks in a row that could not be parsed at once, after which it is no longer tried.
_GIVE_UP = 3


@dataclass
class Mapped:
    """``rows``: ``line`` and the canonical columns. ``n_other``: entries that are no model calls."""

    rows: pl.DataFrame
    rejects: list[Reject] = field(default_factory=list)
    n_other: int = 0
    unknown: set[str] = field(default_factory=set)
    #: Keys of some entries, for formats whose keys a site sets.
    keys: set[str] = field(default_factory=set)
    #: Kept entries in which something was taken as not known: what, and how often.
    notes: Counter[str] = field(default_factory=Counter)
    #: Entries on which ``account_attribute`` was found; None: none is set.
    n_named: int | None = None


class RecordMapper:
    """Maps blocks of one format and content."""

    def __init__(self, form: Format, content: str, options: Options, beside: Beside | None = None) -> None:
        self._form = form
        self._beside = beside or {}
        self._content = content
        self._options = options
        self._columns = COLUMNS[content]
        self._paths = {c.name: p for c in self._columns if (p := form.paths(options).get(c.name))}
        self._named = _attribute_paths(form, options.account_attribute)
        further = {name: paths for name, paths in form.paths(options).items() if name not in form.fields}
        self._known = _known(form, self._paths | further, options)
        self._placeholders = placeholders.known(options.placeholders)
        # A site's own attribute lies beside the canonical columns, where only the longer way looks.
        self._quick = form.name == "native" and content == "requests" and not options.account_attribute
        self._n_failed = 0

    def map(self, block: Block) -> Mapped:
        """Canonical rows of ``block`` and the rejects, those of the reader among them."""
        mapped = self._at_once(block) or self._read(block.lines)
        if not block.untouched:
            mapped.rejects.extend(block.rejects)
        return mapped

    def _at_once(self, block: Block) -> Mapped | None:
        """A block of plain canonical records, parsed whole; None where that is no way."""
        if not self._quick or not block.raw:
            return None
        found = quick.parse(block.raw, self._columns, ("account_id", "org_id", "api_key_id"))
        if found is None:
            self._n_failed += 1
            self._quick = self._n_failed < _GIVE_UP
            return None
        self._n_failed = 0
        rows, plain = quick.typed(found, self._columns, REQUIRED[self._content])
        unknown = self._unknown(entries_of(block.raw.head(_SAMPLE)))
        if plain.all():
            return self._without_placeholders(Mapped(rows, unknown=unknown))
        if plain.sum() < found.height // 2:
            self._quick = False  # what is plain in this log is not so here
        odd = found["line"].filter(~plain)
        lines = block.lines
        mapped = self._read(lines.filter(pc.is_in(lines.column("line"), odd.to_arrow())))
        plain_rows = self._without_placeholders(Mapped(rows.filter(plain)))
        mapped.rows = pl.concat([plain_rows.rows, mapped.rows]).sort("line", maintain_order=True)
        mapped.notes += plain_rows.notes
        mapped.unknown |= unknown
        return mapped

    def _read(self, lines: pa.Table) -> Mapped:
        """Every line by itself, with every check there is."""
        numbers: list[int] = []
        entries: list[Record] = []
        rejects: list[Reject] = []
        n_other = 0
        spread = self._form.spread
        for number, text in zip(lines.column("line").to_pylist(), lines.column("text").to_pylist(), strict=True):
            try:
                parsed = parse(text)
            except ValueError as error:
                why = "NUL byte" if "\0" in text else "nested too deeply" if "deep" in str(error) else ""
                rejects.append(Reject(number, "not_json", why, n_bytes=_size(text)))
                continue
            n_before, n_objects = len(entries), 0
            try:
                for one in envelopes.unwrap(parsed):
                    n_objects += 1
                    if spread is None:
                        numbers.append(number)
                        entries.append(one)
                        continue
                    for entry in spread(one):
                        numbers.append(number)
                        entries.append(entry)
            except ValueError as error:
                del numbers[n_before:], entries[n_before:]
                rejects.append(Reject(number, "bad_entry", str(error), n_bytes=_size(text)))
                continue
            if not n_objects:
                rejects.append(Reject(number, "not_object", n_bytes=_size(text)))
            elif len(entries) == n_before:
                n_other += 1
        mapped = self._typed(Records(numbers, entries))
        mapped.rejects[:0] = rejects
        mapped.n_other += n_other
        mapped.unknown = self._unknown(entries[:_SAMPLE])
        if self._form.setting:
            mapped.keys = {name for entry in entries[:_SAMPLE] for name in entry}
        return mapped

    def _typed(self, records: Records) -> Mapped:
        """Columns by the format's table and function, then types and checks."""
        n_named = None
        columns: Columns = {name: records.first(*paths) for name, paths in self._paths.items()}
        for name in ("prompt", "system_prompt", "keys"):  # not scalars only, and no word stands for nothing in them
            if name in self._paths:
                columns[name] = records.at(self._paths[name][0])
        account = columns.get("account_id")
        if self._form.account and self._content == "requests":
            account = records.first(*self._form.account)
        if self._named:
            named = records.first(*self._named)
            n_named = len(named) - named.count(None)
            account = named if account is None else [n if n is not None else a for n, a in zip(named, account, strict=True)]
        if account is not None:
            columns["account_id"] = account
        if self._form.derive:
            columns |= self._form.derive(records, self._options, columns)
        if self._beside:
            _complete(columns, self._beside)
        other = columns.pop("other", None)
        notes: Counter[str] = Counter()
        fault: dict[int, Reject] = {}
        series: list[pl.Series] = []
        required = REQUIRED[self._content]
        for column in self._columns:
            values = columns.get(column.name)
            if values is None:
                dtype = pl.String() if column.type.startswith("MAP") else TYPES[column.type].polars
                series.append(pl.Series(column.name, [None], dtype=dtype).new_from_index(0, len(records)))
                continue
            made, wrong = casting.cast(column, values)
            series.append(made)
            if column.name in required:
                for row in wrong:
                    detail = f"expected {casting.expected(column)}"
                    fault.setdefault(row, Reject(records.lines[row], "wrong_type", detail, column.name))
            elif wrong:
                notes[f"{column.name}: no {casting.expected(column)}, taken as not known"] += len(wrong)
        frame = pl.DataFrame([pl.Series("line", records.lines, dtype=pl.Int64), *series])
        self._missing(frame, records, fault)
        keep = [True] * len(records)
        n_other = 0
        if other is not None:
            for row, is_other in enumerate(other):
                if is_other:
                    keep[row] = False
                    n_other += 1
                    fault.pop(row, None)
        for row in fault:
            keep[row] = False
        if not all(keep):
            frame = frame.filter(pl.Series(keep, dtype=pl.Boolean))
        rejects = [fault[row] for row in sorted(fault)]
        return self._without_placeholders(
            Mapped(frame, rejects, n_other, notes=notes, n_named=n_named)
        )

    def _missing(self, frame: pl.DataFrame, records: Records, fault: dict[int, Reject]) -> None:
        """Add a reject for every row that lacks what it cannot do without."""
        for name in REQUIRED[self._content]:
            absent = frame[name].is_null()
            if not absent.any():
                continue
            if name == "model" and self._content == "requests":
                absent &= ~(frame["status"] >= 400).fill_null(value=False)
            for row in absent.arg_true():
                fault.setdefault(row, Reject(records.lines[row], "missing", "", name))

    def _without_placeholders(self, mapped: Mapped) -> Mapped:
        """Texts that only say that content was not logged are not known."""
        if self._content == "requests":
            mapped.rows, n = placeholders.removed(mapped.rows, self._placeholders)
            if n:
                mapped.notes["placeholder in place of content, taken as not known"] += n
        return mapped

    def _unknown(self, entries: Iterable[Record]) -> set[str]:
        """Names in some entries that no column takes."""
        names = self._form.names
        return {name for entry in entries for name in (names(entry) if names else entry)} - self._known


def _complete(columns: Columns, beside: Beside) -> None:
    """Put what another log knows of requests, by their ids, before what their own says."""
    requests = columns["request_id"]
    for row, number in enumerate(requests):
        found = beside.get(str(number)) if number is not None else None
        for name, value in found.items() if found else ():
            columns[name] = columns[name] if name in columns else [None] * len(requests)
            columns[name][row] = value


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass")) - text.endswith("\n")


def entries_of(lines: pa.Table) -> list[Record]:
    """Entries of lines, wrappers taken off; what is none is left out."""
    found: list[Record] = []
    for text in lines.column("text").to_pylist():
        try:
            found.extend(envelopes.unwrap(parse(text)))
        except ValueError:
            continue
    return found


def _attribute_paths(form: Format, attribute: str | None) -> tuple[Path, ...]:
    """Where a site's account attribute may lie: a key of that name, or a path with dots, under each of the roots."""
    if not attribute:
        return ()
    roots = [steps(root) for root in form.roots]
    paths = [(*root, attribute) for root in roots]
    if "." in attribute:
        paths += [(*root, *attribute.split(".")) for root in roots]
        # The head of a path may itself be one of an object's dotted names.
        head, _, tail = attribute.rpartition(".")
        paths += [(*root, head, tail) for root in roots]
    return tuple(dict.fromkeys(paths))


def _known(form: Format, paths: dict[str, tuple[Path, ...]], options: Options) -> frozenset[str]:
    depth = max((len(steps(root)) for root in form.roots), default=0) if form.names else 0
    taken = {
        keys[depth] for found in (*paths.values(), form.account) for path in found if len(keys := steps(path)) > depth
    }
    if options.account_attribute:
        taken |= {options.account_attribute, options.account_attribute.split(".")[0]}
    return frozenset(taken | form.passed)


def coalesce(*columns: Sequence[Any]) -> list[Any]:
    """The first value of each row that says something, for ``derive`` functions."""
    return [next((v for v in row if something(v) is not None), None) for row in zip(*columns, strict=True)]


def column_names(columns: Iterable[Column]) -> list[str]:
    """Names in order."""
    return [c.name for c in columns]

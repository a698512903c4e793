"""Maps one block of entries through a format to canonical rows, rejects with code and field, and a count of non-calls.

    lines -> JSON -> envelopes taken off -> entries -> columns (a table of paths, one function) -> types -> checks

Plain lines of canonical records take a shorter way (``quick``). Lines that are not plain come back here.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import compress

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from detector.ingest import casting, envelopes, placeholders, quick
from detector.ingest.checks import REQUIRED, Gathered, Mapped, check
from detector.ingest.complexity import is_too_complex
from detector.ingest.formats import Columns, Format, Options, Record
from detector.ingest.formats.native import COLUMNS
from detector.ingest.records import Path, Records, first_of, pruned, steps
from detector.ingest.splitting import Block, Reject

#: How nginx writes quotes and control characters unless it is told to escape for JSON.
_NGINX_ESCAPE = re.compile(r"\\x[0-9A-F]{2}")
#: Entries of each block whose keys are compared with the columns, to count unused keys.
_SAMPLE = 200
#: Entries worked on at once: few enough that parsed values are still in the processor's cache when columns are read.
_CHUNK = 512
#: After this many failed blocks in a row, the short way is no longer tried.
_GIVE_UP = 3


class RecordMapper:
    """Maps blocks of one format and content."""

    def __init__(self, form: Format, content: str, options: Options) -> None:
        self._form = form
        self._content = content
        self._options = options
        self._columns = COLUMNS[content]
        table = form.paths(options)
        self._paths = {c.name: p for c in self._columns if (p := table.get(c.name))}
        self._named = _attribute_paths(form, options.account_attribute)
        further = {name: paths for name, paths in table.items() if name not in form.fields}
        self._taken = _taken_names(form, self._paths | further, options)
        self._placeholders = placeholders.all_words(options.placeholders)
        # A site's own attribute is no canonical column, and only the longer way reads it.
        self._quick = form.name == "native" and content == "requests" and not options.account_attribute
        self._n_failed = 0

    def map(self, block: Block) -> Mapped:
        """Canonical rows of ``block`` and all its rejects, also those of the reader."""
        with _uncollected():
            mapped = self._at_once(block) or self._read(block.lines)
        if not block.untouched:
            mapped.rejects.extend(block.rejects)
        return mapped

    def _at_once(self, block: Block) -> Mapped | None:
        """A block of plain canonical records, parsed as a whole; None when that is not possible."""
        if not self._quick or not block.raw:
            return None
        parsed = quick.parse(block.raw, self._columns, ("account_id", "org_id", "api_key_id"))
        if parsed is None:
            self._n_failed += 1
            self._quick = self._n_failed < _GIVE_UP
            return None
        self._n_failed = 0
        rows, plain = quick.typed(parsed, self._columns, REQUIRED[self._content])
        unknown = self._unknown(entries_of(block.raw.head(_SAMPLE)))
        if plain.all():
            return self._without_placeholders(Mapped(rows, unknown=unknown))
        if plain.sum() < parsed.height // 2:
            self._quick = (
                False  # most lines of this log are not plain: the short way costs more than it saves
            )
        odd = parsed["line"].filter(~plain)
        lines = block.lines
        mapped = self._read(lines.filter(pc.is_in(lines.column("line"), odd.to_arrow())))
        plain_rows = self._without_placeholders(Mapped(rows.filter(plain)))
        mapped.rows = pl.concat([plain_rows.rows, mapped.rows]).sort("line", maintain_order=True)
        mapped.notes += plain_rows.notes
        mapped.unknown |= unknown
        return mapped

    def _read(self, lines: pa.Table) -> Mapped:
        """A block line by line, with every check."""
        mapped = Mapped(pl.DataFrame(), n_named=0 if self._named else None)
        gathered = Gathered()
        whole = lines.num_rows if self._form.join else _CHUNK
        for at in range(0, lines.num_rows, whole or 1):
            numbers, entries = self._parse(lines.slice(at, whole), mapped)
            if self._form.join:
                is_call = self._form.join(entries)
                mapped.n_other += len(is_call) - sum(is_call)
                numbers, entries = list(compress(numbers, is_call)), list(compress(entries, is_call))
            if not gathered.lines:
                mapped.unknown = self._unknown(entries[:_SAMPLE])
                if self._form.setting:
                    mapped.keys = {name for entry in entries[:_SAMPLE] for name in entry}
            for low in range(0, len(entries), _CHUNK):
                self._pull(numbers[low : low + _CHUNK], entries[low : low + _CHUNK], gathered, mapped)
        check(gathered, mapped, self._content, is_native=self._form.name == "native")
        return self._without_placeholders(mapped)

    def _parse(self, lines: pa.Table, mapped: Mapped) -> tuple[list[int], list[Record]]:
        """Entries of some lines, with the line of each. Rejects and other entries are added to ``mapped``."""
        numbers: list[int] = []
        entries: list[Record] = []
        rejects, spread = mapped.rejects, self._form.spread
        sniff = self._form.sniff if self._form.chosen is None else self._is_own
        texts = lines.column("text").to_pylist()
        for number, text in zip(lines.column("line").to_pylist(), texts, strict=True):
            if is_too_complex(text):
                rejects.append(Reject(number, "too_complex", n_bytes=_size(text)))
                continue
            try:
                parsed = envelopes.loads(text)
            except ValueError as error:
                rejects.append(Reject(number, "not_json", _why_no_json(text, error), n_bytes=_size(text)))
                continue
            try:
                unwrapped = envelopes.unwrap(parsed, sniff)
            except RecursionError:
                unwrapped = envelopes.unwrap(pruned(parsed), sniff)
            for one in unwrapped:
                if isinstance(one, envelopes.Fault):
                    if one.code == "not_a_call":
                        mapped.n_other += 1
                    else:
                        rejects.append(Reject(number, one.code, one.detail, n_bytes=_size(text)))
                elif spread is None:
                    numbers.append(number)
                    entries.append(one)
                else:
                    n_before = len(entries)
                    try:
                        entries.extend(spread(one))
                    except Exception as error:  # no content of a line may cost other lines
                        del entries[n_before:]
                        why = str(error) if type(error) is ValueError else type(error).__name__
                        rejects.append(Reject(number, "bad_entry", why, n_bytes=_size(text)))
                    else:
                        mapped.n_other += len(entries) == n_before
                    numbers.extend([number] * (len(entries) - n_before))
        return numbers, entries

    def _is_own(self, record: Record) -> bool:
        return self._form.knows(record, self._options)

    def _pull(
        self,
        numbers: list[int],
        entries: list[Record],
        gathered: Gathered,
        mapped: Mapped,
        *,
        again: bool = False,
    ) -> None:
        """Add the columns of some entries to ``gathered``, by the format's table and function.

        When the format fails, the entries are halved until only the bad entry is left out.
        """
        records = Records(numbers, entries)
        try:
            columns, n_named = self._columns_of(records)
        except Exception as error:  # no content of an entry may cost other entries
            if len(entries) == 1 and isinstance(error, RecursionError) and not again:
                self._pull(numbers, [pruned(entries[0])], gathered, mapped, again=True)
                return
            if len(entries) == 1:
                detail = f"{self._form.name}: {type(error).__name__}"
                mapped.rejects.append(Reject(numbers[0], "bad_entry", detail))
                return
            half = len(entries) // 2
            self._pull(numbers[:half], entries[:half], gathered, mapped)
            self._pull(numbers[half:], entries[half:], gathered, mapped)
            return
        if mapped.n_named is not None:
            mapped.n_named += n_named
        gathered.add(records.lines, columns)

    def _columns_of(self, records: Records) -> tuple[Columns, int]:
        """Uncast values of each column, and the number of entries that have the site's attribute."""
        n_named = 0
        columns: Columns = {  # free text: not scalars only, and no word stands for nothing in it
            name: records.at(paths[0]) if name in casting.FREE else records.first(*paths)
            for name, paths in self._paths.items()
        }
        account = columns.get("account_id")
        if self._form.account and self._content == "requests":
            account = records.first(*self._form.account)
        if self._named:
            named = records.first(*self._named)
            n_named = len(named) - named.count(None)
            account = first_of(named, account) if account else named
        if account is not None:
            columns["account_id"] = account
        if self._form.derive:
            columns |= self._form.derive(records, self._options, columns)
        if any(len(values) != len(records) for values in columns.values()):
            raise ValueError("columns of different lengths")
        return columns, n_named

    def _without_placeholders(self, mapped: Mapped) -> Mapped:
        """Replace texts that only say that content was not logged by NULL."""
        if self._content == "requests":
            mapped.rows, n = placeholders.removed(mapped.rows, self._placeholders)
            if n:
                mapped.notes["placeholder in place of content, taken as not known"] += n
        return mapped

    def _unknown(self, entries: Iterable[Record]) -> set[str]:
        """Names in some entries that no column uses."""
        names = self._form.names
        return {name for entry in entries for name in (names(entry) if names else entry)} - self._taken


@contextmanager
def _uncollected() -> Iterator[None]:
    """Switch the garbage collector off: parsed JSON has no cycles, and looking for them takes a tenth of the time."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _why_no_json(text: str, error: ValueError) -> str:
    if "\0" in text:
        return "NUL byte"
    if "deep" in str(error):
        return "nested too deeply"
    if _NGINX_ESCAPE.search(text):
        return "escapes as \\x22, which are none of JSON: in nginx write log_format with escape=json"
    return ""


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass")) - text.endswith("\n")


def entries_of(lines: pa.Table) -> list[Record]:
    """Objects in some lines that need no unwrapping."""
    entries: list[Record] = []
    for text in lines.column("text").to_pylist():
        try:
            parsed = envelopes.loads(text)
        except ValueError:
            continue
        if isinstance(parsed, dict):
            entries.append(parsed)
    return entries


def _attribute_paths(form: Format, attribute: str | None) -> tuple[Path, ...]:
    """Paths of a site's account attribute: a key of that name, or a path with dots, under each root of the format."""
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


def _taken_names(form: Format, paths: dict[str, tuple[Path, ...]], options: Options) -> frozenset[str]:
    depth = max((len(steps(root)) for root in form.roots), default=0) if form.names else 0
    names = {
        keys[depth]
        for candidates in (*paths.values(), form.account)
        for path in candidates
        if len(keys := steps(path)) > depth
    }
    if options.account_attribute:
        names |= {options.account_attribute, options.account_attribute.split(".")[0]}
    return frozenset(names | form.passed)

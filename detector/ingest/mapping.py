"""One block of entries through a format: canonical rows, rejects with reason and field, what is no call.

The format pulls fields out as text (one SELECT); here they are typed, checked and split, one way for all.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from detector.errors import OutOfMemory, QueryError
from detector.ingest import casting, quick, surrogates
from detector.ingest.formats import Format, Options
from detector.ingest.formats.native import COLUMNS
from detector.ingest.splitting import Block, Reject
from features import schema
from features.spec import Column

#: What an entry of each content cannot do without.
REQUIRED: dict[str, tuple[str, ...]] = {
    "requests": schema.REQUIRED,
    "accounts": ("account_id",),
    "account_events": ("ts", "account_id", "event"),
    "model_releases": ("model", "released_at"),
}
#: Lines of each block whose keys are looked at to count those no column takes.
_SAMPLE = 200
#: Blocks in a row that could not be parsed at once, after which it is no longer tried.
_GIVE_UP = 3


class Engine(Protocol):
    """What the door needs of the lake's engine."""

    def bind(self, name: str, rows: pa.Table | pl.DataFrame) -> None: ...
    def unbind(self, name: str) -> None: ...
    def query(self, sql: str) -> pa.Table: ...


@dataclass
class Mapped:
    """``rows``: ``line`` and the canonical columns. ``n_other``: entries that are no model calls."""

    rows: pl.DataFrame
    rejects: list[Reject] = field(default_factory=list)
    n_other: int = 0
    unknown: set[str] = field(default_factory=set)
    #: Kept lines in which something was put right or taken as unknown: what, and how often.
    notes: Counter[str] = field(default_factory=Counter)


class Mapping:
    """Maps blocks of one format and content; statements are composed once."""

    def __init__(self, engine: Engine, form: Format, content: str, options: Options) -> None:
        self._engine = engine
        self._columns = COLUMNS[content]
        self._content = content
        self._name = form.name
        self._inner = form.select(options, content)
        self._keys = form.keys(options, content)
        self._known = form.known(options, content)
        self._sql: str | None = None
        self._quick = form.quick(options) if form.quick and content == "requests" else None
        self._accounts = form.accounts if self._quick else ()
        if options.account_attribute and self._accounts:
            # A dotted name may be a path, which only the longer ways follow.
            dotted = "." in options.account_attribute
            self._accounts = () if dotted else (options.account_attribute, *self._accounts)
        self._n_failed = 0

    def map(self, block: Block) -> Mapped:
        """Canonical rows of ``block`` and the rejects, those of the reader among them."""
        mapped = self._at_once(block) or self._plain_first(block.lines) or self._long(block.lines)
        if not block.untouched:
            mapped.rejects.extend(block.rejects)
        return mapped

    def _at_once(self, block: Block) -> Mapped | None:
        """The bytes of a block of canonical records, parsed whole; None where that is no way."""
        if not self._accounts or not block.raw:
            return None
        found = quick.parse(block.raw, self._columns, self._accounts)
        if found is None:
            self._n_failed += 1
            if self._n_failed >= _GIVE_UP:
                self._accounts = ()
            return None
        self._n_failed = 0
        self._engine.bind("lines", block.raw.head(_SAMPLE))
        try:
            unknown = self._unknown()
        finally:
            self._engine.unbind("lines")
        return self._sort_out(found, unknown, block)

    def _plain_first(self, lines: pa.Table) -> Mapped | None:
        """Plain lines the short way, the others the long way; None where there is no short way."""
        if not self._quick:
            return None
        self._engine.bind("lines", lines)
        try:
            found = pl.from_arrow(self._engine.query(self._quick))
            self._engine.bind("lines", lines.slice(0, _SAMPLE))
            unknown = self._unknown()
        finally:
            self._engine.unbind("lines")
        assert isinstance(found, pl.DataFrame)
        return self._sort_out(found, unknown, Block(lines))

    def _sort_out(self, found: pl.DataFrame, unknown: set[str], block: Block) -> Mapped:
        """Plain rows as they are; the lines of the others once more, the long way."""
        rows, plain = quick.typed(found, self._columns, REQUIRED[self._content])
        if plain.all():
            return Mapped(rows, unknown=unknown)
        if plain.sum() < found.height // 2:
            self._quick, self._accounts = None, ()  # what is plain in this log is not so here: the long way
        odd = pl.DataFrame({"line": found["line"]}).filter(~plain)["line"]
        lines = block.lines
        mapped = self._long(lines.filter(pc.is_in(lines.column("line"), odd.to_arrow())))
        mapped.rows = pl.concat([rows.filter(plain), mapped.rows]).sort("line", maintain_order=True)
        mapped.unknown |= unknown
        return mapped

    def _unknown(self) -> set[str]:
        """Names in the bound sample of lines that no column takes."""
        sample = self._engine.query(f"SELECT DISTINCT key FROM ({self._keys}) WHERE key IS NOT NULL")
        return {k for k in sample.column("key").to_pylist() if k not in self._known}

    def _long(self, lines: pa.Table) -> Mapped:
        """Every check there is."""
        lines, n_mended = surrogates.mend(lines)
        mapped = self._run(lines)
        if n_mended:
            mapped.notes["half a surrogate pair replaced"] += n_mended
        return mapped

    def _run(self, lines: pa.Table) -> Mapped:
        """Map ``lines``; when the statement fails, ever smaller parts, so that one line costs only itself."""
        try:
            return self._query(lines)
        except QueryError as error:
            if lines.num_rows == 1 and isinstance(error, OutOfMemory):
                raise  # the machine's fault, not the line's
            if lines.num_rows == 1:
                [line], [text] = (lines.column(name).to_pylist() for name in ("line", "text"))
                reason = f"cannot be read as {self._name} ({type(error.__cause__ or error).__name__})"
                return Mapped(
                    self._query(lines.slice(0, 0)).rows, [Reject(line, reason, None, len(text.encode()))]
                )
            half = lines.num_rows // 2
            first, second = self._run(lines.slice(0, half)), self._run(lines.slice(half))
            return Mapped(
                pl.concat([first.rows, second.rows]),
                first.rejects + second.rejects,
                first.n_other + second.n_other,
                first.unknown | second.unknown,
                first.notes + second.notes,
            )

    def _query(self, lines: pa.Table) -> Mapped:
        self._engine.bind("lines", lines)
        try:
            if self._sql is None:
                self._sql = self._statement(self._engine.query(f"DESCRIBE {self._inner}"))
            found = pl.from_arrow(self._engine.query(self._sql))
            assert isinstance(found, pl.DataFrame)
            self._engine.bind("lines", lines.slice(0, _SAMPLE))
            unknown = self._unknown()
        finally:
            self._engine.unbind("lines")
        n_other = int(found["other"].sum())
        bad = found.filter(pl.col("fault").is_not_null() & ~pl.col("other"))
        rejects = [Reject(*row) for row in bad.select("line", "fault", "field", "n_bytes").iter_rows()]
        if n_other or rejects:
            found = found.filter(pl.col("fault").is_null() & ~pl.col("other"))
        notes: Counter[str] = Counter()
        if n_negative := int(found["n_negative"].sum()):
            notes["negative number taken as not known"] = n_negative
        rows = found.drop("n_bytes", "fault", "field", "other", "n_negative")
        return Mapped(rows, rejects, n_other, unknown, notes)

    def _statement(self, described: pa.Table) -> str:
        """The whole statement around the format's own: casts, then checks."""
        given = set(described.column("column_name").to_pylist())
        carried = [c for c in self._columns if c.name in given]
        casts = ",\n".join(f"{casting.value(c, f'e.{c.name}')} AS c_{c.name}" for c in carried)
        raws = ", ".join(f"e.{c.name} AS r_{c.name}" for c in carried)
        checks = [f"WHEN {w} THEN '{c.name}'" for c in carried if (w := _wrong(c))]
        missing = [
            f"WHEN {f'c_{name}' if name in given else 'NULL'} IS NULL THEN '{name} is missing'"
            for name in REQUIRED[self._content]
        ]
        absent = f"CASE {' '.join(missing)} END"
        reasons = " ".join(
            f"WHEN '{c.name}' THEN '{c.name}: expected {casting.expected(c)}, found a value of ' "
            f"|| length(r_{c.name}) || ' characters'"
            for c in carried
        )
        negative = " + ".join(f"(coalesce(c_{c.name} < 0, false))::INTEGER" for c in carried if _is_number(c))
        kept = ",\n".join(
            f"{casting.tidy(c, f'c_{c.name}') if c.name in given else f'NULL::{_stored(c)}'} AS {c.name}"
            for c in self._columns
        )
        field = "e.field" if "field" in given else "NULL::VARCHAR"
        return f"""
            SELECT line, n_bytes, coalesce(other, false) AS other, {negative or "0"} AS n_negative,
                coalesce(fault, CASE wrong {reasons} END,
                    CASE WHEN fault IS NULL AND wrong IS NULL THEN {absent} END) AS fault,
                coalesce(field, wrong,
                    CASE WHEN fault IS NULL THEN split_part({absent}, ' ', 1) END) AS field,
                {kept}
            FROM (SELECT *, CASE {" ".join(checks)} END AS wrong FROM (
                SELECT line, n_bytes, other, fault, {field} AS field, {raws}, {casts}
                FROM ({self._inner}) e))"""


def _wrong(column: Column) -> str | None:
    return casting.wrong(column, f"r_{column.name}", f"c_{column.name}")


def _is_number(column: Column) -> bool:
    return column.type in ("BIGINT", "INTEGER", "DOUBLE")


def _stored(column: Column) -> str:
    """DuckDB type of a column that a format does not give; maps travel as their JSON text."""
    return "VARCHAR" if column.type.startswith("MAP") else column.type

"""Replaces the rows of a file that is read again, and keeps those that another file gave too.

All of it happens in the transaction that reads the file:

* the file's rows go, and those of an earlier, shorter state of the same file;
* rows of other files go if they are the same lines, read under other settings;
* a row that the file no longer gives stays if a line of another file was a duplicate of it. It becomes a row of that
  file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa

from detector.errors import LogError
from detector.ingest import accounts, mapping
from detector.ingest.formats import formats
from detector.ingest.known import KnownState, parts_of
from detector.ingest.ledger import Row, Settings, forced_of, frame, identify, options_of
from detector.ingest.reader import Reader
from detector.ingest.seen import Keying
from detector.ingest.sources import Source, find
from features.request.hashset import U64

if TYPE_CHECKING:
    from detector.lake.transaction import Transaction

#: Tables with rows that two files may both give.
ROWS = ("requests", "accounts", "account_events", "model_releases")


class Given:
    """Hashes of all rows that a file gives when it is read again, also of duplicates."""

    def __init__(self, keying: Keying) -> None:
        self._keying = keying
        self._hashes: list[U64] = []
        self.days: set[date] = set()

    def requests(self, rows: pl.DataFrame) -> None:
        """Take note of requests: ``request_id`` and ``ts``."""
        self._hashes.append(self._keying.lines(rows))
        self.days.update(rows["ts"].dt.date().unique().to_list())

    def facts(self, table: str, rows: pl.DataFrame) -> None:
        """Take note of rows of another table."""
        self._hashes.append(accounts.keys(table, rows))

    def hashes(self) -> U64:
        """All of them, sorted."""
        return np.unique(np.concatenate([*self._hashes, np.zeros(0, dtype=np.uint64)]))


class Replacement:
    """What goes when a file is read again.

    Parameters
    ----------
    rows : ledger rows of the file and of its shorter states; may be empty.
    settings : those of today; None leaves the rows of other files alone.
    """

    def __init__(self, state: KnownState, rows: list[Row], settings: Settings | None) -> None:
        self._state = state
        self.rows = rows
        self.ids = frozenset(row["file_id"] for row in rows)
        self.n_rows = sum(row["n_requests"] for row in rows)
        self.ingested_at = min((row["ingested_at"] for row in rows), default=None)
        self._own = {identity[:16] for identity in self.ids}
        parts = [p for identity in sorted(self.ids) for p in parts_of(state.store, identity, *ROWS)]
        self._parts = parts
        self.days = sorted({day for part in parts if (day := _day(part))})
        #: Files read under other settings: their rows give way to the same lines read under those of today.
        self._outdated = {
            row["file_id"][:16]: row
            for row in state.ledger.files.values()
            if settings and row["content"] == "requests" and row["file_id"] not in self.ids
            and (settings.changed(row) or forced_of(row) not in ("auto", settings.format))
        }  # fmt: skip
        first = min((_order(row) for row in rows), default=None)
        self._later = {
            row["file_id"][:16] for row in state.ledger.files.values() if first and _order(row) > first
        }

    def unknown(self, part: Path) -> bool:
        """Whether the rows of a part count as not in the lake while the file is read.

        Facts that were read later do not count, so that the file's own facts keep their validity.
        """
        owner = part.name[:16]
        if _table(part) == "requests":
            return owner in self._own or owner in self._outdated
        return owner in self._own or owner in self._later

    def carry_out(self, txn: Transaction, given: Given, today: Settings) -> tuple[list[Row], list[str]]:
        """Take the old rows out. Return the changed ledger rows of other files, and remarks for people."""
        hashes = given.hashes()
        n_kept = self._keep_what_others_gave(txn, hashes, today)
        n_gone = self._supersede(txn, hashes, given.days)
        remarks = []
        changed: dict[str, Row] = {}
        for identity, n in (n_kept - n_gone).items():
            changed[identity] = _moved(self._state.ledger.files[identity], n)
        for identity, n in (n_gone - n_kept).items():
            changed[identity] = _moved(self._state.ledger.files[identity], -n)
        for row in changed.values():
            name = self._state.part(row["file_id"], "files")
            for old in parts_of(self._state.store, row["file_id"], "files"):
                txn.remove(old)
            txn.add("files", frame([row]), part=name)
        if n := n_kept.total():
            remarks.append(f"{n} rows it no longer gives stay: {_names(self._state, n_kept)} gave them too")
        if n := n_gone.total():
            remarks.append(
                f"{n} rows of {_names(self._state, n_gone)} went: the same lines under other settings"
            )
        for part in [
            *self._parts,
            *(p for i in self.ids for p in parts_of(self._state.store, i, "rejects", "files")),
        ]:
            txn.remove(part)
        return list(changed.values()), remarks

    # -- rows that stay --------------------------------------------------------------------------------

    def _keep_what_others_gave(self, txn: Transaction, hashes: U64, today: Settings) -> Counter[str]:
        """Give rows that the file no longer gives to the files whose lines were duplicates of them."""
        n_kept: Counter[str] = Counter()
        for content in sorted({_table(part) for part in self._parts}):
            parts = [part for part in self._parts if _table(part) == content]
            old = [self._keys(content, self._rows_of(part)) for part in parts]
            lost = np.setdiff1d(np.concatenate(old), hashes)
            if not len(lost):
                continue
            others = self._others(content)
            owner = np.full(len(lost), -1)
            line = np.zeros(len(lost), dtype=np.int64)
            absent: list[int] = []
            for number, row in enumerate(others):
                source = self._source(row)
                if source is None:
                    absent.append(number)
                    continue
                for keys, lines in self._lines(row, source, today):
                    at = np.minimum(np.searchsorted(lost, keys), len(lost) - 1)
                    hit = (lost[at] == keys) & (owner[at] < 0)
                    owner[at[hit]], line[at[hit]] = number, lines[hit]
            for part, keys in zip(parts, old, strict=True):
                part_rows = self._rows_of(part)
                at = np.minimum(np.searchsorted(lost, keys), len(lost) - 1)
                owner_of = np.where(lost[at] == keys, owner[at], -2)
                for number in absent:
                    owner_of[(owner_of == -1) & _within(part_rows, others[number])] = number
                for number in np.unique(owner_of[owner_of >= 0]):
                    row, which = others[number], owner_of == number
                    own_line = pa.array(
                        line[at[which]], mask=np.full(int(which.sum()), int(number) in absent)
                    )
                    rows = part_rows.filter(pa.array(which))
                    self._add(txn, part, _given_to(rows, row["file_id"], own_line), row["file_id"])
                    n_kept[row["file_id"]] += rows.num_rows
        return n_kept

    def _others(self, content: str) -> list[Row]:
        """Files read since then, with duplicates that may be of this file's lines."""
        return [
            row
            for row in self._state.ledger.files.values()
            if row["content"] == content and row["n_duplicates"] and row["file_id"] not in self.ids
            and (row["reread_at"] or row["ingested_at"]) >= self.ingested_at
        ]  # fmt: skip

    def _source(self, row: Row) -> Source | None:
        """The file of a ledger row, if it is still at its path with the same bytes."""
        try:
            sources = find([row["path"]]).sources
            if len(sources) == 1 and identify(sources[0].path)[0] == row["file_id"]:
                return sources[0]
        except (LogError, ValueError):
            pass
        return None

    def _lines(self, row: Row, source: Source, today: Settings) -> Iterator[tuple[U64, np.ndarray]]:
        """Keys and lines of the rows that a file gives under the settings it was read with."""
        mapper = mapping.RecordMapper(
            formats()[row["format"]], row["content"], options_of(row, today.options)
        )
        try:
            for block in Reader(source):
                rows = mapper.map(block).rows
                if row["content"] == "accounts":
                    rows, _ = accounts.to_rows(
                        rows, key=self._state.key, file_id="", pseudonymise=self._state.pseudonymise
                    )
                else:
                    rows = self._state.stored_accounts(rows)
                yield self._keys(row["content"], rows), rows["line"].to_numpy()
        except LogError:
            return

    def _keys(self, content: str, rows: pl.DataFrame | pa.Table) -> U64:
        table = rows if isinstance(rows, pl.DataFrame) else pl.DataFrame(pl.from_arrow(rows))
        return self._state.keying.lines(table) if content == "requests" else accounts.keys(content, table)

    # -- rows that go ----------------------------------------------------------------------------------

    def _supersede(self, txn: Transaction, hashes: U64, days: set[date]) -> Counter[str]:
        """Take the same lines out of the files that were read under other settings."""
        n_gone: Counter[str] = Counter()
        for day in sorted(days):
            for part in self._state.store.parts("requests", day):
                row = self._outdated.get(part.name[:16])
                if row is None:
                    continue
                columns = pl.read_parquet(part, columns=["request_id", "ts"])
                same = np.isin(self._state.keying.lines(columns), hashes)
                if not same.any():
                    continue
                n_gone[row["file_id"]] += int(same.sum())
                if not same.all():
                    self._add(txn, part, self._rows_of(part).filter(pa.array(~same)), row["file_id"])
                txn.remove(part)
        return n_gone

    def _rows_of(self, part: Path) -> pa.Table:
        store = self._state.store
        return store.engine.query(f"SELECT * FROM {store.relation(_table(part), parts=[part])}")

    def _add(self, txn: Transaction, like: Path, rows: pa.Table, identity: str) -> None:
        table, day = _table(like), _day(like)
        where = f"{table} {day}" if day else table
        txn.add(table, rows, day=day, part=self._state.part(identity, where))


def _table(part: Path) -> str:
    return part.parent.parent.name


def _day(part: Path) -> date | None:
    name = part.parent.name
    return date.fromisoformat(name[4:]) if name.startswith("day=") else None


def _order(row: Row) -> tuple[object, str]:
    return row["ingested_at"], row["path"]


def _within(rows: pa.Table, row: Row) -> np.ndarray:
    """Which rows lie in the time span of a file; all rows when its span is not known."""
    if "ts" not in rows.column_names or row["first_ts"] is None:
        return np.ones(rows.num_rows, dtype=np.bool_)
    times = pl.Series(rows.column("ts"))
    return times.is_between(row["first_ts"], row["last_ts"]).fill_null(value=True).to_numpy()


def _given_to(rows: pa.Table, identity: str, lines: pa.Array) -> pa.Table:
    """``rows`` as rows of another file."""
    for name, values in (("file_id", pa.array([identity] * rows.num_rows, pa.string())), ("line", lines)):
        rows = rows.set_column(rows.column_names.index(name), name, values)
    return rows


def _moved(row: Row, n: int) -> Row:
    """A file's ledger row after ``n`` of its duplicates have become its own rows; negative: the other way round."""
    n_duplicates = row["n_duplicates"] - n
    return row | {
        "n_requests": row["n_requests"] + n,
        "n_duplicates": max(n_duplicates, 0),
        "n_lines": row["n_lines"] + max(-n_duplicates, 0),
    }


def _names(state: KnownState, counted: Counter[str]) -> str:
    paths = [state.ledger.files[identity]["path"] for identity in counted]
    return paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more files"

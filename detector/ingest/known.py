"""What one call of ``ingest`` knows of the lake: its requests, files, templates and accounts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from detector.ingest import accounts
from detector.ingest.ledger import Ledger, Row
from detector.ingest.requests import pseudonymised
from detector.ingest.seen import Keying, SeenRequests
from features.request.hashset import U64, HashSet

if TYPE_CHECKING:
    from detector.lake.store import Store
    from detector.lake.transaction import Transaction


class KnownState:
    """State of one call. Each part is read from the lake when it is first needed."""

    def __init__(self, store: Store, key: bytes, *, pseudonymise: bool, now: datetime) -> None:
        self.store = store
        self.key = key
        self.pseudonymise = pseudonymise
        self.now = now
        self.ledger = Ledger(store)
        self.keying = Keying()
        #: Accounts of the requests kept in this call.
        self.accounts_kept = HashSet()
        self._unknown: Callable[[Path], bool] = lambda part: False
        self.forget()

    def forget(self) -> None:
        """Drop what was learnt since the lake was read. A file that was given up half-way must leave nothing."""
        self._met: HashSet | None = None
        self._told = HashSet()
        self._seen: SeenRequests | None = None
        self._accounts: accounts.KnownAccounts | None = None
        self._facts: dict[str, accounts.KnownFacts] = {}
        self._names = _PartNames(self.store)

    @contextmanager
    def transaction(
        self, identity: str, *, unknown: Callable[[Path], bool] | None = None
    ) -> Iterator[Transaction]:
        """One file's transaction. Its rows are remembered when it succeeds, and forgotten when it fails.

        ``unknown`` says which parts count as not in the lake, because they are being replaced.
        """
        if unknown:
            self.forget()
            self._unknown = unknown
        self._names.begin(identity, is_new=identity not in self.ledger.files)
        try:
            with self.store.transaction("ingest") as txn:
                yield txn
        except BaseException:
            self.forget()
            raise
        finally:
            if unknown:
                self._unknown = lambda part: False
                self.forget()
        if self._seen:
            self._seen.shrink()

    def record(self, *rows: Row, gone: frozenset[str] = frozenset()) -> None:
        """Take note of files whose rows were stored, and of files that are gone from the ledger."""
        for identity in gone:
            self.ledger.files.pop(identity, None)
        self.ledger.files.update({row["file_id"]: row for row in rows})

    def part(self, identity: str, where: str) -> str:
        """Name of the next part of a file in ``where``, a table and perhaps a day."""
        return self._names.next(identity, where)

    def stored_accounts(self, rows: pl.DataFrame) -> pl.DataFrame:
        """``rows`` with ``account_id`` as the lake stores it."""
        if not self.pseudonymise or "account_id" not in rows.columns:
            return rows
        return pseudonymised(rows, self.key)

    def templates_due(self, met: pl.Series) -> list[int]:
        """Templates whose skeleton is stored now: those of a block (``met``) that are met for the second time, in order.

        A template that was met once takes eight bytes of memory, so its second meeting is noticed however late it is.
        """
        if self._met is None:
            self._met, self._told = HashSet(), HashSet()
            for part in self._parts("requests"):
                self._met.new(_ids(pl.read_parquet(part, columns=["template_id"])["template_id"]))
            for part in self.store.parts("templates"):
                self._told.new(_ids(pl.read_parquet(part, columns=["template_id"])["template_id"]))
        ids = _ids(met)
        again = ids[~self._met.new(ids)]
        due: list[int] = again[self._told.new(again)].tolist()
        return due

    @property
    def seen(self) -> SeenRequests:
        if self._seen is None:
            self._seen = SeenRequests(lambda day: self._parts("requests", day), self.keying)
        return self._seen

    @property
    def known_accounts(self) -> accounts.KnownAccounts:
        if self._accounts is None:
            self._accounts = accounts.KnownAccounts(self._parts("accounts"))
        return self._accounts

    def facts(self, table: str) -> accounts.KnownFacts:
        """Events or releases that the lake has already."""
        if table not in self._facts:
            self._facts[table] = accounts.KnownFacts(accounts.FACTS[table], self._parts(table))
        return self._facts[table]

    def _parts(self, table: str, day: date | None = None) -> list[Path]:
        return [part for part in self.store.parts(table, day) if not self._unknown(part)]


def _ids(templates: pl.Series) -> U64:
    return templates.drop_nulls().to_numpy()


class _PartNames:
    """Names of parts: the file's id, the number of times it was read again, and a number.

    Each reading names its parts anew, since a day whose parts keep their names counts as unchanged.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._stems: dict[str, str] = {}
        self._n: Counter[tuple[str, str]] = Counter()

    def begin(self, identity: str, *, is_new: bool) -> None:
        """Start a new transaction. Names of the last one are in the lake now."""
        self._stems, self._n = {}, Counter()
        if is_new:
            self._stems[identity] = identity[:16]

    def next(self, identity: str, where: str) -> str:
        if identity not in self._stems:
            stems = [p.name.partition("-")[0] for p in parts_of(self._store, identity)]
            times = [int(stem.partition(".")[2] or 0) for stem in stems]
            self._stems[identity] = f"{identity[:16]}.{max(times) + 1}" if times else identity[:16]
        self._n[identity, where] += 1
        return f"{self._stems[identity]}-{self._n[identity, where] - 1:05d}.parquet"


#: Tables that ``ingest`` writes by file.
TABLES = ("requests", "accounts", "account_events", "model_releases", "rejects", "templates", "files")


def parts_of(store: Store, identity: str, *tables: str) -> list[Path]:
    """Parts of a file, of all tables or of ``tables``."""
    return [p for t in tables or TABLES for p in store.parts(t) if p.name.startswith(identity[:16])]

"""What one call of ``ingest`` knows of the lake: requests, files, templates and accounts that are there already."""

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
    """State of one call. Each part is read from the lake when first asked for."""

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
        """Drop what was learnt since the lake was read, as when a file is given up half-way."""
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
        """One file's transaction; what it teaches is remembered once it is in the lake, and forgotten if it fails.

        ``unknown`` tells the parts whose rows are to be taken as not in the lake, since they are replaced.
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
        """Take note of files whose rows have been stored, and of those that are gone from the ledger."""
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
        """Templates whose skeleton is to be stored now: of those a block met, in order, the ones met for the second time.

        A template met once takes eight bytes of memory, so that the second meeting is known for sure, however long after.
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
        """Events or releases known already."""
        if table not in self._facts:
            self._facts[table] = accounts.KnownFacts(accounts.FACTS[table], self._parts(table))
        return self._facts[table]

    def _parts(self, table: str, day: date | None = None) -> list[Path]:
        return [part for part in self.store.parts(table, day) if not self._unknown(part)]


def _ids(templates: pl.Series) -> U64:
    return templates.drop_nulls().to_numpy()


class _PartNames:
    """Names of parts: the file's id, how often it was read again, a number.

    A part of another reading has another name, since a day whose parts are called the same counts as unchanged.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._stems: dict[str, str] = {}
        self._n: Counter[tuple[str, str]] = Counter()

    def begin(self, identity: str, *, is_new: bool) -> None:
        """A new transaction: names given out in the last one are taken by now."""
        self._stems, self._n = {}, Counter()
        if is_new:
            self._stems[identity] = identity[:16]

    def next(self, identity: str, where: str) -> str:
        if identity not in self._stems:
            taken = [p.name.partition("-")[0] for p in parts_of(self._store, identity)]
            times = [int(stem.partition(".")[2] or 0) for stem in taken]
            self._stems[identity] = f"{identity[:16]}.{max(times) + 1}" if times else identity[:16]
        self._n[identity, where] += 1
        return f"{self._stems[identity]}-{self._n[identity, where] - 1:05d}.parquet"


#: Tables that ``ingest`` writes by file.
TABLES = ("requests", "accounts", "account_events", "model_releases", "rejects", "templates", "files")


def parts_of(store: Store, identity: str, *tables: str) -> list[Path]:
    """Parts that a file gave, of all tables or those named."""
    return [p for t in tables or TABLES for p in store.parts(t) if p.name.startswith(identity[:16])]

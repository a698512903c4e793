"""What one call of the door remembers: which ids, files, templates and accounts are in the lake already."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import date, datetime
from pathlib import Path
from typing import Protocol

import polars as pl
import pyarrow as pa

from detector.ingest import accounts, mapping, requests
from detector.ingest.seen import SeenIds


class Transaction(Protocol):
    """What the door needs of the lake's transaction."""

    def add(
        self, table: str, rows: pa.Table | pl.DataFrame, *, day: date | None = None, part: str
    ) -> None: ...


class Store(Protocol):
    """What the door needs of the lake."""

    @property
    def root(self) -> Path: ...
    @property
    def engine(self) -> mapping.Engine: ...
    def exclusive(self) -> AbstractContextManager[None]: ...
    def transaction(self, name: str) -> AbstractContextManager[Transaction]: ...
    def parts(self, table: str, day: date | None = None) -> list[Path]: ...


class Memory:
    """State of one call. Each part is read from the lake when first asked for."""

    def __init__(self, store: Store, key: bytes, *, pseudonymise: bool, now: datetime) -> None:
        from features.request.measure import logit_probe  # heavy, so only when files are read

        self.store = store
        self.key = key
        self.pseudonymise = pseudonymise
        self.now = now
        self.logit_probe: requests.LogitProbe = logit_probe
        self.files: set[object] = set(_column(store, "files", "file_id"))
        self.forget()

    def forget(self) -> None:
        """Drop what was learnt since the lake was read, as when a file is given up half-way."""
        self._meter: requests.Meter | None = None
        self._ids: SeenIds | None = None
        self._templates: set[object] | None = None
        self._accounts: accounts.KnownAccounts | None = None
        self._facts: dict[str, accounts.KnownFacts] = {}

    @property
    def meter(self) -> requests.Meter:
        if self._meter is None:
            from features.request.measure import TextMeter

            self._meter = TextMeter(self.key)
        return self._meter

    @property
    def ids(self) -> SeenIds:
        if self._ids is None:
            self._ids = SeenIds()
            self._ids.load(self.store.parts("requests"))
        return self._ids

    @property
    def known_accounts(self) -> accounts.KnownAccounts:
        if self._accounts is None:
            self._accounts = accounts.KnownAccounts(self.store.parts("accounts"))
        return self._accounts

    def facts(self, table: str) -> accounts.KnownFacts:
        """Events or releases known already."""
        if table not in self._facts:
            self._facts[table] = accounts.KnownFacts(accounts.FACTS[table], self.store.parts(table))
        return self._facts[table]

    def new_templates(self) -> pl.DataFrame:
        """Skeletons the meter has met that are not in the lake yet, each once."""
        if self._templates is None:
            self._templates = set(_column(self.store, "templates", "template_id"))
        made = self.meter.skeletons()
        known = self._templates
        fresh = made.filter(pl.Series([t not in known for t in made["template_id"]], dtype=pl.Boolean))
        known.update(fresh["template_id"])
        return fresh


def _column(store: Store, table: str, column: str) -> Iterator[object]:
    for part in store.parts(table):
        yield from pl.read_parquet(part, columns=[column])[column]

"""Takes the rows of one file into the lake: de-duplicated, measured, gathered by day, written as parts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from detector.ingest import accounts, ledger
from detector.ingest.bounds import DATED, Bounds
from detector.ingest.checks import Mapped
from detector.ingest.known import KnownState
from detector.ingest.processing import Kept
from detector.ingest.rejected import Rejects
from detector.ingest.replace import Given
from detector.ingest.report import FileReport

if TYPE_CHECKING:
    from detector.ingest.beside import Completed
    from detector.lake.transaction import Transaction

#: Skeletons kept in memory before they are written as a part.
_TEMPLATES = 131_072


class Intake:
    """Takes the rows of one file into a transaction, by day.

    ``given`` notes every row of the file, also those that are in the lake already.
    """

    def __init__(
        self,
        state: KnownState,
        txn: Transaction,
        identity: str,
        report: FileReport,
        bounds: Bounds,
        given: Given | None = None,
        completed: Completed | None = None,
    ) -> None:
        self.state = state
        self.txn = txn
        self.identity = identity
        self.report = report
        self.bounds = bounds
        self.given = given
        self._completed = completed
        #: Lines that have the attribute that names the account; None: the mapping does not count them.
        self.n_named: int | None = None
        #: When the file was read. A file that is read again keeps its first time.
        self.now = state.now
        self._rejects = Rejects()
        self._templates: list[pl.DataFrame] = []
        self._accounts: list[pl.Series] = []

    def add(self, mapped: Mapped) -> None:
        """Count and keep one block of accounts, events or releases."""
        self._count(mapped)
        rows = mapped.rows.filter(self._believed(mapped.rows))
        if rows.height and self.report.content == "accounts":
            self._add_accounts(rows)
        elif rows.height:
            self._add_facts(rows)

    def judge(self, mapped: Mapped) -> pl.Series:
        """Count one block of requests, and return which of its rows are kept."""
        self._count(mapped)
        believed = self._believed(mapped.rows)
        rows = mapped.rows if believed.all() else mapped.rows.filter(believed)
        if not rows.height:
            return believed
        new, n_same_id = self.state.seen.new(rows.select("request_id", "account_id", "ts"))
        if self.given:
            self.given.requests(rows)
        self._span(rows["ts"])
        n_new = int(new.sum())
        self.report.n_duplicates += rows.height - n_new
        self.report.n_requests += n_new
        if n_same_id:
            words = "kept though the request id is another request's, of another account or second"
            self.report.notes[words] += n_same_id
        if n_new:
            self._accounts.append(rows["account_id"].filter(new).unique().hash())
        if n_new == mapped.rows.height:
            return believed
        which = np.zeros(mapped.rows.height, dtype=np.bool_)
        which[np.flatnonzero(believed.to_numpy())[new.to_numpy()]] = True
        return pl.Series(which)

    def beside(self, mapped: Mapped) -> pl.DataFrame | None:
        """Values of another log for the rows of a block."""
        return (
            self._completed.rows(self.report.format, mapped.rows["request_id"]) if self._completed else None
        )

    def kept(self, kept: Kept) -> list[int]:
        """Take note of the rows kept of a block, and return the templates whose skeletons are wanted."""
        self.report.notes.update(kept.notes)
        self.written(kept.parts)
        return self.state.templates_due(kept.templates)

    def shown(self, skeletons: pl.DataFrame) -> None:
        """Take skeletons of templates that were met a second time."""
        self._templates.append(skeletons)
        if sum(t.height for t in self._templates) >= _TEMPLATES:
            self._write_templates()

    def written(self, parts: Iterable[tuple[date, str]]) -> None:
        """Take parts of requests from the transaction's folder."""
        for day, path in parts:
            name = self.state.part(self.identity, f"requests {day}")
            self.txn.adopt("requests", Path(path), day=day, part=name)

    def _count(self, mapped: Mapped) -> None:
        report = self.report
        report.n_lines += mapped.rows.height + sum(r.n for r in mapped.rejects)
        self._rejects.add(mapped.rejects)
        report.n_other += mapped.n_other
        report.notes.update(mapped.notes)
        report.unknown_keys |= mapped.unknown
        report.keys |= mapped.keys
        if mapped.n_named is not None:
            self.n_named = (self.n_named or 0) + mapped.n_named

    def finish(self) -> None:
        """Write the pending rejects and templates. The report is complete after this."""
        report = self.report
        report.n_rejects, report.codes = self._rejects.n_lines, self._rejects.codes
        report.reasons = self._rejects.reasons
        if self._rejects.damage:
            report.status, report.reason = "unreadable", self._rejects.damage
        if self._rejects.n_lines:
            rows = self._rejects.frame().select(
                pl.lit(self.identity).alias("file_id"),
                pl.lit(ledger.full_path(report.path)).alias("path"),
                pl.all(),
            )
            self._add_part("rejects", rows)
        self._write_templates()
        for ids in self._accounts:
            self.state.accounts_kept.new(ids.to_numpy())
        report.n_accounts = len(self.state.accounts_kept)

    def _believed(self, rows: pl.DataFrame) -> pl.Series:
        """Which rows have a time that is believed. The others are set aside."""
        column = DATED.get(self.report.content, "")
        believed = pl.Series([True]).new_from_index(0, rows.height)
        for code, detail, which in self.bounds.faults(rows, self.report.content):
            aside = rows.filter(which)
            self._rejects.set_aside(aside["line"], code, detail, column)
            low, high = _ends(aside[column])
            if code == "future":
                self.report.future_from = min(low, self.report.future_from or low)
            else:
                self.report.late_to = max(high, self.report.late_to or high)
            believed &= ~which
        return believed

    def _add_accounts(self, rows: pl.DataFrame) -> None:
        facts, rejects = accounts.to_rows(
            rows, key=self.state.key, file_id=self.identity, pseudonymise=self.state.pseudonymise
        )
        self._rejects.add(rejects)
        if self.given:
            self.given.facts("accounts", facts)
        if n_ahead := _n_after(facts, self.bounds.latest, "created_at", "valid_from"):
            self.report.notes["dated in the future, not used before then"] += n_ahead
        new, n_repeated = self.state.known_accounts.dated(facts, self.now)
        self.report.n_duplicates += n_repeated
        self._add_kept("accounts", new)

    def _add_facts(self, rows: pl.DataFrame) -> None:
        table = self.report.content
        rows = self.state.stored_accounts(rows)
        if self.given:
            self.given.facts(table, rows)
        new = self.state.facts(table).new(rows)
        self.report.n_duplicates += rows.height - new.height
        if "ts" in rows.columns:
            self._span(rows["ts"])
        self._add_kept(table, new.with_columns(pl.lit(self.identity).alias("file_id")))

    def _add_kept(self, table: str, rows: pl.DataFrame) -> None:
        self.report.n_requests += rows.height
        if rows.height:
            self._add_part(table, rows)

    def _span(self, times: pl.Series) -> None:
        low, high = _ends(times)
        self.report.first_ts = min(low, self.report.first_ts or low)
        self.report.last_ts = max(high, self.report.last_ts or high)

    def _write_templates(self) -> None:
        skeletons = [t for t in self._templates if t.height]
        self._templates = []
        if skeletons:
            rows = pl.concat(skeletons).select(
                "template_id", "skeleton", pl.lit(self.identity).alias("file_id")
            )
            self._add_part("templates", rows)

    def _add_part(self, table: str, rows: pl.DataFrame) -> None:
        self.txn.add(table, rows, part=self.state.part(self.identity, table))


def _ends(times: pl.Series) -> tuple[datetime, datetime]:
    low, high = times.min(), times.max()
    assert isinstance(low, datetime)
    assert isinstance(high, datetime)
    return low, high


def _n_after(rows: pl.DataFrame, moment: datetime, *columns: str) -> int:
    """Number of rows with some time of ``columns`` after ``moment``."""
    ahead = np.zeros(rows.height, dtype=np.bool_)
    for name in columns:
        ahead |= (rows[name] > moment).fill_null(value=False).to_numpy()
    return int(ahead.sum())

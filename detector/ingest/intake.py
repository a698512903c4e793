"""Rows of one file on their way into the lake: de-duplicated, measured, gathered by day, written as parts."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from detector.ingest import accounts, ledger, mapping, requests
from detector.ingest.bounds import DATED, Bounds
from detector.ingest.known import KnownState
from detector.ingest.rejected import Rejects
from detector.ingest.replace import Given
from detector.ingest.report import FileReport

if TYPE_CHECKING:
    from detector.lake.store import Transaction

#: Rows of one day, and of all days together, that wait in memory before they are written as a part (a row
#: with its sketches takes about 1 KB).
DAY_ROWS = 131_072
ALL_ROWS = 393_216


class Intake:
    """Rows of one file on their way into a transaction, by day.

    ``given`` is told of every row that the file gives, also of those that are in the lake already.
    """

    def __init__(
        self,
        known: KnownState,
        txn: Transaction,
        identity: str,
        report: FileReport,
        bounds: Bounds,
        given: Given | None = None,
    ) -> None:
        self.known = known
        self.txn = txn
        self.identity = identity
        self.report = report
        self.bounds = bounds
        self.given = given
        #: Lines on which the attribute that names the account was found; None: the mapping does not tell.
        self.n_named: int | None = None
        #: When the file was read; an earlier moment when it is read again.
        self.now = known.now
        self._waiting: dict[date, list[pl.DataFrame]] = {}
        self._n_waiting: Counter[date] = Counter()
        self._rejects = Rejects()
        self._templates: list[pl.DataFrame] = []
        self._accounts: list[pl.Series] = []

    def add(self, mapped: mapping.Mapped) -> None:
        """Count, de-duplicate and measure one block."""
        report, rows = self.report, mapped.rows
        report.n_lines += rows.height + sum(r.n for r in mapped.rejects)
        self._rejects.add(mapped.rejects)
        rows = self._within_bounds(rows)
        if rows.height and report.content == "requests":
            self._add_requests(rows, mapped.notes)
        elif rows.height and report.content == "accounts":
            self._add_accounts(rows)
        elif rows.height:
            self._add_facts(rows)
        report.n_other += mapped.n_other
        report.notes.update(mapped.notes)
        report.unknown_keys |= mapped.unknown
        if (n_named := getattr(mapped, "n_named", None)) is not None:
            self.n_named = (self.n_named or 0) + n_named

    def finish(self) -> None:
        """Write what waits, rejects and templates; the report is complete from now on."""
        report = self.report
        for day in sorted(self._waiting):
            self._write_day(day)
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
            self.known.accounts_kept.new(ids.to_numpy())
        report.n_accounts = len(self.known.accounts_kept)

    def _within_bounds(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows whose time is believed; the others are set aside."""
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
        return rows if believed.all() else rows.filter(believed)

    def _add_requests(self, rows: pl.DataFrame, notes: Counter[str]) -> None:
        as_stored = self.known.stored_accounts(rows.select("request_id", "account_id", "ts"))
        new, n_same_id = self.known.seen.new(as_stored)
        if self.given:
            self.given.requests(as_stored)
        self._span(rows["ts"])
        fresh = rows if new.all() else rows.filter(new)
        self.report.n_duplicates += rows.height - fresh.height
        if n_same_id:
            notes["kept though the request id is another request's, of another account or second"] += (
                n_same_id
            )
        if not fresh.height:
            return
        made = requests.to_rows(
            fresh,
            meter=self.known.meter,
            logit_probe=self.known.logit_probe,
            key=self.known.key,
            file_id=self.identity,
            pseudonymise=self.known.pseudonymise,
            notes=notes,
        )
        self.report.n_requests += made.height
        self._accounts.append(made["account_id"].unique().hash())
        self._templates.append(self.known.meter.skeletons())
        if sum(t.height for t in self._templates) >= DAY_ROWS:
            self._write_templates()
        for day, part in _by_day(made):
            self._waiting.setdefault(day, []).append(part)
            self._n_waiting[day] += part.height
            if self._n_waiting[day] >= DAY_ROWS:
                self._write_day(day)
        while self._n_waiting.total() >= ALL_ROWS:
            self._write_day(self._n_waiting.most_common(1)[0][0])

    def _add_accounts(self, rows: pl.DataFrame) -> None:
        made, rejects = accounts.to_rows(
            rows, key=self.known.key, file_id=self.identity, pseudonymise=self.known.pseudonymise
        )
        self._rejects.add(rejects)
        if self.given:
            self.given.facts("accounts", made)
        if n_ahead := _n_after(made, self.bounds.latest, "created_at", "valid_from"):
            self.report.notes["dated in the future, not used before then"] += n_ahead
        kept, n_repeated = self.known.known_accounts.dated(made, self.now)
        self.report.n_duplicates += n_repeated
        self._add_kept("accounts", kept)

    def _add_facts(self, rows: pl.DataFrame) -> None:
        table = self.report.content
        rows = self.known.stored_accounts(rows)
        if self.given:
            self.given.facts(table, rows)
        kept = self.known.facts(table).new(rows)
        self.report.n_duplicates += rows.height - kept.height
        if "ts" in rows.columns:
            self._span(rows["ts"])
        self._add_kept(table, kept.with_columns(pl.lit(self.identity).alias("file_id")))

    def _add_kept(self, table: str, rows: pl.DataFrame) -> None:
        self.report.n_requests += rows.height
        if rows.height:
            self._add_part(table, rows)

    def _span(self, times: pl.Series) -> None:
        low, high = _ends(times)
        self.report.first_ts = min(low, self.report.first_ts or low)
        self.report.last_ts = max(high, self.report.last_ts or high)

    def _write_day(self, day: date) -> None:
        rows = pl.concat(self._waiting.pop(day))
        del self._n_waiting[day]
        self.txn.add("requests", rows, day=day, part=self.known.part(self.identity, f"requests {day}"))

    def _write_templates(self) -> None:
        found = [t for t in self._templates if t.height]
        self._templates = []
        if found:
            rows = pl.concat(found).select("template_id", "skeleton", pl.lit(self.identity).alias("file_id"))
            self._add_part("templates", rows)

    def _add_part(self, table: str, rows: pl.DataFrame) -> None:
        self.txn.add(table, rows, part=self.known.part(self.identity, table))


def _by_day(rows: pl.DataFrame) -> list[tuple[date, pl.DataFrame]]:
    """Rows of each day; a block of a log is mostly of one."""
    first, last = rows["day"].min(), rows["day"].max()
    assert isinstance(first, date)
    if first == last:
        return [(first, rows)]
    return [(part["day"][0], part) for part in rows.partition_by("day", maintain_order=True)]


def _ends(times: pl.Series) -> tuple[datetime, datetime]:
    low, high = times.min(), times.max()
    assert isinstance(low, datetime)
    assert isinstance(high, datetime)
    return low, high


def _n_after(rows: pl.DataFrame, moment: datetime, *columns: str) -> int:
    """Rows of which any of ``columns`` lies after ``moment``."""
    ahead = np.zeros(rows.height, dtype=np.bool_)
    for name in columns:
        ahead |= (rows[name] > moment).fill_null(value=False).to_numpy()
    return int(ahead.sum())

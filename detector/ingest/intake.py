"""Rows of one file on their way into the lake: de-duplicated, measured, gathered by day, written as parts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

import polars as pl

from detector.ingest import accounts, mapping, requests
from detector.ingest.memory import Memory, Transaction
from detector.ingest.sources import Source
from detector.ingest.splitting import Reject
from features.request.keyed import keyed_hash

#: Rows of one day, and of all days together, that wait in memory before they are written as a part (a row
#: with its sketches takes about 1 KB).
DAY_ROWS = 131_072
ALL_ROWS = 393_216


@dataclass
class FileReport:
    """What became of a file. ``skipped``: nothing was read, ``why`` says the reason."""

    path: Path
    format: str = ""
    content: str = ""
    n_lines: int = 0
    n_requests: int = 0
    n_rejects: int = 0
    n_duplicates: int = 0
    n_other: int = 0
    skipped: bool = False
    why: str = ""
    #: Reasons of rejects, and how often.
    reasons: Counter[str] = field(default_factory=Counter)
    #: What was put right or taken as not known in lines that were kept, and how often.
    notes: Counter[str] = field(default_factory=Counter)
    #: Keys found in a sample of the lines that no column takes.
    unknown_keys: set[str] = field(default_factory=set)
    #: Keys found in a sample of the lines, whether a column takes them or not.
    keys: set[str] = field(default_factory=set)
    #: What to set where nearly every line lacks what a setting would name; empty: nothing to say.
    advice: str = ""
    first_ts: datetime | None = None
    last_ts: datetime | None = None


class Intake:
    """Rows of one file on their way into a transaction, by day."""

    def __init__(self, memory: Memory, txn: Transaction, identity: str, report: FileReport) -> None:
        self.memory = memory
        self.txn = txn
        self.identity = identity
        self.report = report
        self._waiting: dict[date, list[pl.DataFrame]] = {}
        self._n_waiting: Counter[date] = Counter()
        self._n_parts: Counter[str] = Counter()
        self._rejects: list[Reject] = []
        self._templates: list[pl.DataFrame] = []

    def add(self, mapped: mapping.Mapped) -> None:
        """Count, de-duplicate and measure one block."""
        report, rejects = self.report, mapped.rejects
        n_kept = mapped.rows.height
        if n_kept and report.content == "requests":
            self._add_requests(mapped.rows, mapped.notes)
        elif n_kept and report.content == "accounts":
            rejects = rejects + self._add_accounts(mapped.rows)
        elif n_kept:
            self._add_facts(mapped.rows)
        report.n_lines += n_kept + sum(r.n for r in mapped.rejects)
        report.n_rejects += sum(r.n for r in rejects)
        report.n_other += mapped.n_other
        for r in rejects:
            report.reasons[_kind(r.reason)] += r.n
        report.notes.update(mapped.notes)
        report.unknown_keys |= mapped.unknown
        report.keys |= mapped.keys
        self._rejects.extend(rejects)
        if len(self._rejects) >= DAY_ROWS:
            self._write_rejects()

    def finish(self, source: Source) -> None:
        """Write what waits, the templates first seen here, and the row in ``files``."""
        for day in sorted(self._waiting):
            self._write_day(day)
        self._write_rejects()
        self._write_templates()
        r = self.report
        row = {
            "file_id": self.identity, "path": str(source.path), "format": r.format, "content": r.content,
            "n_bytes": source.n_bytes, "n_lines": r.n_lines, "n_requests": r.n_requests,
            "n_rejects": r.n_rejects, "n_duplicates": r.n_duplicates, "n_other": r.n_other,
            "n_unknown_keys": len(r.unknown_keys), "first_ts": r.first_ts, "last_ts": r.last_ts,
            "ingested_at": self.memory.now,
        }  # fmt: skip
        times = {name: pl.Datetime("us") for name in ("first_ts", "last_ts", "ingested_at")}
        self.txn.add("files", pl.DataFrame([row], schema_overrides=times), part=self._part("files"))

    def _add_requests(self, rows: pl.DataFrame, notes: Counter[str]) -> None:
        new = self.memory.ids.new(rows["request_id"])
        fresh = rows if new.all() else rows.filter(new)
        self.report.n_duplicates += rows.height - fresh.height
        if not fresh.height:
            return
        self._span(fresh["ts"])
        made = requests.to_rows(
            fresh,
            meter=self.memory.meter,
            logit_probe=self.memory.logit_probe,
            key=self.memory.key,
            file_id=self.identity,
            pseudonymise=self.memory.pseudonymise,
            notes=notes,
        )
        self.report.n_requests += made.height
        self._templates.append(self.memory.new_templates())
        if sum(t.height for t in self._templates) >= DAY_ROWS:
            self._write_templates()
        for day, part in _by_day(made):
            self._waiting.setdefault(day, []).append(part)
            self._n_waiting[day] += part.height
            if self._n_waiting[day] >= DAY_ROWS:
                self._write_day(day)
        while self._n_waiting.total() >= ALL_ROWS:
            self._write_day(self._n_waiting.most_common(1)[0][0])

    def _add_accounts(self, rows: pl.DataFrame) -> list[Reject]:
        made, rejects = accounts.to_rows(
            rows, key=self.memory.key, file_id=self.identity, pseudonymise=self.memory.pseudonymise
        )
        kept, n_repeated = self.memory.known_accounts.dated(made, self.memory.now)
        self.report.n_duplicates += n_repeated
        self._add_ledger("accounts", kept)
        return rejects

    def _add_facts(self, rows: pl.DataFrame) -> None:
        table = self.report.content
        if self.memory.pseudonymise and "account_id" in rows.columns:
            rows = rows.with_columns(keyed_hash(rows["account_id"], self.memory.key, "account"))
        kept = self.memory.facts(table).new(rows)
        self.report.n_duplicates += rows.height - kept.height
        if "ts" in kept.columns and kept.height:
            self._span(kept["ts"])
        self._add_ledger(table, kept.with_columns(pl.lit(self.identity).alias("file_id")))

    def _add_ledger(self, table: str, rows: pl.DataFrame) -> None:
        self.report.n_requests += rows.height
        if rows.height:
            self.txn.add(table, rows, part=self._part(table))

    def _span(self, times: pl.Series) -> None:
        low, high = times.min(), times.max()
        assert isinstance(low, datetime)
        assert isinstance(high, datetime)
        self.report.first_ts = min(low, self.report.first_ts or low)
        self.report.last_ts = max(high, self.report.last_ts or high)

    def _write_day(self, day: date) -> None:
        rows = pl.concat(self._waiting.pop(day))
        del self._n_waiting[day]
        self.txn.add("requests", rows, day=day, part=self._part(f"requests {day}"))

    def _write_rejects(self) -> None:
        if not self._rejects:
            return
        columns = {"line": pl.Int64, "reason": pl.String, "field": pl.String, "n_bytes": pl.Int64}
        rows = [(r.line, r.reason, r.field, r.n_bytes) for r in self._rejects]
        frame = pl.DataFrame(rows, schema=columns, orient="row").select(
            pl.lit(self.identity).alias("file_id"),
            pl.lit(str(self.report.path)).alias("path"),
            *columns,
        )
        self.txn.add("rejects", frame, part=self._part("rejects"))
        self._rejects = []

    def _write_templates(self) -> None:
        found = [t for t in self._templates if t.height]
        self._templates = []
        if found:
            rows = pl.concat(found).select("template_id", "skeleton", pl.lit(self.identity).alias("file_id"))
            self.txn.add("templates", rows, part=self._part("templates"))

    def _part(self, what: str) -> str:
        self._n_parts[what] += 1
        return f"{self.identity[:16]}-{self._n_parts[what] - 1:05d}.parquet"


def _by_day(rows: pl.DataFrame) -> list[tuple[date, pl.DataFrame]]:
    """Rows of each day; a block of a log is mostly of one."""
    first, last = rows["day"].min(), rows["day"].max()
    assert isinstance(first, date)
    if first == last:
        return [(first, rows)]
    return [(part["day"][0], part) for part in rows.partition_by("day", maintain_order=True)]


def _kind(reason: str) -> str:
    """A reason without the figures in it, for counting."""
    return reason.partition(", found a value of")[0]

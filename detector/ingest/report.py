"""What became of a file that ``ingest`` was given."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Literal

from detector.ingest.splitting import Code

#: Code of the rejects that say nothing about the quality of a log.
UNAUTHENTICATED: Code = "unauthenticated"

Status = Literal["read", "passed", "unreadable"]


@dataclass
class FileReport:
    """What became of one path: its ``status``, and the ``reason`` if it was not read to its end."""

    path: Path
    format: str = ""
    content: str = ""
    n_lines: int = 0
    n_requests: int = 0
    n_rejects: int = 0
    n_duplicates: int = 0
    n_other: int = 0
    #: Distinct accounts of the requests kept so far in this call.
    n_accounts: int = 0
    status: Status = "read"
    reason: str = ""
    #: Its bytes were in the lake before, so nothing was done.
    in_lake: bool = False
    #: Path under which the same bytes were read, if another.
    copy_of: str = ""
    #: Why the operator should read it again; empty: there is no need.
    outdated: str = ""
    #: Whether reading it again needs ``--backfill``.
    needs_backfill: bool = False
    #: Share of its lines that was rejected when it was read (0..1), for a file that was in the lake before.
    reject_share: float = 0.0
    #: Rows of it that were taken out of the lake when it was read again, and their days.
    n_replaced: int = 0
    days_replaced: list[date] = field(default_factory=list)
    #: Rejects by code, and by reason without the figures in it.
    codes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    #: What was put right or read as NULL in lines that were kept, and how often.
    notes: Counter[str] = field(default_factory=Counter)
    #: Further things to know, in whole sentences.
    remarks: list[str] = field(default_factory=list)
    #: Keys in a sample of the lines that no column uses.
    unknown_keys: set[str] = field(default_factory=set)
    #: All keys in a sample of the lines, for formats whose keys a site sets.
    keys: set[str] = field(default_factory=set)
    first_ts: datetime | None = None
    last_ts: datetime | None = None
    future_from: datetime | None = None
    late_to: datetime | None = None

    @property
    def n_unauthenticated(self) -> int:
        """Rejects that count against no limit: calls that failed to authenticate."""
        return self.codes[UNAUTHENTICATED]

    @property
    def skipped(self) -> bool:
        """Whether this call read nothing of it."""
        return self.in_lake or (self.status != "read" and not self.n_lines)


def reject_share(n_lines: int, n_rejects: int, n_unauthenticated: int) -> float:
    """Share of rejects (0..1) among the lines that show a log's quality.

    Calls that failed to authenticate count on neither side. So a flood of them cannot hide a log whose other lines are
    all rejected.
    """
    judged = n_lines - n_unauthenticated
    return (n_rejects - n_unauthenticated) / judged if judged > 0 else 0.0

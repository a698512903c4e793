"""Rejected lines: all are counted, and a bounded number of each file is stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import polars as pl

from detector.ingest.splitting import Code, Reject

#: Most rejects of a file with a row of their own. They are enough to see what is wrong; a file may have millions.
KEPT = 10_000
#: Most reasons counted by their words. Further ones are counted by their code.
_REASONS = 1_000

_COLUMNS = {
    "line": pl.Int64, "code": pl.String, "reason": pl.String, "field": pl.String, "n_bytes": pl.Int64,
    "n": pl.Int64,
}  # fmt: skip
_Row = tuple[int | None, str, str, str | None, int | None, int]


class Rejects:
    """The rejects of one file. Memory is bounded by ``KEPT`` and not by their number."""

    def __init__(self) -> None:
        self.n_lines = 0
        self.codes: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        #: Why the file could not be read to its end; empty if it could.
        self.damage = ""
        self._rows: list[_Row] = []
        self._beyond: dict[tuple[Code, str | None], tuple[int, int, int]] = {}

    def add(self, rejects: Iterable[Reject]) -> None:
        """Count rejects; keep them while there is room."""
        for r in rejects:
            self.n_lines += r.n
            self.codes[r.code] += r.n
            reason = _kind(r.reason)
            if reason not in self.reasons and len(self.reasons) >= _REASONS:
                reason = r.code
            self.reasons[reason] += r.n
            if r.code == "damaged":
                self.damage = r.reason
            if len(self._rows) < KEPT:
                self._rows.append((r.line, r.code, r.reason, r.field, r.n_bytes, r.n))
            else:
                line, n, n_bytes = self._beyond.get((r.code, r.field), (r.line, 0, 0))
                self._beyond[r.code, r.field] = (line, n + r.n, n_bytes + (r.n_bytes or 0))

    def set_aside(self, lines: pl.Series, code: Code, detail: str, field: str) -> None:
        """Count lines that are readable but rejected with ``code``."""
        room = max(KEPT - len(self._rows), 0)
        self.add(Reject(line, code, detail, field) for line in lines.head(room))
        if rest := len(lines) - room if len(lines) > room else 0:
            self.add([Reject(int(lines[room]), code, detail, field, n=rest)])

    def frame(self) -> pl.DataFrame:
        """One row for each stored reject, and one for the rest of each code and field. ``n`` adds up to all rejects."""
        rows = list(self._rows)
        for (code, field), (line, n, n_bytes) in self._beyond.items():
            reason = Reject(line, code, f"{n} lines from here on, not listed one by one", field).reason
            rows.append((line, code, reason, field, n_bytes, n))
        return pl.DataFrame(rows, schema=_COLUMNS, orient="row")


def _kind(reason: str) -> str:
    """A reason without the figures in it, for counting."""
    return reason.partition(", found a value of")[0]

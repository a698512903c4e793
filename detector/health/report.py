"""The report of ``doctor``: faults with their cure, notes, and what it mended itself."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

#: Findings of one kind that are listed one by one; the rest is counted.
LISTED = 20


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be. ``cure`` is a command to paste, or advice in words."""

    what: str
    cure: str | None = None


@dataclass
class Report:
    """All findings about one lake. ``faults`` need a cure; ``notes`` are worth knowing."""

    version: str
    python: str
    lake: str
    n_days: int = 0
    first_day: date | None = None
    last_day: date | None = None
    n_bytes: int = 0
    faults: list[Finding] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)
    mended: list[str] = field(default_factory=list)
    #: Number of checks that failed because of damage.
    n_failed: int = 0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def gather(self, what: str, check: Callable[[], Iterable[Finding]], *, into: str = "faults") -> None:
        """Run one check. A check that fails is itself a finding, and stops no other check."""
        listed: list[Finding] = self.faults if into == "faults" else self.notes
        try:
            findings = list(check())
        except Exception as error:  # damaged parts may raise anything, and doctor has to go on
            reason = (str(error) or type(error).__name__).splitlines()[0]
            self.n_failed += 1
            self.faults.append(
                Finding(
                    f"{what} could not be checked: {reason[:300]}",
                    "put right the other faults, then ask again",
                )
            )
            return
        listed.extend(findings[:LISTED])
        if more := findings[LISTED:]:
            listed.append(Finding(f"{what}: {len(more)} more of the same kind", more[0].cure))


def quoted(path: Path | str) -> str:
    """A path, quoted for a shell."""
    return shlex.quote(str(path))

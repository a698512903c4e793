"""Every error a user can meet.

    HydrawatchError
     ├ ConfigError      hydrawatch.toml, the command line, the key
     ├ LogError         a log that cannot be read at all (single lines go to rejects)
     │  └ NotALog          readable data that is no log; it is passed over
     ├ LakeError        the lake itself
     │  ├ TableMismatch    a table's columns differ from what is declared
     │  ├ DayMissing       a day without requests was asked for
     │  └ LakeBusy         another process is writing
     ├ QueryError       a statement failed; names the plug-in
     │  └ OutOfMemory      the engine needed more than memory_gb
     ├ RuleError        a rule file is not valid
     ├ ModelError       a model file is missing, damaged or of another version
     ├ DataQualityError too many rejects, a silent source (exit code 3)
     └ DeliveryError    a sink did not take an alert (exit code 4)
        └ EventRefused     it will never take this one

A message says what was found, what was expected and where; ``hint`` says what to run.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Location:
    """A place a user can open: ``path:line``."""

    path: str
    line: int | None = None

    def __str__(self) -> str:
        return self.path if self.line is None else f"{self.path}:{self.line}"


class HydrawatchError(Exception):
    """Base of every error that is the user's to act on; ``exit_code`` is what the command ends with."""

    exit_code = 2

    def __init__(self, message: str, *, at: Location | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.at = at
        self.hint = hint

    def __str__(self) -> str:
        text = f"{self.at}: {self.message}" if self.at else self.message
        return f"{text}\n  {self.hint}" if self.hint else text


class ConfigError(HydrawatchError):
    """Configuration, command line or key."""


class LogError(HydrawatchError):
    """A log file that cannot be read at all."""


class NotALog(LogError):
    """Readable data, but no log: nothing in it has a time. It is passed over."""


class LakeError(HydrawatchError):
    """The lake itself."""


class TableMismatch(LakeError):
    """Columns differ from what the table declares."""


class DayMissing(LakeError):
    """A day without requests was asked for."""


class LakeBusy(LakeError):
    """Another process is writing to the lake."""


class QueryError(HydrawatchError):
    """A statement failed."""


class OutOfMemory(QueryError):
    """A statement needed more memory than the engine may hold."""


class RuleError(HydrawatchError):
    """A rule file is not valid."""


class ModelError(HydrawatchError):
    """A model file is missing, damaged or of another version."""


class DataQualityError(HydrawatchError):
    """Too many rejected lines, or a source that fell silent."""

    exit_code = 3


class DeliveryError(HydrawatchError):
    """A sink did not take an alert. ``arrived``: it may have it all the same, since no answer came."""

    exit_code = 4

    def __init__(
        self, message: str, *, at: Location | None = None, hint: str | None = None, arrived: bool = True
    ) -> None:
        super().__init__(message, at=at, hint=hint)
        self.arrived = arrived


class EventRefused(DeliveryError):
    """A sink refuses one event for good: another try of the same event cannot succeed."""

    def __init__(self, message: str) -> None:
        super().__init__(message, arrived=False)

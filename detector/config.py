"""What an operator sets: ``DIR/hydrawatch.toml`` (or ``--config``), read strictly.

The description of every key has its unit and reason, and `docs/configuration.md` is written from it. An unknown key, a
wrong type and a value out of range are errors; one message reports all of them.
"""

from __future__ import annotations

import hashlib
import shlex
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from detector.errors import ConfigError, Location

#: Least probability to accuse a group, or an account for its neighbours, whatever the alert budget leaves (0..1). The
#: budget counts false alerts and not the accounts in them, and even a true group may have false members.
ACCUSED_FROM = 0.9


def alert_needs(threshold: float, score: float, *, is_group: bool) -> float:
    """Probability that an alert of a subject with ``score`` needs on a day whose budget allows ``threshold``."""
    sure = max(threshold, ACCUSED_FROM)
    return sure if is_group or score >= sure else threshold


def _listed(value: Any) -> Any:
    """A TOML list as a tuple; any other value is left for the type to refuse."""
    return tuple(value) if isinstance(value, list) else value


def _day(value: Any) -> Any:
    """The day of a TOML date with a time: Python takes it for a date, but cannot compare the two."""
    return value.date() if isinstance(value, datetime) else value


_Text = Annotated[str, Field(min_length=1, pattern=r"\S")]
_Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]
_Patterns = Annotated[tuple[_Text, ...], BeforeValidator(_listed)]
_Paths = Annotated[_Text | Annotated[tuple[_Text, ...], Field(min_length=1)], BeforeValidator(_listed)]
_Day = Annotated[date, BeforeValidator(_day)]


class _Settings(BaseModel):
    """Strict settings: no text counts as a number, no number as a flag, and no key is ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Allow(_Settings):
    """An exemption: its subject is ``watch`` at most until it expires. A reason is required."""

    reason: _Text = Field(description="why, for whoever reads it in a year")
    expires: _Day = Field(description="last day the entry counts")
    account_id: _Text | None = Field(default=None, description="the account; this or `org_id` is needed")
    org_id: _Text | None = Field(default=None, description="every account of the organisation")

    @model_validator(mode="after")
    def _names_somebody(self) -> Allow:
        if self.account_id is None and self.org_id is None:
            raise ValueError("every entry needs account_id or org_id, a string that is not empty")
        return self


_Allowed = Annotated[tuple[Allow, ...], BeforeValidator(_listed)]
_Sinks = Annotated[tuple[dict[str, Any], ...], BeforeValidator(_listed)]


class Config(_Settings):
    """Settings of one lake. The defaults suit a site without a configuration file."""

    alert_budget: float = Field(
        default=1.0,
        ge=0,
        description=(
            "expected false alerts (groups and single accounts) per 10,000 active accounts and day. What one night leaves "
            "is kept for seven days. The most probable subjects are alerted first. This is the only number you have to "
            "choose: how many false alerts your reviewers can look into"
        ),
    )
    alert_floor: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description=(
            "lowest probability (0..1) of an alert, whatever the budget allows: below it a subject is more likely honest "
            "than not"
        ),
    )
    watch_floor: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description=("probability (0..1) from which the verdict is `watch` and evidence is stored in `why`"),
    )
    close_after_days: int = Field(
        default=14,
        ge=0,
        description=(
            "days without a finding after which an alert closes; two weeks are longer than a ban and its replacement take"
        ),
    )
    window_days: int = Field(
        default=14,
        ge=1,
        description=(
            "days of ties that are joined; an account that works little shows its keys over one to two weeks"
        ),
    )
    partner_programs: _Names = Field(
        default=("partner", "reseller"),
        description=(
            "values of `accounts.program` whose accounts resell by contract; their verdict is `watch` at most"
        ),
    )
    account_attribute: str | None = Field(
        default=None,
        description=(
            "key or dotted path in the log that names the account; it is tried before the format's own order"
        ),
    )
    envoy_keys: dict[str, _Text] = Field(
        default_factory=dict,
        description=("table of canonical name to JSON key, for [Envoy](formats.md#envoy)"),
    )
    mapped_keys: dict[str, _Paths] = Field(
        default_factory=dict,
        description=(
            "table of canonical name to the path of its value, or a list of paths, for [any JSON or "
            "CSV](formats.md#mapped); `hydrawatch ingest --suggest FILE` proposes one"
        ),
    )
    placeholders: _Names = Field(
        default=(),
        description=(
            "texts that your gateway writes in place of content it does not log, in addition to the known ones "
            "(`redacted-by-litellm`, `[REDACTED]` ...); such a prompt is unknown, and no accounts share it"
        ),
    )
    trusted_hops: int = Field(
        default=0,
        ge=0,
        description=("number of your own proxies that append to `x-forwarded-for`, counted from the right"),
    )
    max_rejects: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description=(
            "share of lines (0..1) that may be rejected before `ingest` ends with exit code 3, without calls that failed "
            "to authenticate; `--max-rejects` overrides it"
        ),
    )
    max_clock_skew: float = Field(
        default=1.0,
        ge=0,
        description=(
            "days that a line may be ahead of the clock before it is [set aside](operations.md#lines-out-of-time); clocks "
            "and time zones are wrong by hours, not days"
        ),
    )
    max_lateness: float = Field(
        default=35.0,
        ge=0,
        description=(
            "days that a request may be older than the newest day run before it is [set "
            "aside](operations.md#lines-out-of-time); each late line makes every day after it run again"
        ),
    )
    ignore: _Patterns = Field(
        default=(),
        description=(
            'patterns of file names or paths, such as `"*.tmp"`, that `ingest` [passes '
            "over](operations.md#files-that-were-not-read)"
        ),
    )
    pseudonymise_accounts: bool = Field(
        default=False,
        description=(
            "store account ids as keyed hashes; set it before the first `ingest`, because a lake contains one or the other "
            "and `ingest` refuses a change"
        ),
    )
    lake_group: str | None = Field(
        default=None,
        description=(
            "group whose members may read a new lake (0750, files 0640), but not its key; none: only its owner (0700, "
            "0600). An existing lake keeps its modes; `doctor` names the commands that change them"
        ),
    )
    threads: int | None = Field(
        default=None,
        ge=0,
        description=("threads of the engine; none: all cores"),
    )
    memory_gb: float | None = Field(
        default=None,
        ge=0,
        description=(
            "gigabytes of memory for the engine; none: four fifths of the machine. Beyond it, `run` spills to "
            "`LAKE/staging`, which contains no text. `ingest` never spills, because text passes through it; it ends with a "
            "message that names this key"
        ),
    )
    allow: _Allowed = Field(
        default=(),
        description=("the [allow-list](#allow-list)"),
    )
    sinks: _Sinks = Field(
        default=(),
        description=("where `deliver` sends alerts; none: JSON lines on stdout"),
    )

    def allowed(self, day: date) -> tuple[frozenset[str], frozenset[str]]:
        """Accounts and organisations exempted on ``day``."""
        live = [a for a in self.allow if a.expires >= day]
        accounts = frozenset(a.account_id for a in live if a.account_id)
        return accounts, frozenset(a.org_id for a in live if a.org_id)

    def reading(self) -> dict[str, Any]:
        """The arguments of ``ingest`` that are the same for every call at this site."""
        return {
            "account_attribute": self.account_attribute,
            "envoy_keys": self.envoy_keys or None,
            "mapped_keys": self.mapped_keys or None,
            "placeholders": self.placeholders,
            "trusted_hops": self.trusted_hops,
            "pseudonymise": self.pseudonymise_accounts,
        }

    def digest(self, day: date) -> str:
        """Hash of the settings that decide about ``day``: thresholds, window, programmes, and the entries of that day.

        Sinks, keys of the logs and settings of the engine change no verdict, and neither does the reason of an entry.
        """
        accounts, orgs = self.allowed(day)
        figures = [(name, float(getattr(self, name))) for name in _DECIDING]
        text = repr((figures, sorted(self.partner_programs), sorted(accounts), sorted(orgs)))
        return hashlib.sha256(text.encode()).hexdigest()[:32]


#: Figures that verdicts and alerts depend on.
_DECIDING = ("alert_budget", "alert_floor", "watch_floor", "close_after_days", "window_days")


def load_config(root: Path, path: Path | None = None) -> Config:
    """Settings from ``path``, or from ``root/hydrawatch.toml``, or the defaults.

    Raises
    ------
    ConfigError : not TOML, an unknown key, a wrong type or a value out of range. The message lists all faults.
    """
    source = path or root / "hydrawatch.toml"
    try:
        raw = tomllib.loads(source.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        if path:
            raise ConfigError("no such configuration file", at=Location(str(path))) from None
        return Config()
    except OSError as error:
        raise ConfigError(
            f"cannot be read: {error.strerror}",
            at=Location(str(source)),
            hint=f"see: ls -ld {shlex.quote(str(source))}",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"not valid TOML: {error}", at=Location(str(source))) from error
    try:
        return Config.model_validate(raw)
    except ValidationError as error:
        faults = "; ".join(dict.fromkeys(_faults(error)))
        raise ConfigError(faults, at=Location(str(source)), hint="see docs/configuration.md") from None


def _faults(error: ValidationError) -> Iterator[str]:
    """Each fault in one line: its place, what was expected, what was found."""
    for each in error.errors(include_url=False, include_context=False):
        keys = [key for key in each["loc"] if key not in _UNION]
        where = ".".join(str(key) for key in keys)
        model = Allow if len(keys) > 1 and keys[0] == "allow" else Config
        match each["type"]:
            case "extra_forbidden":
                names = ", ".join(sorted(model.model_fields))
                yield f"unknown key {where!r}; known: {names}"
            case "missing":
                yield f"{where}: expected {_WANTED.get(str(keys[-1]), 'a value')}, found none"
            case "value_error":
                yield f"{where}: {each['msg'].removeprefix('Value error, ')}"
            case _:
                yield f"{where}: expected {_expected(keys, each)}, found {_found(each['input'])}"


#: Names that pydantic adds to the place of a fault in a type with alternatives.
_UNION = frozenset(("constrained-str", "tuple[constrained-str, ...]", "str", "tuple[str, ...]"))
_WANTED = {
    "allow": "[[allow]] tables",
    "sinks": "[[sinks]] tables",
    "ignore": 'a list of patterns such as "*.tmp"',
    "account_id": "a string that is not empty",
    "org_id": "a string that is not empty",
    "mapped_keys": "a path, or a list of paths (strings)",
    "envoy_keys": "a key (a string)",
    "reason": "a reason (a string that is not empty)",
    "expires": "a date such as 2026-12-31",
}


#: Pydantic's words for types and limits -> the words of TOML and this project.
_OUR_WORDS = {
    "a tuple": "a list",
    "a dictionary": "a table",
    "a integer": "a whole number",
    "a boolean": "true or false",
    "greater than or equal to": "no less than",
    "less than or equal to": "no more than",
}


def _expected(keys: list[int | str], fault: Mapping[str, Any]) -> str:
    # A fault in an entry of a list names the list. A fault in a setting inside an entry names that setting.
    for name in (str(keys[-1]), "" if len(keys) > 2 else str(keys[0])):
        if name in _WANTED:
            return _WANTED[name]
    words = str(fault["msg"]).removeprefix("Input should be ").replace("a valid ", "a ")
    for theirs, ours in _OUR_WORDS.items():
        words = words.replace(theirs, ours)
    return words


def _found(value: Any) -> str:
    return repr(list(value) if isinstance(value, tuple) else value)[:200]

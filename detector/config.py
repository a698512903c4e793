"""What an operator sets: ``DIR/hydrawatch.toml`` (or ``--config``), read strictly.

Every key has its unit and reason here; an unknown key is an error that lists the known ones.
"""

from __future__ import annotations

import hashlib
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from pathlib import Path
from typing import Any

from detector.errors import ConfigError, Location

#: Groups, and accounts for the company they keep, are accused from this probability on (0..1), whatever the alert
#: budget leaves: it counts false alerts, not the people in them, and a true group may have swept in some beside it.
ACCUSED_FROM = 0.9


def alert_needs(threshold: float, score: float, *, is_group: bool) -> float:
    """Probability that an alert of a subject with ``score`` needed on a day whose budget allowed ``threshold``."""
    sure = max(threshold, ACCUSED_FROM)
    return sure if is_group or score >= sure else threshold


@dataclass(frozen=True)
class Allow:
    """An exemption: its subject is ``watch`` at most until it expires. A reason is required."""

    reason: str
    expires: date
    account_id: str | None = None
    org_id: str | None = None


@dataclass(frozen=True)
class Config:
    """Settings of one lake. Defaults suit a site with no configuration file."""

    #: False groups (and single accounts) tolerated per 10,000 honest accounts and day.
    alert_budget: float = 1.0
    #: An alert needs at least this probability, whatever the budget allows (0..1).
    alert_floor: float = 0.5
    #: ``watch`` starts at this probability (0..1).
    watch_floor: float = 0.2
    #: Days without a finding after which an alert closes: two weeks of quiet outlast a ban and its replacement.
    close_after_days: int = 14
    #: Days of ties that are joined: a light hydra account shows its keys over one to two weeks.
    window_days: int = 14
    #: Programmes whose accounts are resellers by contract: ``watch`` at most.
    partner_programs: tuple[str, ...] = ("partner", "reseller")
    #: Log attribute that names the account, where the formats' own order is not wanted.
    account_attribute: str | None = None
    #: Canonical name -> JSON key for Envoy access logs.
    envoy_keys: Mapping[str, str] = field(default_factory=dict)
    #: Canonical name -> path, or several of which the first that says something is taken, for any JSON or CSV.
    mapped_keys: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    #: Texts your gateway writes in place of content it does not log, beside the shipped ones.
    placeholders: tuple[str, ...] = ()
    #: Proxies of yours that append to x-forwarded-for (count from the right).
    trusted_hops: int = 0
    #: Share of lines that may be rejected before ``ingest`` ends with exit code 3 (0..1).
    max_rejects: float = 0.5
    #: Lines further ahead of now than this are set aside, in days: clocks and time zones err by hours, not days.
    max_clock_skew: float = 1.0
    #: Lines of a day more than this before the newest day run are set aside, in days: a late one makes every day
    #: after it run again. Two and a half windows: what is older changes no verdict of today.
    max_lateness: float = 35.0
    #: Patterns of file names or paths that ``ingest`` passes over.
    ignore: tuple[str, ...] = ()
    #: Store account ids as keyed hashes.
    pseudonymise_accounts: bool = False
    #: Group that may read a new lake (not its key); None: its owner alone. A lake that is there keeps what it has.
    lake_group: str | None = None
    #: Engine threads; None: all cores.
    threads: int | None = None
    #: Engine memory in gigabytes, beyond which ``run`` spills to disk; None: four fifths of the machine.
    memory_gb: float | None = None
    allow: tuple[Allow, ...] = ()
    #: Sinks as written: a type and its own settings.
    sinks: tuple[Mapping[str, Any], ...] = ()

    def allowed(self, day: date) -> tuple[frozenset[str], frozenset[str]]:
        """Accounts and organisations exempted on ``day``."""
        live = [a for a in self.allow if a.expires >= day]
        accounts = frozenset(a.account_id for a in live if a.account_id)
        return accounts, frozenset(a.org_id for a in live if a.org_id)

    def reading(self) -> dict[str, Any]:
        """How logs are read here: the arguments of ``ingest`` that are this site's and no one call's."""
        return {
            "account_attribute": self.account_attribute,
            "envoy_keys": self.envoy_keys or None,
            "mapped_keys": self.mapped_keys or None,
            "placeholders": self.placeholders,
            "trusted_hops": self.trusted_hops,
            "pseudonymise": self.pseudonymise_accounts,
        }

    def digest(self, day: date) -> str:
        """Hash of what decides about ``day``: thresholds, window, programmes, and the entries that act on it.

        Sinks, keys of the logs and the engine's settings change no verdict; nor does an entry's reason.
        """
        accounts, orgs = self.allowed(day)
        figures = [(name, float(getattr(self, name))) for name in _DECIDING]
        told = repr((figures, sorted(self.partner_programs), sorted(accounts), sorted(orgs)))
        return hashlib.sha256(told.encode()).hexdigest()[:32]


#: Figures that verdicts and alerts depend on.
_DECIDING = ("alert_budget", "alert_floor", "watch_floor", "close_after_days", "window_days")
_SHARES = ("alert_floor", "watch_floor", "max_rejects")


def load_config(root: Path, path: Path | None = None) -> Config:
    """Settings from ``path``, else ``root/hydrawatch.toml``, else the defaults.

    Raises
    ------
    ConfigError : not TOML, an unknown key, a wrong type or a value out of range; all faults are told at once.
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
    faults: list[str] = []
    known = {f.name: f for f in fields(Config)}
    values: dict[str, Any] = {}
    for name, value in raw.items():
        if name not in known:
            faults.append(f"unknown key {name!r}; known: {', '.join(sorted(known))}")
        elif name == "allow":
            values[name] = tuple(
                a for a in (_allow(item, faults) for item in _tables(name, value, faults)) if a
            )
        elif name == "sinks":
            values[name] = tuple(_tables(name, value, faults))
        else:
            values[name] = _typed(name, value, faults)
    if faults:
        raise ConfigError("; ".join(faults), at=Location(str(source)), hint="see docs/configuration.md")
    return Config(**values)


def _tables(name: str, value: Any, faults: list[str]) -> list[dict[str, Any]]:
    if isinstance(value, list) and all(isinstance(v, dict) for v in value):
        return value
    faults.append(f"{name}: expected [[{name}]] tables")
    return []


def _typed(name: str, value: Any, faults: list[str]) -> Any:
    default = getattr(Config(), name)
    wanted: type | tuple[type, ...]
    if name in ("account_attribute", "lake_group"):
        wanted = str
    elif name == "threads":
        wanted = int
    elif name == "memory_gb" or isinstance(default, float):
        wanted = (int, float)
    elif isinstance(default, tuple):
        wanted = list
    elif isinstance(default, Mapping):
        wanted = dict
    else:
        wanted = type(default)
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
        faults.append(f"{name}: expected {_name(wanted)}, found {value!r}")
        return default
    if name in _SHARES and isinstance(value, int | float) and not 0 <= value <= 1:
        faults.append(f"{name}: expected a share from 0 to 1, found {value!r}")
    elif isinstance(value, int | float) and not isinstance(value, bool) and value < 0:
        faults.append(f"{name}: expected 0 or more, found {value!r}")
    if name == "ignore" and isinstance(value, list) and not all(isinstance(v, str) and v for v in value):
        faults.append(f'ignore: expected a list of patterns such as "*.tmp", found {value!r}')
    if name == "window_days" and isinstance(value, int) and value < 1:
        faults.append(f"{name}: expected 1 or more, found {value!r}")
    if name in ("envoy_keys", "mapped_keys") and isinstance(value, dict):
        return _keys(name, value, faults)
    return tuple(value) if isinstance(value, list) else value


def _keys(table: str, given: dict[str, Any], faults: list[str]) -> dict[str, Any]:
    """Names and the keys or paths they lie under; several only for ``mapped_keys``."""
    made: dict[str, Any] = {}
    for name, value in given.items():
        several = isinstance(value, list) and table == "mapped_keys"
        listed = value if several else [value]
        if not listed or not all(isinstance(v, str) and v for v in listed):
            wanted = "a path, or a list of paths" if table == "mapped_keys" else "a key"
            faults.append(f"{table}.{name}: expected {wanted} (strings), found {value!r}")
        else:
            made[name] = tuple(value) if several else value
    return made


def _name(wanted: type | tuple[type, ...]) -> str:
    if isinstance(wanted, tuple):
        return "a number"
    return {"str": "a string", "list": "a list", "dict": "a table"}.get(wanted.__name__, wanted.__name__)


def _allow(item: dict[str, Any], faults: list[str]) -> Allow | None:
    allowed = {f.name for f in fields(Allow)}
    if unknown := set(item) - allowed:
        faults.append(f"allow: unknown keys {sorted(unknown)}; known: {sorted(allowed)}")
        return None
    expires = item.get("expires")
    # A TOML date with a time is a date to Python, but cannot be compared with one.
    expires = expires.date() if isinstance(expires, datetime) else expires
    if not isinstance(item.get("reason"), str) or not item["reason"].strip() or not isinstance(expires, date):
        faults.append("allow: every entry needs a reason (string) and expires (date such as 2026-12-31)")
        return None
    ids = {key: item[key] for key in ("account_id", "org_id") if key in item}
    if not ids or not all(isinstance(value, str) and value for value in ids.values()):
        faults.append("allow: every entry needs account_id or org_id, a string that is not empty")
        return None
    return Allow(reason=item["reason"], expires=expires, **ids)

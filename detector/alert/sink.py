"""Where alerts go. A sink is one file in ``detector/alert/sinks`` with one function: ``make``.

``make(name, settings)`` gets the sink's table of the configuration without ``type`` and ``name`` and
returns something with a ``name`` and a ``send``. Third parties add theirs through the entry-point group
``hydrawatch.sink``, each entry naming a module. A sink is imported only when it is used.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import pkgutil
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

from detector.alert import sinks as shipped
from detector.alert.clean import clean
from detector.errors import ConfigError

Event = Mapping[str, Any]


class Sink(Protocol):
    """A place that takes events.

    The ledger of deliveries knows it by its ``name``: after a change of name everything is sent again.
    """

    @property
    def name(self) -> str: ...

    def send(self, event: Event, *, key: str) -> int:
        """Hand over one event and return the number of tries it took.

        Every sending of the event has the same ``key``, so that a receiver can drop what it has. A sink that waits may
        also take ``until``, a moment of ``time.monotonic`` by which it has to be done.

        Raises
        ------
        EventRefused : the sink will never take this event.
        DeliveryError : the sink did not take it this time.
        """
        ...


def _discover() -> dict[str, str]:
    modules = {m.name: f"{shipped.__name__}.{m.name}" for m in pkgutil.iter_modules(shipped.__path__)}
    for entry in importlib.metadata.entry_points(group="hydrawatch.sink"):
        modules.setdefault(entry.name, entry.value)
    return dict(sorted(modules.items()))


#: Type of sink -> module.
SINKS: Mapping[str, str] = MappingProxyType(_discover())


#: Longest time that one ``deliver`` waits for one sink, unless its table says otherwise (s).
DEADLINE_S = 600.0


@dataclass(frozen=True)
class Opened:
    """A sink ready to be served. One ``deliver`` spends at most ``deadline_s`` on it (s)."""

    sink: Sink
    deadline_s: float = DEADLINE_S

    @property
    def name(self) -> str:
        return self.sink.name


@dataclass(frozen=True)
class NotOpened:
    """A sink that cannot be served as it is configured, with the error."""

    name: str
    error: ConfigError


def open_each(config: Sequence[Mapping[str, Any]]) -> list[Opened | NotOpened]:
    """Every sink of a configuration, in its order; without any, JSON lines on stdout.

    Each entry has a ``type``, an optional ``name`` (default: the type), an optional ``deadline_s`` and the type's own
    settings. A sink that cannot be opened stops no other.
    """
    sinks: list[Opened | NotOpened] = []
    names: set[str] = set()
    for entry in config or [{"type": "jsonl"}]:
        name = str(entry.get("name") or entry.get("type"))
        try:
            opened = _open(entry, names)
        except ConfigError as error:
            # Another sink may have this name and be served: the report must not mix them up.
            sinks.append(NotOpened(f"{name} (the second)" if name in names else name, error))
        except Exception as error:
            # A sink may be third-party code: an error on opening it must not stop the others.
            words = f"sink {name!r}: {type(error).__name__}: {clean(error, 200)}"
            sinks.append(NotOpened(name, ConfigError(words)))
        else:
            sinks.append(opened)
            names.add(opened.name)
    return sinks


def _open(entry: Mapping[str, Any], names: Set[str]) -> Opened:
    settings = dict(entry)
    kind = settings.pop("type", None)
    if kind not in SINKS:
        raise ConfigError(f"unknown sink type {kind!r}; known: {', '.join(SINKS)}")
    name = settings.pop("name", kind)
    if not isinstance(name, str) or not name:
        raise ConfigError(f"sink {kind}: name must be a string that is not empty, found {name!r}")
    if name in names:
        raise ConfigError(f"two sinks are named {name!r}", hint="give each [[sinks]] table its own name")
    deadline_s = setting(settings, "deadline_s", (int, float), DEADLINE_S, sink=name)
    if not 0 < deadline_s < float("inf"):
        raise ConfigError(f"sink {name!r}: deadline_s needs more than 0 seconds, found {deadline_s!r}")
    settings.pop("deadline_s", None)
    make: Callable[[str, Mapping[str, Any]], Sink] = importlib.import_module(SINKS[kind]).make
    return Opened(make(name, settings), float(deadline_s))


def open_sinks(config: Sequence[Mapping[str, Any]]) -> list[Sink]:
    """The sinks a configuration asks for, all of them or none.

    Raises
    ------
    ConfigError : an unknown type, two sinks of one name, or settings the sink refuses.
    """
    opened: list[Sink] = []
    for each in open_each(config):
        if isinstance(each, NotOpened):
            raise each.error
        opened.append(each.sink)
    return opened


def setting(
    settings: Mapping[str, Any], key: str, types: type | tuple[type, ...], default: Any, *, sink: str
) -> Any:
    """One setting of a sink, checked.

    Raises
    ------
    ConfigError : it has another type than expected.
    """
    value = settings.get(key, default)
    wanted = types if isinstance(types, tuple) else (types,)
    # bool is an int to Python; nobody means "timeout_s = true".
    wrong = isinstance(value, bool) and bool not in wanted
    if value is not default and (wrong or not isinstance(value, wanted)):
        names = " or ".join(t.__name__ for t in wanted)
        raise ConfigError(f"sink {sink!r}: {key} must be {names}, found {type(value).__name__}")
    return value


def refuse_unknown(settings: Mapping[str, Any], names: Iterable[str], *, sink: str) -> None:
    """Refuse settings that are not among ``names``, so that a misspelt one is not silently ignored.

    Raises
    ------
    ConfigError : an unknown setting; the message lists the known ones.
    """
    listed = sorted(names)
    if unknown := sorted(set(settings) - set(listed)):
        raise ConfigError(f"sink {sink!r}: unknown setting {', '.join(unknown)}; known: {', '.join(listed)}")

"""Where alerts go. A sink is one file in ``detector/alert/sinks`` with one function: ``make``.

``make(name, settings)`` gets the sink's table of the configuration without ``type`` and ``name`` and
returns something with a ``name`` and a ``send``. Third parties add theirs through the entry-point group
``hydrawatch.sink``, each entry naming a module. A sink is imported only when it is used.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import pkgutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

from detector.alert import sinks as shipped
from detector.errors import ConfigError

Event = Mapping[str, Any]


class Sink(Protocol):
    """A place that takes events.

    ``name`` is what the ledger of deliveries knows it by: renaming a sink sends everything again.
    """

    @property
    def name(self) -> str: ...

    def send(self, event: Event, *, key: str) -> int:
        """Hand over one event and return the number of tries it took.

        ``key`` is the same whenever this event is sent, so that a receiver can drop what it has.

        Raises
        ------
        DeliveryError : the sink did not take it.
        """
        ...


def _discover() -> dict[str, str]:
    found = {m.name: f"{shipped.__name__}.{m.name}" for m in pkgutil.iter_modules(shipped.__path__)}
    for entry in importlib.metadata.entry_points(group="hydrawatch.sink"):
        found.setdefault(entry.name, entry.value)
    return dict(sorted(found.items()))


#: Types of sink found: type -> module.
SINKS: Mapping[str, str] = MappingProxyType(_discover())


def open_sinks(config: Sequence[Mapping[str, Any]]) -> list[Sink]:
    """The sinks a configuration asks for, in its order; with none asked for, JSON lines on stdout.

    Each entry has a ``type``, an optional ``name`` (default: the type) and the type's own settings.

    Raises
    ------
    ConfigError : an unknown type, two sinks of one name, or settings the sink refuses.
    """
    opened: list[Sink] = []
    for entry in config or [{"type": "jsonl"}]:
        settings = dict(entry)
        kind = settings.pop("type", None)
        if kind not in SINKS:
            raise ConfigError(f"unknown sink type {kind!r}; known: {', '.join(SINKS)}")
        name = settings.pop("name", kind)
        if not isinstance(name, str) or not name:
            raise ConfigError(f"sink {kind}: name must be a string that is not empty, found {name!r}")
        if name in {sink.name for sink in opened}:
            raise ConfigError(f"two sinks are named {name!r}", hint="give each [[sinks]] table its own name")
        make: Callable[[str, Mapping[str, Any]], Sink] = importlib.import_module(SINKS[kind]).make
        opened.append(make(name, settings))
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


def refuse_unknown(settings: Mapping[str, Any], known: Iterable[str], *, sink: str) -> None:
    """Refuses settings that a sink does not know, so that a misspelt one is not silently ignored.

    Raises
    ------
    ConfigError : lists the known ones.
    """
    listed = sorted(known)
    if unknown := sorted(set(settings) - set(listed)):
        raise ConfigError(f"sink {sink!r}: unknown setting {', '.join(unknown)}; known: {', '.join(listed)}")

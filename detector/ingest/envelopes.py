"""Wrappers around entries, taken off in one place for all formats."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def unwrap(value: Any) -> Iterator[dict[str, Any]]:
    """The entries in one parsed line."""
    if isinstance(value, dict):
        yield value

"""hydrawatch: decides and tells. ``open_lake`` is the way in for notebooks."""

from __future__ import annotations

from detector.lake.opened import OpenedLake, open_lake

__all__ = ["OpenedLake", "open_lake"]

"""The face of hydrawatch to notebooks and scripts: ``import hydrawatch``, ``python -m hydrawatch``.

>>> lake = hydrawatch.open_lake("lake")
>>> lake.frame("groups")
"""

from __future__ import annotations

from detector import OpenedLake, __version__, open_lake

__all__ = ["OpenedLake", "__version__", "open_lake"]

if __name__ == "__main__":
    from detector.cli import main

    main()

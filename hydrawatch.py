"""The face of hydrawatch to notebooks and scripts: ``import hydrawatch``, ``python -m hydrawatch``.

>>> lake = hydrawatch.open_lake("lake", create=True)
>>> lake.ingest("/var/log/llm")
>>> lake.run()
>>> lake.frame("groups")
"""

from __future__ import annotations

from detector import Lake, __version__, open_lake

__all__ = ["Lake", "__version__", "open_lake"]

if __name__ == "__main__":
    from detector.cli import main

    main()

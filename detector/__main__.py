"""``python -m detector``: the command ``hydrawatch``, where its script is not on the path."""

from __future__ import annotations

from detector.cli import main

main()

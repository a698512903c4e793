"""``python -m detector`` is the command ``hydrawatch``, for when its script is not on the path."""

from __future__ import annotations

from detector.cli import main

main()

"""Named points at which a test may kill the process, as a power cut would."""

from __future__ import annotations

import os

#: Points at which a test may kill the process: ``HYDRAWATCH_FAULT=<point>``.
FAULT_POINTS = (
    "ingest.staged", "ingest.journalled", "ingest.half", "ingest.applied",
    "run.staged", "run.journalled", "run.half", "run.applied",
    "deliver.issued", "deliver.sending", "deliver.sent", "deliver.staged", "deliver.applied",
    "views.written",
    "migrate.part", "migrate.staged", "migrate.journalled", "migrate.half", "migrate.applied", "migrate.views",
    "migrate.dropping",
)  # fmt: skip


def fault(point: str) -> None:
    """Die here, as a power cut would, when the environment names this point."""
    if os.environ.get("HYDRAWATCH_FAULT") == point:
        os._exit(137)

"""The line from a lake's requests to its alerts, and what is done with them. Only this wing knows every stage.

    requests -> account_days -> ties -> groups -> group_days -> scores -> findings -> alerts

``day.run_day`` does this for one day from the lake alone and swaps all of the day's partitions in at the end.
State is yesterday's partition, so any day can be run again with the same result.
"""

from __future__ import annotations

import rules
from detector.errors import ModelError
from detector.pipeline import due
from detector.pipeline.day import DayReport, Observe, Observed, run_day
from detector.pipeline.due import due_days, input_digest
from detector.score.detector import Detector

__all__ = [
    "DayReport",
    "Observe",
    "Observed",
    "due",
    "due_days",
    "input_digest",
    "load_detector",
    "run_day",
]


def load_detector() -> Detector:
    """The shipped classifier.

    Raises
    ------
    ModelError : the file is missing or damaged.
    """
    try:
        return Detector.loads(rules.read_bytes("models/detector.json").decode())
    except (ValueError, FileNotFoundError) as error:
        raise ModelError(
            f"the classifier cannot be read: {error}", hint="rebuild it: hydrawatch train"
        ) from error

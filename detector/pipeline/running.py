"""Days that are due, run one after the other: which they are, and what of their alerts is new."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from itertools import chain
from typing import TYPE_CHECKING

from detector import pipeline
from detector.alert.lifecycle import SEVERITIES
from detector.config import Config
from detector.pipeline import due
from detector.pipeline.exempt import idle_entries, settings_changed

if TYPE_CHECKING:
    from detector.lake.store import Store
    from detector.pipeline import DayReport
    from detector.score.detector import Detector


@dataclass
class RunReport:
    """What one run did.

    ``raised``: severities of alerts that opened, or rose, in this run. ``still_open``: of all that are open now.
    ``notes``: what an operator should look at. ``otherwise``: earlier days that another classifier scored.
    """

    days: list[DayReport] = field(default_factory=list)
    raised: list[str] = field(default_factory=list)
    still_open: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    #: Days that have not come yet and were not run.
    ahead: list[date] = field(default_factory=list)
    otherwise: list[date] = field(default_factory=list)


@dataclass(frozen=True)
class Listener:
    """Told what happens as it happens; every call may be left out."""

    #: The day, its stage, days finished, days expected at most.
    stage: Callable[[date, str, int, int], None] = lambda day, stage, n_done, n_days: None
    ran: Callable[[DayReport], None] = lambda report: None
    #: Days after today whose results are dropped, and the day that settings have changed since.
    dropped: Callable[[date], None] = lambda day: None
    changed: Callable[[date], None] = lambda day: None


def run_days(
    store: Store,
    settings: Config,
    *,
    day: date | None = None,
    since: date | None = None,
    until: date | None = None,
    today: date,
    detector: Detector | None = None,
    listener: Listener = Listener(),
) -> RunReport:
    """Run one day, the days of a span, or else every day that is due, oldest first, up to ``today``.

    Parameters
    ----------
    day, since, until : run these days whether due or not.
    today : days after it are not run, and what was computed for them is dropped.
    detector : None is the shipped classifier.

    Raises
    ------
    DayMissing : the lake has no requests of ``day``.
    ModelError : the classifier cannot be read.
    """
    report = RunReport()
    with store.exclusive():
        detector = detector or pipeline.load_detector()
        for gone in due.drop_ahead(store, today):
            listener.dropped(gone)
        store.write_views()  # those of an older version, or of a run that found the disk full
        before = _alerts(store)
        if day or since or until:
            forced = [day] if day else days_between(store, since, until, today)
            due.mark_due(store, forced)  # a stop half-way leaves what was not reached to the next run
            days, n_days = iter(forced), len(forced)
        else:
            days, n_days = _due(store, settings, today, listener)
        alerts = _run_each(store, days, n_days, settings, detector, listener, report)
        after = _alerts(store)
        report.raised = [severity for alert, severity in alerts if _is_new(alert, severity, before, after)]
        report.still_open = [severity for severity, state in after.values() if state == "open"]
        report.notes = [*idle_entries(store, settings), *_of_classifier(detector)]
        report.ahead = list(due.ahead(store, today))
        report.otherwise = list(due.scored_otherwise(store, detector.digest()))
        store.drop_before()
    return report


def _of_classifier(detector: Detector) -> list[str]:
    """What an operator should know of the classifier that ran."""
    if not detector.is_converted:
        return []
    return ["the classifier was trained by version 0.1 and was converted; train it anew: hydrawatch train"]


def days_between(store: Store, since: date | None, until: date | None, today: date) -> list[date]:
    """Days with requests from ``since`` to ``until``, and not after today."""
    days = [d for d in store.days("requests") if d <= today]
    return [d for d in days if (not since or d >= since) and (not until or d <= until)]


def _due(store: Store, settings: Config, today: date, listener: Listener) -> tuple[Iterator[date], int]:
    """Days that are due, and how many they may become: a day whose result changed makes the next one due."""
    if (again := settings_changed(store, settings)) and again <= today:
        listener.changed(again)
        due.mark_due(store, [again])
    days = due.days_to_run(store, until=today)
    oldest = next(days, None)
    if oldest is None:
        return days, 0
    return chain([oldest], days), len(days_between(store, oldest, None, today))


def _run_each(
    store: Store,
    days: Iterator[date],
    n_days: int,
    settings: Config,
    detector: Detector,
    listener: Listener,
    report: RunReport,
) -> list[tuple[str, str]]:
    """Run the days one by one; id and severity of the alerts that opened or changed, as they were told last."""
    severities: dict[str, str] = {}
    for each in days:

        def tell(stage: str, each: date = each) -> None:
            listener.stage(each, stage, len(report.days), n_days)

        done = pipeline.run_day(store, each, config=settings, detector=detector, progress=tell)
        report.days.append(done)
        severities |= dict(done.told)
        listener.ran(done)
    return list(severities.items())


def _alerts(store: Store) -> dict[str, tuple[str, str]]:
    """Severity and state of every alert, by its id, as of the newest day run."""
    newest = store.newest("alerts")
    rows = store.engine.query(
        f"SELECT alert_id, severity, state FROM {store.relation('alerts', [newest] if newest else [])}"
    )
    return {r["alert_id"]: (r["severity"], r["state"]) for r in rows.to_pylist()}


def _is_new(
    alert: str, severity: str, before: dict[str, tuple[str, str]], after: dict[str, tuple[str, str]]
) -> bool:
    """Whether an alert that the run told of was not there before, or was milder, or closed and is open now."""
    if alert not in before:
        return True
    severity_before, state = before[alert]
    reopened = state == "closed" and after.get(alert, ("", ""))[1] == "open"
    return reopened or SEVERITIES.index(severity) > SEVERITIES.index(severity_before)

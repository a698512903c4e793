"""The command that measures, links, scores and alerts: ``hydrawatch run``."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from itertools import chain
from typing import TYPE_CHECKING, Annotated

import typer

from detector.cli import ending
from detector.cli.lake import ConfigOption, LakeOption, open_for_work
from detector.cli.show import bar, plural, say
from detector.errors import ConfigError

if TYPE_CHECKING:
    from detector.config import Config
    from detector.lake.store import Store
    from detector.pipeline import DayReport
    from detector.score.additive import Detector

LEVELS = ("low", "medium", "high", "critical")
#: Stages of a day that are told, about: how far the bar moves within it.
STAGES = 8
FailOnOption = Annotated[
    str | None,
    typer.Option(
        "--fail-on", help="exit with 1 when this run opened or raised an alert to this severity or above"
    ),
]
NowOption = Annotated[
    str | None,
    typer.Option("--now", help="time taken for now (UTC), for a replay; else the clock", show_default=False),
]


def moment(text: str | None) -> datetime | None:
    """A day or time (ISO 8601, UTC where it names no zone) given on the command line.

    Raises
    ------
    typer.BadParameter : it is neither.
    """
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no time; expected YYYY-MM-DD or YYYY-MM-DDTHH:MM:SSZ"
        ) from None


def run(
    lake: LakeOption,
    day: Annotated[str | None, typer.Option("--day", help="one day, due or not", show_default=False)] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="first day, due or not", show_default=False)
    ] = None,
    until: Annotated[str | None, typer.Option("--until", help="last day", show_default=False)] = None,
    fail_on: FailOnOption = None,
    fail_on_open: Annotated[
        str | None,
        typer.Option(
            "--fail-on-open", help="exit with 1 while any alert of this severity or above is open, new or not"
        ),
    ] = None,
    now: NowOption = None,
    config: ConfigOption = None,
) -> None:
    """Measure, link, score and alert, day by day.

    Without a day: every day not yet run, or whose logs have changed since, oldest first, up to today.

    Example: hydrawatch run --lake lake --since 2026-03-01
    """
    from detector import pipeline
    from detector.pipeline.exempt import idle_entries, settings_changed

    for level in (fail_on, fail_on_open):
        if level is not None and level not in LEVELS:
            raise typer.BadParameter(f"unknown severity {level!r}; there are {', '.join(LEVELS)}")
    one, first, last = _day(day), _day(since), _day(until)
    if one and (first or last):
        raise typer.BadParameter("choose --day or --since/--until")
    if first and last and first > last:
        raise typer.BadParameter(f"--since {first} is after --until {last}")
    today = pipeline.due.today(moment(now))
    ending.works_on(lake, config)
    if one and one > today:
        raise ConfigError(
            f"{one} is after today ({today}), and days after today are not run",
            hint=f"for a replay: hydrawatch run --day {one} --now {one}",
        )
    store, settings = open_for_work(lake, config, spill=True)
    with store, store.exclusive():
        detector = pipeline.load_detector()
        for gone in pipeline.due.drop_ahead(store, today):
            say(
                f"{gone} is after today ({today}): what had been computed for it is dropped, its requests "
                "are kept; alerts and scores are again those of the days before"
            )
        store.write_views()  # those of an older version, or of a run that found the disk full
        before = _alerts(store)
        if one or first or last:
            forced = [one] if one else _between(store, first, last, today)
            pipeline.due.mark_due(
                store, forced
            )  # a stop half-way leaves what was not reached to the next run
            days, n_days = iter(forced), len(forced)
        else:
            if (again := settings_changed(store, settings)) and again <= today:
                say(
                    f"{again}: the allow-list or another setting has changed since it was run; deciding it again"
                )
                pipeline.due.mark_due(store, [again])
            days = pipeline.due.days_to_run(store, until=today)
            n_days = 0
            if oldest := next(days, None):
                days, n_days = chain([oldest], days), len(_between(store, oldest, None, today))
        raised = _run_days(store, days, n_days, settings, detector, before)
        if not n_days and not (first or last):
            _say_nothing(store)
        for note in idle_entries(store, settings):
            say(f"note: {note}")
        _tell_ahead(store, today)
        _tell_otherwise(store, detector)
        still_open = [severity for severity, state in _alerts(store).values() if state == "open"]
    say(f"{plural(len(still_open), 'open alert')}; next: hydrawatch deliver{ending.arguments()} --dry-run")
    if fail_on and any(LEVELS.index(s) >= LEVELS.index(fail_on) for s in raised):
        raise typer.Exit(1)
    if fail_on_open and any(LEVELS.index(s) >= LEVELS.index(fail_on_open) for s in still_open):
        raise typer.Exit(1)


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a day; expected YYYY-MM-DD") from None


def _between(store: Store, first: date | None, last: date | None, today: date) -> list[date]:
    """Days with requests from ``first`` to ``last``, and not after today."""
    known = [d for d in store.days("requests") if d <= today]
    days = [d for d in known if (not first or d >= first) and (not last or d <= last)]
    if not known:
        _say_nothing(store)
    elif not days:
        ends = " ".join(f"{word} {d}" for word, d in (("from", first), ("to", last)) if d)
        say(f"no day with requests {ends}: the lake holds {_span(known)}")
    return days


def _span(days: list[date]) -> str:
    return f"{days[0]}" if len(days) == 1 else f"{days[0]} to {days[-1]} ({len(days):,} days with requests)"


def _alerts(store: Store) -> dict[str, tuple[str, str]]:
    """Severity and state of every alert, by its id, as of the newest day run."""
    newest = store.newest("alerts")
    rows = store.engine.query(
        f"SELECT alert_id, severity, state FROM {store.relation('alerts', [newest] if newest else [])}"
    )
    return {r["alert_id"]: (r["severity"], r["state"]) for r in rows.to_pylist()}


def _run_days(
    store: Store,
    days: Iterator[date],
    n_days: int,
    settings: Config,
    detector: Detector,
    before: dict[str, tuple[str, str]],
) -> list[str]:
    """Run the days (``n_days`` at most) one by one; severities of the alerts that opened or raised."""
    from detector import pipeline

    told: dict[str, str] = {}
    done: list[date] = []
    with bar("run", total=float(max(n_days, 1))) as update:
        for each in days:
            stage_of = _stages()

            def tell(stage: str, each: date = each, stage_of: Iterator[float] = stage_of) -> None:
                ending.doing(f"running {each} ({stage})", kept=_kept(done))
                update(len(done) + next(stage_of), f"{each} {stage}")

            report = pipeline.run_day(store, each, config=settings, detector=detector, progress=tell)
            done.append(each)
            told |= dict(report.told)
            _say_day(report)
    ending.doing("", kept=_kept(done))
    after = _alerts(store)
    return [severity for alert, severity in told.items() if _is_new(alert, severity, before, after)]


def _stages() -> Iterator[float]:
    at = 0
    while True:
        yield min(at / STAGES, 1.0)
        at += 1


def _kept(done: list[date]) -> str:
    days = f"{done[0]}" if len(done) == 1 else f"{done[0]} to {done[-1]}" if done else ""
    kept = (
        f"{plural(len(done), 'day')} finished ({days}) and kept"
        if done
        else "no day was finished, nothing changed"
    )
    return f"{kept}; what is left stays due: hydrawatch run{ending.arguments()}"


def _is_new(
    alert: str, severity: str, before: dict[str, tuple[str, str]], after: dict[str, tuple[str, str]]
) -> bool:
    """Whether an alert that the run told of was not there before, or was milder, or closed and is open now."""
    if alert not in before:
        return True
    known, state = before[alert]
    reopened = state == "closed" and after.get(alert, ("", ""))[1] == "open"
    return reopened or LEVELS.index(severity) > LEVELS.index(known)


def _say_day(report: DayReport) -> None:
    say(
        f"{report.day}: {plural(report.n_requests, 'request')}, {plural(report.n_accounts, 'account')}, "
        f"{plural(report.n_groups, 'group')}; alerts: {report.opened} opened, {report.updated} updated, "
        f"{report.closed} closed ({report.seconds:.1f} s)"
    )
    for plugin, reason in report.skipped:
        say(f"    skipped {plugin}: {reason}")


def _say_nothing(store: Store) -> None:
    known = store.days("requests")
    if not known:
        say(
            f"nothing to do: the lake has no requests yet; read some: hydrawatch ingest PATH{ending.arguments()}"
        )
        return
    say(f"nothing to do: {plural(len(known), 'day')} in the lake, none of them due")


def _tell_ahead(store: Store, today: date) -> None:
    """Name the days that are not run because they have not come yet."""
    from detector import pipeline

    days = pipeline.due.ahead(store, today)
    if days:
        named = ", ".join(str(d) for d in days[:3]) + (", ..." if len(days) > 3 else "")
        say(
            f"{plural(len(days), 'day')} after today ({today}) not run: {named}; their lines carry a time that "
            "has not come (docs/operations.md: Days in the future)"
        )


def _tell_otherwise(store: Store, detector: Detector) -> None:
    """Say that earlier days were scored by another classifier than this one."""
    from detector import pipeline

    days = pipeline.due.scored_otherwise(store, detector.digest())
    if days:
        say(
            f"{plural(len(days), 'earlier day')} scored by another classifier than the one installed "
            f"({days[0]} to {days[-1]}); they stand as they are, to score them anew: "
            f"hydrawatch run --since {days[0]}{ending.arguments()}"
        )


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(run)

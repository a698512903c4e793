"""The command that measures, links, scores and alerts: ``hydrawatch run``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from detector.cli import ending
from detector.cli.lake import ConfigOption, LakeOption, open_for_work
from detector.cli.show import bar, plural, say
from detector.errors import ConfigError

if TYPE_CHECKING:
    from detector.lake.store import Store
    from detector.pipeline import DayReport
    from detector.pipeline.running import RunReport

LEVELS = ("low", "medium", "high", "critical")
#: Stages of a day that are told, about: how far the bar moves within it.
STAGES = 8
FailOnOption = Annotated[
    str | None,
    typer.Option(
        "--fail-on", help="exit with 1 if this run opened or raised an alert to this severity or above"
    ),
]
NowOption = Annotated[
    str | None,
    typer.Option("--now", help="current time (UTC) for a replay [default: the clock]", show_default=False),
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
    day: Annotated[
        str | None, typer.Option("--day", help="one day (YYYY-MM-DD), due or not", show_default=False)
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="first day (YYYY-MM-DD), due or not", show_default=False)
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", help="last day (YYYY-MM-DD)", show_default=False)
    ] = None,
    fail_on: FailOnOption = None,
    fail_on_open: Annotated[
        str | None,
        typer.Option(
            "--fail-on-open", help="exit with 1 if any alert of this severity or above is open, new or not"
        ),
    ] = None,
    now: NowOption = None,
    config: ConfigOption = None,
) -> None:
    """Measure, link, score and alert, day by day.

    Without a day, it runs every day up to today that was not run yet or whose logs have changed, oldest first.

    Example: hydrawatch run --lake lake --since 2026-03-01
    """
    from detector.pipeline import due
    from detector.pipeline.running import Listener, run_days

    for level in (fail_on, fail_on_open):
        if level is not None and level not in LEVELS:
            raise typer.BadParameter(f"unknown severity {level!r}; there are {', '.join(LEVELS)}")
    one, first, last = _day(day), _day(since), _day(until)
    if one and (first or last):
        raise typer.BadParameter("choose --day or --since/--until")
    if first and last and first > last:
        raise typer.BadParameter(f"--since {first} is after --until {last}")
    today = due.today(moment(now))
    ending.works_on(lake, config)
    if one and one > today:
        raise ConfigError(
            f"{one} is after today ({today}), and days after today are not run",
            hint=f"for a replay: hydrawatch run --day {one} --now {one}",
        )
    store, settings = open_for_work(lake, config, spill=True)
    with store, bar("run", total=1.0) as update:
        announcer = _Announcer(today, update)
        report = run_days(
            store,
            settings,
            day=one,
            since=first,
            until=last,
            today=today,
            listener=Listener(announcer.stage, announcer.ran, announcer.dropped, announcer.changed),
        )
        ending.doing("", kept=_kept(announcer.done))
        if not report.days:
            _say_nothing(store, first, last, today)
        _tell_rest(report, today)
    n_open = plural(len(report.still_open), "open alert")
    say(f"{n_open}; next: hydrawatch deliver{ending.arguments()} --dry-run")
    if fail_on and any(LEVELS.index(s) >= LEVELS.index(fail_on) for s in report.raised):
        raise typer.Exit(1)
    if fail_on_open and any(LEVELS.index(s) >= LEVELS.index(fail_on_open) for s in report.still_open):
        raise typer.Exit(1)


class _Announcer:
    """Says what a run does as it does it, and keeps what was finished for whoever stops it."""

    def __init__(self, today: date, update: Callable[[float, str], None]) -> None:
        self.done: list[date] = []
        self._today = today
        self._update = update
        self._n_stages = 0

    def stage(self, day: date, stage: str, n_done: int, n_days: int) -> None:
        ending.doing(f"running {day} ({stage})", kept=_kept(self.done))
        self._update((n_done + min(self._n_stages / STAGES, 1.0)) / max(n_days, 1), f"{day} {stage}")
        self._n_stages += 1

    def ran(self, report: DayReport) -> None:
        self.done.append(report.day)
        self._n_stages = 0
        _say_day(report)

    def dropped(self, day: date) -> None:
        say(
            f"{day} is after today ({self._today}): what had been computed for it is dropped, its requests "
            "are kept; alerts and scores are again those of the days before"
        )

    def changed(self, day: date) -> None:
        say(f"{day}: the allow-list or another setting has changed since it was run; deciding it again")


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a day; expected YYYY-MM-DD") from None


def _span(days: list[date]) -> str:
    return f"{days[0]}" if len(days) == 1 else f"{days[0]} to {days[-1]} ({len(days):,} days with requests)"


def _kept(done: list[date]) -> str:
    days = f"{done[0]}" if len(done) == 1 else f"{done[0]} to {done[-1]}" if done else ""
    kept = (
        f"{plural(len(done), 'day')} finished ({days}) and kept"
        if done
        else "no day was finished, nothing changed"
    )
    return f"{kept}; what is left stays due: hydrawatch run{ending.arguments()}"


def _say_day(report: DayReport) -> None:
    say(
        f"{report.day}: {plural(report.n_requests, 'request')}, {plural(report.n_accounts, 'account')}, "
        f"{plural(report.n_groups, 'group')}; alerts: {report.opened} opened, {report.updated} updated, "
        f"{report.closed} closed ({report.seconds:.1f} s)"
    )
    for plugin, reason in report.skipped:
        say(f"    skipped {plugin}: {reason}")


def _say_nothing(store: Store, first: date | None, last: date | None, today: date) -> None:
    """Why no day was run."""
    days = store.days("requests")
    past = [day for day in days if day <= today]
    if not days:
        say(
            f"nothing to do: the lake has no requests yet; read some: hydrawatch ingest PATH{ending.arguments()}"
        )
    elif past and (first or last):
        ends = " ".join(f"{word} {d}" for word, d in (("from", first), ("to", last)) if d)
        say(f"no day with requests {ends}: the lake holds {_span(past)}")
    else:
        say(f"nothing to do: {plural(len(days), 'day')} in the lake, none of them due")


def _tell_rest(report: RunReport, today: date) -> None:
    """What an operator should look at: idle exemptions, days that have not come, days scored otherwise."""
    for note in report.notes:
        say(f"note: {note}")
    if days := report.ahead:
        named = ", ".join(str(d) for d in days[:3]) + (", ..." if len(days) > 3 else "")
        say(
            f"{plural(len(days), 'day')} after today ({today}) not run: {named}; their lines carry a time that "
            "has not come (docs/operations.md: Days in the future)"
        )
    if days := report.otherwise:
        say(
            f"{plural(len(days), 'earlier day')} scored by another classifier than the one installed "
            f"({days[0]} to {days[-1]}); they stand as they are, to score them anew: "
            f"hydrawatch run --since {days[0]}{ending.arguments()}"
        )


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(run)

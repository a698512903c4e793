"""One day, from its requests to its alerts: ``run_day`` is the table of contents."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import polars as pl

from detector.config import Config
from detector.decide import verdict
from detector.decide.verdict import Previous
from detector.errors import DayMissing
from detector.lake.rows import empty
from detector.lake.store import Store
from detector.lake.tables import tables
from detector.link import tracking
from detector.link.graph import EvidenceGraph
from detector.link.tabular import tables_of
from detector.link.tracking import Carried
from detector.pipeline import alerting, exempt, relations, window
from detector.pipeline.due import input_digest
from detector.pipeline.view import DayView
from detector.pipeline.window import Window
from detector.score import template_reuse
from detector.score.detector import Detector
from detector.score.scorer import SiteDay

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Observed:
    """What the classifier would see of a day, before scoring lets any group or member go.

    ``keys``: ``template_reuse.measure_keys`` of the graph. ``merged``: group_id and the successor_id it went into today.
    """

    graph: EvidenceGraph
    keys: pl.DataFrame
    members: pl.DataFrame
    group_days: pl.DataFrame
    merged: pl.DataFrame

    def tables(self) -> dict[str, pl.DataFrame]:
        """Everything as tables that can be kept; of the graph what neighbours and template reuse read."""
        return {
            "keys": self.keys,
            **tables_of(self.graph),
            "members": self.members,
            "group_days": self.group_days,
            "merged": self.merged,
        }


#: Told what was measured of a day. Training and the benchmark listen here.
Observe = Callable[[date, Observed], None]


@dataclass(frozen=True)
class DayReport:
    """What one run did; printed by the CLI."""

    day: date
    n_requests: int
    n_accounts: int
    n_groups: int
    opened: int
    updated: int
    closed: int
    skipped: tuple[tuple[str, str], ...]
    seconds: float
    #: Alerts opened or updated: (alert_id, severity).
    told: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Measured:
    """What was measured of a day, before anything is scored."""

    account_days: pl.DataFrame
    ties: pl.DataFrame
    window: Window
    #: ``template_reuse.measure_keys`` of the window.
    keys: pl.DataFrame
    carried: Carried
    members: pl.DataFrame
    group_days: pl.DataFrame
    #: ``groups`` and ``group_members`` as they stood the day before.
    previous_groups: pl.DataFrame
    previous_members: pl.DataFrame


@dataclass(frozen=True)
class Decided:
    """What follows from it: scores, evidence, alerts as rows of the lifecycle."""

    scored: verdict.Day
    why: pl.DataFrame
    alerts: list[dict[str, Any]]

    def count(self, change: str) -> int:
        """Alerts that changed so today."""
        return sum(alert["change"] == change for alert in self.alerts)

    @property
    def told(self) -> tuple[tuple[str, str], ...]:
        """Id and severity of the alerts that opened or changed."""
        changed = (a for a in self.alerts if a["change"] in ("created", "updated"))
        return tuple((a["alert_id"], a["severity"]) for a in changed)


def run_day(
    store: Store,
    day: date,
    *,
    config: Config,
    detector: Detector | None,
    progress: Progress = lambda stage: None,
    observe: Observe | None = None,
) -> DayReport:
    """Run one day and swap its partitions in.

    ``detector`` None measures and groups without scoring (used by training). Results of later days are left
    as they are; ``pipeline.due`` knows when they no longer fit.

    Raises
    ------
    DayMissing : the lake has no requests of that day.
    """
    started = time.monotonic()
    if day not in store.days("requests"):
        raise DayMissing(
            f"no requests of {day}",
            hint=f'see: hydrawatch query --lake {store.root} "SELECT DISTINCT day FROM requests ORDER BY day"',
        )
    with store.exclusive():
        digest = input_digest(store, day, window_days=config.window_days)
        with DayView(store, day) as view:
            measured = _measure(view, config, progress)
            if observe is not None:
                observe(day, _observed(measured))
            decided = None
            if detector is not None:
                progress("scoring")
                decided = _decide(view, measured, detector, config)
            progress("storing")
            seconds = time.monotonic() - started
            report = _report(view, measured, decided, seconds)
            _store(view, measured, decided, report, digest, detector, config)
        store.write_views()
    return report


def _measure(view: DayView, config: Config, progress: Progress) -> Measured:
    """Accounts, the keys they share, the groups these form, and what the groups do."""
    store, day = view.store, view.day
    progress("measuring accounts")
    account_days = view.measure("account")
    view.bind("account_days", account_days)
    progress("collecting ties")
    ties = view.ties()
    progress("forming groups")
    tie_window = window.window(store, day, ties, config)
    graph = tie_window.graph
    groups, previous_members = (relations.state(store, table, day) for table in ("groups", "group_members"))
    carried = _track(day, graph, window.group(graph), groups, previous_members)
    members = window.with_evidence(graph, window.member_states(store, carried.members, day))
    progress("weighing shared text")
    keys = template_reuse.measure_keys(graph, template_reuse.content_incidence(graph))
    progress("measuring groups")
    view.bind("members", members.select("group_id", "account_id"))
    view.bind("ties", ties.drop("day"))
    group_days = view.measure("group")
    return Measured(
        account_days, ties, tie_window, keys, carried, members, group_days, groups, previous_members
    )


def _track(
    day: date, graph: EvidenceGraph, grouped: pl.DataFrame, groups: pl.DataFrame, members: pl.DataFrame
) -> Carried:
    """Today's groups under the names of those they continue. ``groups``, ``members``: as they stood the day before."""
    formed = members.filter(pl.col("origin_id").is_not_null()).with_columns(
        pl.col("origin_id").alias("group_id")
    )
    return tracking.track(
        formed.select(list(tracking.MEMBERS)),
        grouped,
        day=day,
        present=graph.accounts,
        suspects=frozenset(groups.filter(pl.col("verdict") != "clear")["group_id"]),
    )


def _observed(measured: Measured) -> Observed:
    merged = pl.DataFrame(
        list(measured.carried.merged.items()),
        schema={"group_id": pl.String, "successor_id": pl.String},
        orient="row",
    )
    graph = measured.window.graph
    return Observed(graph, measured.keys, measured.members, measured.group_days, merged)


def _decide(view: DayView, measured: Measured, detector: Detector, config: Config) -> Decided:
    """Scores and verdicts, the evidence behind them, and the alerts that follow."""
    store, day = view.store, view.day
    exempted = exempt.exempted(store, config, day, accounts="accounts")
    site = SiteDay(
        day,
        measured.account_days,
        measured.group_days,
        measured.members,
        measured.window.graph,
        measured.keys,
    )
    accounts = relations.state(store, "account_scores", day)
    previous = Previous(measured.previous_groups, accounts, measured.previous_members)
    scored = verdict.decide(
        detector, site, previous, config=config, exempt=exempted, merged=measured.carried.merged
    )
    why = window.why(store, day, measured.window, scored.members, scored.groups, config)
    return Decided(scored, why, alerting.alerts_of(store, day, scored, why, exempted, config))


def _report(view: DayView, measured: Measured, decided: Decided | None, seconds: float) -> DayReport:
    return DayReport(
        view.day,
        n_requests=int(measured.account_days["n_requests"].sum() or 0),
        n_accounts=len(measured.account_days),
        n_groups=len(decided.scored.groups) if decided else 0,
        opened=decided.count("created") if decided else 0,
        updated=decided.count("updated") if decided else 0,
        closed=decided.count("closed") if decided else 0,
        skipped=tuple(sorted(set(view.skipped))),
        seconds=seconds,
        told=decided.told if decided else (),
    )


def _partitions(view: DayView, measured: Measured, decided: Decided | None) -> dict[str, pl.DataFrame]:
    """Every table of the day, without its partition column."""
    kept = {
        "account_days": measured.account_days,
        "ties": measured.ties,
        "group_members": measured.members.with_columns(origin_id="group_id"),
        "group_days": measured.group_days,
        "skipped": view.skipped_rows(),
    }
    if decided is None:
        return kept
    scored = decided.scored
    group_ids = scored.members["group_id"].unique().implode()
    schema = {k: v for k, v in empty("alerts").schema.items() if k != "day"}
    return kept | {
        "group_members": scored.members,
        "group_days": measured.group_days.filter(pl.col("group_id").is_in(group_ids)),
        "groups": scored.groups,
        "account_scores": scored.accounts,
        "contributions": scored.parts,
        "why": decided.why,
        "alerts": pl.DataFrame([{k: a[k] for k in schema} for a in decided.alerts], schema=schema),
    }


def _store(
    view: DayView,
    measured: Measured,
    decided: Decided | None,
    report: DayReport,
    digest: str,
    detector: Detector | None,
    config: Config,
) -> None:
    """Swap the day's partitions in, all at once, and note the run."""
    day = view.day
    with view.store.transaction("run") as txn:
        for table, rows in _partitions(view, measured, decided).items():
            txn.swap(table, relations.dated(rows, day).select(list(tables()[table].names)), day=day)
        ledger = {
            "day": day,
            "ran_at": datetime.now(UTC).replace(tzinfo=None),
            "input_digest": digest,
            "output_digest": txn.digest(),
            "model_digest": detector.digest() if detector else None,
            "config_digest": config.digest(day),
            "n_requests": report.n_requests,
            "n_accounts": report.n_accounts,
            "n_groups": report.n_groups,
            "n_alerts": sum(a["state"] == "open" for a in decided.alerts) if decided else 0,
            "threshold": decided.scored.threshold if decided else None,
            "seconds": report.seconds,
        }
        txn.swap("runs", pl.DataFrame([ledger], schema=empty("runs").schema), day=day)

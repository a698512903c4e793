"""The table of contents: what a nightly run does, in order.

    requests -> account_days -> ties -> groups -> group_days -> scores -> findings -> alerts

``run_day`` does this for one day from the lake alone and swaps all of the day's partitions in at the end.
State is yesterday's partition, so any day can be run again with the same result.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import polars as pl

import rules
from detector.alert import findings, lifecycle
from detector.config import Config
from detector.decide import verdict
from detector.errors import DayMissing, ModelError, QueryError
from detector.lake.store import Store, empty
from detector.lake.tables import tables
from detector.link import tracking
from detector.pipeline import due, exempt, joined, relations
from detector.pipeline.due import due_days, input_digest
from detector.pipeline.joined import with_scaffolds
from detector.score.additive import Detector

__all__ = [
    "DayReport",
    "Observe",
    "due",
    "due_days",
    "input_digest",
    "load_detector",
    "run_day",
    "with_scaffolds",
]

Progress = Callable[[str], None]
#: Told what the classifier would see: of shared text ``keys`` (template_reuse.measure_keys) and ``holdings`` (account,
#: code, n ...); other shared keys as ``links`` (graph.links); ``accounts`` (account_id and organisation by array
#: code); ``members`` and ``group_days`` of all groups of the day and which ``merged``, before scoring lets any go.
#: Training and the benchmark listen here.
Observe = Callable[[date, Mapping[str, pl.DataFrame]], None]


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
        skipped: list[tuple[str, str]] = []
        progress("measuring accounts")
        available = relations.bind(store, day, skipped)
        account_days = relations.measure(store, "account", available, skipped)
        store.engine.bind("account_days", account_days)
        available["account_days"] = frozenset(account_days.columns)
        progress("collecting ties")
        ties = relations.ties(store, day, available, skipped)
        progress("forming groups")
        held = joined.window(store, day, ties, config)
        holders = joined.holders(store, held, day, config)
        grouping_of = joined.group(held, holders)
        previous = relations.state(store, "group_members", day)
        standing = relations.state(store, "groups", day)
        formed = previous.filter(pl.col("origin_id").is_not_null()).with_columns(
            pl.col("origin_id").alias("group_id")
        )
        carried = tracking.carry_over(
            formed.select(list(tracking.MEMBERS)),
            grouping_of,
            day=day,
            present=held.accounts,
            suspects=frozenset(standing.filter(pl.col("verdict") != "clear")["group_id"]),
        )
        members = joined.with_evidence(held, joined.member_states(store, carried.members, day))
        progress("weighing shared text")
        shared = joined.shared_text(held, holders)
        progress("measuring groups")
        store.engine.bind("members", members.select("group_id", "account_id"))
        store.engine.bind("ties", ties.drop("day"))
        available |= {
            "members": frozenset(("group_id", "account_id")),
            "ties": frozenset(ties.columns) if len(ties) else frozenset(),
        }
        group_days = relations.measure(store, "group", available, skipped)
        if observe is not None:
            merged = pl.DataFrame(
                list(carried.merged.items()),
                schema={"group_id": pl.String, "successor_id": pl.String},
                orient="row",
            )
            observe(day, {**shared, "members": members, "group_days": group_days, "merged": merged})
        out: dict[str, pl.DataFrame] = {
            "account_days": relations.dated(account_days, day),
            "ties": ties,
            "group_members": relations.dated(members.with_columns(origin_id="group_id"), day),
            "group_days": relations.dated(group_days, day),
            "skipped": relations.dated(
                pl.DataFrame(
                    sorted(set(skipped)), schema={"plugin": pl.String, "reason": pl.String}, orient="row"
                ),
                day,
            ),
        }
        n_groups = opened = updated = closed = n_open = 0
        limit = None
        told: tuple[tuple[str, str], ...] = ()
        if detector is not None:
            progress("scoring")
            exempted = exempt.exempted(store, config, day, accounts="accounts")
            scored = verdict.decide(
                detector,
                day=day,
                config=config,
                account_days=with_scaffolds(detector, account_days, shared),
                group_days=group_days,
                members=members,
                previous_groups=standing,
                previous_accounts=relations.state(store, "account_scores", day),
                exempt=exempted,
                merged=carried.merged,
                shared=shared,
                previous_members=previous,
            )
            members = scored.members
            out["group_members"] = relations.dated(members, day)
            known = members["group_id"].unique().implode()
            out["group_days"] = out["group_days"].filter(pl.col("group_id").is_in(known))
            why = joined.why(store, day, held, members, scored.groups, config)
            found = findings.findings(
                scored.groups,
                scored.accounts,
                _parts_of_worst_day(store, scored, day),
                why,
                threshold=scored.threshold,
                day=day,
                exempt={name: e.words() for name, e in exempted.items()},
            )
            spared = exempt.spared(scored.groups, scored.accounts, members, exempted)
            alerts = lifecycle.reconcile(
                store.read("alerts", store.newest("alerts", before=day)).to_pylist(),
                found,
                day=day,
                close_after_days=config.close_after_days,
                moved=scored.merged,
                taken_in=dict(members.select("account_id", "group_id").iter_rows()),
                spared=spared,
                opened=_as_run_before(store, day),
                withheld=exempt.withheld(scored.accounts, members, exempted, spared),
            )
            limit, n_groups = scored.threshold, len(scored.groups)
            opened, updated, closed = (
                sum(a["change"] == c for a in alerts) for c in ("created", "updated", "closed")
            )
            n_open = sum(a["state"] == "open" for a in alerts)
            told = tuple(
                (a["alert_id"], a["severity"]) for a in alerts if a["change"] in ("created", "updated")
            )
            schema = {k: v for k, v in empty("alerts").schema.items() if k != "day"}
            rows = [{k: a[k] for k in schema} for a in alerts]
            out |= {
                "groups": relations.dated(scored.groups, day),
                "account_scores": relations.dated(scored.accounts, day),
                "score_parts": relations.dated(scored.parts, day),
                "why": relations.dated(why, day),
                "alerts": relations.dated(pl.DataFrame(rows, schema=schema), day),
            }
        seconds = time.monotonic() - started
        n_requests = int(account_days["n_requests"].sum() or 0)
        progress("storing")
        with store.transaction("run") as txn:
            for table, rows_of in out.items():
                txn.swap(table, rows_of.select(list(tables()[table].names)), day=day)
            ledger = {
                "day": day,
                "ran_at": datetime.now(UTC).replace(tzinfo=None),
                "input_digest": digest,
                "output_digest": txn.digest(),
                "model_digest": detector.digest() if detector else None,
                "config_digest": config.digest(day),
                "n_requests": n_requests,
                "n_accounts": len(account_days),
                "n_groups": n_groups,
                "n_alerts": n_open,
                "threshold": limit,
                "seconds": seconds,
            }
            txn.swap("runs", pl.DataFrame([ledger], schema=empty("runs").schema), day=day)
        store.write_views()
        relations.unbind(store)
        return DayReport(
            day,
            n_requests,
            len(account_days),
            n_groups,
            opened,
            updated,
            closed,
            tuple(sorted(set(skipped))),
            seconds,
            told,
        )


def _as_run_before(store: Store, day: date) -> list[Mapping[str, Any]]:
    """Alerts of ``day`` as its last run left them; none of a partition that is damaged: this run replaces it."""
    if day not in store.days("runs"):
        return []
    try:
        rows: list[Mapping[str, Any]] = store.read("alerts", day).to_pylist()
    except QueryError:
        return []
    return rows


def _parts_of_worst_day(store: Store, scored: verdict.Day, day: date) -> pl.DataFrame:
    """Score parts of each alerted subject as they were on the day its score is of."""
    alerted = pl.concat(
        frame.filter((pl.col("verdict") == "alert") & (pl.col("score_day") < day)).select(
            pl.lit(kind).alias("subject_type"),
            pl.col(f"{kind}_id").alias("subject_id"),
            pl.col("score_day").alias("day"),
        )
        for kind, frame in (("group", scored.groups), ("account", scored.accounts))
    )
    if alerted.is_empty():
        return scored.parts
    days = alerted["day"].unique().to_list()
    stored = relations.frame(store.engine.query(f"SELECT * FROM {store.relation('score_parts', days)}"))
    earlier = stored.join(alerted, on=["subject_type", "subject_id", "day"], how="semi").drop("day")
    today = scored.parts.join(alerted, on=["subject_type", "subject_id"], how="anti")
    return pl.concat([today, earlier.select(today.columns)])

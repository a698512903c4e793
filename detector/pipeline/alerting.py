"""The alerts of a day: yesterday's, carried on by what was found today."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import polars as pl

from detector.alert import findings, lifecycle
from detector.config import Config
from detector.decide import verdict
from detector.decide.exemptions import Exemption
from detector.errors import QueryError
from detector.lake.store import Store
from detector.pipeline import exempt, relations


def alerts_of(
    store: Store,
    day: date,
    scored: verdict.Day,
    why: pl.DataFrame,
    exempted: dict[str, Exemption],
    config: Config,
) -> list[dict[str, Any]]:
    """Every alert as it stands at the end of ``day``, open and closed, as rows of the lifecycle."""
    members = scored.members
    day_findings = findings.findings(
        scored.groups,
        scored.accounts,
        _parts_of_worst_day(store, scored, day),
        why,
        threshold=scored.threshold,
        day=day,
        exempt={name: e.words() for name, e in exempted.items()},
    )
    spared = exempt.spared(scored.groups, scored.accounts, members, exempted)
    return lifecycle.reconcile(
        store.read("alerts", store.newest("alerts", before=day)).to_pylist(),
        day_findings,
        day=day,
        close_after_days=config.close_after_days,
        moved=scored.merged,
        taken_in=dict(members.select("account_id", "group_id").iter_rows()),
        spared=spared,
        opened=_as_run_before(store, day),
        withheld=exempt.withheld(scored.accounts, members, exempted, spared),
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
    """Contributions to the score of each alerted subject as they were on the day its score is of."""
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
    stored = relations.frame(store.engine.query(f"SELECT * FROM {store.relation('contributions', days)}"))
    earlier = stored.join(alerted, on=["subject_type", "subject_id", "day"], how="semi").drop("day")
    today = scored.parts.join(alerted, on=["subject_type", "subject_id"], how="anti")
    return pl.concat([today, earlier.select(today.columns)])

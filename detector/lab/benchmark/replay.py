"""A measured world scored again: any detector decides its days in order, exactly as the nightly run does.

Groups are formed without the classifier, so a world is measured once and scored in seconds. The shipped detector, the
held-out detectors and the ablated ones all score the same measured worlds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from detector.config import Config
from detector.decide import verdict
from detector.decide.exemptions import exemptions
from detector.decide.verdict import Previous
from detector.lab.benchmark.measuring import WINDOWS, read_truth
from detector.lab.benchmark.windows import Windows
from detector.lake.rows import empty
from detector.link.graph import EvidenceGraph
from detector.link.tabular import TABLES, graph_of_tables
from detector.score.detector import Detector
from detector.score.scorer import SiteDay


@dataclass(frozen=True)
class Replayed:
    """One measured world."""

    folder: Path
    spec: Mapping[str, Any]
    note: Mapping[str, Any]

    def table(self, name: str) -> pl.DataFrame:
        return pl.read_parquet(self.folder / f"{name}.parquet")

    @property
    def name(self) -> str:
        return self.folder.name

    @cached_property
    def truth(self) -> pl.DataFrame:
        return read_truth(self.folder)

    @cached_property
    def days(self) -> list[date]:
        return sorted(self.table("account_days")["day"].unique())

    @cached_property
    def by_day(self) -> dict[str, dict[date, pl.DataFrame]]:
        """Measured tables by name and day, without the partition column.

        Groups and members are those before the night's own pruning, because another detector may prune others.
        """
        parts = self.table("account_days").partition_by("day", as_dict=True, include_key=False)
        return {
            "account_days": {day: parts[(day,)] for day in self.days},
            "group_days": {day: self.table(f"group_days-{day}") for day in self.days},
            "group_members": {day: self.table(f"members-{day}") for day in self.days},
        }

    def graph(self, day: date) -> EvidenceGraph:
        """What accounts shared, as far as the run of that day told it (``pipeline.Observed``)."""
        return graph_of_tables({name: self.table(f"{name}-{day}") for name in TABLES})

    def site(self, day: date) -> SiteDay:
        """What was measured of one day."""
        tables = self.by_day
        return SiteDay(
            day,
            tables["account_days"][day],
            tables["group_days"][day],
            tables["group_members"][day],
            self.graph(day),
            self.table(f"keys-{day}"),
        )

    @property
    def windows(self) -> Windows:
        """The world's mixed windows."""
        return Windows(*(self.table(f"windows_{name}") for name in WINDOWS))

    @cached_property
    def merged(self) -> dict[date, dict[str, str]]:
        """Day -> the groups that merged into another one on it, each with the group it merged into."""
        return {day: dict(self.table(f"merged-{day}").iter_rows()) for day in self.days}

    @cached_property
    def facts(self) -> dict[date, pl.DataFrame]:
        """Account facts at the end of each day: the last row valid by then."""
        rows = self.table("accounts").sort(
            ["valid_from", "file_id", "line"], descending=True, nulls_last=True, maintain_order=True
        )
        facts = {}
        for day in self.days:
            end = pl.lit(day + timedelta(days=1)).cast(pl.Datetime("us"))
            valid = rows.filter(pl.col("valid_from").is_null() | (pl.col("valid_from") < end))
            facts[day] = valid.unique("account_id", keep="first", maintain_order=True).select(
                "account_id", "org_id", "program"
            )
        return facts


def load(folder: Path) -> Replayed:
    """The measured world in ``folder``."""
    spec = json.loads((folder / "world" / "world.json").read_text())["spec"]
    return Replayed(folder, spec, json.loads((folder / "measured").read_text()))


def decide_days(world: Replayed, detector: Detector, config: Config | None = None) -> dict[date, verdict.Day]:
    """The scores that the nightly run would have written on each day with this detector."""
    config = config or Config()
    groups, accounts = empty("groups").drop("day"), empty("account_scores").drop("day")
    members: pl.DataFrame | None = None
    decided = {}
    for day in world.days:
        scored = verdict.decide(
            detector,
            world.site(day),
            Previous(groups, accounts, members),
            config=config,
            exempt=exemptions(world.facts[day], config, day),
            merged=world.merged[day],
        )
        members = scored.members
        groups = scored.groups.select(groups.columns).cast(groups.schema)
        accounts = scored.accounts.select(accounts.columns).cast(accounts.schema)
        decided[day] = replace(scored, groups=groups, accounts=accounts)
    return decided

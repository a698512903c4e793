"""Labelled measurements to learn from: synthetic worlds, run through all steps without a classifier."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from detector import pipeline
from detector.config import Config
from detector.ingest.ingestion import ingest
from detector.lab.worlds.world import WorldSpec, make_world, write_world
from detector.lake.key import lake_key
from detector.lake.store import Store
from detector.link.graph import EvidenceGraph
from detector.link.tabular import TABLES, graph_of_tables
from detector.score.scorer import BOND

#: Worlds are dealt into so many folds for cross-fitting.
FOLDS = 4
#: Days of a world, counted from its end, whose shared text is kept for fitting; the window holds the rest.
TEXT_DAYS = 2
#: What accounts share, as a run tells it (``pipeline.Observed``): kept of each such day.
SHARED = ("keys", *TABLES)


def fold_of(world: int) -> int:
    """Fold of a world by its number: numbers count through the evasion levels, and every fold holds worlds of each."""
    return (world + world // FOLDS) % FOLDS


@dataclass(frozen=True)
class Measured:
    """Labelled measurements of many worlds: one row an account-day, and one a group-day."""

    accounts: pl.DataFrame  # account_days + world, fold, label, kind
    groups: pl.DataFrame  # group_days + world, fold, label
    members: pl.DataFrame  # world, fold, day, label, scorer.BOND
    text: tuple[SharedText, ...]


@dataclass(frozen=True)
class SharedText:
    """What accounts share in one world on one day: keys with the share of attackers among their holders, who holds them."""

    world: int
    day: date
    keys: pl.DataFrame  # template_reuse.measure_keys + share, holders
    incidence: pl.DataFrame
    links: pl.DataFrame  # keys at which neighbours are met, other than text
    known: pl.DataFrame  # account_id and organisation, by number

    @property
    def accounts(self) -> pl.Series:
        return self.known["account_id"]

    def graph(self) -> EvidenceGraph:
        """The part of that day's evidence graph that was kept."""
        return graph_of_tables({"incidence": self.incidence, "links": self.links, "accounts": self.known})


def world_specs(n: int, seed: int, *, accounts: int, days: int) -> list[WorldSpec]:
    """Worlds over all evasion levels and all sets of scaffold families but the last, of varied size and attackers' share."""
    shares = (0.03, 0.06, 0.10, 0.15)
    sizes = (1.0, 0.5, 1.5)
    return [
        WorldSpec(
            seed=seed + i,
            days=days,
            honest_accounts=int(accounts * sizes[(i // 4) % len(sizes)]),
            attacker_share=shares[(i // 4) % len(shares)],
            evasion_level=i % 4,
            families=("a", "b", "ab")[(i // 8) % 3],
            poison=i % 3 == 0,
        )
        for i in range(n)
    ]


def measure_world(spec: WorldSpec, folder: Path) -> None:
    """Make, ingest and measure one world into ``folder``; a finished one is left alone."""
    done = folder / "measured"
    if done.exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    write_world(make_world(spec), folder / "world")

    def keep(day: date, seen: pipeline.Observed) -> None:
        tables = seen.tables()
        for name in SHARED:
            tables[name].write_parquet(folder / f"{name}-{day}.parquet")

    with Store(folder / "lake", spill=True) as store:
        key = lake_key(store.root, may_make=True)
        ingest([folder / "world" / "logs"], store, key=key)
        days = store.days("requests")
        for day in days:
            observe = keep if day in days[-TEXT_DAYS:] else None
            pipeline.run_day(store, day, config=Config(), detector=None, observe=observe)
        for table in ("account_days", "group_days", "group_members"):
            pl.from_arrow(store.engine.query(f"SELECT * FROM {store.relation(table)}")).write_parquet(  # type: ignore[union-attr]
                folder / f"{table}.parquet"
            )
    shutil.rmtree(folder / "lake")
    shutil.rmtree(folder / "world" / "logs")
    done.touch()


def load_measured(folders: list[Path], *, first: int = 0) -> Measured:
    """Labelled measurements of finished worlds, numbered from ``first``."""
    accounts, groups, members, text = [], [], [], []
    for number, folder in enumerate(folders, start=first):
        truth = pl.read_csv(folder / "world" / "truth.csv", schema_overrides={"account_id": pl.String})
        stamp = (pl.lit(number).alias("world"), pl.lit(fold_of(number)).alias("fold"))
        labels = truth.select("account_id", "label", "kind", "campaign", "archetype", "evasion_level")
        account = pl.read_parquet(folder / "account_days.parquet").join(
            labels, on="account_id", how="left", maintain_order="left"
        )
        member = pl.read_parquet(folder / "group_members.parquet").join(
            labels, on="account_id", how="left", maintain_order="left"
        )
        pure = member.group_by("day", "group_id").agg(
            (pl.col("label") == 1).mean().alias("share"), pl.len().alias("n")
        )
        group = pl.read_parquet(folder / "group_days.parquet").join(
            pure, on=["day", "group_id"], maintain_order="left"
        )
        accounts.append(account.with_columns(*stamp))
        text += _shared_text(folder, number, dict(labels.select("account_id", "label").iter_rows()))
        groups.append(group.with_columns(*stamp, (pl.col("share") >= 0.5).alias("label")))
        members.append(member.select("day", *BOND.columns, "label").with_columns(*stamp))
    return Measured(
        pl.concat(accounts, how="diagonal_relaxed"),
        pl.concat(groups, how="diagonal_relaxed"),
        pl.concat(members, how="diagonal_relaxed"),
        tuple(text),
    )


def _shared_text(folder: Path, world: int, label: Mapping[str, int]) -> list[SharedText]:
    texts = []
    for path in sorted(folder.glob("keys-*.parquet")):
        day = date.fromisoformat(path.stem[5:])
        accounts = pl.read_parquet(folder / f"accounts-{day}.parquet")
        incidence = pl.read_parquet(
            folder / f"incidence-{day}.parquet", columns=["account", "code", "kind", "n_sharing", "n"]
        )
        links = pl.read_parquet(folder / f"links-{day}.parquet")
        bad = np.array([label.get(a, 0) for a in accounts["account_id"]], float)
        share = (
            incidence.with_columns(pl.Series("bad", bad[incidence["account"].to_numpy()]))
            .group_by("code")
            .agg(pl.col("bad").mean().alias("share"), pl.len().alias("holders"))
        )
        keys = pl.read_parquet(path).join(share, on="code", maintain_order="left").sort("code")
        texts.append(SharedText(world, day, keys, incidence, links, accounts))
    return texts

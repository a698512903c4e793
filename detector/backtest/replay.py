"""Worlds replayed day by day: made, ingested, run; what was measured is kept, so scoring can be repeated.

Groups are formed without the classifier, so a world is measured once. ``decide_days`` then folds any
detector over the measured days exactly as the nightly run does, in seconds: the shipped one, those that held
a campaign kind out, those with a family of evidence taken away.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from detector import pipeline
from detector.backtest import windows
from detector.backtest.rivals import rival_scores
from detector.backtest.synth.leaks import CEILING, leak_check
from detector.backtest.synth.spec import WorldSpec
from detector.backtest.synth.world import World, make_world, write_world
from detector.backtest.training import TEXT_DAYS
from detector.config import Config, lake_key
from detector.decide import verdicts
from detector.decide.scoring import Detector
from detector.errors import DataQualityError
from detector.ingest.door import ingest
from detector.lake.store import Store, empty

Update = Callable[[float, str], None]
Job = TypeVar("Job")
Result = TypeVar("Result")

#: Tables kept of a measured world, whole.
KEPT = ("account_days", "group_days", "group_members", "groups", "account_scores")
WINDOWS = ("rows", "keys", "holdings")
#: Other seeds tried when a field of a world leaks, and how far apart they lie.
TRIES = 8
NEXT_TRY = 10_000


@dataclass(frozen=True)
class Task:
    """One world to be measured into ``folder``; ``digest`` names the code that measures."""

    spec: WorldSpec
    folder: Path
    digest: str
    rivals: bool = True
    check_leaks: bool = True
    #: Without scores; only what the classifier is fitted on is kept.
    training: bool = False


def code_digest() -> str:
    """Hash of the code a measured world depends on; worlds measured by other code are made again."""
    root = Path(pipeline.__file__).parents[1]
    parts = (
        "features",
        "rules/lexicons",
        "rules/models",
        "rules/allowlists",
        "detector/ingest",
        "detector/lake",
        "detector/backtest/synth",
        "detector/backtest/rivals",
    )
    files = [p for part in parts for p in (root / part).rglob("*") if p.is_file() and p.suffix != ".pyc"]
    single = (
        "pipeline.py",
        "decide/groups.py",
        "decide/identity.py",
        "backtest/replay.py",
        "backtest/windows.py",
    )
    files += [root / "detector" / name for name in single]
    found = hashlib.sha256()
    # The classifier itself is left out: scoring is repeated from what was measured.
    for path in sorted(p for p in files if not p.name.startswith("detector.")):
        found.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:16]


def folder_of(work: Path, spec: WorldSpec) -> Path:
    """Where a world is measured: its name tells it apart from every other spec."""
    name = hashlib.sha256(
        repr(replace(spec, missing=frozenset())).encode() + repr(sorted(spec.missing)).encode()
    )
    return work / f"world-{spec.seed}-{spec.rung}-{name.hexdigest()[:8]}"


def measured(folder: Path, digest: str) -> bool:
    """Whether ``folder`` holds a world finished by this code."""
    try:
        return bool(json.loads((folder / "measured").read_text()).get("digest") == digest)
    except (FileNotFoundError, ValueError):
        return False


def measure(task: Task) -> Path:
    """Make, ingest, run and measure one world; a finished one is left alone.

    Raises
    ------
    DataQualityError : on rungs 2 and 3, a field leaks in every seed tried.
    """
    if measured(task.folder, task.digest):
        return task.folder
    started = time.monotonic()
    shutil.rmtree(task.folder, ignore_errors=True)
    task.folder.mkdir(parents=True)
    world, rejected = _sound_world(task)
    write_world(world, task.folder / "world")
    leak_check(world).write_parquet(task.folder / "leaks.parquet")
    harvest, truth = world.harvest, world.truth
    n_requests = len(world.requests)
    del world
    with Store(task.folder / "lake", threads=1) as store:
        ingest([task.folder / "world" / "logs"], store, key=lake_key(store.root, may_make=True))
        detector = None if task.training else pipeline.load_detector()
        days = store.days("requests")
        told = days[-TEXT_DAYS:] if task.training else days

        def keep(day: date, shared: Mapping[str, pl.DataFrame]) -> None:
            for name, frame in shared.items():
                frame.write_parquet(task.folder / f"{name}-{day}.parquet")

        for day in days:
            observe = keep if day in told else None
            pipeline.run_day(store, day, config=Config(), detector=detector, observe=observe)
        for table in KEPT:
            _read(store, f"SELECT * FROM {store.relation(table)}").write_parquet(
                task.folder / f"{table}.parquet"
            )
        _read(store, f"SELECT * FROM {store.relation('accounts')}").write_parquet(
            task.folder / "accounts.parquet"
        )
        requests = _read(store, f"SELECT * FROM {store.relation('requests')}")
        sent = requests.with_columns(pl.col("request_id").is_in(harvest.implode()).alias("harvest"))
        sent.group_by("account_id", "day").agg(
            pl.len().alias("n_requests"), pl.col("harvest").sum().alias("n_harvest")
        ).sort("account_id", "day").write_parquet(task.folder / "traffic.parquet")
        if task.rivals:
            site = (requests, _read(store, f"SELECT * FROM {store.relation('accounts')}"))
            account_days = pl.read_parquet(task.folder / "account_days.parquet")
            rival_scores(*site, account_days).write_parquet(task.folder / "rivals.parquet")
            if not task.spec.missing:
                mixed = windows.mixed_windows(store, sent, truth, seed=task.spec.seed)
                for name in WINDOWS:
                    getattr(mixed, name).write_parquet(task.folder / f"windows_{name}.parquet")
    shutil.rmtree(task.folder / "lake")
    shutil.rmtree(task.folder / "world" / "logs")
    note = {
        "digest": task.digest,
        "rejected": rejected,
        "n_requests": n_requests,
        "seconds": time.monotonic() - started,
    }
    (task.folder / "measured").write_text(json.dumps(note))
    return task.folder


def _sound_world(task: Task) -> tuple[World, list[dict[str, Any]]]:
    rejected: list[dict[str, Any]] = []
    for attempt in range(TRIES):
        world = make_world(replace(task.spec, seed=task.spec.seed + NEXT_TRY * attempt))
        if not task.check_leaks or task.spec.rung < 2:
            return world, rejected
        worst = leak_check(world).row(0, named=True)
        if worst["auc"] <= CEILING:
            return world, rejected
        rejected.append({"seed": world.spec.seed, "field": worst["field"], "auc": worst["auc"]})
    seeds = ", ".join(f"{r['seed']} ({r['field']} {r['auc']:.2f})" for r in rejected)
    raise DataQualityError(f"rung {task.spec.rung}: a field leaks in every world tried: {seeds}")


def _read(store: Store, sql: str) -> pl.DataFrame:
    made = pl.from_arrow(store.engine.query(sql))
    assert isinstance(made, pl.DataFrame)
    return made


def spread(
    work: Callable[[Job], Result], jobs: Sequence[Job], *, processes: int, progress: Callable[[int], None]
) -> Iterator[tuple[Job, Result | Exception]]:
    """Run ``work`` over ``jobs`` in a pool, as they finish; a failed job yields its exception."""
    if processes <= 1:
        for number, job in enumerate(jobs):
            try:
                yield job, work(job)
            except Exception as error:  # told with its job by the caller
                yield job, error
            progress(number + 1)
        return
    # Threads of the engines do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        futures = {pool.submit(work, job): job for job in jobs}
        try:
            for number, future in enumerate(as_completed(futures)):
                failed = future.exception()
                if failed is not None and not isinstance(failed, Exception):
                    raise failed
                yield futures[future], failed if failed is not None else future.result()
                progress(number + 1)
        finally:
            # Whoever stops listening, for an error or an interrupt, does not wait for an hour of other jobs.
            pool.shutdown(cancel_futures=True)


# -- scoring again -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Replayed:
    """What was measured of one world."""

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
        path = self.folder / "world" / "truth.csv"
        return pl.read_csv(
            path, schema_overrides=dict.fromkeys(("account_id", "campaign", "group"), pl.String)
        )

    @cached_property
    def days(self) -> list[date]:
        return sorted(self.table("account_days")["day"].unique())

    @cached_property
    def by_day(self) -> dict[str, dict[date, pl.DataFrame]]:
        """Measured tables by name and day, without the partition column."""
        made: dict[str, dict[date, pl.DataFrame]] = {}
        for name in ("account_days", "group_days", "group_members"):
            frame = self.table(name)
            parts = frame.partition_by("day", as_dict=True, include_key=False)
            bare = frame.drop("day").clear()
            made[name] = {day: parts.get((day,), bare) for day in self.days}
        return made

    def shared(self, day: date) -> dict[str, pl.DataFrame]:
        """Shared text as the run of that day saw it (``pipeline.Observe``)."""
        return {name: self.table(f"{name}-{day}") for name in ("keys", "holdings", "accounts")}

    @property
    def windows(self) -> windows.Windows:
        """Its mixed windows."""
        return windows.Windows(*(self.table(f"windows_{name}") for name in WINDOWS))

    @cached_property
    def merged(self) -> dict[date, dict[str, str]]:
        """Groups that went into another, by the day they did."""
        groups = self.table("groups").filter(pl.col("successor_id").is_not_null())
        first = groups.sort("day").group_by("group_id", maintain_order=True).first()
        found: dict[date, dict[str, str]] = {day: {} for day in self.days}
        for row in first.iter_rows(named=True):
            found[row["day"]][row["group_id"]] = row["successor_id"]
        return found

    @cached_property
    def facts(self) -> dict[date, pl.DataFrame]:
        """Account facts known at the end of each day: the last row valid by then."""
        rows = self.table("accounts").sort(
            ["valid_from", "file_id", "line"], descending=True, nulls_last=True, maintain_order=True
        )
        found = {}
        for day in self.days:
            end = pl.lit(day + timedelta(days=1)).cast(pl.Datetime("us"))
            known = rows.filter(pl.col("valid_from").is_null() | (pl.col("valid_from") < end))
            found[day] = known.unique("account_id", keep="first", maintain_order=True).select(
                "account_id", "org_id", "program"
            )
        return found


def load(folder: Path) -> Replayed:
    """A measured world."""
    spec = json.loads((folder / "world" / "world.json").read_text())["spec"]
    return Replayed(folder, spec, json.loads((folder / "measured").read_text()))


def decide_days(
    world: Replayed, detector: Detector, config: Config | None = None
) -> dict[date, verdicts.Day]:
    """What the nightly run would have written of scores on each day, with this detector."""
    config = config or Config()
    groups, accounts = empty("groups").drop("day"), empty("account_scores").drop("day")
    found = {}
    for day in world.days:
        scored = verdicts.decide(
            detector,
            day=day,
            config=config,
            account_days=pipeline._with_scaffolds(
                detector, world.by_day["account_days"][day], world.shared(day)
            ),
            group_days=world.by_day["group_days"][day],
            members=world.by_day["group_members"][day],
            previous_groups=groups,
            previous_accounts=accounts,
            facts=world.facts[day],
            merged=world.merged[day],
        )
        groups = scored.groups.select(groups.columns).cast(groups.schema)
        accounts = scored.accounts.select(accounts.columns).cast(accounts.schema)
        found[day] = replace(scored, groups=groups, accounts=accounts)
    return found

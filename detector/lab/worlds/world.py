"""Making and writing worlds: ``make_world``, ``write_world``, ``simulate``.

A world is a pure function of its spec: the same spec gives the same bytes. Each archetype and campaign draws from a
generator of its own, so adding one does not change the draws of the others.
"""

from __future__ import annotations

import gzip
import json
import shutil
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from detector.lab.worlds import assembly, clock
from detector.lab.worlds.archetypes import ARCHETYPES, populate
from detector.lab.worlds.campaigns import CAMPAIGNS
from detector.lab.worlds.grammar import Grammar
from detector.lab.worlds.persona import Rng
from detector.lab.worlds.spec import WorldSpec, plans
from detector.lab.worlds.town import Town

__all__ = ["ARCHETYPES", "CAMPAIGNS", "World", "WorldSpec", "make_world", "simulate", "write_world"]

#: Requests for each honest account and day where the spec names no total.
PER_DAY = 12.0
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class World:
    """A finished world: canonical frames, and ``truth`` and ``harvest``, which only the backtest may see.

    ``harvest`` has the ids of requests sent for an operation, without those of its ordinary customers.
    """

    spec: WorldSpec
    requests: pl.DataFrame
    accounts: pl.DataFrame
    account_events: pl.DataFrame
    model_releases: pl.DataFrame
    truth: pl.DataFrame
    harvest: pl.Series


def build(spec: WorldSpec, spool: Path | None = None) -> Town:
    """Draw everything in a world. With a ``spool`` folder, requests are written there."""

    def rng_of(name: str) -> Rng:
        return np.random.default_rng(
            [spec.seed, spec.evasion_level, zlib.crc32(f"{spec.families}/{name}".encode())]
        )

    town = Town(
        rng=rng_of("world"), grammar=Grammar(spec.families), start=spec.start, days=spec.days,
        population=spec.honest_accounts, release=spec.release, spool=spool,
    )  # fmt: skip
    total = float(spec.requests or PER_DAY * spec.honest_accounts * spec.days)
    populate(town, spec.archetypes or tuple(ARCHETYPES), spec.honest_accounts, total, rng_of)
    town.open_exits(rng_of("exits"))
    honest_events(town, rng_of("events"))
    for plan, campaign in plans(spec, rng_of("plans")):
        campaign.make(town, rng_of(plan.group), campaign, plan)
    return town


def honest_events(town: Town, rng: Rng) -> None:
    """Bans, suspensions and changed keys of honest accounts: failed payments and mistakes happen to them too."""
    n = len(town.born_s)
    for event, per_day in (("banned", 0.0006), ("suspended", 0.0012), ("key_rotated", 0.002)):
        for account in np.flatnonzero(rng.random(n) < per_day * town.days).tolist():
            low = max(town.born_s[account], 0.0)
            at = low + rng.random() * (town.end_s - low)
            if event == "banned":
                town.stop(account, at, event)
                continue
            town.events.append((at, account, event))
            if event == "suspended":
                town.events.append((at + rng.exponential(1.5) * clock.DAY_S, account, "reinstated"))


def make_world(spec: WorldSpec) -> World:
    """Build the world of a spec in memory (about 1 KB for each request)."""
    town = build(spec)
    table = assembly.account_table(town)
    raw = assembly.whole(town, table)
    town.frames.clear()
    return World(
        spec=spec,
        requests=assembly.without(raw.drop("_account", "_harvest"), spec),
        accounts=assembly.accounts_of(table, spec),
        account_events=assembly.events_of(town, table, spec),
        model_releases=assembly.releases_of(town),
        truth=assembly.truth_table(table, assembly.count(raw), spec),
        harvest=raw.filter("_harvest")["request_id"],
    )


def write_world(world: World, out: Path, *, progress: Progress | None = None, level: int = 3) -> None:
    """Write logs as an operator would have them, and the truth.

    ``out``/logs/requests-YYYY-MM-DD.jsonl.gz (one for each day), accounts.jsonl, account_events.jsonl,
    model_releases.jsonl; ``out``/truth.csv, truth_requests.csv.gz (ids of harvest requests), world.json.
    ``progress`` gets the name of each written file and the share done. ``level`` is gzip's.
    """
    (out / "logs").mkdir(parents=True, exist_ok=True)
    for i in range(world.spec.days):
        day = world.spec.start + timedelta(days=i)
        _write_day(world.requests.filter(pl.col("ts").dt.date() == day), world.spec, i, out, progress, level)
    _write_rest(world, len(world.requests), out)


def simulate(spec: WorldSpec, out: Path, *, progress: Progress | None = None) -> dict[str, Any]:
    """Make and write a world of any size, and give its counts. Memory does not grow with the requests.

    The files are those of ``write_world``, byte for byte.
    """
    spool = out / ".spool"
    shutil.rmtree(spool, ignore_errors=True)
    spool.mkdir(parents=True)
    (out / "logs").mkdir(exist_ok=True)
    try:
        town = build(spec, spool)
        table = assembly.account_table(town)
        counts, harvest, total = [], [], 0
        for i, raw in enumerate(assembly.by_day(town, table)):
            counts.append(assembly.count(raw))
            harvest.append(raw.filter("_harvest")["request_id"])
            total += len(raw)
            _write_day(assembly.without(raw.drop("_account", "_harvest"), spec), spec, i, out, progress, 3)
    finally:
        shutil.rmtree(spool, ignore_errors=True)
    world = World(
        spec=spec,
        requests=pl.DataFrame(),
        accounts=assembly.accounts_of(table, spec),
        account_events=assembly.events_of(town, table, spec),
        model_releases=assembly.releases_of(town),
        truth=assembly.truth_table(table, pl.concat(counts), spec),
        harvest=pl.concat(harvest),
    )
    return _write_rest(world, total, out)


def _write_day(
    part: pl.DataFrame, spec: WorldSpec, i: int, out: Path, progress: Progress | None, level: int
) -> None:
    # ``lines`` needs a last column that is never NULL.
    order = [c for c in part.columns if c != "status"] + ["status"]
    name = f"requests-{(spec.start + timedelta(days=i)).isoformat()}.jsonl.gz"
    (out / "logs" / name).write_bytes(gzip.compress(lines(part.select(order)), compresslevel=level, mtime=0))
    if progress:
        progress(name, (i + 1) / spec.days)


def _write_rest(world: World, n_requests: int, out: Path) -> dict[str, Any]:
    logs = out / "logs"
    if "accounts" not in world.spec.missing:
        _write_accounts(world.accounts, logs / "accounts.jsonl")
        (logs / "account_events.jsonl").write_bytes(lines(world.account_events))
    (logs / "model_releases.jsonl").write_bytes(lines(world.model_releases))
    world.truth.write_csv(out / "truth.csv")
    ids = "request_id\n" + "".join(f"{i}\n" for i in world.harvest.to_list())
    (out / "truth_requests.csv.gz").write_bytes(gzip.compress(ids.encode(), compresslevel=6, mtime=0))
    counts = describe(world, n_requests)
    (out / "world.json").write_text(json.dumps(counts, indent=2, sort_keys=True) + "\n")
    return counts


def lines(frame: pl.DataFrame) -> bytes:
    """Newline JSON with ISO timestamps and without NULL keys. The last column must never be NULL."""
    stamps = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Datetime)]
    data = frame.with_columns(pl.col(stamps).dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")).write_ndjson().encode()
    # Inside a JSON string a quote is escaped, so this pattern can only be a key.
    for name in frame.columns:
        data = data.replace(f'"{name}":null,'.encode(), b"")
    return data


def _write_accounts(accounts: pl.DataFrame, path: Path) -> None:
    rows = []
    for row in accounts.iter_rows(named=True):
        kept = {k: v for k, v in row.items() if v is not None}
        kept["created_at"] = row["created_at"].strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        kept["keys"] = {k: v for k, v in row["keys"].items() if v and v[0] is not None}
        rows.append(json.dumps(kept, separators=(",", ":")) + "\n")
    path.write_text("".join(rows))


def describe(world: World, n_requests: int) -> dict[str, Any]:
    """Spec and counts of a world, the content of world.json."""
    spec = asdict(world.spec) | {"start": world.spec.start.isoformat(), "missing": sorted(world.spec.missing)}
    by = world.truth.group_by("kind").agg(pl.len().alias("n")).sort("kind")
    return {
        "spec": spec,
        "n_requests": n_requests,
        "n_harvest_requests": len(world.harvest),
        "n_accounts": len(world.truth),
        "accounts_by_kind": dict(zip(by["kind"].to_list(), by["n"].to_list(), strict=True)),
        "groups": sorted(g for g in world.truth["group"].unique().to_list() if g),
    }

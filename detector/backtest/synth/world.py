"""Worlds put together and written out: ``make_world`` and ``write_world``.

A world is a pure function of its spec: same spec, same bytes. Each archetype and campaign draws from its
own generator, so adding one does not change the others' luck.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from detector.backtest.synth import clock, market
from detector.backtest.synth.archetypes import ARCHETYPES, populate
from detector.backtest.synth.campaigns import CAMPAIGNS, SINGLE, Campaign, Plan
from detector.backtest.synth.grammar import Grammar
from detector.backtest.synth.town import REQUEST_SCHEMA, Rng, Town, moment
from detector.errors import ConfigError
from features import schema

#: Requests of an honest account and day where the spec names no total.
PER_DAY = 12.0
MISSING = frozenset({"prompts", "payment", "ja4", "accounts"})
TRUTH = (
    "account_id", "label", "kind", "campaign", "group", "archetype", "rung", "harvest_share", "n_requests", "framed",
)  # fmt: skip


@dataclass(frozen=True)
class WorldSpec:
    """What a world is to be.

    Parameters
    ----------
    seed : 900000 and above are for tests and reports only, below 100000 for training.
    days, start : window, UTC days.
    honest_accounts : number of honest accounts.
    attacker_share : attackers' accounts as a share of all accounts (successors of banned ones come on top).
    rung : evasion, 0 naive to 3 ghost.
    campaigns : names; empty is a seeded mixture.
    archetypes : names; empty is all.
    families : letters out of "abc": which scaffolds, sentence patterns and vocabularies are used.
    requests : honest requests aimed at; None is twelve an account and day.
    missing : inputs left out, of "prompts", "payment", "ja4", "accounts".
    ban_rate : bans an attacker's account and day on rung 0; falls with the rung.
    release : whether a new model appears inside the window.
    poison : whether campaigns frame honest accounts.
    scale : 0: campaigns are as large as attacker_share makes them; else this part of their published size.

    Raises
    ------
    ConfigError : a value out of range or an unknown name.
    """

    seed: int
    days: int = 7
    start: date = date(2026, 3, 2)
    honest_accounts: int = 2000
    attacker_share: float = 0.05
    rung: int = 1
    campaigns: tuple[str, ...] = ()
    archetypes: tuple[str, ...] = ()
    families: str = "abc"
    requests: int | None = None
    missing: frozenset[str] = field(default_factory=frozenset)
    ban_rate: float = 0.04
    release: bool = True
    poison: bool = False
    scale: float = 0.0

    def __post_init__(self) -> None:
        _known("campaign", self.campaigns, CAMPAIGNS)
        _known("archetype", self.archetypes, ARCHETYPES)
        _known("missing input", tuple(self.missing), dict.fromkeys(sorted(MISSING)))
        _known("family letter", tuple(self.families) or ("",), dict.fromkeys("abc"))
        ranges = {
            "seed": self.seed >= 0, "days": 1 <= self.days <= 366, "honest_accounts": self.honest_accounts >= 1,
            "attacker_share": 0 <= self.attacker_share < 0.9, "rung": self.rung in (0, 1, 2, 3),
            "requests": self.requests is None or self.requests > 0, "ban_rate": 0 <= self.ban_rate <= 5,
            "scale": self.scale >= 0,
        }  # fmt: skip
        for name, good in ranges.items():
            if not good:
                raise ConfigError(f"{name} = {getattr(self, name)!r} is out of range")


def _known(what: str, given: tuple[str, ...], known: dict[str, Any]) -> None:
    for name in given:
        if name not in known:
            raise ConfigError(f"unknown {what} {name!r}", hint=f"known: {', '.join(known)}")


@dataclass(frozen=True)
class World:
    """A finished world: canonical frames, and what nobody outside the backtest may see (``truth``, ``harvest``).

    ``harvest`` holds the request ids that were sent for an operation, not by its ordinary customers.
    """

    spec: WorldSpec
    requests: pl.DataFrame
    accounts: pl.DataFrame
    account_events: pl.DataFrame
    model_releases: pl.DataFrame
    truth: pl.DataFrame
    harvest: pl.Series


def make_world(spec: WorldSpec) -> World:
    """Builds the world of a spec."""

    def rng_of(name: str) -> Rng:
        return np.random.default_rng([spec.seed, spec.rung, zlib.crc32(f"{spec.families}/{name}".encode())])

    rng = rng_of("world")
    town = Town(
        rng=rng, grammar=Grammar(spec.families), start=spec.start, days=spec.days, population=spec.honest_accounts,
        release=spec.release,
    )  # fmt: skip
    names = spec.archetypes or tuple(ARCHETYPES)
    total = float(spec.requests or PER_DAY * spec.honest_accounts * spec.days)
    populate(town, names, spec.honest_accounts, total, rng_of)
    town.open_exits(rng_of("exits"))
    honest_events(town, rng_of("events"))
    for plan, campaign in _plans(spec, rng_of("plans")):
        campaign.make(town, rng_of(plan.group), campaign, plan)
    return _assemble(town, spec)


def honest_events(town: Town, rng: Rng) -> None:
    """Bans, suspensions and changed keys among the honest: payment failures and mistakes happen to anybody."""
    n = len(town.born_s)
    for event, per_day in (("banned", 0.0006), ("suspended", 0.0012), ("key_rotated", 0.002)):
        for account in np.flatnonzero(rng.random(n) < per_day * town.days).tolist():
            low = max(town.born_s[account], 0.0)
            at = low + rng.random() * (town.end_s - low)
            if event == "banned":
                town.stop(account, at, event)
            else:
                town.events.append((at, account, event))
            if event == "suspended":
                back = at + rng.exponential(1.5) * clock.DAY_S
                if back < town.end_s:
                    town.events.append((back, account, "reinstated"))


def _plans(spec: WorldSpec, rng: Rng) -> list[tuple[Plan, Campaign]]:
    """Which campaigns run, and how large."""
    attackers = round(spec.honest_accounts * spec.attacker_share / (1 - spec.attacker_share))
    if not attackers and not (spec.scale and spec.campaigns):
        return []
    names = spec.campaigns
    if not names:
        mass = [c for c in CAMPAIGNS.values() if c.weight]
        weight = np.array([c.weight for c in mass])
        many = int(min(rng.integers(2, 5), max(1, attackers // 4)))
        names = tuple(
            mass[i].name for i in rng.choice(len(mass), size=many, replace=False, p=weight / weight.sum())
        )
        names += tuple(name for name in SINGLE if attackers > 12 and rng.random() < 0.5)
    chosen = [CAMPAIGNS[name] for name in names]
    alone = {c.name: int(rng.integers(1, c.accounts + 1)) for c in chosen if c.name in SINGLE}
    massive = [c for c in chosen if c.name not in SINGLE]
    left = max(attackers - sum(alone.values()), 2 * len(massive))
    share = rng.dirichlet(np.full(len(massive), 4.0)) if massive else np.zeros(0)
    found = []
    for i, campaign in enumerate(chosen):
        if spec.scale:
            accounts = max(1 if campaign.name in SINGLE else 2, round(campaign.accounts * spec.scale))
        elif campaign.name in SINGLE:
            accounts = alone[campaign.name]
        else:
            accounts = max(2, int(left * share[massive.index(campaign)]))
        volume = float(np.exp(rng.normal(0, 0.15)))
        group = f"{campaign.name}-{i + 1}"
        found.append((Plan(spec.rung, accounts, spec.ban_rate, group, spec.poison, volume), campaign))
    return found


def _assemble(town: Town, spec: WorldSpec) -> World:
    drop = {"label", "kind", "campaign", "group", "archetype", "framed"}
    table = pl.DataFrame({k: v for k, v in town.accounts.items()}, strict=False, infer_schema_length=None)
    account = pl.DataFrame({"_account": np.arange(len(table))}).with_columns(
        table.select("account_id", "org_id", "pathway")
    )
    raw = pl.concat(town.frames) if town.frames else pl.DataFrame()
    town.frames.clear()
    until = pl.Series(np.minimum(np.array(town.until_s), town.end_s) * 1e6)
    raw = raw.with_columns(_end=until.gather(raw["_account"])).filter(pl.col("_us") < pl.col("_end"))
    raw = raw.join(account, on="_account", how="left")
    # No two requests of a world share a microsecond twice in the sort key, so the order is the same always.
    raw = raw.with_columns(
        ts=pl.lit(town.start).cast(pl.Datetime("us")) + pl.duration(microseconds=pl.col("_us"))
    )
    raw = raw.sort("ts", "request_id")
    counted = raw.group_by("_account").agg(
        pl.len().alias("n_requests"), pl.col("_harvest").mean().alias("harvest_share")
    )
    harvest = raw.filter("_harvest")["request_id"]
    requests = raw.select(pl.col(name).cast(kind) for name, kind in REQUEST_SCHEMA.items())
    truth = (
        table.with_columns(_account=pl.int_range(len(table)), rung=pl.lit(spec.rung))
        .join(counted.with_columns(pl.col("_account").cast(pl.Int64)), on="_account", how="left")
        .with_columns(pl.col("n_requests").fill_null(0), pl.col("harvest_share").fill_null(0.0))
        .sort("account_id")
        .select(TRUTH)
    )
    keys = pl.struct(
        pl.concat_list("phone_hash").alias("phone_hash"), pl.concat_list("inviter").alias("inviter")
    )
    accounts = table.with_columns(
        keys=keys, status=pl.lit("active"), valid_from=pl.lit(None, dtype=pl.Datetime("us"))
    ).select(c.name for c in schema.ACCOUNTS)
    events = pl.DataFrame(
        [(moment(town.start, at), table["account_id"][i], event) for at, i, event in sorted(town.events)],
        schema={"ts": pl.Datetime("us"), "account_id": pl.String, "event": pl.String}, orient="row",
    )  # fmt: skip
    released = [
        (m[0], moment(town.start, -days * clock.DAY_S))
        for m, days in zip(market.MODELS, market.RELEASED_BEFORE, strict=True)
    ]
    if np.isfinite(town.release_s):
        released.append((market.NEW_MODEL, moment(town.start, town.release_s)))
    releases = pl.DataFrame(
        released, schema={"model": pl.String, "released_at": pl.Datetime("us")}, orient="row"
    )
    if "prompts" in spec.missing:
        requests = requests.with_columns(
            pl.lit(None, dtype=pl.String).alias(c) for c in ("prompt", "system_prompt")
        )
    if "ja4" in spec.missing:
        requests = requests.with_columns(ja4=pl.lit(None, dtype=pl.String))
    if "payment" in spec.missing:
        accounts = accounts.with_columns(
            pl.lit(None, dtype=pl.String).alias(c) for c in ("payment_fingerprint", "payment_bin")
        )
    if "accounts" in spec.missing:
        accounts, events = accounts.clear(), events.clear()
    del drop
    return World(spec, requests, accounts.sort("account_id"), events, releases, truth, harvest)


def _lines(frame: pl.DataFrame) -> bytes:
    """Newline JSON with ISO timestamps, absent keys left out. The last column must never be NULL."""
    stamps = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Datetime)]
    text = frame.with_columns(pl.col(stamps).dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")).write_ndjson()
    data = text.encode()
    # Inside a JSON string a quote is escaped, so this pattern can only be a key.
    for name in frame.columns:
        data = data.replace(f'"{name}":null,'.encode(), b"")
    return data


def write_world(world: World, out: Path, *, progress: Callable[[str, float], None] | None = None) -> None:
    """Writes logs as an operator would have them, and the truth beside them.

    ``out``/logs/requests-YYYY-MM-DD.jsonl.gz (one a day), accounts.jsonl, account_events.jsonl,
    model_releases.jsonl; ``out``/truth.csv, truth_requests.csv.gz (ids of harvest requests), world.json.
    ``progress`` is told what was written and the share done.
    """
    logs = out / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    order = [c for c in world.requests.columns if c != "status"] + ["status"]
    days = world.spec.days
    for i in range(days):
        day = world.spec.start + timedelta(days=i)
        part = world.requests.filter(pl.col("ts").dt.date() == day).select(order)
        name = f"requests-{day.isoformat()}.jsonl.gz"
        (logs / name).write_bytes(gzip.compress(_lines(part), compresslevel=3, mtime=0))
        if progress:
            progress(name, (i + 1) / days)
    if "accounts" not in world.spec.missing:
        _write_accounts(world.accounts, logs / "accounts.jsonl")
        (logs / "account_events.jsonl").write_bytes(_lines(world.account_events))
    (logs / "model_releases.jsonl").write_bytes(_lines(world.model_releases))
    world.truth.write_csv(out / "truth.csv", float_precision=4)
    ids = "request_id\n" + "".join(f"{i}\n" for i in world.harvest.to_list())
    (out / "truth_requests.csv.gz").write_bytes(gzip.compress(ids.encode(), compresslevel=6, mtime=0))
    (out / "world.json").write_text(json.dumps(describe(world), indent=2, sort_keys=True) + "\n")


def _write_accounts(accounts: pl.DataFrame, path: Path) -> None:
    rows = []
    for row in accounts.iter_rows(named=True):
        kept = {k: v for k, v in row.items() if v is not None}
        kept["created_at"] = row["created_at"].strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        kept["keys"] = {k: v for k, v in row["keys"].items() if v and v[0] is not None}
        rows.append(json.dumps(kept, separators=(",", ":")))
    path.write_text("\n".join(rows) + "\n" if rows else "")


def describe(world: World) -> dict[str, Any]:
    """Spec and counts of a world, as written to world.json."""
    spec = asdict(world.spec) | {"start": world.spec.start.isoformat(), "missing": sorted(world.spec.missing)}
    by = world.truth.group_by("kind").agg(pl.len().alias("n")).sort("kind")
    return {
        "spec": spec,
        "n_requests": len(world.requests),
        "n_harvest_requests": len(world.harvest),
        "n_accounts": len(world.truth),
        "accounts_by_kind": dict(zip(by["kind"].to_list(), by["n"].to_list(), strict=True)),
        "groups": sorted(g for g in world.truth["group"].unique().to_list() if g),
    }

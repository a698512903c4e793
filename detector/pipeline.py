"""The table of contents: what a nightly run does, in order.

    requests -> account_days -> ties -> groups -> group_days -> scores -> findings -> alerts

``run_day`` does this for one day from the lake alone and swaps all of the day's partitions in at the end.
State is yesterday's partition, so any day can be run again with the same result.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pyarrow as pa

import rules
from detector.alert import findings, lifecycle
from detector.config import Config
from detector.decide import groups as grouping
from detector.decide import identity, scaffolds, verdicts
from detector.decide.scoring import Detector
from detector.errors import DayMissing, ModelError
from detector.lake.store import Store, empty
from detector.lake.tables import tables
from features import compose, plugins
from features.spec import Tie

DAYS_BEFORE = 7
#: Kinds of content that come with the client software rather than with what it is used for: a coding agent's
#: system prompt and its user agent are one fact, not two that agree.
SAME_SOURCE = {"system": "client", "system_band": "client"}
FAMILIES = ("billing", "network", "client", "content", "rhythm", "succession")
#: Pieces of evidence kept for an account and family in ``why``.
WHY_PER_FAMILY = 3

Progress = Callable[[str], None]
#: Told what the classifier would see of shared text: ``keys`` (scaffolds.measure_keys), ``holdings`` (account,
#: code, n ...) and ``accounts`` (account_id by array code). Training listens here.
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


def due_days(store: Store) -> list[date]:
    """Days never run, or whose input has changed since, and all days after such a one; oldest first."""
    ran = {row["day"]: row["input_digest"] for row in _ledger(store).iter_rows(named=True)}
    due: list[date] = []
    for day in store.days("requests"):
        if due or ran.get(day) != input_digest(store, day):
            due.append(day)
    return due


def _ledger(store: Store) -> pl.DataFrame:
    return _frame(store.engine.query(f"SELECT day, input_digest FROM {store.relation('runs')}"))


def input_digest(store: Store, day: date) -> str:
    """Hash of what a run of ``day`` would read: its requests, the days before it, the facts known by its end."""
    end = day + timedelta(days=1)
    known = store.engine.query(
        f"""
        SELECT count(*) AS n, coalesce(sum(line), 0) AS lines, count(DISTINCT file_id) AS files
        FROM {store.relation("accounts")} WHERE valid_from IS NULL OR valid_from < DATE '{end}'
        UNION ALL
        SELECT count(*), coalesce(sum(line), 0), count(DISTINCT file_id)
        FROM {store.relation("account_events")} WHERE ts < DATE '{end}'
        UNION ALL
        SELECT count(*), coalesce(sum(line), 0), count(DISTINCT file_id)
        FROM {store.relation("model_releases")} WHERE released_at < DATE '{end}'
        """
    ).to_pylist()
    parts = [f"{d}/{p.name}" for d in store.days("requests") if d <= day for p in store.parts("requests", d)]
    return hashlib.sha256(repr((parts, known)).encode()).hexdigest()[:32]


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
    as they are; ``due_days`` knows when they no longer fit.

    Raises
    ------
    DayMissing : the lake has no requests of that day.
    """
    started = time.monotonic()
    if day not in store.days("requests"):
        raise DayMissing(
            f"no requests of {day}", hint='see: hydrawatch query "SELECT DISTINCT day FROM requests"'
        )
    with store.exclusive():
        digest = input_digest(store, day)
        skipped: list[tuple[str, str]] = []
        progress("measuring accounts")
        available = _bind(store, day)
        account_days = _measure(store, "account", available, skipped)
        store.engine.bind("account_days", account_days)
        available["account_days"] = frozenset(account_days.columns)
        progress("collecting ties")
        composed = compose.compose_ties(plugins.ties(), available=available)
        skipped += composed.skipped
        ties = (
            _frame(store.engine.query(composed.sql, of="ties"))
            .select(pl.lit(day).alias("day"), *[n for n in tables()["ties"].names if n != "day"])
            .sort("account_id", "kind", "key")
        )
        progress("forming groups")
        held = _window(store, day, ties, config)
        grouping_of = _group(held)
        previous = _state(store, "group_members", day)
        carried = identity.carry_over(previous.select(list(identity.MEMBERS)), grouping_of, day=day)
        members = _member_states(store, carried.members, day)
        progress("weighing shared text")
        shared = _shared_text(store, held, day, config)
        if observe is not None:
            observe(day, shared)
        progress("measuring groups")
        store.engine.bind("members", members.select("group_id", "account_id"))
        store.engine.bind("ties", ties.drop("day"))
        available |= {
            "members": frozenset(("group_id", "account_id")),
            "ties": frozenset(ties.columns) if len(ties) else frozenset(),
        }
        group_days = _measure(store, "group", available, skipped)
        out: dict[str, pl.DataFrame] = {
            "account_days": _dated(account_days, day),
            "ties": ties,
            "group_members": _dated(members, day),
            "group_days": _dated(group_days, day),
            "skipped": _dated(
                pl.DataFrame(
                    sorted(set(skipped)), schema={"plugin": pl.String, "reason": pl.String}, orient="row"
                ),
                day,
            ),
        }
        n_groups = opened = updated = closed = n_open = 0
        limit = None
        if detector is not None:
            progress("scoring")
            scored = verdicts.decide(
                detector,
                day=day,
                config=config,
                account_days=with_scaffolds(detector, account_days, shared),
                group_days=group_days,
                members=members,
                previous_groups=_state(store, "groups", day),
                previous_accounts=_state(store, "account_scores", day),
                facts=_frame(store.engine.query("SELECT account_id, org_id, program FROM accounts")),
                merged=carried.merged,
            )
            why = _why(held, members, scored.groups, config)
            found = findings.findings(
                scored.groups,
                scored.accounts,
                _parts_of_worst_day(store, scored, day),
                why,
                threshold=scored.threshold,
                day=day,
            )
            alerts = lifecycle.reconcile(
                store.read("alerts", store.newest("alerts", before=day)).to_pylist(),
                found,
                day=day,
                close_after_days=config.close_after_days,
                moved=carried.merged,
            )
            limit, n_groups = scored.threshold, len(scored.groups)
            opened, updated, closed = (
                sum(a["change"] == c for a in alerts) for c in ("created", "updated", "closed")
            )
            n_open = sum(a["state"] == "open" for a in alerts)
            schema = {k: v for k, v in empty("alerts").schema.items() if k != "day"}
            rows = [{k: a[k] for k in schema} for a in alerts]
            out |= {
                "groups": _dated(scored.groups, day),
                "account_scores": _dated(scored.accounts, day),
                "score_parts": _dated(scored.parts, day),
                "why": _dated(why, day),
                "alerts": _dated(pl.DataFrame(rows, schema=schema), day),
            }
        seconds = time.monotonic() - started
        n_requests = int(account_days["n_requests"].sum() or 0)
        out["runs"] = pl.DataFrame(
            {
                "day": [day],
                "ran_at": [datetime.now(UTC).replace(tzinfo=None)],
                "input_digest": [digest],
                "model_digest": [detector.digest() if detector else None],
                "n_requests": [n_requests],
                "n_accounts": [len(account_days)],
                "n_groups": [n_groups],
                "n_alerts": [n_open],
                "threshold": [limit],
                "seconds": [seconds],
            },
            schema=empty("runs").schema,
        )
        progress("storing")
        with store.transaction("run") as txn:
            for table, rows_of in out.items():
                txn.swap(table, rows_of.select(list(tables()[table].names)), day=day)
        store.write_views()
        _unbind(store)
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
        )


# -- relations -----------------------------------------------------------------------------------------------

_BOUND = (
    "requests", "requests_before", "accounts", "account_events", "model_releases", "hosting_asns",
    "account_days", "members", "ties",
)  # fmt: skip


def _bind(store: Store, day: date) -> dict[str, frozenset[str]]:
    """Bind what measurements may read, as it was known at the end of ``day``; say what holds values."""
    end = day + timedelta(days=1)
    before = [d for d in store.days("requests") if day - timedelta(days=DAYS_BEFORE) <= d < day]
    engine = store.engine
    engine.bind("requests", store.relation("requests", [day]))
    engine.bind("requests_before", store.relation("requests", before))
    engine.materialise(
        "accounts",
        f"""(SELECT * EXCLUDE (file_id, line, rank) FROM (
            SELECT *, row_number() OVER (
                PARTITION BY account_id ORDER BY valid_from DESC NULLS LAST, file_id DESC, line DESC
            ) AS rank FROM {store.relation("accounts")} WHERE valid_from IS NULL OR valid_from < DATE '{end}'
        ) WHERE rank = 1)""",
    )
    engine.materialise(
        "account_events",
        f"(SELECT DISTINCT ts, account_id, event FROM {store.relation('account_events')} WHERE ts < DATE '{end}')",
    )
    engine.materialise(
        "model_releases",
        f"""(SELECT model, min(released_at) AS released_at FROM {store.relation("model_releases")}
        WHERE released_at < DATE '{end}' GROUP BY model)""",
    )
    engine.bind("hosting_asns", _hosting_asns())
    return {name: _filled(store, name) for name in _BOUND[:6]}


def _filled(store: Store, name: str) -> frozenset[str]:
    """Columns of a bound relation that hold at least one value."""
    columns = [r["column_name"] for r in store.engine.query(f"DESCRIBE {name}").to_pylist()]
    counted = store.engine.query(
        "SELECT " + ", ".join(f'count("{c}") AS "{c}"' for c in columns) + f" FROM {name}"
    )
    return frozenset(c for c, n in counted.to_pylist()[0].items() if n)


def _hosting_asns() -> pa.Table:
    raw = json.loads(rules.read_bytes("allowlists/hosting_asns.json"))
    return pa.table({"asn": pa.array([int(entry["asn"]) for entry in raw["asns"]], pa.int64())})


def _measure(
    store: Store,
    grain: plugins.Grain,
    available: Mapping[str, frozenset[str]],
    skipped: list[tuple[str, str]],
) -> pl.DataFrame:
    assert grain in ("account", "group")
    composed = compose.compose(plugins.measures(grain), available=available)
    skipped += composed.skipped
    frame = _frame(store.engine.query(composed.sql, of=f"{grain} measurements"))
    # Parallel sums differ in the last bits from run to run; re-running a day must give the same rows.
    rounded = [pl.col(n).round_sig_figs(12) for n, t in frame.schema.items() if t == pl.Float64]
    return frame.with_columns(rounded).sort(frame.columns[0])


def _unbind(store: Store) -> None:
    for name in _BOUND:
        store.engine.unbind(name)


def _state(store: Store, table: str, day: date) -> pl.DataFrame:
    """What was known the day before ``day`` (of the newest earlier run), without the partition column."""
    return _frame(store.read(table, store.newest(table, before=day))).drop("day")


def _dated(frame: pl.DataFrame, day: date) -> pl.DataFrame:
    return frame.with_columns(pl.lit(day).alias("day"))


def _frame(table: pa.Table) -> pl.DataFrame:
    made = pl.from_arrow(table)
    assert isinstance(made, pl.DataFrame)
    return made


def _parts_of_worst_day(store: Store, scored: verdicts.Day, day: date) -> pl.DataFrame:
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
    stored = _frame(store.engine.query(f"SELECT * FROM {store.relation('score_parts', days)}"))
    earlier = stored.join(alerted, on=["subject_type", "subject_id", "day"], how="semi").drop("day")
    today = scored.parts.join(alerted, on=["subject_type", "subject_id"], how="anti")
    return pl.concat([today, earlier.select(today.columns)])


# -- groups --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Held:
    """Keys held in the window by at least two accounts, with array codes for grouping."""

    rows: pl.DataFrame  # account_id, family, kind, key, detail, n_sharing, weight, spoofable, account, code
    accounts: pl.Series  # account_id by array code
    n_accounts: int


def _window(store: Store, day: date, today: pl.DataFrame, config: Config) -> Held:
    """Ties of the window up to ``day``, one row an account and key, faded by age."""
    days = [d for d in store.days("ties") if day - timedelta(days=config.window_days) < d < day]
    store.engine.bind("ties_today", today)
    kinds = _kinds(plugins.ties())
    store.engine.bind("tie_kinds", kinds)
    names = ", ".join(tables()["ties"].names)
    rows = _frame(
        store.engine.query(
            f"""
            WITH gathered AS (
                SELECT {names} FROM {store.relation("ties", days)} UNION ALL SELECT {names} FROM ties_today
            ), held AS (
                SELECT account_id, family, kind, key, max(day) AS last_day, max(detail) AS detail,
                    CAST(sum(n) AS BIGINT) AS n, CAST(sum(n_prompts) AS BIGINT) AS n_prompts,
                    sum(asked_sum) AS asked_sum, count(*) AS n_days
                FROM gathered GROUP BY account_id, family, kind, key
            ), shared AS (
                SELECT kind, key, count(*) AS n_sharing FROM held GROUP BY kind, key HAVING count(*) >= 2
            )
            SELECT held.*, shared.n_sharing, tie_kinds.bits, tie_kinds.half_life_days, tie_kinds.spoofable
            FROM held JOIN shared USING (kind, key) JOIN tie_kinds USING (kind)
            ORDER BY account_id, kind, key
            """,
            of="ties of the window",
        )
    )
    population = store.engine.query(
        f"""SELECT count(DISTINCT account_id) AS n FROM (
            SELECT account_id FROM {store.relation("account_days", days)} UNION ALL SELECT account_id FROM account_days
        )"""
    ).to_pylist()[0]["n"]
    for name in ("ties_today", "tie_kinds"):
        store.engine.unbind(name)
    age = (pl.lit(day) - pl.col("last_day")).dt.total_days()
    rows = rows.with_columns(
        (pl.col("bits") * pl.coalesce(0.5 ** (age / pl.col("half_life_days")), 1.0)).alias("weight"),
        pl.col("account_id").rank("dense").cast(pl.Int64).sub(1).alias("account"),
        pl.struct("kind", "key").rank("dense").cast(pl.Int64).sub(1).alias("code"),
    )
    accounts = rows["account_id"].unique().sort()
    return Held(rows, accounts, max(int(population), len(accounts)))


def _shared_text(store: Store, held: Held, day: date, config: Config) -> dict[str, pl.DataFrame]:
    """Content keys of the window with what they say of their holders; see ``Observe``."""
    days = [d for d in store.days("account_days") if day - timedelta(days=config.window_days) < d < day]
    facts = _frame(
        store.engine.query(
            f"""
            WITH busy AS (
                SELECT account_id, n_requests FROM {store.relation("account_days", days)}
                UNION ALL SELECT account_id, n_requests FROM account_days
            ), told AS (
                SELECT account_id, max(org_id) AS org_id FROM requests GROUP BY account_id
            )
            SELECT busy.account_id, sum(busy.n_requests)::DOUBLE AS volume,
                max(coalesce(accounts.org_id, told.org_id,
                    CASE WHEN accounts.email_domain_class = 'custom' THEN accounts.email_domain_hash END,
                    busy.account_id)) AS organisation
            FROM busy LEFT JOIN accounts USING (account_id) LEFT JOIN told USING (account_id)
            GROUP BY busy.account_id
            """,
            of="facts of the window's accounts",
        )
    )
    known = pl.DataFrame({"account_id": held.accounts}).join(
        facts, on="account_id", how="left", maintain_order="left"
    )
    keys = scaffolds.measure_keys(
        held.rows,
        known["organisation"].fill_null(known["account_id"]),
        known["volume"].fill_null(1.0).to_numpy(),
        held.n_accounts,
    )
    return {
        "keys": keys,
        "holdings": scaffolds.content_holdings(held.rows),
        "accounts": pl.DataFrame({"account_id": held.accounts}),
    }


def with_scaffolds(
    detector: Detector, account_days: pl.DataFrame, shared: Mapping[str, pl.DataFrame]
) -> pl.DataFrame:
    """Account measurements with what the classifier thinks of the text each shares with others."""
    bits = scaffolds.score_keys(detector.key, shared["keys"])
    carried = scaffolds.account_scaffolds(
        shared["holdings"], shared["keys"]["code"], bits, len(shared["accounts"])
    ).drop("account")
    named = pl.concat([shared["accounts"], carried], how="horizontal")
    return account_days.join(named, on="account_id", how="left", maintain_order="left")


def _kinds(ties: tuple[Tie, ...]) -> pl.DataFrame:
    return pl.DataFrame(
        [(k, bits, t.half_life_days, k in t.spoofable) for t in ties for k, bits in t.kinds.items()],
        schema={"kind": pl.String, "bits": pl.Float64, "half_life_days": pl.Float64, "spoofable": pl.Boolean},
        orient="row",
    )


def _group(held: Held) -> pl.DataFrame:
    """account_id, label, strength_bits, firm, belonging of every grouped account."""
    rows = held.rows
    source = rows["kind"].replace(SAME_SOURCE)
    family = pl.select(pl.when(source.is_in(FAMILIES)).then(source).otherwise(rows["family"])).to_series()
    code = family.replace_strict({f: i for i, f in enumerate(FAMILIES)}, return_dtype=pl.Int8)
    found = grouping.form_groups(
        grouping.Ties(
            account=rows["account"].to_numpy(),
            key=rows["code"].to_numpy(),
            family=code.to_numpy(),
            bits=rows["weight"].to_numpy(),
            # Strangers keep the same hours as easily as anybody copies a prompt: neither makes a bond firm.
            spoofable=(rows["spoofable"] | (family == "rhythm")).to_numpy(),
            n_accounts=held.n_accounts,
        )
    )
    inside = np.flatnonzero(found.label >= 0)
    return pl.DataFrame(
        {
            "account_id": held.accounts.gather(inside) if len(inside) else pl.Series([], dtype=pl.String),
            "label": pl.Series(found.label[inside], dtype=pl.Int64),
            "strength_bits": pl.Series(found.strength_bits[inside], dtype=pl.Float64),
            "firm": pl.Series(found.firm[inside], dtype=pl.Boolean),
            "belonging": pl.Series(found.belonging[inside], dtype=pl.Float64),
        },
        schema_overrides={"account_id": pl.String},
    )


def _member_states(store: Store, members: pl.DataFrame, day: date) -> pl.DataFrame:
    """Members with their present state: banned by the last event that says so, else silent or active."""
    last = _frame(
        store.engine.query(
            """SELECT account_id, max_by(event, ts) AS event FROM account_events
            WHERE event IN ('banned', 'suspended', 'reinstated') GROUP BY account_id"""
        )
    )
    busy = _frame(store.engine.query("SELECT DISTINCT account_id, true AS busy FROM requests"))
    return (
        members.join(last, on="account_id", how="left")
        .join(busy, on="account_id", how="left")
        .with_columns(
            pl.when(pl.col("event").is_in(["banned", "suspended"]))
            .then(pl.lit("banned"))
            .when(pl.col("busy"))
            .then(pl.lit("active"))
            .otherwise(pl.lit("silent"))
            .alias("state"),
            pl.when(pl.col("busy")).then(pl.lit(day)).otherwise("last_day").alias("last_day"),
        )
        .select(list(identity.MEMBERS))
        .sort("group_id", "account_id")
    )


def _why(held: Held, members: pl.DataFrame, groups: pl.DataFrame, config: Config) -> pl.DataFrame:
    """Evidence of the groups worth a look: keys that members share with one another, weightiest first."""
    shown = groups.filter(pl.col("verdict") != "clear").select("group_id")
    rows = (
        held.rows.join(members.select("account_id", "group_id"), on="account_id")
        .join(shown, on="group_id")
        .with_columns(pl.len().over("group_id", "code").alias("inside"))
        .filter((pl.col("inside") >= 2) & (2 * pl.col("inside") >= pl.col("n_sharing")))
    )
    rarity = (held.n_accounts / pl.col("n_sharing")).log(2.0) / max(np.log2(max(held.n_accounts, 4) / 2), 1.0)
    return (
        rows.with_columns((pl.col("weight") * rarity.clip(0.0, 1.0)).alias("bits_held"))
        .sort(["bits_held", "kind", "key"], descending=[True, False, False])
        .with_columns(pl.int_range(pl.len()).over("account_id", "family").alias("rank"))
        .filter(pl.col("rank") < WHY_PER_FAMILY)
        .select(
            "group_id",
            "account_id",
            "family",
            "kind",
            "key",
            pl.col("bits_held").alias("bits"),
            pl.col("n_sharing").cast(pl.Int64),
            "spoofable",
            "detail",
        )
        .sort("group_id", "account_id", "family", "kind", "key")
    )

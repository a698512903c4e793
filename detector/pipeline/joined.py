"""Ties of the window joined: groups, the text accounts share, members and the evidence that binds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from detector.config import Config
from detector.lake.store import Store
from detector.lake.tables import tables
from detector.link import cooccurrence as grouping
from detector.link import graph, similarity, tracking
from detector.pipeline import relations
from detector.score import template_reuse
from detector.score.additive import Detector
from features import plugins
from features.spec import Tie

#: Kinds of content that come with the client software rather than with what it is used for: a coding agent's
#: system prompt and its user agent are one fact, not two that agree.
SAME_SOURCE = {"system": "client", "system_band": "client"}
FAMILIES = ("billing", "network", "client", "content", "rhythm", "succession")
#: Pieces of evidence kept for an account and family in ``why``.
WHY_PER_FAMILY = 3


@dataclass(frozen=True)
class Held:
    """Keys held in the window by at least two accounts, with array codes for grouping."""

    rows: pl.DataFrame  # account_id, family, kind, key, detail, n_sharing, weight, spoofable, account, code
    accounts: pl.Series  # account_id by array code; arrays of whatever kind have one entry for each of these
    n_accounts: int  # population of the window: who shares no key counts here, and has no array code


def window(store: Store, day: date, today: pl.DataFrame, config: Config) -> Held:
    """Ties of the window up to ``day``, one row an account and key, faded by age."""
    days = [d for d in store.days("ties") if day - timedelta(days=config.window_days) < d < day]
    store.engine.bind("ties_today", today)
    known = kinds(plugins.ties())
    store.engine.bind("tie_kinds", known)
    names = ", ".join(tables()["ties"].names)
    rows = relations.frame(
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


@dataclass(frozen=True)
class Holders:
    """Facts of the holders of keys, by array code: organisation (its own id where none), requests in the window."""

    organisation: pl.Series
    volume: npt.NDArray[np.float64]


def holders(store: Store, held: Held, day: date, config: Config) -> Holders:
    """Who the holders of the window's keys belong to, and how busy they were."""
    days = [d for d in store.days("account_days") if day - timedelta(days=config.window_days) < d < day]
    facts = relations.frame(
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
    return Holders(
        known["organisation"].fill_null(known["account_id"]), known["volume"].fill_null(1.0).to_numpy()
    )


def shared_text(held: Held, of: Holders) -> dict[str, pl.DataFrame]:
    """Keys of the window that accounts share, with what text says of its holders; see ``Observe``."""
    keys = template_reuse.measure_keys(held.rows, of.organisation, of.volume, held.n_accounts)
    return {
        "keys": keys,
        "holdings": template_reuse.content_holdings(held.rows),
        "links": graph.links(held.rows, held.n_accounts),
        "accounts": pl.DataFrame({"account_id": held.accounts, "organisation": of.organisation}),
    }


def with_scaffolds(
    detector: Detector, account_days: pl.DataFrame, shared: Mapping[str, pl.DataFrame]
) -> pl.DataFrame:
    """Account measurements with what the classifier thinks of the text each shares with others."""
    bits = template_reuse.score_keys(detector.key, shared["keys"])
    carried = template_reuse.account_scaffolds(
        shared["holdings"], shared["keys"]["code"], bits, len(shared["accounts"])
    ).drop("account")
    named = pl.concat([shared["accounts"].select("account_id"), carried], how="horizontal")
    return account_days.join(named, on="account_id", how="left", maintain_order="left")


def kinds(ties: tuple[Tie, ...]) -> pl.DataFrame:
    return pl.DataFrame(
        [(k, bits, t.half_life_days, k in t.spoofable) for t in ties for k, bits in t.kinds.items()],
        schema={"kind": pl.String, "bits": pl.Float64, "half_life_days": pl.Float64, "spoofable": pl.Boolean},
        orient="row",
    )


def group(held: Held, of: Holders) -> pl.DataFrame:
    """Columns of ``tracking.FOUND`` of every grouped account: bound by keys, or alike in what it asks."""
    rows = held.rows
    source = rows["kind"].replace(SAME_SOURCE)
    family = pl.select(pl.when(source.is_in(FAMILIES)).then(source).otherwise(rows["family"])).to_series()
    code = family.replace_strict({f: i for i, f in enumerate(FAMILIES)}, return_dtype=pl.Int8)
    bound = grouping.form_groups(
        grouping.Ties(
            account=rows["account"].to_numpy(),
            key=rows["code"].to_numpy(),
            family=code.to_numpy(),
            bits=rows["weight"].to_numpy(),
            # Strangers keep the same hours as easily as anybody copies a prompt: neither makes a bond firm.
            spoofable=(rows["spoofable"] | (family == "rhythm")).to_numpy(),
            n_accounts=held.n_accounts,
            n_holders=len(held.accounts),
        )
    )
    alike = similarity.alike(rows, of.organisation, of.volume, held.n_accounts)
    label = similarity.joined(bound.label, alike)
    inside = np.flatnonzero(label >= 0)
    keyed = bound.label[inside] >= 0
    return pl.DataFrame(
        {
            "account_id": held.accounts.gather(inside) if len(inside) else pl.Series([], dtype=pl.String),
            "label": pl.Series(label[inside], dtype=pl.Int64),
            "bond": pl.Series(np.where(keyed, "keys", "likeness").tolist(), dtype=pl.String),
            "strength_bits": pl.Series(bound.strength_bits[inside] * keyed, dtype=pl.Float64),
            "firm": pl.Series(bound.firm[inside] & keyed, dtype=pl.Boolean),
            "belonging": pl.Series(
                np.where(keyed, bound.belonging[inside], alike.belonging[inside]), dtype=pl.Float64
            ),
            "likeness": pl.Series(similarity.within(alike.graph, label)[inside], dtype=pl.Float64),
            "linked_bits": pl.Series(
                similarity.linked_bits(rows, label, of.organisation, held.n_accounts)[inside],
                dtype=pl.Float64,
            ),
        },
        schema_overrides={"account_id": pl.String},
    )


def member_states(store: Store, members: pl.DataFrame, day: date) -> pl.DataFrame:
    """Members with their present state: banned by the last event that says so, else silent or active."""
    last = relations.frame(
        store.engine.query(
            """SELECT account_id, max_by(event, ts) AS event FROM account_events
            WHERE event IN ('banned', 'suspended', 'reinstated') GROUP BY account_id"""
        )
    )
    busy = relations.frame(store.engine.query("SELECT DISTINCT account_id, true AS busy FROM requests"))
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
        .select(list(tracking.MEMBERS))
        .sort("group_id", "account_id")
    )


def evidence(held: Held, members: pl.DataFrame) -> pl.DataFrame:
    """Keys that members of a group share with one another, and few others: the weightiest of each family."""
    rows = (
        held.rows.join(members.select("account_id", "group_id"), on="account_id")
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


def with_evidence(held: Held, members: pl.DataFrame) -> pl.DataFrame:
    """Members with ``evidence_bits``, the sum of what ``evidence`` shows of each; NULL: not in the window."""
    bits = (
        evidence(held, members).group_by("group_id", "account_id").agg(pl.col("bits").sum().round_sig_figs(9))
    )
    present = pl.col("account_id").is_in(held.accounts.implode())
    return members.join(bits, on=["group_id", "account_id"], how="left", maintain_order="left").select(
        *members.columns, pl.when(present).then(pl.col("bits").fill_null(0.0)).alias("evidence_bits")
    )


def why(held: Held, members: pl.DataFrame, groups: pl.DataFrame) -> pl.DataFrame:
    """Evidence of the groups worth a look."""
    shown = groups.filter(pl.col("verdict") != "clear")["group_id"].implode()
    return evidence(held, members.filter(pl.col("group_id").is_in(shown)))

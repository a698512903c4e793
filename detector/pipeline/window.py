"""Ties of the window joined: groups, the text accounts share, members and the evidence that binds them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from detector.config import Config
from detector.lake.store import Store
from detector.link import cooccurrence, similarity, tracking
from detector.link.graph import EvidenceGraph, Keys, organisation_codes
from detector.link.uses import FAMILIES
from detector.pipeline import relations
from detector.pipeline.gathered import Gathered, gather
from features import plugins
from features.spec import Tie

#: Pieces of evidence kept for an account and family in ``why``.
WHY_PER_FAMILY = 3


@dataclass(frozen=True)
class Window:
    """The night's evidence graph, and the keys by their numbers as the lake knows them: kind and key."""

    graph: EvidenceGraph
    keys: pl.DataFrame


def window(store: Store, day: date, today: pl.DataFrame, config: Config) -> Window:
    """Ties of the window up to ``day``, one entry an account and key, faded by age; ``account_days`` is bound."""
    days = [d for d in store.days("ties") if day - timedelta(days=config.window_days) < d < day]
    tie_kinds = kinds(plugins.ties()).sort("kind")
    store.engine.bind("ties_today", today)
    gathered = gather(store, days, tie_kinds["kind"], day)
    store.engine.unbind("ties_today")
    names, volume, population = _holders(store, gathered.accounts, day, config)
    level, levels = _faded(gathered, tie_kinds)
    organisations, organisation = organisation_codes(names)
    number = gathered.keys["kind"].to_physical().to_numpy().astype(np.int8)
    family = tie_kinds["family"].cast(pl.Enum(FAMILIES)).to_physical().to_numpy().astype(np.int8)
    rows = gathered.rows
    code = rows["code"].to_numpy()
    graph = EvidenceGraph(
        accounts=gathered.accounts,
        organisations=organisations,
        organisation=organisation,
        volume=volume,
        n_accounts=max(population, len(gathered.accounts)),
        kinds=tuple(tie_kinds["kind"]),
        keys=Keys(
            number,
            family[number],
            tie_kinds["spoofable"].to_numpy()[number],
            gathered.keys["n_sharing"].to_numpy(),
        ),
        account=rows["account"].to_numpy(),
        key=code,
        level=level,
        levels=levels,
        n=rows["n"].to_numpy(),
        n_prompts=rows["n_prompts"].fill_null(0).to_numpy(),
        asked_sum=rows["asked_sum"].fill_null(np.nan).to_numpy(),
        n_days=rows["n_days"].to_numpy(),
    )
    return Window(graph, gathered.keys.select("kind", "key"))


def _faded(
    gathered: Gathered, tie_kinds: pl.DataFrame
) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.float64]]:
    """Of each entry the place of its weight, and the weights: bits of each kind, by the days since it was last seen."""
    age = gathered.rows["age"].to_numpy()
    ages = int(age.max(initial=0)) + 1
    each = tie_kinds.select("bits", "half_life_days").join(
        pl.DataFrame({"age": np.arange(ages)}), how="cross", maintain_order="left_right"
    )
    levels = each.select(
        pl.col("bits") * pl.coalesce(0.5 ** (pl.col("age") / pl.col("half_life_days")), 1.0)
    ).to_series()
    kind = gathered.keys["kind"].to_physical().to_numpy().astype(np.uint16)
    return kind[gathered.rows["code"].to_numpy()] * np.uint16(ages) + age, levels.to_numpy()


def _holders(
    store: Store, accounts: pl.Series, day: date, config: Config
) -> tuple[pl.Series, npt.NDArray[np.float64], int]:
    """Organisation (its own id where none) and requests in the window of each of ``accounts``, and how many accounts the
    window has in all."""
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
    rows = pl.DataFrame({"account_id": accounts}).join(
        facts, on="account_id", how="left", maintain_order="left"
    )
    return (
        rows["organisation"].fill_null(rows["account_id"]),
        rows["volume"].fill_null(1.0).to_numpy(),
        len(facts),
    )


def kinds(ties: tuple[Tie, ...]) -> pl.DataFrame:
    """What the plug-ins say of each kind of key."""
    return pl.DataFrame(
        [(name, t.family, k.bits, t.half_life_days, k.spoofable) for t in ties for name, k in t.kinds.items()],
        schema={
            "kind": pl.String, "family": pl.String, "bits": pl.Float64, "half_life_days": pl.Float64,
            "spoofable": pl.Boolean,
        },
        orient="row",
    )  # fmt: skip


def group(graph: EvidenceGraph) -> pl.DataFrame:
    """Columns of ``tracking.FOUND`` of every grouped account: bound by keys, or alike in what it asks."""
    bound = cooccurrence.form_groups(graph)
    alike = similarity.alike(graph)
    label = similarity.joined(bound.label, alike)
    inside = np.flatnonzero(label >= 0)
    keyed = bound.label[inside] >= 0
    within = similarity.within(alike.graph, label)[inside]
    linked = similarity.linked_bits(graph, label)[inside]
    return pl.DataFrame(
        {
            "account_id": graph.accounts.gather(inside) if len(inside) else pl.Series([], dtype=pl.String),
            "label": pl.Series(label[inside], dtype=pl.Int64),
            "bond": pl.Series(np.where(keyed, "keys", "similarity").tolist(), dtype=pl.String),
            "strength_bits": pl.Series(bound.strength_bits[inside] * keyed, dtype=pl.Float64),
            "spoofable": pl.Series(~(bound.unspoofable[inside] & keyed), dtype=pl.Boolean),
            "membership_probability": pl.Series(
                np.where(keyed, bound.membership_probability[inside], alike.membership_probability[inside]),
                dtype=pl.Float64,
            ),
            "similarity": pl.Series(within, dtype=pl.Float64),
            "linked_bits": pl.Series(linked, dtype=pl.Float64),
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


def evidence(graph: EvidenceGraph, members: pl.DataFrame) -> pl.DataFrame:
    """Keys that members of a group share with one another, and few others: the weightiest of each family.

    ``group_id``, ``account`` and ``code`` as in ``graph``, family, kind, bits, n_sharing, spoofable.
    """
    number = pl.DataFrame({"account_id": graph.accounts}).with_row_index("account")
    of = members.select("account_id", "group_id").join(number, on="account_id")
    group = pl.DataFrame({"group_id": of["group_id"].unique().sort()}).with_row_index("group")
    of = of.join(group, on="group_id").select(pl.col("account").cast(pl.Int32), "group")
    rarity = (graph.n_accounts / pl.col("n_sharing")).log(2.0) / max(
        np.log2(max(graph.n_accounts, 4) / 2), 1.0
    )
    return (
        graph.rows(
            _common(graph, of), "account", "code", "family", "kind", "n_sharing", "weight", "spoofable"
        )
        .lazy()
        .join(of.lazy(), on="account")
        .with_columns(pl.len().over("group", "code").alias("inside"))
        .filter((pl.col("inside") >= 2) & (2 * pl.col("inside") >= pl.col("n_sharing")))
        .with_columns((pl.col("weight") * rarity.clip(0.0, 1.0)).alias("bits"))
        .sort(["bits", "code"], descending=[True, False])
        .with_columns(pl.int_range(pl.len()).over("account", "family").alias("rank"))
        .filter(pl.col("rank") < WHY_PER_FAMILY)
        .join(group.lazy(), on="group")
        .select("group_id", "account", "code", "family", "kind", "bits", "n_sharing", "spoofable")
        .collect()
    )


#: Pairs of a group and a key are counted in so many boxes before they are counted exactly.
_BOXES = 1 << 23


def _common(graph: EvidenceGraph, of: pl.DataFrame) -> npt.NDArray[np.int64]:
    """Entries of ``graph`` that may be evidence: none that is falls out, most that are not do.

    Boxes that several pairs fall into only count too many. ``of``: account and group, each account once.
    """
    group = np.full(graph.n_holders, -1, np.int64)
    group[of["account"].to_numpy()] = of["group"].to_numpy()
    place = np.flatnonzero((group >= 0)[graph.account])
    key = graph.key[place]
    box = (group[graph.account[place]] * 2654435761 + key) & (_BOXES - 1)
    inside = np.bincount(box, minlength=1)[box]
    entries: npt.NDArray[np.int64] = place[(inside >= 2) & (2 * inside >= graph.keys.degree[key])]
    return entries


def with_evidence(graph: EvidenceGraph, members: pl.DataFrame) -> pl.DataFrame:
    """Members with ``evidence_bits``, the sum of what ``evidence`` shows of each; NULL: not in the window."""
    bits = (
        evidence(graph, members)
        .group_by("group_id", "account")
        .agg(pl.col("bits").sum().round_sig_figs(9))
        .with_columns(pl.lit(graph.accounts).gather(pl.col("account")).alias("account_id"))
        .drop("account")
    )
    present = pl.col("account_id").is_in(graph.accounts.implode())
    return members.join(bits, on=["group_id", "account_id"], how="left", maintain_order="left").select(
        *members.columns, pl.when(present).then(pl.col("bits").fill_null(0.0)).alias("evidence_bits")
    )


def why(
    store: Store, day: date, seen: Window, members: pl.DataFrame, groups: pl.DataFrame, config: Config
) -> pl.DataFrame:
    """Evidence of the groups worth a look, with its labels; the day's ``ties`` are bound."""
    shown = groups.filter(pl.col("verdict") != "clear")["group_id"].implode()
    reasons = evidence(seen.graph, members.filter(pl.col("group_id").is_in(shown)))
    reasons = pl.concat([reasons, seen.keys[reasons["code"]].select("key")], how="horizontal").select(
        "group_id",
        seen.graph.accounts.gather(reasons["account"]).alias("account_id"),
        pl.col("family", "kind").cast(pl.String),
        "key",
        "bits",
        pl.col("n_sharing").cast(pl.Int64),
        "spoofable",
    )
    named = _labels(store, day, reasons, config)
    return reasons.join(named, on=["account_id", "kind", "key"], how="left").sort(
        "group_id", "account_id", "family", "kind", "key"
    )


def _labels(store: Store, day: date, reasons: pl.DataFrame, config: Config) -> pl.DataFrame:
    """``account_id``, ``kind``, ``key`` and ``detail`` of ties of the window, of the accounts and keys of ``reasons``."""
    days = [d for d in store.days("ties") if day - timedelta(days=config.window_days) < d < day]
    store.engine.bind("shown", reasons.select("account_id", "kind", "key").unique())
    rows = store.engine.query(
        f"""
        SELECT account_id, kind, key, max(detail) AS detail FROM (
            SELECT account_id, kind, key, detail FROM {store.relation("ties", days)}
            UNION ALL SELECT account_id, kind, key, detail FROM ties
        ) AS everything SEMI JOIN shown USING (account_id, kind, key)
        GROUP BY account_id, kind, key
        """,
        of="labels of the evidence",
    )
    store.engine.unbind("shown")
    return relations.frame(rows)

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
from detector.link import cooccurrence as grouping
from detector.link import graph, similarity, tracking
from detector.pipeline import relations
from detector.pipeline.gathered import gather
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

    #: account, code, family, kind, n_sharing, n, n_prompts, asked_sum, n_days, weight, spoofable; by account and code
    rows: pl.DataFrame
    accounts: pl.Series  # account_id by array code; arrays of whatever kind have one entry for each of these
    n_accounts: int  # population of the window: who shares no key counts here, and has no array code
    keys: pl.DataFrame  # kind and key by array code


def window(store: Store, day: date, today: pl.DataFrame, config: Config) -> Held:
    """Ties of the window up to ``day``, one row an account and key, faded by age."""
    days = [d for d in store.days("ties") if day - timedelta(days=config.window_days) < d < day]
    known = kinds(plugins.ties()).sort("kind")
    store.engine.bind("ties_today", today)
    found = gather(store, days, known["kind"])
    store.engine.unbind("ties_today")
    population = store.engine.query(
        f"""SELECT count(DISTINCT bucket_of(account_id)) AS n FROM (
            SELECT account_id FROM {store.relation("account_days", days)} UNION ALL SELECT account_id FROM account_days
        )"""
    ).to_pylist()[0]["n"]
    of_kind = known.select(
        pl.col("kind").cast(found.keys.schema["kind"]),
        pl.col("family").cast(pl.Enum(FAMILIES)),
        "bits",
        "half_life_days",
        "spoofable",
    )
    age = (pl.lit(day) - pl.col("last_day")).dt.total_days()
    faded = pl.col("bits") * pl.coalesce(0.5 ** (age / pl.col("half_life_days")), 1.0)
    rows = (
        found.rows.lazy()
        .join(of_kind.lazy(), on="kind", how="left", maintain_order="left")
        .select(
            "account", "code", "family", "kind", "n_sharing", "n", "n_prompts", "asked_sum", "n_days",
            faded.alias("weight"), "spoofable",
        )
        .collect()
    )  # fmt: skip
    return Held(rows, found.accounts, max(int(population), len(found.accounts)), found.keys)


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
        "incidence": template_reuse.content_incidence(held.rows),
        "links": graph.links(held.rows, held.n_accounts),
        "accounts": pl.DataFrame({"account_id": held.accounts, "organisation": of.organisation}),
    }


def with_template_reuse(
    detector: Detector, account_days: pl.DataFrame, shared: Mapping[str, pl.DataFrame]
) -> pl.DataFrame:
    """Account measurements with what the classifier thinks of the text each shares with others."""
    bits = template_reuse.score_keys(detector.template_reuse, shared["keys"])
    carried = template_reuse.account_template_reuse(
        shared["incidence"], shared["keys"]["code"], bits, len(shared["accounts"])
    ).drop("account")
    named = pl.concat([shared["accounts"].select("account_id"), carried], how="horizontal")
    return account_days.join(named, on="account_id", how="left", maintain_order="left")


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


def group(held: Held, of: Holders) -> pl.DataFrame:
    """Columns of ``tracking.FOUND`` of every grouped account: bound by keys, or alike in what it asks."""
    rows = held.rows
    family = rows["family"].to_physical().to_numpy().astype(np.int8)
    for kind, source in SAME_SOURCE.items():
        family[(rows["kind"] == kind).to_numpy()] = FAMILIES.index(source)
    bound = grouping.form_groups(
        grouping.Ties(
            account=rows["account"].to_numpy().astype(np.int64),
            key=rows["code"].to_numpy().astype(np.int64),
            family=family,
            bits=rows["weight"].to_numpy(),
            # Strangers keep the same hours as easily as anybody copies a prompt: neither makes a bond unspoofable.
            spoofable=rows["spoofable"].to_numpy() | (family == FAMILIES.index("rhythm")),
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
            "bond": pl.Series(np.where(keyed, "keys", "similarity").tolist(), dtype=pl.String),
            "strength_bits": pl.Series(bound.strength_bits[inside] * keyed, dtype=pl.Float64),
            "spoofable": pl.Series(~(bound.unspoofable[inside] & keyed), dtype=pl.Boolean),
            "membership_probability": pl.Series(
                np.where(keyed, bound.membership_probability[inside], alike.membership_probability[inside]),
                dtype=pl.Float64,
            ),
            "similarity": pl.Series(similarity.within(alike.graph, label)[inside], dtype=pl.Float64),
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
    """Keys that members of a group share with one another, and few others: the weightiest of each family.

    ``group_id``, ``account`` and ``code`` as in ``held``, family, kind, bits, n_sharing, spoofable.
    """
    number = pl.DataFrame({"account_id": held.accounts}).with_row_index("account")
    of = members.select("account_id", "group_id").join(number, on="account_id")
    group = pl.DataFrame({"group_id": of["group_id"].unique().sort()}).with_row_index("group")
    of = of.join(group, on="group_id").select(pl.col("account").cast(pl.Int32), "group")
    rarity = (held.n_accounts / pl.col("n_sharing")).log(2.0) / max(np.log2(max(held.n_accounts, 4) / 2), 1.0)
    return (
        held.rows.select("account", "code", "family", "kind", "n_sharing", "weight", "spoofable")[
            _common(held, of)
        ]
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


def _common(held: Held, of: pl.DataFrame) -> npt.NDArray[np.int64]:
    """Places of the entries of ``held`` that may be evidence: none that is falls out, most that are not do.

    Boxes that several pairs fall into only count too many. ``of``: account and group, each account once.
    """
    group = np.full(len(held.accounts), -1, np.int64)
    group[of["account"].to_numpy()] = of["group"].to_numpy()
    owner = group[held.rows["account"].to_numpy()]
    place = np.flatnonzero(owner >= 0)
    box = (owner[place] * 2654435761 + held.rows["code"].to_numpy()[place]) & (_BOXES - 1)
    inside = np.bincount(box, minlength=1)[box]
    sharing = held.rows["n_sharing"].to_numpy()[place]
    found: npt.NDArray[np.int64] = place[(inside >= 2) & (2 * inside >= sharing)]
    return found


def with_evidence(held: Held, members: pl.DataFrame) -> pl.DataFrame:
    """Members with ``evidence_bits``, the sum of what ``evidence`` shows of each; NULL: not in the window."""
    bits = (
        evidence(held, members)
        .group_by("group_id", "account")
        .agg(pl.col("bits").sum().round_sig_figs(9))
        .with_columns(pl.lit(held.accounts).gather(pl.col("account")).alias("account_id"))
        .drop("account")
    )
    present = pl.col("account_id").is_in(held.accounts.implode())
    return members.join(bits, on=["group_id", "account_id"], how="left", maintain_order="left").select(
        *members.columns, pl.when(present).then(pl.col("bits").fill_null(0.0)).alias("evidence_bits")
    )


def why(
    store: Store, day: date, held: Held, members: pl.DataFrame, groups: pl.DataFrame, config: Config
) -> pl.DataFrame:
    """Evidence of the groups worth a look, with its labels; the day's ``ties`` are bound."""
    shown = groups.filter(pl.col("verdict") != "clear")["group_id"].implode()
    found = evidence(held, members.filter(pl.col("group_id").is_in(shown)))
    found = pl.concat([found, held.keys[found["code"]].select("key")], how="horizontal").select(
        "group_id",
        held.accounts.gather(found["account"]).alias("account_id"),
        pl.col("family", "kind").cast(pl.String),
        "key",
        "bits",
        pl.col("n_sharing").cast(pl.Int64),
        "spoofable",
    )
    named = _labels(store, day, found, config)
    return found.join(named, on=["account_id", "kind", "key"], how="left").sort(
        "group_id", "account_id", "family", "kind", "key"
    )


def _labels(store: Store, day: date, found: pl.DataFrame, config: Config) -> pl.DataFrame:
    """``account_id``, ``kind``, ``key`` and ``detail`` of ties of the window, of the accounts and keys of ``found``."""
    days = [d for d in store.days("ties") if day - timedelta(days=config.window_days) < d < day]
    store.engine.bind("shown", found.select("account_id", "kind", "key").unique())
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

"""Which shared text is a harvest's scaffold, and how much of it each account carries.

A scaffold shows as a content key with several holders who are nothing to one another, under which ever new
prompts come, evenly from all of them, asking for what trains a model, from accounts that also share exits,
cards or clients. Each key is scored on these properties of its own site's traffic; an account keeps its best
few keys and the sum of the positive ones. It never takes a mean or a share: ordinary traffic mixed in cannot
dilute a sum.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from detector.link.graph import EvidenceGraph
from detector.link.meetings import met
from detector.link.uses import TEMPLATE_LINKS, TEMPLATE_TEXT
from detector.tuning import KEYS_A_REQUEST
from features.spec import Column, Direction, read_by

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

STEADY = pl.col(pl.Float64).round_sig_figs(9)

#: What is measured of a key of shared text.
KEY_FEATURES = (
    Column("key_holders_log2", "DOUBLE", "accounts that hold it", "log2", "", ("template_reuse",)),
    Column(
        "key_rarity_bits",
        "DOUBLE",
        "the site's accounts against its holders",
        "bits",
        "",
        ("template_reuse",),
    ),
    Column("key_distinct_share", "DOUBLE", "different prompts a use", "0..1", "up", ("template_reuse",)),
    Column("key_uses_log2", "DOUBLE", "uses a holder", "log2", "", ("template_reuse",)),
    Column(
        "key_evenness", "DOUBLE", "how evenly its uses lie on the holders", "0..1", "up", ("template_reuse",)
    ),
    Column("key_asked", "DOUBLE", "elicitation score of its uses, mean", "0..1", "up", ("template_reuse",)),
    Column("key_orgs_per_holder", "DOUBLE", "organisations a holder", "0..1", "up", ("template_reuse",)),
    Column(
        "key_linked_bits",
        "DOUBLE",
        "holders that share a card, exit or habit with another organisation's holder, against chance",
        "bits",
        "up",
        ("template_reuse",),
    ),
    Column("key_linked_share", "DOUBLE", "those of all holders", "0..1", "up", ("template_reuse",)),
    Column("key_days", "DOUBLE", "days of the window with a use", "days", "", ("template_reuse",)),
    Column(
        "key_share_of_holder",
        "DOUBLE",
        "a holder's requests that carry it, mean",
        "0..1",
        "",
        ("template_reuse",),
    ),
    Column(
        "key_long", "DOUBLE", "1: long enough to be somebody's own words", "0..1", "", ("template_reuse",)
    ),
    Column("key_system", "DOUBLE", "1: of a system prompt", "0..1", "", ("template_reuse",)),
)
#: What a key's classifier may use, and which way each may point.
KEY_TERMS: Mapping[str, Direction] = read_by("template_reuse", KEY_FEATURES)
#: What accounts get of it: text an account shares with those it should not know, weighed by what it looks like.
ACCOUNT_FEATURES = (
    Column(
        "template_reuse_bits_1",
        "DOUBLE",
        "the most suspicious text it shares with other accounts",
        "bits",
        "up",
        ("conduct",),
    ),
    Column(
        "template_reuse_bits_3",
        "DOUBLE",
        "the third most suspicious text it shares with other accounts",
        "bits",
        "up",
        ("conduct",),
    ),
    Column(
        "template_reuse_bits_10",
        "DOUBLE",
        "the tenth most suspicious text it shares with other accounts",
        "bits",
        "up",
        ("conduct",),
    ),
    Column(
        "template_reuse_kinds",
        "DOUBLE",
        "kinds of suspicious text it shares with other accounts",
        "kinds",
        "up",
        ("conduct",),
    ),
    Column(
        "template_reuse_requests_log2",
        "DOUBLE",
        "requests that carry suspicious shared text, as a power of two",
        "log2",
        "up",
        ("conduct",),
    ),
)
ACCOUNT_COLUMNS = tuple(column.name for column in ACCOUNT_FEATURES)


def content_incidence(graph: EvidenceGraph) -> pl.DataFrame:
    """Who holds text that may be a scaffold's: account, code, kind, n_sharing, n, n_prompts, asked_sum, n_days."""
    return graph.rows(
        graph.entries(TEMPLATE_TEXT),
        "account", "code", "kind", "n_sharing", "n", "n_prompts", "asked_sum", "n_days",
    )  # fmt: skip


def measure_keys(graph: EvidenceGraph, incidence: pl.DataFrame) -> pl.DataFrame:
    """One row a key of ``incidence`` (:func:`content_incidence`) with the columns of ``KEY_TERMS`` and ``code``."""
    account = incidence["account"].to_numpy()
    keys = (
        incidence.with_columns(
            pl.Series("org", graph.organisation[account]),
            pl.Series("volume", np.maximum(graph.volume, 1.0)[account]),
        )
        .with_columns((pl.col("n") / pl.col("n").sum().over("code")).alias("p"))
        .group_by("code")
        .agg(
            pl.col("kind").first(),
            pl.len().alias("h"),
            pl.col("n").sum().alias("uses"),
            pl.col("n_prompts").sum().alias("prompts"),
            pl.col("asked_sum").sum().alias("asked"),
            (-(pl.col("p") * pl.col("p").log()).sum()).exp().alias("effective"),
            pl.col("org").n_unique().alias("orgs"),
            pl.col("n_days").max().alias("days"),
            (pl.col("n") / pl.col("volume")).clip(0, 1).mean().alias("of_holder"),
        )
        .sort("code")
    )
    bits, share = _linked(graph, incidence, keys["code"].to_numpy())
    h = pl.col("h").cast(pl.Float64)
    return keys.select(
        "code",
        h.log(2.0).alias("key_holders_log2"),
        (graph.n_accounts / h).log(2.0).alias("key_rarity_bits"),
        (pl.col("prompts") / pl.col("uses")).clip(0, 1).alias("key_distinct_share"),
        (pl.col("uses") / h).log(2.0).alias("key_uses_log2"),
        (pl.col("effective") / h).alias("key_evenness"),
        (pl.col("asked") / pl.col("uses")).alias("key_asked"),
        (pl.col("orgs") / h).alias("key_orgs_per_holder"),
        pl.Series("key_linked_bits", bits),
        pl.Series("key_linked_share", share),
        pl.col("days").cast(pl.Float64).alias("key_days"),
        pl.col("of_holder").alias("key_share_of_holder"),
        pl.col("kind")
        .is_in(["opening8", "ending8", "line", "template", "system"])
        .cast(pl.Float64)
        .alias("key_long"),
        pl.col("kind").is_in(["system", "system_band"]).cast(pl.Float64).alias("key_system"),
    ).with_columns(STEADY)


def _linked(graph: EvidenceGraph, incidence: pl.DataFrame, codes: Ints) -> tuple[Floats, Floats]:
    """How many holders of each key are linked to another holder outside their organisation, in bits over chance.

    An account with D other holders on its link keys finds one of them among h - 1 further holders of a
    content key with probability 1 - exp(-(h - 1) D / N); the sum over holders is what chance gives. The bits
    are the log-likelihood ratio of the observed count against that, where it is above.
    """
    link = graph.entries(TEMPLATE_LINKS)
    if not len(link) or incidence.is_empty():
        return np.zeros(len(codes)), np.zeros(len(codes))
    n, org_number = graph.n_holders, graph.organisation.astype(np.int64)
    column = np.searchsorted(codes, incidence["code"].to_numpy())
    account = incidence["account"].to_numpy().astype(np.int64)
    link_account = graph.account[link].astype(np.int64)
    link_codes, link_column = np.unique(graph.key[link], return_inverse=True)
    # Keys of a single organisation tie nobody: count organisations on a link key, not accounts.
    pair = np.unique(link_column.astype(np.int64) * (org_number.max() + 1) + org_number[link_account])
    orgs_on = np.bincount(pair // (org_number.max() + 1), minlength=len(link_codes))
    ties = orgs_on[link_column] >= 2
    link_account, link_column = link_account[ties], link_column[ties]
    degree = np.bincount(link_account, orgs_on[link_column] - 1, minlength=n)
    tied = met(account, column, link_account, link_column, n)
    seen = np.bincount(column, tied, minlength=len(codes))
    h = np.bincount(column, minlength=len(codes)).astype(float)
    chance_of = 1 - np.exp(-(h[column] - 1) * degree[account] / max(graph.n_accounts, 1))
    chance = np.clip(np.bincount(column, chance_of, minlength=len(codes)), 1e-3, h - 1e-3)
    with np.errstate(divide="ignore", invalid="ignore"):
        inside = np.where(seen > 0, seen * np.log2(seen / chance), 0.0)
        outside = np.where(h > seen, (h - seen) * np.log2((h - seen) / (h - chance)), 0.0)
    return np.where(seen > chance, inside + outside, 0.0), seen / np.maximum(h, 1)


def account_template_reuse(incidence: pl.DataFrame, codes: pl.Series, bits: Floats, n: int) -> pl.DataFrame:
    """The columns of ``ACCOUNT_COLUMNS`` for accounts 0..n-1, from the bits of the keys ``codes``.

    Order statistics of the bits of the account's keys (0 where it has fewer), number of kinds among its
    suspicious ones, and log2(1 + suspicious requests).
    """
    scored = incidence.join(pl.DataFrame({"code": codes, "bits": bits}), on="code").sort(
        "bits", descending=True
    )
    positive = pl.col("bits").clip(0.0, 6.0) / 6.0

    def at(rank: int) -> pl.Expr:
        return pl.when(pl.len() >= rank).then(pl.col("bits").top_k(rank).min()).otherwise(None)

    figures = scored.group_by("account").agg(
        at(1).alias("template_reuse_bits_1"),
        at(3).alias("template_reuse_bits_3"),
        at(10).alias("template_reuse_bits_10"),
        pl.col("kind").filter(pl.col("bits") > 0).n_unique().cast(pl.Float64).alias("template_reuse_kinds"),
        (1 + (positive * pl.col("n")).sum() / KEYS_A_REQUEST).log(2.0).alias("template_reuse_requests_log2"),
    )
    everyone = pl.DataFrame({"account": np.arange(n)})
    # Sums in parallel differ in their last digits from run to run; what is stored must not.
    figures = figures.with_columns(pl.col("account").cast(pl.Int64))
    return everyone.join(figures, on="account", how="left").sort("account").with_columns(STEADY)

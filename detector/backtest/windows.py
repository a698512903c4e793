"""The mixed window: a hundred requests of which some were harvested, as one account would send them.

The published test (arXiv 2606.05725) mixes attack queries into windows of ordinary ones and asks what share
of such windows is found at 1 % false positives. Here a window is dealt to one made-up account on a site that
goes on around it; ours and MMD score the same windows. Ordinary requests come from whole accounts, each used
in one window only, or a split account would look like two that share their text.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from detector.backtest.rivals import mmd
from detector.lake.store import Store
from features import compose, plugins

WINDOW = 100
SHARES = (0.05, 0.10, 0.25, 0.50)
#: Requests one customer has in a window at most: a reseller's account carries many.
PER_CUSTOMER = 20
#: Part of the honest accounts that is dealt out to windows; the others are the site around them.
DEALT = 0.5
#: Days of a world that are tried: the busiest.
DAYS = 2
#: Part of a campaign's harvest of the day that windows may use; the rest stays where it was.
TAKEN = 0.5
_TEXT = ("elicitation", "similarity")


@dataclass
class _Deal:
    """Requests moved to windows: request id, window."""

    ids: list[str]
    window: list[str]

    def add(self, ids: list[str], name: str) -> None:
        self.ids += ids
        self.window += [name] * len(ids)


def mixed_windows(store: Store, sent: pl.DataFrame, truth: pl.DataFrame, *, seed: int) -> pl.DataFrame:
    """Windows of a world's busiest days with their scores.

    ``sent``: the lake's requests with ``harvest``. Gives ``day, share, attack, window``, every measurement of
    the text, and ``mmd_sketches, mmd_measured``. ``share`` is the harvest share tried; ``attack`` tells the
    windows that hold it from those that do not.
    """
    rng = np.random.default_rng([seed, 100])
    distilled = pl.when(pl.col("kind") == "distillation").then("group")
    labels = truth.select("account_id", "label", distilled.alias("instance"))
    rows = sent.join(labels, on="account_id", how="left")
    counts = rows.group_by("day").len().sort(["len", "day"], descending=True)
    made = []
    for day in counts["day"].head(DAYS):
        today = rows.filter(pl.col("day") == day)
        benign = _benign(today, rng)
        for share in SHARES:
            found = _one(store, today, benign, share, rng)
            if not found.is_empty():
                made.append(found.with_columns(pl.lit(day).alias("day"), pl.lit(share).alias("share")))
    return pl.concat(made, how="diagonal_relaxed") if made else pl.DataFrame()


def _benign(today: pl.DataFrame, rng: np.random.Generator) -> list[list[str]]:
    """Windows of ordinary requests: whole light accounts, put together."""
    honest = today.filter((pl.col("label") == 0) & pl.col("prompt_hash").is_not_null())
    by_account = (
        honest.group_by("account_id", maintain_order=True).agg(pl.col("request_id")).sort("account_id")
    )
    lists = by_account["request_id"].to_list()
    windows: list[list[str]] = []
    held: list[str] = []
    for i in rng.permutation(len(lists))[: int(DEALT * len(lists))].tolist():
        held += lists[i][:PER_CUSTOMER]
        if len(held) >= WINDOW:
            windows.append(held[:WINDOW])
            held = []
    return windows


def _one(
    store: Store, today: pl.DataFrame, benign: list[list[str]], share: float, rng: np.random.Generator
) -> pl.DataFrame:
    """The day's windows with part of them carrying ``share`` of one campaign's harvest."""
    take = round(WINDOW * share)
    harvest = today.filter(
        pl.col("harvest") & pl.col("instance").is_not_null() & pl.col("prompt_hash").is_not_null()
    )
    attacks: list[tuple[str, list[str]]] = []
    for (instance,), part in sorted(harvest.group_by("instance"), key=lambda item: str(item[0][0])):
        ids = sorted(part["request_id"].to_list())
        ids = [ids[i] for i in rng.permutation(len(ids))[: int(TAKEN * len(ids))]]
        attacks += [(str(instance), ids[at : at + take]) for at in range(0, len(ids) - take + 1, take)]
    attacks = [attacks[i] for i in rng.permutation(len(attacks))[: len(benign) // 2]]
    if not benign:
        return pl.DataFrame()
    deal = _Deal([], [])
    for number, ordinary in enumerate(benign):
        ids = ordinary
        if number < len(attacks):
            ids = ordinary[: WINDOW - take] + attacks[number][1]
        deal.add(ids, f"window-{number:04d}")
    dealt = pl.DataFrame({"request_id": deal.ids, "window": deal.window})
    names = pl.DataFrame(
        {
            "window": [f"window-{i:04d}" for i in range(len(benign))],
            "attack": [i < len(attacks) for i in range(len(benign))],
            "instance": [attacks[i][0] if i < len(attacks) else None for i in range(len(benign))],
        },
        schema_overrides={"instance": pl.String},
    )
    # What a dealt account sent beyond its part in a window is dropped: it would be the window's double.
    split = today.filter(pl.col("label") == 0).join(dealt, on="request_id", how="semi")["account_id"].unique()
    site = (
        today.join(dealt, on="request_id", how="left")
        .filter(pl.col("window").is_not_null() | ~pl.col("account_id").is_in(split.implode()))
        .with_columns(pl.coalesce("window", "account_id").alias("account_id"))
    )
    sketched = pl.col("prompt_sketch").is_not_null()
    inside = site.filter(pl.col("window").is_not_null() & sketched).sort("window", "request_id")
    around = site.filter(pl.col("window").is_null() & (pl.col("label") == 0) & sketched)
    return names.join(_text_scores(store, site), left_on="window", right_on="account_id", how="left").join(
        _discrepancies(inside, around), on="window", how="left"
    )


def _text_scores(store: Store, site: pl.DataFrame) -> pl.DataFrame:
    measures = [m for m in plugins.measures("account") if m.name in _TEXT]
    bare = site.drop("label", "instance", "harvest", "window")
    store.engine.bind("requests", bare)
    held = {name: frozenset(r.name for r in columns) for name, columns in compose.relations().items()}
    composed = compose.compose(measures, available={**held, "requests": frozenset(bare.columns)})
    made = pl.from_arrow(store.engine.query(composed.sql, of="windows"))
    store.engine.unbind("requests")
    assert isinstance(made, pl.DataFrame)
    return made


def _discrepancies(inside: pl.DataFrame, around: pl.DataFrame) -> pl.DataFrame:
    """MMD of each window against ordinary requests of the same day: a cleaner reference than a site has."""
    few, names = mmd.reference_of(around), inside["window"]
    found = {
        "mmd_sketches": (mmd.sketch_map(inside), mmd.of_sketches, mmd.sketch_map(few)),
        "mmd_measured": (mmd.measured_map(inside, few), mmd.of_measured, mmd.measured_map(few, few)),
    }
    table = pl.DataFrame({"window": names.unique(maintain_order=True)})
    for column, (mapped, embed, reference) in found.items():
        value = dict(mmd.by_key(names, mapped, embed, embed(reference)))
        table = table.with_columns(pl.Series(column, [value[w] for w in table["window"]], dtype=pl.Float64))
    return table

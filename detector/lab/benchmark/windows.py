"""The mixed window: a hundred requests of one account, of which some are harvest.

The published test (arXiv 2606.05725) mixes attack queries into windows of ordinary ones and measures the share of such
windows that is detected at 1 % false positives. Here each window is one synthetic account on an otherwise unchanged
site, and our detector and MMD score the same windows. Ordinary requests come from whole accounts, each used in one
window only. A split account would look like two accounts that share their text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from detector.lab.benchmark.rivals import mmd
from detector.lake.store import Store
from detector.link.tabular import graph_of_rows
from detector.score import template_reuse
from detector.score.detector import Detector
from detector.score.inputs import score_frame
from features import compose, plugins
from features.families import FAMILIES

WINDOW = 100
SHARES = (0.05, 0.10, 0.25, 0.50)
#: Most requests of one customer in a window, as in a reseller's account with many customers.
PER_CUSTOMER = 20
#: Share of the honest accounts whose requests go to windows. The others are the site around them.
DEALT = 0.5
#: Number of a world's busiest days that are tried.
DAYS = 2
#: Share of a campaign's daily harvest that windows may use. The rest stays in its accounts.
TAKEN = 0.5
_TEXT = ("elicitation", "similarity")


@dataclass
class _Deal:
    """Requests moved to windows, as equally long lists of request ids and windows."""

    ids: list[str]
    window: list[str]

    def add(self, ids: list[str], name: str) -> None:
        self.ids += ids
        self.window += [name] * len(ids)


@dataclass(frozen=True)
class Windows:
    """Windows of a world and their shared text, which any detector can score later.

    ``rows``: day, share, attack, window, instance, every measurement of the text, mmd_sketches, mmd_measured.
    ``share`` is the harvest share tried, and ``attack`` marks the windows that have it.
    ``keys``: day, share and ``template_reuse.measure_keys``. ``incidence``: day, share, window, code, kind, n.
    """

    rows: pl.DataFrame
    keys: pl.DataFrame
    incidence: pl.DataFrame


def mixed_windows(store: Store, sent: pl.DataFrame, truth: pl.DataFrame, *, seed: int) -> Windows:
    """Windows of a world's busiest days. ``sent`` are the lake's requests with a column ``harvest``."""
    rng = np.random.default_rng([seed, 100])
    distilled = pl.when(pl.col("kind") == "distillation").then("group")
    labels = truth.select("account_id", "label", distilled.alias("instance"))
    rows = sent.join(labels, on="account_id", how="left")
    counts = rows.group_by("day").len().sort(["len", "day"], descending=True)
    tables: list[list[pl.DataFrame]] = [[], [], []]
    for day in counts["day"].head(DAYS):
        today = rows.filter(pl.col("day") == day)
        benign = _benign(today, rng)
        if not benign:
            continue
        for share in SHARES:
            names, site = _deal(today, benign, share, rng)
            stamp = (pl.lit(day).alias("day"), pl.lit(share).alias("share"))
            keys, incidence = _shared_text(store, site, names["window"])
            scored = names.join(_scores(store, site), on="window", how="left")
            for kept, frame in zip(tables, (scored, keys, incidence), strict=True):
                kept.append(frame.with_columns(*stamp))
    none = pl.DataFrame()
    return Windows(*(pl.concat(kept, how="diagonal_relaxed") if kept else none for kept in tables))


def with_template_reuse(windows: Windows, detector: Detector) -> pl.DataFrame:
    """The windows' rows with the template reuse of each window under this detector."""
    tables = []
    for (day, share), rows in windows.rows.group_by("day", "share", maintain_order=True):
        here = (pl.col("day") == day) & (pl.col("share") == share)
        keys = windows.keys.filter(here).drop("day", "share")
        number = pl.DataFrame({"window": rows["window"], "account": np.arange(len(rows))})
        incidence = windows.incidence.filter(here).join(number, on="window")
        bits = score_frame(detector.models.template_reuse, keys)
        reuse = template_reuse.account_template_reuse(incidence, keys["code"], bits, len(rows)).drop(
            "account"
        )
        tables.append(pl.concat([rows, reuse], how="horizontal"))
    return pl.concat(tables) if tables else windows.rows


def _benign(today: pl.DataFrame, rng: np.random.Generator) -> list[list[str]]:
    """Windows of ordinary requests, put together from whole light accounts."""
    honest = today.filter((pl.col("label") == 0) & pl.col("prompt_hash").is_not_null())
    by_account = (
        honest.group_by("account_id", maintain_order=True).agg(pl.col("request_id")).sort("account_id")
    )
    lists = by_account["request_id"].to_list()
    windows: list[list[str]] = []
    window: list[str] = []
    for i in rng.permutation(len(lists))[: int(DEALT * len(lists))].tolist():
        window += lists[i][:PER_CUSTOMER]
        if len(window) >= WINDOW:
            windows.append(window[:WINDOW])
            window = []
    return windows


def _deal(
    today: pl.DataFrame, benign: list[list[str]], share: float, rng: np.random.Generator
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The day's windows, some of them with ``share`` of one campaign's harvest, and the site around them.

    Gives ``window, attack, instance``, and the day's requests with windows as accounts. ``window`` is NULL for
    requests outside windows.
    """
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
    # The other requests of an account in a window are dropped, or the account would share its text with the window.
    split = today.filter(pl.col("label") == 0).join(dealt, on="request_id", how="semi")["account_id"].unique()
    site = (
        today.join(dealt, on="request_id", how="left")
        .filter(pl.col("window").is_not_null() | ~pl.col("account_id").is_in(split.implode()))
        .with_columns(pl.coalesce("window", "account_id").alias("account_id"))
    )
    return names, site


def _scores(store: Store, site: pl.DataFrame) -> pl.DataFrame:
    """``window``, every measurement of its text, and its MMD from the day's ordinary requests."""
    measures = [m for m in plugins.measures("account") if m.name in _TEXT]
    measured = _answer(store, site, lambda available: compose.compose(measures, available=available).sql)
    sketched = pl.col("prompt_sketch").is_not_null()
    inside = site.filter(pl.col("window").is_not_null() & sketched).sort("window", "request_id")
    around = site.filter(pl.col("window").is_null() & (pl.col("label") == 0) & sketched)
    return measured.rename({"account_id": "window"}).join(
        _discrepancies(inside, around), on="window", how="inner"
    )


def _shared_text(store: Store, site: pl.DataFrame, windows: pl.Series) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Keys of the shared text as the nightly run measures them, and the windows' incidence with them.

    Only content ties of this day count. A window has the requests of strangers, so its addresses and clients mean
    nothing.
    """
    ties = [t for t in plugins.ties() if FAMILIES[t.family].is_text]
    rows = _answer(store, site, lambda available: compose.compose_ties(ties, available=available).sql)
    counts = site.group_by("account_id").len("volume").sort("account_id")
    number = counts.select("account_id").with_row_index("account").cast({"account": pl.Int64})
    shared = (
        rows.join(number, on="account_id")
        .with_columns(
            pl.len().over("kind", "key").alias("n_sharing"),
            pl.struct("kind", "key").rank("dense").cast(pl.Int64).sub(1).alias("code"),
            pl.lit(1, dtype=pl.Int64).alias("n_days"),
        )
        .filter(pl.col("n_sharing") >= 2)
    )
    volume = counts["volume"].cast(pl.Float64).to_numpy()
    graph = graph_of_rows(shared, counts["account_id"], counts["account_id"], volume, len(counts))
    of_text = template_reuse.content_incidence(graph)
    keys = template_reuse.measure_keys(graph, of_text)
    ours = number.filter(pl.col("account_id").is_in(windows.implode())).rename({"account_id": "window"})
    incidence = of_text.join(ours.cast({"account": pl.Int32}), on="account").select(
        "window", "code", pl.col("kind").cast(pl.String), "n"
    )
    return keys.join(incidence.select("code").unique(), on="code", how="semi"), incidence


def _answer(
    store: Store, site: pl.DataFrame, sql: Callable[[Mapping[str, frozenset[str]]], str]
) -> pl.DataFrame:
    bare = site.drop("label", "instance", "harvest", "window")
    store.engine.bind("requests", bare)
    store.engine.bind("requests_before", bare.clear())
    available = {name: frozenset(c.name for c in columns) for name, columns in compose.relations().items()}
    answer = pl.from_arrow(store.engine.query(sql(available), of="windows"))
    for name in ("requests", "requests_before"):
        store.engine.unbind(name)
    assert isinstance(answer, pl.DataFrame)
    return answer


def _discrepancies(inside: pl.DataFrame, around: pl.DataFrame) -> pl.DataFrame:
    """MMD of each window against ordinary requests of the same day, a cleaner reference than a real site has."""
    few, names = mmd.reference_of(around), inside["window"]
    maps = {
        "mmd_sketches": (mmd.sketch_map(inside), mmd.of_sketches, mmd.sketch_map(few)),
        "mmd_measured": (mmd.measured_map(inside, few), mmd.of_measured, mmd.measured_map(few, few)),
    }
    table = pl.DataFrame({"window": names.unique(maintain_order=True)})
    for column, (mapped, embed, reference) in maps.items():
        value = dict(mmd.by_key(names, mapped, embed, embed(reference)))
        table = table.with_columns(pl.Series(column, [value[w] for w in table["window"]], dtype=pl.Float64))
    return table

"""Evidence graphs from named columns, and back: how training and the benchmark keep them, and how tests make them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from detector.link.graph import EvidenceGraph, Floats, Keys, organisation_codes
from detector.link.uses import FAMILIES, NEIGHBOUR_LINKS, TEMPLATE_TEXT

#: Names of the tables that are kept of a graph.
TABLES = ("incidence", "links", "accounts")


def tables_of(graph: EvidenceGraph) -> dict[str, pl.DataFrame]:
    """What of a graph training and the benchmark keep: see :func:`graph_of_tables`."""
    links, text = graph.entries(NEIGHBOUR_LINKS), graph.entries(TEMPLATE_TEXT)
    return {
        "incidence": graph.rows(
            text, "account", "code", "kind", "n_sharing", "n", "n_prompts", "asked_sum", "n_days"
        ),
        "links": graph.rows(links, "account", "code", "family", "spoofable"),
        "accounts": pl.DataFrame(
            {"account_id": graph.accounts, "organisation": graph.organisations.gather(graph.organisation)}
        ),
    }


def graph_of_tables(tables: Mapping[str, pl.DataFrame]) -> EvidenceGraph:
    """The part of a graph that neighbours and template reuse read, from tables of a measured day.

    ``links``: account, code, family, spoofable, of keys that were not too common. ``incidence``: account, code, kind,
    n_sharing, and n where it is known, of text. ``accounts``: account_id and organisation by number.
    """
    links, text, accounts = tables["links"], tables["incidence"], tables["accounts"]
    columns = {"n": pl.col("n") if "n" in text.columns else pl.lit(1)}
    rows = pl.concat(
        [
            links.select("account", "code", pl.col("family").cast(pl.String), "spoofable").with_columns(
                pl.len().over("code").alias("n_sharing"), n=pl.lit(1)
            ),
            text.select(
                "account", "code", pl.col("kind").cast(pl.String), "n_sharing", **columns
            ).with_columns(family=pl.lit("content"), spoofable=pl.lit(True)),
        ],
        how="diagonal_relaxed",
    )
    # Links were cut by a population that the tables do not tell: it was so large at least that none of them was a hub.
    most = int(rows.filter(pl.col("family") != "content")["n_sharing"].max() or 0)  # type: ignore[arg-type]
    population = max(len(accounts), int(np.ceil(most / NEIGHBOUR_LINKS.share)) + 1)
    return graph_of_rows(
        rows, accounts["account_id"], accounts["organisation"], np.ones(len(accounts)), population
    )


def graph_of_rows(
    rows: pl.DataFrame, accounts: pl.Series, organisation: pl.Series, volume: Floats, n_accounts: int
) -> EvidenceGraph:
    """A graph from named columns: account and code (numbers), family; as far as they are known kind, n_sharing (else
    counted), spoofable, weight, n, n_prompts, asked_sum, n_days."""
    rows = rows.sort("account", "code")
    if "n_sharing" not in rows.columns:
        rows = rows.with_columns(pl.len().over("code").alias("n_sharing"))
    if "kind" not in rows.columns:
        rows = rows.with_columns(kind=pl.lit(None, pl.String))
    key = rows["code"].cast(pl.Int32).to_numpy()
    n_keys = int(key.max(initial=-1)) + 1
    names = tuple(rows["kind"].cast(pl.String).drop_nulls().unique().sort())

    def column(name: str, default: float) -> npt.NDArray[Any]:
        if name not in rows.columns:
            return np.full(len(rows), default)
        figures: npt.NDArray[Any] = rows[name].cast(pl.Float64).fill_null(default).to_numpy()
        return figures

    def of_key(values: npt.NDArray[Any], dtype: npt.DTypeLike, empty: int = 0) -> npt.NDArray[Any]:
        by_key = np.full(n_keys, empty, dtype)
        by_key[key] = values
        return by_key

    places = {name: place for place, name in enumerate(names)}
    kind = rows["kind"].cast(pl.String).replace_strict(places, default=-1, return_dtype=pl.Int8).to_numpy()
    family = rows["family"].cast(pl.Enum(FAMILIES)).to_physical().to_numpy()
    levels, level = np.unique(column("weight", 0.0), return_inverse=True)
    organisations, code = organisation_codes(organisation)
    return EvidenceGraph(
        accounts=accounts,
        organisations=organisations,
        organisation=code,
        volume=volume,
        n_accounts=n_accounts,
        kinds=names,
        keys=Keys(
            of_key(kind, np.int8, -1),
            of_key(family, np.int8, -1),
            of_key(column("spoofable", 0.0), bool),
            of_key(column("n_sharing", 0.0), np.int32),
        ),
        account=rows["account"].cast(pl.Int32).to_numpy(),
        key=key,
        level=level.astype(np.uint16),
        levels=levels,
        n=column("n", 0.0).astype(np.int32),
        n_prompts=column("n_prompts", 0.0).astype(np.int32),
        asked_sum=column("asked_sum", np.nan),
        n_days=column("n_days", 0.0).astype(np.uint16),
    )

"""Shared keys as the nightly run hands them over, from short lists."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from detector.link.graph import EvidenceGraph
from detector.link.tabular import graph_of_rows, graph_of_tables
from detector.score.template_reuse import KEY_TERMS

#: account, key, family, spoofable
Link = tuple[int, int, str, bool]
#: account, key, kind, accounts that hold it
Text = tuple[int, int, str, int]


def tables(
    n: int, links: Sequence[Link] = (), text: Sequence[Text] = (), organisations: Sequence[str] | None = None
) -> dict[str, pl.DataFrame]:
    """``n`` accounts ``a000`` ..., each an organisation of its own unless ``organisations`` says otherwise."""
    accounts = [f"a{i:03d}" for i in range(n)]
    measured = dict.fromkeys(KEY_TERMS, pl.Float64)
    return {
        "keys": pl.DataFrame(schema={"code": pl.Int32, **measured}),
        "links": pl.DataFrame(
            links,
            schema={"account": pl.Int64, "code": pl.Int64, "family": pl.String, "spoofable": pl.Boolean},
            orient="row",
        ),
        "incidence": pl.DataFrame(
            text,
            schema={"account": pl.Int64, "code": pl.Int64, "kind": pl.String, "n_sharing": pl.Int64},
            orient="row",
        ).with_columns(n=pl.lit(1, pl.Int64)),
        "accounts": pl.DataFrame(
            {"account_id": accounts, "organisation": list(organisations or accounts)},
            schema={"account_id": pl.String, "organisation": pl.String},
        ),
    }


def shares(
    n: int, links: Sequence[Link] = (), text: Sequence[Text] = (), organisations: Sequence[str] | None = None
) -> EvidenceGraph:
    """The same as a graph: where neighbours are met."""
    return graph_of_tables(tables(n, links, text, organisations)).neighbours


def graph_of(
    rows: pl.DataFrame,
    n_accounts: int,
    organisation: pl.Series | None = None,
    volume: np.ndarray | None = None,
    *,
    n_holders: int | None = None,
) -> EvidenceGraph:
    """A graph of named columns (``tabular.graph_of_rows``); accounts are each their own organisation, and send 50 requests,
    unless told otherwise. ``n_holders``: accounts that have a number, all of them if not given."""
    n = len(organisation) if organisation is not None else n_holders or n_accounts
    names = pl.Series([f"o{i}" for i in range(n)], dtype=pl.String)
    return graph_of_rows(
        rows,
        names,
        names if organisation is None else organisation,
        np.full(n, 50.0) if volume is None else volume,
        n_accounts,
    )


def on_key(key: int, accounts: Sequence[int], family: str = "network", spoofable: bool = False) -> list[Link]:
    """A key that ``accounts`` share."""
    return [(a, key, family, spoofable) for a in accounts]

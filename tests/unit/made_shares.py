"""Shared keys as the nightly run hands them over, from short lists."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from detector.link import graph

#: account, key, family, spoofable
Link = tuple[int, int, str, bool]
#: account, key, kind, accounts that hold it
Text = tuple[int, int, str, int]


def tables(
    n: int, links: Sequence[Link] = (), text: Sequence[Text] = (), organisations: Sequence[str] | None = None
) -> dict[str, pl.DataFrame]:
    """``n`` accounts ``a000`` ..., each an organisation of its own unless ``organisations`` says otherwise."""
    accounts = [f"a{i:03d}" for i in range(n)]
    return {
        "links": pl.DataFrame(
            links,
            schema={"account": pl.Int64, "code": pl.Int64, "family": pl.String, "spoofable": pl.Boolean},
            orient="row",
        ),
        "incidence": pl.DataFrame(
            text,
            schema={"account": pl.Int64, "code": pl.Int64, "kind": pl.String, "n_sharing": pl.Int64},
            orient="row",
        ),
        "accounts": pl.DataFrame(
            {"account_id": accounts, "organisation": list(organisations or accounts)},
            schema={"account_id": pl.String, "organisation": pl.String},
        ),
    }


def shares(
    n: int, links: Sequence[Link] = (), text: Sequence[Text] = (), organisations: Sequence[str] | None = None
) -> graph.Shares:
    """The same, prepared."""
    return graph.prepare(tables(n, links, text, organisations))


def on_key(key: int, accounts: Sequence[int], family: str = "network", spoofable: bool = False) -> list[Link]:
    """A key that ``accounts`` share."""
    return [(a, key, family, spoofable) for a in accounts]

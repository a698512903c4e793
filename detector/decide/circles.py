"""Suspects who share keys with one another: the operation as it stands once conduct and company are known.

Groups are formed before anybody is suspected, from all accounts of a site, so they must be cautious: a large
careful operation comes out in pieces, or in none. Among the few who are suspect by the end of the night the same
keys say far more, since strangers seldom share them *and* act alike. Suspects are joined by every key that at least
two of them share, by its rarity on the site and the share of its holders that is suspect, each family of keys
saying so much at most; communities of that graph (Louvain) are circles.

A circle takes the name of the group, or of yesterday's circle, that holds most of its accounts, so that an
operation keeps its name when it shows more of itself; groups that lie mostly in another's circle go into it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import sparse
from sknetwork.clustering import Louvain

from detector.decide import kin
from detector.decide.groups import MIN_MEMBERS
from detector.decide.identity import new_group_id
from detector.decide.scoring import probability

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

#: Log-odds from which an account is a suspect (bits): likelier than not.
SUSPECT_FROM = 0.0
#: Bits that the keys of one family may say of two suspects, at most: links, and text, of which there is more.
MOST_LINK, MOST_TEXT = 12.0, 20.0
#: Suspects on one key that are joined with one another; more are dealt into hands.
HAND = 128
#: How a member that nothing but its circle holds is bound.
BOND = "company"


@dataclass(frozen=True)
class Circles:
    """``named``: account_id, group_id of every account in a circle. ``absorbed``: groups that went into a circle's."""

    named: pl.DataFrame
    absorbed: Mapping[str, str]


def find(shares: kin.Shares, bits: Floats) -> Ints:
    """Circle of each account of ``shares``, counted from 0 (-1: none). ``bits``: log-odds by array code."""
    suspect = bits >= SUSPECT_FROM
    codes = np.flatnonzero(suspect)
    label = np.full(len(bits), -1, np.int64)
    graph = _graph(shares, suspect, codes)
    if graph is None:
        return label
    met = np.flatnonzero(np.asarray(graph.getnnz(axis=1)).ravel())
    if not len(met):
        return label
    found = np.asarray(Louvain(modularity="newman", random_state=0).fit_predict(graph[met][:, met]), np.int64)
    enough = np.bincount(found)[found] >= MIN_MEMBERS
    label[codes[met[enough]]] = np.unique(found[enough], return_inverse=True)[1]
    return label


def _graph(shares: kin.Shares, suspect: npt.NDArray[np.bool_], codes: Ints) -> sparse.csr_matrix | None:
    """(suspect, suspect) bits that their common keys say, families added up; None: nothing is shared."""
    n, n_keys = len(shares.accounts), len(shares.organisations)
    held = np.bincount(shares.key, minlength=n_keys)
    among = np.bincount(shares.key[suspect[shares.account]], minlength=n_keys)
    weight = np.log2(max(n, 4) / np.maximum(held, 1)).clip(0.0) * among / np.maximum(held, 1)
    use = suspect[shares.account] & (among[shares.key] >= 2) & (weight[shares.key] > 0)
    total = None
    for code, family in enumerate(kin.FAMILIES):
        at = np.flatnonzero(use & (shares.family == code))
        if not len(at):
            continue
        key, account = shares.key[at], np.searchsorted(codes, shares.account[at])
        hands = -(-among[key] // HAND)
        mixed = (account * 2654435761 + key * 40503) >> 7
        _, column = np.unique(key * (int(hands.max()) + 1) + mixed % hands, return_inverse=True)
        held_by = sparse.csr_matrix(
            (np.sqrt(weight[key]), (account, column)), shape=(len(codes), int(column.max()) + 1)
        )
        both = (held_by @ held_by.T).tocsr()
        both.setdiag(0)
        both.eliminate_zeros()
        both.data = np.minimum(both.data, MOST_TEXT if family == "content" else MOST_LINK)
        total = both if total is None else total + both
    return total


def name(
    label: pl.DataFrame,
    members: pl.DataFrame,
    previous_accounts: pl.DataFrame,
    gone: frozenset[str],
    day: date,
) -> Circles:
    """Names of today's circles, and the groups that go into them.

    ``label``: account_id, circle. ``members``: group_id, account_id of groups formed by keys or likeness.
    ``previous_accounts``: yesterday's account_id, group_id. ``gone``: groups that went into another before, whose
    names are not used again.
    """
    if label.is_empty():
        return Circles(pl.DataFrame(schema={"account_id": pl.String, "group_id": pl.String}), {})
    stands = members.select("account_id", "group_id")
    was = previous_accounts.select("account_id", "group_id").drop_nulls()
    votes = (
        label.join(pl.concat([stands, was]), on="account_id")
        .filter(~pl.col("group_id").is_in(list(gone)))
        .group_by("circle", "group_id")
        .len("n")
        .sort(["n", "group_id", "circle"], descending=[True, False, False])
    )
    names: dict[int, str] = {}
    for circle, group_id, _ in votes.iter_rows():
        if circle not in names and group_id not in names.values():
            names[circle] = group_id
    heads = label.group_by("circle").agg(pl.col("account_id").min().alias("head")).sort("circle")
    for circle, head in heads.iter_rows():
        names.setdefault(circle, new_group_id(day, head))
    named = label.select(
        "account_id",
        pl.col("circle").replace_strict(names, return_dtype=pl.String).alias("group_id"),
    )
    size = dict(stands.group_by("group_id").len().iter_rows())
    within = (
        stands.join(named.rename({"group_id": "into"}), on="account_id")
        .group_by("group_id", "into")
        .len("n")
        .sort(["n", "group_id", "into"], descending=[True, False, False])
    )
    taken = set(names.values())
    absorbed = {g: into for g, into, n in within.iter_rows() if g not in taken and 2 * n > size[g]}
    return Circles(named, absorbed)


def overlaid(
    members: pl.DataFrame,
    circles: Circles,
    known: pl.DataFrame,
    previous: pl.DataFrame | None,
    day: date,
) -> pl.DataFrame:
    """``members`` (with ``doubtful``) as the circles have it: ``group_id`` shown, ``origin_id`` as groups were formed.

    Who is in a circle is of its group, whatever formed him into another or none; others of that group who are
    likelier not of it are doubtful, and so is who is left of a group that went into a circle's. ``known``: account_id,
    bits_today, kin_firm, busy. ``previous``: yesterday's members.
    """
    used = list(dict.fromkeys(circles.named["group_id"]))
    rows = (
        members.with_columns(pl.col("group_id").alias("origin_id"))
        .join(
            circles.named.rename({"group_id": "circle_id"}),
            on="account_id",
            how="left",
            maintain_order="left",
        )
        .join(known.select("account_id", "bits_today"), on="account_id", how="left", maintain_order="left")
    )
    outside = pl.col("circle_id").is_null()
    left = pl.col("origin_id").is_in(list(circles.absorbed)) | (
        pl.col("origin_id").is_in(used) & (pl.col("bits_today") < SUSPECT_FROM).fill_null(False)
    )
    rows = rows.with_columns(
        pl.coalesce("circle_id", "origin_id").alias("group_id"),
        pl.when(outside).then(pl.col("doubtful") | left).otherwise(False).alias("doubtful"),
    )
    added = circles.named.join(members.select("account_id"), on="account_id", how="anti").join(
        known, on="account_id", how="left", maintain_order="left"
    )
    first = pl.lit(None, pl.Date).alias("since")
    if previous is not None:
        before = previous.filter(pl.col("bond") == BOND)
        added = added.join(
            before.select("account_id", "group_id", pl.col("first_day").alias("since")),
            on=["account_id", "group_id"],
            how="left",
            maintain_order="left",
        )
    else:
        added = added.with_columns(first)
    company = added.select(
        "group_id",
        "account_id",
        pl.coalesce("since", pl.lit(day)).alias("first_day"),
        pl.lit(day).alias("last_day"),
        pl.lit("active").alias("state"),
        pl.lit(BOND).alias("bond"),
        pl.lit(0.0).alias("strength_bits"),
        (pl.col("kin_firm") >= 1.0).fill_null(False).alias("firm"),
        pl.Series("belonging", probability(added["bits_today"].fill_null(-99.0).to_numpy())),
        pl.lit(False).alias("doubtful"),
    )
    return pl.concat([rows.drop("circle_id", "bits_today"), company], how="diagonal")

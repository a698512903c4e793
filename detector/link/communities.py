"""Suspects who share keys with one another: the operation as it stands once conduct and neighbours are known.

Groups are formed before anybody is suspected, from all accounts of a site, so they must be cautious: a large
careful operation comes out in pieces, or in none. Among the few who are suspect by the end of the night the same
keys say far more, since strangers seldom share them *and* act alike. Suspects are joined by every key that at least
two of them share, by its rarity on the site and the share of its holders that is suspect, each family of keys
saying so much at most; communities of that graph (Louvain) are rings.

A ring takes the name of the group, or of yesterday's ring, that holds most of its accounts, so that an
operation keeps its name when it shows more of itself; groups that lie mostly in another's ring go into it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import sparse
from scipy.sparse import csgraph

from detector.bits import NO_SCORE, probability
from detector.link.graph import EvidenceGraph, buckets
from detector.link.partition import communities, evidence_codes
from detector.link.tracking import new_group_id
from detector.link.uses import FAMILIES, NEIGHBOUR_FAMILIES
from detector.tuning import (
    GROUP_MEMBERS,
    REJOINED,
    RING_BUCKET,
    RING_LEAST_BUCKET,
    RING_LINK_BITS,
    RING_PAIRS,
    RING_TEXT_BITS,
    SUSPECT_FROM,
)

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

#: How a member that nothing but its ring holds is bound.
BOND = "neighbours"


@dataclass(frozen=True)
class Rings:
    """``named``: account_id, group_id of every account in a ring. ``absorbed``: groups, and yesterday's rings, that
    went into a ring's."""

    named: pl.DataFrame
    absorbed: Mapping[str, str]


def find(graph: EvidenceGraph, bits: Floats) -> Ints:
    """Ring of each account, counted from 0 (-1: none). ``graph``: where neighbours are met; ``bits``: log-odds by number."""
    suspect = bits >= SUSPECT_FROM
    codes = np.flatnonzero(suspect)
    label = np.full(len(bits), -1, np.int64)
    used = _used(graph, suspect)
    size = bucket(used.among)
    joint = _joint(used, codes, size)
    if joint is None:
        return label
    met = np.flatnonzero(np.asarray(joint.getnnz(axis=1)).ravel())
    if not len(met):
        return label
    evidence = evidence_codes(np.searchsorted(codes, used.account), used.key, len(codes))
    community = communities(joint[met][:, met], evidence[met])
    if (used.among > size).any():
        piece = np.full(len(bits), -1, np.int64)
        piece[codes[met]] = community
        community = _rejoined(used, piece, size)[community]
    enough = np.bincount(community)[community] >= GROUP_MEMBERS
    label[codes[met[enough]]] = np.unique(community[enough], return_inverse=True)[1]
    return label


def bucket(among: Ints) -> int:
    """Size of the buckets that keys are dealt into; ``among``: suspects on the key of each entry.

    A suspect meets as many on a key as its bucket holds: the sum is kept to ``RING_PAIRS``, whatever is suspect.
    """
    pairs = int(np.minimum(among, RING_BUCKET).sum())
    return RING_BUCKET if pairs <= RING_PAIRS else max(RING_LEAST_BUCKET, RING_BUCKET * RING_PAIRS // pairs)


@dataclass(frozen=True)
class _Used:
    """Suspects on keys that at least two of them share, an entry each: account and key code, family, bits the key
    says of two of its holders, and suspects ``among`` them."""

    account: Ints
    key: Ints
    family: npt.NDArray[np.int8]
    weight: Floats
    among: Ints


def _used(graph: EvidenceGraph, suspect: npt.NDArray[np.bool_]) -> _Used:
    n, n_keys = graph.n_holders, len(graph.keys)
    degree = np.bincount(graph.key, minlength=n_keys)
    of_suspect = suspect[graph.account]
    among = np.bincount(graph.key[of_suspect], minlength=n_keys)
    weight = np.log2(max(n, 4) / np.maximum(degree, 1)).clip(0.0) * among / np.maximum(degree, 1)
    at = np.flatnonzero(of_suspect & ((among >= 2) & (weight > 0))[graph.key])
    key = graph.key[at].astype(np.int64)
    return _Used(graph.account[at].astype(np.int64), key, graph.keys.family[key], weight[key], among[key])


def _most(family: str) -> float:
    return RING_TEXT_BITS if family == "content" else RING_LINK_BITS


def _joint(used: _Used, codes: Ints, size: int = RING_BUCKET) -> sparse.csr_matrix | None:
    """(suspect, suspect) bits that their common keys say, families added up; None: nothing is shared."""
    total = None
    for family in NEIGHBOUR_FAMILIES:
        at = np.flatnonzero(used.family == FAMILIES.index(family))
        if not len(at):
            continue
        key, account = used.key[at], np.searchsorted(codes, used.account[at])
        column = buckets(account, key, used.among[at], size)
        held_by = sparse.csr_matrix(
            (np.sqrt(used.weight[at]), (account, column)), shape=(len(codes), int(column.max()) + 1)
        )
        both = (held_by @ held_by.T).tocsr()
        both.setdiag(0)
        both.eliminate_zeros()
        both.data = np.minimum(both.data, _most(family))
        total = both if total is None else total + both
    return total


def _rejoined(used: _Used, piece: Ints, size: int) -> Ints:
    """What dealing into buckets has cut, put together again: the ring of each piece.

    Two pieces on a dealt key are one where a member shares about as much with the other's members as either's
    members do with their own, on average and counted over all holders. ``piece``: by account code (-1: none).
    """
    ring = np.arange(int(piece.max()) + 1)
    crowd = piece[used.account[used.among > size]]
    on = np.unique(crowd[crowd >= 0])
    if not len(on):
        return ring
    piece = np.where(np.isin(piece, on), np.searchsorted(on, piece), -1)
    n = np.bincount(piece[piece >= 0], minlength=len(on))
    total = np.zeros((len(n), len(n)))
    dealt = np.zeros(total.shape, bool)
    pairs = np.outer(n, n) - np.diag(n)
    for family in NEIGHBOUR_FAMILIES:
        code = FAMILIES.index(family)
        at = np.flatnonzero((used.family == code) & (piece[used.account] >= 0))
        if not len(at):
            continue
        of, weight = piece[used.account[at]], used.weight[at]
        _, key = np.unique(used.key[at], return_inverse=True)
        shape = (len(n), int(key.max()) + 1)
        weighed = sparse.csr_matrix((weight, (of, key)), shape=shape)
        shared = (weighed @ sparse.csr_matrix((np.ones(len(at)), (of, key)), shape=shape).T).toarray()
        # An account shares nothing with itself.
        shared -= np.diag(np.bincount(of, weight, minlength=len(n)))
        total += np.minimum(shared / np.maximum(pairs, 1), _most(family))
        crowded = sparse.csr_matrix((used.among[at] > size, (of, key)), shape=shape, dtype=np.float64)
        dealt |= (crowded @ crowded.T).toarray() > 0
    own = np.diag(total)
    near = dealt & (total >= REJOINED * np.maximum.outer(own, own))
    joined = csgraph.connected_components(near, directed=False)[1]
    ring[on] = on[np.unique(joined, return_index=True)[1]][joined]
    return ring


def name(
    label: pl.DataFrame,
    members: pl.DataFrame,
    previous_accounts: pl.DataFrame,
    gone: frozenset[str],
    day: date,
) -> Rings:
    """Names of today's rings, and the groups that go into them.

    ``label``: account_id, ring. ``members``: group_id, account_id of groups formed by keys or similarity.
    ``previous_accounts``: yesterday's account_id, group_id. ``gone``: groups that went into another before, whose
    names are not used again.
    """
    if label.is_empty():
        return Rings(pl.DataFrame(schema={"account_id": pl.String, "group_id": pl.String}), {})
    stands = members.select("account_id", "group_id")
    was = previous_accounts.select("account_id", "group_id").drop_nulls()
    votes = (
        label.join(
            pl.concat([stands.with_columns(known=pl.lit(0)), was.with_columns(known=pl.lit(1))]),
            on="account_id",
        )
        .filter(~pl.col("group_id").is_in(list(gone)))
        .group_by("ring", "group_id")
        .agg(pl.len().alias("n"), pl.col("known").sum())
        # Of names with as many votes the one it had yesterday stays.
        .sort(["n", "known", "group_id", "ring"], descending=[True, True, False, False])
    )
    names: dict[int, str] = {}
    taken: set[str] = set()
    for ring, group_id in votes.select("ring", "group_id").iter_rows():
        if ring not in names and group_id not in taken:
            names[ring] = group_id
            taken.add(group_id)
    # A group formed today after the same first account has that name already.
    taken |= {*stands["group_id"], *gone}
    heads = label.group_by("ring").agg(pl.col("account_id").min().alias("head")).sort("ring")
    for ring, head in heads.iter_rows():
        if ring not in names:
            new = new_group_id(day, head)
            names[ring] = new if new not in taken else new_group_id(day, f"ring\0{head}")
    named = label.select(
        "account_id",
        pl.col("ring").replace_strict(names, return_dtype=pl.String).alias("group_id"),
    )
    # What was nothing but a ring is told where it went, as groups are.
    over = was.filter(~pl.col("group_id").is_in([*stands["group_id"].unique(), *gone]))
    memberships = pl.concat([stands, over])
    size = dict(memberships.group_by("group_id").len().iter_rows())
    within = (
        memberships.join(named.rename({"group_id": "into"}), on="account_id")
        .group_by("group_id", "into")
        .len("n")
        .sort(["n", "group_id", "into"], descending=[True, False, False])
    )
    used = set(names.values())
    absorbed = {g: into for g, into, n in within.iter_rows() if g not in used and 2 * n > size[g]}
    return Rings(named, absorbed)


def overlaid(
    members: pl.DataFrame,
    rings: Rings,
    accounts: pl.DataFrame,
    previous: pl.DataFrame | None,
    day: date,
) -> pl.DataFrame:
    """``members`` (with ``false_member``) as the rings have it: ``group_id`` shown, ``origin_id`` as groups were formed.

    Who is in a ring is of its group, whatever formed him into another or none; others of that group who are
    likelier not of it are false_member, and so is who is left of a group that went into a ring's. ``accounts``: account_id,
    bits_today, spoofable_limit_bits, busy. ``previous``: yesterday's members.
    """
    used = list(dict.fromkeys(rings.named["group_id"]))
    rows = (
        members.with_columns(pl.col("group_id").alias("origin_id"))
        .join(
            rings.named.rename({"group_id": "ring_id"}),
            on="account_id",
            how="left",
            maintain_order="left",
        )
        .join(accounts.select("account_id", "bits_today"), on="account_id", how="left", maintain_order="left")
    )
    outside = pl.col("ring_id").is_null()
    left = pl.col("origin_id").is_in(list(rings.absorbed)) | (
        pl.col("origin_id").is_in(used) & (pl.col("bits_today") < SUSPECT_FROM).fill_null(False)
    )
    rows = rows.with_columns(
        pl.coalesce("ring_id", "origin_id").alias("group_id"),
        pl.when(outside).then(pl.col("false_member") | left).otherwise(False).alias("false_member"),
    )
    added = rings.named.join(
        members.select("account_id"), on="account_id", how="anti", maintain_order="left"
    ).join(accounts, on="account_id", how="left", maintain_order="left")
    before = pl.DataFrame(
        schema={"account_id": pl.String, "group_id": pl.String, "since": pl.Date, "until": pl.Date}
    )
    if previous is not None:
        before = previous.filter(pl.col("bond") == BOND).select(
            "account_id", "group_id", pl.col("first_day").alias("since"), pl.col("last_day").alias("until")
        )
    added = added.join(before, on=["account_id", "group_id"], how="left", maintain_order="left")
    here = pl.col("busy").is_not_null()
    neighbours = added.select(
        "group_id",
        "account_id",
        pl.coalesce("since", pl.lit(day)).alias("first_day"),
        pl.when(here).then(pl.lit(day)).otherwise(pl.coalesce("until", pl.lit(day))).alias("last_day"),
        pl.when(here).then(pl.lit("active")).otherwise(pl.lit("silent")).alias("state"),
        pl.lit(BOND).alias("bond"),
        pl.lit(0.0).alias("strength_bits"),
        ~(pl.col("spoofable_limit_bits") >= 0).fill_null(False).alias("spoofable"),
        pl.Series("membership_probability", probability(added["bits_today"].fill_null(NO_SCORE).to_numpy())),
        pl.lit(False).alias("false_member"),
    )
    return pl.concat([rows.drop("ring_id", "bits_today"), neighbours], how="diagonal")

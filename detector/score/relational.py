"""Whether those an account shares keys with are suspect: what it is worth to be seen with them.

Groups are cut hard: an account is in one or it is not. What mixes ordinary traffic into its harvest often stays
just outside, tied to the operation by one card here, an exit there, a sentence somewhere. So each account is
asked, a key at a time: of the *other organisations* on this key, how many act as a harvest, against how many do
anywhere on the site? The best and the third best key of each family are measurements of their own; one additive
model weighs them with what is known of the account itself, and a second asks again with its answers (two hops).

An organisation counts once a key, as its most suspect account does, and never for its own accounts: a team of
colleagues is no evidence against its members. Few holders are shrunk towards the site's rate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

import numpy as np
import polars as pl

from detector.bits import probability
from detector.link.graph import Codes, EvidenceGraph, Floats
from detector.link.uses import FAMILIES, NEIGHBOUR_FAMILIES
from detector.tuning import LEAST_RATE, PSEUDO_HOLDERS
from features.families import FAMILIES as EVIDENCE
from features.spec import Column, Direction, read_by

#: Places among an account's keys, the most suspect first, that are measured.
PLACES = (1, 3)


def columns(*families: str) -> tuple[str, ...]:
    """Names of the measurements of some families of keys."""
    return tuple(f"neighbours_{family}_{place}" for family in families for place in PLACES)


#: Measurement of neighbours -> the family of keys it looks at.
FAMILY_OF: Mapping[str, str] = MappingProxyType(
    {name: family for family in NEIGHBOUR_FAMILIES for name in columns(family)}
)


def _neighbours(family: str, place: int) -> Column:
    rank = {1: "", 3: "third "}[place]
    return Column(
        f"neighbours_{family}_{place}",
        "DOUBLE",
        f"bits by which others on the {rank}most telling {EVIDENCE[family].shared} it shares are more suspect than "
        "the site's accounts are; NULL: it shares none",
        "bits",
        "up",
        ("relational",),
    )


#: What the models of both hops read: an account's own conduct, its group, its neighbours. All point one way.
FEATURES = (
    Column(
        "harvest_bits",
        "DOUBLE",
        "how much its own conduct is one of a harvest, on its worst day",
        "bits",
        "up",
        ("relational",),
    ),
    Column(
        "group_contribution_bits",
        "DOUBLE",
        "how sure its group is abusive and it belongs there; NULL: it is in none",
        "bits",
        "up",
        ("relational",),
    ),
    *(_neighbours(family, place) for family in NEIGHBOUR_FAMILIES for place in PLACES),
)
TERMS: Mapping[str, Direction] = read_by("relational", FEATURES)


def lifts(graph: EvidenceGraph, suspicion: Floats) -> Floats:
    """Bits by which the other organisations on a key are more suspect than the site, one an entry of ``graph``.

    ``graph``: where neighbours are met. ``suspicion``: probability of each account, by number. A key without another
    organisation gives 0.
    """
    rate = max(float(suspicion.mean()), LEAST_RATE) if len(suspicion) else LEAST_RATE
    places = graph.places
    worst = np.zeros(len(places.key))
    np.maximum.at(worst, places.place, suspicion[graph.account])
    total = np.bincount(places.key, worst, minlength=len(graph.keys))
    others = (places.organisations - 1)[graph.key]
    expected = total[graph.key] - worst[places.place]
    bits: Floats = np.log2((expected + PSEUDO_HOLDERS * rate) / ((others + PSEUDO_HOLDERS) * rate))
    return np.where(others > 0, bits, 0.0)


def measure(graph: EvidenceGraph, suspicion: Floats, *, without_spoofable: bool = False) -> pl.DataFrame:
    """The ``neighbours_`` columns of ``TERMS`` for each account of ``graph``, where neighbours are met.

    An account without a third key of a family has 0 there: nobody suspect. A family of which the site has no key at
    all is not measured: its columns are absent. ``without_spoofable``: spoofable keys count as unused.
    """
    n = graph.n_holders
    bits = lifts(graph, suspicion)
    family_of = graph.keys.family[graph.key]
    columns: dict[str, Floats] = {}
    for family in NEIGHBOUR_FAMILIES:
        of = np.flatnonzero(family_of == FAMILIES.index(family))
        if not len(of):
            continue
        if without_spoofable:
            of = of[~graph.keys.spoofable[graph.key[of]]]
        for place, (account, lift) in enumerate(_largest(graph.account[of], bits[of], max(PLACES)), 1):
            if place in PLACES:
                columns[f"neighbours_{family}_{place}"] = _filled(n, account, lift)
    return pl.DataFrame({"account_id": graph.accounts, **columns}).with_columns(
        pl.col(pl.Float64).round_sig_figs(9)
    )


def _largest(account: Codes, values: Floats, k: int) -> Iterator[tuple[Codes, Floats]]:
    """Of each account the largest of its values, then the second largest, and so on; who has so many.

    ``account`` is sorted: a pass over all for each place costs a tenth of sorting them.
    """
    left = values.copy()
    start = np.flatnonzero(np.r_[True, account[1:] != account[:-1]]) if len(account) else account
    length = np.diff(np.r_[start, len(account)])
    number = np.arange(len(account))
    for place in range(k):
        if not len(start):
            yield account[start], left[start]
            continue
        top = np.maximum.reduceat(left, start)
        some = length > place
        yield account[start][some], top[some]
        at = np.where(left == np.repeat(top, length), number, len(account))
        left[np.minimum.reduceat(at, start)] = -np.inf


def beside(
    accounts: pl.DataFrame,
    graph: EvidenceGraph,
    scored: pl.Series,
    bits: Floats,
    *,
    without_spoofable: bool = False,
) -> pl.DataFrame:
    """``accounts`` with what :func:`measure` says of each when ``scored`` accounts are suspect to ``bits``.

    Who is not among them is suspect to nobody; columns of accounts that share nothing are NULL.
    """
    neighbours = measure(graph, graph.of(scored, probability(bits), 0.0), without_spoofable=without_spoofable)
    return accounts.join(neighbours, on="account_id", how="left", maintain_order="left")


def _filled(n: int, at: Codes, values: Floats) -> Floats:
    column = np.zeros(n)
    column[at] = values
    return column

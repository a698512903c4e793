"""Suspects who share keys become rings; rings keep the names of what they grew out of."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import numpy as np
import polars as pl
import pytest
from made_shares import Link, on_key, shares

from detector.bits import probability
from detector.link import communities
from detector.link.communities import BOND, Rings
from detector.link.graph import EvidenceGraph
from detector.link.tracking import MEMBERS, new_group_id
from detector.tuning import GROUP_MEMBERS, RING_BUCKET, RING_LEAST_BUCKET, RING_LINK_BITS

D1, D2 = date(2026, 3, 2), date(2026, 3, 3)


def bits(n: int, suspects: object) -> np.ndarray:
    found = np.full(n, -6.0)
    found[np.asarray(suspects)] = 3.0
    return found


def found(made: EvidenceGraph, suspects: object) -> list[set[int]]:
    label = communities.find(made, bits(len(made.accounts), suspects))
    assert set(label) - {-1} == set(range(label.max() + 1))
    return sorted((set(np.flatnonzero(label == c).tolist()) for c in range(label.max() + 1)), key=min)


def test_operations_that_share_nothing_are_two_rings() -> None:
    one, two = list(range(4)), list(range(10, 15))
    links = [*on_key(1, one), *on_key(2, one[:3], "billing"), *on_key(3, two), *on_key(4, two[1:], "client")]
    assert found(shares(60, links), one + two) == [set(one), set(two)]


def test_fewer_than_a_group_are_no_ring() -> None:
    few = list(range(GROUP_MEMBERS - 1))
    assert found(shares(60, on_key(1, few)), few) == []
    assert found(shares(60, on_key(1, [*few, 9])), [*few, 9]) == [{*few, 9}]
    assert found(shares(60), few) == []
    assert communities.find(shares(0), np.zeros(0)).tolist() == []


def test_who_is_not_suspect_never_joins_and_joins_nobody() -> None:
    held = list(range(6))
    made = shares(60, [*on_key(1, held), *on_key(2, held, "billing")])
    assert found(made, held[:4]) == [set(held[:4])]
    assert found(made, held[:2]) == []
    # Two suspects each know the honest one, and not one another.
    bridge = shares(60, [*on_key(1, [0, 1, 20]), *on_key(2, [20, 2, 3])])
    assert found(bridge, [0, 1, 2, 3]) == []


def test_what_the_whole_site_holds_joins_nobody() -> None:
    n = 30
    assert found(shares(n, on_key(1, list(range(n)))), range(5)) == []


def test_the_keys_of_one_family_say_so_much_at_most() -> None:
    # Dozens of exits in common against one exit and one card: two families outweigh the many of one.
    many = [link for key in range(40) for link in on_key(key, [0, 1, 2])]
    made = shares(4000, many)
    graph = communities._joint(communities._used(made, bits(4000, range(3)) > 0), np.arange(3))
    assert graph is not None
    assert graph.toarray()[0, 1] == RING_LINK_BITS
    both = shares(4000, [*many, *[x for k in range(40, 80) for x in on_key(k, [0, 1, 2], "billing")]])
    graph = communities._joint(communities._used(both, bits(4000, range(3)) > 0), np.arange(3))
    assert graph is not None
    assert graph.toarray()[0, 1] == 2 * RING_LINK_BITS
    assert graph.diagonal().tolist() == [0.0] * 3


@pytest.mark.parametrize(
    ("n", "n_keys"), [(RING_BUCKET + 1, 1), (3 * RING_BUCKET, 1), (3 * RING_BUCKET, 6), (7 * RING_BUCKET, 3)]
)
def test_more_suspects_on_a_key_than_a_hand_holds_are_one_ring_still(n: int, n_keys: int) -> None:
    links = [link for key in range(n_keys) for link in on_key(key, range(n))]
    assert found(shares(4 * n, links), range(n)) == [set(range(n))]


def test_crowds_that_meet_on_one_key_of_many_stay_apart() -> None:
    n = 2 * RING_BUCKET
    links: list[Link] = []
    for key in range(8):
        links += on_key(key, range(n)) + on_key(20 + key, range(n, 2 * n))
    links += on_key(50, range(n - 60, n + 80), "client")
    assert found(shares(8 * n, links), range(2 * n)) == [set(range(n)), set(range(n, 2 * n))]


def test_the_order_of_rows_does_not_matter() -> None:
    links = [*on_key(1, range(5)), *on_key(2, [4, 5, 6, 7]), *on_key(3, [5, 6, 7], "billing")]
    assert found(shares(60, links), range(8)) == found(shares(60, links[::-1]), range(8))


def names(
    of: Mapping[int, str],
    members: Mapping[str, str] | None = None,
    *,
    was: Mapping[str, str | None] | None = None,
    gone: frozenset[str] = frozenset(),
    day: date = D1,
) -> Rings:
    """``of``: accounts of each ring, a letter an account; ``members``: accounts of each group."""
    rows = [(a, ring) for ring, accounts in of.items() for a in accounts]
    stands = [(g, a) for g, accounts in (members or {}).items() for a in accounts]
    return communities.name(
        pl.DataFrame(rows, schema={"account_id": pl.String, "ring": pl.Int64}, orient="row"),
        pl.DataFrame(stands, schema={"group_id": pl.String, "account_id": pl.String}, orient="row"),
        pl.DataFrame(
            list((was or {}).items()), schema={"account_id": pl.String, "group_id": pl.String}, orient="row"
        ),
        gone,
        day,
    )


def told(made: Rings) -> dict[str, str]:
    """Accounts of each name, in order."""
    rows = made.named.group_by("group_id").agg(pl.col("account_id").sort().str.join(""))
    return dict(rows.iter_rows())


def test_a_ring_has_the_name_of_the_group_that_holds_most_of_it() -> None:
    made = names({0: "abcdef"}, {"g": "abcd", "h": "ef"})
    assert told(made) == {"g": "abcdef"}
    assert made.absorbed == {"h": "g"}


def test_a_group_of_which_less_than_half_is_in_a_ring_stands() -> None:
    made = names({0: "abcef"}, {"g": "abc", "h": "efxy"})
    assert (told(made), made.absorbed) == ({"g": "abcef"}, {})
    assert names({0: "abcefx"}, {"g": "abc", "h": "efxy"}).absorbed == {"h": "g"}


def test_yesterdays_ring_keeps_its_name() -> None:
    first = names({0: "abc"})
    name = told(first).popitem()[0]
    later = names({0: "abcde"}, was={**dict.fromkeys("abc", name), "d": None}, day=D2)
    assert told(later) == {name: "abcde"}


@pytest.mark.parametrize("formed", ["a-group", "z-group"])
def test_a_ring_formed_into_a_group_a_day_later_keeps_its_name(formed: str) -> None:
    made = names({0: "abcd"}, {formed: "abcd"}, was=dict.fromkeys("abcd", "ring"), day=D2)
    assert told(made) == {"ring": "abcd"}
    assert made.absorbed == {formed: "ring"}


def test_yesterdays_ring_that_a_group_outgrew_says_where_it_went() -> None:
    was = {**dict.fromkeys("abc", "ring"), **dict.fromkeys("xyz", "other")}
    made = names({0: "abcde"}, {"g": "abcde"}, was=was, day=D2)
    assert told(made) == {"g": "abcde"}
    assert made.absorbed == {"ring": "g"}
    assert names({0: "abcde"}, {"g": "abcde"}, was=was, gone=frozenset({"ring"})).absorbed == {}


def test_a_name_is_used_once_and_the_larger_part_has_it() -> None:
    made = names({0: "abc", 1: "defgh"}, {"g": "abcdefgh"})
    assert told(made)["g"] == "defgh"
    assert len(told(made)) == 2
    assert made.absorbed == {}


@pytest.mark.parametrize("first", ["a", "d"])
def test_a_part_of_a_group_found_today_never_has_its_name_too(first: str) -> None:
    # The part that needs a name of its own holds the account after which the group was named today.
    group = new_group_id(D1, first)
    made = names({0: "abc", 1: "defgh"}, {group: "abcdefgh"})
    assert sorted(told(made).values()) == ["abc", "defgh"]


def test_a_group_that_went_into_another_is_named_no_more() -> None:
    made = names({0: "abc"}, {"g": "abc"}, gone=frozenset({"g"}))
    (name,) = told(made)
    assert name == new_group_id(D1, "a")
    assert made.absorbed == {"g": name}
    again = names({0: "abc"}, {"g": "abc"}, was=dict.fromkeys("abc", name), gone=frozenset({"g"}), day=D2)
    assert told(again) == {name: "abc"}


def test_new_names_are_the_same_in_whatever_order_accounts_come() -> None:
    forward, backward = names({0: "abc", 1: "xyz"}), names({1: "zyx", 0: "cba"})
    assert told(forward) == told(backward) == {new_group_id(D1, "a"): "abc", new_group_id(D1, "x"): "xyz"}
    assert told(names({0: "abc"}, day=D2)) != told(names({0: "abc"}))
    # As many of the one as of the other: the name that comes first.
    for groups in ({"g": "ab", "h": "cd"}, {"h": "cd", "g": "ab"}):
        assert told(names({0: "abcd"}, groups)) == {"g": "abcd"}


def test_without_rings_there_is_nothing() -> None:
    made = names({}, {"g": "abc"})
    assert (made.named.rows(), made.absorbed) == ([], {})


def overlay(
    members: Mapping[str, str],
    ring: Rings,
    known: Mapping[str, float | None],
    *,
    false_member: str = "",
    silent: str = "",
    spoofable_limit: float = 0.0,
    previous: pl.DataFrame | None = None,
    day: date = D1,
) -> pl.DataFrame:
    rows = [
        (g, a, D1, day, "active", "keys", 5.0, True, 0.9, 0.1, 0.0, 9.0, a in false_member)
        for g, accounts in members.items()
        for a in accounts
    ]
    schema = {**MEMBERS, "evidence_bits": pl.Float64, "false_member": pl.Boolean}
    about = [(a, b, spoofable_limit, None if a in silent else 1) for a, b in known.items()]
    return communities.overlaid(
        pl.DataFrame(rows, schema=schema, orient="row"),
        ring,
        pl.DataFrame(
            about,
            schema={
                "account_id": pl.String,
                "bits_today": pl.Float64,
                "spoofable_limit_bits": pl.Float64,
                "busy": pl.Int64,
            },
            orient="row",
        ),
        previous,
        day,
    )


def column(frame: pl.DataFrame, name: str) -> dict[str, object]:
    return dict(frame.select("account_id", name).iter_rows())


def test_who_is_in_a_ring_is_of_its_group_and_no_false_member() -> None:
    ring = names({0: "abcd"}, {"g": "abc", "h": "dxyz"})
    made = overlay({"g": "abc", "h": "dxyz"}, ring, dict.fromkeys("abcdxyz", 2.0), false_member="ax")
    assert column(made, "group_id") == {**dict.fromkeys("abcd", "g"), **dict.fromkeys("xyz", "h")}
    assert column(made, "origin_id") == {**dict.fromkeys("abc", "g"), **dict.fromkeys("dxyz", "h")}
    assert column(made, "false_member") == {**dict.fromkeys("abcdyz", False), "x": True}


def test_those_left_are_false_members_where_likelier_not_of_it() -> None:
    ring = names({0: "abcde"}, {"g": "abcxy", "h": "dez", "q": "st"})
    assert ring.absorbed == {"h": "g"}
    known = {**dict.fromkeys("abcdey", 2.0), "x": -1.0, "z": 2.0, "s": -9.0, "t": None}
    false_members = column(overlay({"g": "abcxy", "h": "dez", "q": "st"}, ring, known), "false_member")
    assert false_members == {
        **dict.fromkeys("abcde", False),
        "x": True,
        "y": False,
        "z": True,
        "s": False,
        "t": False,
    }


def test_an_account_that_no_group_held_is_bound_by_neighbours() -> None:
    ring = names({0: "abcd"}, {"g": "abc"})
    made = overlay({"g": "abc"}, ring, {**dict.fromkeys("abc", 2.0), "d": 1.0})
    row = made.filter(pl.col("account_id") == "d").row(0, named=True)
    assert (row["group_id"], row["origin_id"], row["bond"]) == ("g", None, BOND)
    assert (row["first_day"], row["last_day"], row["state"], row["false_member"]) == (D1, D1, "active", False)
    assert row["membership_probability"] == pytest.approx(float(probability(np.array([1.0]))[0]))
    assert (row["spoofable"], row["evidence_bits"], row["similarity"]) == (False, None, None)
    assert column(made, "bond")["a"] == "keys"
    weak = overlay({"g": "abc"}, ring, {**dict.fromkeys("abc", 2.0), "d": 1.0}, spoofable_limit=-0.5)
    assert column(weak, "spoofable")["d"] is True


def test_a_companion_keeps_its_first_day_and_is_silent_when_it_is() -> None:
    ring = names({0: "abcd"}, {"g": "abc"})
    known = dict.fromkeys("abcd", 2.0)
    first = overlay({"g": "abc"}, ring, known)
    second = overlay({"g": "abc"}, ring, known, previous=first, day=D2)
    assert column(second, "first_day")["d"] == D1
    assert column(second, "last_day")["d"] == D2
    away = overlay({"g": "abc"}, ring, known, silent="d", previous=first, day=D2)
    row = away.filter(pl.col("account_id") == "d").row(0, named=True)
    assert (row["first_day"], row["last_day"], row["state"]) == (D1, D1, "silent")
    other = names({0: "abcd"}, {"h": "abc"})
    moved = overlay({"h": "abc"}, other, known, previous=first, day=D2)
    assert column(moved, "first_day")["d"] == D2


def test_suspects_meet_no_more_often_than_can_be_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a great part of a site is suspect, buckets are smaller; who shares much is a ring all the same."""
    n = 3 * RING_BUCKET
    crowd = np.full(8 * n, n)
    assert communities.bucket(crowd) == RING_BUCKET
    monkeypatch.setattr(communities, "RING_PAIRS", 8 * n * 16)
    assert communities.bucket(crowd) == 16
    links = [link for key in range(8) for link in on_key(key, range(n))]
    made = shares(4 * n, links)
    used = communities._used(made, bits(4 * n, range(n)) > 0)
    graph = communities._joint(used, np.arange(n), communities.bucket(used.among))
    assert graph is not None
    assert graph.nnz <= communities.RING_PAIRS
    assert found(made, range(n)) == [set(range(n))]
    monkeypatch.setattr(communities, "RING_PAIRS", 1)
    assert communities.bucket(crowd) == RING_LEAST_BUCKET

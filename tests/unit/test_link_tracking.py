"""Groups keep their names over days, merges and splits."""

from __future__ import annotations

from datetime import date

import polars as pl

from detector.link.tracking import FOUND, MEMBERS, track

D1, D2 = date(2026, 3, 2), date(2026, 3, 3)


def found(bond: str = "keys", **groups: list[str]) -> pl.DataFrame:
    rows = [
        (a, label, bond, 5.0, True, 0.9, 0.1, 0.0)
        for label, accounts in enumerate(groups.values())
        for a in accounts
    ]
    return pl.DataFrame(rows, schema=FOUND, orient="row")


NOBODY = pl.DataFrame(schema=MEMBERS)


def ids(members: pl.DataFrame) -> dict[str, set[str]]:
    return {g: set(a) for g, a in members.group_by("group_id").agg("account_id").rows()}


def test_a_group_keeps_its_name_while_heads_come_and_go() -> None:
    first = track(NOBODY, found(x=["a", "b", "c", "d"]), day=D1).members
    second = track(first, found(x=["c", "d", "e", "f"]), day=D2).members
    assert ids(second) == {first["group_id"][0]: {"a", "b", "c", "d", "e", "f"}}
    days = dict(second.select("account_id", "last_day").rows())
    assert (days["a"], days["f"]) == (D1, D2)


def test_members_stay_when_nothing_is_seen() -> None:
    first = track(NOBODY, found(x=["a", "b", "c"]), day=D1).members
    assert track(first, found(), day=D2).members.equals(first)


def test_merge_is_recorded_and_takes_everybody() -> None:
    first = track(NOBODY, found(x=["a", "b", "c", "d"], y=["p", "q", "r"]), day=D1).members
    merged = track(first, found(z=["a", "b", "c", "d", "p", "q"]), day=D2)
    assert len(ids(merged.members)) == 1
    ((old, new),) = merged.merged.items()
    assert ids(merged.members) == {new: set("abcdpqr")}
    assert old in ids(first)


def test_split_is_recorded() -> None:
    first = track(NOBODY, found(x=["a", "b", "c", "d", "e"]), day=D1).members
    parted = track(first, found(x=["a", "b", "c"], y=["d", "e"]), day=D2)
    old = first["group_id"][0]
    assert list(parted.split.values()) == [old]
    new = next(iter(parted.split))
    assert ids(parted.members) == {old: {"a", "b", "c"}, new: {"d", "e"}}


def test_an_account_is_in_one_group() -> None:
    first = track(NOBODY, found(x=["a", "b", "c", "d"], y=["p", "q", "r", "s"]), day=D1).members
    second = track(first, found(x=["a", "b", "c", "p"], y=["q", "r", "s"]), day=D2).members
    assert second["account_id"].is_unique().all()


def test_names_do_not_depend_on_labels_or_order() -> None:
    one = track(NOBODY, found(x=["a", "b", "c"], y=["p", "q", "r"]), day=D1).members
    other = track(NOBODY, found(y=["r", "q", "p"], x=["c", "a", "b"]), day=D1).members
    assert one.equals(other)


def test_a_bond_of_similarity_is_drawn_anew_and_one_of_keys_stays() -> None:
    for bond, left in (("keys", {"a", "b", "c", "d"}), ("similarity", {"a", "b", "c"})):
        first = track(NOBODY, found(bond, x=["a", "b", "c", "d"]), day=D1).members
        second = track(first, found(bond, x=["a", "b", "c"]), day=D2, present=pl.Series(["a", "b", "d"]))
        assert ids(second.members) == {first["group_id"][0]: left}


def test_an_account_the_window_holds_nothing_of_keeps_its_old_bond() -> None:
    first = track(NOBODY, found("similarity", x=["a", "b", "c", "d"]), day=D1).members
    second = track(first, found("similarity", x=["a", "b", "c"]), day=D2, present=pl.Series(["a", "b"]))
    assert ids(second.members) == {first["group_id"][0]: {"a", "b", "c", "d"}}


def test_keys_found_later_outrank_similarity() -> None:
    first = track(NOBODY, found("similarity", x=["a", "b", "c"]), day=D1).members
    second = track(first, found("keys", x=["a", "b", "c"]), day=D2, present=first["account_id"]).members
    third = track(second, found("similarity", x=["a", "b", "c"]), day=D2, present=first["account_id"]).members
    assert (set(second["bond"]), set(third["bond"])) == ({"keys"}, {"keys"})


def test_a_suspect_group_and_a_clear_one_are_not_joined_by_a_days_accident() -> None:
    first = track(NOBODY, found(x=["a", "b", "c", "d"], y=["p", "q", "r"]), day=D1).members
    hydra = first.filter(pl.col("account_id") == "a")["group_id"][0]
    house = first.filter(pl.col("account_id") == "p")["group_id"][0]
    lump = found(z=["a", "b", "c", "d", "n", "p", "q", "r"])
    apart = track(first, lump, day=D2, suspects=frozenset({hydra}))
    assert ids(apart.members) == {hydra: set("abcdn"), house: set("pqr")}
    assert not apart.merged
    assert len(ids(track(first, lump, day=D2).members)) == 1
    both = track(first, lump, day=D2, suspects=frozenset({hydra, house}))
    assert len(ids(both.members)) == 1

"""What connects a group: by hand, against brute force on small graphs, in any order of rows, and at full size."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable
from typing import Any

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.alert.chains import MAX_CHAINS, Ties, ties
from detector.alert.connections import MAX_KEYS, MAX_SPLITS, NOT_ALL, Connections, connections
from detector.alert.incidence import MAX_ACCOUNTS

Edge = tuple[str, int]


def row(account: str, key: int, **changes: Any) -> dict[str, Any]:
    """One piece of evidence; keys from 100 are spoofable, and of another family."""
    spoofable = key >= 100
    family, kind = ("client", "ja4") if spoofable else ("billing", "card")
    names = {"group_id": "g-1", "account_id": account, "family": family, "kind": kind, "key": key}
    return names | {"bits": 3.0, "n_sharing": 2, "spoofable": spoofable, "detail": f"k{key}"} | changes


def rows(*edges: str) -> list[dict[str, Any]]:
    """Rows of "key: accounts, one letter each"."""
    pairs = [edge.split(":") for edge in edges]
    return [row(account, int(key)) for key, accounts in pairs for account in accounts.strip()]


def of_group(evidence: Iterable[dict[str, Any]]) -> Connections:
    made = connections(evidence)
    assert made is not None
    return made


def of_account(account: str, evidence: Iterable[dict[str, Any]]) -> Ties:
    made = ties(account, "g-1", evidence)
    assert made is not None
    return made


def sizes(accounts: set[str], edges: Iterable[Edge]) -> list[int]:
    """Accounts in each part, largest first."""
    graph = nx.Graph()
    graph.add_nodes_from(accounts)
    graph.add_edges_from(edges)
    return sorted((sum(n in accounts for n in part) for part in nx.connected_components(graph)), reverse=True)


def test_one_card_for_all_is_all_that_holds_them() -> None:
    seen = of_group(rows("1: abcdefgh"))
    assert (seen.whole.n_parts, seen.unspoofable.n_parts, seen.n_keys) == (1, 1, 1)
    [key] = seen.keys
    assert (
        key.sentence(8)
        == "One card or bank account (billing / card: k1; key 1) joins a, b, c, d, e, f and 2 more (8 of 8)"
    )
    [split] = seen.splits
    assert (split.without.n_parts, split.without.n_largest) == (8, 1)
    assert seen.sentences() == (
        "By 1 key that they share the accounts stay in one part (8 of 8)",
        "1 of those would be enough",
        "Without spoofable keys, which an outsider could have arranged, the accounts stay in one part (8 of 8)",
        "The most rests on one card or bank account (billing / card: k1; key 1): without it the accounts are in 8 parts; "
        "the largest holds 1 of 8 (12 %)",
        NOT_ALL,
    )


def test_spoofable_keys_are_taken_only_for_what_the_others_leave_apart() -> None:
    seen = of_group(rows("1: abc", "2: cd", "100: abcdef"))
    assert [(k.key, k.spoofable) for k in seen.keys] == [("1", False), ("2", False), ("100", True)]
    assert (seen.whole.n_parts, seen.unspoofable.n_parts, seen.unspoofable.n_largest) == (1, 3, 4)
    assert [(s.key.key, s.without.n_parts) for s in seen.splits] == [("100", 3)]
    assert "are in 3 parts; the largest holds 4 of 6 (67 %)" in seen.sentences()[2]


def test_what_later_choices_made_needless_is_dropped() -> None:
    # The widest key is taken first; the others are each needed for one account, and join its accounts as well.
    seen = of_group(rows("1: abcdef", "2: abcx", "3: defy", "4: cdz"))
    assert [k.key for k in seen.keys] == ["2", "3", "4"]


def test_no_key_shared_and_too_few_accounts() -> None:
    seen = of_group(rows("1: a", "2: b"))
    assert (seen.whole.n_parts, seen.keys, seen.splits, seen.n_keys) == (2, (), (), 0)
    assert len(seen.sentences()) == 3
    assert connections(rows("1: a")) is None
    assert connections([row("a", 1), row("b", 1, bits=None), row("c", 1, bits=0.0)]) is None


def test_two_bridges_are_told_by_what_they_leave() -> None:
    seen = of_group(rows("1: abc", "2: bca", "3: cd", "4: de", "5: ed"))
    assert [(s.key.key, s.without.n_parts, s.without.n_largest) for s in seen.splits] == [("3", 2, 3)]


def test_of_several_rows_of_a_key_the_commonest_label_and_the_heaviest_weight_count() -> None:
    evidence = [row("a", 1), row("a", 1, bits=9.0, detail="z"), row("b", 1), row("c", 1), row("c", 2)]
    [key] = of_group(evidence).keys
    assert (key.label, key.bits, key.n_accounts) == ("k1", 9.0, 3)
    marked = of_group([row("a", 1), row("b", 1, spoofable=True)])
    assert marked.keys[0].spoofable, "one spoofable row makes a key spoofable"


graphs = st.lists(
    st.tuples(st.sampled_from("abcdefg"), st.sampled_from([1, 2, 3, 4, 100, 101, 102])),
    min_size=1,
    max_size=22,
)


@settings(max_examples=120, deadline=None)
@given(graphs, st.randoms(use_true_random=False))
def test_any_small_graph_is_told_as_brute_force_tells_it(edges: list[Edge], order: random.Random) -> None:
    accounts = {account for account, _ in edges}
    evidence = [row(*edge) for edge in edges]
    seen = connections(evidence)
    if len(accounts) < 2:
        assert seen is None
        return
    assert seen is not None
    order.shuffle(evidence)
    assert connections(evidence) == seen
    assert connections(evidence * 2) == seen
    whole, unspoofable = sizes(accounts, edges), sizes(accounts, [e for e in edges if e[1] < 100])
    assert (seen.whole.n_parts, seen.whole.n_largest) == (len(whole), whole[0])
    assert (seen.unspoofable.n_parts, seen.unspoofable.n_largest) == (len(unspoofable), unspoofable[0])
    chosen = [int(k.key) for k in seen.keys]
    assert_enough_and_needed(chosen, accounts, edges, n_unspoofable=len(unspoofable), n_whole=len(whole))
    assert {(int(s.key.key), s.without.n_parts, s.without.n_largest) for s in seen.splits} <= (
        expected := splits(accounts, edges)
    )
    assert len(seen.splits) == min(MAX_SPLITS, len(expected))
    assert len(seen.splits) + seen.n_more_splits == len(expected)
    least = [s.without.n_largest for s in seen.splits]
    assert least == sorted(n for *_, n in expected)[:MAX_SPLITS]


def assert_enough_and_needed(
    chosen: list[int], accounts: set[str], edges: list[Edge], *, n_unspoofable: int, n_whole: int
) -> None:
    def n_parts(keys: Iterable[int]) -> int:
        wanted = set(keys)
        return len(sizes(accounts, [e for e in edges if e[1] in wanted]))

    unspoofable, spoofable = [k for k in chosen if k < 100], [k for k in chosen if k >= 100]
    assert chosen == unspoofable + spoofable
    assert (n_parts(unspoofable), n_parts(chosen)) == (n_unspoofable, n_whole)
    assert all(n_parts(set(unspoofable) - {key}) > n_unspoofable for key in unspoofable)
    assert all(n_parts(set(chosen) - {key}) > n_whole for key in spoofable)
    # Greedy takes at most 1 + 1/2 + ... + 1/d times the fewest; on 7 accounts d is 6 at most.
    for round_of, before, goal in ((unspoofable, [], n_unspoofable), (spoofable, unspoofable, n_whole)):
        kind = sorted({k for _, k in edges if (k >= 100) == (round_of is spoofable)})
        fewest = min(
            n
            for n in range(len(kind) + 1)
            if any(n_parts([*before, *some]) == goal for some in itertools.combinations(kind, n))
        )
        assert len(round_of) <= 2.45 * fewest


def splits(accounts: set[str], edges: list[Edge]) -> set[tuple[int, int, int]]:
    """Every key whose removal leaves more parts: key, parts, accounts of the largest."""
    n_parts = len(sizes(accounts, edges))
    left = {key: sizes(accounts, [e for e in edges if e[1] != key]) for _, key in edges}
    return {(key, len(parts), parts[0]) for key, parts in left.items() if len(parts) > n_parts}


@settings(max_examples=120, deadline=None)
@given(graphs)
def test_chains_stand_without_each_other(edges: list[Edge]) -> None:
    accounts = {account for account, _ in edges}
    account = min(accounts)
    seen = of_account(account, [row(*edge) for edge in edges])
    held_by: dict[int, set[str]] = {}
    for holder, key in edges:
        held_by.setdefault(key, set()).add(holder)
    own = {key for key, holders in held_by.items() if account in holders}
    shares = {key for key in own if len(held_by[key]) > 1}
    assert seen.n_others == len(accounts) - 1
    assert bool(seen.chains) == bool(shares) == (seen.n_reached > 0)
    assert len(seen.chains) <= min(MAX_CHAINS, len(shares))
    used = [int(key.key) for chain in seen.chains for key in chain.keys]
    assert len(used) == len(set(used))
    for chain in seen.chains:
        keys = [int(key.key) for key in chain.keys]
        assert chain.accounts[0] == account
        assert len(chain.accounts) == len(keys) + 1
        assert own & set(keys) == {keys[0]}
        for one, other, key in zip(chain.accounts, chain.accounts[1:], keys, strict=False):
            assert {one, other} <= held_by[key]
            assert one != other
    lengths = [
        len(chain.keys) for chain in seen.chains if chain.keys[0].family == seen.chains[0].keys[0].family
    ]
    assert lengths == sorted(lengths)


def test_an_account_tied_by_a_spoofable_key_is_led_to_what_unspoofable_keys_hold_together() -> None:
    evidence = rows("100: xa", "1: ab", "2: bcd", "3: cd")
    seen = of_account("x", evidence)
    assert (seen.n_others, seen.n_reached, seen.n_reached_unspoofable) == (4, 4, 0)
    [chain] = seen.chains
    assert chain.accounts == ("x", "a"), "a is of the largest part that holds without x"
    apart = of_account("x", rows("100: xa", "101: ab", "2: bcd"))
    assert apart.chains[0].accounts == ("x", "a", "b")
    assert apart.sentences() == (
        "Keys that it shares, and what those who hold them share, lead to 4 of the 4 other accounts of g-1; without "
        "spoofable keys, which an outsider could have arranged, to 0",
        "x and a share one TLS client fingerprint (client / ja4: k100; key 100; spoofable), held by 2 in the group; "
        "a and b share one TLS client fingerprint (client / ja4: k101; key 101; spoofable), held by 2 in the group",
    )


def test_chains_of_different_families_come_first() -> None:
    evidence = rows("1: xa", "2: xb", "3: xc", "4: abc", "100: xc")
    assert [chain.keys[0].key for chain in of_account("x", evidence).chains] == ["1", "100", "2"]


def test_an_account_without_evidence_has_no_ties() -> None:
    assert ties("z", "g-1", rows("1: ab")) is None
    alone = of_account("x", rows("1: x", "2: ab"))
    assert (alone.n_reached, alone.chains) == (0, ())


def test_what_is_listed_is_capped_and_the_rest_counted() -> None:
    chain = [row(f"u{i + side:03d}", i) for i in range(60) for side in (0, 1)]
    seen = of_group(chain)
    assert (len(seen.keys), seen.n_more_keys) == (MAX_KEYS, 60 - MAX_KEYS)
    assert (len(seen.splits), seen.n_more_splits) == (MAX_SPLITS, 60 - MAX_SPLITS)
    assert seen.splits[0].without.n_largest == 31
    assert len(of_group([row(f"u{i:03d}", 1) for i in range(90)]).keys[0].accounts) == MAX_ACCOUNTS


@pytest.mark.parametrize("shape", ["a chain", "one key", "at random"])
def test_work_grows_with_the_evidence_and_not_with_pairs(shape: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from detector.alert.joining import Parts

    looked = 0
    plain = Parts.part

    def counted(self: Parts, account: int) -> int:
        nonlocal looked
        looked += 1
        return plain(self, account)

    monkeypatch.setattr(Parts, "part", counted)
    draw = random.Random(7)
    place = {"a chain": lambda i, j: i // 2 if j else (i + 1) // 2, "one key": lambda i, j: 0}
    per_entry = []
    for n in (500, 2000):
        pick = place.get(shape, lambda i, j, n=n: draw.randrange(n // 4))
        evidence = [row(f"u{i:05d}", 10_000 * j + pick(i, j)) for i in range(n) for j in range(2)]
        of_group(evidence)
        per_entry.append(looked / len(evidence))
        looked = 0
    assert per_entry[1] <= 1.5 * per_entry[0] + 1

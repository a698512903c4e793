"""Neighbours: suspects among the other organisations on a key, by hand and against a plain reference."""

from __future__ import annotations

import math
import random
from collections import defaultdict

import numpy as np
import polars as pl
import pytest
from made_shares import Link, Text, graph_of, on_key, shares, tables

from detector.link.tabular import graph_of_tables
from detector.link.uses import NEIGHBOUR_FAMILIES, NEIGHBOUR_LINKS
from detector.score import relational
from detector.score.relational import PLACES, TERMS
from detector.tuning import LEAST_RATE, LINK_HOLDERS, PSEUDO_HOLDERS, TEMPLATE_HOLDERS


def suspicion(n: int, worst: dict[int, float]) -> np.ndarray:
    found = np.zeros(n)
    for account, p in worst.items():
        found[account] = p
    return found


def row(frame: pl.DataFrame, account: int) -> dict[str, float]:
    return frame.row(account, named=True)


def test_a_key_is_weighed_by_the_others_on_it_against_the_site() -> None:
    # Ten accounts, one of them surely suspect: the site's rate is a tenth.
    made = shares(10, on_key(7, [0, 1, 2]))
    bits = relational.lifts(made, suspicion(10, {0: 1.0}))
    beside = math.log2((1.0 + PSEUDO_HOLDERS * 0.1) / ((2 + PSEUDO_HOLDERS) * 0.1))
    itself = math.log2(PSEUDO_HOLDERS * 0.1 / ((2 + PSEUDO_HOLDERS) * 0.1))
    assert bits.tolist() == pytest.approx([itself, beside, beside])
    assert itself < 0 < beside


def test_few_holders_are_drawn_towards_the_rate_of_the_site() -> None:
    few = shares(100, on_key(1, [0, 1]))
    many = shares(100, on_key(1, list(range(12))))
    all_bad = suspicion(100, dict.fromkeys(range(12), 1.0))
    rate = 12 / 100
    assert relational.lifts(few, all_bad)[0] == pytest.approx(math.log2((1 + 3 * rate) / (4 * rate)))
    assert relational.lifts(many, all_bad)[0] == pytest.approx(math.log2((11 + 3 * rate) / (14 * rate)))
    assert relational.lifts(few, all_bad)[0] < relational.lifts(many, all_bad)[0] < math.log2(1 / rate)


def test_the_own_organisation_never_counts() -> None:
    organisations = ["team", "team", "team", "other", *(f"o{i}" for i in range(6))]
    made = shares(10, on_key(1, [0, 1, 2]), organisations=organisations)
    assert relational.lifts(made, suspicion(10, {1: 1.0, 2: 1.0})).tolist() == [0.0, 0.0, 0.0]
    mixed = shares(10, on_key(1, [0, 1, 2, 3]), organisations=organisations)
    bits = relational.lifts(mixed, suspicion(10, {1: 1.0}))
    assert bits[0] == bits[1] == bits[2] < 0
    assert bits[3] > 0


def test_an_organisation_counts_once_a_key_as_its_worst_account() -> None:
    organisations = ["x", "team", "team", "team", *(f"o{i}" for i in range(6))]
    p = suspicion(10, {1: 0.2, 2: 0.9, 3: 0.5})
    rate = 1.6 / 10
    made = shares(10, on_key(1, [0, 1, 2, 3]), organisations=organisations)
    expected = math.log2((0.9 + PSEUDO_HOLDERS * rate) / ((1 + PSEUDO_HOLDERS) * rate))
    assert relational.lifts(made, p)[0] == pytest.approx(expected)


def test_a_site_without_suspects_has_the_least_rate() -> None:
    made = shares(4, on_key(1, [0, 1]))
    bits = relational.lifts(made, np.zeros(4))
    assert bits.tolist() == pytest.approx([math.log2(PSEUDO_HOLDERS / (1 + PSEUDO_HOLDERS))] * 2)
    assert relational.lifts(made, suspicion(4, {0: LEAST_RATE}))[1] == pytest.approx(
        math.log2((LEAST_RATE + PSEUDO_HOLDERS * LEAST_RATE) / ((1 + PSEUDO_HOLDERS) * LEAST_RATE))
    )


def test_the_best_and_the_third_best_key_of_each_family_are_measured() -> None:
    links = [link for key, other in enumerate((1, 2, 3, 4)) for link in on_key(key, [0, other])]
    links += on_key(9, [0, 4], family="billing")
    made = shares(20, links)
    found = relational.measure(made, suspicion(20, {1: 0.9, 2: 0.6, 3: 0.3, 4: 0.1}))
    rate = 1.9 / 20
    lift = [math.log2((p + 3 * rate) / (4 * rate)) for p in (0.9, 0.6, 0.3, 0.1)]
    mine = row(found, 0)
    assert mine["neighbours_network_1"] == pytest.approx(lift[0])
    assert mine["neighbours_network_3"] == pytest.approx(lift[2])
    assert mine["neighbours_billing_1"] == pytest.approx(lift[3])
    assert mine["neighbours_billing_3"] == 0.0
    assert "neighbours_client_1" not in found.columns
    assert row(found, 10) == {"account_id": "a010"} | {c: 0.0 for c in found.columns if c != "account_id"}


def test_spoofable_keys_may_be_left_out() -> None:
    p = suspicion(10, {1: 1.0, 2: 0.2})
    made = shares(
        10,
        [*on_key(1, [0, 1], spoofable=True), *on_key(2, [0, 2], "billing")],
        [(0, 5, "line", 3), (1, 5, "line", 3)],
    )
    everything, unspoofable = relational.measure(made, p), relational.measure(made, p, without_spoofable=True)
    assert row(everything, 0)["neighbours_network_1"] > 1
    assert row(everything, 0)["neighbours_content_1"] > 1
    assert (row(unspoofable, 0)["neighbours_network_1"], row(unspoofable, 0)["neighbours_content_1"]) == (
        0.0,
        0.0,
    )
    assert row(unspoofable, 0)["neighbours_billing_1"] == row(everything, 0)["neighbours_billing_1"] > 0
    assert unspoofable.columns == everything.columns


def test_keys_that_many_hold_and_other_families_are_left_out() -> None:
    rows = pl.DataFrame(
        [
            (0, 1, "network", False, LINK_HOLDERS),
            (0, 2, "network", False, LINK_HOLDERS + 1),
            (0, 3, "content", True, 3),
            (0, 4, "rhythm", False, 3),
            (0, 5, "billing", False, 2),
        ],
        schema=["account", "code", "family", "spoofable", "n_sharing"],
        orient="row",
    )
    small, large = (graph_of(rows, n) for n in (100, 100 * LINK_HOLDERS))
    assert small.key[small.entries(NEIGHBOUR_LINKS)].tolist() == [1, 5]
    assert large.key[large.entries(NEIGHBOUR_LINKS)].tolist() == [1, 2, 5]


def test_of_text_only_the_structure_of_user_prompts_counts() -> None:
    text: list[Text] = []
    for key, (kind, sharing) in enumerate(
        [("line", 3), ("system", 3), ("system_band", 3), ("exact", 3), ("opening4", LINK_HOLDERS + 1)]
    ):
        text += [(a, key, kind, sharing) for a in (0, 1, 2)]
    made = shares(50, text=text)
    assert (len(made), len(made.keys)) == (3, 1)
    assert made.keys.spoofable.all()


def test_nobody_and_nothing_shared() -> None:
    nobody = shares(0)
    assert relational.lifts(nobody, np.zeros(0)).tolist() == []
    assert relational.measure(nobody, np.zeros(0)).rows() == []
    nothing = relational.measure(shares(2), suspicion(2, {0: 1.0}))
    assert nothing.rows() == [("a000",), ("a001",)]


def plain(
    n: int, links: list[Link], text: list[Text], organisations: list[str], p: np.ndarray
) -> dict[tuple[int, str], float]:
    """The definition, account by account and key by key."""
    held: dict[int, set[int]] = defaultdict(set)
    about: dict[int, tuple[str, bool]] = {}
    for account, key, family, spoofable in links:
        held[key].add(account)
        about[key] = (family, spoofable)
    for account, key, _, _ in text:
        held[key].add(account)
        about[key] = ("content", True)
    rate = max(p.mean(), LEAST_RATE)
    found: dict[tuple[int, str], float] = {}
    for account in range(n):
        lift: dict[str, list[float]] = defaultdict(list)
        for key, holders in held.items():
            if account not in holders:
                continue
            worst: dict[str, float] = {}
            for other in holders:
                if organisations[other] != organisations[account]:
                    worst[organisations[other]] = max(worst.get(organisations[other], 0.0), p[other])
            up = (sum(worst.values()) + PSEUDO_HOLDERS * rate) / ((len(worst) + PSEUDO_HOLDERS) * rate)
            bits = math.log2(up) if worst else 0.0
            lift[about[key][0]].append(bits)
        for family in {f for f, _ in about.values()}:
            ranked = sorted(lift[family], reverse=True)
            for place in PLACES:
                found[account, f"neighbours_{family}_{place}"] = (
                    ranked[place - 1] if len(ranked) >= place else 0.0
                )
    return found


@pytest.mark.parametrize("seed", range(12))
def test_any_small_site_is_measured_as_defined_in_whatever_order_it_comes(seed: int) -> None:
    draw = random.Random(seed)
    n = draw.randint(3, 14)
    organisations = [f"o{draw.randint(0, n)}" for _ in range(n)]
    links: list[Link] = []
    text: list[Text] = []
    for key in range(draw.randint(1, 12)):
        holders = draw.sample(range(n), draw.randint(1, n))
        family = draw.choice(NEIGHBOUR_FAMILIES)
        if family == "content":
            text += [(a, key, "gram5", max(len(holders), TEMPLATE_HOLDERS)) for a in holders]
        else:
            links += on_key(key, holders, family, draw.random() < 0.4)
    p = np.array([draw.random() ** 4 for _ in range(n)])
    found = relational.measure(shares(n, links, text, organisations), p)
    expected = plain(n, links, text, organisations, p)
    assert {(a, c) for a in range(n) for c in found.columns[1:]} == set(expected)
    for (account, column), bits in expected.items():
        assert found[column][account] == pytest.approx(bits, abs=1e-8), (account, column)
    shuffled = tables(n, links, text, organisations)
    for name in ("links", "incidence"):
        shuffled[name] = shuffled[name].sample(fraction=1.0, shuffle=True, seed=seed)
    assert relational.measure(graph_of_tables(shuffled).neighbours, p).equals(found)


def test_every_column_measured_is_one_the_models_may_use() -> None:
    links = [link for i, family in enumerate(NEIGHBOUR_LINKS.families) for link in on_key(i, [0, 1], family)]
    made = relational.measure(shares(3, links, [(a, 9, "line", 3) for a in range(3)]), np.zeros(3))
    assert set(made.columns) - {"account_id"} == set(TERMS) - {"harvest_bits", "group_contribution_bits"}


def test_the_largest_of_each_account_are_those_that_sorting_gives() -> None:
    rng = np.random.default_rng(3)
    account = np.sort(rng.integers(0, 40, 150))
    values = rng.integers(-3, 4, 150).astype(float)
    found = list(relational._largest(account, values, 3))
    for place, (who, what) in enumerate(found):
        ranked = {a: sorted(values[account == a], reverse=True) for a in np.unique(account)}
        assert dict(zip(who, what, strict=True)) == {a: v[place] for a, v in ranked.items() if len(v) > place}
    none = np.empty(0, np.int64)
    assert all(len(who) == len(what) == 0 for who, what in relational._largest(none, none.astype(float), 3))

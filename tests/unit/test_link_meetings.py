"""Holders that meet on link keys: against a plain loop, and with hubs in bounded memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.link import meetings


def plain(holder, key, link_holder, link) -> list[bool]:
    """Every pair of holders of every key, one by one."""
    links: dict[int, set[int]] = {}
    for account, of in zip(link_holder, link, strict=True):
        links.setdefault(int(account), set()).add(int(of))
    return [
        any(
            key[j] == key[i] and holder[j] != holder[i]
            and links.get(int(holder[i]), set()) & links.get(int(holder[j]), set())
            for j in range(len(key))
        )
        for i in range(len(key))
    ]  # fmt: skip


def pairs(rng: np.random.Generator, accounts: int, keys: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    made = np.unique(rng.integers(0, accounts, n) * keys + rng.integers(0, keys, n) ** 2 // keys)
    rng.shuffle(made)
    return made // keys, made % keys


@pytest.mark.parametrize("most", [1, 7, 1 << 21])
@pytest.mark.parametrize("seed", range(4))
def test_holders_meet_as_a_plain_loop_says(seed: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the size of a slice: 1 makes every key a hub."""
    monkeypatch.setattr(meetings, "SLICE", most)
    rng = np.random.default_rng(seed)
    holder, key = pairs(rng, 40, 25, 150)
    link_holder, link = pairs(rng, 40, 60, 80)
    found = meetings.met(holder, key, link_holder, link, 40)
    assert found.tolist() == plain(holder, key, link_holder, link)
    assert 0 < found.sum() < len(found)


def test_nobody_meets_where_nothing_is_shared() -> None:
    none = np.empty(0, np.int64)
    assert not meetings.met(np.arange(3), np.zeros(3, np.int64), none, none, 3).any()
    assert len(meetings.met(none, none, np.arange(3), np.arange(3), 3)) == 0


def test_a_hub_costs_a_slice_and_its_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    """50,000 holders of one text behind one carrier: five thousand million pairs, none of which is made."""
    n = 50_000
    everybody = np.arange(n)
    opened: list[int] = []
    whole = meetings._Links.opened
    monkeypatch.setattr(
        meetings._Links, "opened", lambda self, of: opened.append(int(self.many[of].sum())) or whole(self, of)
    )
    monkeypatch.setattr(meetings, "SLICE", 1 << 14)
    link_holder, link = np.r_[everybody, everybody], np.r_[np.zeros(n, np.int64), 1 + everybody // 2]
    tracemalloc.start()
    found = meetings.met(everybody, np.zeros(n, np.int64), link_holder, link, n)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.all()
    assert sum(opened) == 2 * len(link)
    assert max(opened) <= 1 << 14
    assert peak < 200 * n


def test_slices_hold_every_key_once() -> None:
    size = np.array([3, 5 << 21, 1, 1, 1 << 20, 1 << 20, 1])
    runs = list(meetings.slices(size, 3))
    assert [low for low, _ in runs] == [0, *[high for _, high in runs[:-1]]]
    assert runs[-1][1] == len(size)
    assert all(size[low:high].sum() <= meetings.SLICE or high == low + 1 for low, high in runs)
    assert all(high - low <= 3 for low, high in runs)


ENTRIES = st.sets(st.tuples(st.integers(0, 6), st.integers(0, 5)), max_size=20)


def columns(entries: set[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    made = np.array(sorted(entries), np.int64).reshape(-1, 2)
    return made[:, 0], made[:, 1]


@settings(max_examples=300, deadline=None, derandomize=True)
@given(ENTRIES, ENTRIES)
def test_any_holders_meet_as_a_plain_loop_says(
    held: set[tuple[int, int]], linked: set[tuple[int, int]]
) -> None:
    """Also where the last keys and accounts have no link key, or nobody has."""
    holder, key = columns(held)
    link_holder, link = columns(linked)
    assert meetings.met(holder, key, link_holder, link, 7).tolist() == plain(holder, key, link_holder, link)

"""Shared text: what a key says of its holders, and what accounts carry of it."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from made_shares import graph_of

from detector.score import template_reuse
from detector.score.template_reuse import account_template_reuse, content_incidence

SCHEMA = {
    "account": pl.Int64, "code": pl.Int64, "family": pl.String, "kind": pl.String, "n_sharing": pl.Int64,
    "n": pl.Int64, "n_prompts": pl.Int64, "asked_sum": pl.Float64, "n_days": pl.Int64,
}  # fmt: skip
N = 1000


def rows(*ties: tuple[int, int, str, str, int, int, float]) -> pl.DataFrame:
    """account, code, family, kind, n, n_prompts, asked_sum of each tie; holders are counted."""
    held: dict[int, int] = {}
    for _, code, *_ in ties:
        held[code] = held.get(code, 0) + 1
    full = [(a, c, f, k, held[c], n, p, s, 1) for a, c, f, k, n, p, s in ties]
    return pl.DataFrame(full, schema=SCHEMA, orient="row")


def scaffold(holders: range, code: int, *, n: int = 10, prompts: int = 10, asked: float = 8.0) -> list[tuple]:
    return [(a, code, "content", "opening8", n, prompts, asked) for a in holders]


def measure_keys(ties: pl.DataFrame, organisation: pl.Series, volume: np.ndarray, n: int) -> pl.DataFrame:
    graph = graph_of(ties, n, organisation, volume)
    return template_reuse.measure_keys(graph, content_incidence(graph))


def incidence(ties: pl.DataFrame) -> pl.DataFrame:
    return content_incidence(graph_of(ties, N))


def strangers(n: int = 20) -> pl.Series:
    return pl.Series([f"org-{i}" for i in range(n)])


def test_a_key_is_measured_as_by_hand() -> None:
    ties = rows(
        *scaffold(range(4), 1),
        (0, 2, "network", "address", 1, 0, 0.0),
        (1, 2, "network", "address", 1, 0, 0.0),
    )
    keys = measure_keys(ties, strangers(), np.full(20, 40.0), N)
    key = keys.row(0, named=True)
    assert key["key_holders_log2"] == 2.0
    assert key["key_rarity_bits"] == pytest.approx(np.log2(250))
    assert key["key_distinct_share"] == 1.0
    assert key["key_evenness"] == pytest.approx(1.0)
    assert key["key_asked"] == pytest.approx(0.8)
    assert key["key_orgs_per_holder"] == 1.0
    assert key["key_linked_share"] == 0.5
    assert key["key_share_of_holder"] == pytest.approx(0.25)
    assert key["key_linked_bits"] > 5


def test_repeats_and_uneven_use_show() -> None:
    even = measure_keys(rows(*scaffold(range(4), 1)), strangers(), np.full(20, 40.0), N)
    single = rows(*scaffold(range(3), 1, n=1, prompts=1), *scaffold(range(3, 4), 1, n=97, prompts=2))
    uneven = measure_keys(single, strangers(), np.full(20, 100.0), N)
    assert uneven["key_evenness"][0] < 0.4 < even["key_evenness"][0]
    assert uneven["key_distinct_share"][0] == pytest.approx(5 / 100)


def test_links_inside_one_organisation_say_nothing() -> None:
    ties = rows(*scaffold(range(4), 1), *[(a, 2, "network", "address", 1, 0, 0.0) for a in range(4)])
    one = pl.Series(["school"] * 4 + [f"o{i}" for i in range(16)])
    assert measure_keys(ties, one, np.full(20, 40.0), N)["key_linked_bits"][0] == 0
    assert measure_keys(ties, strangers(), np.full(20, 40.0), N)["key_linked_bits"][0] > 10


def test_links_that_chance_gives_say_nothing() -> None:
    """Everybody behind one of two carriers: holders meet there whatever they write."""
    many = rows(
        *scaffold(range(10), 1), *[(a, 2 + a % 2, "network", "address", 1, 0, 0.0) for a in range(30)]
    )
    assert measure_keys(many, strangers(30), np.full(30, 40.0), 30)["key_linked_bits"][0] < 3


def test_common_words_and_small_keys_are_left_out() -> None:
    ties = rows(
        *scaffold(range(2), 1),
        *[(a, 2, "content", "exact", 5, 1, 0.0) for a in range(5)],
        *[(a, 3, "client", "ja4", 5, 0, 0.0) for a in range(5)],
        *scaffold(range(3), 4),
    )
    assert incidence(ties)["code"].unique().to_list() == [4]


def test_mixing_cannot_dilute_what_an_account_carries() -> None:
    pure = rows(*scaffold(range(3), 1), *scaffold(range(3), 2))
    mixed = rows(
        *scaffold(range(3), 1),
        *scaffold(range(3), 2),
        *[t for c in range(3, 40) for t in scaffold(range(3), c)],
    )
    codes = pl.Series(range(1, 40))
    bits = np.r_[[5.0, 5.0], np.full(37, -4.0)]
    one = account_template_reuse(incidence(pure), codes[:2], bits[:2], 5)
    other = account_template_reuse(incidence(mixed), codes, bits, 5)
    for column in ("template_reuse_bits_1", "template_reuse_kinds", "template_reuse_requests_log2"):
        assert one[column][0] == other[column][0] > 0
    assert one["template_reuse_bits_3"][0] is None
    assert other["template_reuse_bits_3"][0] == -4.0
    assert one["template_reuse_bits_1"][4] is None


def test_no_text_at_all() -> None:
    nothing = measure_keys(rows(), strangers(3), np.ones(3), 3)
    assert nothing.height == 0
    assert account_template_reuse(incidence(rows()), nothing["code"], np.empty(0), 3).height == 3

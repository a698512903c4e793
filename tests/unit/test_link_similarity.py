"""Accounts that ask alike are found among strangers; classes of one house, copies and common text are not."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from made_shares import graph_of

from detector.link import similarity

Rows = list[tuple[int, int, str, str, int, int, float]]


def world(
    seed: int = 0, *, size: int = 12, copied: bool = False, link: bool = False
) -> tuple[pl.DataFrame, int]:
    """300 accounts with common text; the first ``size`` draw half of their text from a stock of their own."""
    rng = np.random.default_rng(seed)
    n = 300
    rows: Rows = []
    for account in range(n):
        own = rng.choice(4_000, size=25, replace=False) + 1_000
        for key in own.tolist():
            rows.append((account, key, "content", "gram5", 2, 2, 0.1))
        if account < size:
            for key in rng.choice(60, size=20, replace=False).tolist():
                rows.append((account, key, "content", "gram5", 2, 2, 0.1))
            if copied:
                rows.append((account, 9_000 + account // 2, "content", "exact", 40, 1, 0.1))
        if link:
            pool = 8_000 if account < size else 8_001 + account % 40
            rows.append((account, pool, "network", "prefix", 1, 0, 0.0))
    frame = pl.DataFrame(
        rows,
        schema={
            "account": pl.Int64, "code": pl.Int64, "family": pl.String, "kind": pl.String, "n": pl.Int64,
            "n_prompts": pl.Int64, "asked_sum": pl.Float64,
        },
        orient="row",
    ).unique(["account", "code"], maintain_order=True)  # fmt: skip
    shared = frame.with_columns(pl.len().over("code").cast(pl.Int64).alias("n_sharing"))
    return shared.filter(pl.col("n_sharing") >= 2).sort("account", "code"), n


def strangers(n: int) -> pl.Series:
    return pl.Series([f"o{i}" for i in range(n)])


def find(rows: pl.DataFrame, n: int, org: pl.Series | None = None) -> similarity.Alike:
    return similarity.alike(graph_of(rows, n, strangers(n) if org is None else org))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_those_who_draw_on_one_stock_are_a_community(seed: int) -> None:
    rows, n = world(seed)
    found = find(rows, n)
    label = found.label[:12]
    assert (label == label[0]).sum() >= 11
    assert label[0] >= 0
    outside = (found.label[12:] == label[0]).sum()
    assert outside <= 2
    assert found.membership_probability[:12].mean() > 0.6


def test_the_answer_does_not_hang_on_the_order_of_rows() -> None:
    rows, n = world(4)
    again = find(rows.sample(fraction=1.0, shuffle=True, seed=1), n)
    assert (find(rows, n).label == again.label).all()


def test_members_of_one_organisation_are_no_strangers() -> None:
    rows, n = world(5)
    org = pl.Series(["house" if i < 12 else f"o{i}" for i in range(n)])
    label = find(rows, n, org).label
    assert not any((label[:12] == k).sum() > 6 for k in set(label[:12].tolist()) - {-1})


def test_word_by_word_copies_are_left_out() -> None:
    rows, n = world(6, copied=True)
    assert (find(rows, n).label[:12] == -1).all()


def test_text_that_only_repeats_is_no_similarity() -> None:
    rows, n = world(7)
    repeats = rows.with_columns(
        pl.when(pl.col("code") < 60).then(1).otherwise("n_prompts").alias("n_prompts")
    )
    label = find(repeats, n).label[:12]
    assert not any((label == k).sum() > 6 for k in set(label.tolist()) - {-1})


def test_keys_of_many_holders_are_split_into_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, n = world(8)
    monkeypatch.setattr(similarity, "SIMILAR_BUCKET", 4)
    label = find(rows, n).label[:12]
    assert max(np.bincount(label[label >= 0])) >= 8


def test_nothing_shared_is_nobody_alike() -> None:
    rows, n = world(9)
    for some in (rows.head(0), rows.filter(pl.col("family") == "network")):
        found = find(some, n)
        assert (found.label == -1).all()
        assert (found.membership_probability == 0).all()


def test_links_among_members_count_against_chance() -> None:
    rows, n = world(10, link=True)
    label = np.full(n, -1)
    label[:12] = 0
    label[20:32] = 1
    bits = similarity.linked_bits(graph_of(rows, n), label)
    assert bits[:12].min() > 0.5
    assert bits[20:32].mean() < bits[:12].mean()
    assert (bits[40:] == 0).all()
    house = pl.Series(["house" if i < 12 else f"o{i}" for i in range(n)])
    assert (similarity.linked_bits(graph_of(rows, n, house), label)[:12] <= 0).all()


def test_a_community_mostly_bound_by_keys_joins_that_group() -> None:
    rows, n = world(11)
    found = find(rows, n)
    community = np.flatnonzero(found.label == found.label[0])
    bound = np.full(n, -1)
    bound[community[: (len(community) + 1) // 2 + 1]] = 0
    label = similarity.joined(bound, found)
    assert (label[community] == label[community[0]]).mean() > 0.9
    alone = similarity.joined(np.full(n, -1), found)
    assert (alone[community] == alone[community[0]]).mean() > 0.9
    assert sorted(set(alone.tolist()) - {-1}) == list(range(int(alone.max()) + 1))


def test_similarity_within_a_group_is_of_its_members_only() -> None:
    rows, n = world(12)
    found = find(rows, n)
    within = similarity.within(found.graph, found.label)
    assert within[:12].mean() > 3 * within[12:].mean()
    assert (similarity.within(found.graph, np.full(n, -1)) == 0).all()


def test_a_hub_is_compared_by_hands_and_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """2,000 holders of three phrases: each meets a bucket of others, and never more at once than fit."""
    n, keys = 2_000, 3
    rows = pl.DataFrame(
        {
            "account": np.repeat(np.arange(n), keys),
            "code": np.tile(np.arange(keys), n),
            "family": "content", "kind": "gram5", "n": 2, "n_prompts": 2, "asked_sum": 0.1, "n_sharing": n,
        }
    )  # fmt: skip
    monkeypatch.setattr(similarity, "MEETINGS", 20_000)
    graph = graph_of(rows, 20 * n, strangers(n))
    vectors = similarity._vectors(similarity._informative(graph), n)
    buckets = np.diff(vectors.T.tocsr().indptr)
    assert buckets.sum() == n * keys
    assert buckets.max() < 1.5 * similarity.SIMILAR_BUCKET
    runs = list(similarity._chunks(vectors, vectors.T.tocsr()))
    assert [low for low, _ in runs] == [0, *[high for _, high in runs[:-1]]]
    assert runs[-1][1] == n
    met = [buckets[vectors[low:high].indices].sum() for low, high in runs]
    assert max(met) <= similarity.MEETINGS
    near = similarity.alike(graph).graph
    assert np.diff(near.indptr).max() <= similarity.NEAREST

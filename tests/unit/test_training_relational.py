"""What company adds is learned from worlds: suspects' companions are suspicious, and no world judges itself."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from made_shares import Link, on_key, tables

from detector.lab.training.crossfit import cross_fitted, fit_terms
from detector.lab.training.labelled import FOLDS, SharedText, fold_of
from detector.lab.training.relational import KEYS, fit_relational, group_contribution_bits
from detector.score import additive

D1 = date(2026, 3, 2)
N, BAD = 60, 8
WORLDS = 2 * FOLDS


def made_world(world: int, *, days: int = 2) -> tuple[pl.DataFrame, list[SharedText]]:
    """Attackers on exits of their own, half of whom act like anybody; everybody else shares with neighbours."""
    rng = np.random.default_rng(world)
    links: list[Link] = (
        on_key(1, range(BAD)) + on_key(2, range(0, BAD, 2)) + on_key(3, range(1, BAD, 2), "billing")
    )
    for key in range(10, 40):
        links += on_key(key, sorted(rng.choice(np.arange(BAD, N), 3, replace=False).tolist()))
    shared = tables(N, links)
    rows, text = [], []
    for number in range(days):
        day = D1 + timedelta(days=number)
        for account in range(N):
            open_about_it = account < BAD // 2
            harvest = 3.0 + rng.normal() if open_about_it else -7.0 + rng.normal()
            rows.append((world, fold_of(world), day, f"a{account:03d}", int(account < BAD), harvest, None))
        text.append(
            SharedText(world, day, pl.DataFrame(), shared["incidence"], shared["links"], shared["accounts"])
        )
    schema = {
        "world": pl.Int64, "fold": pl.Int64, "day": pl.Date, "account_id": pl.String, "label": pl.Int64,
        "harvest_bits": pl.Float64, "group_contribution_bits": pl.Float64,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row"), text


@pytest.fixture(scope="module")
def worlds() -> tuple[pl.DataFrame, list[SharedText]]:
    made = [made_world(w) for w in range(WORLDS)]
    return pl.concat([a for a, _ in made]), [t for _, text in made for t in text]


def test_the_company_of_suspects_is_suspicious(worlds: tuple[pl.DataFrame, list[SharedText]]) -> None:
    bits, rows, first, second = fit_relational(*worlds, prior=0.02)
    assert len(bits) == len(rows) == len(worlds[0])
    for model in (first, second):
        terms = {t.name: t for t in model.terms}
        assert np.ptp(terms["neighbours_network_1"].levels) > 1
        # More suspect company is never less suspicious.
        assert all((np.diff(t.levels) >= -1e-12).all() for t in model.terms)
    number = rows["account_id"].str.slice(1).cast(pl.Int64).to_numpy()
    quiet_bad, honest = (number >= BAD // 2) & (number < BAD), number >= BAD
    assert bits[quiet_bad].min() > bits[honest].max()
    assert rows["neighbours_network_1"].is_not_null().all()


def test_another_order_of_rows_is_the_same_fit(worlds: tuple[pl.DataFrame, list[SharedText]]) -> None:
    bits, rows, _, model = fit_relational(*worlds, prior=0.02)
    shuffled = worlds[0].sample(fraction=1.0, shuffle=True, seed=4)
    again, rows_again, _, model_again = fit_relational(shuffled, worlds[1], prior=0.02)
    assert rows.equals(rows_again)
    np.testing.assert_array_equal(bits, again)
    assert model.to_json() == model_again.to_json()


def test_days_without_shared_keys_teach_nothing_and_are_remembered() -> None:
    made = [made_world(w) for w in range(FOLDS)]
    accounts = pl.concat([a for a, _ in made])
    last = [text[-1] for _, text in made]
    # The first day's harvest is all there was: the second says nothing of it any more.
    told = accounts.with_columns(
        pl.when(pl.col("day") == D1).then("harvest_bits").otherwise(-9.0).alias("harvest_bits")
    )
    _, rows, _, _ = fit_relational(told, last, prior=0.02)
    assert rows["day"].unique().to_list() == [D1 + timedelta(days=1)]
    before = accounts.filter(pl.col("day") == D1).sort(*KEYS)["harvest_bits"].to_numpy()
    np.testing.assert_array_equal(rows.sort(*KEYS)["harvest_bits"].to_numpy(), np.maximum(before, -9.0))


def test_what_a_world_is_said_to_be_changes_nothing_of_how_it_is_judged(
    worlds: tuple[pl.DataFrame, list[SharedText]],
) -> None:
    frame = worlds[0].sort(*KEYS)

    def fit(some: pl.DataFrame) -> additive.Additive:
        return fit_terms(some, {"harvest_bits": "up"}, None, 3.0)

    told = cross_fitted(frame, fit)
    lied_of = pl.col("fold") == 1
    lied = cross_fitted(
        frame.with_columns(pl.when(lied_of).then(1 - pl.col("label")).otherwise("label").alias("label")), fit
    )
    there = (frame["fold"] == 1).to_numpy()
    np.testing.assert_array_equal(told[there], lied[there])
    for fold in set(range(FOLDS)) - {1}:
        elsewhere = (frame["fold"] == fold).to_numpy()
        assert (told[elsewhere] != lied[elsewhere]).any()


def test_folds_that_teach_nothing_leave_the_odds_even(worlds: tuple[pl.DataFrame, list[SharedText]]) -> None:
    frame = worlds[0].filter(pl.col("fold") < 2)
    assert cross_fitted(frame, lambda some: None).tolist() == [0.0] * len(frame)
    asked: list[set[int]] = []

    def fit(some: pl.DataFrame) -> None:
        asked.append(set(some["fold"]))

    cross_fitted(frame, fit)
    assert asked == [{1}, {0}]


def test_lent_bits_are_of_the_day_and_the_world() -> None:
    d2 = D1 + timedelta(days=1)
    at = [(0, D1), (0, d2), (1, D1)]
    members = pl.DataFrame(
        [
            (w, d, "g", "a", 40.0, "keys", spoofable, 9.0)
            for (w, d), spoofable in zip(at, (False, False, True), strict=True)
        ],
        schema=[
            "world",
            "day",
            "group_id",
            "account_id",
            "member_bits",
            "bond",
            "spoofable",
            "evidence_bits",
        ],
        orient="row",
    )
    groups = pl.DataFrame(
        [(0, D1, "g", 5.0), (1, D1, "g", 7.0)],
        schema=["world", "day", "group_id", "group_bits"],
        orient="row",
    )
    conduct = pl.DataFrame(
        [(w, d, "a", -8.0, -6.0) for w, d in at],
        schema=["world", "day", "account_id", "conduct_bits", "harvest_bits"],
        orient="row",
    )
    found = group_contribution_bits(members, groups, conduct)
    assert found.select(KEYS).rows() == [(w, d, "a") for w, d in at]
    # Measured and unspoofable; not measured that day; spoofable.
    assert found["group_contribution_bits"].to_list() == [pytest.approx(5.0), None, pytest.approx(-4.0)]

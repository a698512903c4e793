"""Training runs the stages of a night: it sees the same features, and no world judges itself."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from made_shares import Link, on_key, tables

from detector.config import Config
from detector.decide.verdict import Previous, decide
from detector.lab.training.crossfit import cross_fitted, fit_terms
from detector.lab.training.figures import figures_of
from detector.lab.training.fitting import Course, fit_stages
from detector.lab.training.labelled import FOLDS, Measured, SharedText, fold_of
from detector.lab.training.lessons import lessons_of
from detector.lake.rows import empty
from detector.score.additive import Additive
from detector.score.detector import Detector
from detector.score.scorer import STAGES, Before, Scores
from detector.score.template_reuse import KEY_TERMS

D1 = date(2026, 3, 2)
N, BAD = 60, 8
WORLDS, DAYS = 2 * FOLDS, 2
KEYS = ["world", "day", "account_id"]


def name(account: int) -> str:
    return f"a{account:03d}"


def synthetic_world(world: int) -> tuple[dict[str, pl.DataFrame], list[SharedText]]:
    """Attackers on exits of their own, half of whom act like anybody; everybody else shares with neighbours.

    The attackers and five honest accounts form a group each. The second day the attackers are quiet.
    """
    rng = np.random.default_rng(world)
    links: list[Link] = [
        *on_key(1, range(BAD)), *on_key(2, range(0, BAD, 2)), *on_key(3, range(1, BAD, 2), "billing"),
    ]  # fmt: skip
    for key in range(10, 40):
        links += on_key(key, sorted(rng.choice(np.arange(BAD, N), 3, replace=False).tolist()))
    text = [
        (a, 100 + k, "line", 4) for k in range(6) for a in (range(4) if k < 2 else range(4 * k, 4 * k + 4))
    ]
    shared = tables(N, links, text)
    codes = sorted({code for _, code, _, _ in text})
    keys = pl.DataFrame(
        {"code": codes} | {term: rng.normal(size=len(codes)) for term in KEY_TERMS}
    ).with_columns(
        key_asked=pl.Series([3.0 if code < 102 else 0.0 for code in codes]),
        share=pl.Series([1.0 if code < 102 else 0.0 for code in codes]),
        holders=pl.lit(4),
    )
    rows: dict[str, list[tuple[object, ...]]] = {"accounts": [], "groups": [], "members": []}
    shared_text = []
    for number in range(DAYS):
        day, stamp = D1 + timedelta(days=number), (world, fold_of(world))
        for account in range(N):
            acts = account < BAD // 2 and number == 0
            rows["accounts"].append(
                (*stamp, day, name(account), 5, int(account < BAD), "distillation" if account < BAD else None,
                 (3.0 if acts else 0.0) + rng.normal() / 9)
            )  # fmt: skip
        for group, bad in (("g1", True), ("g2", False)):
            rows["groups"].append((*stamp, day, group, bad, rng.random() / 9 + (0.0 if bad else 0.5), 3))
            for account in range(BAD) if bad else range(BAD, BAD + 5):
                rows["members"].append(
                    (*stamp, day, group, name(account), "keys", 5.0, False, 0.9, 0.5, 1.0, 9.0, D1,
                     int(account < BAD))
                )  # fmt: skip
        shared_text.append(
            SharedText(world, day, keys, shared["incidence"], shared["links"], shared["accounts"])
        )
    stamp_schema = {"world": pl.Int64, "fold": pl.Int64, "day": pl.Date}
    schemas = {
        "accounts": {"account_id": pl.String, "n_requests": pl.Int64, "label": pl.Int64, "kind": pl.String,
                     "elicitation_sum": pl.Float64},
        "groups": {"group_id": pl.String, "label": pl.Boolean, "load_gini": pl.Float64, "n_active": pl.Int64},
        "members": {"group_id": pl.String, "account_id": pl.String, "bond": pl.String, "strength_bits": pl.Float64,
                    "spoofable": pl.Boolean, "membership_probability": pl.Float64, "similarity": pl.Float64,
                    "linked_bits": pl.Float64, "evidence_bits": pl.Float64, "first_day": pl.Date, "label": pl.Int64},
    }  # fmt: skip
    frames = {
        table: pl.DataFrame(rows[table], schema=stamp_schema | schema, orient="row")
        for table, schema in schemas.items()
    }
    return frames, shared_text


@pytest.fixture(scope="module")
def measured() -> Measured:
    worlds = [synthetic_world(world) for world in range(WORLDS)]
    tables_ = (pl.concat([frames[t] for frames, _ in worlds]) for t in ("accounts", "groups", "members"))
    return Measured(*tables_, tuple(text for _, texts in worlds for text in texts))


@pytest.fixture(scope="module")
def course(measured: Measured) -> Course:
    return fit_stages(lessons_of(measured))


def test_neighbours_of_suspects_are_suspicious(course: Course) -> None:
    terms = {t.name: t for t in course.models.relational.terms}
    assert np.ptp(terms["neighbours_network_1"].levels) > 1
    # More suspect neighbours are never less suspicious.
    assert all((np.diff(t.levels) >= -1e-12).all() for t in course.models.relational.terms)
    rows, bits = course.rows["relational_round_2"], course.answers["relational_round_2"][""]
    number = rows["account_id"].str.slice(1).cast(pl.Int64).to_numpy()
    quiet_attackers, honest = (number >= BAD // 2) & (number < BAD), number >= BAD
    assert bits[quiet_attackers].min() > bits[honest].max()
    assert rows["neighbours_network_1"].is_not_null().all()


def test_every_stage_tells_attackers_from_honest_accounts(course: Course) -> None:
    figures = figures_of(course)
    # Only one attacking account-day in four acts like it.
    assert figures["harvest_auc"] > 0.6
    for stage in ("group", "relational_round_1", "relational_round_2"):
        assert figures[f"{stage}_auc"] > 0.8, stage
    assert figures["account_days"] == WORLDS * DAYS * N


def test_fitting_and_serving_see_equal_features(course: Course) -> None:
    """Day after day, from stored state, a night forms the very rows that training formed under the same answers."""
    models = course.models
    again = fit_stages(course.lessons, fixed=models)
    detector = Detector(models, {})
    previous = None
    n_compared = 0
    for lesson in again.lessons:
        if lesson.site.day == D1:
            previous = Previous(empty("groups").drop("day"), empty("account_scores").drop("day"), None)
        assert previous is not None
        scores = Scores.start(lesson.site, Before.of(previous.accounts, previous.groups))
        for stage in STAGES:
            rows = stage.features(scores)
            assert rows is not None
            taught = again.rows[stage.name].filter(
                (pl.col("world") == lesson.world) & (pl.col("day") == lesson.site.day)
            )
            names = [c for c in rows.columns if c not in ("world", "day", "fold", "label", "kind")]
            assert rows.select(names).equals(taught.select(names)), stage.name
            n_compared += 1
            scores = stage.keep(scores, rows, stage.answer(getattr(models, stage.model), rows))
        day = decide(detector, lesson.site, previous, config=Config(), exempt=(), merged={})
        previous = Previous(day.groups, day.accounts, day.members)
    assert n_compared == len(STAGES) * WORLDS * DAYS


def test_the_peak_of_earlier_days_is_remembered(course: Course) -> None:
    rows = course.rows["relational_round_1"].filter(pl.col("account_id") == name(0)).sort(*KEYS)
    peak = rows["harvest_bits"].to_list()
    # It acts on the first day only.
    assert peak[1::2] == peak[::2]


def test_another_order_of_rows_is_the_same_fit(measured: Measured, course: Course) -> None:
    mixed = [
        table.sample(fraction=1.0, shuffle=True, seed=4).sort("world", "day", maintain_order=True)
        for table in (measured.accounts, measured.groups, measured.members)
    ]
    shuffled = Measured(*mixed, measured.text)
    again = fit_stages(lessons_of(shuffled))
    rows = course.rows["relational_round_2"]
    assert rows["account_id"].equals(again.rows["relational_round_2"]["account_id"])
    np.testing.assert_allclose(
        course.answers["relational_round_2"][""], again.answers["relational_round_2"][""], atol=0.05
    )


def frame(seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    label = np.arange(400) % 5 == 0
    return pl.DataFrame(
        {
            "fold": np.repeat(np.arange(FOLDS), 100),
            "label": label.astype(int),
            "harvest_bits": rng.normal(size=400) + label,
        }
    )


def test_what_a_world_is_said_to_be_changes_nothing_of_how_it_is_judged() -> None:
    def fit(some: pl.DataFrame) -> Additive:
        return fit_terms(some, {"harvest_bits": "up"}, None, 3.0)

    rows = frame()
    truth = cross_fitted(rows, fit)
    lied_of = pl.col("fold") == 1
    lied = cross_fitted(
        rows.with_columns(pl.when(lied_of).then(1 - pl.col("label")).otherwise("label").alias("label")), fit
    )
    there = (rows["fold"] == 1).to_numpy()
    np.testing.assert_array_equal(truth[there], lied[there])
    for fold in set(range(FOLDS)) - {1}:
        elsewhere = (rows["fold"] == fold).to_numpy()
        assert (truth[elsewhere] != lied[elsewhere]).any()


def test_folds_that_teach_nothing_leave_the_odds_even() -> None:
    rows = frame().filter(pl.col("fold") < 2)
    assert cross_fitted(rows, lambda some: None).tolist() == [0.0] * len(rows)
    asked: list[set[int]] = []

    def fit(some: pl.DataFrame) -> None:
        asked.append(set(some["fold"]))

    cross_fitted(rows, fit)
    assert asked == [{1}, {0}]

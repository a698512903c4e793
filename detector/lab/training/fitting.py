"""Fits and calibrates the five models, stage by stage, on the very stages that a night runs (``score.scorer``).

Groups are formed without the classifier, so worlds are measured once. Every stage reads the answers of earlier stages;
those come from models that never saw the world (cross-fitted over worlds), as they will in the field.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from detector.errors import ModelError
from detector.lab.training.additive_fit import calibrate
from detector.lab.training.crossfit import cross_fitted, fit_terms
from detector.lab.training.figures import figures_of
from detector.lab.training.labelled import Measured
from detector.lab.training.lessons import Lesson, before_each, labelled, lessons_of
from detector.score import relational, template_reuse
from detector.score.additive import Additive
from detector.score.conduct import SINGLE_ACCOUNT_KINDS
from detector.score.detector import Detector, Models, Variant
from detector.score.scorer import STAGES, Answer, Before, Scores, Stage
from detector.score.terms import ACCOUNT_TERMS, GROUP_TERMS, MEMBER_TERMS, SINGLE_ACCOUNT_TERMS

Floats = npt.NDArray[np.float64]

#: Attackers among the accounts of an ordinary site, and abusive among its groups (0..1): scores are
#: calibrated to these, not to the worlds' own richer share.
ACCOUNT_PRIOR = 0.01
SINGLE_ACCOUNT_PRIOR = 0.001
GROUP_PRIOR = 0.02
PENALTY, GROUP_PENALTY = 3.0, 10.0
#: Keys of a world and day kept for fitting.
MOST_KEYS = 1_000
#: Honest account-days kept for fitting; the rest teach nothing new and cost memory.
MOST_HONEST = 25_000
#: Attackers weigh so much of the honest in a fit, whatever the worlds held; calibration sets the prior.
ATTACKERS_WEIGH = 0.1


@dataclass(frozen=True)
class Fitted:
    """A stage's model (of all worlds), and its cross-fitted answer to every row it was asked."""

    model: Any
    answer: Answer


#: Fits a stage: rows of all rounds of its model, the rows it is asked now, features it must do without.
Recipe = Callable[[pl.DataFrame, pl.DataFrame, frozenset[str]], Fitted]


def _label(rows: pl.DataFrame) -> npt.NDArray[np.bool_]:
    return (rows["label"] == 1).fill_null(False).to_numpy()


def _balanced(label: npt.NDArray[np.bool_], weight: Floats) -> Floats:
    """``weight`` with the attackers' brought to ``ATTACKERS_WEIGH`` of the honest's; mean 1."""
    weight = weight.copy()
    weight[label] *= ATTACKERS_WEIGH * weight[~label].sum() / max(weight[label].sum(), 1e-9)
    balanced: Floats = weight / weight.mean()
    return balanced


def _usable(terms: Mapping[str, str], without: frozenset[str]) -> dict[str, str]:
    return {name: direction for name, direction in terms.items() if name not in without}


def _calibrated(model: Additive, bits: Floats, rows: pl.DataFrame, prior: float) -> Fitted:
    """The model calibrated on its cross-fitted ``bits`` of ``rows``, and those bits calibrated."""
    taught = rows["label"].is_not_null().to_numpy()
    model = calibrate(model, bits[taught], _label(rows)[taught], prior=prior)
    return Fitted(model, {"": model.slope * bits + model.shift})


def _template_reuse(rows: pl.DataFrame, now: pl.DataFrame, without: frozenset[str]) -> Fitted:
    """Is most of a content key's holders one operation's?"""

    def fit(some: pl.DataFrame) -> Additive:
        of_day = pl.len().over("world", "day")
        chance = 1000 * (MOST_KEYS / of_day).clip(upper_bound=1.0)
        sample = some.filter(((pl.col("code").hash(7) % 1000) < chance) | (pl.col("label") == 1))
        # A key of three with two attackers may be chance; one of thirty is not.
        weight = np.minimum(sample["holders"].to_numpy(), 20).astype(float)
        terms = _usable(template_reuse.KEY_TERMS, without)
        return fit_terms(sample, terms, _balanced(_label(sample), weight), PENALTY)

    return Fitted(fit(rows), {"": cross_fitted(now, fit)})


def _conduct(rows: pl.DataFrame, now: pl.DataFrame, without: frozenset[str]) -> Fitted:
    """One head a kind of abuse, each against honest conduct; a kind of fewer than two worlds gets none."""
    attackers = rows.filter(pl.col("label") == 1)
    kinds = attackers.group_by("kind").agg(pl.col("world").n_unique().alias("n")).filter(pl.col("n") >= 2)
    heads, answer = {}, {}
    for kind in sorted(kinds["kind"]):
        alone = kind in SINGLE_ACCOUNT_KINDS
        like = sum((other in SINGLE_ACCOUNT_KINDS) == alone for other in kinds["kind"])
        prior = (SINGLE_ACCOUNT_PRIOR if alone else ACCOUNT_PRIOR) / like
        terms = _usable(SINGLE_ACCOUNT_TERMS if alone else ACCOUNT_TERMS, without)
        of_kind = rows.with_columns(
            pl.when((pl.col("label") == 0) | (pl.col("kind") == kind)).then("label").alias("label")
        )

        def fit(some: pl.DataFrame, terms: Mapping[str, str] = terms) -> Additive | None:
            sample, weight = _account_sample(some)
            return fit_terms(sample, terms, weight, PENALTY) if _label(sample).any() else None

        model = fit(of_kind)
        assert model is not None
        fitted = _calibrated(model, cross_fitted(of_kind, fit), of_kind, prior)
        heads[kind], answer[kind] = fitted.model, fitted.answer[""]
    return Fitted(heads, answer)


def _account_sample(rows: pl.DataFrame) -> tuple[pl.DataFrame, Floats]:
    """All attacking account-days, and honest ones thinned by hash, with their weights."""
    honest = rows.filter(pl.col("label") == 0)
    keep = min(1.0, MOST_HONEST / max(len(honest), 1))
    thin = honest.filter(pl.struct("world", "account_id", "day").hash(0) % 10_000 < int(keep * 10_000))
    sample = pl.concat([thin, rows.filter(pl.col("label") == 1)])
    return sample, _balanced(_label(sample), np.ones(len(sample)))


def _group(rows: pl.DataFrame, now: pl.DataFrame, without: frozenset[str]) -> Fitted:
    """Is a group one operation?"""

    def fit(some: pl.DataFrame) -> Additive | None:
        bad = _label(some)
        if not bad.any():
            return None
        weight = np.where(bad, 0.2 * (~bad).sum() / bad.sum(), 1.0)
        return fit_terms(some, _usable(GROUP_TERMS, without), weight, GROUP_PENALTY)

    model = fit(rows)
    if model is None:
        raise ModelError(
            "no training world has an abusive group",
            hint="train on more or larger worlds: --worlds, --accounts",
        )
    return _calibrated(model, cross_fitted(now, fit), now, GROUP_PRIOR)


def _membership(rows: pl.DataFrame, now: pl.DataFrame, without: frozenset[str]) -> Fitted:
    """Is a member of an abusive group of the operation?"""

    def fit(some: pl.DataFrame) -> Additive | None:
        taught = some.filter(pl.col("label").is_not_null())
        if taught["label"].n_unique() != 2:
            return None
        return fit_terms(taught, _usable(MEMBER_TERMS, without), None, PENALTY)

    model = fit(rows)
    if model is None:
        return Fitted(Additive((), base=5.0), {"": np.full(len(now), 5.0)})
    return Fitted(model, {"": cross_fitted(now, fit)})


def _relational(rows: pl.DataFrame, now: pl.DataFrame, without: frozenset[str]) -> Fitted:
    """What do an account, its group and its neighbours say together? Both rounds teach one model."""

    def fit(some: pl.DataFrame) -> Additive:
        taught = some.filter(pl.col("label").is_not_null())
        weight = _balanced(_label(taught), np.ones(len(taught)))
        return fit_terms(taught, _usable(relational.TERMS, without), weight, PENALTY)

    bits = cross_fitted(now, fit, learned_from=rows)
    return _calibrated(fit(rows), bits, now, ACCOUNT_PRIOR)


RECIPES: Mapping[str, Recipe] = {
    "template_reuse": _template_reuse,
    "conduct": _conduct,
    "group": _group,
    "membership": _membership,
    "relational": _relational,
}


@dataclass(frozen=True)
class Course:
    """What a pass through all stages leaves: the models, each day's cross-fitted scores, and the rows asked last."""

    models: Models
    lessons: Sequence[Lesson]
    scores: Sequence[Scores]
    rows: Mapping[str, pl.DataFrame]
    answers: Mapping[str, Answer]


def fit_stages(
    lessons: Sequence[Lesson],
    *,
    fixed: Models | Mapping[str, Any] | None = None,
    without: frozenset[str] = frozenset(),
    progress: Callable[[str], None] = lambda stage: None,
) -> Course:
    """Fit the models stage by stage. ``fixed``: models that are not fitted again; ``without``: features not used."""
    scores = [Scores.start(lesson.site, Before.nothing()) for lesson in lessons]
    given = vars(fixed) if isinstance(fixed, Models) else dict(fixed or {})
    models: dict[str, Any] = dict(given)
    taught: dict[str, list[pl.DataFrame]] = {}
    rows: dict[str, pl.DataFrame] = {}
    answers: dict[str, Answer] = {}
    for stage in STAGES:
        progress(stage.name)
        features = [stage.features(each) for each in scores]
        tables = [
            labelled(stage, lesson, each, table)
            for lesson, each, table in zip(lessons, scores, features, strict=True)
            if table is not None
        ]
        now = pl.concat(tables, how="diagonal_relaxed")
        taught.setdefault(stage.model, []).append(now)
        if stage.model in given:
            answer = stage.answer(given[stage.model], now)
        else:
            everything = pl.concat(taught[stage.model], how="diagonal_relaxed")
            fitted = RECIPES[stage.model](everything, now, without)
            models[stage.model], answer = fitted.model, fitted.answer
        rows[stage.name], answers[stage.name] = now, answer
        _keep(stage, lessons, scores, features, answer)
    return Course(Models(**models), lessons, scores, rows, answers)


def _keep(
    stage: Stage,
    lessons: Sequence[Lesson],
    scores: list[Scores],
    features: Sequence[pl.DataFrame | None],
    answer: Answer,
) -> None:
    """Put a stage's answers where later stages find them, day after day."""
    at = 0
    for number, before in enumerate(before_each(lessons, scores)):
        each, table = replace(scores[number], before=before), features[number]
        if table is not None:
            mine = {head: bits[at : at + len(table)] for head, bits in answer.items()}
            at += len(table)
            each = stage.keep(each, table, mine)
        scores[number] = each


def _absent(frame: pl.DataFrame, terms: Iterable[str]) -> list[str]:
    """Features that a log without an input never measures."""
    return [t for t in terms if t not in frame.columns or frame[t].is_null().all()]


def fit_variant(measured: Measured, lacking: Measured, template_model: Additive) -> Variant:
    """Models for logs that lack an input, fitted on worlds that lack it and on the others with it covered.

    Covered: what ``lacking`` never measured is NULL, and groups that similarity alone held together are gone.
    """
    absent = _absent(lacking.accounts, ACCOUNT_TERMS)
    of_groups = _absent(lacking.groups, GROUP_TERMS)
    keyed = measured.members.filter((pl.col("bond") == "keys").any().over("world", "day", "group_id"))

    def covered(frame: pl.DataFrame, columns: Iterable[str]) -> pl.DataFrame:
        return frame.with_columns(
            pl.lit(None, frame.schema[c]).alias(c) for c in columns if c in frame.columns
        )

    groups = measured.groups.join(keyed, on=["world", "day", "group_id"], how="semi", maintain_order="left")
    both = Measured(
        pl.concat([covered(measured.accounts, absent), lacking.accounts], how="diagonal_relaxed"),
        pl.concat([covered(groups, of_groups), lacking.groups], how="diagonal_relaxed"),
        pl.concat([keyed, lacking.members], how="diagonal_relaxed"),
        # Of the text that the others share nothing would be known.
        (*(replace(each, incidence=each.incidence.clear()) for each in measured.text), *lacking.text),
    )
    computed = [t for t in GROUP_TERMS if t not in measured.groups.columns and "similarity" in t]
    course = fit_stages(
        lessons_of(both),
        fixed={"template_reuse": template_model},
        without=frozenset([*absent, *computed]),
    )
    models = course.models
    return Variant(frozenset(absent), models.conduct, models.group, models.relational)


def fit_detector(
    measured: Measured, trained_on: Mapping[str, object], lacking: Mapping[str, Measured] | None = None
) -> tuple[Detector, dict[str, float]]:
    """Fit and calibrate all models; figures are of cross-fitted scores.

    ``lacking``: worlds without an input, by the input, for a variant each.
    """
    course = fit_stages(lessons_of(measured))
    variants = {
        name: fit_variant(measured, worlds, course.models.template_reuse)
        for name, worlds in (lacking or {}).items()
    }
    figures = figures_of(course)
    return Detector(course.models, {**trained_on, **figures}, variants), figures

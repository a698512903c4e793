"""The stages of a score, in order: what each model reads, and what its answer becomes.

A night and the training run the very same stages. The night asks the fitted models; training puts cross-fitted
answers in their place (``lab.training.fitting``). A stage has two pure parts: ``features`` forms one row a subject from
the measurements and from the answers of earlier stages, ``keep`` puts the stage's answer where later stages find it.

    template_reuse   a row a content key      -> template_reuse_* columns of each account
    conduct          a row an account-day     -> harvest, single-account abuse, conduct
    group            a row a group-day        -> group_bits
    membership       a row a member           -> membership_probability
    relational       a row an account         -> the suspicion that the next round asks about
    relational       a row an account         -> relational_raw_bits
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np
import numpy.typing as npt
import polars as pl

from detector.bits import UNKNOWN, probability
from detector.frames import Frame
from detector.link.graph import EvidenceGraph
from detector.score import conduct, fusion, relational, template_reuse
from detector.score.additive import Additive
from detector.score.detector import Models
from detector.score.inputs import group_columns, member_columns, score_frame

Floats = npt.NDArray[np.float64]
#: Log-odds by head of the model, a value a row; a model of one head calls it "".
Answer = Mapping[str, Floats]

#: What is read of members.
BOND = Frame(
    "members",
    {
        "group_id": pl.String,
        "account_id": pl.String,
        "bond": pl.String,
        "strength_bits": pl.Float64,
        "spoofable": pl.Boolean,
        "membership_probability": pl.Float64,
        "similarity": pl.Float64,
        "linked_bits": pl.Float64,
        "evidence_bits": pl.Float64,
        "first_day": pl.Date,
    },
)
#: What the conduct model says of each account of the day.
OWN = Frame(
    "own",
    {"account_id": pl.String, "n_requests": pl.Int64, "conduct_kind": pl.String}
    | dict.fromkeys(("harvest_bits", "single_account_bits", "conduct_bits"), pl.Float64),
)
#: What each group is by its own measurements.
GROUPS = Frame("groups", {"group_id": pl.String, "group_bits": pl.Float64})
#: Every account known, before its neighbours are asked.
ACCOUNTS = Frame(
    "accounts",
    {"account_id": pl.String, "group_id": pl.String, "busy": pl.Int64, "conduct_kind": pl.String}
    | dict.fromkeys(
        ("harvest_bits", "single_account_bits", "conduct_bits", "group_contribution_bits"), pl.Float64
    ),
)
#: The same with the scores of the formula.
FUSED = Frame(
    "fused",
    {"account_id": pl.String}
    | dict.fromkeys(
        ("relational_bits", "spoofable_limit_bits", "without_group_bits", "bits_today"), pl.Float64
    ),
)


@dataclass(frozen=True)
class Before:
    """What was known at the end of the day before.

    ``accounts``: account_id, harvest_bits (the peak). ``groups``: group_id, intrinsic_bits (the peak), intrinsic_day.
    """

    accounts: pl.DataFrame
    groups: pl.DataFrame

    @classmethod
    def of(cls, accounts: pl.DataFrame, groups: pl.DataFrame) -> Before:
        """From yesterday's ``account_scores`` and ``groups``."""
        return cls(
            accounts.select("account_id", "harvest_bits"),
            groups.select("group_id", "intrinsic_bits", "intrinsic_day"),
        )

    @classmethod
    def nothing(cls) -> Before:
        """Before the first day."""
        return cls(
            pl.DataFrame(schema={"account_id": pl.String, "harvest_bits": pl.Float64}),
            pl.DataFrame(
                schema={"group_id": pl.String, "intrinsic_bits": pl.Float64, "intrinsic_day": pl.Date}
            ),
        )


@dataclass(frozen=True)
class SiteDay:
    """What was measured of one day, before anything is scored.

    ``account_days``, ``group_days``: rows of the tables of these names. ``members``: ``BOND`` of every member so far.
    ``graph``: who holds which key in the window; None: neighbours are not measured. ``keys``: the content keys of the
    graph (``template_reuse.measure_keys``).
    """

    day: date
    account_days: pl.DataFrame
    group_days: pl.DataFrame
    members: pl.DataFrame
    graph: EvidenceGraph | None
    keys: pl.DataFrame | None = None


@dataclass(frozen=True)
class Scores:
    """The answers so far, a frame a stage.

    Parameters
    ----------
    account_days : those of the site, with ``template_reuse.ACCOUNT_COLUMNS`` once these are known.
    neighbours : the part of the graph where neighbours are met.
    own : of :func:`conduct.read`.
    groups : of ``group_columns``, with ``group_bits``.
    members : ``BOND`` as the membership model has it, ``first_day`` as ``joined``.
    evidence_of_groups : of ``fusion.group_evidence``.
    accounts : every account known, of ``fusion.accounts_before``.
    suspicion : log2 odds by which neighbours are judged, a value a row of ``accounts``.
    relational : ``accounts`` with the columns of ``relational.TERMS`` and ``relational_raw_bits``.
    """

    site: SiteDay
    before: Before
    neighbours: EvidenceGraph | None
    account_days: pl.DataFrame
    members: pl.DataFrame
    own: pl.DataFrame = field(default_factory=pl.DataFrame)
    groups: pl.DataFrame = field(default_factory=pl.DataFrame)
    evidence_of_groups: pl.DataFrame = field(default_factory=pl.DataFrame)
    accounts: pl.DataFrame = field(default_factory=pl.DataFrame)
    suspicion: Floats | None = None
    relational: pl.DataFrame | None = None

    @classmethod
    def start(cls, site: SiteDay, before: Before) -> Scores:
        members = BOND.check(site.members).select(list(BOND.columns)).rename({"first_day": "joined"})
        graph = None if site.graph is None else site.graph.neighbours
        return cls(site, before, graph, site.account_days, members)

    def after(self) -> Before:
        """What is known at the end of the day, as far as the stages have come."""
        nothing = Before.nothing()
        accounts, groups = self.accounts, self.evidence_of_groups
        return Before(
            accounts.select("account_id", "harvest_bits") if accounts.columns else nothing.accounts,
            groups.select(
                "group_id",
                pl.col("worst_bits").alias("intrinsic_bits"),
                pl.col("worst_day").alias("intrinsic_day"),
            )
            if groups.columns
            else nothing.groups,
        )

    @property
    def harvest(self) -> pl.DataFrame:
        """account_id and ``conduct_bits``, undiscounted: of a member it matters how much it looks like a harvest."""
        return self.own.select("account_id", pl.col("harvest_bits").alias("conduct_bits"))


@dataclass(frozen=True)
class Stage:
    """One model of the score.

    ``model``: its name in ``Models``; two rounds may ask one model. ``features``: a row a subject; None: the day has
    nothing the stage could read. ``keep``: the scores with the answer to those rows.
    """

    name: str
    model: str
    features: Callable[[Scores], pl.DataFrame | None]
    keep: Callable[[Scores, pl.DataFrame, Answer], Scores]

    def answer(self, model: Additive | Mapping[str, Additive], rows: pl.DataFrame) -> Answer:
        """What ``model``, that of the stage, says: calibrated log2 odds of each row."""
        if isinstance(model, Additive):
            return {"": score_frame(model, rows)}
        return conduct.head_bits(model, rows)


def score(models: Models, site: SiteDay, before: Before) -> Scores:
    """All stages of one day under ``models``."""
    scores = Scores.start(site, before)
    for stage in STAGES:
        rows = stage.features(scores)
        if rows is not None:
            scores = stage.keep(scores, rows, stage.answer(getattr(models, stage.model), rows))
    return scores


def fused(models: Models, scores: Scores) -> pl.DataFrame:
    """Every account known with the scores of the formula (``fusion.with_relational``)."""
    unspoofable = beside_neighbours(scores, without_spoofable=True)
    if scores.relational is None or scores.neighbours is None or unspoofable is None:
        nothing = pl.lit(None, pl.Float64)
        accounts = scores.accounts.with_columns(
            shares_keys=pl.lit(False), relational_raw_bits=nothing, unspoofable_bits=nothing
        )
    else:
        accounts = scores.relational.with_columns(
            pl.col("account_id").is_in(scores.neighbours.accounts.implode()).alias("shares_keys"),
            pl.Series("unspoofable_bits", score_frame(models.relational, unspoofable)),
        )
    return FUSED.check(fusion.with_relational(accounts))


def _content_keys(scores: Scores) -> pl.DataFrame | None:
    return None if scores.site.graph is None else scores.site.keys


def _with_template_reuse(scores: Scores, rows: pl.DataFrame, answer: Answer) -> Scores:
    graph = scores.site.graph
    if graph is None:
        return scores
    carried = template_reuse.account_template_reuse(
        template_reuse.content_incidence(graph), rows["code"], answer[""], graph.n_holders
    )
    named = carried.drop("account").with_columns(account_id=graph.accounts)
    days = scores.account_days.join(named, on="account_id", how="left", maintain_order="left")
    return replace(scores, account_days=days)


def _account_days(scores: Scores) -> pl.DataFrame:
    return scores.account_days


def _with_conduct(scores: Scores, rows: pl.DataFrame, answer: Answer) -> Scores:
    return replace(scores, own=OWN.check(conduct.read(answer, rows)))


def _groups(scores: Scores) -> pl.DataFrame:
    return group_columns(scores.site.group_days, scores.members, scores.harvest)


def _with_groups(scores: Scores, rows: pl.DataFrame, answer: Answer) -> Scores:
    today = pl.DataFrame({"group_id": rows["group_id"], "group_bits": answer[""]})
    evidence = fusion.group_evidence(today, scores.before.groups, scores.site.day)
    return replace(
        scores,
        groups=GROUPS.check(rows.with_columns(group_bits=pl.Series(answer[""]))),
        evidence_of_groups=evidence,
    )


def _members(scores: Scores) -> pl.DataFrame:
    return member_columns(scores.members, scores.groups, scores.harvest)


def _with_members(scores: Scores, rows: pl.DataFrame, answer: Answer) -> Scores:
    sure = pl.Series("membership_probability", probability(answer[""]))
    members = scores.members.with_columns(sure)
    accounts = fusion.accounts_before(scores.own, scores.before.accounts, members, scores.evidence_of_groups)
    suspicion = accounts["harvest_bits"].fill_null(UNKNOWN).to_numpy()
    return replace(scores, members=members, accounts=ACCOUNTS.check(accounts), suspicion=suspicion)


def beside_neighbours(scores: Scores, *, without_spoofable: bool = False) -> pl.DataFrame | None:
    """Every account known beside what its neighbours say, under the suspicion so far; None: nothing is shared."""
    if scores.neighbours is None or scores.suspicion is None:
        return None
    accounts = scores.accounts
    return relational.beside(
        accounts,
        scores.neighbours,
        accounts["account_id"],
        scores.suspicion,
        without_spoofable=without_spoofable,
    )


def _with_suspicion(scores: Scores, rows: pl.DataFrame, answer: Answer) -> Scores:
    return replace(scores, suspicion=answer[""])


def _with_relational(scores: Scores, rows: pl.DataFrame, answer: Answer) -> Scores:
    return replace(scores, relational=rows.with_columns(relational_raw_bits=pl.Series(answer[""])))


#: The order in which a day is scored.
STAGES = (
    Stage("template_reuse", "template_reuse", _content_keys, _with_template_reuse),
    Stage("conduct", "conduct", _account_days, _with_conduct),
    Stage("group", "group", _groups, _with_groups),
    Stage("membership", "membership", _members, _with_members),
    Stage("relational_round_1", "relational", beside_neighbours, _with_suspicion),
    Stage("relational_round_2", "relational", beside_neighbours, _with_relational),
)

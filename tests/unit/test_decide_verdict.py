"""Verdicts: budget, exemptions, spoofable bonds, neighbours, peak scores."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from made_shares import on_key, shares, tables

from detector.alert.words import odds_bits
from detector.bits import probability
from detector.config import ACCUSED_FROM, Allow, Config
from detector.decide.budget import BUDGET_DAYS
from detector.decide.exemptions import exemptions
from detector.decide.verdict import Day, Previous, decide
from detector.lake.rows import empty
from detector.link.graph import EvidenceGraph
from detector.link.tracking import MEMBERS
from detector.score.additive import Additive, Term
from detector.score.detector import Detector, Models
from detector.score.fusion import GROUP_ABOVE, LEAST_EVIDENCE
from detector.score.scorer import SiteDay
from detector.tuning import DISCOUNT_FROM

D1, D2 = date(2026, 3, 2), date(2026, 3, 3)


def model(name: str, low: float, high: float) -> Additive:
    """``low`` bits up to one half of ``name``, ``high`` bits above."""
    return Additive((Term(name, np.array([0.5]), np.array([low, high])),), base=0.0)


#: Believes the structural measure: step at 0.95 of membership probability.
MEMBER = Additive((Term("membership_bits", np.array([4.0]), np.array([0.0, 20.0])),), base=0.0)
NOTHING = Additive((), base=0.0)
DETECTOR = Detector(
    Models(
        NOTHING,
        {"distillation": Additive((), base=-9.0), "key_sharing": model("timing_score", -9.0, 4.0)},
        model("load_gini", -9.0, 9.0),
        MEMBER,
        NOTHING,
    ),
    {},
)


def changed(detector: Detector, **models: Additive) -> Detector:
    """The detector with other models; ``conduct`` and ``single_account`` are heads of its conduct model."""
    heads = dict(detector.models.conduct)
    for name, kind in (("conduct", "distillation"), ("single_account", "key_sharing")):
        if name in models:
            heads[kind] = models.pop(name)
    return replace(detector, models=replace(detector.models, conduct=heads, **models))


def run(
    own: dict[str, float],
    groups: dict[str, tuple[float, list[str]]],
    *,
    day: date = D1,
    spoofable: bool = False,
    bond: str = "keys",
    membership_probability: float = 1.0,
    evidence: float | None = 9.0,
    before: Day | None = None,
    config: Config | None = None,
    facts: list[tuple[str, str | None, str | None]] | None = None,
    merged: dict[str, str] | None = None,
    joined: dict[str, date] | None = None,
    detector: Detector = DETECTOR,
    shared: EvidenceGraph | None = None,
) -> Day:
    members = [
        (
            g,
            a,
            (joined or {}).get(a, D1),
            day,
            "active",
            bond,
            5.0,
            spoofable,
            membership_probability,
            0.1,
            0.0,
            evidence,
        )
        for g, (_, accounts) in groups.items()
        for a in accounts
    ]
    site = SiteDay(
        day,
        account_days=pl.DataFrame(
            {"account_id": list(own), "timing_score": list(own.values()), "n_requests": [10] * len(own)},
            schema={"account_id": pl.String, "timing_score": pl.Float64, "n_requests": pl.Int64},
        ),
        group_days=pl.DataFrame(
            {"group_id": list(groups), "load_gini": [v for v, _ in groups.values()]},
            schema={"group_id": pl.String, "load_gini": pl.Float64},
        ),
        members=pl.DataFrame(members, schema={**MEMBERS, "evidence_bits": pl.Float64}, orient="row"),
        graph=shared,
        keys=None if shared is None else tables(0)["keys"],
    )
    return decide(
        detector,
        site,
        Previous(
            before.groups if before else empty("groups").drop("day"),
            before.accounts if before else empty("account_scores").drop("day"),
            before.members if before else None,
        ),
        config=config or Config(alert_budget=5000.0),
        exempt=exemptions(
            pl.DataFrame(
                facts or [],
                schema={"account_id": pl.String, "org_id": pl.String, "program": pl.String},
                orient="row",
            ),
            config or Config(),
            day,
        ),
        merged=merged or {},
    )


def verdicts(day: Day) -> dict[str, str]:
    return dict(day.accounts.select("account_id", "verdict").rows())


def scores(day: Day) -> dict[str, float]:
    return dict(day.accounts.select("account_id", "score").rows())


def test_a_group_contributes_its_score_to_members_and_to_nobody_else() -> None:
    day = run({"a": 0.0, "b": 0.0, "x": 0.0}, {"g": (0.9, ["a", "b"])})
    assert verdicts(day) == {"a": "alert", "b": "alert", "x": "clear"}
    assert scores(day)["a"] == pytest.approx(float(probability(np.array([9.0]))[0]))
    row = day.accounts.filter(pl.col("account_id") == "x").row(0, named=True)
    assert row["group_score"] is None
    assert row["score"] == pytest.approx(row["conduct_score"])


def test_a_member_who_may_not_belong_gets_less() -> None:
    sure = scores(run({"a": 0.0}, {"g": (0.9, ["a"])}))["a"]
    unsure = scores(run({"a": 0.0}, {"g": (0.9, ["a"])}, membership_probability=0.6))["a"]
    assert unsure == pytest.approx(0.5 * sure, rel=1e-3)


def test_a_member_is_accused_only_when_it_surely_belongs_whatever_the_budget_leaves() -> None:
    # Four in five sure of each member of a group that is certain: false members of a true operation.
    likely = changed(DETECTOR, membership=Additive((), base=2.0))
    members = run({"a": 0.0}, {"g": (0.9, ["a"])}, detector=likely)
    assert members.threshold < scores(members)["a"] < ACCUSED_FROM
    assert (verdicts(members), members.groups["verdict"].to_list()) == ({"a": "watch"}, ["alert"])
    own = run({"a": 0.9}, {"g": (0.9, ["a"])}, detector=likely)
    assert verdicts(own) == {"a": "alert"}


def test_the_budget_is_charged_for_those_who_stand_for_themselves_and_only_they_may_use_it() -> None:
    likely = changed(
        DETECTOR, single_account=model("timing_score", -9.0, 2.0), membership=Additive((), base=-1.0)
    )
    alone = run({"a": 0.9}, {}, detector=likely)
    assert alone.threshold < scores(alone)["a"] < ACCUSED_FROM
    assert verdicts(alone) == {"a": "alert"}
    inside = run({"a": 0.9}, {"g": (0.9, ["a"])}, detector=likely)
    assert verdicts(inside) == {"a": "watch"}
    in_clear_group = run({"a": 0.9}, {"g": (0.0, ["a"])}, detector=likely)
    assert verdicts(in_clear_group) == {"a": "alert"}
    unaffordable = run({"a": 0.9}, {"g": (0.0, ["a"])}, detector=likely, config=Config(alert_budget=1.0))
    assert verdicts(unaffordable) == {"a": "watch"}


def test_nobody_is_accused_with_a_group_on_what_cannot_be_shown() -> None:
    for bond in ("keys", "similarity"):
        shown = run({"a": 0.0}, {"g": (0.9, ["a"])}, bond=bond, evidence=LEAST_EVIDENCE)
        assert verdicts(shown) == {"a": "alert"}
        bare = run({"a": 0.0}, {"g": (0.9, ["a"])}, bond=bond, evidence=LEAST_EVIDENCE - 0.1)
        assert (verdicts(bare), len(bare.members)) == ({"a": "clear"}, 0)
        assert bare.groups["verdict"].to_list() == ["watch"]
    gone = run({}, {"g": (0.9, ["a"])}, evidence=None)
    assert (verdicts(gone), len(gone.members)) == ({"a": "clear"}, 1)


def test_a_member_that_joins_after_the_peak_day_gets_the_groups_score_of_today() -> None:
    first = run({"a": 0.0, "b": 0.0}, {"g": (0.9, ["a", "b"])})

    def later(load: float, joined: date) -> dict[str, str]:
        three = dict.fromkeys(("a", "b", "new"), 0.0)
        return verdicts(run(three, {"g": (load, list(three))}, day=D2, before=first, joined={"new": joined}))

    assert later(0.0, D1) == {"a": "alert", "b": "alert", "new": "alert"}  # known since the worst day
    assert later(0.0, D2) == {"a": "alert", "b": "alert", "new": "clear"}
    assert later(0.9, D2)["new"] == "alert"


def test_a_spoofable_bond_does_not_alert_the_victim() -> None:
    day = run({"victim": 0.0}, {"g": (0.9, ["victim"])}, spoofable=True)
    assert verdicts(day) == {"victim": "clear"}
    guilty = run({"a": 0.9}, {"g": (0.9, ["a"])}, spoofable=True)
    assert verdicts(guilty) == {"a": "alert"}


def test_a_group_that_could_all_have_been_spoofable_is_watched_at_most() -> None:
    spoofable = run({"a": 0.0, "b": 0.0}, {"g": (0.9, ["a", "b"])}, spoofable=True)
    assert spoofable.groups.row(0, named=True)["verdict"] == "watch"
    assert spoofable.groups["score"][0] > 0.9
    assert run({"a": 0.0, "b": 0.0}, {"g": (0.9, ["a", "b"])}).groups["verdict"].to_list() == ["alert"]


def test_one_account_alone_is_discounted_and_the_discount_is_a_part() -> None:
    harvest = Additive(DETECTOR.models.conduct["key_sharing"].terms, base=6.0)
    detector = changed(DETECTOR, conduct=harvest, single_account=Additive((), base=-9.0))
    day = run({"a": 0.9}, {}, detector=detector)
    parts = dict(day.parts.select("feature", "bits").rows())
    assert parts["timing_score"] == pytest.approx(4.0)
    assert parts["discount"] == pytest.approx(-0.75 * (10.0 - DISCOUNT_FROM))
    assert scores(day)["a"] == pytest.approx(
        float(probability(np.array([DISCOUNT_FROM + 0.25 * (10.0 - DISCOUNT_FROM)]))[0])
    )
    single = run({"a": 0.9}, {})
    assert verdicts(single) == {"a": "alert"}
    assert "alone" not in single.parts["feature"].to_list()


def test_false_members_leave_a_group_worth_a_look() -> None:
    unsure = {"a": 0.0, "b": 0.0}
    sceptical = changed(DETECTOR, membership=Additive((), base=-3.0))
    assert run(unsure, {"g": (0.9, ["a", "b"])}, detector=sceptical).members.is_empty()
    kept = run(unsure, {"g": (0.0, ["a", "b"])}, detector=sceptical)
    assert (len(kept.members), kept.groups["n_accounts"].to_list()) == (2, [2])
    sure = run(unsure, {"g": (0.9, ["a", "b"])})
    assert (len(sure.members), sure.accounts["group_id"].to_list()) == (2, ["g", "g"])


def test_similarity_contributes_without_a_key() -> None:
    day = run({"a": 0.0}, {"g": (0.9, ["a"])}, spoofable=True, bond="similarity")
    assert verdicts(day) == {"a": "alert"}


def test_candidates_of_similarity_are_kept_from_the_day_they_are_worth_a_look() -> None:
    quiet = run({"a": 0.0}, {"g": (0.0, ["a"])}, spoofable=True, bond="similarity")
    assert quiet.groups.is_empty()
    assert quiet.members.is_empty()
    assert quiet.accounts["group_id"].to_list() == [None]
    assert quiet.parts.filter(pl.col("subject_type") == "group").is_empty()
    loud = run({"a": 0.0}, {"g": (0.9, ["a"])}, spoofable=True, bond="similarity")
    assert (loud.groups["group_id"].to_list(), loud.members["account_id"].to_list()) == (["g"], ["a"])
    later = run({"a": 0.0}, {"g": (0.0, ["a"])}, spoofable=True, bond="similarity", day=D2, before=loud)
    assert later.groups["verdict"].to_list() == ["alert"]
    assert run({"a": 0.0}, {"g": (0.0, ["a"])}).groups["group_id"].to_list() == ["g"]


def test_the_budget_keeps_uncertain_ones_from_alerting() -> None:
    own = {f"a{i}": 0.9 for i in range(50)}
    assert set(verdicts(run(own, {})).values()) == {"alert"}
    strict = run(own, {}, config=Config(alert_budget=1.0))
    assert set(verdicts(strict).values()) == {"watch"}
    assert strict.threshold > max(scores(strict).values())


def test_resellers_and_the_exempt_are_watched_at_most_and_keep_their_score() -> None:
    groups = {"g": (0.9, ["a", "b", "c"])}
    own = {"a": 0.0, "b": 0.0, "c": 0.0}
    plain = run(own, groups)
    config = Config(
        alert_budget=5000.0,
        allow=(
            Allow(reason="contract", expires=date(2026, 12, 31), account_id="a"),
            Allow(reason="old", expires=date(2026, 1, 1), org_id="o"),
        ),
    )
    day = run(own, groups, config=config, facts=[("b", None, "Partner"), ("c", "o", "payg")])
    assert verdicts(day) == {"a": "watch", "b": "watch", "c": "alert"}
    assert scores(day) == scores(plain)
    assert day.groups["verdict"].to_list() == ["watch"]


def test_the_worst_day_stays() -> None:
    first = run({"a": 0.9, "b": 0.0}, {"g": (0.9, ["b"])})
    second = run({"a": 0.0, "c": 0.0}, {"g": (0.0, ["b"])}, day=D2, before=first)
    assert verdicts(second) == {"a": "alert", "b": "alert", "c": "clear"}
    assert scores(second)["a"] == scores(first)["a"]
    group = second.groups.row(0, named=True)
    assert (group["score_day"], group["verdict"], group["state"]) == (D1, "alert", "silent")
    days = dict(second.accounts.select("account_id", "last_day").rows())
    assert days == {"a": D2, "b": D1, "c": D2}
    assert dict(second.accounts.select("account_id", "n_requests").rows()) == {"a": 20, "b": 10, "c": 10}


def test_a_merged_group_says_so() -> None:
    first = run({"a": 0.0, "b": 0.0}, {"g": (0.9, ["a"]), "h": (0.9, ["b"])})
    second = run({"a": 0.0}, {"g": (0.9, ["a", "b"])}, day=D2, before=first, merged={"h": "g"})
    told = {r["group_id"]: (r["state"], r["successor_id"]) for r in second.groups.iter_rows(named=True)}
    assert told == {"g": ("active", None), "h": ("merged", "g")}


def test_parts_add_up_to_the_group_score() -> None:
    day = run({"a": 0.0}, {"g": (0.9, ["a"])})
    parts = day.parts.filter(pl.col("subject_type") == "group")
    assert parts["bits"].sum() == pytest.approx(day.groups["score_bits"][0])


#: One account in five with this score is honest.
UNSURE = changed(DETECTOR, single_account=model("timing_score", -9.0, 2.0))


def worth(expected: float) -> Config:
    """A budget that one active account a day makes worth so many false alerts in ``BUDGET_DAYS``."""
    return Config(alert_budget=10_000 * expected / BUDGET_DAYS)


def test_what_was_alerted_within_the_week_counts_and_what_is_older_is_paid_for() -> None:
    config = worth(0.25)
    first = run({"a": 0.9}, {}, detector=UNSURE, config=config)
    assert verdicts(first) == {"a": "alert"}

    def second(days: int, own: dict[str, float], detector: Detector = UNSURE) -> str:
        later = D1 + timedelta(days=days)
        # As many accounts as before: the same budget.
        return verdicts(run(own, {}, day=later, before=first, detector=detector, config=config))["b"]

    assert second(1, {"b": 0.9}) == "watch"
    assert second(BUDGET_DAYS - 1, {"b": 0.9}) == "watch"
    assert second(BUDGET_DAYS, {"b": 0.9}) == "alert"


def test_who_is_paid_for_costs_again_only_when_it_rises() -> None:
    config = Config(alert_budget=10_000 * 0.25 / BUDGET_DAYS / 2)
    first = run({"a": 0.9, "x": 0.0}, {}, detector=UNSURE, config=config)
    assert verdicts(first) == {"a": "alert", "x": "clear"}

    def beside(a: float, a_bits: float) -> dict[str, str]:
        both = changed(
            UNSURE,
            single_account=Additive(
                (Term("timing_score", np.array([0.5, 0.95]), np.array([-9.0, 2.0, a_bits])),), base=0.0
            ),
        )
        week = D1 + timedelta(days=BUDGET_DAYS)
        return verdicts(run({"a": a, "b": 0.9}, {}, day=week, before=first, detector=both, config=config))

    assert beside(0.9, 2.0) == {"a": "alert", "b": "alert", "x": "clear"}
    assert beside(1.0, 4.0) == {"a": "alert", "b": "watch", "x": "clear"}


def test_an_alerted_group_counts_for_a_week_too() -> None:
    surer = changed(UNSURE, group=model("load_gini", -9.0, 3.2))
    config = worth(0.25)
    first = run({"m": 0.0}, {"g": (0.9, ["m"])}, detector=surer, config=config)
    assert first.groups["verdict"].to_list() == ["alert"]
    for days, verdict in ((1, "watch"), (BUDGET_DAYS, "alert")):
        day = D1 + timedelta(days=days)
        later = run({"b": 0.9}, {}, day=day, before=first, detector=surer, config=config)
        assert verdicts(later)["b"] == verdict


def test_a_small_site_may_spend_in_one_night_what_it_has_for_a_week() -> None:
    expected = 1 - float(probability(np.array([2.0]))[0])
    weekly = run({"a": 0.9}, {}, detector=UNSURE, config=worth(1.1 * expected))
    assert verdicts(weekly) == {"a": "alert"}
    short = run({"a": 0.9}, {}, detector=UNSURE, config=worth(0.9 * expected))
    assert verdicts(short) == {"a": "watch"}
    assert 1.1 * expected / BUDGET_DAYS < expected


def test_a_group_is_accused_from_the_same_certainty_as_its_members() -> None:
    for bits, verdict in ((3.0, "watch"), (3.3, "alert")):
        likely = changed(DETECTOR, group=model("load_gini", -9.0, bits))
        day = run({"a": 0.0}, {"g": (0.9, ["a"])}, detector=likely)
        assert day.threshold < day.groups["score"][0]
        assert (day.groups["score"][0] >= ACCUSED_FROM) == (verdict == "alert")
        assert day.groups["verdict"].to_list() == [verdict]


#: Four acts of harvest and an exit shared with others who do are certain.
RELATIONAL = changed(
    DETECTOR,
    conduct=model("timing_score", -9.0, 4.0),
    single_account=Additive((), base=-9.0),
    relational=model("neighbours_network_1", -9.0, 6.0),
)
HARVEST = [f"a{i:03d}" for i in range(4)]


def site(harvest: float = 0.9) -> dict[str, float]:
    """Forty accounts; the first four act as a harvest."""
    return {f"a{i:03d}": harvest if i < 4 else 0.0 for i in range(40)}


def exits(*, spoofable: bool = False) -> EvidenceGraph:
    return shares(40, [*on_key(1, range(4), spoofable=spoofable), *on_key(2, [8, 9])])


def parts_of(day: Day, subject: str) -> dict[str, float]:
    rows = day.parts.filter(pl.col("subject_id") == subject)
    assert rows["feature"].is_unique().all()
    return dict(rows.select("feature", "bits").iter_rows())


def test_a_ring_raises_a_group_to_the_median_relational_score_of_its_members() -> None:
    three = HARVEST[:3]
    without = run(site(), {"g": (0.0, three)}, detector=RELATIONAL)
    assert without.groups["score_bits"].to_list() == [-9.0]
    day = run(site(), {"g": (0.0, three)}, detector=RELATIONAL, shared=exits())
    group = day.groups.row(0, named=True)
    assert (group["group_id"], group["verdict"], group["n_accounts"]) == ("g", "alert", 4)
    assert (group["score_bits"], group["intrinsic_bits"]) == (6.0, -9.0)
    assert parts_of(day, "g") == {"base_rate": 0.0, "load_gini": -9.0, "neighbours": 15.0}
    bond = dict(day.members.select("account_id", "bond").iter_rows())
    assert bond == {**dict.fromkeys(three, "keys"), HARVEST[3]: "neighbours"}
    assert set(day.accounts.filter(pl.col("group_id") == "g")["account_id"]) == set(HARVEST)
    assert {a for a, v in verdicts(day).items() if v == "alert"} == set(HARVEST)


def test_a_group_surer_than_its_members_neighbours_is_limited_and_says_so() -> None:
    day = run(site(), {"g": (0.9, HARVEST)}, detector=RELATIONAL, shared=exits())
    half = day.accounts.filter(pl.col("account_id").is_in(HARVEST))["relational_score"].median()
    assert isinstance(half, float)
    assert day.groups["score_bits"].to_list() == pytest.approx([odds_bits(half) + GROUP_ABOVE])
    taken = day.parts.filter(pl.col("feature") == "neighbours")["bits"].to_list()
    assert taken == pytest.approx([day.groups["score_bits"][0] - 9.0])
    assert taken[0] < 0


def test_suspects_of_no_group_are_one_and_keep_its_name() -> None:
    first = run(site(), {}, detector=RELATIONAL, shared=exits())
    (name,) = first.groups["group_id"]
    assert first.groups["intrinsic_bits"].to_list() == [None]
    assert parts_of(first, name) == {"neighbours": 6.0}
    assert first.members["account_id"].to_list() == HARVEST
    second = run(site(0.0), {}, day=D2, before=first, detector=RELATIONAL, shared=exits())
    assert second.groups["group_id"].to_list() == [name]
    assert second.members["first_day"].to_list() == [D1] * 4
    # A day later they may have been formed into a group: the name they are known by stays.
    formed = run(site(), {"g": (0.0, HARVEST)}, day=D2, before=first, detector=RELATIONAL, shared=exits())
    assert set(formed.members["group_id"]) == {name}
    assert formed.merged == {"g": name}


def test_a_group_that_lies_in_a_ring_goes_into_it() -> None:
    apart = {"g": (0.0, [*HARVEST[:3]]), "h": (0.9, [HARVEST[3]])}
    day = run(site(), apart, detector=RELATIONAL, shared=exits())
    assert day.merged == {"h": "g"}
    assert set(day.members["group_id"]) == {"g"}
    assert dict(day.members.select("account_id", "origin_id").iter_rows())[HARVEST[3]] == "h"
    later = run(site(), apart, day=D2, before=day, detector=RELATIONAL, shared=exits())
    assert later.merged == {"h": "g"}
    assert later.groups.filter(pl.col("state") != "merged")["group_id"].to_list() == ["g"]


def test_a_group_whose_ring_is_no_more_stands_again() -> None:
    two = {"g": (0.9, HARVEST[:2]), "h": (0.9, HARVEST[2:])}
    formed = run(site(), two, day=D1 - timedelta(days=1), detector=RELATIONAL)
    one = run(site(), two, before=formed, detector=RELATIONAL, shared=exits())
    states = {r["group_id"]: (r["state"], r["successor_id"]) for r in one.groups.iter_rows(named=True)}
    assert states == {"g": ("active", None), "h": ("merged", "g")}
    # Nothing is shared any more: who is alerted with ``h`` must be told of by it.
    apart = run(site(), two, day=D2, before=one, detector=RELATIONAL, shared=shares(40))
    states = {r["group_id"]: (r["state"], r["successor_id"]) for r in apart.groups.iter_rows(named=True)}
    assert states == {"g": ("active", None), "h": ("active", None)}
    assert set(apart.members.filter(pl.col("group_id") == "h")["account_id"]) == set(HARVEST[2:])


def test_contributions_add_up_to_the_score_of_an_account_with_neighbours() -> None:
    # Conduct -1.25 bits, harvest 4, neighbours 9, spoofable above 6; the group contributes 9, limited to 8.
    sure = changed(RELATIONAL, relational=model("neighbours_network_1", -9.0, 9.0))
    day = run(site(), {"g": (0.9, HARVEST[:2])}, detector=sure, shared=exits(spoofable=True))
    expected = {
        "a000": {"base_rate": 0.0, "neighbours_network_1": 9.0},
        "a002": {"base_rate": 0.0, "neighbours_network_1": 9.0, "spoofable_limit": -3.0},
    }
    bits = dict(day.accounts.select("account_id", "score_bits").iter_rows())
    for account, parts in expected.items():
        assert parts_of(day, account) == pytest.approx(parts)
        assert sum(parts.values()) == pytest.approx(bits[account])
    unspoofable = run(site(), {"g": (0.9, HARVEST[:2])}, detector=RELATIONAL, shared=exits())
    assert parts_of(unspoofable, "a000") == pytest.approx(
        {"base_rate": 0.0, "neighbours_network_1": 6.0, "group_contribution": 2.0}
    )
    assert dict(unspoofable.accounts.select("account_id", "score_bits").iter_rows())["a000"] == pytest.approx(
        8.0
    )
    assert dict(unspoofable.accounts.select("account_id", "relational_score").iter_rows())[
        "a000"
    ] == pytest.approx(float(probability(np.array([6.0]))[0]))


def test_neighbours_on_a_site_without_suspects_say_nothing() -> None:
    day = run(site(0.0), {"g": (0.0, HARVEST)}, detector=RELATIONAL, shared=exits())
    assert set(verdicts(day).values()) == {"clear"}
    assert day.groups["verdict"].to_list() == ["clear"]
    assert day.parts.filter(pl.col("subject_type") == "account").is_empty()


def test_a_day_without_anybody() -> None:
    day = run({}, {})
    assert (day.accounts.height, day.groups.height, day.parts.height) == (0, 0, 0)

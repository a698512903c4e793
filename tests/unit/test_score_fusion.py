"""The score of an account by the end of a day: what its group contributes and what its neighbours say."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest
from made_shares import on_key, shares

from detector.bits import UNKNOWN, probability
from detector.link.graph import EvidenceGraph
from detector.score.additive import Additive, Term
from detector.score.detector import Models
from detector.score.fusion import (
    GROUP_ABOVE,
    LEAST_EVIDENCE,
    SPOOFABLE_BITS,
    accounts_before,
    group_contribution,
    group_evidence,
)
from detector.score.scorer import BOND as BOND_READ
from detector.score.scorer import STAGES, Before, Scores, SiteDay, fused

D1, D2 = date(2026, 3, 2), date(2026, 3, 3)
NOTHING = Additive((), base=0.0)
GROUPS = {"group_id": pl.String, "intrinsic_bits": pl.Float64, "intrinsic_day": pl.Date}


def groups(*rows: tuple[str, float | None, date | None]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=GROUPS, orient="row")


def today(*rows: tuple[str, float]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema={"group_id": pl.String, "group_bits": pl.Float64}, orient="row")


def rows_of(frame: pl.DataFrame) -> dict[str, tuple[Any, ...]]:
    return {r[0]: r[1:] for r in frame.iter_rows()}


def test_a_group_contributes_its_peak_score_and_says_of_which_day() -> None:
    found = group_evidence(
        today(("rises", 5.0), ("falls", -2.0), ("new", 1.0), ("same", 3.0), ("first", 0.5)),
        groups(("rises", 4.0, D1), ("falls", 4.0, D1), ("away", 2.0, D1), ("same", 3.0, D1), ("first", None, None)),
        D2,
    )  # fmt: skip
    assert rows_of(found.select("group_id", "today_bits", "worst_bits", "worst_day")) == {
        "rises": (5.0, 5.0, D2),
        "falls": (-2.0, 4.0, D1),
        "new": (1.0, 1.0, D2),
        "away": (None, 2.0, D1),
        "same": (3.0, 3.0, D1),
        "first": (0.5, 0.5, D2),
    }


def bond(**of: Any) -> pl.DataFrame:
    """One member of a group that is certainly abusive, and the member is surely in it by an unspoofable key."""
    row: dict[str, Any] = {
        "group_bits": 8.0, "membership_probability": 1.0, "bond": "keys", "spoofable": False,
        "evidence_bits": LEAST_EVIDENCE,
        "conduct_bits": -7.0, "harvest_bits": -6.0,
    } | of  # fmt: skip
    schema = dict.fromkeys(row, pl.Float64) | {"bond": pl.String, "spoofable": pl.Boolean}
    return pl.DataFrame([row], schema=schema)


def contributed(**of: Any) -> float | None:
    frame = bond(**of)
    found: float | None = frame.select(group_contribution(frame)).item()
    return found


def test_an_unspoofable_bond_contributes_the_groups_score() -> None:
    assert contributed() == pytest.approx(8.0)
    assert contributed(group_bits=None) is None


def test_a_member_that_may_not_belong_gets_the_joint_probability() -> None:
    found = contributed(membership_probability=0.6)
    assert found is not None
    assert probability(np.array([found]))[0] == pytest.approx(0.6 * probability(np.array([8.0]))[0])
    unknown = contributed(membership_probability=None)
    assert unknown is not None
    assert unknown < -25


@pytest.mark.parametrize(
    "weak", [{"spoofable": True}, {"spoofable": None}, {"evidence_bits": LEAST_EVIDENCE - 0.01}]
)
def test_a_bond_that_may_be_spoofable_or_not_be_shown_contributes_little_beyond_conduct(
    weak: dict[str, Any],
) -> None:
    assert contributed(**weak) == pytest.approx(-6.0 + SPOOFABLE_BITS)
    assert contributed(**weak, conduct_bits=1.0) == pytest.approx(1.0 + SPOOFABLE_BITS)
    assert contributed(**weak, conduct_bits=7.5) == pytest.approx(8.0)
    assert contributed(**weak, conduct_bits=None, harvest_bits=None) == pytest.approx(-12.0 + SPOOFABLE_BITS)


def test_similarity_needs_no_key_but_something_to_show() -> None:
    assert contributed(bond="similarity", spoofable=True) == pytest.approx(8.0)
    assert contributed(bond="similarity", spoofable=True, evidence_bits=1.0) == pytest.approx(
        -6.0 + SPOOFABLE_BITS
    )
    # Nothing of it is in the window any more: nothing can be shown.
    assert contributed(evidence_bits=None) == pytest.approx(-6.0 + SPOOFABLE_BITS)


OWN = {
    "account_id": pl.String, "conduct_bits": pl.Float64, "harvest_bits": pl.Float64, "single_account_bits": pl.Float64,
    "conduct_kind": pl.String, "n_requests": pl.Int64,
}  # fmt: skip
BOND = {
    "group_id": pl.String, "account_id": pl.String, "bond": pl.String, "spoofable": pl.Boolean,
    "membership_probability": pl.Float64,
    "evidence_bits": pl.Float64, "joined": pl.Date,
}  # fmt: skip


def conduct(*rows: tuple[str, float, float, float]) -> pl.DataFrame:
    """account_id, own, harvest and single-account bits."""
    return pl.DataFrame([(*r, "distillation", 10) for r in rows], schema=OWN, orient="row")


def before(*rows: tuple[str, float | None]) -> pl.DataFrame:
    return pl.DataFrame(
        list(rows), schema={"account_id": pl.String, "harvest_bits": pl.Float64}, orient="row"
    )


def members(*rows: tuple[str, str, date], spoofable: bool = False) -> pl.DataFrame:
    return pl.DataFrame(
        [(g, a, "keys", spoofable, 1.0, 9.0, d) for g, a, d in rows], schema=BOND, orient="row"
    )


def test_everybody_known_stands_and_the_worst_harvest_is_remembered() -> None:
    found = accounts_before(
        conduct(("b", -8.0, -8.0, -9.0), ("n", -5.0, -4.0, -9.0)),
        before(("b", -2.0), ("gone", 1.5), ("old", None)),
        members(("g", "m", D1)),
        group_evidence(today(), groups(("g", 6.0, D1)), D2),
    )
    assert found["account_id"].to_list() == ["b", "gone", "m", "n", "old"]
    assert rows_of(found.select("account_id", "harvest_bits", "busy")) == {
        "b": (-2.0, 10), "n": (-4.0, 10), "gone": (1.5, None), "m": (None, None), "old": (None, None),
    }  # fmt: skip
    assert rows_of(found.select("account_id", "group_contribution_bits"))["m"] == (pytest.approx(6.0),)


def test_what_was_done_before_the_bond_does_not_bear_out_a_spoofable_one() -> None:
    found = accounts_before(
        conduct(("a", -8.0, -8.0, -9.0)),
        before(("a", 3.0)),
        members(("g", "a", D1), spoofable=True),
        group_evidence(today(("g", 8.0)), groups(), D1),
    )
    assert rows_of(found.select("account_id", "harvest_bits", "group_contribution_bits")) == {
        "a": (3.0, -8.0 + SPOOFABLE_BITS)
    }


def test_a_member_that_joined_after_the_peak_day_gets_the_groups_score_of_today() -> None:
    own = conduct(*((a, -8.0, -8.0, -9.0) for a in ("early", "late")))
    bonds = members(("g", "early", D1), ("g", "late", D2))
    fallen = accounts_before(
        own, before(), bonds, group_evidence(today(("g", 1.0)), groups(("g", 6.0, D1)), D2)
    )
    assert rows_of(fallen.select("account_id", "group_contribution_bits")) == {
        "early": (pytest.approx(6.0),), "late": (pytest.approx(1.0),),
    }  # fmt: skip
    silent = accounts_before(own, before(), bonds, group_evidence(today(), groups(("g", 6.0, D1)), D2))
    assert rows_of(silent.select("account_id", "group_contribution_bits")) == {
        "early": (pytest.approx(6.0),),
        "late": (None,),
    }


def step(name: str, *levels: float) -> Term:
    """``levels[0]`` bits up to half a bit of ``name``, the next above."""
    return Term(name, np.array([0.5]), np.array(levels))


#: Believes in neighbours: an account that shares an exit with suspects is one, to ten bits.
RELATIONAL = Additive((step("harvest_bits", 0.0, 19.0), step("neighbours_network_1", 0.0, 19.0)), base=-9.0)


def rounds(
    model: Additive, known: pl.DataFrame, shares_: EvidenceGraph | None
) -> tuple[Models, Scores, Scores]:
    """The models, and the scores after the first and after the second relational round."""
    models = Models(NOTHING, {}, NOTHING, NOTHING, model)
    site = SiteDay(D1, pl.DataFrame(), pl.DataFrame(), BOND_READ.empty(), None)
    suspicion = known["harvest_bits"].fill_null(UNKNOWN).to_numpy()
    scores = replace(
        Scores.start(site, Before.nothing()), neighbours=shares_, accounts=known, suspicion=suspicion
    )
    after = []
    for stage in STAGES[-2:]:
        rows = stage.features(scores)
        if rows is not None:
            scores = stage.keep(scores, rows, stage.answer(model, rows))
        after.append(scores)
    return models, after[0], after[1]


def with_relational(model: Additive, known: pl.DataFrame, shares_: EvidenceGraph | None) -> pl.DataFrame:
    models, _, scores = rounds(model, known, shares_)
    return fused(models, scores)


def accounts(*rows: tuple[str, float | None, float | None, float | None, float | None]) -> pl.DataFrame:
    """account_id, own, harvest, single-account and group bits, as ``accounts_before`` leaves them."""
    schema = {"account_id": pl.String} | dict.fromkeys(
        ("conduct_bits", "harvest_bits", "single_account_bits", "group_contribution_bits"), pl.Float64
    )
    return pl.DataFrame(list(rows), schema=schema, orient="row")


QUIET = (-8.0, -8.0, -9.0, None)


def beside_two_suspects(*, spoofable: bool) -> EvidenceGraph:
    """``a000`` shares an exit with the harvesters ``a001`` and ``a002``; ``a003`` shares nothing suspect."""
    return shares(40, [*on_key(1, [0, 1, 2], spoofable=spoofable), *on_key(2, [3, 4])])


def test_neighbours_on_unspoofable_keys_count_in_full() -> None:
    known = accounts(("a000", *QUIET), *((f"a00{i}", 3.0, 3.0, -9.0, None) for i in (1, 2)), ("a003", *QUIET))
    found = with_relational(RELATIONAL, known, beside_two_suspects(spoofable=False))
    row = found.row(0, named=True)
    assert (
        row["relational_bits"],
        row["spoofable_limit_bits"],
        row["without_group_bits"],
        row["bits_today"],
    ) == (
        10.0,
        0.0,
        10.0,
        10.0,
    )
    assert found.row(3, named=True)["relational_bits"] == -9.0


def test_neighbours_on_spoofable_keys_add_little_to_conduct() -> None:
    def first(own: float, group_contribution_bits: float | None = None) -> dict[str, Any]:
        mine = ("a000", own, own - 1, -9.0, group_contribution_bits)
        known = accounts(mine, *((f"a00{i}", 3.0, 3.0, -9.0, None) for i in (1, 2)))
        return with_relational(RELATIONAL, known, beside_two_suspects(spoofable=True)).row(0, named=True)

    assert first(-8.0)["relational_bits"] == -8.0 + SPOOFABLE_BITS
    assert first(-8.0)["spoofable_limit_bits"] == -8.0 + SPOOFABLE_BITS - 10.0
    assert first(1.0)["relational_bits"] == 1.0 + SPOOFABLE_BITS
    # A group contribution on a bond that was weighed already is not limited again as spoofable.
    assert first(-8.0, 5.0)["relational_bits"] == 5.0 + SPOOFABLE_BITS
    assert first(30.0)["spoofable_limit_bits"] == 0.0


def test_an_unspoofable_key_bears_out_its_own_neighbours_only() -> None:
    # An unspoofable exit is worth 3 bits, a client that anybody can copy 10 more.
    says = Additive(
        (
            step("harvest_bits", 0.0, 20.0),
            step("neighbours_network_1", 0.0, 3.0),
            step("neighbours_client_1", 0.0, 10.0),
        ),
        base=-4.0,
    )
    known = accounts(("a000", *QUIET), *((f"a00{i}", 3.0, 3.0, -9.0, None) for i in (1, 2)))
    held = shares(40, [*on_key(1, [0, 1, 2]), *on_key(2, [0, 1, 2], "client", spoofable=True)])
    row = with_relational(says, known, held).row(0, named=True)
    assert (row["unspoofable_bits"], row["relational_bits"], row["spoofable_limit_bits"]) == (
        -1.0,
        -1.0 + SPOOFABLE_BITS,
        -8.0,
    )


def test_where_nothing_is_shared_the_account_stands_as_it_is() -> None:
    known = accounts(("x", 2.0, 5.0, 1.0, None), ("y", -8.0, -8.0, -9.0, 6.0))
    for made in (
        with_relational(RELATIONAL, known, None),
        with_relational(RELATIONAL, known, beside_two_suspects(spoofable=False)),
    ):
        assert made["relational_bits"].to_list() == [None, None]
        assert made["spoofable_limit_bits"].to_list() == [None, None]
        assert made["without_group_bits"].to_list() == [2.0, -8.0]
        # No neighbours bear the group out, and none speak against it.
        assert made["bits_today"].to_list() == [2.0, 6.0]


def test_the_score_is_the_highest_of_three_and_neighbours_limit_the_group() -> None:
    def score(single: float, neighbours_bits: float, group_contribution_bits: float | None) -> float:
        says = Additive((), base=neighbours_bits)
        # Harvest counts only through the neighbours where there are any.
        known = accounts(("a000", 7.0, 7.0, single, group_contribution_bits), ("a001", *QUIET))
        found = with_relational(says, known, shares(5, on_key(1, [0, 1])))
        bits: float = found["bits_today"][0]
        return bits

    assert score(4.0, -5.0, None) == 4.0
    assert score(-9.0, -5.0, None) == -5.0
    assert score(-9.0, 3.0, 9.0) == 3.0 + GROUP_ABOVE
    assert score(-9.0, 3.0, 3.5) == 3.5
    assert score(-9.0, 3.0, -6.0) == 3.0
    assert score(6.0, -5.0, 9.0) == 6.0


def test_suspicion_travels_two_hops() -> None:
    # a002 harvests; a001 knows it, a000 knows only a001.
    links = [*on_key(1, [0, 1]), *on_key(2, [1, 2])]
    model = Additive((step("harvest_bits", -6.0, 6.0), step("neighbours_network_1", 0.0, 14.0)), base=0.0)
    quiet = [(f"a{i:03d}", *QUIET) for i in range(40)]
    known = accounts(*quiet[:2], ("a002", 3.0, 3.0, -9.0, None), *quiet[3:])
    _, first, second = rounds(model, known, shares(40, links))
    assert first.suspicion is not None
    assert second.relational is not None
    assert first.suspicion[:3].tolist() == [-6.0, 8.0, 6.0]
    assert second.relational["relational_raw_bits"][:2].to_list() == [8.0, 8.0]


def test_accounts_of_whom_nothing_was_measured_are_no_suspects() -> None:
    known = accounts(("a000", *QUIET), ("a001", None, None, None, None))
    found = with_relational(RELATIONAL, known, shares(2, on_key(1, [0, 1])))
    assert found["relational_bits"].to_list() == [-9.0, -9.0]
    assert (
        found["bits_today"].to_list()
        == found["without_group_bits"].to_list()
        == found["relational_bits"].to_list()
    )

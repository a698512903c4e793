"""One small world measured once: scoring repeated equals the nightly run, and held-out training holds out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from detector import pipeline
from detector.lab.benchmark import ablation, design, heldout, measuring, replay
from detector.lab.benchmark.figures import tally
from detector.lab.benchmark.scored import judged
from detector.lab.benchmark.windows import with_template_reuse
from detector.lab.pool import spread
from detector.lab.training import labelled
from detector.lab.worlds.archetypes import ARCHETYPES
from detector.lab.worlds.campaigns import CAMPAIGNS
from detector.lab.worlds.spec import WorldSpec
from detector.score.additive import Additive, Term
from detector.score.detector import Detector, Models
from detector.score.template_reuse import KEY_TERMS
from detector.score.terms import ACCOUNT_TERMS, GROUP_TERMS, MEMBER_TERMS, SINGLE_ACCOUNT_TERMS

SPEC = WorldSpec(
    seed=900_611, days=3, honest_accounts=140, attacker_share=0.15, evasion_level=0, requests=6000,
    campaigns=("cot_rubric", "bulk_questions"), poison=True,
)  # fmt: skip


def rising(name: str, *edges: float) -> Term:
    return Term(name, np.array(edges), np.linspace(-1.0, 6.0, len(edges) + 1))


DETECTOR = Detector(
    Models(
        template_reuse=Additive(tuple(rising(t, 0.5) for t in KEY_TERMS), base=-3.0),
        conduct={
            "distillation": Additive(
                (
                    rising("elicitation_sum", 1, 4),
                    rising("template_reuse_bits_1", 0, 2),
                    rising("n_prefixes", 3),
                ),
                base=-7.0,
            )
        },
        group=Additive((rising("mean_conduct_bits", -4, -2, 0), rising("families_per_member", 2)), base=-1.0),
        membership=Additive((rising("membership_bits", 0, 3),), base=1.0),
        relational=Additive(
            (
                rising("harvest_bits", -4, 0),
                rising("group_contribution_bits", 0),
                rising("neighbours_content_1", 1, 3),
            ),
            base=-4.0,
        ),
    ),
    trained_on={},
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[replay.Replayed]:
    folder = tmp_path_factory.mktemp("work") / "world"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "load_detector", lambda: DETECTOR)
        task = measuring.Task(SPEC, folder, "this code")
        yield replay.load(measuring.measure(task))


def test_scoring_again_equals_the_nightly_run(world: replay.Replayed) -> None:
    decided = replay.decide_days(world, DETECTOR)
    assert len(decided) == 3
    for day, scored in decided.items():
        here = pl.col("day") == day
        assert scored.accounts.equals(world.table("account_scores").filter(here).drop("day"))
        assert scored.groups.equals(world.table("groups").filter(here).drop("day"))
    assert {"alert", "clear"} <= set(scored.accounts["verdict"])


def test_another_detector_gives_other_scores(world: replay.Replayed) -> None:
    less = ablation.without(DETECTOR, "what is asked for")
    assert less.models.conduct["distillation"].names == ("template_reuse_bits_1", "n_prefixes")
    assert "key_asked" not in less.models.template_reuse.names
    assert (
        "template_reuse_bits_1"
        not in ablation.without(DETECTOR, "shared text").models.conduct["distillation"].names
    )
    last = world.days[-1]
    ours, theirs = (replay.decide_days(world, d)[last].accounts["score_bits"] for d in (DETECTOR, less))
    assert not ours.equals(theirs)
    assert ablation.without(DETECTOR, "clocks") == DETECTOR


def test_families_of_evidence_name_measurements_that_exist() -> None:
    for family in ablation.FAMILIES:
        unknown = {c for c in ablation.columns_of(family) if "." in c}
        assert not unknown, f"{family}: no plug-in {unknown}"


def test_only_measurements_are_kept(world: replay.Replayed) -> None:
    assert not (world.folder / "lake").exists()
    assert not (world.folder / "world" / "logs").exists()
    assert world.note["n_requests"] == world.table("traffic")["n_requests"].sum()
    marked = world.table("traffic").join(world.truth.select("account_id", "label"), on="account_id")
    assert marked.filter(pl.col("label") == 1)["n_harvest"].sum() > 0
    assert marked.filter(pl.col("label") == 0)["n_harvest"].sum() == 0


def test_a_finished_world_is_left_alone_and_other_code_makes_it_again(world: replay.Replayed) -> None:
    marker = world.folder / "measured"
    before = marker.stat().st_mtime_ns
    measuring.measure(measuring.Task(SPEC, world.folder, "this code"))
    assert marker.stat().st_mtime_ns == before
    assert measuring.measured(world.folder, "this code")
    assert not measuring.measured(world.folder, "other code")
    assert not measuring.measured(world.folder / "nowhere", "this code")


def test_every_account_with_traffic_is_judged_once(world: replay.Replayed) -> None:
    decided = replay.decide_days(world, DETECTOR)
    scored = judged(world, decided)
    sent = world.table("traffic")["account_id"].unique()
    assert sorted(scored.accounts["account_id"]) == sorted(sent)
    assert scored.accounts["score_bits"].is_not_null().all()
    counts = tally(scored).counts
    assert counts["attackers"] + counts["honest"] == len(sent)
    assert counts["honest_days"] == scored.accounts.filter(pl.col("label") == 0)["active_days"].sum()
    kept = decided[world.days[-1]]
    assert set(scored.groups["group_id"]) == set(kept.members["group_id"]) <= set(kept.groups["group_id"])
    assert scored.groups["n"].sum() == len(kept.members)


def test_windows_hold_a_hundred_requests_and_rivals_score_everyone(world: replay.Replayed) -> None:
    windows = with_template_reuse(world.windows, DETECTOR)
    assert set(windows["share"]) == {0.05, 0.10, 0.25, 0.50}
    for column in (
        "elicitation_sum",
        "similar_prompts_sum",
        "mmd_sketches",
        "mmd_measured",
        "template_reuse_bits_1",
    ):
        assert windows[column].is_finite().all(), column
    assert windows["attack"].any()
    assert not windows["attack"].all()
    assert windows.filter("attack")["instance"].is_not_null().all()
    half = windows.filter(pl.col("share") == 0.50)
    asked = dict(half.group_by("attack").agg(pl.col("elicitation_sum").mean()).iter_rows())
    assert asked[True] > asked[False]
    shared = dict(half.group_by("attack").agg(pl.col("template_reuse_requests_log2").mean()).iter_rows())
    assert shared[True] > shared[False]
    rivals = world.table("rivals")
    sent = world.table("traffic")["account_id"].n_unique()
    assert set(rivals.group_by("rival").len()["len"]) == {sent}


def test_held_out_accounts_leave_training_with_their_groups_and_text(world: replay.Replayed) -> None:
    measured = labelled.load_measured([world.folder])
    rotation = design.Rotation(("cot_rubric",), ("coding_agent",))
    left = heldout.kept_out(measured, rotation)
    before, after = measured.accounts, left.accounts
    assert "cot_rubric" in before["campaign"].to_list()
    assert "cot_rubric" not in after["campaign"].to_list()
    assert "coding_agent" not in after.filter(pl.col("label") == 0)["archetype"].to_list()
    assert "bulk_questions" in after["campaign"].to_list()
    gone = set(before.filter(pl.col("campaign") == "cot_rubric")["account_id"])
    assert not gone & set(left.members["account_id"])
    touched = (
        measured.members.filter(pl.col("account_id").is_in(list(gone))).select("day", "group_id").unique()
    )
    assert touched.height
    assert left.groups.join(touched, on=["day", "group_id"]).is_empty()
    assert 0 < len(left.groups) < len(measured.groups)
    for was, now in zip(measured.text, left.text, strict=True):
        number = np.flatnonzero(was.accounts.is_in(list(gone)).to_numpy()).tolist()
        theirs = was.incidence.filter(pl.col("account").is_in(number))["code"].unique()
        assert len(theirs)
        assert not set(theirs) & set(now.keys["code"])
        assert now.incidence.filter(pl.col("account").is_in(number)).is_empty()
        assert 0 < len(now.keys) < len(was.keys)
        assert was.links.filter(pl.col("account").is_in(number)).height
        assert now.links.filter(pl.col("account").is_in(number)).is_empty()
        assert 0 < len(now.links) < len(was.links)


def test_a_trial_answers_only_for_what_its_detector_never_saw(
    world: replay.Replayed, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[heldout.Rotation | None] = []

    def trained(folders: object, rotation: heldout.Rotation | None) -> Detector:
        asked.append(rotation)
        return DETECTOR

    monkeypatch.setattr(heldout, "train", trained)
    rotations = design.rotations(4)
    trials = heldout.trials(rotations, [], [world.folder])
    assert [t.rotation for t in trials] == rotations
    parts = [heldout.judge(t) for t in trials]
    together = pl.concat([p.scored.accounts for p in parts])
    whole = heldout.judge(replace(trials[0], rotation=None)).scored.accounts
    assert sorted(together["account_id"]) == sorted(whole["account_id"])
    mine = parts[0].scored.accounts.filter(pl.col("label") == 1)
    assert set(mine["campaign"]) <= set(rotations[0].campaigns)


def test_a_detector_never_learns_from_the_families_it_is_tried_on(tmp_path: Path) -> None:
    for name, letter in (("ta", "a"), ("tb", "b"), ("tab", "ab"), ("ra", "a")):
        (tmp_path / name / "world").mkdir(parents=True)
        (tmp_path / name / "world" / "world.json").write_text(json.dumps({"spec": {"families": letter}}))
        (tmp_path / name / "measured").write_text("{}")
    learn = [tmp_path / n for n in ("ta", "tb", "tab")]
    (trial,) = heldout.trials(design.rotations(1), learn, [tmp_path / "ra"])
    assert trial.training == (tmp_path / "tb",)


def test_rotations_leave_every_kind_and_archetype_out_once() -> None:
    for n in (2, len(CAMPAIGNS)):
        rotations = design.rotations(n)
        assert sorted(c for r in rotations for c in r.campaigns) == sorted(CAMPAIGNS)
        assert sorted(a for r in rotations for a in r.archetypes) == sorted(ARCHETYPES)
    assert all(len(r.campaigns) == 1 for r in design.rotations())


def test_the_benchmark_covers_every_kind_on_every_evasion_level_with_seeds_of_its_own() -> None:
    size = design.Size()
    report = design.report_worlds(size)
    for evasion_level in design.EVASION_LEVELS:
        kinds = {c for s in report if s.evasion_level == evasion_level for c in s.campaigns}
        assert kinds == set(CAMPAIGNS), evasion_level
        assert {s.families for s in report if s.evasion_level == evasion_level} == set(design.LETTERS)
    learned = design.training_worlds(size)
    for letter in design.LETTERS:
        mine = [s for s in learned if s.families == letter]
        assert {s.evasion_level for s in mine} == set(design.EVASION_LEVELS)
        assert {c for s in mine for c in s.campaigns} == set(CAMPAIGNS)
    seeds = [s.seed for s in report + design.full_worlds()]
    assert min(seeds) >= design.FIRST_SEED
    assert len(set(seeds)) == len(seeds)
    assert max(s.seed for s in learned) < 100_000
    days = sum(s.honest_accounts * s.days for s in report)
    assert days / len(design.EVASION_LEVELS) >= 30_000


def test_worlds_of_different_specs_do_not_share_a_folder(tmp_path: Path) -> None:
    specs = design.missing_worlds(design.Size()) + design.report_worlds(design.QUICK)
    assert len({measuring.folder_of(tmp_path, s) for s in specs}) == len(specs)


def _half(n: int) -> float:
    return 1 / n


@pytest.mark.parametrize("processes", [1, 2])
def test_a_failed_job_tells_which_it_was(processes: int) -> None:
    done: list[int] = []
    found = dict(spread(_half, [1, 0, 4], processes=processes, progress=done.append))
    assert found[1] == 1.0
    assert found[4] == 0.25
    assert isinstance(found[0], ZeroDivisionError)
    assert done[-1] == 3


def test_every_term_of_the_classifier_is_of_a_family_that_can_be_taken_away() -> None:
    owned = set().union(*(ablation.columns_of(f) for f in ablation.FAMILIES))
    for of in (ACCOUNT_TERMS, SINGLE_ACCOUNT_TERMS, GROUP_TERMS, MEMBER_TERMS, KEY_TERMS):
        assert set(of) <= owned


def test_the_digest_of_measuring_follows_the_code_and_not_the_classifier(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = measuring.code_digest()
    read = Path.read_bytes

    def altered(name: str) -> str:
        with monkeypatch.context() as patch:
            patch.setattr(Path, "read_bytes", lambda p: read(p) + b" " * p.match(name))
            return measuring.code_digest()

    assert altered("similarity.py") != before
    assert altered("relations.py") != before
    assert altered("detector.json") == before


def test_caches_of_compiled_code_are_no_code(tmp_path: Path) -> None:
    (tmp_path / "a" / "__pycache__").mkdir(parents=True)
    for name in ("a/b.py", "a/__pycache__/b.1.nbc", "a/__pycache__/b.pyc"):
        (tmp_path / name).touch()
    assert measuring.files_of(tmp_path) == [tmp_path / "a" / "b.py"]

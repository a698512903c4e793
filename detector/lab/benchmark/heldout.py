"""Held-out detectors: they are tried on campaign kinds, honest archetypes and scaffold families they never saw.

There is one detector for every rotation and family letter. It is trained on the training worlds of the *other*
letters, without the accounts and groups of the held-out kinds and archetypes. It judges the report worlds of its
letter. The result of an account comes from the one detector that never saw its like: for an attacker, the detector
without its campaign kind; for an honest account, the detector without its archetype.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from detector.lab.benchmark.design import Rotation
from detector.lab.benchmark.replay import decide_days, load
from detector.lab.benchmark.scored import Scored, first_alerts, judged
from detector.lab.training import fitting, labelled
from detector.score.detector import Detector


@dataclass(frozen=True)
class Trial:
    """One held-out detector: what it must not see, its training worlds, and the worlds it is tried on."""

    rotation: Rotation | None
    letter: str
    training: tuple[Path, ...]
    tried: tuple[Path, ...]


def kept_out(measured: labelled.Measured, rotation: Rotation) -> labelled.Measured:
    """The measured worlds without the rotation's accounts.

    A group or shared text is also taken out if it has any account of a held-out campaign, or if at least half of its
    accounts are of held-out archetypes.
    """
    barred = pl.col("campaign").is_in(list(rotation.campaigns)).fill_null(False) & (pl.col("label") == 1)
    honest = pl.col("archetype").is_in(list(rotation.archetypes)).fill_null(False) & (pl.col("label") == 0)
    accounts = measured.accounts
    flags = accounts.select("world", "account_id", barred.alias("barred"), honest.alias("unlike")).unique(
        ["world", "account_id"]
    )
    members = _flagged(measured.members, flags)
    keys = ["world", "day", "group_id"]
    out = members.group_by(keys).agg(pl.col("barred").any(), pl.col("unlike").mean()).filter(_TOUCHED)
    seen = members.filter(~pl.col("barred") & ~pl.col("unlike")).drop("barred", "unlike")
    return replace(
        measured,
        accounts=accounts.filter(~barred & ~honest),
        groups=measured.groups.join(out, on=keys, how="anti"),
        members=seen.join(out, on=keys, how="anti"),
        text=tuple(_text_without(each, flags) for each in measured.text),
    )


_TOUCHED = pl.col("barred") | (pl.col("unlike") >= 0.5)


def _flagged(frame: pl.DataFrame, flags: pl.DataFrame) -> pl.DataFrame:
    return frame.join(flags, on=["world", "account_id"], how="left", maintain_order="left").with_columns(
        pl.col("barred", "unlike").fill_null(False)
    )


def _text_without(text: labelled.SharedText, flags: pl.DataFrame) -> labelled.SharedText:
    accounts = pl.DataFrame({"account_id": text.accounts}).with_columns(
        pl.lit(text.world).cast(flags["world"].dtype).alias("world")
    )
    numbered = (
        _flagged(accounts, flags).with_row_index("account").with_columns(pl.col("account").cast(pl.Int64))
    )
    flagged = numbered.select("account", "barred", "unlike")
    incidence = text.incidence.with_columns(pl.col("account").cast(pl.Int64)).join(
        flagged, on="account", maintain_order="left"
    )
    out = incidence.group_by("code").agg(pl.col("barred").any(), pl.col("unlike").mean()).filter(_TOUCHED)
    kept = incidence.filter(~pl.col("barred") & ~pl.col("unlike")).drop("barred", "unlike")
    gone = flagged.filter(pl.col("barred") | pl.col("unlike"))["account"].implode()
    return replace(
        text,
        keys=text.keys.join(out, on="code", how="anti"),
        incidence=kept.join(out, on="code", how="anti"),
        links=text.links.filter(~pl.col("account").is_in(gone)),
    )


def train(folders: Sequence[Path], rotation: Rotation | None) -> Detector:
    """A detector trained on measured worlds. With ``rotation`` None nothing is held out."""
    measured = labelled.load_measured(list(folders))
    if rotation is not None:
        measured = kept_out(measured, rotation)
    note = {"held_out": [*rotation.campaigns, *rotation.archetypes] if rotation else []}
    return fitting.fit_detector(measured, {"worlds": len(folders), **note})[0]


@dataclass(frozen=True)
class Judgement:
    """The results of one trial for its accounts, groups and campaign instances."""

    scored: Scored
    first: pl.DataFrame


def judge(trial: Trial) -> Judgement:
    """Train the trial's detector and judge its worlds.

    With a rotation only attackers of its campaigns and honest accounts of its archetypes are kept. Groups are kept by
    the majority of their members.
    """
    detector = train(trial.training, trial.rotation)
    parts, firsts = [], []
    for folder in trial.tried:
        world = load(folder)
        scored = judged(world, decide_days(world, detector))
        first = first_alerts(world, scored.accounts)
        if trial.rotation is not None:
            scored, first = (
                _answered(scored, trial.rotation),
                first.filter(pl.col("campaign").is_in(list(trial.rotation.campaigns))),
            )
        parts.append(scored)
        firsts.append(first)
    return Judgement(Scored.of(parts), pl.concat(firsts))


def _answered(scored: Scored, rotation: Rotation) -> Scored:
    campaign = pl.col("campaign").is_in(list(rotation.campaigns))
    archetype = pl.col("archetype").is_in(list(rotation.archetypes))
    bad, pure = pl.col("label") == 1, pl.col("purity") >= 0.5
    return Scored(
        scored.accounts.filter(pl.when(bad).then(campaign).otherwise(archetype).fill_null(False)),
        scored.groups.filter(pl.when(pure).then(campaign).otherwise(archetype).fill_null(False)),
    )


def letter_of(folder: Path) -> str:
    """Scaffold families of a measured world."""
    return str(load(folder).spec["families"])


def trials(rotations: Sequence[Rotation], training_set: Sequence[Path], tried: Sequence[Path]) -> list[Trial]:
    """Every rotation with every letter of the tried worlds."""
    training_letters = {folder: letter_of(folder) for folder in training_set}
    tried_letters = {folder: letter_of(folder) for folder in tried}
    return [
        Trial(
            rotation,
            letter,
            tuple(f for f, other in training_letters.items() if not set(other) & set(letter)),
            tuple(f for f, own in tried_letters.items() if own == letter),
        )
        for letter in sorted(set(tried_letters.values()))
        for rotation in rotations
    ]

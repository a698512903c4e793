"""Labelled days to learn from: what a night's stages read of each, and the truth beside each row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from detector.lab.training.labelled import Measured, fold_of
from detector.score.scorer import Before, Scores, SiteDay, Stage

#: A content key is an operation's when so much of its holders is (0..1).
MOSTLY = 0.6


@dataclass(frozen=True)
class Lesson:
    """One day of one synthetic world. ``truth``: account_id, label (1: attacker), kind."""

    world: int
    site: SiteDay
    truth: pl.DataFrame

    @property
    def fold(self) -> int:
        return fold_of(self.world)


def lessons_of(measured: Measured) -> list[Lesson]:
    """Every day of every world, world by world in order of days."""
    shared = {(each.world, each.day): each for each in measured.text}
    groups, members = (
        frame.partition_by("world", "day", as_dict=True, include_key=False)
        for frame in (measured.groups, measured.members)
    )
    no_groups, no_members = (
        frame.drop("world", "day").clear() for frame in (measured.groups, measured.members)
    )
    truth = _truth(measured)
    lessons = []
    days = measured.accounts.partition_by("world", "day", as_dict=True, include_key=False)
    for world, day in sorted(days):
        site = SiteDay(
            day,
            days[(world, day)],
            groups.get((world, day), no_groups),
            members.get((world, day), no_members),
            text.graph() if (text := shared.get((world, day))) else None,
            text.keys if text else None,
        )
        lessons.append(Lesson(world, site, truth[world]))
    return lessons


def _truth(measured: Measured) -> dict[int, pl.DataFrame]:
    """What is known of each world's accounts, by world."""
    active = measured.accounts.select("world", "account_id", "label", "kind")
    silent = measured.members.select("world", "account_id", "label")
    both = pl.concat([active, silent], how="diagonal_relaxed").unique(["world", "account_id"], keep="first")
    frames = both.sort("world", "account_id").partition_by("world", as_dict=True, include_key=False)
    return {int(world): frame for (world,), frame in frames.items()}


def labelled(stage: Stage, lesson: Lesson, scores: Scores, rows: pl.DataFrame) -> pl.DataFrame:
    """``rows`` of a stage with world, day, fold and the label that the stage's model learns; NULL: it learns nothing."""
    where = [
        pl.lit(lesson.world).alias("world"),
        pl.lit(lesson.site.day).alias("day"),
        pl.lit(lesson.fold).alias("fold"),
    ]
    rows = rows.drop("world", "day", "fold", "label", "kind", strict=False)
    if stage.model == "template_reuse":
        return rows.with_columns(*where, (pl.col("share") >= MOSTLY).cast(pl.Int8).alias("label"))
    if stage.model == "group":
        label = lesson.site.group_days.select("group_id", pl.col("label").cast(pl.Int8))
        return rows.with_columns(*where).join(label, on="group_id", how="left", maintain_order="left")
    rows = rows.with_columns(*where).join(lesson.truth, on="account_id", how="left", maintain_order="left")
    if stage.model == "membership":
        bad = lesson.site.group_days.select("group_id", pl.col("label").alias("bad"))
        rows = rows.join(bad, on="group_id", how="left", maintain_order="left")
        return rows.with_columns(pl.when(pl.col("bad")).then("label").alias("label"))
    if stage.model == "relational":
        return rows.with_columns(pl.when(pl.col("busy").is_not_null()).then("label").alias("label"))
    return rows


def before_each(lessons: Sequence[Lesson], scores: Sequence[Scores]) -> Iterator[Before]:
    """What was known before each lesson's day, from the scores of the day before; ask as the scores are formed."""
    last: tuple[int, date] | None = None
    for number, lesson in enumerate(lessons):
        same = last is not None and last[0] == lesson.world
        yield scores[number - 1].after() if same else Before.nothing()
        last = (lesson.world, lesson.site.day)

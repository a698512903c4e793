"""Every schema a lake has had, newest last: what changed with it, and for how long the old names stay.

A release that renames, drops or rewrites what is stored adds one entry here. Columns that are merely new need none.
Nothing may change the parts of ``requests``: what a day's run read is told by their names and sizes, and every day
would be due again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from detector.lake.migration.steps import Negated, RenameColumn, RenameTable, Step, Words

_FEATURES = Words(
    exact={
        "alone": "discount",
        "planted": "spoofable_limit",
        "group": "group_contribution",
        "members_company": "neighbours",
        "lent_bits": "group_contribution_bits",
        "mean_own_bits": "mean_conduct_bits",
        "firm_share": "unspoofable_share",
        "bound_likeness": "keyed_similarity",
        "stranger_likeness": "unkeyed_similarity",
    },
    prefixes={"kin_": "neighbours_", "scaffold_": "template_reuse_"},
)


@dataclass(frozen=True)
class Version:
    """A schema of the lake: its number, the release that brought it, and the steps from the one before.

    ``aliases_until``: release that takes the old names out of the views; None: they are gone.
    """

    number: int
    release: str
    steps: Sequence[Step] = ()
    aliases_until: str | None = None


VERSIONS: tuple[Version, ...] = (
    Version(1, "0.1.0"),
    Version(
        2,
        "0.2.0",
        (
            RenameTable("score_parts", "contributions"),
            RenameColumn("contributions", "part", "feature", _FEATURES),
            RenameColumn("account_scores", "own_score", "conduct_score"),
            RenameColumn("account_scores", "kin_score", "relational_score"),
            RenameColumn("groups", "own_bits", "intrinsic_bits"),
            RenameColumn("groups", "own_day", "intrinsic_day"),
            RenameColumn("group_members", "belonging", "membership_probability"),
            RenameColumn("group_members", "firm", "spoofable", Negated()),
            RenameColumn("group_members", "likeness", "similarity"),
            RenameColumn(
                "group_members", "bond", "bond", Words({"likeness": "similarity", "company": "neighbours"})
            ),
        ),
        aliases_until="0.3",
    ),
)

#: Number of the schema that this version writes.
SCHEMA = VERSIONS[-1].number

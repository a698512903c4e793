"""What a transaction decided: the renames that make its parts visible, as the journal holds them.

A journal is read back after a crash, or after somebody wrote into it: nothing in it is believed that leads out
of the folders a transaction owns.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from detector.errors import LakeError, Location

Kind = Literal["swap", "add", "drop", "remove", "replace", "retire", "note"]
#: Where an upgrade puts the tables that it replaces, below the lake's folder; kept until the next run has ended.
BEFORE = ".before-upgrade"

_ID = re.compile(r"[0-9a-f]{32}")
_DAY = r"day=\d{4}-\d\d-\d\d"
_TABLE = re.compile(r"[a-z_]+")
_PARTITION = re.compile(rf"[a-z_]+/{_DAY}")
_PART = re.compile(rf"[a-z_]+/(?:{_DAY}|all)/[\w-][\w.-]*\.parquet", re.ASCII)
_PLACES: dict[Kind, re.Pattern[str]] = {
    "swap": _PARTITION,
    "drop": _PARTITION,
    "add": _PART,
    "remove": _PART,
    "replace": _TABLE,
    "retire": _TABLE,
    "note": re.compile(r"lake\.json"),
}


class Damaged(LakeError):
    """A journal that cannot be believed."""


@dataclass(frozen=True)
class Step:
    """One rename below ``data``: a whole day's partition is swapped in or dropped, one part added or removed.

    An upgrade replaces whole tables or retires them, and notes it in ``lake.json``; what was there it keeps.
    """

    kind: Kind
    place: str

    @property
    def staged(self) -> str:
        """Where it waits, below the transaction's staging folder (dropped, removed: nowhere)."""
        return f"{self.kind}/{self.place}"


@dataclass(frozen=True)
class Plan:
    """A decided transaction."""

    id: str
    name: str
    steps: tuple[Step, ...]

    def dumps(self) -> str:
        steps = [{"kind": s.kind, "from": s.staged, "to": s.place} for s in self.steps]
        return json.dumps({"id": self.id, "name": self.name, "steps": steps})


def in_order(steps: list[Step]) -> tuple[Step, ...]:
    """Readers trust the ledgers ``runs`` and ``files``: what comes into them comes last, what leaves leaves first."""

    def rank(step: Step) -> tuple[int, str]:
        if step.kind == "note":  # a reader at work looks there whether the tables are still as it knows them
            return -1, step.place
        ledger = step.place.split("/")[0] in ("runs", "files")
        leaves = step.kind in ("drop", "remove")
        return (0 if leaves else 2) if ledger else 1, step.place

    return tuple(sorted(steps, key=rank))


def read_plan(path: Path, root: Path) -> Plan:
    """The plan in a journal file of the lake at ``root``.

    Raises
    ------
    Damaged : it is not one that a transaction wrote.
    """
    try:
        plan = _plan(json.loads(path.read_text(encoding="utf-8")))
        if plan.id != path.stem:
            raise ValueError(f"its id is not {path.stem}")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, IsADirectoryError) as error:
        raise Damaged(
            f"the journal of a transaction is damaged ({_short(error)})",
            at=Location(str(path)),
            hint=f"finish it from what is staged: hydrawatch doctor --lake {shlex.quote(str(root))}",
        ) from error
    return plan


def _plan(document: Any) -> Plan:
    steps = []
    for step in document["steps"]:
        kind, place = step["kind"], step["to"]
        if kind not in get_args(Kind):
            raise ValueError("an unknown kind of step")
        if not (isinstance(place, str) and _PLACES[kind].fullmatch(place)):
            raise ValueError("a step that leads elsewhere")
        steps.append(Step(kind, place))
    if not (isinstance(document["id"], str) and _ID.fullmatch(document["id"])):
        raise ValueError("its id is none")
    return Plan(document["id"], str(document["name"]), tuple(steps))


def plan_from_staging(path: Path, staging: Path) -> Plan | None:
    """What a damaged journal still had to do: all that is staged under its id. None: its name is no id.

    A journal is written aside and renamed, so that it exists says that the transaction was decided; a transaction
    moves everything it staged. What it was to take away, only the journal knew: doctor finds that in the ledgers.
    """
    if not _ID.fullmatch(path.stem):
        return None
    own = staging / path.stem
    steps = []
    staged: tuple[tuple[Kind, str], ...] = (
        ("swap", "*/*"), ("add", "*/*/*"), ("replace", "*"), ("retire", "*"), ("note", "*"),
    )  # fmt: skip
    for kind, pattern in staged:
        for entry in own.glob(f"{kind}/{pattern}"):
            place = entry.relative_to(own / kind).as_posix()
            if _PLACES[kind].fullmatch(place) and not entry.is_symlink():
                steps.append(Step(kind, place))
    return Plan(path.stem, "doctor", in_order(steps))


def _short(error: Exception) -> str:
    return str(error).splitlines()[0][:120] if str(error) else type(error).__name__

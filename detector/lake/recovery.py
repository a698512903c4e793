"""Carries out what transactions decided, and undoes those that decided nothing: at once, or after a crash."""

from __future__ import annotations

import os
import shutil
import uuid
from contextlib import suppress
from pathlib import Path

from detector.lake.access import Access
from detector.lake.faults import fault
from detector.lake.journal import BEFORE, Plan, Step, read_plan
from detector.lake.places import remove, sync


class Recovery:
    """The journal and the staging folder of one lake. Whoever changes something through it holds the lock.

    ``spare``: the folder below ``staging`` that this process uses itself.
    """

    def __init__(self, root: Path, access: Access, *, spare: Path | None) -> None:
        self._root = root
        self._data = root / "data"
        self._access = access
        self._spare = spare

    def is_clean(self) -> bool:
        """Whether nothing is left, or under way.

        Raises
        ------
        OSError : the folders cannot be read.
        """
        return not any(any((self._root / name).iterdir()) for name in ("journal", "staging"))

    def is_upgrading(self) -> bool:
        """Whether the decided transaction of an upgrade is not done yet."""
        for journal in (self._root / "journal").glob("*.json"):
            with suppress(OSError):
                if b'"name": "migrate"' in journal.read_bytes():
                    return True
        return False

    def repair(self) -> None:
        """Finish transactions that were decided, undo the others.

        Raises
        ------
        LakeError : a journal is damaged.
        """
        for journal in sorted((self._root / "journal").glob("*.json")):
            self.apply(journal)
        for left in [*(self._root / "journal").glob("*.new"), *(self._root / "staging").iterdir()]:
            if left != self._spare:
                remove(left)

    def apply(self, journal: Path) -> None:
        """Carry out a decided transaction; doing it twice is harmless.

        Raises
        ------
        LakeError : the journal is damaged.
        """
        self.carry_out(read_plan(journal, self._root))
        journal.unlink()

    def carry_out(self, plan: Plan) -> None:
        """Move what a transaction staged to where it is read; what was moved before is left alone."""
        staging = self._root / "staging" / plan.id
        changed = {self._data}
        for position, step in enumerate(plan.steps):
            changed |= self._move(staging, step)
            if position == len(plan.steps) // 2:
                fault(f"{plan.name}.half")
        for folder in sorted(changed):
            sync(folder)  # before the journal goes: a power cut must not take what it promised
        shutil.rmtree(staging, ignore_errors=True)

    def _move(self, staging: Path, step: Step) -> set[Path]:
        """One step; the folders that hold other names now."""
        if step.kind in ("replace", "retire", "note"):
            return self._upgrade(staging, step)
        source, target = staging / step.staged, self._data / step.place
        if step.kind == "remove":
            target.unlink(missing_ok=True)
        elif step.kind == "drop" or source.exists():
            if step.kind != "add" and target.exists():
                old = staging / "old" / step.place
                self._access.make_folder(old.parent)
                shutil.rmtree(old, ignore_errors=True)
                os.rename(target, old)
            if step.kind != "drop":
                self._access.make_folder(target.parent)
                os.replace(source, target)
        return {f for f in (target.parent, target.parent.parent) if f.exists()}

    def _upgrade(self, staging: Path, step: Step) -> set[Path]:
        """A step of an upgrade: what it takes away is kept in ``BEFORE``."""
        source, home = staging / step.staged, self._root if step.kind == "note" else self._data
        target, kept = home / step.place, self._root / BEFORE / step.place
        if not source.exists():
            return set()
        self._access.make_folder(kept.parent)
        if step.kind == "note":
            if target.exists() and not kept.exists():
                shutil.copy2(target, kept)
            os.replace(source, target)
            return {home, kept.parent}
        if target.exists():  # a second time: columns that a reader wrote into the gap between two renames
            os.rename(target, _remade(staging) if kept.exists() else kept)
        if step.kind == "replace":
            os.rename(source, target)
        else:
            remove(source)
        return {home, kept.parent}


def _remade(staging: Path) -> Path:
    """A free place that goes with the staging folder."""
    return staging / f"remade-{uuid.uuid4().hex}"

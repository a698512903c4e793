"""Parts that become visible together or not at all: staged aside, journalled, renamed."""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path

from detector.errors import LakeError
from detector.lake.access import Access
from detector.lake.engine import Rows
from detector.lake.faults import fault
from detector.lake.journal import Kind, Plan, Step, in_order
from detector.lake.places import PART, sync
from detector.lake.rows import write_part


class Transaction:
    """Parts staged aside; see ``Store.transaction``.

    ``apply`` carries out a journal.
    """

    def __init__(self, name: str, root: Path, access: Access, apply: Callable[[Path], None]) -> None:
        self._name = name
        self._root = root
        self._access = access
        self._apply = apply
        self._id = uuid.uuid4().hex
        self.staging = root / "staging" / self._id
        self.staging.mkdir()
        self._added: list[str] = []
        self._swapped: list[str] = []
        self._removed: list[str] = []
        self._dropped: list[str] = []

    def add(self, table: str, rows: Rows, *, day: date | None = None, part: str) -> None:
        """Add one part beside those that are there. ``part`` is a file name ending in .parquet."""
        where = f"{table}/day={day}/{part}" if day else f"{table}/all/{part}"
        self._write(table, rows, f"add/{where}")
        self._added.append(where)

    def remove(self, part: Path) -> None:
        """Remove a part that lies in the lake (``Store.parts``). Its name must not be added again."""
        self._removed.append(str(part.relative_to(self._root / "data")))

    def swap(self, table: str, rows: Rows, *, day: date) -> None:
        """Replace the whole partition of ``day`` by ``rows``."""
        where = f"{table}/day={day}"
        self._write(table, rows, f"swap/{where}/{PART}")
        self._swapped.append(where)

    def folder(self) -> Path:
        """A folder of this transaction's own, for parts that are to be adopted."""
        path = self.staging / "parts"
        self._access.make_folder(path)
        return path

    def adopt(self, table: str, path: Path, *, day: date, part: str) -> None:
        """Add a part that was written by ``write_part`` below ``staging``; it is moved."""
        where = f"{table}/day={day}/{part}"
        target = self._place(f"add/{where}")
        os.rename(path, target)
        self._access.settle(target)
        self._added.append(where)

    def drop(self, table: str, *, day: date) -> None:
        """Remove the partition of ``day``, if there is one."""
        self._dropped.append(f"{table}/day={day}")

    def digest(self) -> str:
        """Hash of all parts written so far: the same rows give the same digest."""
        checksums = [(part, checksum(part)) for part in self.staging.rglob("*.parquet")]
        return output_digest(self.staging / "swap", checksums)

    def _write(self, table: str, rows: Rows, where: str) -> None:
        path = self._place(where)
        write_part(table, rows, path)
        self._access.settle(path)

    def _place(self, where: str) -> Path:
        path = self.staging / where
        self._access.make_folder(path.parent)
        if path.exists():
            raise LakeError(f"part {where} was written twice in one transaction")
        return path

    def commit(self) -> None:
        """Decide, then rename. The ``runs`` and ``files`` ledgers come last."""
        if not (self._added or self._swapped or self._removed or self._dropped):
            shutil.rmtree(self.staging)
            return
        if again := sorted(set(self._added) & set(self._removed)):
            raise LakeError(f"part {again[0]} was removed and added in one transaction")
        kinds: dict[Kind, list[str]] = {
            "swap": self._swapped, "add": self._added, "remove": self._removed, "drop": self._dropped,
        }  # fmt: skip
        steps = [Step(kind, place) for kind, places in kinds.items() for place in dict.fromkeys(places)]
        journal = decide(Plan(self._id, self._name, in_order(steps)), self._root, self._access)
        self._apply(journal)
        fault(f"{self._name}.applied")


def decide(plan: Plan, root: Path, access: Access) -> Path:
    """Write the journal of ``plan``, whose parts are staged, for good: from here on it will be carried out."""
    fault(f"{plan.name}.staged")
    staging = root / "staging" / plan.id
    for path in staging.rglob("*"):
        sync(path)  # folders too: they hold the names
    sync(staging)
    sync(staging.parent)
    journal = root / "journal" / f"{plan.id}.json"
    aside = journal.with_suffix(".new")
    aside.write_text(plan.dumps())
    access.settle(aside)
    sync(aside)
    os.replace(aside, journal)
    sync(journal.parent)
    fault(f"{plan.name}.journalled")
    return journal


def output_digest(data: Path, parts: Iterable[tuple[Path, str]]) -> str:
    """Hash of the parts of a run below ``data`` with their checksums, as ``runs`` keeps it."""
    entries = sorted((f"swap/{part.relative_to(data)}", checksum) for part, checksum in parts)
    return hashlib.sha256(repr(entries).encode()).hexdigest()[:32]


def checksum(part: Path) -> str:
    """Hash of the bytes of a part, as ``output_digest`` takes it."""
    with part.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()

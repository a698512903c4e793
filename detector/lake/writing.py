"""What changes a lake: its locks, transactions, and the recovery of those that a crash stopped."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from detector.lake import locks
from detector.lake.access import Access
from detector.lake.engine import Rows
from detector.lake.faults import fault
from detector.lake.journal import Plan
from detector.lake.places import sync
from detector.lake.reading import Reading
from detector.lake.recovery import Recovery
from detector.lake.rows import write_part
from detector.lake.transaction import Transaction


class Writing(Reading):
    """The writing half of a store.

    ``access``: mode, group and owner of what is added to this lake.
    """

    access: Access
    _recovery: Recovery
    _locked: bool = False

    def repair(self) -> None:
        """Finish transactions that were decided, undo the others. The lock is held.

        Raises
        ------
        LakeError : a journal is damaged.
        """
        self._recovery.repair()

    def apply(self, journal: Path) -> None:
        """Carry out a decided transaction; doing it twice is harmless.

        Raises
        ------
        LakeError : the journal is damaged.
        """
        self._recovery.apply(journal)

    def carry_out(self, plan: Plan) -> None:
        """Move what a transaction staged to where it is read; what was moved before is left alone."""
        self._recovery.carry_out(plan)

    @contextmanager
    def exclusive(self, *, patient: bool = True) -> Iterator[None]:
        """Hold the lake's lock; finish or undo what a crash left. Nested calls hold it once.

        ``patient``: wait half a second for whoever holds it, as a reader that clears up does for a moment.

        Raises
        ------
        LakeBusy : another process holds it.
        LakeError : a crash left a journal that is damaged.
        """
        if self._locked:
            yield
            return
        with self.locked(patient=patient):
            self.repair()
            yield

    @contextmanager
    def locked(self, *, patient: bool = True) -> Iterator[None]:
        """Hold the lake's lock and leave everything as it is found; see ``exclusive``."""
        with locks.writing(self.root, self.access, patient=patient):
            self._locked = True
            try:
                yield
            finally:
                self._locked = False

    @contextmanager
    def transaction(self, name: str) -> Iterator[Transaction]:
        """All parts added inside become visible together, or none of them."""
        with self.exclusive():
            txn = Transaction(name, self.root, self.access, self.apply)
            try:
                yield txn
            except BaseException:
                shutil.rmtree(txn.staging, ignore_errors=True)
                raise
            txn.commit()

    def delivering(self) -> AbstractContextManager[int]:
        """Hold the lock of ``deliver``; see ``locks.delivering``.

        Raises
        ------
        LakeBusy : another ``deliver`` of this lake is at work.
        """
        return locks.delivering(self.root, self.access)

    def append(self, table: str, rows: Rows) -> None:
        """Add one part to a ledger that has one writer with a lock of its own: written aside, then renamed.

        Needs neither the writers' lock nor a journal, since one rename is all or nothing.
        """
        folder = self.data / table / "all"
        self.access.make_folder(folder)
        name = uuid.uuid4().hex
        aside = folder / f"{name}.new"
        try:
            write_part(table, rows, aside)
            self.access.settle(aside)
            sync(aside)
            fault("deliver.staged")
            os.replace(aside, folder / f"{name}.parquet")
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
        sync(folder)
        fault("deliver.applied")

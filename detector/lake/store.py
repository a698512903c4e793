"""Where the tables lie: Parquet parts by table and day, changed only by journalled transactions.

    DIR/data/TABLE/day=YYYY-MM-DD/PART.parquet     one partition a day
    DIR/data/TABLE/_/empty.parquet                 no rows; the table's present columns
    DIR/staging/ID/...                             parts of a transaction under way
    DIR/journal/ID.json                            a transaction that is decided but perhaps not done
    DIR/.before-upgrade/TABLE/...                  tables as they were, until the run after an upgrade has ended

A transaction writes its parts aside, then its journal (the moment of decision), then renames. What a crash
leaves is undone (no journal) or finished (journal) by the next writer; readers see whole parts only.
"""

from __future__ import annotations

import shlex
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from detector.errors import ConfigError, LakeBusy, LakeError
from detector.lake.access import access_of, make_lake
from detector.lake.empties import Empties
from detector.lake.engine import Engine
from detector.lake.engine.duckdb import DuckDB
from detector.lake.engine.viewfile import write_views
from detector.lake.faults import fault
from detector.lake.journal import BEFORE
from detector.lake.migration.shape import shape_of
from detector.lake.migration.upgrade import drop_before, upgrade
from detector.lake.places import is_lake
from detector.lake.recovery import Recovery
from detector.lake.trouble import in_words, told_of
from detector.lake.views import views
from detector.lake.writing import Writing


class Store(Writing):
    """The lake's files.

    Opened for writing it makes what is missing, puts right what a crash left and upgrades a lake of an earlier
    version; changes take the lock. Opened for ``reading`` it makes and locks nothing: a lake that may only be read is
    read as it is, an earlier version's through today's names.

    Parameters
    ----------
    spill : let the engine put on disk what its memory cannot hold, in ``staging/``. Off unless asked for: what
        passes the engine during ingest is text, and text never reaches a disk.
    as_found : leave everything as it is, for ``doctor``, who tells what was wrong; see ``put_right``.
    group : group that may read a new lake (``lake_group``); a lake that is there keeps what it has.

    Raises
    ------
    ConfigError : ``reading``: there is no lake; ``lake_group`` is no group of the caller's.
    LakeError : no permission, a full disk, a damaged journal; a later version wrote the lake.
    LakeBusy : the lake is of an earlier version and another process is at work on it.
    """

    def __init__(
        self,
        root: Path,
        *,
        threads: int | None = None,
        memory_gb: float | None = None,
        spill: bool = False,
        reading: bool = False,
        as_found: bool = False,
        group: str | None = None,
    ) -> None:
        self.root = root.absolute()
        self.data = self.root / "data"
        self._reading = reading
        self._views_written = False
        spare = self.root / "staging" / f"spill-{uuid.uuid4().hex}" if spill and not reading else None
        with in_words(self.root):
            if reading and not is_lake(self.root):
                raise ConfigError(
                    f"{root} is not a lake",
                    hint=f"make one: hydrawatch ingest PATH --lake {shlex.quote(str(root))}",
                )
            new = not self.data.exists()
            self.access = make_lake(self.root, group) if new else access_of(self.data)
            self.look()
            if not reading:
                for folder in (self.data, self.root / "journal", self.root / "staging"):
                    self.access.make_folder(folder)
            self._recovery = Recovery(self.root, self.access, spare=spare)
            self._empties = Empties(self.data, self.access, reading=reading)
            self._empty = self._empties.path
            self.engine: Engine = DuckDB(threads=threads, memory_gb=memory_gb, spill=spare)
            if not as_found:
                self._begin()

    # -- putting right -----------------------------------------------------------------------------------

    def _begin(self) -> None:
        try:
            self.put_right()
        except BaseException:
            self.close()
            raise

    def put_right(self) -> None:
        """Tables of this version, and nothing left of a crash; a reader does what it is allowed to."""
        with self._allowed():
            if not self._reading:
                (self.root / "staging").chmod(0o700)
            self._sweep()
        if not self._reading:
            self._upgrade()
        elif self._recovery.is_upgrading():  # half of the tables would be read by the names of the others
            raise LakeBusy(
                f"{self.root}: the lake is being upgraded, or that was stopped half-way",
                hint=f"wait for it, or have its owner finish it: hydrawatch doctor --lake {shlex.quote(str(self.root))}",
            )
        with self._allowed():
            self.write_schemas()

    @contextmanager
    def _allowed(self) -> Iterator[None]:
        """What a reader may not do is left undone; of a damaged journal doctor tells, and what is there is read."""
        try:
            yield
        except (OSError, LakeError):
            if not self._reading:
                raise

    def look(self) -> None:
        """See anew which version's tables lie here.

        Raises
        ------
        LakeError : those of a later version.
        """
        self.shape = shape_of(self.root)

    def _sweep(self) -> None:
        """Finish or undo what a crash left, unless a process is at work on it."""
        if self._recovery.is_clean():
            return
        try:
            with self.exclusive(patient=self._recovery.is_upgrading()):
                pass  # taking the lock repairs
        except LakeBusy:
            pass  # then it is not left, but in use
        finally:
            self.look()

    def _upgrade(self) -> None:
        """Bring a lake of an earlier version to this one's; views too, for as long as it is new."""
        older = not self.shape.is_current
        if not older and not (self.root / BEFORE).exists():
            return
        try:
            with self.exclusive(patient=older):
                self.look()  # the process that held the lock may have done it
                if not self.shape.is_current:
                    self.write_schemas()  # its own, complete: parts of its first days may lack a column
                    with self.delivering():
                        upgrade(self, self.access, self.apply)
                    self.look()
                self.write_schemas()
                self.write_views()
                fault("migrate.views")
        except LakeBusy:
            if older:
                raise

    def drop_before(self) -> None:
        """Remove the tables that an upgrade replaced: a run has shown that those of today do. The lock is held."""
        drop_before(self.root)

    # -- schemas and views -----------------------------------------------------------------------------

    def write_schemas(self) -> None:
        """Write the parts without rows that are missing, damaged or of another version."""
        self._empties.write(self.shape.stored)

    def write_views(self) -> None:
        """(Re)write ``DIR/hydrawatch.duckdb``, once: views name folders, so that new parts change nothing in them."""
        path = self.root / "hydrawatch.duckdb"
        if not (self._views_written and path.is_file()):
            write_views(path, views(self.data, self.shape), settle=self.access.settle)
            self._views_written = True
        fault("views.written")

    def close(self) -> None:
        """Release the engine and what a reader had of its own."""
        self.engine.close()
        self._empties.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if error and (failure := told_of(error, self.root)):
            raise failure from error

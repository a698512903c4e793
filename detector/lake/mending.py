"""What ``doctor`` puts right in a lake by itself: whatever needs neither the logs nor a decision of the operator."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from detector.errors import QueryError
from detector.lake.journal import Damaged, plan_from_staging
from detector.lake.places import remove
from detector.lake.rows import schema_of
from detector.lake.store import Store
from detector.lake.tables import tables

#: Files that were being written aside when a command was stopped.
_ASIDE = ("data/*/_/*.new", "hydrawatch.duckdb.new*", "lake.json.*.new", "key.*.new")


def mend(store: Store) -> list[str]:
    """Finish or undo what a crash left, write schemas and views anew; one line for each thing that was wrong.

    Raises
    ------
    LakeBusy : another process is writing.
    OSError, LakeError : no permission, a full disk.
    """
    done = []
    with store.locked():
        for folder in (store.root / "journal", store.root / "staging"):
            if folder.exists() and not folder.is_dir():
                remove(folder)
            store.access.make_folder(folder)
        (store.root / "staging").chmod(0o700)
        done += [line for j in sorted((store.root / "journal").iterdir()) if (line := _finish(store, j))]
        if n := len(list((store.root / "staging").iterdir())):
            done.append(f"{store.root / 'staging'}: cleared of {n} leftovers of a command that was stopped")
        store.repair()
        store.look()  # an upgrade may have been among it
        lost = [part for t in tables() if schema_of(part := store.schema_part(t)) is None]
        for part in lost:
            remove(part)
        store.write_schemas()
        done += [f"{part}: missing or damaged, written anew" for part in lost]
        for pattern in _ASIDE:
            for left in store.root.glob(pattern):
                remove(left)
        # A part beneath a view is damaged, or a folder stands in the place: findings of their own.
        with suppress(QueryError, IsADirectoryError):
            store.write_views()
    return done


def _finish(store: Store, journal: Path) -> str | None:
    """Carry out a journal that is left; one that is damaged from what its transaction staged."""
    if journal.suffix == ".new":
        return None  # it was never decided
    try:
        store.apply(journal)
    except Damaged as error:
        plan = plan_from_staging(journal, store.root / "staging")
        if plan:
            store.carry_out(plan)
        remove(journal)
        n = len(plan.steps) if plan else 0
        return f"{journal}: {error.message}; finished from what was staged, {n} steps"
    return f"{journal}: finished what a crash left"

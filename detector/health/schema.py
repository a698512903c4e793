"""Which version's tables a lake holds: older ones, those kept after an upgrade, and a mixture of both."""

from __future__ import annotations

from collections.abc import Iterator

from detector.health.report import Finding, quoted
from detector.lake.journal import BEFORE
from detector.lake.migration.shape import shape
from detector.lake.migration.versions import VERSIONS
from detector.lake.places import day_of
from detector.lake.rows import schema_of
from detector.lake.store import Store
from detector.lake.tables import tables


def standing(store: Store) -> Iterator[Finding]:
    """An upgrade that is still to come, or whose old tables are still kept."""
    if not store.shape.is_current:
        yield Finding(
            f"this lake is as hydrawatch {store.shape.release} left it (schema {store.shape.number}): it is read through "
            "today's names, and the next command that writes upgrades it",
            f"hydrawatch run --lake {quoted(store.root)}",
        )
    kept = store.root / BEFORE
    if kept.exists():
        n_bytes = sum(p.stat().st_size for p in kept.rglob("*") if p.is_file())
        yield Finding(
            f"{kept}: tables as they were before the upgrade, {n_bytes / 1e6:,.1f} MB; the next run removes them",
            f"hydrawatch run --lake {quoted(store.root)}",
        )


def mixed(store: Store) -> Iterator[Finding]:
    """Parts under the names of an earlier version in a lake that was upgraded: that version ran on it again."""
    if not store.shape.is_current:
        return
    for version in VERSIONS[:-1]:
        older = shape(version.number)
        for table in older.changed:
            today = set(tables()[table].names)
            gone = set(older.held(table).names) - today
            schemas = {part: schema_of(part) for part in store.parts(table)}
            wrong = [part for part, columns in schemas.items() if columns and gone & set(columns.names)]
            days = sorted(day for p in wrong if (day := day_of(p.parent)))
            if days:
                yield Finding(
                    f"table {table}: {len(days)} days were run by hydrawatch {version.release} after the upgrade, the "
                    f"first {days[0]}: their renamed columns read as NULL",
                    f"hydrawatch run --lake {quoted(store.root)} --since {days[0]}",
                )

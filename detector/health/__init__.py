"""What ``hydrawatch doctor`` checks: the installation, the lake's parts, ledgers and views."""

from __future__ import annotations

import importlib.metadata
import importlib.util

import pyarrow as pa
import pyarrow.parquet as pq

from detector.errors import QueryError
from detector.lake.engine import analyst_query
from detector.lake.store import Store, arrow_schema
from detector.lake.tables import tables


def check(store: Store) -> list[str]:
    """Every fault found, in words; empty when all is well."""
    return [*_names(), *_parts(store), *_ledgers(store), *_views(store)]


def _names() -> list[str]:
    """Top-level packages of ours that another distribution owns as well."""
    owners = importlib.metadata.packages_distributions()
    faults = []
    for name in ("detector", "features", "rules"):
        others = sorted(set(owners.get(name, [])) - {"hydrawatch"})
        if others:
            faults.append(
                f"package {name!r} is also installed by {', '.join(others)}; use an environment of its own"
            )
        elif importlib.util.find_spec(name) is None:
            faults.append(f"package {name!r} is missing; install hydrawatch again")
    return faults


def _parts(store: Store) -> list[str]:
    faults = []
    for table in tables().values():
        declared = arrow_schema(table.columns)
        for part in store.parts(table.name):
            try:
                found = pq.read_schema(part)
            except (OSError, pa.ArrowInvalid) as error:
                faults.append(
                    f"{part}: not readable as Parquet ({error}); restore it or remove it and run its day again"
                )
                continue
            wrong = [
                f.name for f in found if f.name in declared.names and f.type != declared.field(f.name).type
            ]
            if wrong:
                faults.append(f"{part}: columns {wrong} have other types than table {table.name} declares")
    return faults


def _ledgers(store: Store) -> list[str]:
    counted = store.engine.query(
        f"""SELECT path, n_lines, n_requests + n_rejects + n_duplicates AS told
        FROM {store.relation("files")} WHERE n_lines <> n_requests + n_rejects + n_duplicates"""
    ).to_pylist()
    faults = [f"{r['path']}: {r['n_lines']} lines but {r['told']} accounted for" for r in counted]
    sums = store.engine.query(
        f"""SELECT (SELECT coalesce(sum(n_requests), 0) FROM {store.relation("files")} WHERE content = 'requests')
        AS told, (SELECT count(*) FROM {store.relation("requests")}) AS held"""
    ).to_pylist()[0]
    if sums["told"] != sums["held"]:
        faults.append(f"files ledger tells of {sums['told']} requests, the lake holds {sums['held']}")
    return faults


def _views(store: Store) -> list[str]:
    path = store.root / "hydrawatch.duckdb"
    faults = []
    for name in tables():
        try:
            analyst_query(path, f'SELECT * FROM "{name}" LIMIT 1', readable=[store.data])
        except QueryError as error:
            faults.append(f"view {name}: {error}")
    return faults

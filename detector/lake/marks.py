"""What a lake remembers of how it was filled: ``DIR/lake.json``.

A lake filled with two keys, or with account ids partly in clear, links nothing across the seam and says no
word of it. So the first ``ingest`` notes both here, and later ones are held to it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from detector import __version__
from detector.errors import ConfigError, LakeError, Location
from detector.lake.access import access_of
from detector.lake.migration.versions import SCHEMA
from detector.lake.places import sync
from detector.lake.rows import schema_of
from detector.lake.tables import tables

if TYPE_CHECKING:
    from detector.lake.store import Store

_HASHED = re.compile(r"[0-9a-f]{32}")


class MarksDamaged(LakeError):
    """``lake.json`` does not read."""


@dataclass(frozen=True)
class Marks:
    """Contents of ``lake.json``; None and empty: not known, as in a lake of version 0.1.

    ``key_check``: keyed hash of a constant (``detector.lake.key``). ``pseudonymised``: account ids are keyed
    hashes. ``tables``: those of the version that made the lake. ``made_by``: that version. ``schema``: number of the
    lake's schema (``migration.versions``); ``schema_by``: the version that brought it there.
    """

    key_check: str | None = None
    pseudonymised: bool | None = None
    tables: tuple[str, ...] = ()
    made_by: str | None = None
    schema: int | None = None
    schema_by: str | None = None


def new_marks() -> Marks:
    """Of a lake that holds nothing yet."""
    return Marks(tables=tuple(sorted(tables())), made_by=__version__, schema=SCHEMA, schema_by=__version__)


def read_marks(root: Path) -> Marks:
    """What the lake at ``root`` remembers.

    Raises
    ------
    MarksDamaged : the file is there and does not read.
    """
    path = root / "lake.json"
    try:
        return _marks(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return Marks()
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, IsADirectoryError) as error:
        raise MarksDamaged(
            "damaged: it does not say which key the lake was filled with",
            at=Location(str(path)),
            hint=f"write it anew: hydrawatch doctor --lake {shlex.quote(str(root))}",
        ) from error


def _marks(document: dict[str, Any]) -> Marks:
    check, pseudonymised, made_by = (
        document["key_check"],
        document["pseudonymise_accounts"],
        document["made_by"],
    )
    if not (check is None or (isinstance(check, str) and _HASHED.fullmatch(check))):
        raise ValueError(check)
    if pseudonymised not in (None, True, False):
        raise ValueError(pseudonymised)
    return Marks(
        check,
        pseudonymised,
        tuple(str(t) for t in document["tables"]),
        None if made_by is None else str(made_by),
        schema if isinstance(schema := document.get("schema"), int) else None,
        None if (by := document.get("schema_by")) is None else str(by),
    )


def had_marks(root: Path) -> bool:
    """Whether a version that keeps ``lake.json`` has written into this lake; if it has none, it was lost.

    Such a version tells in ``files`` how each file ended.
    """
    for part in (root / "data" / "files").glob("*/*.parquet"):
        if part.parent.name != "_" and "status" in (schema_of(part) or pa.schema([])).names:
            return True
    return False


def dumps(marks: Marks) -> str:
    """``marks`` as ``lake.json`` holds them."""
    document = {
        "made_by": marks.made_by,
        "schema": marks.schema,
        "schema_by": marks.schema_by,
        "key_check": marks.key_check,
        "pseudonymise_accounts": marks.pseudonymised,
        "tables": list(marks.tables),
    }
    return json.dumps(document, indent=1) + "\n"


def write_marks(root: Path, marks: Marks) -> None:
    """Write ``lake.json`` aside and put it in its place, durably: what is hashed next rests on it."""
    path = root / "lake.json"
    aside = root / f"lake.json.{uuid.uuid4().hex}.new"
    try:
        aside.write_text(dumps(marks), encoding="utf-8")
        access_of(root / "data").settle(aside)
        sync(aside)
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    sync(root)


def keep_account_ids(store: Store, *, pseudonymise: bool) -> None:
    """Note how the lake's account ids are stored, or hold a later ``ingest`` to it.

    Raises
    ------
    ConfigError : the lake holds them the other way.
    """
    marks = read_marks(store.root)
    if store.is_empty():
        is_hashed = pseudonymise
    else:
        is_hashed = pseudonymise if (answer := pseudonymised(store, marks)) is None else answer
    if is_hashed != pseudonymise:
        lake = shlex.quote(str(store.root))
        now, way = ("keyed hashes", "true") if is_hashed else ("in clear", "false")
        raise ConfigError(
            f"pseudonymise_accounts is {str(pseudonymise).lower()}, but this lake holds account ids "
            + ("as keyed hashes" if is_hashed else "in clear")
            + ": the same account would be two",
            at=Location(str(store.root)),
            hint=f"set pseudonymise_accounts = {way} to go on with ids {now}, "
            f"or fill a new lake from the logs: hydrawatch ingest PATH --lake {lake}-new",
        )
    if marks.pseudonymised != is_hashed:
        write_marks(store.root, replace(marks, pseudonymised=is_hashed))


def pseudonymised(store: Store, marks: Marks) -> bool | None:
    """Whether the lake's account ids are keyed hashes; None: an older lake whose ids may be either."""
    if marks.pseudonymised is not None:
        return marks.pseudonymised
    ids = " UNION ALL ".join(
        f"SELECT account_id FROM {store.relation(table)}"
        for table in ("requests", "accounts", "account_events")
    )
    clear = store.engine.query(
        f"SELECT 1 FROM ({ids}) WHERE NOT regexp_full_match(account_id, '[0-9a-f]{{32}}') LIMIT 1"
    )
    return False if clear.num_rows else None

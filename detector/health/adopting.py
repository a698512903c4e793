"""Finds out whether a key is the one that a lake was filled with, by hashing a log that the lake has read."""

from __future__ import annotations

import tempfile
from itertools import islice
from pathlib import Path

from detector.config import Config
from detector.errors import ConfigError, HydrawatchError, Location
from detector.health.report import Finding, quoted
from detector.ingest.ingestion import ingest
from detector.lake.key import VARIABLE, adopt, file_key, present_key
from detector.lake.marks import had_marks, read_marks
from detector.lake.store import Store

#: Columns of keyed hashes of identifiers, by table. Hashes of text are left out: they change with versions.
_HASHED = {
    "requests": ("ip_hash", "api_key_hash", "session_hash", "end_user_hash"),
    "accounts": ("payment_hash", "payment_bin_hash", "email_domain_hash", "signup_ip_hash"),
}


#: Largest log that doctor reads by itself to test a key (bytes): the check must not take as long as an ingest.
_TESTED_ON = 64 << 20
#: Most logs tried: the smallest may hold no identifier.
_TRIES = 3


def adopt_key(store: Store, log: Path, settings: Config) -> str:
    """Note the present key as the lake's, if hashes of ``log`` under it are stored in the lake.

    Raises
    ------
    ConfigError : no key, no identifiers in the log, or none of them in the lake.
    LogError : the log cannot be read.
    """
    key = present_key(store.root)
    n_made, n_met = _meeting(store, log, settings, key)
    if not n_made:
        raise ConfigError(
            "holds no address, key, conversation or user to test the key with",
            at=Location(str(log)),
            hint="give a log with requests that the lake has read: hydrawatch query --lake "
            f"{quoted(store.root)} \"SELECT path FROM files WHERE content = 'requests'\"",
        )
    if not n_met:
        raise ConfigError(
            f"none of {n_made:,} addresses, keys, conversations and users of {log} is in the lake under this key: "
            "the key is another, or the lake has not read that log",
            at=Location(str(store.root)),
            hint=f"give the key as {VARIABLE}, and a log that the lake has read",
        )
    with store.exclusive():
        adopt(store.root, key)
    return f"the key is the lake's: {n_met:,} of {n_made:,} identifiers of {log} are stored under it; noted"


def adopt_file_key(store: Store, settings: Config) -> str | Finding | None:
    """Adopt ``root/key`` as the key of a lake without a check value, if it passes a test.

    The key is tested on a log that the lake has read and that is still there. Without such a log, a lake of a version
    that kept no check value is assumed to be filled with this key, and the note says so. A lake that has lost its check
    value is left alone. Return what was noted, or what is wrong; None: there is nothing to adopt, or no way to test.
    """
    root, lost = store.root, had_marks(store.root)
    try:
        has_check = read_marks(root).key_check is not None
    except HydrawatchError:
        has_check, lost = False, True
        (root / "lake.json").rename(root / "lake.json.damaged")
    if has_check or not (root / "key").exists():
        return None
    key = file_key(root)
    noted = f"{root / 'lake.json'}: noted {root / 'key'} as the key that the lake was filled with"
    for log in _logs(store):
        try:
            n_made, n_met = _meeting(store, log, settings, key)
        except HydrawatchError:
            continue
        if n_met:
            adopt(root, key)
            return f"{noted}: {n_met:,} of {n_made:,} identifiers of {log} are stored under it"
        if n_made:
            return Finding(
                f"{root / 'key'} is not the key that the lake was filled with: none of {n_made:,} identifiers of {log} "
                "is stored under it",
                f"restore the right key, then: hydrawatch doctor --lake {quoted(root)} --adopt-key {quoted(log)}",
            )
    if lost:
        return None
    adopt(root, key)
    return f"{noted}; that is assumed, since no log is there to test it on"


def _logs(store: Store) -> list[Path]:
    """Logs to test a key on, the smallest first: those still at their path with the same size."""
    rows = store.engine.query(
        f"""SELECT path, any_value(n_bytes) AS n_bytes FROM {store.relation("files")}
        WHERE content IN ('requests', 'accounts') AND n_requests > 0 AND n_bytes <= {_TESTED_ON}
        GROUP BY path ORDER BY any_value(content) DESC, n_bytes, path""",
        of="files",
    ).to_pylist()
    there = (Path(r["path"]) for r in rows if _size(Path(r["path"])) == r["n_bytes"])
    return list(islice(there, _TRIES))


def _size(log: Path) -> int | None:
    try:
        return log.stat().st_size if log.is_file() else None
    except OSError:
        return None


def _meeting(store: Store, log: Path, settings: Config, key: bytes) -> tuple[int, int]:
    """Number of identifiers in ``log``, and how many of their hashes under ``key`` are in the lake.

    The log is read into a temporary lake; like any lake it stores no text.
    """
    n_made, n_met = 0, 0
    with tempfile.TemporaryDirectory(prefix="hydrawatch-") as folder:
        with Store(Path(folder) / "lake", threads=settings.threads, memory_gb=settings.memory_gb) as own:
            ingest([log], own, key=key, max_rejects=1.0, backfill=True, **settings.reading())
            for table, columns in _HASHED.items():
                for column in columns:
                    [row] = own.engine.query(
                        f"""SELECT count(*) AS made, count(*) FILTER (h IN (
                            SELECT {column} FROM {store.relation(table)} WHERE {column} IS NOT NULL)) AS met
                        FROM (SELECT DISTINCT {column} AS h FROM {own.relation(table)} WHERE {column} IS NOT NULL)"""
                    ).to_pylist()
                    n_made, n_met = n_made + row["made"], n_met + row["met"]
    return n_made, n_met

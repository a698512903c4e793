"""Finds out whether a key is the one a lake was filled with: by hashing a log that the lake has read."""

from __future__ import annotations

import tempfile
from pathlib import Path

from detector.config import Config
from detector.errors import ConfigError, Location
from detector.health.report import quoted
from detector.ingest.ingestion import ingest
from detector.lake.key import VARIABLE, adopt, present_key
from detector.lake.store import Store

#: Keyed hashes of identifiers by table. Text is left out: what is kept of it changes with versions.
_HASHED = {
    "requests": ("ip_hash", "api_key_hash", "session_hash", "end_user_hash"),
    "accounts": ("payment_hash", "payment_bin_hash", "email_domain_hash", "signup_ip_hash"),
}


def adopt_key(store: Store, log: Path, settings: Config) -> str:
    """Note the key at hand as the lake's, once hashes made of ``log`` with it meet those that are stored.

    The log is read into a lake of its own, which is removed; like any lake it takes no text.

    Raises
    ------
    ConfigError : no key, no identifiers in the log, or none that meet.
    LogError : the log cannot be read.
    """
    key = present_key(store.root)
    n_made, n_met = 0, 0
    with tempfile.TemporaryDirectory(prefix="hydrawatch-") as folder:
        with Store(Path(folder) / "lake", threads=settings.threads, memory_gb=settings.memory_gb) as own:
            ingest(
                [log],
                own,
                key=key,
                max_rejects=1.0,
                **settings.reading(),
            )
            for table, columns in _HASHED.items():
                for column in columns:
                    [row] = own.engine.query(
                        f"""SELECT count(*) AS made, count(*) FILTER (h IN (
                            SELECT {column} FROM {store.relation(table)} WHERE {column} IS NOT NULL)) AS met
                        FROM (SELECT DISTINCT {column} AS h FROM {own.relation(table)} WHERE {column} IS NOT NULL)"""
                    ).to_pylist()
                    n_made, n_met = n_made + row["made"], n_met + row["met"]
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

"""Checks what a lake depends on besides its tables: installation, key, permissions, sinks, settings, views."""

from __future__ import annotations

import grp
import importlib.metadata
import importlib.util
import os
import re
import stat
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

import duckdb

from detector.alert.sink import NotOpened, open_each
from detector.config import Config
from detector.errors import ConfigError, HydrawatchError, LakeError
from detector.health.report import Finding, quoted
from detector.lake import key as keys
from detector.lake.engine import viewfile as views_of
from detector.lake.engine.sandbox import analyst_query
from detector.lake.journal import BEFORE
from detector.lake.marks import Marks, pseudonymised, read_marks
from detector.lake.store import Store
from detector.lake.tables import tables
from detector.lake.trouble import user_name
from detector.pipeline.exempt import idle_entries

#: Our top-level packages.
PACKAGES = ("detector", "features", "rules", "hydrawatch")
#: A step of a URL's path with this many characters counts as a token.
_TOKEN = 16
#: Names that hydrawatch creates in a lake's folder.
_OWN = ("data", BEFORE, "journal", "staging", "key", "lake.json", "hydrawatch.duckdb", "lock", "deliver.lock")


def names() -> Iterator[Finding]:
    """Our top-level packages that another distribution installs as well."""
    owners = importlib.metadata.packages_distributions()
    for name in PACKAGES:
        others = sorted(set(owners.get(name, [])) - {"hydrawatch"})
        if others:
            yield Finding(
                f"package {name!r} is also installed by {', '.join(others)}",
                "python -m venv hydrawatch-env && hydrawatch-env/bin/pip install hydrawatch",
            )
        elif importlib.util.find_spec(name) is None:
            yield Finding(
                f"package {name!r} is missing", "python -m pip install --force-reinstall --no-deps hydrawatch"
            )


def key(store: Store) -> Iterator[Finding]:
    """Whether the present key is the one that the lake was filled with."""
    root, empty = store.root, store.is_empty()
    if empty and not (root / "key").exists() and not os.environ.get(keys.VARIABLE):
        return  # the first ingest creates it
    try:
        present = keys.present_key(root)
        marks = read_marks(root)
    except HydrawatchError as error:
        yield _finding(error)
        return
    if marks.key_check is not None:
        if not empty and not keys.fits(present, marks.key_check):
            variable = os.environ.get(keys.VARIABLE)
            whose = keys.VARIABLE if variable else str(root / "key")
            yield Finding(
                f"{whose} is not the key that the lake was filled with", keys.way_out(root, marks.key_check)
            )
        elif (root / "key").exists() and os.environ.get(keys.VARIABLE):
            try:
                stray = not empty and not keys.fits(keys.file_key(root), marks.key_check)
            except ConfigError as error:
                yield _finding(error)
                return
            if stray:
                yield Finding(
                    f"{root / 'key'} is not the key that the lake was filled with, {keys.VARIABLE} is",
                    f"mv {quoted(root / 'key')} {quoted(root / 'key.other')}",
                )
    elif not empty:
        yield Finding(
            "nothing tells which key the lake was filled with: lake.json is missing, and no log is there to test a key on",
            f"restore {root / 'lake.json'} from a backup, or: "
            f"hydrawatch doctor --lake {quoted(root)} --adopt-key LOG, LOG being a file that the lake has read",
        )


def account_ids(store: Store, marks: Marks, settings: Config) -> Iterator[Finding]:
    """Whether the settings would store account ids in another form than the lake does."""
    keyed = pseudonymised(store, marks)
    if keyed is not None and keyed != settings.pseudonymise_accounts and not store.is_empty():
        way = "keyed hashes" if keyed else "clear"
        yield Finding(
            f"the lake holds account ids as {way}, pseudonymise_accounts is {str(not keyed).lower()}",
            f"set pseudonymise_accounts = {str(keyed).lower()} in {store.root / 'hydrawatch.toml'}",
        )


def permissions(store: Store, settings: Config) -> Iterator[Finding]:
    """Files that others than the owner (and ``lake_group``) may read, and files of another owner."""
    root, group = store.root, settings.lake_group
    allowed = 0o750 if group else 0o700
    owner, number = root.stat().st_uid, None
    if group:
        try:
            number = grp.getgrnam(group).gr_gid
        except KeyError:
            yield Finding(f"lake_group: no group {group!r} on this machine", "yours are listed by: id -Gn")
            return
    loose, strangers, outside = [], [], []
    for path in _ours(root):
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            continue
        if status.st_mode & 0o777 & ~allowed:
            loose.append(path)
        if status.st_uid != owner:
            strangers.append(path)
        if number is not None and status.st_mode & 0o050 and status.st_gid != number:
            outside.append(path)
    lake = quoted(root)
    if loose or outside:
        whom = f"group {group} and nobody else" if group else "its owner alone"
        chmod = (
            f"chmod -R u=rwX,g=rX,o= {lake} && chgrp -R {quoted(group)} {lake}"
            if group
            else f"chmod -R go= {lake}"
        )
        key = f" && chmod 600 {quoted(root / 'key')}" if group and (root / "key").exists() else ""
        staging = f" && chmod 700 {quoted(root / 'staging')}" if group else ""
        first = (loose or outside)[0]
        yield Finding(
            f"the lake is personal data, but not kept to {whom}: {len(set(loose) | set(outside))} files and folders, "
            f"the first {first}",
            chmod + staging + key,
        )
    if strangers:
        yield Finding(
            f"{len(strangers)} files and folders belong to somebody else than the lake, the first {strangers[0]}",
            f"sudo chown -R {user_name(owner)} {lake}",
        )


def settings_file(root: Path, settings: Config) -> Iterator[Finding]:
    """A settings file that others can read although it holds a secret."""
    path = root / "hydrawatch.toml"
    if not path.is_file() or not path.stat().st_mode & (0o007 if settings.lake_group else 0o077):
        return
    if any(_is_secret(name, value) for sink in settings.sinks for name, value in sink.items()):
        yield Finding(
            f"{path}: others can read it, and a sink's address or token in it is a secret",
            f"chmod {'640' if settings.lake_group else '600'} {quoted(path)}",
        )


def _is_secret(name: str, value: object) -> bool:
    """Whether a setting of a sink is a secret. Names of environment variables are not secret."""
    if not isinstance(value, str) or name.endswith("_env"):
        return False
    if re.search("secret|token|password|api_?key", name, re.IGNORECASE):
        return True
    if "://" not in value:
        return False
    address = urlsplit(value)
    long = any(len(step) >= _TOKEN for step in address.path.split("/"))
    return bool(address.username or address.password or address.query or long)


def _ours(root: Path) -> Iterator[Path]:
    """Files and folders that hydrawatch created. Settings and other files belong to the operator."""
    yield root
    for name in _OWN:
        path = root / name
        if path.exists():
            yield path
        for folder, folders, files in os.walk(path) if name != "staging" else ():  # its owner alone enters it
            yield from (Path(folder) / inner for inner in (*folders, *files))


def sinks(settings: Config) -> Iterator[Finding]:
    """Sinks that ``deliver`` cannot open: unknown types, wrong settings, missing secrets."""
    for each in open_each(settings.sinks):
        if isinstance(each, NotOpened):
            cure = each.error.hint or "put it right in hydrawatch.toml; see docs/configuration.md"
            yield Finding(each.error.message, cure)


def of_nobody(store: Store, settings: Config) -> Iterator[Finding]:
    """Entries of the allow-list whose account or organisation is not in the lake."""
    for words in idle_entries(store, settings, expired=False):
        yield Finding(words, "put the name right, or remove the entry")


def expired(settings: Config, today: date) -> Iterator[Finding]:
    """Entries of the allow-list that no longer count."""
    for entry in settings.allow:
        if entry.expires < today:
            yield Finding(
                f"allow-list entry for {entry.account_id or entry.org_id} expired on {entry.expires}",
                "remove it, or give it a later end",
            )


def views(store: Store, *, broken: set[str]) -> Iterator[Finding]:
    """Views that do not answer. Views over ``broken`` tables are left out: the damaged parts are reported."""
    path = store.root / "hydrawatch.duckdb"
    cure = f"hydrawatch doctor --lake {quoted(store.root)}"
    if not path.exists():
        yield Finding(f"{path}: missing", cure)
        return
    if not path.is_file():
        yield Finding(f"{path}: not a file", f"mv {quoted(path)} {quoted(f'{path}.other')} && {cure}")
        return
    if place := views_elsewhere(store.root):
        yield Finding(
            f"the lake was moved or copied: {path.name} reads {place}, not {store.root}",
            f"as its owner: {cure}",
        )
        return
    if not store.shape.is_current:
        return  # those of the version before, which a reader passes over
    names = [name for name in tables() if name not in broken]

    def ask(*wanted: str) -> None:
        rows = ", ".join(f'(SELECT count(*) FROM (SELECT 1 FROM "{name}" LIMIT 1))' for name in wanted)
        analyst_query(path, f"SELECT {rows}", readable=[store.data])

    try:
        ask(*names)  # one query is enough when all is well
    except (HydrawatchError, duckdb.Error):
        for name in names:
            try:
                ask(name)
            except (HydrawatchError, duckdb.Error) as error:
                yield Finding(f"view {name}: {str(error).splitlines()[0]}", cure)


def views_elsewhere(root: Path) -> str | None:
    """The folder of another lake that the views of ``root`` read; None when there is none, or it is not known."""
    try:
        place = views_of.views_elsewhere(root / "hydrawatch.duckdb", [root / "data"])
    except LakeError:
        return None
    return place and place.removesuffix("/data")


def _finding(error: HydrawatchError) -> Finding:
    return Finding(f"{error.at}: {error.message}" if error.at else error.message, error.hint)

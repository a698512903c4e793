"""The key of a lake's keyed hashes: ``HYDRAWATCH_KEY``, else ``DIR/key``; and the proof that it is the right one.

``lake.json`` holds a keyed hash of a constant. Whoever comes with another key is refused: what it hashed would
meet nothing that is stored, and no account would be linked across the two.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import shlex
from dataclasses import replace
from pathlib import Path

from detector.errors import ConfigError, Location
from detector.lake.marks import had_marks, new_marks, read_marks, write_marks
from detector.lake.places import sync
from features.request.keyed import MIN_KEY_BYTES

VARIABLE = "HYDRAWATCH_KEY"


class WrongKey(ConfigError):
    """Not the key that the lake was filled with."""


class KeyNotProven(ConfigError):
    """Nothing tells whether the key at hand is the lake's: it holds no check value, or has lost it."""


def lake_key(root: Path, *, may_make: bool) -> bytes:
    """The key that the lake at ``root`` was filled with.

    ``may_make`` is true only while the lake is empty: then a missing key is made, and the check value noted. A
    lake of version 0.1 takes ``root/key`` for its own the first time it is asked.

    Raises
    ------
    ConfigError : the key is missing from a lake with data, too short, or readable by others.
    WrongKey : it is another than the lake was filled with.
    KeyNotProven : nothing tells whether the key is the lake's: only the environment has one, or ``lake.json`` is lost.
    MarksDamaged : ``lake.json`` does not read.
    """
    if may_make and not _given() and not (root / "key").exists():
        _make(root)
    key = present_key(root)
    marks = new_marks() if may_make else read_marks(root)
    if may_make or marks.key_check is None:
        if not may_make and _given() and not (root / "key").exists():
            raise KeyNotProven(
                f"this lake was filled by an older version, and nothing in it tells whether {VARIABLE} is its key",
                at=Location(str(root)),
                hint="test it on a log that the lake has read, and keep it: "
                f"hydrawatch doctor --lake {shlex.quote(str(root))} --adopt-key LOG",
            )
        if not may_make and had_marks(root):
            raise KeyNotProven(
                "lake.json is missing, which told which key the lake was filled with",
                at=Location(str(root)),
                hint="restore it from a backup, or have the key tested on a log that the lake has read: "
                f"hydrawatch doctor --lake {shlex.quote(str(root))}",
            )
        own = key if may_make else file_key(root)
        marks = replace(marks, key_check=check_value(own))
        if (root / "data").is_dir():  # else nothing is filled yet
            write_marks(root, marks)
    if not fits(key, marks.key_check):
        raise WrongKey(
            f"{VARIABLE if _given() else 'this'} is not the key that the lake was filled with",
            at=Location(str(root if _given() else root / "key")),
            hint=way_out(root, marks.key_check),
        )
    return key


def present_key(root: Path) -> bytes:
    """The key at hand, whether or not it is the lake's.

    Raises
    ------
    ConfigError : there is none, it is too short, or others can read it.
    """
    if value := _given():
        if len(value.encode()) < MIN_KEY_BYTES:
            raise ConfigError(
                f"{VARIABLE} is shorter than {MIN_KEY_BYTES} characters", hint=f"unset {VARIABLE}"
            )
        return value.encode()
    return file_key(root)


def file_key(root: Path) -> bytes:
    """The key in ``root/key``.

    Raises
    ------
    ConfigError : as in ``present_key``.
    """
    path = root / "key"
    at, quoted = Location(str(path)), shlex.quote(str(path))
    try:
        if path.stat().st_mode & 0o077:
            raise ConfigError("others can read the key", at=at, hint=f"chmod 600 {quoted}")
        content = path.read_bytes().strip()
    except FileNotFoundError:
        raise ConfigError(
            "the lake's key is missing; what is stored was hashed with it",
            at=at,
            hint=f"restore the file, or set {VARIABLE} to its content",
        ) from None
    except OSError as error:
        raise ConfigError(
            f"the key cannot be read: {error.strerror}",
            at=at,
            hint=f"see: ls -ld {quoted}; or set {VARIABLE} to its content",
        ) from error
    if len(content) < MIN_KEY_BYTES:
        raise ConfigError(
            f"the key is shorter than {MIN_KEY_BYTES} bytes",
            at=at,
            hint=f"restore the file, or set {VARIABLE} to its content",
        )
    return content


def check_value(key: bytes) -> str:
    """Keyed hash of a constant: the same key gives the same, and nothing of the key can be told from it."""
    short = key if len(key) <= 64 else hashlib.blake2b(key).digest()
    return hashlib.blake2b(b"hydrawatch", digest_size=16, key=short, person=b"lake key check").hexdigest()


def adopt(root: Path, key: bytes) -> None:
    """Note ``key`` as the one that the lake was filled with."""
    write_marks(root, replace(read_marks(root), key_check=check_value(key)))


def fits(key: bytes, check: str | None) -> bool:
    """Whether ``check`` was made with ``key``."""
    return check is not None and hmac.compare_digest(check_value(key), check)


def way_out(root: Path, check: str | None) -> str:
    """What to do about a key that does not fit."""
    if _given():
        try:
            if fits(file_key(root), check):
                return f"the right one is in {root / 'key'}: unset {VARIABLE}"
        except ConfigError:
            pass
        other = f"set {VARIABLE} to the one it was filled with, from your copy"
    else:
        other = f"restore {root / 'key'} from your copy, or set {VARIABLE} to it"
    return (
        f"{other}; without it the lake can still be read, but takes no more logs: fill a new one, "
        f"hydrawatch ingest PATH --lake {shlex.quote(str(root))}-new"
    )


def _given() -> str | None:
    return os.environ.get(VARIABLE) or None


def _make(root: Path) -> None:
    """A new key, on disk for good before anything is hashed with it."""
    root.mkdir(0o700, parents=True, exist_ok=True)
    aside = root / f"key.{secrets.token_hex(8)}.new"
    handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w") as out:
            os.fchmod(out.fileno(), 0o600)
            out.write(secrets.token_hex(32) + "\n")
        sync(aside)
        os.replace(aside, root / "key")
    finally:
        aside.unlink(missing_ok=True)
    sync(root)

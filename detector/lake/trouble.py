"""Says in words what went wrong with a lake's files: permissions, a full disk, damage.

These reach any command through libraries of all sorts (Python, Arrow, DuckDB, polars), so they are told apart
here, in one place, after the fact: what the system reported, and which part of the lake no longer reads.
"""

from __future__ import annotations

import errno
import os
import pwd
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

from detector.errors import HydrawatchError, LakeError, Location, OutOfMemory, QueryError
from detector.lake import damage

_FULL = {errno.ENOSPC, errno.EDQUOT}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}
#: How libraries that do not hand on the system's number word it.
_WORDS = {
    "No space left on device": errno.ENOSPC,
    "Disk quota exceeded": errno.EDQUOT,
    "Permission denied": errno.EACCES,
    "Read-only file system": errno.EROFS,
    "Too many open files": errno.EMFILE,
}


@contextmanager
def in_words(root: Path) -> Iterator[None]:
    """Errors that come of the files of the lake at ``root`` leave as one a user can act on.

    Raises
    ------
    LakeError : no permission, a full disk, damaged files; anything else leaves as it came.
    """
    try:
        yield
    except BaseException as error:
        if failure := told_of(error, root):
            raise failure from error
        raise


def told_of(error: BaseException, root: Path) -> HydrawatchError | None:
    """What a user is told of ``error``; None where it has nothing to do with the lake's files."""
    if not _may_be_files(error):
        return None
    number, where = _system(error, root)
    place = Location(str(where or root))
    lake = shlex.quote(str(root))
    if number in _FULL:
        return LakeError(
            "the disk is full",
            at=place,
            hint=f"make room (see: df -h {lake}), then run the same command again; what was finished is kept",
        )
    if number in _REFUSED:
        return refused(where or root, root, read_only=number == errno.EROFS)
    if number == errno.EMFILE:
        return LakeError(
            "too many open files",
            at=place,
            hint="allow more, then run the same command again: ulimit -n 8192",
        )
    doctor = f"hydrawatch doctor --lake {lake}"
    with suppress(OSError):
        if damaged_part := damage.first(root / "data"):
            look = f"{doctor} --deep" if damaged_part.deep else doctor
            return LakeError(
                damaged_part.why, at=Location(str(damaged_part.path)), hint=f"see what to do: {look}"
            )
    if number is not None and where is not None:
        return LakeError(os.strerror(number).lower(), at=place, hint=f"see what to do: {doctor}")
    if isinstance(error, duckdb.Error):  # not from a statement: those are QueryErrors
        return LakeError(
            f"the views cannot be read: {str(error).splitlines()[0]}",
            at=place,
            hint=f"rewrite them: {doctor}",
        )
    return None


def refused(path: Path, root: Path, *, read_only: bool = False) -> LakeError:
    """No permission for ``path``, and whose it is."""
    if read_only:
        return LakeError(
            "lies on a read-only file system",
            at=Location(str(path)),
            hint="only reading commands work on this lake: query, explain, doctor, deliver --dry-run",
        )
    mine, owner = user_name(os.geteuid()), None
    with suppress(OSError):
        path = path if path.exists() else _above(path)
        owner = user_name((root if root.exists() else path).stat().st_uid)
    whose = f"run it as {owner}" if owner and owner != mine else "give yourself the permission"
    return LakeError(
        f"no permission for user {mine}",
        at=Location(str(path)),
        hint=f"{whose}; see: ls -ld {shlex.quote(str(path))}",
    )


def _above(path: Path) -> Path:
    """The nearest folder above that is there."""
    return next(p for p in path.parents if p.exists())


def user_name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _may_be_files(error: BaseException) -> bool:
    if isinstance(error, OutOfMemory | BrokenPipeError):
        return False
    if isinstance(error, HydrawatchError):
        return isinstance(error, QueryError)
    # polars' panics are no Exception; the ways out of a command (click, typer) are none of damage.
    away = type(error).__module__.split(".")[0] in ("click", "typer")
    return not away and (isinstance(error, Exception) or type(error).__name__ == "PanicException")


def _system(error: BaseException, root: Path) -> tuple[int | None, Path | None]:
    """The system's number of an error, however deep it is wrapped, and the file of the lake it names."""
    link: BaseException | None = error
    number, where = None, None
    while link is not None:
        if isinstance(link, OSError) and link.filename is not None and where is None:
            where = _inside(link.filename, root)
            if where is None and link.errno not in _FULL:
                return None, None  # some other file
        if number is None:
            number = link.errno if isinstance(link, OSError) else None
            number = number or next((n for words, n in _WORDS.items() if words in str(link)), None)
        link = link.__cause__
    return number, where


def _inside(name: object, root: Path) -> Path | None:
    """The file, where it is the lake's or a folder above it that could not be entered or written."""
    path = Path(os.fsdecode(name) if isinstance(name, str | bytes) else str(name)).absolute()
    return path if path.is_relative_to(root) or root.is_relative_to(path) else None

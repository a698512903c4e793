"""How a command ends: its exit code, one message without a traceback, and what a crash leaves to report.

    0 done   1 --fail-on   2 usage, configuration, the lake, the machine   3 data quality   4 delivery
    70 a fault of hydrawatch itself   130 stopped, by Ctrl-C or SIGTERM

What is said of a crash never holds text of a log: messages of exceptions may quote one, so that only those of
which the wording is known are kept.
"""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import re
import shlex
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import typer

from detector.cli.show import clean
from detector.errors import HydrawatchError

CRASHED, STOPPED = 70, 130
#: Seconds within which a second signal to stop is the first one again.
PATIENCE = 3.0
#: Codes of several steps, the worst first: which one they end with together.
WORST_FIRST = (70, 2, 4, 3, 1, 0)

#: Faults of the machine that its operator mends, and what to do.
_MACHINE = {
    errno.ENOSPC: "free some space, then run the same command again: what was finished is kept",
    errno.EDQUOT: "free some of the quota, then run the same command again: what was finished is kept",
    errno.EACCES: "give the user that runs hydrawatch the right to it, or run as the lake's owner",
    errno.EPERM: "give the user that runs hydrawatch the right to it, or run as the lake's owner",
    errno.EROFS: "mount it for writing, or copy the lake to where it can be written",
    errno.EIO: "the disk or its connection fails: look at it, then run the same command again",
    errno.EMFILE: "raise the limit of open files (ulimit -n), then run the same command again",
    errno.ENFILE: "raise the limit of open files of the machine, then run the same command again",
    errno.ENOENT: "look whether that path is right, and whether something removed it meanwhile",
    errno.EISDIR: "a folder is there: give the path of a file",
    errno.EEXIST: "something is there already: move it away, or give another path",
    errno.ENOTDIR: "a part of that path is no folder: move it away, or give another path",
    errno.ENAMETOOLONG: "choose a shorter path",
    errno.ESTALE: "the network folder went away: mount it again, then run the same command again",
}
#: Exceptions whose message names code, never data.
_OF_CODE = (
    ImportError,
    AttributeError,
    NameError,
    ZeroDivisionError,
    RecursionError,
    IndexError,
    MemoryError,
)
#: Beginnings of messages that hold shapes and sizes only.
_OF_SHAPES = re.compile(
    r"(operands could not be broadcast|shape[s ]|all the input array|cannot reshape|zero-size array|"
    r"index \d+ is out of bounds|attempt to get arg(min|max) of an empty)"
)
#: Commands that work on a lake, so that a hint that names one is pasted with the lake at hand.
_ON_A_LAKE = re.compile(r"hydrawatch (ingest|run|nightly|deliver|query|explain|doctor)\b(?!\S)([^\n]*)")
_CONFIGURED = ("ingest", "run", "nightly", "deliver")


@dataclass
class _Now:
    """What the command is at; told when it ends otherwise than hoped."""

    #: When the command was first told to stop (monotonic seconds); None: it was not.
    stopped_at: float | None = None
    doing: str = ""
    kept: str = ""
    lake: Path | None = None
    config: Path | None = None


_now = _Now()


def begin() -> None:
    """Forget what an earlier command was at; turn Ctrl-C and SIGTERM into an orderly stop.

    A signal that the caller had switched off (``nohup``, a job in the background) stays off.
    """
    global _now
    _now = _Now()
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) not in (signal.SIG_IGN, None):
            signal.signal(number, _stop)


def _stop(number: int, frame: FrameType | None) -> None:
    """Stop once, in order. ``timeout`` and shells send a signal twice: while a stop is under way it is the same one.

    Who asks again after ``PATIENCE`` seconds is heard at once: whatever has the word, the lake is whole after it.
    """
    if _now.stopped_at is None:
        _now.stopped_at = time.monotonic()
        raise KeyboardInterrupt
    if time.monotonic() - _now.stopped_at > PATIENCE:
        os._exit(STOPPED)


def works_on(lake: Path, config: Path | None = None) -> None:
    """The lake (and settings file) of the command, for the hints of its messages."""
    _now.lake, _now.config = lake, config


def doing(what: str, *, kept: str = "") -> None:
    """Note what is under way, and what a stop would leave (a whole sentence).

    Raises
    ------
    KeyboardInterrupt : the command was told to stop while a library had the word, which may have swallowed it.
    """
    _now.doing, _now.kept = what, kept
    if _now.stopped_at is not None:
        raise KeyboardInterrupt


def arguments() -> str:
    """``--lake`` and ``--config`` of the command, as they are pasted behind another."""
    options = f" --lake {shlex.quote(str(_now.lake))}" if _now.lake else ""
    return options + (f" --config {shlex.quote(str(_now.config))}" if _now.config else "")


def pasteable(text: str) -> str:
    """``text`` with the lake at hand in every command that needs one and names none."""
    if _now.lake is None:
        return text
    lake = shlex.quote(str(_now.lake))
    config = f" --config {shlex.quote(str(_now.config))}" if _now.config else ""

    def complete(match: re.Match[str]) -> str:
        verb, rest = match.group(1), match.group(2)
        if "--lake LAKE" in rest:
            rest = rest.replace("--lake LAKE", f"--lake {lake}")
        elif "--lake" not in rest:
            rest = f" --lake {lake}{rest}"
        if verb in _CONFIGURED and "--config" not in rest:
            rest = rest.replace(f"--lake {lake}", f"--lake {lake}{config}", 1)
        return f"hydrawatch {verb}{rest}"

    return _ON_A_LAKE.sub(complete, text)


def is_stop(error: BaseException) -> bool:
    """Whether the command was told to stop, whatever a library made of it."""
    return _now.stopped_at is not None or isinstance(error, KeyboardInterrupt)


def close(error: BaseException) -> int:
    """Say what ended the command, and return its exit code. ``error``: whatever it raised."""
    if isinstance(error, SystemExit):
        if isinstance(error.__context__, BrokenPipeError):  # `hydrawatch query ... | head`
            return _quietly()
        code = error.code if isinstance(error.code, int) else (0 if error.code is None else 2)
        if code != STOPPED:
            return code
    if isinstance(error, BrokenPipeError):
        return _quietly()
    if _now.stopped_at is not None or isinstance(error, SystemExit | KeyboardInterrupt):
        # Whatever a library made of the interruption: it was one.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        _say(f"stopped{_at()}; {_now.kept or 'what was finished is kept, run the same command again'}")
        return STOPPED
    return code_of(error)


def code_of(error: BaseException) -> int:
    """Say what ended a step of a command, and return the exit code it stands for."""
    if isinstance(error, HydrawatchError):
        message = _disk_full(error) or pasteable(str(error))
        _say(message)
        return error.exit_code
    if isinstance(error, typer.Exit):
        return int(error.exit_code)
    if isinstance(error, typer.BadParameter):
        _say(error.format_message())
        return 2
    if fault := _machine(error):
        _say(fault)
        return 2
    _say(_crash(error))
    return CRASHED


def _say(message: str) -> None:
    first, *more = [clean(line, width=4_000) for line in message.split("\n")]
    # A value in the message may hold line breaks: no line of it begins as a message does.
    lines = [first, *(line if line.startswith("  ") else f"  {line}" for line in more)]
    with contextlib.suppress(OSError):  # nobody may listen any more
        typer.echo("hydrawatch: " + "\n".join(lines), err=True)


def _at() -> str:
    return f" while {_now.doing}" if _now.doing else ""


def _quietly() -> int:
    sys.stderr.close()
    return 0


def _disk_full(error: BaseException) -> str | None:
    """The words for a full disk, which libraries tell in their own errors."""
    cause: BaseException | None = error
    while cause is not None:
        if getattr(cause, "errno", None) == errno.ENOSPC or "no space left on device" in str(cause).lower():
            place = getattr(cause, "filename", None) or _now.lake
            where = f"{place}: " if place else ""
            return f"{where}no space left on device{_at()}\n  {_MACHINE[errno.ENOSPC]}"
        cause = cause.__cause__ or cause.__context__
    return None


def _machine(error: BaseException) -> str | None:
    """What an error of the operating system says to its operator; None: it is no such error."""
    if full := _disk_full(error):
        return full
    if not isinstance(error, OSError) or error.errno not in _MACHINE:
        return None
    place = error.filename2 or error.filename or _now.lake  # of a renaming: where to
    where = f"{place}: " if place else ""
    return f"{where}{(error.strerror or 'fault of the machine').lower()}{_at()}\n  {_MACHINE[error.errno]}"


def _crash(error: BaseException) -> str:
    """Keep the traceback aside and return the line that tells of it."""
    if os.environ.get("HYDRAWATCH_DEBUG"):
        traceback.print_exception(error)
    frames = traceback.extract_tb(error.__traceback__)
    ours = [
        f
        for f in frames
        if f"{os.sep}detector{os.sep}" in f.filename or f"{os.sep}features{os.sep}" in f.filename
    ]
    last = (ours or list(frames))[-1:]
    place = "".join(f" at {Path(f.filename).name}:{f.lineno}" for f in last)
    line = f"a fault of hydrawatch itself: {type(error).__name__}{place}{_at()}"
    try:
        handle, path = tempfile.mkstemp(prefix="hydrawatch-crash-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as out:
            out.write(report(error))
    except OSError as unwritten:
        return f"{line}; its traceback could not be kept ({unwritten.strerror}); HYDRAWATCH_DEBUG=1 prints it"
    return f"{line}; please report it with {path} (no text of logs is in it)"


def report(error: BaseException) -> str:
    """What the crash file holds: versions, what was under way, and where each exception came from."""
    from detector import __version__

    lines = [
        f"hydrawatch {__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}",
        f"while: {_now.doing or 'starting'}",
    ]
    cause: BaseException | None = error
    while cause is not None:
        lines += ["", f"{type(cause).__module__}.{type(cause).__name__}: {_words(cause)}"]
        lines += [
            f"  {f.filename}:{f.lineno} in {f.name}\n    {f.line or ''}"
            for f in traceback.extract_tb(cause.__traceback__)
        ]
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return "\n".join(lines) + "\n"


def _words(error: BaseException) -> str:
    """The message of an exception, where it cannot quote a log."""
    message = str(error)
    if isinstance(error, _OF_CODE) or _OF_SHAPES.match(message):
        return clean(message, width=300)
    return f"({len(message)} characters withheld, they may quote a log; HYDRAWATCH_DEBUG=1 prints them)"

"""How commands end: one message and an exit code, whatever was raised; a crash leaves a file without log text."""

from __future__ import annotations

import errno
import os
import pty
import re
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import typer

from detector import cli
from detector.cli import ending
from detector.cli.show import bar, say
from detector.errors import ConfigError, DataQualityError, DeliveryError, QueryError
from detector.lake.engine.duckdb import DuckDB

CANARY = "please explain step by step how Zebulon's aunt baked"


@pytest.fixture(autouse=True)
def handlers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Signal handlers as they were; crash files in a folder of the test's own."""
    kept = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)
    ending._now = ending._Now()


def ends(monkeypatch: pytest.MonkeyPatch, command: Callable[[], object]) -> int:
    """Exit code of the program when its command is ``command``."""
    monkeypatch.setattr(cli, "app", command)
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    return int(stopped.value.code or 0)


def raises(error: BaseException) -> Callable[[], object]:
    def command() -> object:
        raise error

    return command


class Panic(BaseException):
    """What compiled libraries raise: no Exception."""


def crash_of_numpy() -> None:
    np.zeros(30) + np.zeros(27)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("no"), 2),
        (QueryError("no"), 2),
        (DataQualityError("no"), 3),
        (DeliveryError("no"), 4),
        (typer.Exit(1), 1),
        (typer.BadParameter("no"), 2),
        (PermissionError(errno.EACCES, "Permission denied", "/lake/lock"), 2),
        (OSError(errno.EROFS, "Read-only file system", "/lake/lock"), 2),
        (OSError(errno.ENOSPC, "No space left on device", "/lake/x"), 2),
        (ValueError(CANARY), 70),
        (KeyError(CANARY), 70),
        (MemoryError(), 70),
        (Panic(CANARY), 70),
    ],
    ids=lambda v: type(v).__name__ if isinstance(v, BaseException) else str(v),
)
def test_every_error_has_its_exit_code_and_no_traceback(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ending.code_of(error) == code
    if not isinstance(error, typer.Exit | typer.BadParameter):  # typer itself turns these into SystemExit
        assert ends(monkeypatch, raises(error)) == code
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert CANARY not in said


@pytest.mark.parametrize("error", [ValueError(CANARY), KeyError(CANARY), Panic(CANARY)])
def test_a_crash_leaves_a_file_that_tells_where_and_quotes_no_log(
    error: BaseException, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def inner() -> None:
        try:
            raise RuntimeError(CANARY)
        except RuntimeError as first:
            raise error from first

    ending.doing("running 2026-03-02 (scoring)")
    with pytest.raises(type(error)) as caught:
        inner()
    assert ending.code_of(caught.value) == 70
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "2026-03-02 (scoring)" in said
    (path,) = tmp_path.glob("hydrawatch-crash-*.txt")
    assert str(path) in said
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    told = path.read_text()
    assert "Zebulon" not in told + said
    assert "in inner" in told
    assert "RuntimeError" in told
    assert "2026-03-02 (scoring)" in told


def test_shapes_of_arrays_are_told_in_the_crash_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="broadcast") as caught:
        crash_of_numpy()
    ending.code_of(caught.value)
    (path,) = tmp_path.glob("hydrawatch-crash-*.txt")
    assert "(30,) (27,)" in path.read_text()


def test_a_crash_on_a_full_disk_is_still_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(**_: object) -> tuple[int, str]:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.mkstemp", full)
    assert ending.code_of(ValueError(CANARY)) == 70
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device", "/lake/x"),
        OSError(errno.EDQUOT, "Disk quota exceeded", "/lake/x"),
        OSError("[Errno 28] Error writing bytes to file. Detail: [errno 28] No space left on device"),
        QueryError('query: IO Error: Could not write file "x": No space left on device'),
        RuntimeError("ComputeError: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_is_told_as_one_whoever_notices(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ending.code_of(error) == 2
    assert "free some" in capsys.readouterr().err


def test_what_an_attacker_wrote_does_not_reach_the_terminal_as_control(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ending.code_of(ConfigError("no account '\x1b]0;owned\x07\x1b[2J'", hint="look\x1b[31m"))
    assert "\x1b" not in capsys.readouterr().err


def test_hints_name_the_lake_and_the_settings_at_hand() -> None:
    ending.works_on(Path("my lake"), Path("a.toml"))
    told = {
        'see: hydrawatch query "SELECT 1"': "see: hydrawatch query --lake 'my lake' \"SELECT 1\"",
        "run again: hydrawatch deliver": "run again: hydrawatch deliver --lake 'my lake' --config a.toml",
        "hydrawatch explain X --lake LAKE": "hydrawatch explain X --lake 'my lake'",
        "hydrawatch doctor --lake other": "hydrawatch doctor --lake other",
        "see: hydrawatch tables runs": "see: hydrawatch tables runs",
        "a\n  hydrawatch run\nb": "a\n  hydrawatch run --lake 'my lake' --config a.toml\nb",
    }
    assert {hint: ending.pasteable(hint) for hint in told} == told


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "turned_into", [None, RuntimeError("Query interrupted"), QueryError("counting failed")]
)
def test_a_stop_is_one_message_and_130_whatever_a_library_makes_of_it(
    number: signal.Signals,
    turned_into: Exception | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def command() -> None:
        ending.doing("running 2026-03-03 (scoring)", kept="1 day finished and kept")
        try:
            os.kill(os.getpid(), number)
        except KeyboardInterrupt:
            if turned_into is None:
                raise
            raise turned_into from None

    assert ends(monkeypatch, command) == 130
    said = capsys.readouterr().err
    assert said == "hydrawatch: stopped while running 2026-03-03 (scoring); 1 day finished and kept\n"


def test_a_stop_that_was_swallowed_takes_effect_at_the_next_stage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reached: list[str] = []

    def command() -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            reached.append("swallowed")
        ending.doing("the next stage")
        reached.append("went on")

    assert ends(monkeypatch, command) == 130
    assert reached == ["swallowed"]
    assert "stopped" in capsys.readouterr().err


def test_a_stop_inside_a_statement_of_the_engine_is_a_stop(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> None:
        with DuckDB(threads=1) as engine:
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
            engine.query("SELECT sum(a.range * b.range) FROM range(1000000) a, range(1000000) b")

    assert ends(monkeypatch, command) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_a_second_signal_of_the_same_stop_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``timeout`` signals the process and then its group."""

    def command() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except KeyboardInterrupt:
            os.kill(os.getpid(), signal.SIGTERM)  # while the first one unwinds
            raise

    assert ends(monkeypatch, command) == 130
    assert "stopped" in capsys.readouterr().err


def test_who_asks_again_later_is_heard_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)
    monkeypatch.setattr(ending, "PATIENCE", -1.0)

    def command() -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            os.kill(os.getpid(), signal.SIGINT)
            raise

    assert ends(monkeypatch, command) == 130
    assert codes == [130]


def test_a_stop_through_the_real_command_line_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = typer.Typer()

    @made.command()
    def stopped() -> None:
        os.kill(os.getpid(), signal.SIGINT)

    assert ends(monkeypatch, lambda: made([])) == 130
    assert "what was finished is kept" in capsys.readouterr().err


def test_a_signal_that_was_switched_off_stays_off() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ending.begin()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_a_reader_that_left_is_no_error() -> None:
    code = "from detector import cli; cli.app = lambda: (_ for _ in ()).throw(BrokenPipeError()); cli.main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


_SAYING = """
from detector.cli.show import bar, say
with bar("run", total=2.0) as update:
    for day in ("2026-03-02", "2026-03-03"):
        update(0.5, day + " storing")
        say(day + ": [bold]7 requests[/bold]")
"""


def test_lines_said_beside_a_bar_start_on_a_line_of_their_own() -> None:
    ours, theirs = pty.openpty()
    done = subprocess.Popen(
        [sys.executable, "-c", _SAYING], stderr=theirs, stdout=subprocess.DEVNULL,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    while chunk := _read(ours):
        shown += chunk
    assert done.wait() == 0
    text = shown.decode()
    for day in ("2026-03-02", "2026-03-03"):
        before, found, _ = text.partition(f"{day}: [bold]7 requests[/bold]")
        assert found
        # Since the bar was last drawn its line was cleared, and nothing but the cursor moved.
        assert re.search(r"(\r|\n|\x1b\[2K)$", re.sub(r"\x1b\[[0-9;?]*[A-JL-Zhlm]", "", before)), before[-80:]
    # Nothing of the bar is left behind the last line.
    assert "━" not in text.rpartition("\x1b[2K")[2]


def _read(handle: int) -> bytes:
    try:
        return os.read(handle, 65536)
    except OSError:  # the other end is closed
        return b""


def test_without_a_terminal_there_is_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with bar("run", total=1.0) as update:
        update(0.5, "note")
        say("a line")
    assert capsys.readouterr().err == "a line\n"

"""Takes blocks of one file through mapping, measuring and writing, in this process or in others.

    map (block -> ids, accounts, times)   keep (which rows -> measured, written)   show (templates -> skeletons)

Some decisions depend on the whole lake: duplicates, times that are not believed, templates met before. One process
makes them between the steps, block by block in the file's order. So a file gives the same rows however many processes
read it. Text never leaves the process that parsed it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from multiprocessing.connection import Connection
from pathlib import Path
from socket import socketpair
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import polars as pl

from detector.errors import LakeError
from detector.ingest import requests
from detector.ingest.checks import Mapped
from detector.ingest.formats import Options, formats
from detector.ingest.mapping import RecordMapper
from detector.ingest.splitting import Block

if TYPE_CHECKING:
    from features.request.measure import TextMeter

#: Rows of one day, and of all days together, that a process keeps before it writes a part (a row with its sketches takes
#: about 1 KB).
DAY_ROWS = 131_072
ALL_ROWS = 393_216
#: A smaller file is read by one process (bytes): sharing it out would cost more than it saves.
SHARED_BYTES = 8 << 20


@dataclass(frozen=True)
class Task:
    """What all blocks of a file have in common. Parts of requests are written to ``folder``."""

    form: str
    options: Options
    key: bytes
    pseudonymise: bool
    identity: str
    folder: str
    all_rows: int = ALL_ROWS


class Kept(NamedTuple):
    """The kept rows of a block: their template ids, notes, and the parts written so far (day, path)."""

    templates: pl.Series
    notes: Counter[str]
    parts: list[tuple[date, str]]


class BlockProcessor:
    """The steps themselves. A process handles its blocks one after the other."""

    def __init__(self) -> None:
        self._meters: dict[bytes, TextMeter] = {}

    def begin(self, task: Task) -> None:
        """Get ready for a file."""
        self._task = task
        self._mapper = RecordMapper(formats()[task.form], "requests", task.options)
        self._rows = pl.DataFrame()
        self._waiting: dict[date, list[pl.DataFrame]] = {}
        self._n_waiting: Counter[date] = Counter()
        self._n_parts = 0

    def map(self, block: Block) -> Mapped:
        """Map a block. The rows returned have line, request id, account as it is stored, and time only."""
        mapped = self._mapper.map(block)
        self._rows = mapped.rows
        if self._task.pseudonymise:
            self._rows = requests.pseudonymised(mapped.rows, self._task.key)
        mapped.rows = self._rows.select("line", "request_id", "account_id", "ts")
        return mapped

    def keep(self, which: pl.Series, beside: pl.DataFrame | None = None) -> Kept:
        """Measure the rows of the last block for which ``which`` is true, and write parts that are full.

        ``beside``: columns of another log for the block's rows. They replace the values of the rows' own log.
        """
        rows = self._rows
        if beside is not None:
            rows = rows.with_columns(
                pl.coalesce(better, rows[better.name]) for better in beside.get_columns()
            )
        if not which.all():
            rows = rows.filter(which)
        self._rows = pl.DataFrame()
        notes: Counter[str] = Counter()
        if not rows.height:
            return Kept(pl.Series(dtype=pl.UInt64), notes, [])
        from features.request.measure import logit_probe

        task = self._task
        measured = requests.to_rows(
            rows,
            meter=self._meter,
            logit_probe=logit_probe,
            key=task.key,
            file_id=task.identity,
            notes=notes,
        )
        parts: list[tuple[date, str]] = []
        for day, part in _by_day(measured):
            self._waiting.setdefault(day, []).append(part)
            self._n_waiting[day] += part.height
            if self._n_waiting[day] >= DAY_ROWS:
                parts.append(self._write(day))
        while self._n_waiting.total() >= task.all_rows:
            parts.append(self._write(self._n_waiting.most_common(1)[0][0]))
        return Kept(measured["template_id"], notes, parts)

    def show(self, templates: list[int]) -> pl.DataFrame:
        """Skeletons of templates of the last block: ``template_id``, ``skeleton``."""
        if not templates:
            return pl.DataFrame(schema={"template_id": pl.UInt64, "skeleton": pl.String})
        return self._meter.show(templates)

    def end(self) -> list[tuple[date, str]]:
        """Write the rows that are left, and return the parts (day, path)."""
        return [self._write(day) for day in sorted(self._waiting)]

    @property
    def _meter(self) -> TextMeter:
        key = self._task.key
        if key not in self._meters:
            from features.request.measure import TextMeter

            self._meters[key] = TextMeter(key)
        return self._meters[key]

    def _write(self, day: date) -> tuple[date, str]:
        from detector.lake.rows import write_part

        rows = pl.concat(self._waiting.pop(day))
        del self._n_waiting[day]
        path = Path(self._task.folder) / f"{os.getpid()}-{self._n_parts}.parquet"
        self._n_parts += 1
        write_part("requests", rows, path)
        return day, str(path)


def _by_day(rows: pl.DataFrame) -> list[tuple[date, pl.DataFrame]]:
    """Rows of each day; a block of a log is mostly of one."""
    first, last = rows["day"].min(), rows["day"].max()
    assert isinstance(first, date)
    if first == last:
        return [(first, rows)]
    return [(part["day"][0], part) for part in rows.partition_by("day", maintain_order=True)]


class Processor(Protocol):
    """Takes a step and gives its answer later."""

    def send(self, step: str, *given: Any) -> None: ...
    def receive(self) -> Any: ...


class Local:
    """Takes each step at once, in this process."""

    def __init__(self) -> None:
        self._processor = BlockProcessor()
        self._answers: deque[Any] = deque()

    def send(self, step: str, *given: Any) -> None:
        self._answers.append(getattr(self._processor, step)(*given))

    def receive(self) -> Any:
        return self._answers.popleft()


_SERVE = "import sys; from detector.ingest import processing; processing.serve(int(sys.argv[1]))"


class Remote:
    """Takes each step in a process of its own."""

    def __init__(self) -> None:
        ours, theirs = socketpair()
        # Several processes share the cores: each works with one thread.
        single = dict.fromkeys(
            ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "RAYON_NUM_THREADS"), "1"
        )
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _SERVE, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={**os.environ, **single, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the process that writes; this one ends with it
            )
        self._connection = Connection(ours.detach())

    def send(self, step: str, *given: Any) -> None:
        try:
            self._connection.send((step, given))
        except OSError:
            raise self._ended() from None

    def receive(self) -> Any:
        try:
            fine, answer = self._connection.recv()
        except (EOFError, OSError):
            raise self._ended() from None
        if not fine:
            raise answer
        return answer

    def _ended(self) -> LakeError:
        code = self._process.wait()
        return LakeError(
            f"a process that reads logs ended early (exit code {code}), perhaps for want of memory",
            hint="read with one process: set workers = 1 in hydrawatch.toml",
        )

    def close(self) -> None:
        """End the process."""
        self._connection.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@dataclass
class Pool:
    """Processors of one call of ``ingest``: one in this process, and others from the first large file on."""

    workers: int
    _local: Local = field(default_factory=Local)
    _remote: list[Remote] = field(default_factory=list)

    @contextmanager
    def processors(self, task: Task, n_bytes: int) -> Iterator[list[Processor]]:
        """Processors that are ready for a file of ``n_bytes``. They are replaced if reading it fails."""
        ready: list[Processor] = [self._local]
        if self.workers > 1 and n_bytes >= SHARED_BYTES:
            while len(self._remote) < self.workers:
                self._remote.append(Remote())
            ready = list(self._remote)
        for processor in ready:
            processor.send("begin", task)
            processor.receive()
        try:
            yield ready
        except BaseException:
            self.close()
            self._local = Local()
            raise

    def close(self) -> None:
        """End the other processes."""
        for remote in self._remote:
            remote.close()
        self._remote = []


class Judge(Protocol):
    """Makes the decisions between the steps; see ``intake.Intake``."""

    def judge(self, mapped: Mapped) -> pl.Series: ...
    def beside(self, mapped: Mapped) -> pl.DataFrame | None: ...
    def kept(self, kept: Kept) -> list[int]: ...
    def shown(self, skeletons: pl.DataFrame) -> None: ...
    def written(self, parts: Iterable[tuple[date, str]]) -> None: ...


def process(processors: list[Processor], blocks: Iterable[Block], judge: Judge) -> None:
    """Take every block through the steps. Decisions are made in the file's order."""
    remaining = iter(blocks)
    busy: list[Processor] = []

    def feed(processor: Processor) -> None:
        block = next(remaining, None)
        if block is not None:
            processor.send("map", block)
            busy.append(processor)

    for processor in processors:
        feed(processor)
    while busy:
        batch, busy[:] = list(busy), []
        for processor in batch:
            mapped = processor.receive()
            processor.send("keep", judge.judge(mapped), judge.beside(mapped))
        for processor in batch:
            processor.send("show", judge.kept(processor.receive()))
            judge.shown(processor.receive())
            feed(processor)
    for processor in processors:
        processor.send("end")
    for processor in processors:
        judge.written(processor.receive())


def serve(descriptor: int) -> None:
    """Take steps for the process at the other end of a socket, until it goes away."""
    connection = Connection(descriptor)
    processor = BlockProcessor()
    while True:
        try:
            step, given = connection.recv()
        except (EOFError, OSError):
            return
        try:
            answer: tuple[bool, Any] = (True, getattr(processor, step)(*given))
        except Exception as error:
            # The kind and place of the error only: its message may quote text of a log.
            where = traceback.extract_tb(error.__traceback__)[-1]
            answer = (
                False,
                LakeError(f"{type(error).__name__} in {Path(where.filename).name}:{where.lineno}"),
            )
        connection.send(answer)

"""The two locks of a lake: that of whoever changes its tables, and that of whoever delivers."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from detector.errors import LakeBusy
from detector.lake.access import Access

#: How often, and after what wait, a writer tries to take the lock.
_TRIES, _WAIT_S = 10, 0.05


@contextmanager
def writing(root: Path, access: Access, *, patient: bool) -> Iterator[None]:
    """Hold the writers' lock.

    ``patient``: wait half a second for whoever holds it, as a reader that clears up does for a moment.

    Raises
    ------
    LakeBusy : another process holds it.
    """
    busy = LakeBusy(f"{root}: another hydrawatch process is writing", hint="wait for it, then run this again")
    with _held(root / "lock", access, busy, tries=_TRIES if patient else 1):
        yield


@contextmanager
def delivering(root: Path, access: Access) -> Iterator[int]:
    """Hold the lock of ``deliver``, which is not the writers': a receiver may take minutes, logs come meanwhile.

    Yields the lock's file, in which the holder notes what is on its way.

    Raises
    ------
    LakeBusy : another ``deliver`` of this lake is at work.
    """
    busy = LakeBusy(
        f"{root}: another hydrawatch deliver is at work",
        hint="wait for it; what it does not send, the next one does",
    )
    with _held(root / "deliver.lock", access, busy) as handle:
        yield handle


@contextmanager
def _held(path: Path, access: Access, busy: LakeBusy, *, tries: int = 1) -> Iterator[int]:
    """Hold the lock on a file, which is made where there is none; ``busy`` when others do."""
    new = not path.exists()
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if new:
            access.settle(path)
        for left in reversed(range(tries)):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not left:
                    raise busy from None
                time.sleep(_WAIT_S)
        yield handle
    finally:
        os.close(handle)

"""A pool of processes that works through jobs and yields each result as it is finished."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


def spread(
    work: Callable[[Job], Result], jobs: Sequence[Job], *, processes: int, progress: Callable[[int], None]
) -> Iterator[tuple[Job, Result | Exception]]:
    """Run ``work`` over ``jobs`` in a pool, as they finish; a failed job yields its exception."""
    if processes <= 1:
        for number, job in enumerate(jobs):
            try:
                yield job, work(job)
            except Exception as error:  # told with its job by the caller
                yield job, error
            progress(number + 1)
        return
    # Threads of the engines do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        futures = {pool.submit(work, job): job for job in jobs}
        try:
            for number, future in enumerate(as_completed(futures)):
                failed = future.exception()
                if failed is not None and not isinstance(failed, Exception):
                    raise failed
                yield futures[future], failed if failed is not None else future.result()
                progress(number + 1)
        finally:
            # Whoever stops listening, for an error or an interrupt, does not wait for an hour of other jobs.
            pool.shutdown(cancel_futures=True)

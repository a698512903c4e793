"""What `hydrawatch run` costs against the number of requests: processor time, memory, growth over sizes and over days.

    python -m benchmarks.scale [--requests 20000,60000,200000] [--days 7] [--keep DIR]

Each size is a lake of its own (``benchmarks.scale_lake``), each day a process of its own, as a nightly run is; so a day's
peak memory is its own. Told are a middle day, the last against the second, and the exponent of a power law fitted to the
middle days. With ``--stages`` the stages of each middle day as well.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np


def run_one(lake: Path, day: date, memory_gb: float | None) -> dict[str, Any]:
    """Run one day in this process, and what it took."""
    from detector import pipeline
    from detector.config import Config
    from detector.lake.store import Store

    began, stages, last = time.process_time(), {}, "opening"
    wall = time.monotonic()

    def tell(stage: str) -> None:
        nonlocal last
        stages[stage] = time.process_time()

    with Store(lake, spill=True, memory_gb=memory_gb) as store:
        report = pipeline.run_day(
            store, day, config=Config(memory_gb=memory_gb), detector=pipeline.load_detector(), progress=tell
        )
    ends = [*list(stages.values())[1:], time.process_time()]
    return {
        "day": str(day),
        "requests": report.n_requests,
        "accounts": report.n_accounts,
        "groups": report.n_groups,
        "alerts": report.opened,
        "cpu_s": time.process_time() - began,
        "wall_s": time.monotonic() - wall,
        "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "stages": {name: end - start for (name, start), end in zip(stages.items(), ends, strict=True)},
    }


def measure(
    root: Path, requests: int, days: int, memory_gb: float | None, accounts: int | None
) -> list[dict[str, Any]]:
    """Make the lake if it is not there, and run its days one after the other, each in a process of its own."""
    from benchmarks.scale_lake import make_lake
    from detector.lake.places import is_lake
    from detector.lake.store import Store

    lake = root / f"{requests}"
    if not is_lake(lake):
        make_lake(lake, requests, days, accounts=accounts)
    with Store(lake) as store:
        found = store.days("requests")[:days]
    rows = []
    for day in found:
        command = [sys.executable, "-m", "benchmarks.scale", "--lake", str(lake), "--day", str(day)]
        if memory_gb:
            command += ["--memory-gb", str(memory_gb)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{requests:,} requests, {day}: exit {done.returncode}\n{done.stderr[-2000:]}")
        rows.append(json.loads(done.stdout.splitlines()[-1]))
    return rows


def exponent(sizes: list[float], seconds: list[float]) -> float:
    """Of the power law fitted to ``seconds`` against ``sizes``."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def told(requests: int, days: list[dict[str, Any]]) -> str:
    """The row of a size."""
    middle = days[len(days) // 2]
    growth = days[-1]["cpu_s"] / days[1]["cpu_s"] if len(days) > 1 else float("nan")
    peak = max(day["peak_gib"] for day in days)
    return (
        f"| {requests:,} | {middle['accounts']:,} | {middle['cpu_s']:.1f} | {middle['wall_s']:.1f} | "
        f"{middle['peak_gib']:.2f} | {peak:.2f} | {growth:.2f} |"
    )


def main() -> None:
    """Print one row a size, and the exponent."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--requests", default="20000,60000,200000", help="a day, several with commas")
    parser.add_argument("--accounts", type=int, default=None, help="else three for twenty requests")
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--keep", type=Path, default=None, help="keep (or find) the lakes here")
    parser.add_argument("--memory-gb", type=float, default=None, help="setting memory_gb of the lakes")
    parser.add_argument("--stages", action="store_true", help="stages of each middle day")
    parser.add_argument("--lake", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--day", type=date.fromisoformat, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.lake:
        print(json.dumps(run_one(chosen.lake, chosen.day, chosen.memory_gb)))
        return
    sizes = [int(text) for text in chosen.requests.split(",")]
    print(
        "| requests a day | accounts | middle day, s CPU | s wall | GiB | peak GiB of all days | last day / second |"
    )
    print("|---|---|---|---|---|---|---|")
    middles = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as scratch:
            days = measure(chosen.keep or Path(scratch), size, chosen.days, chosen.memory_gb, chosen.accounts)
        middles.append(days[len(days) // 2])
        print(told(size, days), flush=True)
        if chosen.stages:
            for name, seconds in middles[-1]["stages"].items():
                print(f"    {name}: {seconds:.1f} s CPU")
    if len(sizes) > 1:
        print(f"exponent {exponent([float(s) for s in sizes], [m['cpu_s'] for m in middles]):.2f}")


if __name__ == "__main__":
    main()

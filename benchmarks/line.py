"""The whole line by number of requests: CPU seconds and memory of ingest and of one day's run, at three sizes.

    python -m benchmarks.line [--sizes 20000 40000 80000]

Each size is a synthetic day of its own with one account for twenty requests, in a fresh process with one engine thread.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def measure(size: int) -> dict[str, float]:
    """Make, ingest and run one day of about ``size`` requests in this process."""
    from detector import pipeline
    from detector.config import Config
    from detector.ingest.ingestion import ingest
    from detector.lab.worlds.spec import WorldSpec
    from detector.lab.worlds.world import simulate
    from detector.lake.key import lake_key
    from detector.lake.store import Store

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        spec = WorldSpec(seed=7, days=1, honest_accounts=max(size // 20, 100), requests=size, evasion_level=1)
        simulate(spec, root / "world")
        with Store(root / "lake", threads=1) as store:
            key = lake_key(store.root, may_make=True)
            began = time.process_time()
            ingest([root / "world" / "logs"], store, key=key)
            read = time.process_time()
            day = store.days("requests")[0]
            report = pipeline.run_day(store, day, config=Config(), detector=pipeline.load_detector())
            done = time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return {"requests": report.n_requests, "ingest_s": read - began, "run_s": done - read, "peak_gb": peak}


def main() -> None:
    """Print one line for each size, with the cost of a thousand requests."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sizes", type=int, nargs="+", default=[20_000, 40_000, 80_000])
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one)))
        return
    print("requests   ingest CPU s   run CPU s   CPU ms a thousand   peak GB")
    for size in options.sizes:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.line", "--one", str(size)],
            capture_output=True,
            text=True,
            check=True,
        )
        row = json.loads(done.stdout.splitlines()[-1])
        each = 1e6 * (row["ingest_s"] + row["run_s"]) / row["requests"]
        spent = f"{row['ingest_s']:>12.1f}   {row['run_s']:>9.1f}   {each:>17.0f}"
        print(f"{row['requests']:>8,.0f}   {spent}   {row['peak_gb']:>7.2f}")


if __name__ == "__main__":
    main()

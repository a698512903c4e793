"""``make bench``: every benchmark at a size of a few minutes. Each file says how to run its benchmark at full size."""

from __future__ import annotations

import subprocess
import sys

RUNS = (
    ("benchmarks.ingest", "--requests", "100000"),
    ("benchmarks.ingest_text", "60000"),
    ("benchmarks.account_measures", "--rows", "1000000", "--accounts", "30000"),
    ("benchmarks.groups", "--accounts", "200000", "--seeds", "2"),
    ("benchmarks.neighbours", "--accounts", "200000"),
    ("benchmarks.line",),
)


def main() -> None:
    """Run the benchmarks one after the other, and stop at the first that fails."""
    for module, *arguments in RUNS:
        print(f"\n== python -m {module} {' '.join(arguments)}", flush=True)
        subprocess.run([sys.executable, "-m", module, *arguments], check=True)


if __name__ == "__main__":
    main()

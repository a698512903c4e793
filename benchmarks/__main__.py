"""``make bench``: every benchmark at a size that fits a coffee; each says in its own file how to run it large."""

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
    """Run them one after the other; stop at the first that fails."""
    for module, *arguments in RUNS:
        print(f"\n== python -m {module} {' '.join(arguments)}", flush=True)
        subprocess.run([sys.executable, "-m", module, *arguments], check=True)


if __name__ == "__main__":
    main()

"""The door against DuckDB's bare copy of the same file: process CPU time, one thread, in one run.

    python benchmarks/door.py [--requests 200000] [--repeat 3]

The bare copy is ``COPY (SELECT * FROM read_json(...)) TO ... (FORMAT parquet, COMPRESSION zstd)``: parse,
type, write. The door must reach a fifth of its throughput (aim: a third) in less than 1.5 GiB. Imports are
done before either clock starts. The cost of the door's parts is taken in a run of its own, so that taking it
does not weigh on the ratio.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb

from detector.ingest import door as door_module
from detector.ingest import mapping, requests, seen, splitting
from detector.ingest.door import ingest
from detector.lake import engine, store
from detector.lake.store import Store
from features.request import measure

FLOOR, AIM, MEMORY_GIB = 1 / 5, 1 / 3, 1.5
_WORDS = (
    "the", "of", "explain", "solve", "number", "step", "reason", "why", "data", "list", "model", "code",
    "a", "in", "to", "and", "with", "for", "each", "answer", "question", "return", "show", "your", "work",
    "table", "value", "result", "check", "prove", "find", "all", "that", "must", "not", "be", "is", "when",
    "compare", "text", "sentence", "paragraph", "story", "letter", "plan", "river", "stone", "garden",
)  # fmt: skip
_SCAFFOLDS = (
    "Answer the question. Think step by step and end with the final result.\n{}",
    "{}",
    "Translate into French: {}",
    "Write a function that does the following. {} Return code only.",
    "Summarise this for a customer.\n\n{}\n\nKeep it short.",
)


def make(path: Path, n: int, seed: int = 1) -> None:
    """A log of ``n`` requests with prompts of about 300 characters, half of them under a system prompt."""
    rng = random.Random(seed)
    systems = [" ".join(rng.choices(_WORDS, k=25)) for _ in range(200)]
    with path.open("w") as out:
        for at in range(n):
            account = rng.randrange(max(n // 40, 10))
            second = at * 604_800 // n
            body = " ".join(rng.choices(_WORDS, k=rng.randrange(30, 70)))
            row = {
                "request_id": f"req_{at:010d}",
                "ts": f"2026-11-{1 + second // 86400:02d}T{second // 3600 % 24:02d}:{second // 60 % 60:02d}:"
                f"{second % 60:02d}.{rng.randrange(1000):03d}Z",
                "account_id": f"acct_{account}",
                "model": rng.choice(("m-large", "m-small")),
                "api_key_id": f"key_{account}_{rng.randrange(2)}",
                "org_id": f"org_{account // 3}",
                "source_ip": f"10.{account % 256}.{account // 256 % 256}.{rng.randrange(256)}",
                "asn": 64500 + account % 30,
                "country": "DE",
                "user_agent": f"sdk/1.{account % 9}",
                "ja4": f"t13d1516h2_{account % 40:012x}_b186095e22b6",
                "pathway": "api",
                "operation": "chat",
                "prompt": rng.choice(_SCAFFOLDS).format(body),
                "turn": 1 + at % 4,
                "session_id": f"s_{at // 4}",
                "input_tokens": rng.randrange(900),
                "output_tokens": rng.randrange(2000),
                "latency_ms": round(rng.random() * 9000, 1),
                "status": 200,
                "finish_reason": "stop",
                "stream": at % 2 == 0,
                "temperature": 0.7,
                "max_tokens": 2048,
            }
            if at % 2:
                row["system_prompt"] = rng.choice(systems)
            out.write(json.dumps(row) + "\n")


def bare(log: Path, folder: Path) -> None:
    """The yardstick."""
    with duckdb.connect(config={"threads": 1}) as con:
        con.execute(
            f"COPY (SELECT * FROM read_json('{log}', format = 'newline_delimited')) "
            f"TO '{folder / 'bare.parquet'}' (FORMAT parquet, COMPRESSION zstd)"
        ).fetchall()


def door(log: Path, folder: Path) -> None:
    """Ingest into an empty lake."""
    with Store(folder / "lake", threads=1) as lake:
        [report] = ingest([log], lake, key=b"a key only for this benchmark...")
    if report.n_requests != report.n_lines:
        raise SystemExit(f"the door lost lines: {report}")


def parts(log: Path, folder: Path) -> Counter[str]:
    """CPU seconds by part of the door."""
    spent: Counter[str] = Counter()

    def watch(owner: Any, name: str, label: str) -> None:
        plain: Callable[..., Any] = getattr(owner, name)

        @functools.wraps(plain)
        def timed(*args: Any, **named: Any) -> Any:
            start = time.process_time()
            try:
                return plain(*args, **named)
            finally:
                spent[label] += time.process_time() - start

        setattr(owner, name, timed)

    watch(door_module, "file_id", "file hashed (SHA-256)")
    watch(splitting, "_split", "split into lines")
    watch(engine.DuckDB, "query", "statements (DuckDB)")
    watch(mapping.quick, "parse", "JSON to columns")
    watch(mapping.quick, "typed", "columns typed")
    watch(seen.SeenIds, "new", "duplicates")
    watch(requests, "addresses", "addresses")
    watch(requests, "keyed_hash", "identifiers keyed")
    watch(measure.TextMeter, "measure", "text measured")
    watch(measure.TextMeter, "skeletons", "templates")
    watch(store.Transaction, "add", "Parquet written")
    start = time.process_time()
    door(log, folder)
    spent["everything else"] = time.process_time() - start - sum(spent.values())
    return spent


def _child(what: str, log: Path) -> dict[str, Any]:
    """One job in a process of its own: CPU seconds, peak memory, parts."""
    environment = os.environ | {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, __file__, "--job", what, "--log", str(log)],
        env=environment,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _job(what: str, log: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        detail = {"bare": bare, "door": door, "parts": parts}[what](log, Path(folder))
        cpu = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    told = {"cpu": cpu, "gib": peak, "parts": detail}
    sys.stdout.write(json.dumps(told) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--requests", type=int, default=200_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--job", choices=("bare", "door", "parts"))
    parser.add_argument("--log", type=Path)
    asked = parser.parse_args()
    if asked.job:
        _job(asked.job, asked.log)
        return
    n = asked.requests
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "requests.jsonl"
        make(log, n)
        print(
            f"{n:,} requests, {log.stat().st_size / 2**20:,.0f} MiB; CPU time of one thread, best of {asked.repeat}"
        )
        rounds = [(_child("bare", log), _child("door", log)) for _ in range(asked.repeat)]
        copy, whole = (min((r[at] for r in rounds), key=lambda r: float(r["cpu"])) for at in (0, 1))
        detail = _child("parts", log)["parts"]
    ratio = copy["cpu"] / whole["cpu"]
    memory = max(r[1]["gib"] for r in rounds)
    print(f"bare copy  {copy['cpu'] / n * 1e6:7.1f} us a request  {n / copy['cpu']:10,.0f} requests/s")
    print(f"door       {whole['cpu'] / n * 1e6:7.1f} us a request  {n / whole['cpu']:10,.0f} requests/s")
    for part, seconds in sorted(detail.items(), key=lambda item: -item[1]):
        print(f"    {part:28} {seconds / n * 1e6:6.1f} us")
    verdict = "below the floor" if ratio < FLOOR else "above the floor" if ratio < AIM else "at the aim"
    print(f"throughput: {ratio:.2f} of the bare copy's (floor {FLOOR:.2f}, aim {AIM:.2f}): {verdict}")
    print(f"peak memory of the door: {memory:.2f} GiB (limit {MEMORY_GIB})")
    if ratio < FLOOR or memory > MEMORY_GIB:
        raise SystemExit(1)


if __name__ == "__main__":
    main()

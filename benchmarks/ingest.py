"""Ingest of every format against DuckDB's bare copy of the native log: process CPU time, in one run.

    python -m benchmarks.ingest [--requests 200000] [--repeat 3] [--formats native,otel] [--workers 2]

The same requests, with prompts of about 150 characters, are written in every format. The bare copy is
``COPY (SELECT * FROM read_json(...)) TO ... (FORMAT parquet, COMPRESSION zstd)``: parse, type, write. Native ingest must
reach a fifth of its throughput in less than 1.5 GiB. LiteLLM and OpenTelemetry may cost 1.5 times native. Imports are
done before either clock starts. ``--workers N`` also measures the wall time with N processes.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from detector.ingest.ingestion import ingest
from detector.lab.worlds.formats import WRITERS
from detector.lake.store import Store
from features.request import measure

FLOOR, AIM, MEMORY_GIB, OTHERS = 1 / 5, 1 / 3, 1.5, 1.5
#: Formats whose cost is limited relative to native.
LIMITED = ("litellm", "otel")
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


def requests(n: int, seed: int = 1) -> Iterator[dict[str, Any]]:
    """``n`` canonical requests over a week, half of them under a system prompt."""
    rng = random.Random(seed)
    systems = [" ".join(rng.choices(_WORDS, k=25)) for _ in range(200)]
    start = datetime(2026, 11, 1)
    for at in range(n):
        account = rng.randrange(max(n // 40, 10))
        body = " ".join(rng.choices(_WORDS, k=rng.randrange(12, 36)))
        yield {
            "request_id": f"req_{at:010d}",
            "ts": start + timedelta(seconds=at * 604_800 / n),
            "account_id": f"acct_{account}",
            "model": rng.choice(("m-large", "m-small")),
            "api_key_id": f"key_{account}_{rng.randrange(2)}",
            "org_id": f"org_{account // 3}",
            "end_user_id": None,
            "source_ip": f"10.{account % 256}.{account // 256 % 256}.{rng.randrange(256)}",
            "asn": 64500 + account % 30,
            "country": "DE",
            "user_agent": f"sdk/1.{account % 9}",
            "ja4": f"t13d1516h2_{account % 40:012x}_b186095e22b6",
            "pathway": "api",
            "operation": "chat",
            "prompt": rng.choice(_SCAFFOLDS).format(body),
            "system_prompt": rng.choice(systems) if at % 2 else None,
            "turn": 1,
            "session_id": f"s_{at // 4}",
            "input_tokens": rng.randrange(900),
            "output_tokens": rng.randrange(2000),
            "cached_tokens": 0,
            "reasoning_tokens": 0,
            "latency_ms": round(rng.random() * 9000, 1),
            "ttft_ms": round(rng.random() * 900, 1),
            "status": 200,
            "finish_reason": "stop",
            "stream": at % 2 == 0,
            "temperature": 0.7,
            "max_tokens": 2048,
            "n": 1,
            "top_logprobs": None,
            "logit_bias": False,
            "tool_count": 0,
            "tool_names": None,
            "n_images": 0,
            "history": [],
        }


def bare(log: Path, folder: Path, workers: int) -> None:
    """DuckDB's bare copy of the log, the floor of all ratios."""
    with duckdb.connect(config={"threads": 1}) as con:
        con.execute(
            f"COPY (SELECT * FROM read_json('{log}', format = 'newline_delimited')) "
            f"TO '{folder / 'bare.parquet'}' (FORMAT parquet, COMPRESSION zstd)"
        ).fetchall()


def ours(log: Path, folder: Path, workers: int) -> None:
    """Ingest into an empty lake."""
    with Store(folder / "lake", threads=1) as lake:
        [report] = ingest([log], lake, key=b"a key only for this benchmark...", workers=workers)
    if report.n_requests + report.n_rejects + report.n_duplicates != report.n_lines or report.n_rejects:
        raise SystemExit(f"ingest lost lines: {report}")


def _child(what: str, log: Path, workers: int = 1) -> dict[str, Any]:
    """Run one job in a process of its own: CPU and wall seconds, peak memory in GiB."""
    environment = os.environ | {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1"}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "benchmarks.ingest",
            "--job",
            what,
            "--log",
            str(log),
            "--workers",
            str(workers),
        ],
        env=environment,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    costs: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return costs


def _job(what: str, log: Path, workers: int) -> None:
    measure.TextMeter(bytes(32))  # models are read before the clock starts
    with tempfile.TemporaryDirectory() as folder:
        wall, cpu = time.perf_counter(), time.process_time()
        {"bare": bare, "ingest": ours}[what](log, Path(folder), workers)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss + workers * children.ru_maxrss * (workers > 1)
    costs = {"cpu": cpu + children.ru_utime + children.ru_stime, "wall": wall, "gib": peak / 2**20}
    sys.stdout.write(json.dumps(costs) + "\n")


def _write(folder: Path, names: list[str], n: int) -> dict[str, Path]:
    logs: dict[str, Path] = {}
    for name in names:
        logs[name] = folder / name.removesuffix(".gz")
        with logs[name].open("w") as out:
            out.writelines(WRITERS[name](requests(n)))
    return logs


def _best(what: str, log: Path, repeat: int, workers: int = 1) -> dict[str, Any]:
    return min((_child(what, log, workers) for _ in range(repeat)), key=lambda r: float(r["cpu"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--requests", type=int, default=200_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--formats", default="", help="begin with one of these, comma-separated; else all")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--job", choices=("bare", "ingest"))
    parser.add_argument("--log", type=Path)
    asked = parser.parse_args()
    if asked.job:
        _job(asked.job, asked.log, asked.workers)
        return
    n, native = asked.requests, "native-requests.jsonl"
    wanted = tuple(asked.formats.split(",")) if asked.formats else ("",)
    names = [native, *(name for name in WRITERS if name != native and name.startswith(wanted))]
    with tempfile.TemporaryDirectory() as folder:
        logs = _write(Path(folder), names, n)
        copy = _best("bare", logs[native], asked.repeat)
        print(f"{n:,} requests; CPU time of one thread, best of {asked.repeat}")
        print(f"{'bare copy of the native log':36} {copy['cpu'] / n * 1e6:7.1f} us a request")
        costs = {name: _best("ingest", log, asked.repeat) for name, log in logs.items()}
        base = costs[native]["cpu"]
        for name, one in costs.items():
            size = logs[name].stat().st_size / n
            print(
                f"{name:36} {one['cpu'] / n * 1e6:7.1f} us a request, {one['cpu'] / base:5.2f} of native, "
                f"{one['gib']:.2f} GiB, {size:,.0f} bytes a request"
            )
        if asked.workers > 1:
            for name, log in logs.items():
                both = min(
                    (_child("ingest", log, asked.workers) for _ in range(asked.repeat)),
                    key=lambda r: float(r["wall"]),
                )
                print(
                    f"{name:36} {costs[name]['wall'] / both['wall']:.2f} times as fast with {asked.workers} processes, "
                    f"{both['gib']:.2f} GiB in all"
                )
    ratio = copy["cpu"] / base
    memory = max(one["gib"] for one in costs.values())
    slow = [
        name
        for name, one in costs.items()
        if name.startswith(LIMITED) and one["cpu"] / base > OTHERS and "before" not in name
    ]
    verdict = "below the floor" if ratio < FLOOR else "above the floor" if ratio < AIM else "at the aim"
    print(f"native: {ratio:.2f} of the bare copy's throughput (floor {FLOOR:.2f}, aim {AIM:.2f}): {verdict}")
    print(
        f"peak memory: {memory:.2f} GiB (limit {MEMORY_GIB}); beyond {OTHERS} times native: {', '.join(slow) or 'none'}"
    )
    if ratio < FLOOR or memory > MEMORY_GIB or slow:
        raise SystemExit(1)


if __name__ == "__main__":
    main()

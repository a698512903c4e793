"""Mutated lines of every format through all of ingest: no line is lost, nothing crashes, memory stays flat.

    python -m benchmarks.fuzz [--lines 100000] [--seed 1] [--keep FOLDER]

Golden records of all formats are broken at random (a value replaced, a key dropped, bytes inserted, lines cut or
doubled), written to files of several packings and ingested into one lake. For every file lines must equal requests +
rejects + duplicates, and the lake must have as many requests as the reports say.
"""

from __future__ import annotations

import argparse
import bz2
import gzip
import json
import lzma
import random
import resource
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import zstandard

from detector.ingest.formats import formats
from detector.ingest.ingestion import ingest
from detector.lake.store import Store

GOLDEN = Path(__file__).parents[1] / "tests" / "golden" / "formats"
_LINES_A_FILE = 500
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 1e300, 10**30, "", " ", "-", "None", "nan", "text", "{", "[]", "[1]", '{"a":1}', [], {},
    [[1]], [None], {"a": {"b": 1}}, {"type": []}, "\ud83d", "\x00", "\x1b[2J", "a" * 3000, "2099-01-01T00:00:00Z", "1999",
    "0001-01-01T00:00:00Z", 4_102_444_800, "9" * 40, "=1+1", "x'; DROP TABLE requests; --", {"stringValue": 5},
)  # fmt: skip
_PACK: dict[str, Callable[[bytes], bytes]] = {
    "": lambda data: data,
    ".gz": lambda data: gzip.compress(data, mtime=0),
    ".zst": lambda data: zstandard.ZstdCompressor(level=1).compress(data),
    ".bz2": bz2.compress,
    ".xz": lambda data: lzma.compress(data, preset=0),
}


def sound(name: str) -> list[str]:
    """Lines of a format's golden records."""
    cases = [json.loads(line) for line in (GOLDEN / f"{name}.jsonl").read_text().splitlines()]
    return [line for case in cases for line in case["lines"] if line.strip() and "\n" not in line.strip()]


def _nodes(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    inner: Any = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, one in inner:
        yield from _nodes(one, (*path, key))


def mutated(rng: random.Random, line: str) -> bytes:
    """One line, broken or not."""
    kind = rng.random()
    raw = line.encode("utf-8", "surrogatepass")
    if kind < 0.1:
        return raw
    if kind < 0.35:
        at = rng.randrange(len(raw) + 1)
        junk = bytes(rng.choices(range(256), k=rng.choice((1, 1, 1, 4, 40))))
        return rng.choice(
            (raw[:at], raw[at:], raw[:at] + junk + raw[at:], raw[:at] + junk + raw[at + 1 :], raw + raw, b"")
        )
    try:
        value = json.loads(line)
        list(_nodes(value))
    except (ValueError, RecursionError):
        return raw
    for _ in range(rng.choice((1, 1, 2, 5))):
        path = rng.choice(list(_nodes(value)))
        if not path:
            return json.dumps(deepcopy(rng.choice(_VALUES))).encode()
        holder = value
        for step in path[:-1]:
            holder = holder[step]
        if rng.random() < 0.2 and isinstance(holder, dict):
            del holder[path[-1]]
        else:
            holder[path[-1]] = deepcopy(rng.choice(_VALUES))
    return json.dumps(value).encode()


def write(folder: Path, n_lines: int, seed: int) -> int:
    """Write files of broken lines below ``folder``, and give the number of lines."""
    rng = random.Random(seed)
    written = 0
    lines = {name: sound(name) for name in formats()}
    while written < n_lines:
        name = rng.choice(sorted(lines))
        whole = lines[name][: rng.choice((3, 20, 1000))]
        n = min(_LINES_A_FILE, n_lines - written)
        # Ingest recognises the format of a file by its sound lines.
        body = [rng.choice(whole).encode("utf-8", "surrogatepass") for _ in range(3)]
        body += [mutated(rng, rng.choice(whole)).replace(b"\n", b" ") for _ in range(n - 3)]
        packing = rng.choice(sorted(_PACK))
        ending = rng.choice((b"\n", b"\n", b"\n", b"\r\n"))
        data = ending.join(line.replace(b"\r", b" ") for line in body) + rng.choice((b"", ending))
        packed = _PACK[packing](data)
        if packing and rng.random() < 0.03:
            packed = packed[: rng.randrange(len(packed))]
        where = (
            folder / f"{name}-{written:08d}{rng.choice(('.jsonl', '.log', '.json', '', '.jsonl.1'))}{packing}"
        )
        where.write_bytes(packed)
        written += n
    return written


def run(folder: Path, n_lines: int, seed: int) -> Counter[str]:
    """Write, ingest and check files, and give the sums over all of them.

    Raises
    ------
    SystemExit : the counts of a file or of the lake do not add up.
    """
    logs = folder / "logs"
    logs.mkdir()
    written = write(logs, n_lines, seed)
    sums: Counter[str] = Counter(written=written)
    with Store(folder / "lake") as lake:
        reports = ingest([logs], lake, key=b"a key only for this benchmark...", max_rejects=1.0)
        for report in reports:
            sums["files"] += 1
            sums[report.status] += 1
            if report.n_lines != report.n_requests + report.n_rejects + report.n_duplicates:
                raise SystemExit(f"does not add up: {report}")
            for name in ("n_lines", "n_requests", "n_rejects", "n_duplicates", "n_other"):
                sums[name] += getattr(report, name)
        n_kept = lake.engine.query(f"SELECT count(*) AS n FROM {lake.relation('requests')}").to_pylist()[0][
            "n"
        ]
        n_rows = sum(r.n_requests for r in reports if r.content == "requests")
        if n_kept != n_rows:
            raise SystemExit(f"the reports tell of {n_rows} requests, the lake holds {n_kept}")
    return sums


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="an empty folder for the files and the lake")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sums = run(asked.keep or Path(folder), asked.lines, asked.seed)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(", ".join(f"{name} {n:,}" for name, n in sorted(sums.items())))
    print(f"peak memory {peak:.2f} GiB; every file adds up")


if __name__ == "__main__":
    main()

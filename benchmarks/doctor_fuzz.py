"""Damaged lakes through doctor: no damage crashes it, and it reports every damage that changes what a reader gets.

    python -m benchmarks.doctor_fuzz [--damages 2000] [--seed 1]

One small lake is filled, run and delivered once. Then this is repeated: one of its files or folders is cut, flipped,
removed, emptied, replaced, doubled or locked, doctor runs, and the lake is restored. Doctor passes if it ends with 0 or
2, and if it reports a fault whenever a table reads differently afterwards.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from typer.testing import CliRunner

from detector.cli import app
from detector.errors import HydrawatchError
from detector.lake.store import Store
from detector.lake.tables import tables

LOG = Path(__file__).parents[1] / "sample_logs" / "formats" / "native-requests.jsonl"
#: Ledgers whose content nothing else in a lake can confirm: lines that were not read, and deliveries that failed.
_UNTOLD = ("delivery_failures", "skipped.parquet")


def fill(home: Path) -> Path:
    """A lake with rows in every ledger of logs, a finished day, and a sink."""
    (home / "requests.jsonl").write_text(LOG.read_text() + "garbage\n")
    (home / "accounts.jsonl").write_text('{"account_id": "a", "created_at": "2026-03-01T00:00:00Z"}\n')
    lake = home / "lake"
    for words in (["ingest", *sorted(str(p) for p in home.glob("*.jsonl"))], ["run"], ["doctor", "--deep"]):
        done = CliRunner().invoke(app, [*words, "--lake", str(lake)])
        assert done.exit_code == 0, done.output
    return lake


def reads(lake: Path) -> dict[str, str]:
    """Table -> a checksum of all its rows as readers get them, or the error they get."""
    figures = {}
    try:
        with Store(lake, reading=True, as_found=True) as store:
            for name, view in store.view_sql().items():
                try:
                    [row] = store.engine.query(
                        f"SELECT count(*) AS n, sum(hash(t)::HUGEINT)::VARCHAR AS h FROM ({view}) AS t"
                    ).to_pylist()
                    figures[name] = f"{row['n']} {row['h']}"
                except HydrawatchError as error:
                    figures[name] = f"error: {str(error)[:80]}"
    except (HydrawatchError, OSError) as error:
        figures["lake"] = f"error: {str(error)[:80]}"
    return figures


Damage = Callable[[Path, random.Random], None]


def _flip(path: Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(rng.choice((1, 1, 4, 64)) if content else 0):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def _cut(path: Path, rng: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: rng.randrange(len(content) + 1)])


def _fill(path: Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    at = rng.randrange(len(content) + 1)
    content[at : at + 512] = rng.randbytes(min(512, len(content) - at))
    path.write_bytes(content)


def _folder(path: Path, rng: random.Random) -> None:
    path.unlink()
    path.mkdir()


def _link(path: Path, rng: random.Random) -> None:
    path.unlink()
    path.symlink_to(rng.choice(("/nowhere", "/etc/hostname", str(path.parent), path.name)))


def _double(path: Path, rng: random.Random) -> None:
    name = rng.choice((f"copy-{path.name}", "part.parquet", path.name.replace("00000", "00009")))
    target = rng.choice((path.parent, path.parent.parent / "_", path.parent.parent / "all")) / name
    target.parent.mkdir(exist_ok=True)
    if target != path:
        shutil.copy(path, target)


def _foreign(path: Path, rng: random.Random) -> None:
    pq.write_table(pa.table({rng.choice(("x", "day", "account_id", "file_id")): [1, 2]}), path)


def _sibling(path: Path, rng: random.Random) -> None:
    # A file that is no part of a table has no siblings.
    data = path.parents[2] if path.parents[2].name == "data" else path.parent
    others = sorted(p for p in data.glob("*/*/*.parquet") if p != path and p.is_file())
    if others:
        shutil.copy(rng.choice(others), path)


def _json(path: Path, rng: random.Random) -> None:
    path.write_text(
        rng.choice(("", "{", "[]", "null", "[" * 9000, '{"id": 1}', '{"key_check": "../x"}', "\x00"))
    )


HARMS: dict[str, Damage] = {
    "flip": _flip,
    "cut": _cut,
    "fill": _fill,
    "remove": lambda path, rng: path.unlink(),
    "empty": lambda path, rng: path.write_text("") and None,
    "folder": _folder,
    "link": _link,
    "mode": lambda path, rng: path.chmod(rng.choice((0o000, 0o644, 0o777))),
    "double": _double,
    "foreign": _foreign,
    "sibling": _sibling,
    "json": _json,
    "remove folder": lambda path, rng: shutil.rmtree(path.parent),
}


def look(lake: Path, rng: random.Random, *, deep: bool) -> tuple[str, str]:
    """What doctor says, and what is wrong with how it ended (empty if nothing is)."""
    words = ["doctor", *(["--deep"] if deep else []), "--lake", str(lake)]
    done = CliRunner().invoke(app, words)
    if done.exception and not isinstance(done.exception, HydrawatchError | SystemExit):
        return done.output, f"{type(done.exception).__name__}: {str(done.exception)[:200]}"
    if done.exit_code not in (0, 2) and not isinstance(done.exception, HydrawatchError):
        return done.output, f"exit code {done.exit_code}"
    return done.output + str(done.exception or ""), ""


def run(home: Path, n: int, seed: int) -> tuple[Counter[str], list[str]]:
    """``n`` damages, one at a time: how often each kind ended how, and every damage that doctor did not pass."""
    lake, rng = fill(home), random.Random(seed)
    kept = home / "kept"
    shutil.copytree(lake, kept, symlinks=True)
    files = sorted(p.relative_to(lake) for p in lake.rglob("*") if p.is_file())
    before = reads(lake)
    ends: Counter[str] = Counter()
    wrong = []
    for number in range(n):
        name, how, deep = rng.choice(files), rng.choice(sorted(HARMS)), rng.random() < 0.3
        if how == "remove folder" and len(name.parts) < 3:
            how = "remove"
        HARMS[how](lake / name, rng)
        said, ended = look(lake, rng, deep=deep)
        after = {} if ended else reads(lake)
        changed = sorted(t for t in before if after.get(t) != before[t])
        is_reported = any(
            word in said
            for word in ("fault: ", "note: no sink", "note: alert_versions", "mended: ", "no permission")
        )
        if not ended and changed and not is_reported and not any(word in str(name) for word in _UNTOLD):
            # Only a deep check reads every value and can compare it with its checksum.
            said, ended = look(lake, rng, deep=True) if not deep else (said, "")
            if "fault: " not in said:
                ended = f"says nothing, but {', '.join(changed)} read otherwise"
        ends[f"{how}: {'changed' if changed else 'same'}"] += 1
        if ended:
            wrong.append(f"{number} {how} {name}: {ended}")
            print(f"WRONG {wrong[-1]}", flush=True)
        if (number + 1) % 100 == 0:
            print(f"{number + 1:,} damages, {len(wrong)} not passed", flush=True)
        shutil.rmtree(lake, ignore_errors=True)
        shutil.copytree(kept, lake, symlinks=True)
    return ends, wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--damages", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    os.environ.pop("HYDRAWATCH_KEY", None)
    # Listing the installed packages takes half of doctor's time, and they do not change meanwhile.
    importlib.metadata.packages_distributions = cache(importlib.metadata.packages_distributions)
    with tempfile.TemporaryDirectory(prefix="hydrawatch-fuzz-") as folder:
        ends, wrong = run(Path(folder), args.damages, args.seed)
    for line, count in sorted(ends.items()):
        print(f"{count:6,} {line}")
    print(f"{args.damages:,} damages of {len(tables())} tables, {len(wrong)} not passed")
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()

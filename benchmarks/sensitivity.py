"""How far each number of ``detector/tuning.py`` matters: half of it, one and a half of it, and what that does to the score.

    python -m benchmarks.sensitivity [--accounts 400] [--days 3] [--only SPAN,RING_BUCKET]

It prints the change of the average precision of the account score on the last day of small synthetic worlds, mean over the evasion
levels asked for. Every run is a process of its own, in which the number is changed before anything reads it; the models
stay as they are shipped, so it shows how a site's scores move, not how well a model fitted anew would do.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from detector import tuning

#: Names whose value is a place or a day, which half of says nothing.
_PAIRED = frozenset({"DISCOUNT_FROM"})


def constants() -> dict[str, float]:
    """Every number of the file by its name."""
    return {
        name: value
        for name, value in vars(tuning).items()
        if name.isupper() and isinstance(value, int | float) and name not in _PAIRED
    }


def changed(value: float, factor: float) -> float:
    """``value`` times ``factor``, of its own type; a count stays at least 1."""
    return max(round(value * factor), 1) if isinstance(value, int) else value * factor


def make(root: Path, level: int, accounts: int, days: int) -> None:
    """A world of one evasion level, ingested."""
    from detector.ingest.ingestion import ingest
    from detector.lab.worlds.world import WorldSpec, make_world, write_world
    from detector.lake.key import lake_key
    from detector.lake.store import Store

    spec = WorldSpec(seed=90 + level, days=days, honest_accounts=accounts, evasion_level=level)
    write_world(make_world(spec), root / "world")
    with Store(root / "lake") as store:
        ingest([root / "world" / "logs"], store, key=lake_key(store.root, may_make=True))


def precision(root: Path) -> float:
    """Average precision of the account score after every day of the world was run, in this process."""
    import polars as pl
    from sklearn.metrics import average_precision_score

    from detector import pipeline
    from detector.config import Config
    from detector.lake.store import Store
    from detector.pipeline import relations

    with tempfile.TemporaryDirectory() as scratch:
        shutil.copytree(root / "lake", Path(scratch) / "lake")
        with Store(Path(scratch) / "lake", spill=True) as store:
            days, detector = store.days("requests"), pipeline.load_detector()
            for day in days:
                pipeline.run_day(store, day, config=Config(), detector=detector)
            scores = relations.frame(store.read("account_scores", days[-1])).select(
                "account_id", "score_bits"
            )
    truth = pl.read_csv(root / "world" / "truth.csv", schema_overrides={"account_id": pl.String})
    both = scores.join(truth.select("account_id", "label"), on="account_id")
    return float(average_precision_score(both["label"].to_numpy() == 1, both["score_bits"].to_numpy()))


def asked(root: Path, name: str = "", value: float = 0.0) -> float:
    """The same in a process of its own, with one number changed."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.sensitivity",
        "--world",
        str(root),
        "--set",
        f"{name}={value!r}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{name} = {value}: exit {done.returncode}\n{done.stderr[-2000:]}")
    return float(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Print a row a number."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--accounts", type=int, default=400)
    parser.add_argument("--days", type=int, default=3)
    parser.add_argument("--levels", default="1,3", help="evasion levels, with commas")
    parser.add_argument("--only", default="", help="names, with commas; else all")
    parser.add_argument("--world", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--set", default="", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.world:
        name, _, value = chosen.set.partition("=")
        if name:
            setattr(tuning, name, type(getattr(tuning, name))(float(value)))
        print(json.dumps(precision(chosen.world)))
        return
    names = [n for n in constants() if not chosen.only or n in chosen.only.split(",")]
    with tempfile.TemporaryDirectory() as scratch:
        worlds = [Path(scratch) / level for level in chosen.levels.split(",")]
        for world in worlds:
            make(world, int(world.name), chosen.accounts, chosen.days)
        plain = [asked(world) for world in worlds]
        print(f"as it is: {', '.join(f'{p:.4f}' for p in plain)}", flush=True)
        print("| number | value | half | one and a half |\n|---|---|---|---|")
        for name in names:
            value = constants()[name]
            moved = [
                sum(asked(w, name, changed(value, f)) - p for w, p in zip(worlds, plain, strict=True))
                / len(worlds)
                for f in (0.5, 1.5)
            ]
            print(f"| {name} | {value:g} | {moved[0]:+.4f} | {moved[1]:+.4f} |", flush=True)


if __name__ == "__main__":
    main()

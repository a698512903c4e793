"""Making, ingesting, running and measuring a world into a folder.

The folder has enough to score the world again with any detector (``replay``) and to compute every figure. Logs and
lake are removed. A finished folder is not measured again, so a stopped benchmark can go on.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Literal

import polars as pl

from detector import pipeline
from detector.config import Config
from detector.errors import DataQualityError
from detector.ingest.ingestion import ingest
from detector.lab.benchmark import windows
from detector.lab.benchmark.rivals import rival_scores
from detector.lab.training.labelled import SHARED, TEXT_DAYS
from detector.lab.worlds.leaks import CEILING, leak_check
from detector.lab.worlds.spec import WorldSpec
from detector.lab.worlds.world import World, make_world, simulate, write_world
from detector.lake.key import lake_key
from detector.lake.store import Store

Part = Literal["report", "missing", "training", "full"]

#: Lake tables that a measured world keeps whole.
KEPT = ("account_days", "group_days", "group_members", "groups", "account_scores", "accounts")
WINDOWS = ("rows", "keys", "incidence")
#: Seeds tried where a field of a world leaks, and the distance between them.
TRIES = 8
NEXT_TRY = 10_000


@dataclass(frozen=True)
class Task:
    """One world to measure into ``folder``. ``digest`` identifies the measuring code.

    ``part`` is one of four. A ``report`` world is leak-checked, and has rivals and mixed windows if ``rivals``. A
    ``missing`` world is scored only. A ``training`` world is not scored and keeps what the classifier is fitted on. A
    ``full`` world is streamed to disk and scored only.
    """

    spec: WorldSpec
    folder: Path
    digest: str
    part: Part = "report"
    rivals: bool = True


def files_of(folder: Path) -> list[Path]:
    """Files of a package, without the caches of compiled code, which appear with the first run."""
    return [p for p in folder.rglob("*") if p.is_file() and p.parent.name != "__pycache__"]


def code_digest() -> str:
    """Hash of the code that a measured world depends on. Worlds measured by other code are measured again."""
    root = Path(pipeline.__file__).parents[2]
    parts = (
        "features",
        "rules/lexicons",
        "rules/models",
        "rules/allowlists",
        "detector/ingest",
        "detector/lake",
        "detector/link",
        "detector/pipeline",
        "detector/lab/worlds",
        "detector/lab/benchmark/rivals",
    )
    files = [p for part in parts for p in files_of(root / part)]
    single = (
        "score/relational.py",
        "score/template_reuse.py",
        "lab/benchmark/measuring.py",
        "lab/benchmark/windows.py",
    )
    files += [root / "detector" / name for name in single]
    digest = hashlib.sha256()
    # The classifier is left out, because a measured world can be scored again.
    for path in sorted(p for p in files if not p.name.startswith("detector.")):
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def folder_of(work: Path, spec: WorldSpec) -> Path:
    """The folder of a world. Every spec has a folder name of its own."""
    name = hashlib.sha256(
        repr(replace(spec, missing=frozenset())).encode() + repr(sorted(spec.missing)).encode()
    )
    return work / f"world-{spec.seed}-{spec.evasion_level}-{name.hexdigest()[:8]}"


def measured(folder: Path, digest: str) -> bool:
    """Whether ``folder`` has a world that this code finished."""
    try:
        return bool(json.loads((folder / "measured").read_text()).get("digest") == digest)
    except (FileNotFoundError, ValueError):
        return False


def measure(task: Task) -> Path:
    """Make, ingest, run and measure one world, unless it is finished already.

    Raises
    ------
    DataQualityError : on evasion levels 2 and 3, a field leaks with every seed tried.
    """
    if measured(task.folder, task.digest):
        return task.folder
    started = time.monotonic()
    shutil.rmtree(task.folder, ignore_errors=True)
    task.folder.mkdir(parents=True)
    world_folder = task.folder / "world"
    rejected = _write(task, world_folder)
    with Store(task.folder / "lake", threads=1, spill=True) as store:
        ingest([world_folder / "logs"], store, key=lake_key(store.root, may_make=True))
        _run(task, store)
        for table in KEPT:
            _read(store, f"SELECT * FROM {store.relation(table)}").write_parquet(_path(task, table))
        store.engine.bind(
            "harvested", pl.read_csv(world_folder / "truth_requests.csv.gz", schema={"request_id": pl.String})
        )
        requests = store.relation("requests")
        traffic = _read(
            store,
            f"""SELECT account_id, day, count(*) AS n_requests, count(harvested.request_id) AS n_harvest
            FROM {requests} AS sent LEFT JOIN harvested ON sent.request_id = harvested.request_id
            GROUP BY account_id, day ORDER BY account_id, day""",
        )
        traffic.write_parquet(_path(task, "traffic"))
        if task.part == "report" and task.rivals:
            marked = f"(request_id IN (SELECT request_id FROM harvested)) AS harvest FROM {requests}"
            _others(task, store, _read(store, f"SELECT *, {marked}"))
        store.engine.unbind("harvested")
    shutil.rmtree(task.folder / "lake")
    shutil.rmtree(world_folder / "logs")
    note = {
        "digest": task.digest,
        "rejected": rejected,
        "n_requests": int(traffic["n_requests"].sum()),
        "seconds": time.monotonic() - started,
    }
    (task.folder / "measured").write_text(json.dumps(note))
    return task.folder


def _path(task: Task, table: str) -> Path:
    return task.folder / f"{table}.parquet"


def _run(task: Task, store: Store) -> None:
    """The nightly run of every day. What it observes is kept; training worlds keep only what accounts share."""
    detector = None if task.part == "training" else pipeline.load_detector()
    days = store.days("requests")
    observed = days[-TEXT_DAYS:] if task.part == "training" else days

    def keep(day: date, seen: pipeline.Observed) -> None:
        tables = seen.tables()
        for name in SHARED if task.part == "training" else tables:
            tables[name].write_parquet(_path(task, f"{name}-{day}"))

    for day in days:
        observe = keep if day in observed else None
        pipeline.run_day(store, day, config=Config(), detector=detector, observe=observe)


def _others(task: Task, store: Store, sent: pl.DataFrame) -> None:
    """Write the rivals' scores of the world's accounts, and the world's mixed windows."""
    accounts, account_days = (pl.read_parquet(_path(task, t)) for t in ("accounts", "account_days"))
    rival_scores(sent.drop("harvest"), accounts, account_days).write_parquet(_path(task, "rivals"))
    truth = read_truth(task.folder)
    mixed = windows.mixed_windows(store, sent, truth, seed=task.spec.seed)
    for name in WINDOWS:
        getattr(mixed, name).write_parquet(_path(task, f"windows_{name}"))


def read_truth(folder: Path) -> pl.DataFrame:
    """The truth about each account of a measured world."""
    text = dict.fromkeys(("account_id", "campaign", "group", "archetype"), pl.String)
    return pl.read_csv(folder / "world" / "truth.csv", schema_overrides=text)


def _write(task: Task, out: Path) -> list[dict[str, Any]]:
    """Write the world's logs and truth, and give the seeds that the leak check rejected."""
    if task.part == "full":
        out.mkdir(parents=True)
        simulate(task.spec, out)
        return []
    world, rejected = _sound_world(task)
    write_world(world, out)
    leak_check(world).write_parquet(_path(task, "leaks"))
    return rejected


def _sound_world(task: Task) -> tuple[World, list[dict[str, Any]]]:
    rejected: list[dict[str, Any]] = []
    for attempt in range(TRIES):
        world = make_world(replace(task.spec, seed=task.spec.seed + NEXT_TRY * attempt))
        if task.part != "report" or task.spec.evasion_level < 2:
            return world, rejected
        worst = leak_check(world).row(0, named=True)
        if worst["auc"] <= CEILING:
            return world, rejected
        rejected.append({"seed": world.spec.seed, "field": worst["field"], "auc": worst["auc"]})
    seeds = ", ".join(f"{r['seed']} ({r['field']} {r['auc']:.2f})" for r in rejected)
    raise DataQualityError(
        f"evasion level {task.spec.evasion_level}: a field leaks in every world tried: {seeds}"
    )


def _read(store: Store, sql: str) -> pl.DataFrame:
    frame = pl.from_arrow(store.engine.query(sql))
    assert isinstance(frame, pl.DataFrame)
    return frame

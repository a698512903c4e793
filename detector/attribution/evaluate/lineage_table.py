"""The lineage table of ``attribute evaluate``: labelled pairs, models of one maker, and innocent controls."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

from detector.attribution.evaluate.evaluation import Outputs
from detector.attribution.evaluate.register import register_of
from detector.attribution.lineage.lineage import DERIVED, Comparison, compare, shared_answers, similarities
from detector.errors import ConfigError, Location

_COLUMNS = ("student", "teacher", "teacher_vendor", "kind", "confidence")


def read_pairs(path: Path) -> list[dict[str, str]]:
    """Rows of a pairs file (student, teacher, teacher_vendor, kind, confidence).

    Raises
    ------
    ConfigError : a column is missing.
    """
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if missing := set(_COLUMNS) - set(reader.fieldnames or ()):
            raise ConfigError(f"no column {sorted(missing)[0]!r}", at=Location(str(path)))
        return [{k: row[k] or "" for k in _COLUMNS} for row in reader]


def lineage_table(
    data: Outputs, pairs: list[dict[str, str]], lists: dict[str, Any], *, limit: int, seed: int,
    progress: Callable[[float, str], None],
) -> dict[str, Any]:  # fmt: skip
    """Every pair and kin of the list against the candidates, with the remaining models as decoys.

    A student whose maker names a teacher counts as kin of that teacher's maker. It is therefore no decoy for it.
    """
    keep, out = set(lists.get("keep", ())), tuple(lists.get("leave_out", ()))
    rows = [i for i, m in enumerate(data.labels) if m in keep or not any(part in m for part in out)]
    answers = shared_answers(
        [data.texts[i] for i in rows], [data.labels[i] for i in rows], [data.groups[i] for i in rows],
        limit=limit, seed=seed,
    )  # fmt: skip
    similarity = similarities(answers, progress=lambda s, n: progress(0.6 * s, n))
    candidates = [c for c in lists["candidates"] if c in answers.models]
    decoys = [m for m in answers.models if m not in candidates]
    students = {row["student"] for row in pairs}
    families = {m: f for m, f in data.families.items() if m not in students}
    for row in pairs:
        if row["teacher_vendor"] not in ("human", "self"):
            # A mix of teachers is mostly OpenAI's output; as a decoy such a student would hide OpenAI's other students.
            families[row["student"]] = "openai" if row["teacher_vendor"] == "mixed" else row["teacher_vendor"]
    tried = [(r["student"], r["teacher"], r["teacher_vendor"], r["kind"]) for r in pairs]
    tried += [(s, t, data.families.get(s, s), "kin") for s, t in lists.get("kin", {}).items()]
    table = []
    for number, (student, teacher, vendor, kind) in enumerate(tried):
        if student not in answers.models:
            continue
        progress(0.6 + 0.4 * number / len(tried), f"lineage: {student}")
        own = {m: f for m, f in families.items() if m != student}
        table.append(
            _row(
                compare(answers, similarity, student, candidates, decoys, own, seed=seed),
                kind,
                vendor,
                teacher,
            )
        )
    register = (
        register_of(answers.models, similarity.mean(axis=0), pairs, lists["register"], candidates, families)
        if "register" in lists
        else {}
    )
    return {
        "n_prompts": len(answers.prompts),
        "n_models": len(answers.models),
        "rows": table,
        "human_controls_derived": sum(
            r["verdict"] == DERIVED for r in table if r["kind"] == "control_human_data"
        ),
        "self_controls_derived_elsewhere": sum(
            r["verdict"] == DERIVED and r["family"] != r["vendor"]
            for r in table
            if r["kind"] == "control_self"
        ),
        **register,
    }


def _row(result: Comparison, kind: str, vendor: str, teacher: str) -> dict[str, Any]:
    best = result.candidates[0]
    return {
        "student": result.suspect,
        "kind": kind,
        "told": teacher,
        "vendor": vendor,
        "verdict": result.verdict,
        "nearest": best.candidate,
        "family": best.family,
        "z": best.z,
        "z_low": best.low,
        "z_high": best.high,
        "rank": best.rank,
        "n_decoys": best.n_decoys,
    }

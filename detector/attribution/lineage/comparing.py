"""The whole of ``attribute compare``: read tables, compare, gather evidence, ask a second witness, count identity slips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from detector.attribution.corpus.reading import as_text, batches
from detector.attribution.fingerprint.copies import first_words
from detector.attribution.fingerprint.model import Fingerprint
from detector.attribution.lineage.evidence import shared_grams, telling_prompts
from detector.attribution.lineage.identity import both_ways, names_of
from detector.attribution.lineage.leads import robust_z
from detector.attribution.lineage.lineage import Answers, Comparison, compare, shared_answers, similarities
from detector.errors import ConfigError

#: Words of a text that the second witness reads, so that length does not count as evidence.
WITNESS_WORDS = 80


def read_answers(
    files: Sequence[Path], *, text: str, label: str, group: str, family: str | None
) -> tuple[list[str | None], list[str], list[str], dict[str, str]]:
    """Texts, labels and prompts of all ``files``, and each label's maker."""
    texts: list[str | None] = []
    labels: list[str] = []
    prompts: list[str] = []
    families: dict[str, str] = {}
    for file in files:
        for batch in batches(file, [text, label, group, *([family] if family else [])]):
            for row in batch:
                name, prompt = as_text(row[1]), as_text(row[2])
                if name is None or prompt is None:
                    continue
                texts.append(as_text(row[0]))
                labels.append(name)
                prompts.append(prompt)
                if family and row[3] is not None:
                    families[name] = str(row[3])
    return texts, labels, prompts, families


def witnesses(model: Fingerprint, answers: Answers, suspect: str, decoys: Sequence[str]) -> dict[str, float]:
    """z of the suspect's mean log-odds among the decoys', for each class of the model, on the first words only."""
    place = {m: i for i, m in enumerate(answers.models)}
    means = {}
    for name in (suspect, *(d for d in decoys if d in place)):
        log_p = model.log_probs([first_words(row[place[name]], WITNESS_WORDS) for row in answers.texts])
        means[name] = log_p[:, : model.n_known].mean(axis=0)
    null = [d for d in means if d != suspect]
    out = {}
    for number, name in enumerate(model.classes):

        def odds(who: str, number: int = number) -> float:
            return float(means[who][number] - np.delete(means[who], number).mean())

        kept = [odds(d) for d in null if d != name]
        if len(kept) >= 8:
            out[name] = float(robust_z(odds(suspect), np.array(kept)))
    return out


def run_comparison(
    files: Sequence[Path],
    *,
    text: str,
    label: str,
    group: str,
    suspect: str,
    candidates: Sequence[str] = (),
    family: str | None = None,
    model: Fingerprint | None = None,
    limit: int = 200,
    seed: int = 0,
    progress: Callable[[float, str], None] = lambda share, note: None,
) -> tuple[Comparison, dict[str, Any]]:
    """Compare ``suspect`` with ``candidates`` (default: every other model).

    Every other model is a decoy. Returns the comparison and the report that is printed.

    Raises
    ------
    ConfigError : the suspect has no answers, or no candidate is left to compare with.
    """
    texts, labels, prompts, families = read_answers(files, text=text, label=label, group=group, family=family)
    if suspect not in set(labels):
        raise ConfigError(f"no answers of {suspect!r}", hint=f"labels: {', '.join(sorted(set(labels))[:30])}")
    answers = shared_answers(texts, labels, prompts, limit=limit, seed=seed)
    others = [m for m in answers.models if m != suspect]
    chosen = list(candidates) or others
    if not chosen:
        raise ConfigError("no candidate answered the suspect's prompts")
    # Where everybody is a candidate, everybody else is also the null.
    decoys = [m for m in others if m not in candidates] if candidates else others
    similarity = similarities(answers, progress=lambda s, n: progress(0.7 * s, n))
    progress(0.7, "placing among decoys")
    second = witnesses(model, answers, suspect, decoys) if model is not None else None
    result = compare(answers, similarity, suspect, chosen, decoys, families, seed=seed, witnesses=second)
    progress(0.9, "gathering evidence")
    best = result.candidates[0]
    other_makers = [d for d in decoys if families.get(d, d) != best.family]
    by_model: dict[str, list[str | None]] = {}
    for body, name in zip(texts, labels, strict=True):
        by_model.setdefault(name, []).append(body)
    slips = both_ways(
        by_model[suspect],
        by_model[best.candidate],
        names_of(suspect, families.get(suspect)),
        names_of(best.candidate, families.get(best.candidate)),
    )
    report = {
        "suspect": suspect,
        "verdict": result.verdict,
        "teacher": result.teacher,
        "n_prompts": result.n_prompts,
        "n_decoys": best.n_decoys,
        "candidates": [
            {
                "candidate": c.candidate,
                "family": c.family,
                "z": c.z,
                "z_low": c.low,
                "z_high": c.high,
                "rank": c.rank,
                "n_decoys": c.n_decoys,
                "contrast": c.contrast,
                "witness_z": c.witness,
            }
            for c in result.candidates
        ],
        "family_leads": result.family_leads,
        "prompts": [{"prompt": p, "contrast": v} for p, v in telling_prompts(answers, best)],
        "grams": [
            {"gram": g.gram, "n_prompts": g.n_prompts, "decoy_share": g.decoy_share}
            for g in shared_grams(answers, suspect, best.candidate, other_makers)
        ],
        "identity": {
            "suspect_claims": slips.suspect_claims.n_claims,
            "suspect_texts": slips.suspect_claims.n_texts,
            "suspect_languages": slips.suspect_claims.languages,
            "candidate_claims": slips.candidate_claims.n_claims,
            "candidate_texts": slips.candidate_claims.n_texts,
            "hint": slips.hint,
        },
    }
    return result, report

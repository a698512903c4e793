"""Which teacher a suspect learned from: paired similarity to each candidate, against a null of decoys.

Suspect, candidates and decoys answer the same prompts. For candidate T the contrast of a model is its mean
similarity to T's answers less its mean similarity to candidates of other makers; a robust z places the suspect's
contrast among the decoys'. Nothing is trained, so no classifier's habits affect the comparison.

Similarity of two answers is the cosine of idf-weighted n-gram vectors. The part that all models share on that prompt
is taken out first, because the topic is not evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from detector.attribution.fingerprint.hashed import SIZE, count_all, damped
from detector.attribution.lineage.leads import LEAST_DECOYS, family_leads, robust_z
from detector.errors import ConfigError

Floats = npt.NDArray[np.float64]

#: z from which a lineage is claimed, and z from which it is not excluded.
DERIVED_FROM, CONSISTENT_FROM = 4.0, 2.0
DERIVED, CONSISTENT, NONE, TOO_FEW = (
    "derived",
    "consistent with",
    "none of these",
    "too few decoys or prompts",
)
#: Fewest prompts of a mean.
LEAST_PROMPTS = 15
RESAMPLES = 300


@dataclass(frozen=True)
class Answers:
    """One text for each model and prompt, as ``texts[prompt][model]``, in the order of ``prompts`` and ``models``."""

    models: list[str]
    prompts: list[str]
    texts: list[list[str]]


def shared_answers(
    texts: Sequence[str | None],
    labels: Sequence[str],
    prompts: Sequence[str],
    *,
    limit: int = 200,
    seed: int = 0,
) -> Answers:
    """The prompts that most models answered, at most ``limit`` of them. A model with gaps there is left out.

    Where one model has several answers to one prompt, the first counts.

    Raises
    ------
    ConfigError : fewer than two models share a prompt.
    """
    table: dict[str, dict[str, str]] = {}
    for text, label, prompt in zip(texts, labels, prompts, strict=True):
        if text and text.strip():
            table.setdefault(prompt, {}).setdefault(label, text)
    if not table:
        raise ConfigError("no prompt has an answer")
    most = max(len(row) for row in table.values())
    shared = sorted(p for p, row in table.items() if len(row) >= max(2, 0.9 * most))
    if not shared:
        raise ConfigError(
            "no prompt was answered by two models", hint="name the prompt's column with --group"
        )
    rng = np.random.default_rng(seed)
    if len(shared) > limit:
        shared = sorted(shared[i] for i in rng.permutation(len(shared))[:limit])
    models = sorted({m for p in shared for m in table[p]})
    share = {m: sum(m in table[p] for p in shared) / len(shared) for m in models}
    models = [m for m in models if share[m] >= 0.9]
    shared = [p for p in shared if all(m in table[p] for m in models)]
    if len(models) < 2 or not shared:
        raise ConfigError("no two models answered the same prompts", hint="is --group the prompt's column?")
    return Answers(models, shared, [[table[p][m] for m in models] for p in shared])


def similarities(
    answers: Answers,
    *,
    centred: bool = True,
    progress: Callable[[float, str], None] = lambda share, note: None,
) -> npt.NDArray[np.float32]:
    """Similarity of every two models on every prompt: prompts x models x models, -1..1."""
    from scipy.sparse import csr_array

    n_models = len(answers.models)
    counted = count_all([text for row in answers.texts for text in row])
    n_texts = len(counted.indptr) - 1
    df = np.bincount(counted.columns, minlength=2 * SIZE)
    idf = np.where(df < 2, 0.0, np.log((1 + n_texts) / (1 + df)) + 1)
    out = np.empty((len(answers.prompts), n_models, n_models), np.float32)
    for number in range(len(answers.prompts)):
        # One prompt at a time: the weights of all texts of a large table would not fit in memory.
        pointers = counted.indptr[number * n_models : (number + 1) * n_models + 1]
        columns = counted.columns[pointers[0] : pointers[-1]]
        values = damped(counted.counts[pointers[0] : pointers[-1]]) * idf[columns]
        half = np.repeat(np.arange(n_models), np.diff(pointers)) * 2 + (columns >= SIZE)
        length = np.sqrt(np.bincount(half, weights=values**2, minlength=2 * n_models))
        values /= np.maximum(length[half], 1e-12)
        vectors = csr_array((values, columns, pointers - pointers[0]), shape=(n_models, 2 * SIZE))
        gram = np.asarray((vectors @ vectors.T).todense())
        if centred:
            gram = gram - gram.mean(axis=0) - gram.mean(axis=1)[:, None] + gram.mean()
        size = np.sqrt(np.maximum(np.diag(gram), 1e-9))
        out[number] = gram / np.outer(size, size)
        if number % 20 == 0:
            progress(number / len(answers.prompts), "comparing answers")
    return out


@dataclass(frozen=True)
class Lineage:
    """One candidate: where the suspect lies among the decoys in closeness to it."""

    candidate: str
    family: str
    z: float | None
    low: float | None
    high: float | None
    #: Rank of the suspect among the decoys (1 = nearest to the candidate), and the number of decoys in the null.
    rank: int | None
    n_decoys: int
    contrast: float
    #: Contrast of each prompt, in the order of ``Answers.prompts``.
    by_prompt: Floats
    #: z by the classifier, where a model was given.
    witness: float | None = None


@dataclass(frozen=True)
class Comparison:
    suspect: str
    n_prompts: int
    candidates: list[Lineage]
    verdict: str
    teacher: str | None
    #: Maker -> its lead over all other makers (see :func:`detector.attribution.lineage.leads.family_leads`); best first.
    family_leads: dict[str, float]


def compare(
    answers: Answers,
    similarity: npt.NDArray[np.float32],
    suspect: str,
    candidates: Sequence[str],
    decoys: Sequence[str],
    families: Mapping[str, str],
    *,
    seed: int = 0,
    witnesses: Mapping[str, float] | None = None,
) -> Comparison:
    """Place ``suspect`` among ``decoys`` for every candidate.

    A decoy of the candidate's own family is no decoy for it, and a model is never compared with itself.
    ``families`` maps a model to its maker; a model without an entry is its own maker.

    Raises
    ------
    ConfigError : the suspect or a candidate has no answers.
    """
    place = {m: i for i, m in enumerate(answers.models)}
    for name in (suspect, *candidates):
        if name not in place:
            raise ConfigError(
                f"{name!r} has no answers to the shared prompts", hint=f"there are {len(place)} models"
            )
    n_prompts = len(answers.prompts)
    rng = np.random.default_rng(seed)
    # Resampled prompts as weights: row 0 is the sample itself.
    weights = np.vstack(
        [np.ones(n_prompts), rng.multinomial(n_prompts, np.full(n_prompts, 1 / n_prompts), RESAMPLES)]
    )
    weights /= n_prompts

    def maker(model: str) -> str:
        return families.get(model, model)

    lineages = []
    for candidate in (c for c in candidates if c != suspect):
        rivals = [c for c in candidates if maker(c) != maker(candidate) and c != suspect]
        null = [
            d for d in decoys if d in place and d not in (suspect, candidate) and maker(d) != maker(candidate)
        ]
        rows = [place[suspect], *(place[d] for d in null)]
        contrast = _contrast(
            similarity, rows, place[candidate], [place[r] for r in rivals], answers.models, rivals
        )
        means = weights @ contrast
        enough = len(null) >= LEAST_DECOYS and n_prompts >= LEAST_PROMPTS
        z = robust_z(means[:, 0], means[:, 1:]) if enough else None
        lineages.append(
            Lineage(
                candidate,
                maker(candidate),
                None if z is None else float(z[0]),
                None if z is None else float(np.quantile(z[1:], 0.025)),
                None if z is None else float(np.quantile(z[1:], 0.975)),
                1 + int((means[0, 1:] >= means[0, 0]).sum()) if null else None,
                len(null),
                float(means[0, 0]),
                contrast[:, 0],
                (witnesses or {}).get(candidate),
            )
        )
    lineages.sort(key=lambda c: -(c.z if c.z is not None else c.contrast - 1e6))
    mean = similarity.mean(axis=0)
    nearest = max(
        (c for c in candidates if c != suspect), key=lambda c: mean[place[suspect], place[c]], default=""
    )
    verdict, teacher = _verdict(lineages, maker(nearest))
    leads = family_leads(mean, answers.models, suspect, candidates, decoys, families)
    return Comparison(suspect, n_prompts, lineages, verdict, teacher, leads)


def _contrast(
    similarity: npt.NDArray[np.float32],
    rows: Sequence[int],
    candidate: int,
    rivals: Sequence[int],
    models: Sequence[str],
    names: Sequence[str],
) -> Floats:
    """Similarity to the candidate less the mean over rivals, leaving out the row itself: prompts x rows."""
    own = similarity[:, rows, candidate].astype(np.float64)
    if not rivals:
        return own
    others = similarity[:, rows][:, :, rivals].astype(np.float64)
    itself = np.array([[r == rival for rival in rivals] for r in rows])
    counted = np.maximum((~itself).sum(axis=1), 1)
    return np.asarray(own - np.where(itself, 0.0, others).sum(axis=2) / counted, np.float64)


def _verdict(lineages: Sequence[Lineage], nearest: str) -> tuple[str, str | None]:
    """Verdict on the best candidate. ``nearest`` is the maker of the candidate with the most similar answers.

    A suspect may stand out among decoys for one candidate and still be nearer to another maker's candidate. That is no
    lineage.
    """
    if not lineages or lineages[0].z is None or lineages[0].low is None:
        return TOO_FEW, None
    best = lineages[0]
    assert best.z is not None
    assert best.low is not None
    stands_out = best.z >= DERIVED_FROM and best.rank == 1 and best.low >= CONSISTENT_FROM
    if stands_out and best.family == nearest:
        return DERIVED, best.candidate
    if best.z >= CONSISTENT_FROM:
        return CONSISTENT, best.candidate
    return NONE, None

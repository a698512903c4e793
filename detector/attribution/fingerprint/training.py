"""Learning a fingerprint: augmented copies, folds over groups, members, blend, group calibration, card.

Every text is held out once (cross-fitting): accuracy, calibration and thresholds come from texts whose prompt no
member had seen; then all members are trained again on everything, and that is what is written.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from detector.attribution.corpus.calibrating import fit_rule
from detector.attribution.corpus.habits import habits_of
from detector.attribution.corpus.reading import Labelled
from detector.attribution.corpus.rule import known_only
from detector.attribution.fingerprint import copies, style
from detector.attribution.fingerprint.blend import Blend, fit_blend, lengths_of
from detector.attribution.fingerprint.facts import facts_of
from detector.attribution.fingerprint.linear import CHOSEN_ON, KEPT, choose_columns, fit_weights
from detector.attribution.fingerprint.model import ON_STYLE, Arrays, Fingerprint, ready
from detector.attribution.fingerprint.network import fit_style
from detector.attribution.fingerprint.splits import folds_of
from detector.attribution.fingerprint.trees import fit_trees
from detector.errors import ConfigError

if TYPE_CHECKING:
    import torch

Progress = Callable[[float, str], None]

MEMBERS = ("linear", "style", "trees", "encoder")
#: What trains where nobody asks for others, and what joins on CUDA.
DEFAULT = ("linear", "style", "trees")
#: Weight of a changed copy beside its raw text, in training and in calibration.
COPY_WEIGHT, CALIBRATION_COPY_WEIGHT = 0.6, 0.15
_LEAST_GROUPS = 4


@dataclass
class Corpus:
    """Training texts in all copies, with style measured once. Arrays are copy-major: copy 0 is the raw text."""

    texts: list[list[str]]
    styles: list[npt.NDArray[np.float32]]
    classes: npt.NDArray[np.int64]
    groups: list[str]
    lengths: list[npt.NDArray[np.float64]]

    @property
    def n(self) -> int:
        return len(self.classes)

    def chosen(
        self, rows: npt.NDArray[np.int64]
    ) -> tuple[list[str], npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        """All copies of ``rows`` end to end: texts, styles, classes."""
        texts = [copy[r] for copy in self.texts for r in rows]
        styles = np.concatenate([s[rows] for s in self.styles])
        return texts, styles, np.tile(self.classes[rows], len(self.texts))


def prepare(
    texts: Sequence[str],
    classes: npt.NDArray[np.int64],
    groups: Sequence[str],
    *,
    seed: int = 0,
    augment: bool = True,
    progress: Progress = lambda share, note: None,
) -> Corpus:
    """Make the copies and measure their style."""
    kinds = copies.TRAINING if augment else {"raw": copies.TRAINING["raw"]}
    all_texts: list[list[str]] = []
    styles = []
    for number, (name, change) in enumerate(kinds.items()):
        progress(number / len(kinds), f"copies: {name}")
        made = [change(text, seed * 1_000_003 + row) for row, text in enumerate(texts)]
        all_texts.append(made)
        styles.append(style.measured(made))
    return Corpus(all_texts, styles, classes, list(groups), [lengths_of(made) for made in all_texts])


def fit_members(
    corpus: Corpus,
    rows: npt.NDArray[np.int64],
    n_classes: int,
    members: Sequence[str],
    *,
    seed: int,
    device: torch.device,
    families: npt.NDArray[np.int64] | None = None,
    kept: int = KEPT,
    progress: Progress = lambda share, note: None,
) -> dict[str, Arrays]:
    """Train ``members`` on all copies of ``rows``: their arrays."""
    texts, styles, classes = corpus.chosen(rows)
    importance = np.full(len(texts), COPY_WEIGHT, np.float32)
    importance[: len(rows)] = 1.0
    out: dict[str, Arrays] = {}
    for number, name in enumerate(members):

        def part(share: float, note: str, number: int = number) -> None:
            progress((number + share) / len(members), note)

        if name == "linear":
            part(0.0, "linear: choosing columns")
            rng = np.random.default_rng(seed)
            some = np.sort(rng.permutation(len(texts))[:CHOSEN_ON])
            vocabulary = choose_columns([texts[i] for i in some], classes[some], kept=kept)
            part(0.2, "linear: measuring")
            vectors = vocabulary.vectors(texts)

            def fitting(share: float, note: str, part: Progress = part) -> None:
                part(0.4 + 0.6 * share, note)

            weights, bias = fit_weights(
                vectors,
                len(vocabulary),
                classes,
                n_classes,
                importance=importance,
                device=device,
                progress=fitting,
            )
            out[name] = {
                "columns": vocabulary.columns,
                "idf": vocabulary.idf,
                "weights": weights,
                "bias": bias,
            }
        elif name == "style":
            out[name] = dict(
                fit_style(
                    styles, classes, n_classes, importance=importance, seed=seed, device=device, progress=part
                )
            )
        elif name == "trees":
            out[name] = fit_trees(styles, classes, n_classes, importance=importance, seed=seed, progress=part)
        elif name == "encoder":
            from detector.attribution.fingerprint.encoder import fit_encoder

            out[name] = dict(
                fit_encoder(
                    texts, classes, n_classes, families=families, importance=importance, seed=seed, device=device,
                    progress=part,
                )
            )  # fmt: skip
        else:
            raise ConfigError(f"unknown member {name!r}", hint=f"there are {', '.join(MEMBERS)}")
    return out


def score_members(
    members: dict[str, Arrays],
    n_classes: int,
    texts: Sequence[str],
    styles: npt.NDArray[np.float32],
    device: Any,
) -> list[npt.NDArray[Any]]:
    """Each member's scores of ``texts``, with style already measured."""
    out = []
    for name, arrays in members.items():
        member = ready(name, arrays, n_classes, device)
        out.append(member.logits_of(styles) if name in ON_STYLE else member.logits(texts))
    return out


@dataclass
class Held:
    """Scores of texts by members that had not seen their prompt, one array a member; copy-major like the corpus."""

    scores: list[list[npt.NDArray[np.float64]]]

    def blend(self, corpus: Corpus, only: int | None = None) -> Blend:
        """The blend of least loss on raw texts, the changed copies counting a little; ``only``: of one member."""
        n_copies = len(self.scores)
        chosen = range(len(self.scores[0])) if only is None else (only,)
        joined = [np.concatenate([copy[m] for copy in self.scores]) for m in chosen]
        importance = np.full(corpus.n * n_copies, CALIBRATION_COPY_WEIGHT)
        importance[: corpus.n] = 1.0
        return fit_blend(
            joined, np.concatenate(corpus.lengths), np.tile(corpus.classes, n_copies), importance
        )


def cross_fit(
    corpus: Corpus,
    n_classes: int,
    members: Sequence[str],
    folds: npt.NDArray[np.int64],
    *,
    seed: int,
    device: torch.device,
    families: npt.NDArray[np.int64] | None = None,
    progress: Progress = lambda share, note: None,
    early: Callable[[str], None] = lambda message: None,
) -> Held:
    """Score every text in every copy by members trained on the other folds."""
    n_folds = int(folds.max()) + 1
    held = [[np.zeros((corpus.n, n_classes)) for _ in members] for _ in corpus.texts]
    for fold in range(n_folds):
        rows, out = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)

        def part(share: float, note: str, fold: int = fold) -> None:
            progress((fold + 0.9 * share) / n_folds, f"fold {fold + 1}/{n_folds} {note}")

        fitted = fit_members(
            corpus,
            rows,
            n_classes,
            members,
            seed=seed + fold,
            device=device,
            families=families,
            progress=part,
        )
        for copy, texts in enumerate(corpus.texts):
            scores = score_members(
                fitted, n_classes, [texts[r] for r in out], corpus.styles[copy][out], device
            )
            for m, values in enumerate(scores):
                held[copy][m][out] = values
        if fold == 0:
            for m, name in enumerate(members):
                right = int((held[0][m][out].argmax(axis=1) == corpus.classes[out]).sum())
                early(f"first fold: {name} names {right / len(out):.3f} of {len(out):,} held-out texts")
    return Held(held)


def train(
    data: Labelled,
    *,
    background: Sequence[str] = (),
    members: Sequence[str] = DEFAULT,
    folds: int = 3,
    seed: int = 0,
    device: torch.device,
    progress: Progress = lambda share, note: None,
    early: Callable[[str], None] = lambda message: None,
) -> Fingerprint:
    """A fingerprint of ``data``; ``background`` are texts of other models, known as nobody's.

    Raises
    ------
    ConfigError : too few groups to hold any out, or an unknown member.
    """
    started = time.monotonic()
    names = sorted(set(data.labels))
    number = {name: i for i, name in enumerate(names)}
    texts = [*data.texts, *background]
    classes = np.array([number[label] for label in data.labels] + [len(names)] * len(background), np.int64)
    groups = [*data.groups, *(f"b:{i}" for i in range(len(background)))]
    n_classes = len(names) + bool(background)
    if unknown := [m for m in members if m not in MEMBERS]:
        raise ConfigError(f"unknown member {unknown[0]!r}", hint=f"there are {', '.join(MEMBERS)}")
    n_groups = len(set(data.groups))
    if n_groups < _LEAST_GROUPS:
        raise ConfigError(
            f"{n_groups} groups among {len(data.texts)} texts; {_LEAST_GROUPS} are the least that can be held out",
            hint="name the column of prompts with --group, or give more texts",
        )
    folds = max(2, min(folds, n_groups))
    corpus = prepare(texts, classes, groups, seed=seed, progress=lambda s, n: progress(0.15 * s, n))
    makers = _families(names, data.families, bool(background))
    held = cross_fit(
        corpus, n_classes, members, folds_of(groups, folds, seed), seed=seed, device=device, families=makers,
        progress=lambda s, n: progress(0.15 + 0.6 * s, n), early=early,
    )  # fmt: skip
    blend = held.blend(corpus)
    log_p = blend.log_probs(held.scores[0], corpus.lengths[0])
    habits = [habits_of(copy) for copy in held.scores]
    rule = fit_rule(log_p, classes, groups, len(names), seed=seed, kinds=habits)
    own = classes < len(names)
    known = known_only(log_p[own], len(names))
    right = int((known.argmax(axis=1) == classes[own]).sum())
    early(
        f"held out: {right / own.sum():.3f} of {int(own.sum()):,} texts named right; now training on everything"
    )
    fitted = fit_members(
        corpus, np.arange(corpus.n), n_classes, members, seed=seed, device=device, families=makers,
        progress=lambda s, n: progress(0.75 + 0.25 * s, n),
    )  # fmt: skip
    model = Fingerprint(names, dict(data.families), bool(background), fitted, blend, rule, device)
    model.alone = {name: held.blend(corpus, m) for m, name in enumerate(members)}
    model.facts = facts_of(
        data, background, members, folds, seed, corpus, held, known, classes[own], names, blend
    )
    model.facts["seconds"] = round(time.monotonic() - started, 1)
    model.facts["device"] = str(device)
    return model


def _families(
    names: Sequence[str], families: dict[str, str], background: bool
) -> npt.NDArray[np.int64] | None:
    if not families:
        return None
    makers = [families.get(name, name) for name in names] + (["\0other"] if background else [])
    order = {maker: i for i, maker in enumerate(dict.fromkeys(makers))}
    return np.array([order[m] for m in makers], np.int64)

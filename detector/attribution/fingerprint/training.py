"""Learning a fingerprint: augmented copies, folds over groups, members, blend, group calibration, card.

Every text is held out once (cross-fitting). Accuracy, calibration and thresholds come from texts whose prompt no
member has seen. Then all members are trained again on all texts, and those are the members that are written.
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
#: Members that train by default.
DEFAULT = ("linear", "style", "trees")
#: Weight of a changed copy beside its raw text, in training and in calibration.
COPY_WEIGHT, CALIBRATION_COPY_WEIGHT = 0.6, 0.15
_LEAST_GROUPS = 4


@dataclass
class Corpus:
    """Training texts in all copies, with style measured once. The outer list is the copy; copy 0 is the raw text."""

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
        copied = [change(text, seed * 1_000_003 + row) for row, text in enumerate(texts)]
        all_texts.append(copied)
        styles.append(style.measured(copied))
    return Corpus(all_texts, styles, classes, list(groups), [lengths_of(copied) for copied in all_texts])


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
    """Each member's scores of ``texts``, whose ``styles`` are already measured."""
    out = []
    for name, arrays in members.items():
        member = ready(name, arrays, n_classes, device)
        out.append(member.logits_of(styles) if name in ON_STYLE else member.logits(texts))
    return out


@dataclass
class HeldOut:
    """Scores of texts by members that have not seen their prompt: ``scores[copy][member]``, as in the corpus."""

    scores: list[list[npt.NDArray[np.float64]]]

    def blend(self, corpus: Corpus, only: int | None = None) -> Blend:
        """The blend with the least loss on raw texts, where changed copies count a little. ``only``: of one member."""
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
) -> HeldOut:
    """Score every text in every copy by members trained on the other folds."""
    n_folds = int(folds.max()) + 1
    held_out = [[np.zeros((corpus.n, n_classes)) for _ in members] for _ in corpus.texts]
    for fold in range(n_folds):
        rows, unseen = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)

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
                fitted, n_classes, [texts[r] for r in unseen], corpus.styles[copy][unseen], device
            )
            for m, values in enumerate(scores):
                held_out[copy][m][unseen] = values
        if fold == 0:
            for m, name in enumerate(members):
                right = int((held_out[0][m][unseen].argmax(axis=1) == corpus.classes[unseen]).sum())
                early(f"first fold: {name} names {right / len(unseen):.3f} of {len(unseen):,} held-out texts")
    return HeldOut(held_out)


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
    """A fingerprint of ``data``. ``background`` are texts of other models, which form a class without a name.

    Raises
    ------
    ConfigError : there are too few groups to hold any out, or a member is unknown.
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
    held_out = cross_fit(
        corpus, n_classes, members, folds_of(groups, folds, seed), seed=seed, device=device, families=makers,
        progress=lambda s, n: progress(0.15 + 0.6 * s, n), early=early,
    )  # fmt: skip
    blend = held_out.blend(corpus)
    log_p = blend.log_probs(held_out.scores[0], corpus.lengths[0])
    habits = [habits_of(copy) for copy in held_out.scores]
    rule = fit_rule(log_p, classes, groups, len(names), seed=seed, kinds=habits)
    own = classes < len(names)
    log_known = known_only(log_p[own], len(names))
    right = int((log_known.argmax(axis=1) == classes[own]).sum())
    early(
        f"held out: {right / own.sum():.3f} of {int(own.sum()):,} texts named right; now training on everything"
    )
    fitted = fit_members(
        corpus, np.arange(corpus.n), n_classes, members, seed=seed, device=device, families=makers,
        progress=lambda s, n: progress(0.75 + 0.25 * s, n),
    )  # fmt: skip
    model = Fingerprint(names, dict(data.families), bool(background), fitted, blend, rule, device)
    model.alone = {name: held_out.blend(corpus, m) for m, name in enumerate(members)}
    model.facts = facts_of(
        data, background, members, folds, seed, corpus, held_out, log_known, classes[own], names, blend
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

"""A trained fingerprint: a folder of ``model.json``, ``weights.safetensors`` and ``card.md``, without pickles."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from detector.attribution.corpus.habits import Habits, habits_of
from detector.attribution.corpus.rule import CorpusRule, Decision, known_only
from detector.attribution.extra import needed
from detector.attribution.fingerprint.blend import Blend, lengths_of
from detector.attribution.fingerprint.hashed import BITS, MAX_BYTES
from detector.attribution.fingerprint.linear import LinearMember
from detector.attribution.fingerprint.network import StyleMember
from detector.attribution.fingerprint.style import COLUMNS, measured
from detector.attribution.fingerprint.trees import TreesMember
from detector.attribution.fingerprint.vocabulary import Vocabulary
from detector.errors import Location, ModelError

if TYPE_CHECKING:
    import torch

FORMAT, VERSION = "hydrawatch-attribution", 2
HABITS = "habits"
MANIFEST, WEIGHTS, CARD = "model.json", "weights.safetensors", "card.md"
_HINT = "train it again: hydrawatch attribute train FILE --text COL --label COL --out MODEL"
#: The features of this release. A model with other features cannot be read.
FEATURES = {"bits": BITS, "max_bytes": MAX_BYTES, "style_columns": len(COLUMNS)}

Arrays = dict[str, npt.NDArray[Any]]
#: Members that score measured style instead of text.
ON_STYLE = ("style", "trees")


@dataclass(frozen=True)
class Evidence:
    """A model's scores of texts: log-probabilities (a background column last) and habits, one row for each text."""

    log_p: npt.NDArray[np.float64]
    habits: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.log_p)

    def __getitem__(self, rows: Any) -> Evidence:
        """Some of the texts."""
        return Evidence(self.log_p[rows], self.habits[rows])

    @classmethod
    def joined(cls, parts: Sequence[Evidence]) -> Evidence:
        """Texts of several batches as one."""
        return cls(np.concatenate([p.log_p for p in parts]), np.concatenate([p.habits for p in parts]))


@dataclass
class Fingerprint:
    """Members, their blend and the rule for corpora. ``members`` maps a member's name to its arrays."""

    classes: list[str]
    families: dict[str, str]
    has_background: bool
    members: dict[str, Arrays]
    blend: Blend
    rule: CorpusRule
    device: torch.device
    #: The facts of the card: data, figures, seeds.
    facts: dict[str, Any] = field(default_factory=dict)
    #: Each member calibrated alone, for tables that show one member.
    alone: dict[str, Blend] = field(default_factory=dict)
    _ready: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def n_known(self) -> int:
        return len(self.classes)

    def scores(self, texts: Sequence[str | None]) -> list[npt.NDArray[Any]]:
        """Each member's scores, texts x classes (a background column last)."""
        styles = measured(texts) if any(name in ON_STYLE for name in self.members) else None
        return [
            self._member(name).logits_of(styles) if name in ON_STYLE else self._member(name).logits(texts)
            for name in self.members
        ]

    def _member(self, name: str) -> Any:
        if name not in self._ready:
            width = self.n_known + self.has_background
            self._ready[name] = ready(name, self.members[name], width, self.device)
        return self._ready[name]

    def log_probs(self, texts: Sequence[str | None]) -> npt.NDArray[np.float64]:
        """Calibrated log-probabilities, texts x classes (a background column last)."""
        width = self.n_known + self.has_background
        if not texts:
            return np.zeros((0, width))
        return self.blend.log_probs(self.scores(texts), lengths_of(texts))

    def evidence(self, texts: Sequence[str | None]) -> Evidence:
        """The evidence that decisions over ``texts`` use."""
        scores = self.scores(texts)
        return Evidence(self.blend.log_probs(scores, lengths_of(texts)), habits_of(scores))

    def decide(self, evidence: Evidence) -> Decision:
        """The one author of all the texts of ``evidence``."""
        return self.rule.decide(evidence.log_p, self.n_known, evidence.habits)

    def family_probabilities(self, probabilities: npt.NDArray[Any]) -> dict[str, float]:
        """Probabilities summed by family. Empty where training named no families."""
        out: dict[str, float] = {}
        for name, p in zip(self.classes, probabilities, strict=True):
            if name in self.families:
                out[self.families[name]] = out.get(self.families[name], 0.0) + float(p)
        return out

    def save(self, folder: Path, card: str) -> None:
        """Write the folder. The manifest comes last, so an interrupted write does not load."""
        numpy_io = needed("safetensors.numpy")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MANIFEST).unlink(missing_ok=True)
        arrays = {
            f"{member}/{name}": np.ascontiguousarray(values)
            for member, values_by_name in self.members.items()
            for name, values in values_by_name.items()
        }
        if self.rule.habits is not None:
            arrays |= {f"{HABITS}/{name}": values for name, values in self.rule.habits.as_arrays().items()}
        numpy_io.save_file(arrays, str(folder / WEIGHTS))
        manifest = {
            "format": FORMAT,
            "version": VERSION,
            "features": FEATURES,
            "classes": self.classes,
            "families": self.families,
            "has_background": self.has_background,
            "members": list(self.members),
            "blend": {"weights": list(self.blend.weights), "slope": self.blend.slope},
            "alone": {n: {"weights": list(b.weights), "slope": b.slope} for n, b in self.alone.items()},
            "rule": self.rule.as_json(),
            "weights_sha256": _digest(folder / WEIGHTS),
            "facts": self.facts,
        }
        (folder / CARD).write_text(card, encoding="utf-8")
        (folder / MANIFEST).write_text(
            json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )


def ready(name: str, arrays: Arrays, width: int, device: torch.device) -> Any:
    """A member that can score texts, built from its arrays."""
    if name == "linear":
        return LinearMember(
            Vocabulary(arrays["columns"], arrays["idf"]), arrays["weights"], arrays["bias"], device
        )
    if name == "style":
        return StyleMember(arrays, width, device)
    if name == "trees":
        return TreesMember(arrays, width)
    if name == "encoder":
        from detector.attribution.fingerprint.encoder import EncoderMember

        return EncoderMember(arrays, width, device)
    raise ValueError(f"unknown member {name!r}")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load(folder: Path, device: torch.device) -> Fingerprint:
    """Read and check a model folder.

    Raises
    ------
    ModelError : the folder is no model, its format or release is another, or it is damaged.
    """
    place = Location(str(folder / MANIFEST))
    if not (folder / MANIFEST).is_file():
        raise ModelError(f"{folder} is not an attribution model: no {MANIFEST}", hint=_HINT)
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"damaged: {error}", at=place, hint=_HINT) from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ModelError(f"not of format {FORMAT}", at=place, hint=_HINT)
    if manifest.get("version") != VERSION or manifest.get("features") != FEATURES:
        raise ModelError(
            f"version {manifest.get('version')!r} with features {manifest.get('features')!r}; "
            f"this release reads version {VERSION} with {FEATURES}",
            at=place,
            hint=_HINT,
        )
    weights = folder / WEIGHTS
    if not weights.is_file():
        raise ModelError(f"{WEIGHTS} is missing", at=place, hint=_HINT)
    if _digest(weights) != manifest.get("weights_sha256"):
        raise ModelError("damaged: its digest is not the manifest's", at=Location(str(weights)), hint=_HINT)
    numpy_io = needed("safetensors.numpy")
    try:
        return _built(manifest, numpy_io.load_file(str(weights)), device)
    except (KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise ModelError(f"damaged: {type(error).__name__}: {error}", at=place, hint=_HINT) from error


def _built(manifest: Mapping[str, Any], arrays: Mapping[str, Any], device: torch.device) -> Fingerprint:
    classes = [str(c) for c in manifest["classes"]]
    has_background = bool(manifest["has_background"])
    if len(classes) < 2 or len(set(classes)) != len(classes):
        raise ValueError("classes are not two or more different names")
    members: dict[str, Arrays] = {}
    for name in manifest["members"]:
        own_arrays = {k.split("/", 1)[1]: v for k, v in arrays.items() if k.startswith(f"{name}/")}
        if not all(np.isfinite(v).all() for v in own_arrays.values()):
            raise ValueError(f"member {name} has weights that are no numbers")
        members[name] = own_arrays
    width = len(classes) + has_background
    habits = None
    if kept := {k.split("/", 1)[1]: v for k, v in arrays.items() if k.startswith(f"{HABITS}/")}:
        habits = Habits.from_arrays(kept, len(classes), width * len(members))
    weights = tuple(float(w) for w in manifest["blend"]["weights"])
    if len(weights) != len(members) or not members:
        raise ValueError("blend and members differ in number")
    model = Fingerprint(
        classes,
        {str(k): str(v) for k, v in manifest["families"].items()},
        has_background,
        members,
        Blend(weights, float(manifest["blend"]["slope"])),
        CorpusRule.from_json(manifest["rule"], len(classes), habits),
        device,
        dict(manifest["facts"]),
    )
    model.alone = {
        name: Blend((float(one["weights"][0]),), float(one["slope"]))
        for name, one in manifest.get("alone", {}).items()
        if name in members
    }
    probe = model.log_probs([""])
    if probe.shape != (1, width) or not np.isfinite(probe).all():
        raise ValueError("weights do not fit the classes")
    return model


def predict_texts(
    model: Fingerprint, batches: Iterator[list[tuple[int, str | None]]]
) -> Iterator[dict[str, Any]]:
    """One answer for each text, in input order. ``row`` counts from 0. A NULL or blank text is "too few texts"."""
    for batch in batches:
        evidence = model.evidence([text for _, text in batch])
        for at, (row, text) in enumerate(batch):
            decision = model.decide(evidence[at : at + 1])
            blank = not text or not text.strip()
            yield {"row": row, **answer(model, decision, blank=blank)}


def answer(model: Fingerprint, decision: Decision, *, blank: bool = False) -> dict[str, Any]:
    """A decision as ``attribute predict`` prints it."""
    from detector.attribution.corpus.rule import TOO_FEW

    out: dict[str, Any] = {
        "prediction": model.classes[decision.best],
        "probability": float(decision.probabilities[decision.best]),
        "probabilities": {c: float(p) for c, p in zip(model.classes, decision.probabilities, strict=True)},
        "verdict": TOO_FEW if blank else decision.verdict,
    }
    families = model.family_probabilities(decision.probabilities)
    if families:
        best = max(families, key=lambda name: families[name])
        out |= {"family": best, "family_probability": families[best]}
    return out


def predict_corpora(
    model: Fingerprint,
    batches: Iterator[list[tuple[str, str | None]]],
    note: Callable[[int], None] = lambda n: None,
) -> Iterator[dict[str, Any]]:
    """One answer for each corpus, in order of first appearance. Blank texts count as ``n_blank`` only."""
    by_corpus: dict[str, list[Evidence]] = {}
    blanks: dict[str, int] = {}
    seen = 0
    for batch in batches:
        evidence = model.evidence([text for _, text in batch])
        rows: dict[str, list[int]] = {}
        for at, (key, text) in enumerate(batch):
            by_corpus.setdefault(key, [])
            if text and text.strip():
                rows.setdefault(key, []).append(at)
            else:
                blanks[key] = blanks.get(key, 0) + 1
        for key, some in rows.items():
            by_corpus[key].append(evidence[some])
        seen += len(batch)
        note(seen)
    empty = model.evidence([""])
    for key, parts in by_corpus.items():
        whole = Evidence.joined(parts) if parts else empty
        decision = model.decide(whole)
        yield {
            "by": key,
            "n_texts": len(whole) if parts else 0,
            "n_blank": blanks.get(key, 0),
            **answer(model, decision, blank=not parts),
            "texts_for_999": model.rule.texts_needed(decision.best),
        }


__all__ = ["Fingerprint", "answer", "known_only", "load", "predict_corpora", "predict_texts", "ready"]

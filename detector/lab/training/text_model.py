"""Trains the text model that ships in ``rules/models``: what a prompt asks for, and what it draws on.

Positives are made (``text_families``), as no real elicitation prompts are public; ordinary text is real,
from ``HYDRAWATCH_DATA``, and never shipped: only weights are. Whole families are held out to measure,
real prompts by row. The card written beside the weights says what was reached.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import scipy.sparse

from detector.errors import ModelError
from detector.lab.training.text_families import Family, capability_families, elicitation_families, expand
from features.request.elicitation import BUCKETS, buckets
from features.request.spans import grams
from features.request.tokens import tokenise
from features.schema import CAPABILITIES, ELICITATION_KINDS

__all__ = ["train"]

F64 = npt.NDArray[np.float64]

SEED = 11
#: Wordings drawn of each family, folds of families, and strength of the L2 penalty (1/C).
DRAWS, FOLDS, STRENGTH = 100, 5, 0.7
#: Share of ordinary real prompts that may score above one half for all kinds together.
ALLOWED = 0.01

_FIELDS = [
    "algebra",
    "organic chemistry",
    "contract law",
    "Rust programming",
    "medieval history",
    "personal finance",
    "cell biology",
    "machine learning",
    "cooking",
    "world geography",
    "nursing",
    "network security",
    "music theory",
    "chess",
    "microeconomics",
    "thermodynamics",
    "child care",
    "marketing",
    "astronomy",
    "grammar",
    "SQL",
    "robotics",
    "philosophy",
    "agriculture",
    "statistics",
]
_SPEAKING = {"all": ("en", "zh", "es", "de", "fr", "ja"), "other": ("es", "de", "fr", "ja")}
_GREETINGS = ("You are a helpful assistant.", "你是一个有用的助手。", "Hello.")
_FIELDS_ZH = [
    "数学",
    "化学",
    "法律",
    "编程",
    "历史",
    "金融",
    "生物",
    "机器学习",
    "烹饪",
    "地理",
    "医学",
    "网络安全",
    "音乐",
    "经济学",
    "物理",
]


@dataclass(frozen=True)
class Rows:
    """Texts with labels (a column a kind), the family of each (or -1 for real text) and its language."""

    texts: list[str]
    labels: npt.NDArray[np.bool_]
    family: npt.NDArray[np.int64]
    language: list[str]


def train(out: Path, data: Path | None = None) -> dict[str, object]:
    """Fit, measure, write ``text_elicitation.safetensors`` and its card into ``out``; returns the card.

    ``data`` is the folder of real data, by default the one ``HYDRAWATCH_DATA`` names.
    """
    from safetensors.numpy import save

    real = _real(data)
    rng = random.Random(SEED)
    weights = np.zeros((BUCKETS, len(ELICITATION_KINDS) + len(CAPABILITIES)), dtype=np.float32)
    slope = np.ones(weights.shape[1], dtype=np.float32)
    intercept = np.zeros(weights.shape[1], dtype=np.float32)
    card: dict[str, object] = {
        "model": "text_elicitation",
        "columns": [*ELICITATION_KINDS, *CAPABILITIES],
        "buckets": BUCKETS,
        "features": "hashed runs of 1-3 tokens over the first 128 and last 64, counts over their root number",
    }
    asks = _made(elicitation_families(), ELICITATION_KINDS, real, rng)
    _elicitation(asks, weights, slope, intercept, card)
    able = _made(capability_families(), CAPABILITIES, real, rng)
    _capability(able, real, weights, slope, intercept, card)
    body = save({"weights": weights.astype(np.float16), "slope": slope, "intercept": intercept})
    card["sha256"] = hashlib.sha256(body).hexdigest()
    out.mkdir(parents=True, exist_ok=True)
    (out / "text_elicitation.safetensors").write_bytes(body)
    (out / "text_elicitation.json").write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n")
    return card


def _real(data: Path | None) -> pl.DataFrame:
    folder = data or (Path(os.environ["HYDRAWATCH_DATA"]) if "HYDRAWATCH_DATA" in os.environ else None)
    path = folder / "prompts" / "prompts.parquet" if folder else None
    if path is None or not path.is_file():
        raise ModelError(
            f"training needs real prompts as ordinary text, found none at {path}",
            hint="set HYDRAWATCH_DATA to the folder that holds prompts/prompts.parquet",
        )
    return pl.read_parquet(path).filter(pl.col("text").str.len_chars() > 0)


def _made(
    families: tuple[Family, ...], kinds: tuple[str, ...], real: pl.DataFrame, rng: random.Random
) -> Rows:
    """``DRAWS`` wordings of each family, slots filled with real questions, and all real text after them."""
    sources = ["human", "benchmark_question", "harvest_task", "tool_use_request"]
    asked = real.filter(pl.col("kind").is_in(sources))
    pool = asked["text"].to_list()
    han = [text for text in pool if any("一" <= c <= "鿿" for c in text[:40])]
    plain = [text for text in pool if text[:60].isascii()]
    texts, labels, family, language = [], [], [], []
    for number, form in enumerate(families):
        source = han if form.language in ("zh", "ja") else plain
        fields = _FIELDS_ZH if form.language in ("zh", "ja") else _FIELDS
        slots = _slots(source, fields, rng)
        for _ in range(int(DRAWS * form.draws)):
            text = expand(form.form, rng, slots)
            if rng.random() < 0.15:
                text = f"{rng.choice(_GREETINGS)} {text}"
            if rng.random() < 0.1:
                text = text.lower()
            texts.append(text)
            labels.append([kind in form.labels for kind in kinds])
            family.append(number)
            language.append(form.language)
    plain_texts = real["text"].to_list()
    texts += plain_texts
    labels += [[False] * len(kinds)] * len(plain_texts)
    family += [-1] * len(plain_texts)
    language += ["real"] * len(plain_texts)
    return Rows(texts, np.array(labels), np.array(family), language)


def _slots(source: list[str], fields: list[str], rng: random.Random) -> dict[str, Callable[[], str]]:
    """What fills the slots of a form: cut pieces of real questions, a field, a figure."""
    return {
        "q": lambda: rng.choice(source)[: rng.choice((120, 300, 900))],
        "a": lambda: rng.choice(source)[: rng.choice((12, 60, 240))],
        "t": lambda: " ".join(rng.sample(source, 2))[: rng.choice((200, 500, 900))],
        "d": lambda: rng.choice(fields),
        "n": lambda: str(rng.randint(2, 50)),
    }


def _features(texts: list[str]) -> tuple[scipy.sparse.csr_array, npt.NDArray[np.int64]]:
    """Feature rows, one a window, and the first window of each text."""
    tokens = tokenise(pl.Series(texts))
    index, bounds, windows = buckets(tokens, grams(tokens))
    values = np.repeat(1 / np.sqrt(np.maximum(np.diff(bounds), 1)), np.diff(bounds))
    matrix = scipy.sparse.csr_array((values, index, bounds), shape=(len(bounds) - 1, BUCKETS + 1))
    return matrix[:, :BUCKETS].tocsr(), windows


def _folds(rows: Rows) -> npt.NDArray[np.int64]:
    """Fold of each row: families of one kind and language are spread over the folds, real text at random."""
    rng = np.random.default_rng(SEED)
    fold = rng.integers(0, FOLDS, len(rows.texts))
    numbers = np.arange(rows.family.max() + 1)
    first = np.searchsorted(rows.family[rows.family >= 0], numbers)
    groups = {n: (tuple(rows.labels[at]), rows.language[at]) for n, at in zip(numbers, first, strict=True)}
    turn: dict[object, int] = {}
    for number in rng.permutation(numbers):
        group = groups[int(number)]
        turn[group] = turn.get(group, int(rng.integers(0, FOLDS))) + 1
        fold[rows.family == number] = turn[group] % FOLDS
    return fold


def _fit(matrix: scipy.sparse.csr_array, label: npt.NDArray[np.bool_]) -> tuple[F64, float]:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=STRENGTH, max_iter=300, class_weight="balanced")
    model.fit(matrix, label)
    return model.coef_[0], float(model.intercept_[0])


def _elicitation(
    rows: Rows,
    weights: npt.NDArray[np.float32],
    slope: npt.NDArray[np.float32],
    intercept: npt.NDArray[np.float32],
    card: dict[str, object],
) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    (matrix, windows), fold = _features(rows.texts), _folds(rows)
    of = np.repeat(np.arange(len(fold)), np.diff(np.append(windows, matrix.shape[0])))
    first = np.zeros(len(of), dtype=np.bool_)
    first[windows] = True
    last = np.roll(first, -1)
    real = rows.family < 0
    language = np.array(rows.language)
    honest: npt.NDArray[np.bool_] = ~np.asarray(rows.labels.any(axis=1))
    out_of_fold = np.zeros(rows.labels.shape)
    for k in range(len(ELICITATION_KINDS)):
        label = rows.labels[:, k]
        # Instructions stand in a text's first or last window; what lies between is whatever it is about.
        use = ~label[of] | first | last
        for f in range(FOLDS):
            learn = use & (fold[of] != f)
            coef, bias = _fit(matrix[learn], label[of[learn]])
            value = np.maximum.reduceat(matrix @ coef + bias, windows)
            out_of_fold[fold == f, k] = value[fold == f]
        coef, bias = _fit(matrix[use], label[of[use]])
        weights[:, k] = coef
        platt = LogisticRegression(C=1e3).fit(out_of_fold[:, k : k + 1], label)
        a, b = float(platt.coef_[0, 0]), float(platt.intercept_[0])
        # Real prompts are what ingest sees: no kind may pass one half on more than its share of them.
        limit = np.quantile(out_of_fold[real, k], 1 - ALLOWED / len(ELICITATION_KINDS))
        b = min(b, -a * float(limit))
        out_of_fold[:, k] = a * out_of_fold[:, k] + b
        slope[k], intercept[k] = a, a * bias + b
    score = out_of_fold.max(axis=1)
    report: dict[str, dict[str, float]] = {}
    for k, kind in enumerate((*ELICITATION_KINDS, "any")):
        label = rows.labels[:, k] if kind != "any" else np.logical_not(honest)
        value = out_of_fold[:, k] if kind != "any" else score
        lines = {}
        for name in ("all", "en", "zh", "other"):
            in_language = np.isin(language, list(_SPEAKING.get(name, (name,))))
            if name != "all" and not (label & in_language).any():
                continue
            synthetic = in_language & ~real & (label | honest)
            auc = float(roc_auc_score(label[synthetic], value[synthetic]))
            lines[f"auc_{name}_against_made_honest"] = round(auc, 3)
            both = (label & in_language) | real
            lines[f"auc_{name}_against_real"] = round(float(roc_auc_score(label[both], value[both])), 3)
            lines[f"recall_{name}_at_half"] = round(float((value[label & in_language] > 0).mean()), 3)
        report[kind] = lines
    false = {
        "real_prompts": float((score[real] > 0).mean()),
        "made_honest": float((score[honest & ~real] > 0).mean()),
    }
    card["held_out_families"] = report
    card["share_above_half_held_out"] = {name: round(value, 4) for name, value in false.items()}
    card["data"] = {
        "made_families": int(rows.family.max() + 1), "wordings_per_family": DRAWS,
        "real_prompts": int(real.sum()),
        "real_sources": "lmarena arena-hard-auto, FastChat, OASST via qlora, tau-bench, BIG-Bench-Hard, "
        "fabric, LLaMA-Factory demo tasks (Apache-2.0, MIT); ordinary text and fillings, not shipped",
    }  # fmt: skip
    card["limits"] = [
        "positives are made by this project: no public elicitation traffic exists to test on",
        "families were held out, their authors were not: other people's wordings will score lower",
        "rewriting that avoids censorship is judged by wording, not by what it is about",
        "languages other than English and Chinese rest on few forms each",
        "strengths and limits were chosen on the folds reported here; no set was kept apart, so they flatter mildly",
        "long prompts are judged by their first 128 and last 64 tokens",
    ]


def _capability(
    rows: Rows,
    real: pl.DataFrame,
    weights: npt.NDArray[np.float32],
    slope: npt.NDArray[np.float32],
    intercept: npt.NDArray[np.float32],
    card: dict[str, object],
) -> None:
    from sklearn.linear_model import LogisticRegression

    label = rows.labels.argmax(axis=1)
    label[rows.family < 0] = -1
    capability_of = {
        "benchmark_question": "reasoning",
        "tool_use_request": "agentic",
        "agent_user_turn": "agentic",
    }
    kinds = real["kind"].replace_strict(capability_of, default=None, return_dtype=pl.String).to_list()
    label[rows.family < 0] = [-1 if kind is None else CAPABILITIES.index(kind) for kind in kinds]
    use = np.flatnonzero(label >= 0)
    # Real rows of one source are many and alike: a tenth of them is enough.
    use = use[(rows.family[use] >= 0) | (np.arange(len(use)) % 10 == 0)]
    every, windows = _features(rows.texts)
    matrix, fold = every[windows[use]], _folds(rows)[use]
    label = label[use]
    synthetic = rows.family[use] >= 0
    right = np.zeros(len(use), dtype=np.bool_)
    for f in range(FOLDS):
        model = LogisticRegression(C=STRENGTH, max_iter=300, class_weight="balanced")
        model.fit(matrix[fold != f], label[fold != f])
        right[fold == f] = model.predict(matrix[fold == f]) == label[fold == f]
    model = LogisticRegression(C=STRENGTH, max_iter=300, class_weight="balanced").fit(matrix, label)
    first = len(ELICITATION_KINDS)
    weights[:, first:] = model.coef_.T
    intercept[first:] = model.intercept_
    accuracy = {
        name: round(float(right[synthetic & (label == k)].mean()), 3) for k, name in enumerate(CAPABILITIES)
    }
    card["capability_held_out_families_accuracy"] = {
        "all": round(float(right[synthetic].mean()), 3),
        **accuracy,
    }

"""What a prompt asks for: five kinds of training material, and the capability it draws on.

One linear model over hashed runs of one to three tokens (characters in scripts without spaces), read from
``rules/models``. No phrase is written here: ``detector.lab.training.text_model`` learned the weights. The card of the
model names its training texts, and how well it separates families of wording that it never saw. A high score means that
the wording resembles requests for training material. Alone it says nothing about who asks or how often.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load

import rules
from features.request.lexing import COLUMNS, best_windows, list_runs
from features.request.spans import Grams
from features.request.tokens import Tokens
from features.schema import CAPABILITIES, ELICITATION_KINDS

__all__ = ["BUCKETS", "HEAD_TOKENS", "TAIL_TOKENS", "TextModel", "buckets", "shipped"]

F32 = npt.NDArray[np.float32]

#: Hash buckets of the weights. One more row, all zero, stands for runs that leave the text.
BUCKETS = 1 << 15
#: Longer texts are judged by their beginning and end (tokens), where instructions usually are. An attacker can hide the
#: instruction in the middle; that is accepted for a bounded cost.
HEAD_TOKENS, TAIL_TOKENS = 128, 64
#: Tokens judged together. The score of a text is that of its highest window, so that a long slot does not dilute a short
#: instruction.
WINDOW = 48
#: Fewest tokens of a text that is judged.
MIN_TOKENS = 3

MODEL = "models/text_elicitation.safetensors"
CARD = "models/text_elicitation.json"


@dataclass(frozen=True)
class TextModel:
    """Weights (BUCKETS + 1, kinds + capabilities) and, per column, slope and intercept of the logit."""

    weights: F32
    slope: F32
    intercept: F32

    @cached_property
    def _padded(self) -> F32:
        """Weights padded with columns of zeros, as ``best_windows`` needs them."""
        padded = np.zeros((len(self.weights), COLUMNS), dtype=np.float32)
        padded[:, : self.weights.shape[1]] = self.weights
        return padded

    def logits(self, tokens: Tokens, grams: Grams) -> F32:
        """Log-odds (natural) per text and column; texts of fewer than ``MIN_TOKENS`` tokens get NaN."""
        index, bounds, windows = buckets(tokens, grams)
        best = np.empty((len(windows), COLUMNS), dtype=np.float32)
        best_windows(index, bounds, windows, self._padded, best)
        sums: F32 = best[:, : self.weights.shape[1]].copy()
        sums *= self.slope
        sums += self.intercept
        sums[tokens.counts < MIN_TOKENS] = np.nan
        return sums


def buckets(
    tokens: Tokens, grams: Grams
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Bucket numbers of the runs, three for each token; bounds of each window among them; each text's first window.

    Every text has a window; the window of a text without tokens is empty.
    """
    counts = tokens.counts
    n_judged = np.minimum(counts, HEAD_TOKENS + TAIL_TOKENS)
    index = np.empty((int(n_judged.sum()), 3), dtype=np.int32)
    shift = np.uint64(64 - BUCKETS.bit_length() + 1)
    list_runs(
        grams.token, grams.pair, grams.triple, tokens.row_tokens,
        HEAD_TOKENS, TAIL_TOKENS, shift, np.uint64(BUCKETS), index,
    )  # fmt: skip
    per_text = np.maximum(-(-n_judged // WINDOW), 1)
    windows = np.cumsum(per_text) - per_text
    place = np.arange(int(per_text.sum())) - np.repeat(windows, per_text)
    bounds = np.zeros(len(place) + 1, dtype=np.int32)
    bounds[:-1] = 3 * (np.repeat(np.cumsum(n_judged) - n_judged, per_text) + WINDOW * place)
    bounds[-1] = index.size
    return index.reshape(-1), bounds, windows


@cache
def shipped() -> TextModel:
    """The shipped model; ValueError when its file and its card do not match."""
    card = json.loads(rules.read_text(CARD))
    if card["sha256"] != rules.digest(MODEL):
        raise ValueError(f"rules/{MODEL} is not the file its card describes (sha256 {rules.digest(MODEL)})")
    columns = [*ELICITATION_KINDS, *CAPABILITIES]
    if card["columns"] != columns or card["buckets"] != BUCKETS:
        raise ValueError(f"rules/{CARD} has columns {card['columns']}, this version expects {columns}")
    tensors = load(rules.read_bytes(MODEL))
    weights = np.zeros((BUCKETS + 1, len(columns)), dtype=np.float32)
    weights[:BUCKETS] = tensors["weights"]
    return TextModel(weights, tensors["slope"].astype(np.float32), tensors["intercept"].astype(np.float32))


def chances(logits: F32) -> npt.NDArray[np.float64]:
    """Probabilities of log-odds; NaN stays NaN."""
    clipped = np.clip(logits.astype(np.float64), -40.0, 40.0)
    result: npt.NDArray[np.float64] = 1.0 / (1.0 + np.exp(-clipped))
    return result
